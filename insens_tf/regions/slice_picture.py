"""A picture of the linear regions in a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insens_tf.new_figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_slice"]

_DOTS_PER_INCH = 160
_SIDE = 6.4
_LIGHTEST = 0.35


def draw_slice(
    polygons: Sequence[NDArray[np.float64]],
    classes: NDArray[np.integer],
    window: NDArray[np.float64],
    inputs: NDArray[np.float64],
) -> Figure:
    """Draw polygons, each in a shade of its class, and where the three inputs are.

    Parameters
    ----------
    polygons : sequence of numpy.ndarray, shape (vertices, 2)
    classes : numpy.ndarray of int, shape (polygons,)
    window : numpy.ndarray, shape (4, 2)
    inputs : numpy.ndarray, shape (3, 2)
    """
    from matplotlib import colormaps
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    sides = np.ptp(window, axis=0)
    width, height = np.maximum(_SIDE * sides / sides.max(), 2.4)
    figure = new_figure(width, height, _DOTS_PER_INCH)
    axes = figure.subplots()
    colours = colormaps["tab10"](classes % 10)[:, :3]
    # Shades tell neighbours of one class apart; the same each time.
    shades = np.random.default_rng(0).uniform(_LIGHTEST, 1, len(polygons))[:, np.newaxis]
    axes.add_collection(
        PolyCollection(
            list(polygons),
            facecolors=1 - shades * (1 - colours),
            edgecolors="0.15",
            linewidths=min(0.6, 40 / len(polygons) ** 0.5),
        )
    )
    for name, (along, across) in zip("abc", inputs):
        axes.plot(along, across, "o", color="black", markersize=4)
        axes.annotate(name, (along, across), (4, 4), textcoords="offset points", fontsize=9)
    axes.set_xlim(*window[:2, 0])
    axes.set_ylim(*window[1:3, 1])
    axes.set_aspect("equal")
    axes.tick_params(labelsize=8)
    figure.legend(
        handles=[
            Patch(color=colormaps["tab10"](int(one) % 10), label=f"output {one}")
            for one in np.unique(classes)
        ],
        loc="outside lower center",
        ncols=5,
        fontsize=8,
        frameon=False,
    )
    return figure
