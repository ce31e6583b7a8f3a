"""Figures that objects make of themselves: the pictures of their values, titles, a legend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import insens_tf
from insens_tf import demo
from insens_tf.files import read_npz
from insens_tf.heatmap import LEGEND, heatmap, picture
from tests import demonstration
from tests.conftest import with_keras_2

pytestmark = with_keras_2


@pytest.fixture(scope="module")
def network() -> insens_tf.SwitchedNetwork:
    return insens_tf.SwitchedNetwork(demonstration.small_network())


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return demo.digits().x_test[:2]


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


def test_a_projection_plots_its_maps(network: insens_tf.SwitchedNetwork, x: np.ndarray) -> None:
    p = network.project(x, "dense", [3, 7])

    figure = p.plot()

    drawn = pictures(figure)
    assert len(drawn) == 4 * 4
    assert_drawn(drawn[0], picture(x[0]))
    assert_drawn(drawn[5], heatmap(p.weights[0, 1]))
    assert_drawn(drawn[14], heatmap(p.contribution[1, 1]))
    assert LEGEND in texts(figure)
    assert f"dense [7], input 1 v = {p.activity[1, 1]:.4g}" in texts(figure)


def test_zoom_shows_what_a_neuron_sees(network: insens_tf.SwitchedNetwork, x: np.ndarray) -> None:
    p = network.project(x[:1], "conv_1", [(14, 10, 1)])

    drawn = pictures(p.plot(zoom=True))

    seen = (slice(12, 17), slice(8, 13))
    assert_drawn(drawn[0], picture(x[0])[seen])
    assert_drawn(drawn[1], heatmap(p.weights[0, 0])[seen])


def test_insens_is_plotted_beside_its_inputs(
    network: insens_tf.SwitchedNetwork, x: np.ndarray
) -> None:
    maps = network.insens(x, ["dense"], state="all", progress=False)

    figure = network.plot_insens(x, ["dense"], state="all", progress=False)
    of_one = network.plot_insens(x[:1], "dense", state="all", progress=False)

    drawn = pictures(figure)
    assert len(drawn) == 4
    assert_drawn(drawn[2], picture(x[1]))
    assert_drawn(drawn[3], heatmap(maps["dense"][1]))
    assert LEGEND in texts(figure)
    assert "Insens dense" in texts(figure)
    assert_drawn(pictures(of_one)[1], heatmap(maps["dense"][0]))


def test_a_frequency_plots_how_many_neurons_have_which(
    network: insens_tf.SwitchedNetwork, x: np.ndarray
) -> None:
    frequency = network.activation_frequency(x, progress=False)

    figure = frequency.plot()

    assert "over 2 samples" in texts(figure)
    for panel, name in zip(figure.axes, frequency, strict=True):
        assert panel.get_title().startswith(name)
        heights = [bar.get_height() for bar in panel.containers[0]]
        np.testing.assert_array_equal(
            heights, np.histogram(frequency[name], bins=len(heights), range=(0, 1))[0]
        )


def test_a_projection_is_saved_whole(
    network: insens_tf.SwitchedNetwork, x: np.ndarray, tmp_path: Path
) -> None:
    p = network.project(x, "logits", difference=(7, 3))

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


def test_what_cannot_be_drawn_is_refused(network: insens_tf.SwitchedNetwork) -> None:
    many = np.zeros((101, 28, 28, 1), np.float32)
    with pytest.raises(ValueError, match="a figure of 101 rows: expected at most 100"):
        network.project(many, "dense", [1]).plot()
    with pytest.raises(ValueError, match="a figure of 101 rows"):
        network.plot_insens(many, "dense", state="all", progress=False)
