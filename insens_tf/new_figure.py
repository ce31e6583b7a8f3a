"""An empty figure, without any global state of matplotlib's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure"]

DOTS_PER_INCH = 128


def new_figure(width: float, height: float, dots_per_inch: int = DOTS_PER_INCH) -> Figure:
    """Return an empty figure of a size in inches, with a canvas of its own."""
    # Only who draws waits for matplotlib.
    from insens_tf.shown_figure import ShownFigure

    return ShownFigure(figsize=(width, height), dpi=dots_per_inch, layout="constrained")
