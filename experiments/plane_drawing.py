"""What drawings of a network of two inputs share: the plane of its inputs, and what lies on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import FancyArrowPatch
from numpy.typing import ArrayLike, NDArray

from experiments.two_inputs import WINDOW

__all__ = [
    "ACTIVE",
    "NEGATIVE",
    "POSITIVE",
    "SHADE",
    "draw_arrow",
    "draw_line",
    "draw_moons",
    "draw_point",
    "draw_regions",
]

POSITIVE, NEGATIVE = "#c8382c", "#2c5cc8"
"""Of what is positive and negative, as in heatmaps."""

ACTIVE = "0.78"
"""Of active neurons, grey as in the paper; inactive ones are white."""

SHADE = "#fde9a9"
"""Of the region that a drawing is about."""

Floats = NDArray[np.float64]


def draw_regions(
    panel: Axes, polygons: Sequence[Floats], shaded: Sequence[int] = (), outline: str = "0.7"
) -> None:
    """Draw linear regions in thin outlines, some of them shaded, over the whole window."""
    colours = [SHADE if region in shaded else "none" for region in range(len(polygons))]
    panel.add_collection(
        PolyCollection(
            list(polygons), facecolors=colours, edgecolors=outline, linewidths=0.6, gid="regions"
        )
    )
    (left, bottom), (right, top) = WINDOW
    panel.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    panel.set_xlabel("x₁", labelpad=1, fontsize=8)
    panel.set_ylabel("x₂", labelpad=1, fontsize=8)
    panel.tick_params(labelsize=7)


def draw_moons(panel: Axes, x: Floats, labels: NDArray[np.integer]) -> None:
    """Draw points of the two moons: of one as crosses, of the other as circles."""
    for label, marker in enumerate("x."):
        across, down = x[labels == label].T
        panel.scatter(across, down, s=9, marker=marker, color="0.6", linewidths=0.6, zorder=1)


def draw_line(panel: Axes, w: Floats, b: float, **style: Any) -> None:
    """Draw the line on which x w + b is 0."""
    nearest = -b * w / (w @ w)
    along = np.array([-w[1], w[0]])
    panel.axline(tuple(nearest), tuple(nearest + along), **style)


def draw_point(
    panel: Axes, point: ArrayLike, name: str, offset: tuple[float, float] = (5, 5), **style: Any
) -> None:
    """Draw a point with its name beside it."""
    x, y = np.asarray(point, np.float64)
    panel.plot(x, y, "o", **{"color": "black", "markersize": 4.5, "zorder": 4, **style})
    panel.annotate(
        name,
        (x, y),
        offset,
        textcoords="offset points",
        fontsize=9,
        ha="left" if offset[0] >= 0 else "right",
        va="bottom" if offset[1] >= 0 else "top",
        zorder=5,
        bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
    )


def draw_arrow(panel: Axes, start: ArrayLike, end: ArrayLike, **style: Any) -> None:
    """Draw an arrow from a point to another, as far as it lies within the window."""
    ends = (tuple(np.asarray(one, np.float64)) for one in (start, end))
    look = {"color": "black", "linewidth": 1.2, "mutation_scale": 9, "shrinkB": 2.5, "zorder": 3}
    panel.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", shrinkA=0, **{**look, **style}))
