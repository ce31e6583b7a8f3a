"""Where the crops of each layer lie: plain geometry, known before any input is.

What an input pixel reaches in a layer is a crop of it. Pixels are taken in blocks as large as the
layer's stride, so that every block's crop lies alike: along an axis, block b's at the layer's
positions b + start, b + start + 1, ...
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from insens_tf.receptive_field import Window

__all__ = ["Layout", "Span"]


@dataclass(frozen=True)
class Span:
    """Where crops lie along one axis: block b's at b + start, for `length` positions.

    `stride` is how many input pixels there are to a position, and to a block.
    """

    stride: int = 1
    start: int = 0
    length: int = 1

    def merged(self, factor: int) -> Span:
        """Return where the crops of `factor` neighbouring blocks lie, taken as one block's.

        In positions from `factor` times the new block's number.
        """
        return replace(self, length=self.length + factor - 1)

    def through(self, window: Window) -> Span:
        """Return where the output positions lie whose windows touch the crops of merged blocks."""
        merged = self.merged(window.stride)
        first = -(-(merged.start - window.size + 1 + window.padding) // window.stride)
        last = (merged.start + merged.length - 1 + window.padding) // window.stride
        return Span(self.stride * window.stride, first, last - first + 1)

    def union(self, other: Span) -> Span:
        """Return the span that covers both, of the same stride."""
        start = min(self.start, other.start)
        end = max(self.start + self.length, other.start + other.length)
        return Span(self.stride, start, end - start)


@dataclass(frozen=True)
class Layout:
    """Where the crops of a layer lie, and which input component each crop of a block belongs to.

    `components` are (row, column, channel) of the input, counted from the block's first pixel.
    """

    rows: Span
    columns: Span
    components: tuple[tuple[int, int, int], ...]

    @property
    def spans(self) -> tuple[Span, Span]:
        """Of rows and of columns."""
        return self.rows, self.columns

    def through(self, windows: tuple[Window, ...]) -> Layout:
        """Return the layout behind an operation with these windows."""
        down, right = (window.stride for window in windows)
        components = tuple(
            (row + i * self.rows.stride, column + j * self.columns.stride, channel)
            for i in range(down)
            for j in range(right)
            for row, column, channel in self.components
        )
        rows, columns = (
            span.through(window) for span, window in zip((self.rows, self.columns), windows)
        )
        return Layout(rows, columns, components)

    def union(self, other: Layout) -> Layout:
        """Return the layout that covers both, of the same blocks, with this one's components."""
        return Layout(
            self.rows.union(other.rows), self.columns.union(other.columns), self.components
        )
