"""Figures of curves and bars, without any global state of matplotlib's."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from insens_tf.files import whole_file

__all__ = ["new_figure", "save"]

_DOTS_PER_INCH = 128


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, with a canvas of its own."""
    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG that depends on nothing but what is drawn."""
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})
