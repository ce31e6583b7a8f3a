"""What a model has to be as a whole, before any of its layers is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from insens_tf.errors import UnreadableModelError
from insens_tf.reading.keras_graph import backend_of, overridden

__all__ = ["check_backend", "dtype_of_weights", "inputs_and_outputs", "shape_of_only_input"]


def check_backend(model: Any) -> None:
    """Refuse a model whose Keras does not compute with TensorFlow."""
    if backend_of(model) != "tensorflow":
        raise UnreadableModelError(
            f"model {model.name!r}: expected a Keras that computes with TensorFlow, found the "
            f"backend {backend_of(model)!r}; save the model, and load it in a process with "
            "KERAS_BACKEND=tensorflow."
        )


def inputs_and_outputs(model: Any) -> tuple[list[Any], list[Any]]:
    """Return the symbolic inputs and outputs of a model or a nested model.

    Raises
    ------
    UnreadableModelError
        If the model computes by code of its own, or is not built.
    """
    by = overridden(model)
    if by:
        name = getattr(model, "name", None) or repr(model)
        raise UnreadableModelError(
            f"model {name!r}: expected a Sequential or functional Keras model that computes as "
            f"its layers are connected, found {type(model).__name__} with its own "
            f"{' and '.join(by)}; rewrite that as layers of a functional model."
        )
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        inputs, outputs = None, None
    if not inputs or not outputs:
        name = getattr(model, "name", None) or repr(model)
        raise UnreadableModelError(
            f"model {name!r}: expected a built Sequential or functional Keras model, found "
            f"{type(model).__name__} without known inputs and outputs; give it an Input "
            "layer, build it (model.build(input_shape)), or rewrite a subclassed model as a "
            "functional one."
        )
    return list(inputs), list(outputs)


def shape_of_only_input(model: Any, inputs: Sequence[Any]) -> tuple[int, ...]:
    """Return the shape of a model's input for one sample; refuse several, and unknown sizes."""
    if len(inputs) != 1:
        raise UnreadableModelError(
            f"model {model.name!r}: expected one input, found {len(inputs)} "
            f"({', '.join(_shape_text(one) for one in inputs)}); analyse a model of one "
            "of them with the others held constant."
        )
    shape = tuple(inputs[0].shape[1:])
    if not shape or None in shape:
        raise UnreadableModelError(
            f"model {model.name!r}: expected an input of known shape, found "
            f"{_shape_text(inputs[0])}; rebuild the model with every size but the "
            "batch's given, such as Input((28, 28, 1))."
        )
    return shape


def dtype_of_weights(model: Any) -> tf.DType:
    """Return the one dtype of a model's weights, float32 or float64.

    A model without weights has the dtype of its input, or float32 if that takes whole numbers.
    """
    dtypes = {
        tf.as_dtype(weight.dtype).name
        for weight in model.weights
        if tf.as_dtype(weight.dtype).is_floating
    }
    if len(dtypes) > 1:
        raise UnreadableModelError(
            f"model {model.name!r}: expected weights of one dtype, found "
            f"{', '.join(sorted(dtypes))}; rebuild every layer with the same dtype."
        )
    dtype = tf.as_dtype(dtypes.pop() if dtypes else model.inputs[0].dtype)
    if dtype in (tf.float32, tf.float64):
        return dtype
    if dtype.is_floating:
        raise UnreadableModelError(
            f"model {model.name!r}: expected float32 or float64 weights, found "
            f"{dtype.name}; rebuild it in float32 and copy the weights."
        )
    return tf.float32


def _shape_text(tensor: Any) -> str:
    return str(tuple(tensor.shape))
