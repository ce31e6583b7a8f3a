"""Figures of curves and bars, without any global state of matplotlib's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from insens_tf.files import whole_file
from insens_tf.new_figure import new_figure

__all__ = ["draw_for_print", "grouped_bars", "save"]

# A group of bars fills this part of the distance between groups, and a bar this part of its share.
_GROUP_WIDTH, _BAR_WIDTH = 0.8, 0.95

_PRINTED = 300  # dots per inch


def grouped_bars(
    panel: Axes, bars: Mapping[str, tuple[ArrayLike, ArrayLike]], colours: Sequence[str]
) -> None:
    """Draw bars side by side in groups, a group at each whole number, with their spreads.

    Parameters
    ----------
    panel
        To draw on.
    bars
        By label the heights of its bars and their spreads, (groups,) each.
    colours
        The colour of each label.
    """
    step = _GROUP_WIDTH / len(bars)
    for number, ((label, (heights, spreads)), colour) in enumerate(
        zip(bars.items(), colours, strict=True)
    ):
        panel.bar(
            np.arange(np.size(heights)) + step * (number - (len(bars) - 1) / 2),
            heights,
            _BAR_WIDTH * step,
            yerr=spreads,
            label=label,
            color=colour,
            error_kw={"elinewidth": 0.8},
        )


_UNSAID = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or PDF, that depends on nothing but what is drawn."""
    with whole_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:], metadata=_UNSAID[path.suffix])


def draw_for_print(
    draw_on: Callable[[Figure, Mapping[str, NDArray[Any]]], None],
    size: tuple[float, float],
    numbers: Path,
    picture: Path,
) -> None:
    """Draw what is in an npz file as PNG of 300 dots per inch, and as vectors, a PDF beside it.

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
    figure = new_figure(*size, _PRINTED)
    draw_on(figure, arrays)
    for kind in (".png", ".pdf"):
        save(figure, picture.with_suffix(kind))
