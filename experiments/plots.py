"""Figures as they are printed: their sizes, letters, bars and files.

Nothing here uses any global state of matplotlib's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from experiments.intervals import sample_deviation
from insens_tf.files import whole_file
from insens_tf.grid_layout import broken_lines
from insens_tf.new_figure import new_figure

__all__ = [
    "DOTS_PER_INCH",
    "ONE_COLUMN",
    "SMALL",
    "TEXT",
    "TITLE",
    "TWO_COLUMNS",
    "Bar",
    "bar_of",
    "draw_for_print",
    "filled",
    "grouped_bars",
    "legend_above",
    "letter",
    "lettered",
    "note_below",
    "number",
    "save",
    "write_picture",
]

TWO_COLUMNS, ONE_COLUMN = 7.0, 3.4
"""How wide figures are, in inches: as a page's two columns, or as one."""

TITLE, TEXT, SMALL = 8.0, 7.0, 6.0
"""Sizes of letters, in points: of panels' titles; of axes and legends; of ticks and notes."""

DOTS_PER_INCH = 300

# A group of bars fills this part of the distance between groups, and a bar this part of its share.
_GROUP_WIDTH, _BAR_WIDTH = 0.8, 0.95

_UNSAID = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


class Bar(NamedTuple):
    """A bar, a line for its spread, and a dot for each network that it is the mean of.

    Attributes
    ----------
    height
        Of the bar.
    spread
        Half of the line's length; NaN: there is none.
    networks
        Where the dots are, (networks,).
    """

    height: float
    spread: float
    networks: NDArray[np.float64] = np.empty(0)


def bar_of(values: ArrayLike) -> Bar:
    """Return the bar of a value a network, with their standard deviation; NaN is left out.

    Parameters
    ----------
    values
        (networks,).
    """
    found = np.asarray(values, float)
    found = found[~np.isnan(found)]
    if not found.size:
        return Bar(float("nan"), float("nan"))
    return Bar(float(found.mean()), sample_deviation(found), found)


def grouped_bars(
    panel: Axes,
    bars: Mapping[str, Sequence[Bar]],
    colours: Sequence[str],
    *,
    across: bool = False,
) -> None:
    """Draw bars side by side in groups, a group at each whole number, with spreads and dots.

    Parameters
    ----------
    panel
        To draw on.
    bars
        By label its bars, one a group.
    colours
        The colour of each label.
    across
        Whether bars lie, the first group at the top.
    """
    step = _GROUP_WIDTH / len(bars)
    for number, ((label, of_label), colour) in enumerate(zip(bars.items(), colours, strict=True)):
        places = np.arange(len(of_label)) + step * (number - (len(bars) - 1) / 2)
        heights, spreads = ([float(one[which]) for one in of_label] for which in (0, 1))
        look: dict[str, Any] = {"label": label, "color": colour, "error_kw": {"elinewidth": 0.8}}
        if across:
            panel.barh(places, heights, _BAR_WIDTH * step, xerr=spreads, **look)
        else:
            panel.bar(places, heights, _BAR_WIDTH * step, yerr=spreads, **look)
        for place, bar in zip(places, of_label, strict=True):
            _draw_networks(panel, place, 0.7 * step, bar, across=across)
    # Of panels that share their axis, the first one has turned it over for all.
    if across and not panel.yaxis_inverted():
        panel.invert_yaxis()


def _draw_networks(panel: Axes, place: float, width: float, bar: Bar, *, across: bool) -> None:
    """Draw the dots of single networks over their bar, in their order; of one there is none."""
    if len(bar.networks) < 2:
        return
    aside = place + width * np.linspace(-0.5, 0.5, len(bar.networks))
    x, y = (bar.networks, aside) if across else (aside, bar.networks)
    size = 1.3 if len(bar.networks) > 6 else 2.2
    panel.plot(x, y, "o", color="black", alpha=0.75, markersize=size, markeredgewidth=0, zorder=3)


def number(value: float, digits: int = 2) -> str:
    """Return a number as it is written in drawings."""
    # What is rounded to 0 has no sign.
    return f"{round(value, digits) + 0:.{digits}f}".replace("-", "−")


def lettered(titles: Sequence[str]) -> list[str]:
    """Return panels' titles after (a), (b) and so on; one alone has no letter."""
    if len(titles) == 1:
        return list(titles)
    return [f"({one}) {title}".rstrip() for one, title in zip(ascii_lowercase, titles)]


def letter(panels: Iterable[Axes], titles: Sequence[str], size: float = TITLE) -> None:
    """Write above panels their titles, :func:`lettered`."""
    for panel, title in zip(panels, lettered(titles), strict=True):
        panel.set_title(title, fontsize=size)


def legend_above(figure: Figure, panel: Axes, columns: int) -> None:
    """Explain above all panels what is drawn on one of them."""
    lines, labels = panel.get_legend_handles_labels()
    figure.legend(
        lines, labels, loc="outside upper center", ncols=columns, fontsize=TEXT, frameon=False
    )


def note_below(figure: Figure, note: str) -> None:
    """Write below all panels what they do not say of themselves, such as n."""
    figure.supxlabel(filled(figure, note, figure.get_figwidth()), fontsize=SMALL)


def filled(figure: Figure, words: str, inches: float) -> str:
    """Return a small text in lines that are no wider than so many inches."""
    probe = figure.text(0, 0, "", fontsize=SMALL)

    def fits(line: str) -> bool:
        probe.set_text(line)
        return bool(probe.get_window_extent().width <= inches * figure.dpi)

    lines = broken_lines(words, fits)
    probe.remove()
    return lines


def write_picture(figure: Figure, path: Path, dots_per_inch: float | str = "figure") -> None:
    """Write a figure as PNG or PDF, that depends on nothing but what is drawn."""
    with whole_file(path) as partial:
        figure.savefig(
            partial, format=path.suffix[1:], metadata=_UNSAID[path.suffix], dpi=dots_per_inch
        )


def save(figure: Figure, picture: Path) -> None:
    """Write a figure of an experiment: PNG of 300 dots per inch, and a PDF, vectors, beside it.

    Parameters
    ----------
    figure
        To be written.
    picture
        The PNG to come.
    """
    for kind in (".png", ".pdf"):
        write_picture(figure, picture.with_suffix(kind), DOTS_PER_INCH)


def draw_for_print(
    draw_on: Callable[[Figure, Mapping[str, NDArray[Any]]], None],
    size: tuple[float, float],
    numbers: Path,
    picture: Path,
) -> None:
    """Draw what is in an npz file, and save it.

    Parameters
    ----------
    draw_on
        Takes an empty figure and the arrays of the file.
    size
        Of the figure, in inches.
    numbers
        The file.
    picture
        The PNG to come.
    """
    with np.load(numbers, allow_pickle=False) as stored:
        arrays = dict(stored)
    figure = new_figure(*size, DOTS_PER_INCH)
    draw_on(figure, arrays)
    save(figure, picture)
