"""The part of the input that an output position sees: windows, and receptive fields of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["POINTWISE", "WHOLE", "WHOLE_INPUT", "Block", "Locality", "ReceptiveField", "Window"]

Block = tuple[slice, ...]
"""A part of an input: a slice along each axis but the last."""


@dataclass(frozen=True)
class Window:
    """What output position o sees along one axis: `size` positions from `stride * o - padding`."""

    size: int
    stride: int = 1
    padding: int = 0

    @staticmethod
    def of(size: int, stride: int, padding: str, length: int, dilation: int = 1) -> Window:
        """Return the window of TensorFlow's "same" or "valid" padding over an axis of `length`."""
        extent = (size - 1) * dilation + 1
        if padding == "valid":
            return Window(extent, stride)
        outputs = -(-length // stride)
        return Window(extent, stride, max((outputs - 1) * stride + extent - length, 0) // 2)


@dataclass(frozen=True)
class Locality:
    """How an operation's output positions see its operand's positions.

    A position is an index into every axis but the last (the channels); all channels are seen.
    `windows` has one `Window` an axis; None with `whole` False means position by position.
    """

    windows: tuple[Window, ...] | None = None
    whole: bool = False


POINTWISE = Locality()
WHOLE = Locality(whole=True)


@dataclass(frozen=True)
class ReceptiveField:
    """The block of the input that a neuron sees: a `Window` an axis, None for all of it."""

    windows: tuple[Window, ...] | None

    def through(self, locality: Locality) -> ReceptiveField:
        """Return the field of what looks at this one with `locality`."""
        if self.windows is None or locality.whole:
            return ReceptiveField(None)
        if locality.windows is None:
            return self
        if len(locality.windows) != len(self.windows):
            return ReceptiveField(None)
        return ReceptiveField(
            tuple(
                Window(
                    size=below.size + below.stride * (above.size - 1),
                    stride=below.stride * above.stride,
                    padding=below.padding + below.stride * above.padding,
                )
                for below, above in zip(self.windows, locality.windows)
            )
        )

    def extent(self, lengths: Sequence[int]) -> tuple[int, ...] | None:
        """Return how many positions of an input of these lengths are seen along each axis.

        None where a neuron sees all of it.
        """
        if self.windows is None:
            return None
        return tuple(min(one.size, length) for one, length in zip(self.windows, lengths))

    def titled(self, title: str, lengths: Sequence[int]) -> str:
        """Return a title, with what each neuron sees below it where that is not all."""
        extent = self.extent(lengths)
        if extent is None or extent == tuple(lengths):
            return title
        return f"{title}\neach neuron sees {' x '.join(map(str, extent))}"

    def block(self, position: Sequence[int], lengths: Sequence[int]) -> Block:
        """Return what the neuron at a position sees of an input of these lengths.

        All of the input for a neuron that sees nothing but its padding.
        """
        whole = tuple(slice(0, length) for length in lengths)
        if self.windows is None:
            return whole
        starts = [one.stride * o - one.padding for one, o in zip(self.windows, position)]
        block = tuple(
            slice(max(0, start), min(length, start + one.size))
            for one, start, length in zip(self.windows, starts, lengths)
        )
        return block if all(one.start < one.stop for one in block) else whole

    @staticmethod
    def union(receptive_fields: Sequence[ReceptiveField]) -> ReceptiveField:
        """Return the smallest field that covers all of `receptive_fields`."""
        if any(field.windows is None for field in receptive_fields):
            return ReceptiveField(None)
        windows = []
        for axis in zip(*(field.windows for field in receptive_fields)):
            if len({window.stride for window in axis}) > 1:
                return ReceptiveField(None)
            padding = max(window.padding for window in axis)
            end = max(window.size - window.padding for window in axis)
            windows.append(Window(padding + end, axis[0].stride, padding))
        return ReceptiveField(tuple(windows))


WHOLE_INPUT = ReceptiveField(None)
