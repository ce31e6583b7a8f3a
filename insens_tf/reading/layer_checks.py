"""What has to hold for one use of a layer before its rule reads it."""

from __future__ import annotations

import inspect
from typing import Any

import tensorflow as tf

from insens_tf.reading.graph_builder import Call, class_name
from insens_tf.reading.keras_graph import dtype_is_stated, function_of, is_keras, overridden
from insens_tf.reading.layer_rules import (
    MAKE_FLOATING,
    MOVE_OR_CHOOSE,
    NOT_PIECEWISE_LINEAR,
    OTHERWISE_IN_TRAINING,
    RULES,
)
from insens_tf.reading.layer_settings import unknown_settings, way_out_of

__all__ = [
    "check_arguments",
    "check_computation",
    "check_kind",
    "check_result",
    "gives_whole_numbers",
    "has_rule",
]


def has_rule(thing: Any) -> bool:
    """Tell whether a thing is a layer of Keras' own that a rule reads."""
    return hasattr(thing, "get_config") and type(thing).__name__ in RULES and is_keras(thing)


def check_result(layer: Any, call: Call) -> None:
    """Refuse a result of unknown shape, and weights that are quantised."""
    if None in call.shape:
        raise call.refusal(
            "a result of known shape",
            f"{call.shape}",
            "give every size but the batch's, or cut the model before it",
        )
    quantised = getattr(layer, "quantization_mode", None)
    if quantised is not None:
        raise call.refusal(
            "weights that are not quantised",
            f"quantization_mode={quantised!r}, by which what enters the layer is rounded too",
            "analyse the model as it was before quantize()",
        )


def check_kind(layer: Any, call: Call) -> None:
    """Refuse a layer that no rule reads."""
    kind = type(layer).__name__
    if kind in NOT_PIECEWISE_LINEAR and is_keras(layer):
        does, way_out = NOT_PIECEWISE_LINEAR[kind]
        raise call.refusal("a piecewise linear layer", f"{kind}, which {does}", way_out)
    if has_rule(layer):
        return
    found = class_name(layer)
    for base in type(layer).__mro__:
        if is_keras(base) and base.__name__ in RULES:
            raise call.refusal(
                f"Keras' own {base.__name__}",
                f"{found}, a subclass of it that may compute something else",
                "build the layer as Keras' own, with the same weights, or cut the model before it",
            )
    raise call.refusal(
        f"a layer kind that can be read as piecewise linear ({', '.join(sorted(RULES))})",
        found,
        "replace it by such layers, or cut the model before it",
    )


def check_arguments(
    layer: Any, call: Call, positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Refuse arguments of a call beyond its operands: a mask, or a call as for training."""
    kind = type(layer).__name__
    try:
        bound = inspect.signature(type(layer).call).bind(layer, *positional, **named)
        _, *others = bound.arguments.items()
    except (TypeError, ValueError):
        others = list(named.items())
    for argument, value in others[1:]:
        is_layer = not hasattr(layer, "layers")
        # Keras 3 itself passes training to preprocessing layers, which compute the same then.
        if argument == "training" and is_layer and kind not in OTHERWISE_IN_TRAINING:
            continue
        if value is not None and value is not False:
            expected = (
                "a layer that is called as for inference"
                if argument == "training"
                else f"a layer that is called without {argument}"
            )
            raise call.refusal(expected, f"{argument}={value!r}", "rebuild the model without")


def check_computation(layer: Any, call: Call) -> None:
    """Refuse a layer that computes otherwise than its rule says."""
    by = overridden(layer)
    if by:
        raise call.refusal(
            f"Keras' own {type(layer).__name__}",
            f"one that computes by its own {' and '.join(by)}",
            "build the layer as Keras' own, or cut the model before it",
        )
    if not tf.as_dtype(layer.compute_dtype).is_floating:
        raise call.refusal(
            "a floating dtype",
            f"dtype={layer.compute_dtype!r}, which rounds",
            "rebuild the layer with dtype='float32'",
        )
    for name, (expected, found) in unknown_settings(layer).items():
        raise call.refusal(f"{name}={expected!r}", f"{name}={found!r}", way_out_of(name))


def gives_whole_numbers(
    layer: Any, node: Any, call: Call, results: list[Any], *, from_whole_numbers: bool
) -> bool:
    """Tell whether a layer's results are whole numbers; refuse a layer that rounds to them.

    Parameters
    ----------
    layer : Keras layer or function
    node : Keras node
        The use of the layer.
    call : Call
    results : list of symbolic tensors
    from_whole_numbers : bool
        Whether any operand is of whole numbers.
    """
    name = function_of(layer) or type(layer).__name__
    is_whole = not tf.as_dtype(results[0].dtype).is_floating
    if from_whole_numbers:
        becomes_floating = dtype_is_stated(node) or name in MAKE_FLOATING
        # Keras adds whole numbers before it averages them, and that sum can overflow.
        is_whole = is_whole or not becomes_floating or name == "Average"
    if is_whole and name not in MOVE_OR_CHOOSE:
        raise call.refusal(
            "a result of floating point numbers",
            "one that is rounded to whole numbers",
            "begin the model with a Rescaling layer, or with an Input of floating point "
            "numbers, and leave every layer's dtype floating",
        )
    return is_whole
