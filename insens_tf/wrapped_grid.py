"""A grid of inputs and their maps that does not grow wider than a screen: its rows go on below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from insens_tf.picture_grid import Part, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CELL", "maps_across", "wrapped_grid"]

CELL = 112
"""About how many screen pixels the longer side of a small picture takes."""

_WIDTH = 2000


def maps_across(side: int) -> int:
    """Return how many maps, of so many pixels a side, stand beside their input on one line."""
    return max(1, _WIDTH // max(side, CELL) - 1)


def wrapped_grid(
    rows: Sequence[Sequence[Any]],
    row_titles: Sequence[str] | None,
    column_titles: Sequence[str],
    *,
    title: str,
    outlined: Sequence[Sequence[Part | None]] | None = None,
) -> Figure:
    """Set rows, each of an input and its maps, into a titled grid of limited width.

    Where the maps are more than fit beside the input, each row goes on below, and every picture
    has its title above it.

    Parameters
    ----------
    rows, row_titles, column_titles, outlined, title
        As for `insens_tf.heatmap.grid`; each row has an entry for each column title.

    Returns
    -------
    matplotlib.figure.Figure
    """
    across = maps_across(max(np.shape(rows[0][0])[:2]))
    if len(column_titles) - 1 <= across:
        return grid(rows, row_titles, column_titles, outlined=outlined, title=title)
    titles = _lines(column_titles, across)
    further = [""] * (len(titles) - 1)
    return grid(
        [line for row in rows for line in _lines(row, across)],
        None if row_titles is None else [one for first in row_titles for one in (first, *further)],
        cell_titles=titles * len(rows),
        outlined=None
        if outlined is None
        else [one for row in outlined for one in _lines(row, across)],
        title=title,
    )


def _lines(row: Sequence[Any], across: int) -> list[list[Any]]:
    """Return a row line by line; what is of the input stands on the first line alone."""
    return [
        [row[0] if start == 1 else None, *row[start : start + across]]
        for start in range(1, len(row), across)
    ]
