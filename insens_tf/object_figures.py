"""Figures of projections, frequencies and Insens, that say themselves what they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.heatmap import LEGEND, grid
from insens_tf.inline_html import input_picture, map_picture
from insens_tf.new_figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from insens_tf.activation_frequency import ActivationFrequency
    from insens_tf.projections import Projection

__all__ = ["MOST_ROWS", "check_rows", "frequency_figure", "insens_figure", "projection_figure"]

MOST_ROWS = 100
"""Of a figure; larger ones are hard to read, and slow to draw."""

_BINS = 40
_PANEL = 2.6, 2.2  # inches
_PANELS_IN_A_ROW = 4


def projection_figure(p: Projection, *, zoom: bool) -> Figure:
    """Draw each neuron for each input: the input, w, contribution and centre.

    Parameters
    ----------
    p : Projection
    zoom : bool
        Whether to show of each only the part of the input that its neuron's w is not 0 in.
    """
    pairs = [(n, k) for n in range(len(p.x)) for k in range(len(p.neurons))]
    check_rows(len(pairs), "neurons or inputs")
    rows = []
    for n, k in pairs:
        part = _where_not_zero(p.weights[n, k]) if zoom else ()
        centre = p.centre[n, k]
        x, w, contribution = (one[part] for one in (p.x[n], p.weights[n, k], p.contribution[n, k]))
        has_centre = bool(np.isfinite(centre).all())
        row = [
            _picture(x),
            map_picture(w),
            map_picture(contribution),
            _picture(centre[part]) if has_centre else None,
        ]
        rows.append(row)
    titles = [p.title(n, k).replace(": ", "\n") for n, k in pairs]
    what = "Neurons as v = x w + b" if p.subtracted is None else "Differences of neurons"
    columns = ["input", "w", "contribution", "centre"]
    return grid(rows, titles, columns, title=f"{what}\n{LEGEND}")


def insens_figure(x: NDArray[Any], maps: Mapping[str, NDArray[Any]], what: str) -> Figure:
    """Draw inputs, (n, *input_shape), and beside them maps of them by the name of the layer."""
    rows = [
        [_picture(one), *(map_picture(omega[n]) for omega in maps.values())]
        for n, one in enumerate(x)
    ]
    columns = ["input", *(f"Insens {name}" for name in maps)]
    return grid(rows, column_titles=columns, title=f"{what}\n{LEGEND}")


def frequency_figure(frequency: ActivationFrequency) -> Figure:
    """Draw for each layer how many of its neurons have which m/N."""
    columns = min(len(frequency), _PANELS_IN_A_ROW)
    rows = -(-len(frequency) // columns)
    figure = new_figure(columns * _PANEL[0], rows * _PANEL[1] + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).reshape(-1)
    for panel, name in zip(panels, frequency):
        panel.hist(frequency[name].reshape(-1), bins=_BINS, range=(0, 1), color="#c8382c")
        panel.set_title(f"{name}, {frequency[name].size:,} neurons", fontsize=8, parse_math=False)
        panel.tick_params(labelsize=7)
        panel.set_xlabel("m/N", fontsize=8)
    for panel in panels[len(frequency) :]:
        panel.set_visible(False)
    figure.suptitle(f"How often neurons are active, over {frequency.samples:,} samples", fontsize=9)
    return figure


def check_rows(rows: int, fewer: str) -> None:
    """Refuse a figure of too many rows; `fewer` is what to take less of.

    Raises
    ------
    ValueError
    """
    if rows > MOST_ROWS:
        raise ValueError(
            f"a figure of {rows:,} rows: expected at most {MOST_ROWS}; take fewer {fewer}, or draw "
            "what you want of it with insens_tf.heatmap.grid"
        )


def _picture(x: NDArray[Any]) -> NDArray[np.uint8]:
    found = input_picture(x)
    if found is None:
        raise ValueError(
            f"inputs of shape {x.shape} are no pictures: expected (height, width), or (height, "
            "width, channels) with 1 or 3 channels"
        )
    return found


def _where_not_zero(w: NDArray[Any]) -> tuple[slice, ...]:
    """Return the rows and columns that hold all of w that is not 0; all of a w that is 0."""
    places = np.argwhere(w != 0)
    if not len(places):
        return ()
    first, last = places.min(axis=0)[:2], places.max(axis=0)[:2]
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last))
