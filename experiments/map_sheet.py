"""Pictures of maps as they are printed: blocks of them side by side and below each other.

Each pixel of a picture is a whole number of printed dots a side. Where things go is the arithmetic
of :mod:`insens_tf.grid_layout`, in dots of print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from experiments.plots import DOTS_PER_INCH, SMALL, TITLE, filled, lettered
from insens_tf.grid_layout import (
    MARGIN,
    NOTHING,
    Box,
    Extent,
    GridLayout,
    Tracks,
    place_columns,
    place_rows,
)
from insens_tf.heatmap import heatmap
from insens_tf.new_figure import new_figure
from insens_tf.picture_grid import OUTLINE_COLOUR, Part

__all__ = ["ACTIVE", "INACTIVE", "Block", "sheet"]

ACTIVE, INACTIVE = "active", "inactive"
"""Kinds of frames around a picture: a black line, and one of grey dots."""

_FRAMES: dict[str | None, dict[str, Any]] = {
    None: {"edgecolor": "0.75", "linewidth": 0.4},
    ACTIVE: {"edgecolor": "black", "linewidth": 0.7},
    INACTIVE: {"edgecolor": "0.45", "linewidth": 0.7, "linestyle": (0, (1, 2))},
}
_OUTLINE = {"edgecolor": OUTLINE_COLOUR, "linewidth": 0.5}
_BETWEEN = 24  # dots between blocks
_SCALE = Box(0, 0, 240, 24)  # dots
_SCALE_MEANS = "each map divided by its largest magnitude: red positive, blue negative, white 0"

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Block:
    """A panel: rows of pictures under a title.

    Attributes
    ----------
    title
        Above the panel; empty: it has none, and no letter.
    rows
        The pictures, RGB, of one size.
    columns
        The columns' titles.
    above
        Small titles of the pictures, row by row, or none.
    frames
        What is around each picture, row by row: `ACTIVE`, `INACTIVE`, or a thin line (None).
    outlined
        The part of each picture that a thin line is drawn around, row by row, or None.
    """

    title: str
    rows: Sequence[Sequence[Picture]]
    columns: Sequence[str]
    above: Sequence[Sequence[str]] = ()
    frames: Sequence[Sequence[str | None]] = ()
    outlined: Sequence[Sequence[Part | None]] = ()


def sheet(lines: Sequence[Sequence[Block]], note: str, side: int) -> Figure:
    """Set blocks into a figure.

    Parameters
    ----------
    lines
        Blocks that stand side by side, their rows at one height; line below line.
    note
        Below all, after what the colours of maps mean.
    side
        How many dots a picture may take a side; it takes the whole number of dots a pixel that
        comes closest, and at least one.

    Returns
    -------
    matplotlib.figure.Figure
        As wide as its blocks.
    """
    titles = iter(lettered([block.title for block in chain(*lines) if block.title]))
    page = _Page()
    top, width = 0, 0
    for blocks in lines:
        left = 0
        blocks = [page.with_broken_titles(block, side) for block in blocks]
        down = _rows_of(page, blocks, side)
        heading = max((_height(TITLE) for block in blocks if block.title), default=0)
        for block in blocks:
            layout = GridLayout(side, _columns_of(block, side), down)
            title = next(titles) if block.title else ""
            page.draw(block, layout, title, (left, top + heading))
            left += layout.width + _BETWEEN
        width = max(width, left - _BETWEEN)
        top += heading + down.end
    return page.finished(width, page.explain(note, top, width))


def _rows_of(page: _Page, blocks: Sequence[Block], side: int) -> Tracks:
    """Place the rows of blocks that stand side by side at one height."""
    count = max(len(block.rows) for block in blocks)
    return place_rows(
        side,
        NOTHING,
        [NOTHING] * count,
        [page.extent(one) for block in blocks for one in block.columns],
        [
            [page.extent(one) for block in blocks if block.above for one in block.above[r]]
            for r in range(count)
        ],
    )


def _columns_of(block: Block, side: int) -> Tracks:
    return place_columns(
        _width(block, side),
        [NOTHING],
        # A word that is wider than its column reaches into the gaps beside it.
        [NOTHING] * len(block.columns),
        [[]],
    )


def _width(block: Block, side: int) -> int:
    """Return how many dots a column takes: as many whole ones for each pixel as fit, or one."""
    pixels = max(block.rows[0][0].shape[:2])
    return pixels * max(1, side // pixels)


def _moved(place: tuple[float, float], corner: tuple[int, int]) -> tuple[float, float]:
    return place[0] + corner[0], place[1] + corner[1]


def _part(box: Box, one: Picture, part: Part) -> Box:
    """Return the box of some rows and columns of a picture that is in a box."""
    rows, columns = part
    dots = box.height // len(one)
    left, top = box.left + dots * columns.start, box.top + dots * rows.start
    height, width = (dots * (along.stop - along.start) for along in part)
    return Box(left, top, width, height)


def _height(points: float) -> int:
    return round(1.7 * points / 72 * DOTS_PER_INCH)


class _Page:
    """A figure on which all is put in dots from the upper left, once its size is known."""

    def __init__(self) -> None:
        self.figure = new_figure(1, 1, DOTS_PER_INCH)
        self.figure.set_layout_engine("none")
        self._texts: list[tuple[Any, tuple[float, float]]] = []
        self._boxes: list[tuple[Box, Any]] = []

    def extent(self, words: str) -> Extent:
        """Return how much room a small text takes."""
        if not words.strip():
            return NOTHING
        text = self.figure.text(0, 0, words, fontsize=SMALL, linespacing=1.1)
        box = text.get_window_extent()
        text.remove()
        return Extent(int(np.ceil(box.width)), int(np.ceil(box.height)))

    def filled(self, words: str, dots: int) -> str:
        return filled(self.figure, words, dots / DOTS_PER_INCH)

    def with_broken_titles(self, block: Block, side: int) -> Block:
        """Break titles that are wider than their columns."""

        def broken(titles: Sequence[str]) -> list[str]:
            return [self.filled(one, _width(block, side)) for one in titles]

        return replace(
            block, columns=broken(block.columns), above=[broken(one) for one in block.above]
        )

    def text(self, words: str, place: tuple[float, float], size: float, **look: Any) -> None:
        text = self.figure.text(0, 0, words, fontsize=size, linespacing=1.1, **look)
        self._texts.append((text, place))

    def draw(self, block: Block, layout: GridLayout, title: str, corner: tuple[int, int]) -> None:
        """Draw a block whose layout begins at a corner, (left, top)."""
        left, top = corner
        middle = left + (layout.columns.starts[0] + layout.width - MARGIN) / 2
        self.text(
            title, (middle, top - _height(TITLE) / 2 + MARGIN), TITLE, ha="center", va="center"
        )
        centred = {"ha": "center", "va": "bottom"}
        for c, words in enumerate(block.columns):
            self.text(words, _moved(layout.column_title(c), corner), SMALL, **centred)
        for r, titles in enumerate(block.above):
            for c, words in enumerate(titles):
                self.text(words, _moved(layout.cell_title(r, c), corner), SMALL, **centred)
        for r, row in enumerate(block.rows):
            for c, one in enumerate(row):
                box = layout.picture(r, c, one.shape[:2])
                box = Box(box.left + left, box.top + top, box.width, box.height)
                frame = block.frames[r][c] if block.frames else None
                part = block.outlined[r][c] if block.outlined else None
                self._boxes.append((box, (one, frame, part)))

    def explain(self, note: str, top: int, width: int) -> int:
        """Draw the scale of maps and a note below all, and return where they end."""
        scale = _SCALE._replace(left=MARGIN + 44, top=top + MARGIN)
        ramp = heatmap(np.linspace(-1, 1, scale.width)[np.newaxis], None)
        self._boxes.append((scale, (ramp, None, None)))
        middle = scale.top + scale.height / 2
        beside = {"va": "center_baseline"}
        self.text("−1", (scale.left - 8, middle), SMALL, ha="right", **beside)
        self.text("1", (scale.left + scale.width + 8, middle), SMALL, ha="left", **beside)
        first = scale.left + scale.width + 48
        if self.extent(_SCALE_MEANS).width < width - MARGIN - first:
            self.text(_SCALE_MEANS, (first, middle), SMALL, ha="left", **beside)
        else:
            note = f"{_SCALE_MEANS[0].upper()}{_SCALE_MEANS[1:]}. {note}"
        note = self.filled(note, width - 2 * MARGIN)
        place = (MARGIN, scale.top + scale.height + MARGIN)
        self.text(note, place, SMALL, ha="left", va="top")
        return place[1] + self.extent(note).height + MARGIN

    def finished(self, width: int, height: int) -> Figure:
        """Give the figure its size, in dots, and all on it its place."""
        self.figure.set_size_inches(width / DOTS_PER_INCH, height / DOTS_PER_INCH)
        for text, (left, top) in self._texts:
            text.set_position((left / width, 1 - top / height))
        for box, (one, frame, part) in self._boxes:
            bottom = height - box.top - box.height
            axes = self.figure.add_axes(
                (box.left / width, bottom / height, box.width / width, box.height / height)
            )
            axes.set_axis_off()
            axes.imshow(one, interpolation="nearest", aspect="auto", origin="upper")
            # Around the picture, so that no pixel is covered.
            self._line(box.grown(2), gid=frame or "frame", **_FRAMES[frame])
            if part is not None:
                self._line(_part(box, one, part).grown(1), gid="outline", **_OUTLINE)
        return self.figure

    def _line(self, box: Box, **look: Any) -> None:
        width, height = self.figure.bbox.size
        corner = (box.left / width, (height - box.top - box.height) / height)
        sides = box.width / width, box.height / height
        self.figure.add_artist(Rectangle(corner, *sides, fill=False, zorder=2, **look))
