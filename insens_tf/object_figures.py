"""Figures of projections, frequencies and Insens, that say themselves what they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from insens_tf.heatmap import LEGEND
from insens_tf.inline_html import input_picture, map_picture
from insens_tf.new_figure import new_figure
from insens_tf.wrapped_grid import wrapped_grid

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


def projection_figure(p: Projection) -> Figure:
    """Draw the pictures of each neuron for each input, and above them v and b."""
    pairs = [(n, k) for n in range(len(p.x)) for k in range(len(p.neurons))]
    check_rows(len(pairs), "neurons or inputs")
    _check_pictures(p.x)
    rows = [p.pictures(n, k) for n, k in pairs]
    what = "Neurons as v = x w + b" if p.subtracted is None else "Differences of neurons"
    return wrapped_grid(
        [[one.rgb for one in row] for row in rows],
        [p.title(n, k).replace(": ", "\n") for n, k in pairs],
        [one.title for one in rows[0]],
        outlined=[[one.outlined for one in row] for row in rows],
        title=f"{what}\n{LEGEND}",
    )


def insens_figure(x: NDArray[Any], maps: Mapping[str, NDArray[Any]], what: str) -> Figure:
    """Draw inputs, (n, *input_shape), and beside them maps of them by their titles."""
    _check_pictures(x)
    rows = [
        [input_picture(one), *(map_picture(omega[n]) for omega in maps.values())]
        for n, one in enumerate(x)
    ]
    return wrapped_grid(rows, None, ["input", *maps], title=f"{what}\n{LEGEND}")


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


def _check_pictures(x: NDArray[Any]) -> None:
    if len(x) and input_picture(x[0]) is None:
        raise ValueError(
            f"inputs of shape {x.shape[1:]} are no pictures: expected (height, width), or (height, "
            "width, channels) with 1 or 3 channels"
        )
