"""Activations as data, by the names that Keras and TensorFlow give them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

__all__ = ["NAMED", "SMOOTH", "PiecewiseLinear", "Smooth", "hard_sigmoid", "named", "relu"]


@dataclass(frozen=True)
class PiecewiseLinear:
    """f(v) = scale * g(v - threshold) + offset, where g switches at 0.

    The neuron's activity is u = v - threshold: the weighted sum plus bias, measured from where the
    function switches. g(u) is negative_slope * u for u <= 0, u + jump for 0 < u < ceiling, and
    ceiling + jump for u >= ceiling.
    """

    negative_slope: Any = 0.0
    threshold: float = 0.0
    jump: float = 0.0
    ceiling: float | None = None
    scale: float = 1.0
    offset: float = 0.0


def relu(
    negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> PiecewiseLinear:
    """Return Keras' ReLU: negative_slope * (v - threshold) for v <= threshold, v up to max_value.

    The threshold is at least 0.
    """
    ceiling = None if max_value is None else float(max_value) - threshold
    return PiecewiseLinear(negative_slope, threshold, jump=threshold, ceiling=ceiling)


def hard_sigmoid(slope: float) -> PiecewiseLinear:
    """Return the line of this slope through 0.5 at 0, clipped to 0..1."""
    width = 1 / slope
    return PiecewiseLinear(threshold=-width / 2, ceiling=width, scale=slope)


_ABSOLUTE = PiecewiseLinear(negative_slope=-1.0)

NAMED = {
    "abs": _ABSOLUTE,
    "absolute": _ABSOLUTE,
    "hard_tanh": PiecewiseLinear(threshold=-1.0, ceiling=2.0, offset=-1.0),
    # Keras' and TensorFlow's own default slope.
    "leaky_relu": relu(0.2),
    "relu": relu(),
    "relu6": relu(max_value=6.0),
}
"""Piecewise linear activations without settings, by the names of their functions."""


def named(function: Any) -> PiecewiseLinear | None:
    """Return the activation that a function of Keras or TensorFlow is; None if it is not known."""
    if function.__name__ == "hard_sigmoid":
        package = sys.modules[function.__module__.partition(".")[0]]
        is_keras_2 = package.__version__.startswith("2.")
        return hard_sigmoid(0.2 if is_keras_2 else 1 / 6)
    return NAMED.get(function.__name__)


class Smooth(NamedTuple):
    """An activation that is not piecewise linear, and is 0 at 0.

    Attributes
    ----------
    function : callable
        Takes a tensor of activities.
    slope_at_zero : float
        The derivative at 0, from below where the sides differ, as a neuron is inactive at 0.
    """

    function: Callable[[tf.Tensor], tf.Tensor]
    slope_at_zero: float


def _mish(value: tf.Tensor) -> tf.Tensor:
    return value * tf.tanh(tf.math.softplus(value))


SMOOTH = {
    "elu": Smooth(tf.nn.elu, 1.0),
    "gelu": Smooth(tf.nn.gelu, 0.5),
    "mish": Smooth(_mish, 0.6),
    "selu": Smooth(tf.nn.selu, 1.0507009873554805 * 1.6732632423543772),
    "silu": Smooth(tf.nn.silu, 0.5),
    "softsign": Smooth(tf.nn.softsign, 1.0),
    "swish": Smooth(tf.nn.silu, 0.5),
    "tanh": Smooth(tf.tanh, 1.0),
}
"""Smooth activations of Keras without settings, by the names of their functions."""
