"""One rule a function that a model calls in place of a layer, such as x + y or keras.ops.relu.

Keras 2 uses TensorFlow's names, Keras 3 has classes of its own: TrueDivide is true_divide here.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf import activations
from insens_tf.errors import UnreadableModelError
from insens_tf.operations import Computed
from insens_tf.reading.graph_builder import Call, GraphBuilder
from insens_tf.reading.keras_graph import Operand
from insens_tf.reading.layer_rules import relu_with_settings

__all__ = ["FUNCTIONS", "SMOOTH_FUNCTIONS", "USED_BY_FUNCTIONS"]

FunctionRule = Callable[[GraphBuilder, dict[str, Any], Call], int]

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
"""Smooth functions: at the output they are looked through, as smooth activations are."""

USED_BY_FUNCTIONS: dict[str, tuple[str, ...]] = {}
"""The arguments that each rule uses beyond the first; a function with others is refused."""

_BOTH_OPERANDS = ("x1", "x2", "x", "y")


def _function(*names: str, uses: tuple[str, ...] = ()) -> Callable[[FunctionRule], FunctionRule]:
    def register(rule: FunctionRule) -> FunctionRule:
        FUNCTIONS.update(dict.fromkeys(names, rule))
        USED_BY_FUNCTIONS.update(dict.fromkeys(names, uses))
        return rule

    return register


@_function("add", uses=_BOTH_OPERANDS)
def _sum(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(builder, settings, call)
    if operand is None:
        return builder.sum(call)
    return builder.scaled(call, operand, 1.0, constant)


@_function("subtract", uses=_BOTH_OPERANDS)
def _difference(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(builder, settings, call)
    if operand is None:
        return builder.difference(call)
    if isinstance(_both_operands(settings)[0], Operand):
        return builder.scaled(call, operand, 1.0, _changed(constant, operator.neg))
    return builder.scaled(call, operand, -1.0, constant)


@_function("multiply", uses=_BOTH_OPERANDS)
def _product(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(builder, settings, call)
    if operand is None:
        raise _nonlinear_refusal(call, "a product of activities with each other")
    return builder.scaled(call, operand, constant)


@_function("divide", "true_divide", "truediv", uses=_BOTH_OPERANDS)
def _quotient(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    operand, constant = _with_constant(builder, settings, call)
    if operand is None or not isinstance(_both_operands(settings)[0], Operand):
        raise _nonlinear_refusal(call, "a division by activities")
    return builder.scaled(call, operand, _changed(constant, lambda value: 1 / value))


@_function("negative")
def _negative(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    return builder.scaled(call, call.operand, -1.0)


def _both_operands(settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return both arguments of a function of two, in order."""
    first, second = ("x1", "x2") if "x1" in settings else ("x", "y")
    return settings[first], settings[second]


def _changed(constant: Any, change: Callable[[Any], Any]) -> Any:
    """Return the changed constant; for a variable, what changes its value at every use."""
    if hasattr(constant, "assign"):
        return Computed(lambda: change(tf.convert_to_tensor(constant)), tuple(constant.shape))
    with np.errstate(all="ignore"):
        return change(constant)


def _with_constant(
    builder: GraphBuilder, settings: dict[str, Any], call: Call
) -> tuple[int | None, Any]:
    """Return a function's one operand and its constant; None, None if it has two operands."""
    both = _both_operands(settings)
    positions = [one.position for one in both if isinstance(one, Operand)]
    if len(positions) == 2:
        return None, None
    (operand,) = positions
    (constant,) = (one for one in both if not isinstance(one, Operand))
    if builder.shape(operand) != call.shape:
        raise call.refusal(
            "a constant that leaves the shape as it is",
            f"{call.shape} from {builder.shape(operand)}",
            "reshape or repeat the operand first",
        )
    return operand, constant if hasattr(constant, "assign") else np.asarray(constant, float)


def _nonlinear_refusal(call: Call, found: str) -> UnreadableModelError:
    return call.refusal("a piecewise linear function", found, "cut the model before it")


@_function("abs", "absolute", "hard_tanh", "relu", "relu6")
def _named(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    return builder.gated(call, call.operand, activations.NAMED[settings["function_name"]])


@_function("re_lu", uses=("negative_slope", "max_value", "threshold"))
def _relu(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    return builder.gated(call, call.operand, relu_with_settings(settings, call))


@_function("leaky_relu", uses=("alpha", "negative_slope"))
def _leaky_relu(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    # 0.2 is TensorFlow's own default.
    slope = settings.get("alpha", settings.get("negative_slope", 0.2))
    return builder.gated(call, call.operand, activations.relu(float(slope)))


@_function("hard_sigmoid")
def _hard_sigmoid(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    return builder.gated(call, call.operand, activations.hard_sigmoid(1 / 6))


@_function("reshape", uses=("shape", "newshape"))
def _reshaped(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    if math.prod(call.shape) != math.prod(builder.shape(call.operand)):
        raise call.refusal(
            "a shape that leaves the batch alone",
            f"{call.shape} from {builder.shape(call.operand)}",
            "use keras.layers.Reshape",
        )
    return builder.reshaped(call, call.operand, call.shape)


@_function("identity")
def _unchanged(builder: GraphBuilder, settings: dict[str, Any], call: Call) -> int:
    return call.operand
