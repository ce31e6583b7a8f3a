"""Where the crops of each layer lie: plain geometry, known before any input is.

What an input pixel reaches in a layer is a crop of it. Pixels are taken in blocks as large as the
layer's stride, so that every block's crop lies alike: along an axis, block b's at the layer's
positions b + start, b + start + 1, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from insens_tf.graph import Graph
from insens_tf.operations import (
    Add,
    ChannelScaling,
    Concatenate,
    Convolution,
    Gate,
    GlobalAveragePooling,
    Input,
    Matrix,
    Pooling,
    Reshape,
    ZeroPadding,
)
from insens_tf.receptive_field import Window

__all__ = ["Layout", "Span", "layouts"]


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


def layouts(graph: Graph, ancestors: Sequence[int]) -> dict[int, Layout] | None:
    """Return the layout of each position that has rows, columns and channels.

    None if some operation among `ancestors` has no rule here.
    """
    found: dict[int, Layout] = {}
    for position in ancestors:
        operation = graph.operations[position]
        operands = [found.get(operand) for operand in operation.operands]
        match operation:
            case Input():
                if len(operation.shape) == 3:
                    components = tuple((0, 0, channel) for channel in range(operation.shape[-1]))
                    found[position] = Layout(Span(), Span(), components)
                elif len(operation.shape) != 1:
                    return None
            case Convolution() | Pooling() | ZeroPadding():
                if operands[0] is None:
                    return None
                found[position] = operands[0].through(operation.locality.windows or ())
            case Gate() | ChannelScaling() | Matrix():
                if operands[0] is not None and len(operation.shape) == 3:
                    found[position] = operands[0]
            case Add() | Concatenate():
                joined = operands[0]
                if joined is None:
                    return None
                for other in operands[1:]:
                    if other is None or sorted(other.components) != sorted(joined.components):
                        return None
                    joined = Layout(
                        joined.rows.union(other.rows),
                        joined.columns.union(other.columns),
                        joined.components,
                    )
                found[position] = joined
            case GlobalAveragePooling():
                if len(operation.shape) != 1:
                    return None
            case Reshape():
                # Flattened, and taken up by dense layers only.
                consumers = [
                    graph.operations[other]
                    for other in ancestors
                    if position in graph.operations[other].operands
                ]
                if len(operation.shape) != 1 or not all(
                    isinstance(one, Matrix) for one in consumers
                ):
                    return None
            case _:
                return None
    return found
