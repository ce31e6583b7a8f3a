"""Figures that objects make of themselves: the pictures of their values, titles, a legend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Patch

import insens_tf
from insens_tf.files import read_npz
from insens_tf.heatmap import LEGEND, heatmap, picture
from insens_tf.picture_grid import OUTLINE_COLOUR
from insens_tf.wrapped_grid import wrapped_grid
from tests.conftest import with_keras_2

pytestmark = with_keras_2


def texts(figure: Any) -> str:
    """All that is written on a figure, in one line."""
    found = [*figure.texts, *(panel.title for panel in figure.axes), *[figure._suptitle]]
    return " ".join(" ".join(one.get_text().split()) for one in found if one is not None)


def pictures(figure: Any) -> list[np.ndarray]:
    """The pictures on a figure, in order, as they were given: one pixel a pixel."""
    return [np.asarray(image.get_array()) for panel in figure.axes for image in panel.images]


def assert_drawn(drawn: np.ndarray, expected: np.ndarray) -> None:
    factor = len(drawn) // len(expected)
    np.testing.assert_array_equal(drawn[::factor, ::factor, :3], expected)


def test_a_projection_plots_its_maps(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    p = digit_network.project(two_digits, "dense", [3, 7])

    figure = p.plot()

    drawn = pictures(figure)
    assert len(drawn) == 4 * 4
    assert_drawn(drawn[0], picture(two_digits[0]))
    assert_drawn(drawn[5], heatmap(p.weights[0, 1]))
    assert_drawn(drawn[14], heatmap(p.contribution[1, 1]))
    assert LEGEND in texts(figure)
    assert f"dense [7], input 1 v = {p.activity[1, 1]:.4g}" in texts(figure)


def test_what_a_convolutional_neuron_sees_is_outlined_and_zoomed(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    p = digit_network.project(two_digits[:1], "conv_1", [(14, 10, 1), (0, 27, 0)])

    figure = p.plot()

    drawn = pictures(figure)
    assert len(drawn) == 2 * 5
    for k, seen in enumerate([np.s_[12:17, 8:13], np.s_[0:3, 25:28]]):
        assert p.seen(k) == seen
        whole, part, weights, contribution, centre = drawn[5 * k : 5 * k + 5]
        assert_drawn(whole, picture(two_digits[0]))
        assert_drawn(part, picture(two_digits[0])[seen])
        assert_drawn(weights, heatmap(p.weights[0, k])[seen])
        assert_drawn(contribution, heatmap(p.contribution[0, k])[seen])
        assert_drawn(centre, picture(p.centre[0, k])[seen])
    assert "what it sees" in texts(figure)
    colours = [to_hex(one.get_facecolor()) for one in figure.artists if isinstance(one, Patch)]
    assert colours.count(OUTLINE_COLOUR) == 2 * 4
    of_both = digit_network.project(two_digits[:1], "conv_1", difference=((14, 10, 1), (3, 20, 1)))
    assert of_both.seen(0) == np.s_[1:17, 8:23]
    assert digit_network.project(two_digits[:1], "dense", [1]).seen(0) is None


def test_insens_is_plotted_beside_its_inputs(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    maps = digit_network.insens(two_digits, ["dense"], state="all", progress=False)

    figure = digit_network.plot_insens(two_digits, ["dense"], state="all", progress=False)
    of_one = digit_network.plot_insens(two_digits[:1], "dense", state="all", progress=False)

    drawn = pictures(figure)
    assert len(drawn) == 4
    assert_drawn(drawn[2], picture(two_digits[1]))
    assert_drawn(drawn[3], heatmap(maps["dense"][1]))
    assert LEGEND in texts(figure)
    assert "Insens dense" in texts(figure)
    assert "each neuron" not in texts(figure)
    assert_drawn(pictures(of_one)[1], heatmap(maps["dense"][0]))


def test_insens_of_a_convolution_says_what_its_neurons_see(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    figure = digit_network.plot_insens(two_digits[:1], "conv_1", progress=False)

    assert "Insens conv_1 each neuron sees 5 x 5" in texts(figure)


def test_wide_rows_go_on_below() -> None:
    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (2, 20, 4, 4, 3)).astype(np.uint8)
    names = [f"map {number}" for number in range(1, 20)]
    outlined = [[np.s_[0:1, 0:1] if number == 18 else None for number in range(20)]] * 2

    figure = wrapped_grid(
        list(rows), ["first", "second"], ["input", *names], title="all", outlined=outlined
    )

    # 17 pictures of 112 pixels on a line: the input and 16 maps, then 3 further maps.
    assert figure.bbox.width < 2200
    for drawn, row in zip(pictures(figure), rows.reshape(40, 4, 4, 3), strict=True):
        assert_drawn(drawn, row)
    assert texts(figure).count("map 19") == 2
    assert texts(figure).count("input") == 2
    assert texts(figure).count("second") == 1
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert boxes[17].y1 < boxes[0].y0
    assert boxes[17].x0 == boxes[1].x0


def test_a_frequency_plots_how_many_neurons_have_which(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    frequency = digit_network.activation_frequency(two_digits, progress=False)

    figure = frequency.plot()

    assert "over 2 samples" in texts(figure)
    for panel, name in zip(figure.axes, frequency, strict=True):
        assert panel.get_title().startswith(name)
        heights = [bar.get_height() for bar in panel.containers[0]]
        np.testing.assert_array_equal(
            heights, np.histogram(frequency[name], bins=len(heights), range=(0, 1))[0]
        )


def test_a_projection_is_saved_whole(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray, tmp_path: Path
) -> None:
    p = digit_network.project(two_digits, "logits", difference=(7, 3))

    p.save(tmp_path / "p.npz")

    arrays = read_npz(tmp_path / "p.npz")
    assert arrays.pop("layer") == "logits"
    assert set(arrays) == {
        "neurons",
        "subtracted",
        "x",
        "activity",
        "bias",
        "weights",
        "centre",
        "contribution",
    }
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, getattr(p, name))


def test_what_cannot_be_drawn_is_refused(digit_network: insens_tf.SwitchedNetwork) -> None:
    many = np.zeros((101, 28, 28, 1), np.float32)
    with pytest.raises(ValueError, match="a figure of 101 rows: expected at most 100"):
        digit_network.project(many, "dense", [1]).plot()
    with pytest.raises(ValueError, match="a figure of 101 rows"):
        digit_network.plot_insens(many, "dense", state="all", progress=False)
