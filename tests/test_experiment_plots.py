"""Bars, their dots, letters and files of the experiments' pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.text import Text
from PIL import Image

from experiments.plots import bar_of, grouped_bars, letter, lettered, note_below, save
from insens_tf.new_figure import new_figure
from tests.conftest import with_keras_3

pytestmark = with_keras_3

VALUES = {"one": [[1.0, 2.0, 6.0], [4.0, np.nan, 6.0]], "other": [[5.0], [np.nan]]}


@pytest.mark.parametrize("across", [False, True])
def test_bars_have_their_networks_as_dots(across: bool) -> None:
    panel = new_figure(2, 2).subplots()
    bars = {label: [bar_of(one) for one in groups] for label, groups in VALUES.items()}

    grouped_bars(panel, bars, ("red", "blue"), across=across)

    one, other = (group for group in panel.containers if isinstance(group, BarContainer))
    lengths = [bar.get_width() if across else bar.get_height() for bar in (*one, *other)]
    np.testing.assert_allclose(lengths, [3, 5, 5, np.nan])
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    found = [np.asarray(line.get_xydata())[:, 0 if across else 1].tolist() for line in dots]
    assert found == [[1, 2, 6], [4, 6]]
    (x0, x1), (y0, y1) = panel.get_xlim(), panel.get_ylim()
    assert x0 < x1
    assert (y0 > y1) == across
    first, second = bars["one"]
    assert first.spread == pytest.approx(7**0.5)
    assert second.spread == pytest.approx(2**0.5)
    assert np.isnan(bars["other"][0].spread)


def test_groups_lie_from_above_on_panels_that_share_their_axis() -> None:
    panels = new_figure(2, 2).subplots(1, 2, sharey=True)
    for panel in panels:
        grouped_bars(panel, {"one": [bar_of([1.0]), bar_of([2.0])]}, ("red",), across=True)
    assert all(panel.yaxis_inverted() for panel in panels)


def test_letters_are_of_several() -> None:
    assert lettered(["first", ""]) == ["(a) first", "(b)"]
    assert lettered(["alone"]) == ["alone"]
    panels = new_figure(2, 2).subplots(1, 2)
    letter(panels, ["first", "second"])
    assert [panel.get_title() for panel in panels] == ["(a) first", "(b) second"]


def test_a_note_stays_on_the_figure() -> None:
    figure = new_figure(3.4, 2)
    figure.subplots()
    note_below(figure, "a word and " * 20)
    figure.canvas.draw()
    (note,) = (text for text in figure.findobj(Text) if "a word" in text.get_text())
    box = note.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_a_figure_is_saved_for_print_and_as_vectors(tmp_path: Path) -> None:
    for name in ("one", "again"):
        figure = new_figure(2, 1)
        figure.subplots().plot([1, 2], [3, 4])
        save(figure, tmp_path / f"{name}.png")

    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (600, 300)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    for kind in ("png", "pdf"):
        written = (tmp_path / f"one.{kind}").read_bytes()
        assert written == (tmp_path / f"again.{kind}").read_bytes()
    assert written.startswith(b"%PDF")
    assert b"/Subtype /Image" not in written
