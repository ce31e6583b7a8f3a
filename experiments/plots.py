"""Figures of curves and bars, without any global state of matplotlib's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from insens_tf.files import whole_file

__all__ = ["PRINTED", "grouped_bars", "save"]

PRINTED = 300
"""Dots per inch of figures that are fit to print."""

# A group of bars fills this part of the distance between groups, and a bar this part of its share.
_GROUP_WIDTH, _BAR_WIDTH = 0.8, 0.95


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
