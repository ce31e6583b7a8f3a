"""Seeing maps: signed maps as red, white and blue pictures, pictures side by side in a grid.

`heatmap` draws what the paper's figures draw: white where a map is 0, red where it is positive,
blue where it is negative, the intensity normalised in every map by that map's largest magnitude.
`picture` turns a model's inputs into pictures that can stand next to them, and `grid` sets pictures
into a figure. Arrays go in and arrays or a `matplotlib.figure.Figure` come out; nothing here uses
`matplotlib.pyplot` or any other global state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["channel_rules", "grid", "heatmap", "picture"]


def _sum_of_channels(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sum(maps, axis=-1)


def _channel_of_largest_magnitude(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    strongest = np.argmax(np.abs(maps), axis=-1)[..., np.newaxis]
    return np.take_along_axis(maps, strongest, axis=-1)[..., 0]


_CHANNEL_RULES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "sum": _sum_of_channels,
    "largest": _channel_of_largest_magnitude,
}

channel_rules: tuple[str, ...] = tuple(_CHANNEL_RULES)
"""Names of the rules by which `heatmap` makes one signed value of a pixel's colour channels."""

# Beyond these the last axis of a rank 3 array is hardly a colour axis (grey, grey and alpha, RGB,
# RGB and alpha).
_LARGEST_COLOUR_AXIS = 4


def heatmap(
    maps: ArrayLike, channels: str | None = "sum", *, dtype: DTypeLike = np.uint8
) -> NDArray[Any]:
    """Draw signed maps: white at 0, red where positive, blue where negative.

    Each map is divided by its own largest magnitude, so its strongest pixel is full red or full
    blue and the others are in proportion. A map that is 0 everywhere is white.

    Parameters
    ----------
    maps : array_like of real numbers
        One map or a batch of any size, also an empty one. Whether the last axis holds colour
        channels is said by `channels` and never guessed from the shape:

        ==================  =============================  ==========================
        `channels`          one map                        a batch
        ==================  =============================  ==========================
        the name of a rule  (height, width, channels)      (n, height, width, channels)
        None                (height, width)                (n, height, width)
        ==================  =============================  ==========================

        A rank 2 array can only be one map without channels and is taken as such under any rule. A
        rank 3 array with more than 4 entries on its last axis is refused under a named rule: it
        looks like a batch without channels.
    channels : {"sum", "largest"} or None, default "sum"
        The rule that makes one signed value of a pixel's colour channels. "sum" is what happens to
        the quantity when all channels of the pixel change alike (for contributions: the pixel's
        whole contribution), and since maps are normalised it draws the same picture as the mean
        would. "largest" takes the channel with the largest magnitude, with its sign, so that
        opposite signs in one pixel do not cancel. None: there is no channel axis.
    dtype : numpy dtype, default uint8
        uint8 for values in 0..255, or a floating type for values in 0..1.

    Returns
    -------
    numpy.ndarray
        RGB, of shape (height, width, 3) for one map and (n, height, width, 3) for a batch.

    Raises
    ------
    ValueError
        If the shape and `channels` do not go together, a value is not finite, the values are not
        real numbers, or `channels` or `dtype` is unknown.
    """
    if channels is not None and channels not in _CHANNEL_RULES:
        known = ", ".join(repr(name) for name in _CHANNEL_RULES)
        raise ValueError(f"channels is {channels!r}; expected one of {known}, or None.")
    out_dtype = _picture_dtype(dtype)
    values = _finite_real_numbers(maps, "maps")
    has_channels = _has_channel_axis(values.shape, channels)
    single = values.ndim - has_channels == 2
    batch = values[np.newaxis] if single else values
    if 0 in batch.shape[1:]:
        raise ValueError(f"maps has the shape {values.shape}, which leaves no pixel to draw.")

    # Dividing before the channels are reduced keeps very large values from overflowing in their
    # sum.
    batch = _divided_by_largest_magnitude(batch)
    if has_channels and channels is not None:
        batch = _divided_by_largest_magnitude(_CHANNEL_RULES[channels](batch))

    magnitude = np.abs(batch)
    rgb = np.stack(
        [
            np.where(batch < 0, 1 - magnitude, 1),  # red goes where the map is negative
            1 - magnitude,
            np.where(batch > 0, 1 - magnitude, 1),  # blue goes where it is positive
        ],
        axis=-1,
    )
    if out_dtype == np.uint8:
        rgb = np.rint(rgb * 255)
    rgb = rgb.astype(out_dtype)
    return rgb[0] if single else rgb


def picture(images: ArrayLike) -> NDArray[np.uint8]:
    """Make RGB pictures of a model's inputs, to be shown next to their maps.

    Parameters
    ----------
    images : array_like of real numbers
        (height, width), (height, width, channels) or (n, height, width, channels), with 1 (grey) or
        3 (RGB) channels. uint8 values are pixels already. Of other types, values that all lie in
        0..1 are stretched to 0..255, values that all lie in 0..255 are rounded, and anything else
        (standardised inputs, say) is stretched from the smallest to the largest value of the whole
        array.

    Returns
    -------
    numpy.ndarray of uint8
        RGB, (height, width, 3) or (n, height, width, 3).

    Raises
    ------
    ValueError
        If the shape is none of these, or a value is not a finite real number.
    """
    values = _finite_real_numbers(images, "images")
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if values.ndim not in (3, 4) or values.shape[-1] not in (1, 3):
        raise ValueError(
            f"images has the shape {values.shape}; expected (height, width), or (height, width, "
            "channels) or (n, height, width, channels) with 1 or 3 channels. Add a channel axis to "
            "grey images with images[..., numpy.newaxis]."
        )
    if np.asarray(images).dtype != np.uint8 and values.size:
        smallest, largest = values.min(), values.max()
        if smallest >= 0 and largest <= 1:
            values = values * 255
        elif smallest < 0 or largest > 255:
            # Halving first keeps the difference of two very large values of opposite sign finite.
            span = max(largest / 2 - smallest / 2, np.finfo(np.float64).tiny)
            values = (values / 2 - smallest / 2) / span * 255
    pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


# Sizes are in screen pixels. 128 dots to the inch make every one of them an exact binary fraction
# of an inch, so that no rounding in matplotlib can move a picture off the pixel raster.
_DOTS_PER_INCH = 128
_GAP = 8
_MARGIN = 12
_LINE_SPACING = 1.15
_HAIR = 1e-3
_LARGEST_FIGURE_SIDE = 2**16 - 1
_FRAME_COLOUR = "0.8"
_CROSS: dict[str, Any] = {"color": "0.25", "linewidth": 0.6}
_TITLE_SIZE = 9
_CELL_TITLE_SIZE = 7


def grid(
    rows: Iterable[Iterable[ArrayLike | None]],
    row_titles: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
    *,
    cell_titles: Iterable[Sequence[str | None]] | None = None,
    crossed_out: Iterable[Sequence[bool]] | None = None,
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    cells = [[_cell(entry, r, c) for c, entry in enumerate(row)] for r, row in enumerate(rows)]
    columns = max((len(row) for row in cells), default=0)
    sides = [max(cell.shape[:2]) for row in cells for cell in row if cell is not None]
    if not sides:
        raise ValueError("rows holds no picture; expected at least one.")
    small_titles = _rows_of_cells("cell_titles", cell_titles, cells, "a title or None")
    crosses = _rows_of_cells("crossed_out", crossed_out, cells, "True or False")
    _check_number("row_titles", row_titles, len(cells), "rows")
    _check_number("column_titles", column_titles, columns, "columns")
    if cell_pixels < 1:
        raise ValueError(f"cell_pixels is {cell_pixels}; expected at least 1.")
    cell_side = max(sides) * max(1, round(cell_pixels / max(sides)))

    figure = Figure(dpi=_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)

    def text(words: str, size: float, **placing: Any) -> Text:
        # Titles are plain text: a dollar sign in the name of a layer or a file starts no formula.
        return figure.text(
            0, 0, words, fontsize=size, linespacing=_LINE_SPACING, parse_math=False, **placing
        )

    def extent(label: Text) -> tuple[int, int]:
        if not label.get_text().strip():
            return 0, 0
        box = label.get_window_extent(canvas.get_renderer())
        return int(np.ceil(box.width)), int(np.ceil(box.height))

    def wrap(label: Text, width: int) -> None:
        lines: list[str] = []
        for given_line in label.get_text().split("\n"):
            line = ""
            for word in given_line.split(" "):
                longer = f"{line} {word}" if line else word
                label.set_text(longer)
                if line and extent(label)[0] > width:
                    lines.append(line)
                    line = word
                else:
                    line = longer
            lines.append(line)
        label.set_text("\n".join(lines))

    row_labels = [text(words, _TITLE_SIZE, ha="right", va="center") for words in row_titles or []]
    column_labels = [
        text(words, _TITLE_SIZE, ha="center", va="bottom") for words in column_titles or []
    ]
    cell_labels = [
        [text(words or "", _CELL_TITLE_SIZE, ha="center", va="bottom") for words in row]
        for row in small_titles
    ]
    for label in [*column_labels, *(label for row in cell_labels for label in row)]:
        wrap(label, cell_side)

    def widest(labels: Iterable[Text]) -> int:
        return max((extent(label)[0] for label in labels), default=0)

    def tallest(labels: Iterable[Text]) -> int:
        return max((extent(label)[1] for label in labels), default=0)

    def room(size: int) -> int:
        return size + _GAP if size else 0

    column_widths = [
        max(
            cell_side,
            extent(column_labels[c])[0] if column_labels else 0,
            widest(row[c] for row in cell_labels if c < len(row)),
        )
        for c in range(columns)
    ]
    left = _MARGIN + room(widest(row_labels))
    column_lefts = [left + sum(column_widths[:c]) + c * _GAP for c in range(columns)]
    width = column_lefts[-1] + column_widths[-1] + _MARGIN
    heading = text(title, _TITLE_SIZE + 2, ha="center", va="top") if title else None
    if heading is not None:
        wrap(heading, width - 2 * _MARGIN)
    top = _MARGIN + (room(extent(heading)[1]) if heading is not None else 0)
    first_row = top + room(tallest(column_labels))
    row_heights = [
        room(tallest(cell_labels[r]) if cell_labels else 0)
        + max(cell_side, extent(row_labels[r])[1] if row_labels else 0)
        for r in range(len(cells))
    ]
    height = first_row + sum(row_heights) + (len(cells) - 1) * _GAP + _MARGIN
    if max(width, height) > _LARGEST_FIGURE_SIDE:
        raise ValueError(
            f"A grid of {len(cells)} rows and {columns} columns would take {width} x {height} "
            f"pixels, and {_LARGEST_FIGURE_SIDE} is the most that a side can have; draw fewer "
            f"pictures at a time, or give a smaller cell_pixels than {cell_pixels}."
        )
    figure.set_size_inches(width / _DOTS_PER_INCH, height / _DOTS_PER_INCH)

    def place(label: Text, from_left: float, from_top: float) -> None:
        label.set_position((from_left / width, 1 - from_top / height))

    if heading is not None:
        place(heading, width / 2, _MARGIN)
    for c, label in enumerate(column_labels):
        place(label, column_lefts[c] + column_widths[c] / 2, first_row - _GAP)
    row_top = first_row
    for r, row in enumerate(cells):
        picture_top = row_top + row_heights[r] - cell_side
        if row_labels:
            place(row_labels[r], left - _GAP, picture_top + cell_side / 2)
        for c, cell in enumerate(row):
            middle = column_lefts[c] + column_widths[c] / 2
            if cell_labels:
                place(cell_labels[r][c], middle, picture_top - _GAP / 2)
            if cell is None:
                continue
            magnification = cell_side // max(cell.shape[:2])
            shown_height, shown_width = (magnification * side for side in cell.shape[:2])
            x = int(middle - shown_width / 2)
            y = picture_top + (cell_side - shown_height) // 2
            # The frame lies outside the picture: a white map keeps its edge and no pixel is
            # covered.
            figure.add_artist(
                Rectangle(
                    ((x - 1) / width, 1 - (y + shown_height + 1) / height),
                    (shown_width + 2) / width,
                    (shown_height + 2) / height,
                    facecolor=_FRAME_COLOUR,
                    edgecolor="none",
                    antialiased=False,
                    zorder=-1,
                )
            )
            # A hair inside its pixels: rounding must not make the image reach into the next ones.
            axes = figure.add_axes(
                (
                    (x + _HAIR) / width,
                    1 - (y + shown_height - _HAIR) / height,
                    (shown_width - 2 * _HAIR) / width,
                    (shown_height - 2 * _HAIR) / height,
                )
            )
            axes.set_axis_off()
            # The origin is given, so that a reader's own matplotlib settings cannot turn pictures
            # upside down.
            axes.imshow(cell, interpolation="nearest", aspect="auto", origin="upper")
            if crosses and crosses[r][c]:
                for ends in ((0, 1), (1, 0)):
                    line = Line2D((0, 1), ends, transform=axes.transAxes, **_CROSS)
                    axes.add_artist(line)
        row_top += row_heights[r] + _GAP
    return figure


def _finite_real_numbers(values: ArrayLike, argument: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{argument} is no array: its rows differ in length ({error}).") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{argument} holds {array.dtype} values; expected real numbers in one regular array."
        )
    array = array.astype(np.float64)
    not_finite = ~np.isfinite(array)
    if not_finite.any():
        first = tuple(int(index) for index in np.argwhere(not_finite)[0])
        raise ValueError(
            f"{argument} holds {int(not_finite.sum())} values that are NaN or infinite, the first "
            f"at {first}; expected finite values. The centre and contribution of a neuron whose "
            "switched weights are all 0 are NaN: leave such neurons out."
        )
    return array


def _has_channel_axis(shape: tuple[int, ...], channels: str | None) -> bool:
    ways = (
        "a rule's name for (height, width, channels) and (n, height, width, channels), or "
        "channels=None for (height, width) and (n, height, width)"
    )
    if len(shape) == 2:
        return False
    if channels is None:
        if len(shape) != 3:
            raise ValueError(
                f"maps has the shape {shape}, which does not go with channels=None; give {ways}."
            )
        return False
    if len(shape) not in (3, 4):
        raise ValueError(
            f"maps has the shape {shape}, which does not go with channels={channels!r}; give "
            f"{ways}."
        )
    if len(shape) == 3 and shape[-1] > _LARGEST_COLOUR_AXIS:
        raise ValueError(
            f"maps has the shape {shape}, which channels={channels!r} reads as one map with "
            f"{shape[-1]} colour channels. Give channels=None if it is a batch of maps without "
            "channels, (n, height, width), or maps[numpy.newaxis] if it really is one map."
        )
    return True


def _divided_by_largest_magnitude(batch: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.max(np.abs(batch), axis=tuple(range(1, batch.ndim)), keepdims=True)
    # A map of zeros stays a map of zeros, which is white.
    return np.divide(batch, largest, out=np.zeros_like(batch), where=largest > 0)


def _picture_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = np.dtype(object)
    if wanted != np.uint8 and wanted.kind != "f":
        raise ValueError(
            f"dtype is {dtype!r}; expected uint8 (values 0..255) or a floating type (values 0..1)."
        )
    return wanted


def _cell(entry: ArrayLike | None, row: int, column: int) -> NDArray[np.uint8] | None:
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
        values = _finite_real_numbers(array, place)
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
