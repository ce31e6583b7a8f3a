"""Heatmaps and grids: pixels against values worked out by hand or pixel by pixel."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from PIL import Image

from insens_tf.heatmap import channel_rules, grid, heatmap, picture
from insens_tf.new_figure import new_figure
from insens_tf.picture_grid import OUTLINE_COLOUR

WHITE, RED, BLUE = [255, 255, 255], [255, 0, 0], [0, 0, 255]


def slow_heatmap(one_map: np.ndarray) -> list[list[list[int]]]:
    """One (height, width) map, pixel by pixel in plain Python."""
    strongest = max(abs(float(value)) for row in one_map for value in row)
    rows = []
    for row in one_map:
        pixels = []
        for value in map(float, row):
            paler = round(255 * (1 - abs(value) / strongest)) if strongest else 255
            if value > 0:
                pixels.append([255, paler, paler])
            elif value < 0:
                pixels.append([paler, paler, 255])
            else:
                pixels.append([255, 255, 255])
        rows.append(pixels)
    return rows


def random_maps(*shape: int, seed: int = 0) -> np.ndarray:
    """Signed maps of very different magnitudes, with exact zeros."""
    generator = np.random.default_rng(seed)
    maps = generator.normal(size=shape) * (generator.uniform(size=shape) > 0.3)
    return maps * 10.0 ** np.arange(len(maps)).reshape(-1, *[1] * (len(shape) - 1))


def test_zero_is_white_positive_red_negative_blue() -> None:
    drawn = heatmap([[0.0, 2.0, -2.0], [1.0, -1.0, 1e-30]])
    assert drawn.dtype == np.uint8
    assert drawn.tolist() == [
        [WHITE, RED, BLUE],
        [[255, 128, 128], [128, 128, 255], WHITE],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_every_map_is_normalised_by_its_own_largest_magnitude(seed: int) -> None:
    maps = random_maps(4, 5, 6, seed=seed)
    drawn = heatmap(maps, channels=None)
    for one_map, rgb in zip(maps, drawn, strict=True):
        assert rgb.tolist() == slow_heatmap(one_map)


@pytest.mark.parametrize("batch", [0, 1, 2, 3, 7])
def test_any_batch_size_gives_what_single_maps_give(batch: int) -> None:
    maps = random_maps(batch, 4, 5, 3) if batch else np.zeros((0, 4, 5, 3))
    drawn = heatmap(maps)
    assert drawn.shape == (batch, 4, 5, 3)
    for one_map, rgb in zip(maps, drawn, strict=True):
        assert np.array_equal(rgb, heatmap(one_map))


def test_a_map_of_zeros_is_white() -> None:
    maps = random_maps(2, 3, 3, 1)
    maps[1] = 0
    assert (heatmap(maps)[1] == 255).all()
    assert (heatmap(maps, dtype=np.float32)[1] == 1).all()


def test_a_map_of_one_sign_still_has_white_at_zero() -> None:
    assert heatmap([[0.0, 3.0, 1.5]]).tolist() == [[WHITE, RED, [255, 128, 128]]]
    assert heatmap([[0, -3]]).tolist() == [[WHITE, BLUE]]


def test_the_named_rules_reduce_colour_channels() -> None:
    pixels = np.array([[[1.0, 1.0, -3.0], [0.5, 0.25, 0.25], [1.0, -1.0, 0.0]]])
    # Sums: -1, 1, 0. Largest magnitudes: -3, 0.5, and of 1 and -1 the first.
    assert heatmap(pixels, "sum").tolist() == [[BLUE, RED, WHITE]]
    largest = heatmap(pixels, "largest", dtype=np.float64)
    third, sixth = 1 / 3, 1 / 6
    expected = np.array([[[0, 0, 1], [1, 1 - sixth, 1 - sixth], [1, 1 - third, 1 - third]]])
    assert np.allclose(largest, expected)
    assert set(channel_rules) == {"sum", "largest"}


def test_one_channel_is_the_map_itself_under_every_rule() -> None:
    maps = random_maps(3, 4, 4)
    for rule in channel_rules:
        assert np.array_equal(heatmap(maps[..., np.newaxis], rule), heatmap(maps, None))


def test_floating_colours_are_the_same_ones() -> None:
    maps = random_maps(2, 6, 6, 3)
    exact = heatmap(maps, dtype=np.float64)
    assert exact.dtype == np.float64
    assert exact.min() >= 0
    assert exact.max() == 1
    assert np.array_equal(np.rint(exact * 255), heatmap(maps))


@pytest.mark.parametrize("scale", [1e-310, 1e-40, 1e40, 1e308])
def test_very_small_and_very_large_values_are_drawn_alike(scale: float) -> None:
    pixels = np.array([[[0.5, 1.0], [-1.0, -0.5], [0.0, 0.0]]])
    assert np.array_equal(heatmap(pixels * scale), heatmap(pixels))


def test_other_types_are_read_and_the_maps_stay_as_they_were() -> None:
    maps = np.array([[[-128, 64], [0, 127]]], dtype=np.int8)
    before = maps.copy()
    assert heatmap(maps, None)[0, 0, 0].tolist() == BLUE
    assert np.array_equal(maps, before)
    assert heatmap([[True, False]]).tolist() == [[RED, WHITE]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    maps = np.zeros((2, 3, 3, 1))
    maps[1, 2, 0, 0] = value
    with pytest.raises(ValueError, match=r"1 values that are NaN or infinite.*\(1, 2, 0, 0\)"):
        heatmap(maps)


@pytest.mark.parametrize(
    ("shape", "channels", "message"),
    [
        ((4,), "sum", "does not go with channels='sum'"),
        ((2, 4, 4, 3, 1), "sum", "does not go with channels='sum'"),
        ((2, 4, 4, 3), None, "does not go with channels=None"),
        ((16, 28, 28), "sum", r"28 colour channels.*channels=None.*numpy.newaxis"),
        ((2, 0, 4, 1), "sum", "no pixel"),
        ((2, 4, 4, 0), "sum", "no pixel"),
    ],
)
def test_shapes_that_do_not_go_with_the_rule_are_refused(
    shape: tuple[int, ...], channels: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        heatmap(np.zeros(shape), channels)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"channels is 'mean'; expected one of 'sum', 'largest'"):
        heatmap(np.zeros((2, 2)), "mean")
    for dtype in (np.int32, "no dtype"):
        with pytest.raises(ValueError, match=r"expected uint8 .* or a floating type"):
            heatmap(np.zeros((2, 2)), dtype=dtype)
    with pytest.raises(ValueError, match="complex128 values; expected real numbers"):
        heatmap(np.zeros((2, 2), complex))
    with pytest.raises(ValueError, match="maps"):
        heatmap([["a", "b"]])
    with pytest.raises(ValueError, match="maps"):
        heatmap([[1.0, 2.0], [3.0]])


def test_pictures_keep_pixels_and_stretch_other_ranges() -> None:
    pixels = np.array([[[0], [1], [255]]], dtype=np.uint8)
    assert picture(pixels).tolist() == [[[0] * 3, [1] * 3, [255] * 3]]
    assert picture(pixels / np.float32(255)).tolist() == picture(pixels).tolist()
    assert picture(pixels.astype(np.float32)).tolist() == picture(pixels).tolist()
    assert picture([[-1.0, 0.0, 1.0]])[..., 0].tolist() == [[0, 128, 255]]
    colours = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(picture(colours), colours)
    assert picture(np.zeros((5, 2, 2, 1))).shape == (5, 2, 2, 3)
    assert picture(np.full((2, 2), 300.0)).tolist() == [[[0] * 3] * 2] * 2


def test_pictures_of_other_shapes_are_refused() -> None:
    for shape in [(4,), (5, 28, 28), (28, 28, 2), (1, 2, 3, 4, 3)]:
        with pytest.raises(ValueError, match=r"images has the shape .* numpy.newaxis"):
            picture(np.zeros(shape))
    with pytest.raises(ValueError, match="NaN or infinite"):
        picture(np.full((2, 2), np.nan))


def saved(figure: object) -> np.ndarray:
    """The pixels of a figure, by way of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file)  # type: ignore[attr-defined]
    return np.asarray(Image.open(file).convert("RGB"))


def places(canvas: np.ndarray, rgb: np.ndarray, factor: int) -> list[tuple[int, int]]:
    """Where a picture, each pixel a square of `factor` pixels, is found exactly."""
    block = np.kron(rgb, np.ones((factor, factor, 1), np.uint8))
    height, width = block.shape[:2]
    corners = canvas[: canvas.shape[0] - height + 1, : canvas.shape[1] - width + 1]
    found = np.argwhere((corners == block[0, 0]).all(axis=-1))
    # Looked at one point in every pixel's square, few places are left to be compared in full.
    for y in range(0, height, factor):
        for x in range(0, width, factor):
            seen = canvas[found[:, 0] + y, found[:, 1] + x]
            found = found[(seen == block[y, x]).all(axis=-1)]
    return [
        (int(y), int(x))
        for y, x in found
        if np.array_equal(canvas[y : y + height, x : x + width], block)
    ]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (3, 2), (5, 3)])
def test_a_grid_shows_every_pixel_as_a_crisp_square_in_its_place(rows: int, columns: int) -> None:
    maps = heatmap(random_maps(rows * columns, 7, 9), None).reshape(rows, columns, 7, 9, 3)
    canvas = saved(
        grid(
            maps,
            [f"row {r}" for r in range(rows)],
            [f"a longer title {c}" for c in range(columns)],
            title="everything",
            cell_pixels=36,
        )
    )
    found = [places(canvas, rgb, 4) for row in maps for rgb in row]
    assert [len(hits) for hits in found] == [1] * (rows * columns)
    corners = np.array([hits[0] for hits in found]).reshape(rows, columns, 2)
    assert (np.diff(corners[..., 0], axis=0) > 28).all()
    assert (np.diff(corners[..., 1], axis=1) > 36).all()
    assert (corners[..., 0] == corners[:, :1, 0]).all()
    assert (corners[..., 1] == corners[:1, :, 1]).all()


def test_inputs_stand_next_to_maps_and_cells_may_be_empty() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    maps = heatmap(random_maps(2, 6, 6), None)
    canvas = saved(grid([[colours[0], maps[0]], [colours[1], None], [maps[1]]], cell_pixels=30))
    for rgb in (*colours, *maps):
        assert len(places(canvas, rgb, 5)) == 1


def test_pictures_of_different_sizes_share_a_grid() -> None:
    small, large = heatmap(random_maps(1, 3, 3)[0]), heatmap(random_maps(1, 12, 10)[0])
    canvas = saved(grid([[small, large]], cell_pixels=36))
    assert len(places(canvas, small, 12)) == 1
    assert len(places(canvas, large, 3)) == 1


def test_a_grid_takes_grey_and_floating_pictures() -> None:
    grey = np.linspace(0, 1, 16).reshape(4, 4)
    for entry in (grey, grey[..., np.newaxis], np.rint(grey * 255).astype(np.uint8)):
        assert len(places(saved(grid([[entry]], cell_pixels=16)), picture(grey), 4)) == 1


def test_pictures_are_crossed_out_along_their_diagonals() -> None:
    white = np.full((6, 4, 3), 255, np.uint8)
    flags = [[False, True], [True, False]]
    plain = saved(grid([[white, white]] * 2, cell_pixels=60)).astype(int)
    crossed = saved(grid([[white, white]] * 2, crossed_out=flags, cell_pixels=60)).astype(int)
    drawn = (plain - crossed).max(axis=-1)
    assert drawn.min() >= 0
    for row, corner in enumerate((12, 12 + 60 + 8)):
        for column, left in enumerate((12 + 10, 12 + 60 + 8 + 10)):
            darker = drawn[corner : corner + 60, left : left + 40]
            if not flags[row][column]:
                assert not darker.any()
                continue
            # The picture is 60 x 40: its diagonals pass pixel (y, x) where y / 60 = x / 40.
            y, x = np.mgrid[:60, :40] + 0.5
            off = np.minimum(abs(y / 60 - x / 40), abs(1 - y / 60 - x / 40)) * 40
            assert darker[off < 0.4].min() > 50
            assert not darker[off > 3].any()
            # Most of the map is left to be read.
            assert (darker > 0).mean() < 0.15
    assert not drawn[:, :12].any()
    assert not drawn[:12].any()


def test_a_line_is_drawn_around_a_part_and_covers_nothing_of_it() -> None:
    maps = heatmap(random_maps(2, 7, 6), None)
    parts = [[np.s_[2:5, 1:3], None], [None, np.s_[0:7, 5:6]]]
    plain = saved(grid([maps, maps], cell_pixels=70))
    lined = saved(grid([maps, maps], outlined=parts, cell_pixels=70))
    corners = [places(plain, rgb, 10) for rgb in maps]
    changed = (plain != lined).any(axis=-1)
    expected = np.zeros_like(changed)
    for row, column in ((0, 0), (1, 1)):
        part = parts[row][column]
        assert part is not None
        top, left = sorted(corners[column])[row]
        rows, columns = (np.s_[10 * axis.start : 10 * axis.stop] for axis in part)
        inside = (
            np.s_[top + rows.start : top + rows.stop],
            np.s_[left + columns.start : left + columns.stop],
        )
        assert not changed[inside].any()
        around = tuple(np.s_[axis.start - 3 : axis.stop + 3] for axis in inside)
        ring = np.ones_like(changed[around])
        ring[3:-3, 3:-3] = False
        expected[around] = ring
        (colour,) = np.unique(lined[inside[0].start - 1, inside[1]], axis=0)
        assert "#{:02x}{:02x}{:02x}".format(*colour) == OUTLINE_COLOUR
    np.testing.assert_array_equal(changed, expected)


def test_titles_are_plain_text_inside_the_figure_and_apart_from_each_other() -> None:
    columns = ["input", "Insens of a_layer_with_quite_a_long_name", "$x$ and $y$ cost 3 $"]
    figure = grid(
        [[np.zeros((5, 5))] * 3] * 2,
        ["a.png", "another picture with a long name.png"],
        columns,
        cell_titles=[[None, "v = 1.2\nb = -3", "v = 4"]] * 2,
        title="a title over everything that is longer than the figure would be wide without it",
        cell_pixels=40,
    )
    words = [text.get_text() for text in figure.texts]
    assert [" ".join(text.split()) for text in words[2:5]] == columns
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [
        text.get_window_extent(renderer) for text in figure.texts if text.get_text().strip()
    ] + [axes.get_window_extent(renderer) for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
        for other in boxes[:i]:
            apart = (
                box.x1 <= other.x0 + 1
                or other.x1 <= box.x0 + 1
                or box.y1 <= other.y0 + 1
                or other.y1 <= box.y0 + 1
            )
            assert apart
    saved(figure)


def test_wrong_grids_are_refused() -> None:
    cell = np.zeros((3, 3))
    with pytest.raises(ValueError, match="no picture"):
        grid([])
    with pytest.raises(ValueError, match="no picture"):
        grid([[None]])
    with pytest.raises(ValueError, match=r"row_titles is \['a'\]; expected a sequence of 2"):
        grid([[cell], [cell]], ["a"])
    with pytest.raises(ValueError, match="column_titles is 'ab'; expected a sequence of 2"):
        grid([[cell, cell]], None, "ab")
    with pytest.raises(ValueError, match="cell_titles has rows"):
        grid([[cell]], cell_titles=[["a", "b"]])
    with pytest.raises(ValueError, match=r"crossed_out has rows of \[\] entries.*True or False"):
        grid([[cell]], crossed_out=[])
    with pytest.raises(ValueError, match=r"outlined has rows of \[2\] entries.*two slices or None"):
        grid([[cell]], outlined=[[None, None]])
    with pytest.raises(ValueError, match="row 0, column 1 has the shape"):
        grid([[cell, np.zeros((2, 3, 3, 3))]])
    with pytest.raises(ValueError, match=r"values from -1 to -1.*Use heatmap"):
        grid([[cell - 1]])
    with pytest.raises(ValueError, match=r"draw fewer pictures at a time"):
        grid([[cell]] * 1000)
    with pytest.raises(ValueError, match="cell_pixels is 0"):
        grid([[cell]], cell_pixels=0)


@pytest.mark.parametrize("drawn", [lambda: grid([[np.eye(3)]]), lambda: new_figure(2, 1)])
def test_notebooks_show_figures_without_pyplot(drawn: Callable[[], Any]) -> None:
    # IPython asks an object for what it shows; matplotlib's own figures have no picture for it.
    figure = drawn()
    shown = np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("RGB"))
    np.testing.assert_array_equal(shown, saved(figure))


def test_no_global_state_of_matplotlib_is_used() -> None:
    settings = dict(matplotlib.rcParams)
    managers = Gcf.get_num_fig_managers()
    saved(grid([[np.zeros((3, 3))]], ["a"], ["b"]))
    assert dict(matplotlib.rcParams) == settings
    assert Gcf.get_num_fig_managers() == managers
