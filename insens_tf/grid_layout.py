"""Where the pictures and titles of a grid go: pure arithmetic in screen pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from typing import NamedTuple

__all__ = [
    "MARGIN",
    "NOTHING",
    "Box",
    "Extent",
    "GridLayout",
    "Tracks",
    "broken_lines",
    "place_columns",
    "place_rows",
]

MARGIN = 12
"""Screen pixels around everything."""

_GAP = 8


class Extent(NamedTuple):
    """How many screen pixels a title takes."""

    width: int
    height: int


NOTHING = Extent(0, 0)
"""What an empty title takes."""


class Box(NamedTuple):
    """A rectangle in screen pixels from the upper left corner of the figure."""

    left: int
    top: int
    width: int
    height: int

    def grown(self, by: int) -> Box:
        """Return the box that is larger by so many pixels on each side."""
        return Box(self.left - by, self.top - by, self.width + 2 * by, self.height + 2 * by)


class Tracks(NamedTuple):
    """The columns, or the rows, of a grid: where each begins, and its size."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def beginning_at(cls, first: int, sizes: Sequence[int]) -> Tracks:
        steps = (size + _GAP for size in sizes[:-1])
        return cls(tuple(accumulate(steps, initial=first)), tuple(sizes))

    @property
    def end(self) -> int:
        """The size of the figure that ends with the last of them."""
        return self.starts[-1] + self.sizes[-1] + MARGIN


@dataclass(frozen=True)
class GridLayout:
    """Where everything in a grid is, as (left, top) from the upper left corner of the figure.

    Attributes
    ----------
    side : int
        The side of the square at the foot of each cell, in whose middle the picture is.
    columns, rows : Tracks
    """

    side: int
    columns: Tracks
    rows: Tracks

    @property
    def width(self) -> int:
        return self.columns.end

    @property
    def height(self) -> int:
        return self.rows.end

    @property
    def heading(self) -> tuple[float, float]:
        return self.width / 2, MARGIN

    def column_title(self, column: int) -> tuple[float, float]:
        return self._middle(column), self.rows.starts[0] - _GAP

    def row_title(self, row: int) -> tuple[float, float]:
        return self.columns.starts[0] - _GAP, self._square_top(row) + self.side / 2

    def cell_title(self, row: int, column: int) -> tuple[float, float]:
        return self._middle(column), self._square_top(row) - _GAP / 2

    def picture(self, row: int, column: int, shape: Sequence[int]) -> Box:
        """Return where a picture of shape (height, width) goes, magnified by a whole number."""
        magnification = self.side // max(shape)
        height, width = (magnification * pixels for pixels in shape)
        left = int(self._middle(column) - width / 2)
        top = self._square_top(row) + (self.side - height) // 2
        return Box(left, top, width, height)

    def _middle(self, column: int) -> float:
        return self.columns.starts[column] + self.columns.sizes[column] / 2

    def _square_top(self, row: int) -> int:
        return self.rows.starts[row] + self.rows.sizes[row] - self.side


def place_columns(
    side: int,
    row_titles: Sequence[Extent],
    column_titles: Sequence[Extent],
    cell_titles: Sequence[Sequence[Extent]],
) -> Tracks:
    """Place columns beside the widest row title, each as wide as its pictures and titles."""
    widths = [
        max(side, *(title.width for title in titles))
        for titles in zip_longest(column_titles, *cell_titles, fillvalue=NOTHING)
    ]
    widest = max(title.width for title in row_titles)
    return Tracks.beginning_at(MARGIN + _with_gap(widest), widths)


def place_rows(
    side: int,
    heading: Extent,
    row_titles: Sequence[Extent],
    column_titles: Sequence[Extent],
    cell_titles: Sequence[Sequence[Extent]],
) -> Tracks:
    """Place rows below the heading and the column titles, with room for cell and row titles."""
    first = MARGIN + _with_gap(heading.height) + _with_gap(_tallest(column_titles))
    heights = [
        _with_gap(_tallest(titles)) + max(side, row_title.height)
        for row_title, titles in zip(row_titles, cell_titles)
    ]
    return Tracks.beginning_at(first, heights)


def broken_lines(words: str, fits: Callable[[str], bool]) -> str:
    """Break a text between words where a line does not fit; a word alone stays whole."""
    lines: list[str] = []
    for given_line in words.split("\n"):
        line = ""
        for word in given_line.split(" "):
            longer = f"{line} {word}" if line else word
            if line and not fits(longer):
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "\n".join(lines)


def _tallest(titles: Sequence[Extent]) -> int:
    return max((title.height for title in titles), default=0)


def _with_gap(size: int) -> int:
    return size + _GAP if size else 0
