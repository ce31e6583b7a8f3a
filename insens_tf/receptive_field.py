"""The part of the input that an output position sees: windows, and receptive fields of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["POINTWISE", "WHOLE", "Locality", "ReceptiveField", "Window"]


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
