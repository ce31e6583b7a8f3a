"""Small HTML that objects show in notebooks: tables, and pictures inline; no scripts, no files."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tabulate import tabulate

from insens_tf.heatmap import heatmap, picture
from insens_tf.picture_grid import OUTLINE_COLOUR, Part

__all__ = [
    "MOST",
    "drawn",
    "figure",
    "input_picture",
    "map_picture",
    "paragraphs",
    "png_in_base64",
    "table",
    "to_the_left",
]

MOST = 6
"""Pictures, or rows of them, of one object."""

SIDE = 112
"""About how many screen pixels the longer side of a picture takes."""


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: int = 0) -> str:
    """Return a table; its last `numbers` columns are aligned to the right.

    What is in it is escaped, but for pictures as `figure` returns them.
    """
    aligned = ["left"] * (len(headers) - numbers) + ["right"] * numbers
    html = tabulate(
        [list(row) for row in rows],
        list(headers),
        tablefmt="html",
        colalign=aligned,
        disable_numparse=True,
    )
    return to_the_left(html)


def to_the_left(html: str) -> str:
    """Return a table of tabulate's with the alignment to the left said, which it leaves out.

    Notebooks align to the right what says nothing.
    """
    for cell in ("td", "th"):
        html = html.replace(f"<{cell}>", f'<{cell} style="text-align: left;">')
    return html


def paragraphs(*texts: str) -> str:
    """Return texts, each a paragraph."""
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def figure(rgb: NDArray[np.uint8] | None, title: str, outlined: Part | None = None) -> str:
    """Return a picture, (height, width, 3), with its title below; the title alone for None.

    A line is drawn around the rows and columns that are `outlined`.
    """
    image = ""
    if rgb is not None:
        factor = max(1, round(SIDE / max(rgb.shape[:2])))
        height, width = (factor * side for side in rgb.shape[:2])
        image = (
            f'<img src="data:image/png;base64,{png_in_base64(rgb)}" alt="{escape(title)}" '
            f'width="{width}" height="{height}" style="image-rendering: pixelated; '
            'border: 1px solid #ccc; vertical-align: top">'
        )
        line = "" if outlined is None else _outline(outlined, factor)
        image = f'<div style="position: relative; display: inline-block">{image}{line}</div><br>'
    return (
        '<div style="display: inline-block; margin: 4px; text-align: center; '
        f'vertical-align: top">{image}<small>{escape(title)}</small></div>'
    )


def _outline(part: Part, factor: int) -> str:
    """Return a line around rows and columns of a picture that is magnified by a factor."""
    # The picture has a border of 1 pixel, and the line, of 2, lies around the part.
    top, left = (factor * axis.start + 1 - 2 for axis in part)
    height, width = (factor * (axis.stop - axis.start) for axis in part)
    return (
        f'<div style="position: absolute; top: {top}px; left: {left}px; height: {height}px; '
        f'width: {width}px; box-sizing: content-box; border: 2px solid {OUTLINE_COLOUR}"></div>'
    )


def drawn(figures: Iterable[str]) -> str:
    """Return figures side by side."""
    return f"<div>{''.join(figures)}</div>"


def input_picture(x: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return an input, (*input_shape), as a picture; None where it is none."""
    if x.ndim == 2 or (x.ndim == 3 and x.shape[-1] in (1, 3)):
        return picture(x)
    return None


def map_picture(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return a signed map, (*input_shape), as a heatmap; None where it is no picture."""
    if values.ndim not in (2, 3) or not np.isfinite(values).all():
        return None
    has_channels = values.ndim == 3
    return heatmap(values[np.newaxis], "sum" if has_channels else None)[0]


def png_in_base64(pixels: NDArray[np.uint8]) -> str:
    """Return RGB or RGBA, (height, width, 3 or 4), as a PNG file in base64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")
