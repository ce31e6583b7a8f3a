"""Pictures side by side in a titled grid: titles are measured, everything is placed, then drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insens_tf.grid_layout import (
    MARGIN,
    NOTHING,
    Box,
    Extent,
    GridLayout,
    broken_lines,
    place_columns,
    place_rows,
)
from insens_tf.real_numbers import finite_real_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["OUTLINE_COLOUR", "Part", "grid"]

Part = tuple[slice, slice]
"""Rows and columns of a picture."""

OUTLINE_COLOUR = "#10b3a3"

# 128 dots to the inch make every number of screen pixels an exact binary fraction of an inch, so
# that no rounding in matplotlib can move a picture off the pixel raster.
_DOTS_PER_INCH = 128
_HAIR = 1e-3
_LARGEST_FIGURE_SIDE = 2**16 - 1
_FRAME_COLOUR = "0.8"
_CROSS: dict[str, Any] = {"color": "0.25", "linewidth": 0.6}
# Screen pixels and colours: of a bright line inside a dark one, one is seen on any ground.
_OUTLINES = ((3, "0.15"), (2, OUTLINE_COLOUR))
# Titles are plain text: a dollar sign in the name of a layer or a file starts no formula.
_TEXT: dict[str, Any] = {"linespacing": 1.15, "parse_math": False}
_HEADING_SIZE = 11
_TITLE_SIZE = 9
_CELL_TITLE_SIZE = 7


def grid(
    rows: Iterable[Iterable[ArrayLike | None]],
    row_titles: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
    *,
    cell_titles: Iterable[Sequence[str | None]] | None = None,
    crossed_out: Iterable[Sequence[bool]] | None = None,
    outlined: Iterable[Sequence[Part | None]] | None = None,
    title: str | None = None,
    cell_pixels: int = 112,
) -> Figure:
    """Set pictures into a titled grid, each pixel a crisp square.

    Parameters
    ----------
    rows : iterable of iterables of array_like or None
        The pictures, row by row, in any number: RGB as `heatmap` and `picture` return it, (height,
        width, 3), or grey, (height, width) or (height, width, 1); uint8, or floating numbers in
        0..1. Rows may differ in length, pictures in size; None leaves a cell empty. `zip(digits,
        gradients, insens)` makes one row per input of batches of pictures.
    row_titles : sequence of str, optional
        One title a row, to its left.
    column_titles : sequence of str, optional
        One title a column, above it. Titles wider than their column are broken between words, and
        columns move apart where that is not enough.
    cell_titles : iterable of sequences of str or None, optional
        Rows of small titles, one above each picture: a neuron's activity and switched bias in
        Figure 2, say.
    crossed_out : iterable of sequences of bool, optional
        Rows that say of each picture whether a thin cross is drawn over it, such as over those of
        inactive neurons.
    outlined : iterable of sequences of (slice, slice) or None, optional
        Rows that say of each picture which rows and columns of its pixels a line is drawn around,
        such as around those that a convolutional neuron sees.
    title : str, optional
        A title above everything.
    cell_pixels : int, default 112
        About how many screen pixels the longer side of the largest picture takes. The exact number
        is a whole multiple of the picture's own pixels, and no picture is ever made smaller.

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas of its own: `figure.savefig("maps.png")`.

    Raises
    ------
    ValueError
        If there is no picture, a picture is not of a form above, the numbers of titles or crosses
        and of rows or columns differ, or the figure would be too large to draw.
    """
    cells = [[_cell(entry, r, c) for c, entry in enumerate(row)] for r, row in enumerate(rows)]
    columns = max((len(row) for row in cells), default=0)
    sides = [max(cell.shape[:2]) for row in cells for cell in row if cell is not None]
    if not sides:
        raise ValueError("rows holds no picture; expected at least one.")
    small_titles = _rows_of_cells("cell_titles", cell_titles, cells, "a title or None")
    crosses = _rows_of_cells("crossed_out", crossed_out, cells, "True or False")
    parts = _rows_of_cells("outlined", outlined, cells, "two slices or None")
    _check_number("row_titles", row_titles, len(cells), "rows")
    _check_number("column_titles", column_titles, columns, "columns")
    if cell_pixels < 1:
        raise ValueError(f"cell_pixels is {cell_pixels}; expected at least 1.")
    side = max(sides) * max(1, round(cell_pixels / max(sides)))

    page = _Page()
    row_labels = [page.text(words, _TITLE_SIZE, "right", "center") for words in row_titles or ()]
    column_labels = [
        page.text(words, _TITLE_SIZE, "center", "bottom", side) for words in column_titles or ()
    ]
    cell_labels = [
        [page.text(words or "", _CELL_TITLE_SIZE, "center", "bottom", side) for words in row]
        for row in small_titles
    ]
    # No title and an empty title alike have no extent.
    row_extents = [page.extent(label) for label in row_labels] or [NOTHING] * len(cells)
    column_extents = [page.extent(label) for label in column_labels] or [NOTHING] * columns
    cell_extents = [[page.extent(label) for label in row] for row in cell_labels] or [
        [NOTHING] * len(row) for row in cells
    ]

    across = place_columns(side, row_extents, column_extents, cell_extents)
    heading = None
    if title:
        heading = page.text(title, _HEADING_SIZE, "center", "top", across.end - 2 * MARGIN)
    heading_extent = page.extent(heading) if heading is not None else NOTHING
    down = place_rows(side, heading_extent, row_extents, column_extents, cell_extents)
    layout = GridLayout(side, across, down)
    if max(layout.width, layout.height) > _LARGEST_FIGURE_SIDE:
        raise ValueError(
            f"A grid of {len(cells)} rows and {columns} columns would take {layout.width} x "
            f"{layout.height} pixels, and {_LARGEST_FIGURE_SIDE} is the most that a side can have; "
            f"draw fewer pictures at a time, or give a smaller cell_pixels than {cell_pixels}."
        )

    page.resize(layout.width, layout.height)
    if heading is not None:
        page.place(heading, layout.heading)
    for c, label in enumerate(column_labels):
        page.place(label, layout.column_title(c))
    for r, label in enumerate(row_labels):
        page.place(label, layout.row_title(r))
    for r, labels in enumerate(cell_labels):
        for c, label in enumerate(labels):
            page.place(label, layout.cell_title(r, c))
    for r, row in enumerate(cells):
        for c, cell in enumerate(row):
            if cell is not None:
                box = layout.picture(r, c, cell.shape[:2])
                page.draw(cell, box, is_crossed_out=bool(crosses and crosses[r][c]))
                if parts and parts[r][c] is not None:
                    page.outline(parts[r][c], box, cell.shape)
    return page.figure


class _Page:
    """A figure on which texts are measured, and texts and pictures are put in screen pixels."""

    def __init__(self) -> None:
        # Only who draws waits for matplotlib.
        from insens_tf.shown_figure import ShownFigure

        self.figure = ShownFigure(dpi=_DOTS_PER_INCH)
        self._width, self._height = 1, 1

    def text(
        self, words: str, size: float, across: str, down: str, widest: int | None = None
    ) -> Text:
        """Add a text, broken between words where it is wider than `widest`."""
        label = self.figure.text(0, 0, words, fontsize=size, ha=across, va=down, **_TEXT)
        if widest is not None:
            self._break_lines(label, widest)
        return label

    def extent(self, label: Text) -> Extent:
        """Return how much room a text takes."""
        if not label.get_text().strip():
            return NOTHING
        box = label.get_window_extent()
        return Extent(int(np.ceil(box.width)), int(np.ceil(box.height)))

    def _break_lines(self, label: Text, widest: int) -> None:
        def fits(line: str) -> bool:
            label.set_text(line)
            return self.extent(label).width <= widest

        label.set_text(broken_lines(label.get_text(), fits))

    def resize(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self.figure.set_size_inches(width / _DOTS_PER_INCH, height / _DOTS_PER_INCH)

    def place(self, label: Text, place: tuple[float, float]) -> None:
        left, top = place
        label.set_position((left / self._width, 1 - top / self._height))

    def draw(self, rgb: NDArray[np.uint8], box: Box, *, is_crossed_out: bool) -> None:
        """Draw a framed picture, magnified to the size of the box."""
        from matplotlib.lines import Line2D

        # The frame lies outside the picture: a white map keeps its edge and no pixel is covered.
        self._fill(box.grown(1), _FRAME_COLOUR, zorder=-1)
        # The image ends a hair inside its pixels: rounding must not make it reach into others.
        axes = self.figure.add_axes(self._fractions(box, beyond=-_HAIR))
        axes.set_axis_off()
        # The origin is given, so that a reader's own matplotlib settings cannot turn pictures
        # upside down.
        axes.imshow(rgb, interpolation="nearest", aspect="auto", origin="upper")
        if is_crossed_out:
            for ends in ((0, 1), (1, 0)):
                axes.add_artist(Line2D((0, 1), ends, transform=axes.transAxes, **_CROSS))

    def outline(self, part: Part, box: Box, shape: Sequence[int]) -> None:
        """Draw a line around a part of a picture that is in the box; it covers no pixel of it."""
        rows, columns = part
        pixel = box.height // shape[0]
        inside = Box(
            box.left + pixel * columns.start,
            box.top + pixel * rows.start,
            pixel * (columns.stop - columns.start),
            pixel * (rows.stop - rows.start),
        )
        for width, colour in _OUTLINES:
            left, top, across, down = inside.grown(width)
            for side in (
                Box(left, top, across, width),
                Box(left, top + down - width, across, width),
                Box(left, top, width, down),
                Box(left + across - width, top, width, down),
            ):
                self._fill(side, colour, zorder=1)

    def _fill(self, box: Box, colour: str, zorder: int) -> None:
        """Fill a box, to the pixel, behind (below 0) or above the pictures."""
        from matplotlib.patches import Rectangle

        left, bottom, width, height = self._fractions(box)
        filled = Rectangle(
            (left, bottom),
            width,
            height,
            facecolor=colour,
            edgecolor="none",
            antialiased=False,
            zorder=zorder,
        )
        self.figure.add_artist(filled)

    def _fractions(self, box: Box, beyond: float = 0) -> tuple[float, float, float, float]:
        """Return (left, bottom, width, height) of a box in fractions of the figure.

        The box is `beyond` screen pixels larger on each side.
        """
        return (
            (box.left - beyond) / self._width,
            1 - (box.top + box.height + beyond) / self._height,
            (box.width + 2 * beyond) / self._width,
            (box.height + 2 * beyond) / self._height,
        )


def _cell(entry: ArrayLike | None, row: int, column: int) -> NDArray[np.uint8] | None:
    """Return a picture as RGB, or None for an empty cell."""
    if entry is None:
        return None
    array = np.asarray(entry)
    place = f"The picture in row {row}, column {column}"
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            f"{place} has the shape {np.shape(entry)}; expected (height, width), (height, width, "
            "1) or (height, width, 3)."
        )
    if array.dtype != np.uint8:
        values = finite_real_numbers(array, place)
        if values.min() < 0 or values.max() > 1:
            raise ValueError(
                f"{place} has values from {values.min():.4g} to {values.max():.4g}; expected "
                "uint8, or numbers in 0..1. Use heatmap for signed maps and picture for inputs of "
                "another range."
            )
        array = np.rint(values * 255).astype(np.uint8)
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _rows_of_cells(
    argument: str, given: Iterable[Sequence[Any]] | None, cells: Sequence[Sequence[Any]], one: str
) -> list[list[Any]]:
    """Return what is given for each picture, row by row; an empty list if nothing is."""
    if given is None:
        return []
    rows = [list(row) for row in given]
    if [len(row) for row in rows] != [len(row) for row in cells]:
        raise ValueError(
            f"{argument} has rows of {[len(row) for row in rows]} entries, and there are rows of "
            f"{[len(row) for row in cells]} pictures; expected {one} for each picture."
        )
    return rows


def _check_number(argument: str, titles: Sequence[str] | None, expected: int, of: str) -> None:
    if titles is None:
        return
    if isinstance(titles, str) or len(titles) != expected:
        raise ValueError(
            f"{argument} is {titles!r}; expected a sequence of {expected} titles, as there are "
            f"{expected} {of}."
        )
