"""The rules of functions that a model is made with instead of layers: x + y, keras.ops.relu ...

Keras 2 has TensorFlow's names, Keras 3 classes of its own: TrueDivide is true_divide here.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from insens_tf import activations
from insens_tf.errors import UnreadableModelError
from insens_tf.operations import Computed
from insens_tf.reading.keras_graph import Operand
from insens_tf.reading.layer_rules import added, keras_relu, subtracted

if TYPE_CHECKING:
    from insens_tf.reading.reader import Call, Reader

__all__ = ["FUNCTIONS", "SMOOTH_FUNCTIONS", "USED_BY_FUNCTIONS"]

FunctionRule = Callable[["Reader", dict[str, Any], "Call"], int]

FUNCTIONS: dict[str, FunctionRule] = {}
"""The rule of each function, by its name."""

SMOOTH_FUNCTIONS = (
    "mish",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
)
"""Functions that are looked through at the output, as such activations are."""


USED_BY_FUNCTIONS: dict[str, tuple[str, ...]] = {}
"""The arguments beyond the first that the rule of each function uses; others are refused."""

BOTH = ("x1", "x2", "x", "y")


def _function(*names: str, uses: tuple[str, ...] = ()) -> Callable[[FunctionRule], FunctionRule]:
    def register(rule: FunctionRule) -> FunctionRule:
        FUNCTIONS.update(dict.fromkeys(names, rule))
        USED_BY_FUNCTIONS.update(dict.fromkeys(names, uses))
        return rule

    return register


@_function("add", uses=BOTH)
def _sum(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(reader, settings, call)
    if operand is None:
        return added(reader, call)
    return reader.scaled(call, operand, 1.0, constant)


@_function("subtract", uses=BOTH)
def _difference(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(reader, settings, call)
    if operand is None:
        return subtracted(reader, call)
    if isinstance(_both(settings)[0], Operand):
        return reader.scaled(call, operand, 1.0, _of(constant, operator.neg))
    return reader.scaled(call, operand, -1.0, constant)


@_function("multiply", uses=BOTH)
def _product(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(reader, settings, call)
    if operand is None:
        raise _nonlinear(reader, call, "a product of activities with each other")
    return reader.scaled(call, operand, constant)


@_function("divide", "true_divide", "truediv", uses=BOTH)
def _quotient(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(reader, settings, call)
    if operand is None or not isinstance(_both(settings)[0], Operand):
        raise _nonlinear(reader, call, "a division by activities")
    return reader.scaled(call, operand, _of(constant, lambda value: 1 / value))


@_function("negative")
def _negative(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    return reader.scaled(call, call.operand, -1.0)


def _both(settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return what a function of two arguments was called with, in order."""
    first, second = ("x1", "x2") if "x1" in settings else ("x", "y")
    return settings[first], settings[second]


def _of(constant: Any, change: Callable[[Any], Any]) -> Any:
    """Return what becomes of a constant; of a variable, what does whenever it is used."""
    if hasattr(constant, "assign"):
        return Computed(lambda: change(tf.convert_to_tensor(constant)), tuple(constant.shape))
    with np.errstate(all="ignore"):
        return change(constant)


def _with_constant(reader: Reader, settings: dict[str, Any], call: Call) -> tuple[int | None, Any]:
    """Return the one operand and the constant of a function of two; no operand where both are."""
    positions = [one.position for one in _both(settings) if isinstance(one, Operand)]
    if len(positions) == 2:
        return None, np.zeros(())
    (constant,) = (one for one in _both(settings) if not isinstance(one, Operand))
    if reader.shape(positions[0]) != call.shape:
        raise reader.refuse(
            call,
            "a constant that leaves the shape as it is",
            f"{call.shape} from {reader.shape(positions[0])}",
            "reshape or repeat the operand first",
        )
    return positions[0], constant if hasattr(constant, "assign") else np.asarray(constant, float)


def _nonlinear(reader: Reader, call: Call, found: str) -> UnreadableModelError:
    return reader.refuse(call, "a piecewise linear function", found, "cut the model before it")


@_function("abs", "absolute", "hard_tanh", "relu", "relu6")
def _named(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    return reader.gated(call, call.operand, activations.NAMED[settings["function_name"]])


@_function("re_lu", uses=("negative_slope", "max_value", "threshold"))
def _relu_with_settings(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    return reader.gated(call, call.operand, keras_relu(reader, settings, call))


@_function("leaky_relu", uses=("alpha", "negative_slope"))
def _leaky_relu_with_settings(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    # TensorFlow's own default where it was not given.
    slope = settings.get("alpha", settings.get("negative_slope", 0.2))
    return reader.gated(call, call.operand, activations.relu(float(slope)))


@_function("hard_sigmoid")
def _hard_sigmoid(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    return reader.gated(call, call.operand, activations.hard_sigmoid(1 / 6))


@_function("reshape", uses=("shape", "newshape"))
def _reshaped(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    if math.prod(call.shape) != math.prod(reader.shape(call.operand)):
        raise reader.refuse(
            call,
            "a shape that leaves the batch alone",
            f"{call.shape} from {reader.shape(call.operand)}",
            "use keras.layers.Reshape",
        )
    return reader.reshaped(call, call.operand, call.shape)


@_function("identity")
def _unchanged(reader: Reader, settings: dict[str, Any], call: Call) -> int:
    return call.operand
