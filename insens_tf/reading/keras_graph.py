"""How Keras 2 and Keras 3 record the layers and functions that a model is made of."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any, NamedTuple

import tensorflow as tf

__all__ = [
    "Operand",
    "arguments_of",
    "backend_of",
    "dtype_is_stated",
    "function_of",
    "is_keras",
    "key",
    "operands_of",
    "overridden",
    "results_of",
    "settings_of_function",
    "source",
]

# How Keras 2 and 3 call a layer or model, and a model its layers.
_COMPUTE = ("__call__", "_run_internal_graph", "_run_through_graph", "call", "quantized_call")


def is_keras(thing: Any, name: str | None = None) -> bool:
    """Tell whether `thing`'s class (or function) is one of Keras' or TensorFlow's own."""
    kind = thing if callable(thing) and hasattr(thing, "__name__") else type(thing)
    package = (kind.__module__ or "").partition(".")[0]
    return package in ("keras", "tf_keras", "tensorflow") and name in (None, kind.__name__)


def overridden(thing: Any) -> list[str]:
    """Return which methods make a layer or model compute otherwise than its Keras class does.

    They are of its own class, if that is not one of Keras', or were put into this object.
    """
    own_classes = [one for one in type(thing).__mro__ if not is_keras(one) and one is not object]
    own = {name for one in own_classes for name in vars(one) if name in _COMPUTE}
    for name, value in getattr(thing, "__dict__", {}).items():
        # Keras itself wraps some methods of an object.
        is_method = callable(value) and callable(getattr(type(thing), name, None))
        if is_method and (name in _COMPUTE or not is_keras(value)):
            own.add(name)
    return sorted(own)


def backend_of(model: Any) -> str:
    """Return the backend that a model computes with: TensorFlow, or what Keras 3 is set to."""
    package = sys.modules.get((type(model).__module__ or "").partition(".")[0])
    configuration: Any = getattr(package, "config", None)
    return configuration.backend() if hasattr(configuration, "backend") else "tensorflow"


class Operand(NamedTuple):
    """An argument of a function that is computed from the input: its position."""

    position: int


def key(tensor: Any) -> tuple[int, int, int]:
    """Return what identifies a symbolic Keras tensor."""
    layer, node_index, tensor_index = tensor._keras_history
    return id(layer), node_index, tensor_index


def source(tensor: Any) -> tuple[Any, Any]:
    """Return the layer, and the one use of it, that a symbolic Keras tensor comes from."""
    layer, node_index, _ = tensor._keras_history
    return layer, layer._inbound_nodes[node_index]


def operands_of(node: Any) -> list[Any]:
    """Return the symbolic tensors that a use of a layer has as arguments."""
    if hasattr(node, "keras_inputs"):  # Keras 2
        return [] if node.is_input else list(node.keras_inputs)
    return list(node.input_tensors)


def results_of(node: Any) -> list[Any]:
    """Return the symbolic tensors that a use of a layer gives."""
    return tf.nest.flatten(node.outputs if hasattr(node, "outputs") else node.output)


def dtype_is_stated(node: Any) -> bool:
    """Tell whether the results of a use of a layer have the dtype that their symbols say.

    Keras 3 says float32 of whole numbers that layers leave as they are.
    """
    return hasattr(node, "keras_inputs")


def arguments_of(node: Any, known: dict[Any, int]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what a layer was called with, the positions of its operands in place of them."""

    def replaced(argument: Any) -> Any:
        if hasattr(argument, "_keras_history"):
            return Operand(known[key(argument)])
        return argument

    if hasattr(node, "call_args"):  # Keras 2
        arguments = node.call_args, node.call_kwargs
    else:
        arguments = node.arguments.args, node.arguments.kwargs
    return tf.nest.map_structure(replaced, arguments)


def function_of(layer: Any) -> str | None:
    """Return the name of the function that a model was made with; None for a layer."""
    if not is_keras(layer):
        return None
    if type(layer).__name__ in ("TFOpLambda", "SlicingOpLambda"):  # Keras 2
        return layer.symbol.rpartition(".")[2]
    if hasattr(layer, "add_weight"):
        return None
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()


def settings_of_function(
    layer: Any, called: Any, positional: tuple[Any, ...], named: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all that a function was given beyond its first operand, by name, and the defaults.

    Keras 2 records it in the call, Keras 3 in the operation's constructor too.
    """
    parameters = inspect.signature(called).parameters
    bound = inspect.signature(called).bind(*positional, **named).arguments
    first = next(iter(parameters))
    settings = {name: value for name, value in bound.items() if name not in (first, "name")}
    settings[first] = bound[first]
    defaults = {name: one.default for name, one in parameters.items()}
    defaults[first] = bound[first]
    if not hasattr(layer, "add_weight"):
        for name, one in inspect.signature(type(layer).__init__).parameters.items():
            if name not in ("self", "name") and hasattr(layer, name):
                settings[name], defaults[name] = getattr(layer, name), one.default
    return settings, defaults
