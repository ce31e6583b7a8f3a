"""Gates, which scale each neuron's activity by a slope that the state holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from insens_tf.operations.operation import Pointwise

__all__ = ["Gate", "RatioGate"]


@dataclass(frozen=True, eq=False)
class Gate(Pointwise):
    """A piecewise linear activation: each element scaled by the slope of the piece it lies on.

    The pieces are `negative_slope * v` for v <= 0, `v + jump` above, and the constant `ceiling +
    jump` from `ceiling` on. With the state held, a gate is the product with `slope`, so that is all
    its gradient is: at exactly 0 a neuron is inactive.
    """

    negative_slope: Any = 0.0
    ceiling: float | None = None
    jump: float = 0.0

    @property
    def has_state(self) -> bool:
        return True

    @property
    def is_relu(self) -> bool:
        """Whether its only pieces are 0 and the value itself."""
        return self.closes and self.ceiling is None and self.jump == 0

    @property
    def closes(self) -> bool:
        """Whether its slope is 0 wherever it is inactive."""
        return isinstance(self.negative_slope, float) and self.negative_slope == 0.0

    def slope(self, value: tf.Tensor) -> tf.Tensor:
        """Return the derivative at each element of `value`, same shape and dtype."""
        above = tf.ones_like(value)
        if self.ceiling is not None:
            above = tf.where(value >= self.ceiling, tf.zeros_like(value), above)
        return tf.where(value > 0, above, tf.cast(self.negative_slope, value.dtype))

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        slope = self.slope(*values)
        return lambda gradient: [gradient * slope]

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        (change,) = changes
        slope = self.slope(*values)
        of_each = tf.reshape(change, (tf.shape(slope)[0], -1, *self.shape))
        return tf.reshape(of_each * slope[:, tf.newaxis], (-1, *self.shape))

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        jumps = self.ceiling is not None or self.jump != 0
        if self.is_relu:
            # Its gradient at 0 is 0 too, and it is three times as fast.
            return tf.nn.relu(value)
        result = tf.stop_gradient(self.slope(value)) * value
        return result + tf.stop_gradient(self._offset(value)) if jumps else result

    def _offset(self, value: tf.Tensor) -> tf.Tensor:
        """Return what each element's piece is at 0, if it were as long."""
        above = tf.fill(tf.shape(value), tf.cast(self.jump, value.dtype))
        if self.ceiling is not None:
            saturated = tf.cast(self.ceiling + self.jump, value.dtype)
            above = tf.where(value >= self.ceiling, saturated, above)
        return tf.where(value > 0, above, tf.zeros_like(value))


@dataclass(frozen=True, eq=False)
class RatioGate(Gate):
    """A smooth activation as a gate: each element scaled by activity out over activity in.

    Held fixed, as a gate's slope is, so that v = x w + b is exact; w is no derivative then. The
    function is 0 at 0, where the ratio is its slope.
    """

    function: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    slope_at_zero: float = 1.0

    def slope(self, value: tf.Tensor) -> tf.Tensor:
        at_zero = tf.equal(value, 0)
        divisor = tf.where(at_zero, tf.ones_like(value), value)
        ratio = self.function(divisor) / divisor
        return tf.where(at_zero, tf.cast(self.slope_at_zero, value.dtype), ratio)

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return tf.stop_gradient(self.slope(value)) * value
