"""Figures 2, 4, 5 and 6: what they choose, measure and draw, on small made arrays and networks."""

from __future__ import annotations

import math
from itertools import combinations, product
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import scipy.stats
from click.testing import Result
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from PIL import Image

import insens_tf
from data_scripts.preparation import DataError, write_npz
from experiments import figure_2, figure_2_drawing, figure_4, figure_6
from experiments.data import load_data, scaled
from experiments.figure_2 import choose_neurons, cosine_similarities, light_seen
from experiments.figure_4 import localisation, share_of_sign
from experiments.map_sheet import Block, sheet
from experiments.maps_figure import (
    Panel,
    draw_panels,
    examples,
    names_of_inputs,
    read_panel,
    write_panel,
)
from experiments.tables import read_csv
from experiments.two_conv_settings import SETTINGS
from insens_tf.files import load_model
from insens_tf.heatmap import heatmap
from insens_tf.two_conv import two_conv
from tests.commands_here import run_here
from tests.conftest import with_keras_2, with_keras_3
from tests.test_heatmap import places

TINY = ["filters=[4,6]", "units=16", "epochs=3", "batch_size=10", "learning_rate=0.003"]


def run(command: click.Command, folder: Path, *arguments: str) -> Result:
    """Run an experiment's command on the data in a folder, with networks of seconds."""
    settings = [word for setting in TINY for word in ("--setting", setting)]
    where = [f"--{name}={folder / name}" for name in ("data", "networks", "out")]
    return run_here(command, *where, *settings, *arguments)


def write_data(folder: Path, dataset: str, train: int = 20, test: int = 30) -> None:
    """Write bright rectangles on black, in files as the data scripts write them."""
    generator = np.random.default_rng(0)
    settings = SETTINGS[dataset]
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        images = np.zeros((count, *settings.input_shape), np.uint8)
        side = settings.input_shape[0]
        for image, (top, left) in zip(images, generator.integers(0, side // 2, (count, 2))):
            bottom, right = generator.integers(side // 2, side, 2)
            patch = image[top:bottom, left:right]
            patch[:] = generator.integers(1, 256, patch.shape)
        arrays[f"x_{part}"] = images
        # Of one class, which is soon learnt: figures show what is classified correctly.
        arrays[f"y_{part}"] = np.ones(count, np.uint8)
    write_npz(folder / f"{dataset}.npz", arrays)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


# --------------------------------------------------------------------------------------------------
# Which images and neurons are shown


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, 4, 7])
def test_examples_are_classified_correctly_and_of_many_classes(seed: int, count: int) -> None:
    generator = np.random.default_rng(100 + seed)
    labels = generator.integers(0, 5, 200)
    classes = np.where(generator.random(200) < 0.5, labels, generator.integers(0, 5, 200))

    chosen = examples(labels, classes, count, np.random.default_rng(seed))

    assert len(set(chosen.tolist())) == count
    assert (labels[chosen] == classes[chosen]).all()
    of_class = [int((labels[chosen] == one).sum()) for one in range(5)]
    assert max(of_class) - min(of_class) <= 1
    assert (np.diff(labels[chosen]) >= 0).all()
    assert np.array_equal(chosen, examples(labels, classes, count, np.random.default_rng(seed)))


def test_examples_say_when_too_few_are_classified_correctly() -> None:
    labels = np.array([0, 1, 2])
    with pytest.raises(DataError, match=r"3 images are to be shown, .* classifies 2 correctly"):
        examples(labels, np.array([0, 1, 1]), 3, np.random.default_rng(0))


def of_kind(active: np.ndarray, neuron: int) -> str:
    return {0: "none", len(active): "all"}.get(int(active[:, neuron].sum()), "some")


@pytest.mark.parametrize("seed", range(5))
def test_neurons_are_chosen_by_how_many_inputs_they_are_active_for(seed: int) -> None:
    generator = np.random.default_rng(seed)
    active = generator.random((4, 500)) < generator.random(500)
    without_weights = generator.random(500) < 0.5

    chosen = choose_neurons(
        active, np.ones_like(active), lambda neurons: ~without_weights[neurons], generator
    )

    assert [of_kind(active, neuron) for neuron in chosen] == ["all", "all", "none", "some", "some"]
    assert len(set(chosen.tolist())) == 5
    assert not without_weights[chosen].any()


@pytest.mark.parametrize("kind", ["all", "some"])
@pytest.mark.parametrize("seed", range(3))
def test_a_neuron_that_is_active_in_the_dark_is_among_them(kind: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    active = generator.random((4, 300)) < generator.random(300)
    of_the_kind = [neuron for neuron in range(300) if of_kind(active, neuron) == kind]
    dark = int(generator.choice(of_the_kind))
    sees = np.ones_like(active)
    # Every one of these sees nothing once, but while being inactive.
    sees[0] = active[0]
    sees[:, dark] = False

    chosen = choose_neurons(active, sees, lambda neurons: neurons >= 0, generator)

    assert dark in chosen
    assert [of_kind(active, neuron) for neuron in chosen] == ["all", "all", "none", "some", "some"]


def test_a_layer_without_such_neurons_shows_fewer() -> None:
    active = np.array([[True, False, False], [True, False, False]])
    chosen = choose_neurons(
        active, np.ones_like(active), lambda neurons: neurons != 1, np.random.default_rng(0)
    )
    assert chosen.tolist() == [0, 2]


# --------------------------------------------------------------------------------------------------
# What neurons see, and how much their weights change


def seen_rows(layer: str, row: int, size: int, kernel: int, padding: str) -> set[int]:
    """Which rows of an image a neuron of 2CONV in some row of its layer sees."""
    before = (kernel - 1) // 2 if padding == "same" else 0
    window = range(row - before, row - before + kernel)
    if layer == "conv_1":
        return {one for one in window if 0 <= one < size}
    rows_of_pool = (size if padding == "same" else size - kernel + 1) // 2
    return {
        pixel
        for pooled in window
        if 0 <= pooled < rows_of_pool
        for first in (2 * pooled, 2 * pooled + 1)
        for pixel in seen_rows("conv_1", first, size, kernel, padding)
    }


@pytest.mark.parametrize(("kernel", "padding"), [(5, "same"), (3, "same"), (3, "valid")])
@pytest.mark.parametrize("seed", range(2))
def test_light_is_seen_where_the_receptive_field_has_any(
    kernel: int, padding: str, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    size = 14
    model = two_conv(
        (size, size, 1), 3, filters=(2, 3), kernel_size=kernel, units=4, padding=padding, seed=seed
    )
    before = model.get_weights()
    x = (generator.random((3, size, size, 1)) < 0.02).astype(np.float32) / 255

    seen = light_seen(model, ("conv_1", "conv_2"))(x)

    for layer, found in seen.items():
        expected = np.zeros_like(found)
        for row, column in product(range(found.shape[1]), range(found.shape[2])):
            rows = sorted(seen_rows(layer, row, size, kernel, padding))
            columns = sorted(seen_rows(layer, column, size, kernel, padding))
            field = x[:, rows][:, :, columns]
            expected[:, row, column] = field.any(axis=(1, 2))
        assert expected.any()
        assert not expected.all()
        assert np.array_equal(found, expected)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights()))


@pytest.mark.parametrize("seed", range(3))
def test_similarities_are_cosines_of_every_two_inputs(seed: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(4, 3, 2, 2, 1))
    weights[1, 2] = 0
    found = cosine_similarities(weights)
    for (first, second), row in zip(combinations(range(4), 2), found, strict=True):
        for neuron, similarity in enumerate(row.tolist()):
            one, other = (weights[i, neuron].ravel().tolist() for i in (first, second))
            length = math.hypot(*one) * math.hypot(*other)
            if not length:
                assert math.isnan(similarity)
                continue
            expected = sum(a * b for a, b in zip(one, other)) / length
            assert similarity == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_figure_2_counts_neurons_in_black_fields(tmp_path: Path) -> None:
    write_data(tmp_path / "data", "mnist")

    result = run(figure_2.main, tmp_path, "--inputs=5", "--neurons=40", "--seed=3")

    assert result.exit_code == 0, result.output
    (model_path,) = (tmp_path / "networks").glob("*/model.keras")
    model = load_model(model_path)
    x = scaled(load_data(tmp_path / "data", "mnist")["x_test"])
    network = insens_tf.SwitchedNetwork(model)
    rows = {row["layer"]: row for row in read_csv(tmp_path / "out" / "black_fields.csv")}
    for layer, name in enumerate(("conv_1", "conv_2")):
        active = network.activity(x, name) > 0
        side = active.shape[1]
        fields = [sorted(seen_rows(name, row, 28, 5, "same")) for row in range(side)]
        black = np.zeros(active.shape, bool)
        for row, column in product(range(side), range(side)):
            field = x[:, fields[row]][:, :, fields[column]]
            black[:, row, column] = ~field.any(axis=(1, 2))
        assert float(rows[name]["black_fields"]) == pytest.approx(black.mean())
        assert float(rows[name]["active_in_black_fields"]) == pytest.approx(active[black].mean())
        assert float(rows[name]["active"]) == pytest.approx(active.mean())
        assert layer == list(rows).index(name)

    similarity = {row["layer"]: row for row in read_csv(tmp_path / "out" / "similarity.csv")}
    # The first layer's weights are its kernels, whatever the input.
    assert float(similarity["conv_1"]["mean"]) == pytest.approx(1)
    assert float(similarity["conv_2"]["mean"]) < 1
    with np.load(tmp_path / "out" / "projections.npz") as numbers:
        for name in ("conv_2", "dense"):
            x_shown = x[numbers["numbers_in_test_set"]]
            assert np.array_equal(numbers["images"], x_shown)
            activity = network.activity(x_shown, name)
            neurons = tuple(numbers[f"{name}_neurons"].T)
            shown = np.stack([of_input[neurons] for of_input in activity])
            np.testing.assert_allclose(numbers[f"{name}_activity"], shown, atol=1e-5)
            weights = numbers[f"{name}_weights"].astype(np.float64)
            products = (weights * x_shown[:, np.newaxis]).sum(axis=(2, 3, 4))
            np.testing.assert_allclose(products + numbers[f"{name}_bias"], shown, atol=2e-3)


def test_figure_2_frames_what_is_active_and_outlines_what_has_weights() -> None:
    generator = np.random.default_rng(0)
    numbers: dict[str, Any] = {"images": generator.random((4, 28, 28, 1))}
    for layer, rank in (("conv_2", 3), ("dense", 1)):
        weights = generator.normal(size=(4, 5, 28, 28, 1)).astype(np.float16)
        if layer == "conv_2":
            weights[:, :, :6] = weights[:, :, :, 20:] = 0
        numbers |= {
            f"{layer}_neurons": generator.integers(0, 9, (5, rank)),
            f"{layer}_weights": weights,
            f"{layer}_activity": generator.normal(size=(4, 5)),
            f"{layer}_bias": generator.normal(size=(4, 5)),
            f"{layer}_sees_light": generator.random((4, 5)) < 0.5,
        }

    figure = figure_2_drawing.drawn(numbers)

    places = {
        np.asarray(axes.images[0].get_array()).tobytes(): axes.get_position()
        for axes in figure.axes
    }
    framed = {kind: boxes(figure, kind) for kind in ("active", "inactive", "outline")}
    assert len(framed["active"]) + len(framed["inactive"]) == 2 * 4 * 5
    assert len(framed["outline"]) == 4 * 5
    for layer, i, n in product(("conv_2", "dense"), range(4), range(5)):
        place = places[heatmap(numbers[f"{layer}_weights"][i, n]).tobytes()]
        kind = "active" if numbers[f"{layer}_activity"][i, n] > 0 else "inactive"
        assert sum(around(one, place) for one in framed[kind]) == 1
        if layer == "conv_2":
            top, right = place.y1 - place.height * 6 / 28, place.x0 + place.width * 20 / 28
            part = Bbox.from_extents(place.x0, place.y0, right, top)
            assert sum(around(one, part) for one in framed["outline"]) == 1
    daggers = sum("†" in text.get_text() for text in figure.texts)
    dark = sum((~numbers[f"{layer}_sees_light"]).sum() for layer in ("conv_2", "dense"))
    assert daggers == dark + 1  # the note explains it


def boxes(figure: Figure, name: str) -> list[Bbox]:
    """The boxes of the lines that were given a name."""
    return [one.get_bbox() for one in figure.findobj(Rectangle) if one.get_gid() == name]


def around(line: Bbox, box: Bbox) -> bool:
    """Whether a line is around a box, at a distance of some dots."""
    away = np.array([box.x0 - line.x0, box.y0 - line.y0, line.x1 - box.x1, line.y1 - box.y1])
    return bool((away > 0).all() and (away < 4e-3).all())


# --------------------------------------------------------------------------------------------------
# What is measured of noisy images' maps


def test_localisation_is_the_share_of_magnitude_over_the_share_of_pixels() -> None:
    maps = np.zeros((4, 2, 4, 2))
    region = np.zeros((4, 2, 4), bool)
    region[:3, 0, :2] = True
    maps[0] = 3
    maps[1, 0, 0] = [-1, 1]
    maps[2, 0, 0, 0], maps[2, 1, 3, 1] = -1, 3
    # Of the third map a quarter is in the region, which is a quarter of the pixels.
    np.testing.assert_allclose(localisation(maps[:3], region[:3]), [1, 4, 1])
    assert np.isnan(localisation(maps, region)[3])
    assert np.isnan(localisation(0 * maps[:1], region[:1])[0])


def test_share_of_sign_is_of_the_magnitude_in_the_region() -> None:
    maps = np.array([[[1.0, -3.0, 100.0]], [[0.0, 0.0, 1.0]]])[..., np.newaxis]
    region = np.array([[[True, True, False]]] * 2)
    np.testing.assert_allclose(share_of_sign(maps, region, 1), [0.25, np.nan])
    np.testing.assert_allclose(share_of_sign(maps, region, -1), [0.75, np.nan])


@pytest.mark.slow
def test_figure_4_measures_each_place_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path / "data", "mnist")

    # Maps that are known: the input itself, and its negative.
    def method_maps(model: object, x: np.ndarray, *_: object) -> dict[str, np.ndarray]:
        return {"gradient": x, "insens/dense": -x}

    def baseline_maps(model: object, x: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
        assert len(classes) == len(x)
        return {"gradient": 2 * x}

    monkeypatch.setattr(figure_4, "method_maps", method_maps)
    monkeypatch.setattr(figure_4, "baseline_maps", baseline_maps)

    result = run(figure_4.main, tmp_path, "--images=2", "--count=30", "--standard-deviation=2")

    assert result.exit_code == 0, result.output
    panels = [read_panel(path) for path in sorted((tmp_path / "out").glob("*.npz"))]
    assert [panel.title for panel in panels] == [
        f"{place} MNIST" for place in ("clean", "bordered", "background", "framed")
    ]
    assert list(panels[0].names) == ["1", "1"]
    clean = panels[0].images
    lit = clean > 0
    for number, panel in enumerate(panels):
        assert np.array_equal(panel.images[lit], clean[lit])
        assert (panel.images != clean).any() == (number > 0)
        largest = np.abs(panel.images).max(axis=(1, 2, 3), keepdims=True)
        np.testing.assert_allclose(panel.maps["gradient"], panel.images / largest, atol=2e-3)
        np.testing.assert_allclose(panel.maps["insens/dense"], -panel.maps["gradient"])

    rows = read_csv(tmp_path / "out" / "robustness.csv")
    means = {
        (row["place"], row["method"], row["explained"], row["measure"]): float(row["mean"])
        for row in rows
    }
    assert {row["defined"] for row in rows if row["measure"] == "localisation"} == {"30"}
    assert means["clean", "gradient", "predicted", "signed"] == 1
    for place in ("bordered", "background", "framed"):
        of_input = means[place, "gradient", "predicted", "signed"]
        assert 0 < of_input < 0.95
        assert of_input == means[place, "gradient", "predicted without noise", "signed"]
        assert of_input == means[place, "insens/dense", "predicted", "signed"]
        # What the input has of the digit is positive everywhere.
        assert means[place, "gradient", "predicted", "digit_positive"] == 1
        assert means[place, "insens/dense", "predicted", "digit_positive"] == 0
    # The outline is black in one place, and noise around 0 in the other.
    assert math.isnan(means["bordered", "gradient", "predicted", "outline_negative"])
    noise = means["background", "gradient", "predicted", "outline_negative"]
    assert noise == pytest.approx(0.5, abs=0.05)
    assert "clean" not in {row["place"] for row in rows if "without" in row["explained"]}


# --------------------------------------------------------------------------------------------------
# Panels


def made_panel(seed: int, side: int, count: int, channels: int) -> Panel:
    generator = np.random.default_rng(seed)
    shape = (count, side, side, channels)
    names = ("gradient", "insens/conv_2")
    maps = {name: generator.normal(size=shape).astype(np.float32) * 1e5 for name in names}
    return Panel(
        f"made {seed}", generator.random(shape), maps, [f"input {i}" for i in range(count)]
    )


def test_panels_are_read_as_they_are_drawn(tmp_path: Path) -> None:
    panel = made_panel(0, 7, 3, 2)
    panel.maps["gradient"][1] = 0
    write_panel(tmp_path / "panel.npz", panel)

    read = read_panel(tmp_path / "panel.npz")

    assert read.title == "made 0"
    assert list(read.names) == ["input 0", "input 1", "input 2"]
    np.testing.assert_allclose(read.images, panel.images, atol=1e-3)
    assert list(read.maps) == list(panel.maps)
    for name, maps in panel.maps.items():
        for one, found in zip(maps, read.maps[name], strict=True):
            largest = abs(one).max() or 1
            np.testing.assert_allclose(found, one / largest, atol=1e-3)
    with np.load(tmp_path / "panel.npz") as stored:
        expected = [[abs(one).max() for one in maps] for maps in panel.maps.values()]
        np.testing.assert_allclose(stored["largest"], expected)


@pytest.mark.parametrize("sides", [[28], [28, 32], [28, 28, 96, 28]])
def test_panels_are_drawn_side_by_side_to_the_pixel(tmp_path: Path, sides: list[int]) -> None:
    corners = []
    for number, side in enumerate(sides):
        write_panel(tmp_path / f"{number}.npz", made_panel(number, side, 2, 3))

    draw_panels(tmp_path, "figure.png", "{images} images")

    canvas = pixels(tmp_path / "figure.png")
    for number, side in enumerate(sides):
        drawn = heatmap(read_panel(tmp_path / f"{number}.npz").maps["insens/conv_2"])
        (first,), (second,) = (places(canvas, one, 140 // side) for one in drawn)
        assert first[0] < second[0]
        corners.append(first)
    for number, (top, left) in enumerate(corners):
        row, column = divmod(number, 2)
        assert (left > canvas.shape[1] / 2) == bool(column) or len(corners) == 1
        assert (top > canvas.shape[0] / 2) == bool(row) or len(corners) < 3


def test_inputs_are_drawn_on_one_grey_scale_whatever_the_noise(tmp_path: Path) -> None:
    images = np.array([[-3.0, 0.0], [1.0, 4.0]]).reshape(1, 2, 2, 1)
    write_panel(tmp_path / "noisy.npz", Panel("noisy", images, {"gradient": images}))

    draw_panels(tmp_path, "figure.png", "", side=20)

    expected = np.array([[0, 0], [255, 255]], np.uint8)[..., np.newaxis].repeat(3, axis=-1)
    assert len(places(pixels(tmp_path / "figure.png"), expected, 10)) == 1


def test_inputs_are_named_and_so_is_what_they_are_taken_for() -> None:
    names = names_of_inputs("cifar10", np.array([0, 3]), np.array([0, 5]))
    assert names == ["airplane", "cat as\N{NO-BREAK SPACE}dog"]
    assert names_of_inputs("mnist", np.array([8]), np.array([3])) == ["8 as\N{NO-BREAK SPACE}3"]


def test_a_sheet_says_how_maps_are_scaled_and_letters_its_blocks() -> None:
    one = np.zeros((4, 4, 3), np.uint8)
    named = Block("first", [[one, one]], ["input", "Integrated gradients"], above=[["a name", ""]])
    untitled = Block("", [[one]], ["x"])

    figure = sheet([[untitled, named], [named]], "And a note.", 140)

    texts = [text.get_text() for text in figure.texts]
    assert [text for text in texts if "first" in text] == ["(a) first", "(b) first"]
    assert "Integrated\ngradients" in texts
    said = " ".join(" ".join(texts).split())
    assert "ach map divided by its largest magnitude: red positive, blue negative, white 0" in said
    assert "And a note." in said
    assert texts.count("a name") == 2
    for text in figure.texts:
        box = text.get_window_extent().transformed(figure.transFigure.inverted())
        assert min(box.x0, box.y0) >= 0
        assert max(box.x1, box.y1) <= 1


# --------------------------------------------------------------------------------------------------
# smallNORB, of which there are only made images here, and what stands for it


@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "title"),
    [
        pytest.param("fashion_mnist", "Fashion-MNIST, in place of smallNORB", marks=with_keras_2),
        pytest.param("smallnorb", "smallNORB", marks=with_keras_3),
    ],
)
def test_figure_6_is_of_smallnorb_or_says_what_stands_for_it(
    tmp_path: Path, dataset: str, title: str
) -> None:
    write_data(tmp_path / "data", dataset)
    write_data(tmp_path / "data", "cifar10")

    result = run(figure_6.main, tmp_path, "--images=2", "--count=30")

    assert result.exit_code == 0, result.output
    first, second = (read_panel(path) for path in sorted((tmp_path / "out").glob("*.npz")))
    assert (first.title, second.title) == (title, "CIFAR-10")
    assert first.images.shape == (2, *SETTINGS[dataset].input_shape)
    assert list(first.maps) == ["insens/conv_1", "insens/conv_2", "insens/dense"]
    assert (tmp_path / "out" / "figure_6.png").exists()

    # All test images are compared, so that their order does not matter.
    (folder,) = (tmp_path / "networks").glob(f"{dataset}_*")
    network = insens_tf.SwitchedNetwork(load_model(folder / "model.keras"))
    data = load_data(tmp_path / "data", dataset)
    x = scaled(data["x_test"])
    frequency = network.activation_frequency(scaled(data["x_train"]))
    maps = {"input": x}
    for layer, found in network.insens(x, ["conv_1", "conv_2", "dense"], frequency).items():
        maps[f"insens/{layer}"] = found
    rows = [
        row
        for row in read_csv(tmp_path / "out" / "correlations.csv")
        if row["dataset"] == dataset and row["correlation"] in ("signed", "absolute")
    ]
    assert len(rows) == 12
    for row in rows:
        sign = np.abs if row["correlation"] == "absolute" else np.positive
        expected = np.array(
            [
                scipy.stats.spearmanr(sign(one).ravel(), sign(other).ravel()).statistic
                for one, other in zip(maps[row["first"]], maps[row["second"]], strict=True)
            ]
        )
        # Maps of neurons that are all dead are 0 and have no correlation.
        expected = expected[~np.isnan(expected)]
        assert row["defined"] == str(expected.size)
        assert expected.size
        assert float(row["mean"]) == pytest.approx(expected.mean(), abs=2e-3)
        assert float(row["standard_deviation"]) == pytest.approx(expected.std(ddof=1), abs=2e-3)
