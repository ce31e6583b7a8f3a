"""A figure that notebooks show as a picture, whether or not pyplot has been set up there."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["ShownFigure"]


class ShownFigure(Figure):
    """A figure with a canvas of its own, that IPython shows as a picture.

    Of matplotlib's own figures it shows no more than their name until ``%matplotlib inline``.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()
