"""Pooling: the largest of a window, or the mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from insens_tf.operations.operation import Affine, Operation
from insens_tf.receptive_field import Locality, Window

__all__ = ["AveragePooling", "GlobalAveragePooling", "MaxPooling", "Pooling", "WindowElement"]


@dataclass(frozen=True, eq=False)
class Pooling(Operation):
    """Pooling over the spatial axes, one to three of them, of each channel alone."""

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    operand_shape: tuple[int, ...]

    @property
    def locality(self) -> Locality:
        return Locality(
            tuple(
                Window.of(size, stride, self.padding, length)
                for size, stride, length in zip(self.window, self.strides, self.operand_shape)
            )
        )


class MaxPooling(Pooling):
    """Max pooling; the first of equal maxima wins, as in TensorFlow's own gradient over 2 axes."""

    @property
    def has_state(self) -> bool:
        return True

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        padding = self.padding.upper()
        if len(self.window) == 2:
            return tf.nn.max_pool2d(value, self.window, self.strides, padding)
        # TensorFlow's pooling of three axes is not used, as its gradient goes to all equal maxima.
        # Pooling each plane, and then the first axis, finds the first of all.
        if len(self.window) == 3:
            planes = tf.reshape(value, (-1, *self.operand_shape[1:]))
            value = tf.nn.max_pool2d(planes, self.window[1:], self.strides[1:], padding)
        columns = math.prod(self.shape[1:-1])
        value = tf.reshape(value, (-1, self.operand_shape[0], columns, self.shape[-1]))
        value = tf.nn.max_pool2d(value, (self.window[0], 1), (self.strides[0], 1), padding)
        return tf.reshape(value, (-1, *self.shape))

    def winners(self, value: tf.Tensor) -> tf.Tensor:
        """Return which element wins each window: flat indices, int64, (batch, *shape)."""
        padding, channels = self.padding.upper(), self.shape[-1]
        if len(self.window) == 2:
            return tf.nn.max_pool_with_argmax(value, self.window, self.strides, padding)[1]
        elements = None
        if len(self.window) == 3:
            # The winners of each plane come first; their indices begin anew in each.
            depth, *plane = self.operand_shape
            value, elements = tf.nn.max_pool_with_argmax(
                tf.reshape(value, (-1, *plane)), self.window[1:], self.strides[1:], padding
            )
            first = tf.range(depth, dtype=tf.int64) * math.prod(plane)
            elements = tf.reshape(elements, (-1, depth, math.prod(value.shape[1:])))
            elements = tf.reshape(elements + first[:, tf.newaxis], (tf.shape(elements)[0], -1))
        columns = math.prod(self.shape[1:-1])
        value = tf.reshape(value, (-1, self.operand_shape[0], columns, channels))
        _, winners = tf.nn.max_pool_with_argmax(
            value, (self.window[0], 1), (self.strides[0], 1), padding
        )
        winners = tf.reshape(winners, (-1, self.size))
        if elements is not None:
            winners = tf.gather(elements, winners, batch_dims=1)
        return tf.reshape(winners, (-1, *self.shape))

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        # The derivative of TensorFlow's gradient is not used: where the result has the operand's
        # shape, it overwrites what it has yet to read.
        (change,) = changes
        winners = tf.reshape(self.winners(*values), (-1, self.size))
        of_each = (tf.shape(winners)[0], -1, math.prod(self.operand_shape))
        picked = tf.gather(tf.reshape(change, of_each), winners, axis=2, batch_dims=1)
        return tf.reshape(picked, (-1, *self.shape))

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        if len(self.window) != 2:
            return super().transposed(*values)
        (down, right), (rows, columns, channels) = self.window, self.shape
        whole = (rows * down, columns * right, channels)
        if self.window != self.strides or whole != self.operand_shape:
            return super().transposed(*values)
        # Windows side by side times their winners are much faster than TensorFlow's gradient.
        winners = tf.cast(self.winners(*values), tf.int32)
        winners = tf.reshape(winners, (1, rows, 1, columns, channels))
        winners = tf.reshape(tf.tile(winners, (1, 1, down, 1, right)), (1, *whole))
        places = tf.reshape(tf.range(math.prod(whole)), (1, *whole))
        wins = tf.cast(tf.equal(winners, places), values[0].dtype)

        def backward(gradient: tf.Tensor) -> Sequence[tf.Tensor]:
            gradient = tf.reshape(gradient, (-1, rows, 1, columns, channels))
            spread = tf.tile(gradient, (1, 1, down, 1, right))
            return [tf.reshape(spread, (-1, *whole)) * wins]

        return backward


class AveragePooling(Pooling, Affine):
    """Average pooling; padding does not count."""

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return tf.nn.avg_pool(value, self.window, self.strides, self.padding.upper())


@dataclass(frozen=True, eq=False)
class WindowElement(Pooling, Affine):
    """The element of each window that is at one place in it; 0 where that is beyond the edge.

    No layer of Keras: what the winner of a window is compared with.

    Attributes
    ----------
    place : tuple of int
        Counted from the window's first element along each spatial axis.
    """

    place: tuple[int, ...]

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        windows = self.locality.windows or ()
        pads, index = [(0, 0)], [slice(None)]
        for window, place, outputs, length in zip(
            windows, self.place, self.shape, self.operand_shape
        ):
            first = place - window.padding
            before = max(0, -first)
            last = first + (outputs - 1) * window.stride
            pads.append((before, max(0, last + 1 - length)))
            index.append(slice(first + before, last + before + 1, window.stride))
        padded = tf.pad(value, [*pads, (0, 0)])
        return self.of_known_shape(padded[tuple(index)])


@dataclass(frozen=True, eq=False)
class GlobalAveragePooling(Affine):
    """The mean over all axes but the last."""

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        axes = range(1, len(value.shape) - 1)
        return tf.reshape(tf.reduce_mean(value, axis=tuple(axes)), (-1, *self.shape))
