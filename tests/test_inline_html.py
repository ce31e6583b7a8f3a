"""What objects show of themselves in notebooks: whole HTML, no scripts, pictures of the values."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

import insens_tf
from insens_tf import inline_html
from insens_tf.heatmap import heatmap, picture
from tests.conftest import with_keras_2

pytestmark = with_keras_2

VOID = ("img", "br")


class Checker(HTMLParser):
    """Notes what is opened and not closed, and the texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data.strip()}"


def shown(thing: Any) -> tuple[str, list[np.ndarray]]:
    """Return the text and the pictures of what an object shows."""
    html = thing._repr_html_()
    checked = Checker(html)
    assert checked.open == []
    assert "script" not in checked.tags
    assert len(html) < 100_000
    pictures = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    assert html.count("src=") == len(pictures)
    return " ".join(checked.text.split()), [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in pictures
    ]


def test_a_network_shows_its_layers(digit_network: insens_tf.SwitchedNetwork) -> None:
    text, _ = shown(digit_network)

    assert "0 conv_1 28 × 28 × 3 2,352" in text
    # Notebooks align to the right what says nothing.
    for thing in (digit_network, digit_network.plan()):
        assert not re.search("<t[dh]>", thing._repr_html_())
    assert "output logits" in text


def test_a_projection_shows_its_maps(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    p = digit_network.project(two_digits, "dense", [3, 7])

    text, pictures = shown(p)

    assert f"dense [3], input 0: v = {p.activity[0, 0]:.4g}, b = {p.bias[0, 0]:.4g}" in text
    assert f"dense [7], input 1: v = {p.activity[1, 1]:.4g}" in text
    np.testing.assert_array_equal(pictures[0], picture(two_digits[0]))
    np.testing.assert_array_equal(pictures[1], heatmap(p.weights[0, 0]))
    np.testing.assert_array_equal(pictures[2], heatmap(p.contribution[0, 0]))
    assert "more are not shown" not in text
    assert "6 more are not shown" in shown(digit_network.project(two_digits, "dense", range(6)))[0]
    assert (
        "logits [7] − [3], input 0"
        in shown(digit_network.project(two_digits, "logits", difference=(7, 3)))[0]
    )


def test_a_neuron_without_weights_shows_that_it_has_no_centre(
    digit_network: insens_tf.SwitchedNetwork,
) -> None:
    black = np.zeros((1, 28, 28, 1), np.float32)

    text, pictures = shown(digit_network.project(black, "conv_2", [(5, 5, 1)]))

    assert "no centre: w is 0" in text
    # The input, what the neuron sees of it, w.
    assert len(pictures) == 3


def test_what_a_convolutional_neuron_sees_is_outlined_and_zoomed(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    p = digit_network.project(two_digits[:1], "conv_1", [(14, 10, 1)])

    _, pictures = shown(p)

    np.testing.assert_array_equal(pictures[0], picture(two_digits[0]))
    np.testing.assert_array_equal(pictures[1], picture(two_digits[0])[12:17, 8:13])
    np.testing.assert_array_equal(pictures[2], heatmap(p.weights[0, 0])[12:17, 8:13])
    # 5 pixels, four times as large, from the 12th and 8th on; the line is outside of them.
    line = "top: 47px; left: 31px; height: 20px; width: 20px"
    assert line in p._repr_html_()


def test_a_frequency_and_a_plan_and_a_report_are_tables(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    frequency = digit_network.activation_frequency(two_digits, progress=False)

    text, _ = shown(frequency)

    assert "over 2 samples" in text
    assert f"dense 24 {frequency['dense'].mean():.1%}" in text
    for thing in (digit_network.plan(), digit_network.report()):
        words = re.findall(r"[\w.]+", str(thing).replace("-", " "))
        found = set(re.findall(r"[\w.]+", shown(thing)[0].replace("-", " ")))
        assert set(words) - found == set()


@pytest.mark.slow
def test_an_estimate_a_region_and_a_path_show_pictures(
    digit_network: insens_tf.SwitchedNetwork, two_digits: np.ndarray
) -> None:
    estimate = digit_network.estimate_insens(two_digits, "dense", probes=16, progress=False)
    region, path = (
        digit_network.region(two_digits[0]),
        digit_network.path(two_digits[0], two_digits[1], progress=False),
    )

    text, pictures = shown(estimate)
    np.testing.assert_array_equal(pictures[1], heatmap(estimate.omega[1]))
    assert f"off by about {estimate.relative_error[1]:.1%}" in text
    text, pictures = shown(region)
    assert region.key in text
    np.testing.assert_array_equal(pictures[0], picture(two_digits[0]))
    text, pictures = shown(path)
    assert f"{len(path.breakpoints) + 1:,} linear regions" in text
    np.testing.assert_array_equal(pictures[1], picture(two_digits[1]))
    assert f"dense {path.state_changes()['dense']}" in text


def test_names_are_escaped() -> None:
    hostile = "<b>&'\""

    for html in (
        inline_html.table(["a"], [[hostile]]),
        inline_html.paragraphs(hostile),
        inline_html.figure(np.zeros((2, 2, 3), np.uint8), hostile),
    ):
        assert "b" not in Checker(html).tags
        assert hostile in Checker(html).text


def test_what_is_no_picture_is_none() -> None:
    assert inline_html.input_picture(np.zeros(7)) is None
    assert inline_html.input_picture(np.zeros((4, 4, 7))) is None
    assert inline_html.map_picture(np.zeros(7)) is None
    assert inline_html.map_picture(np.full((4, 4), np.nan)) is None
    of_channels = inline_html.map_picture(np.zeros((4, 4, 7)))
    assert of_channels is not None
    assert of_channels.shape == (4, 4, 3)
