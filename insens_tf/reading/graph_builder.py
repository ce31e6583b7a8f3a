"""Builds a graph operation by operation; the rules of layers and functions are written with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from insens_tf import activations
from insens_tf.activations import PiecewiseLinear
from insens_tf.errors import UnreadableModelError
from insens_tf.operations import (
    Add,
    Computed,
    Gate,
    Operation,
    OutputActivation,
    Permutation,
    RatioGate,
    Reshape,
    Scaling,
)
from insens_tf.reading.keras_graph import is_keras

__all__ = ["Call", "GraphBuilder", "class_name"]


class Call(NamedTuple):
    """One use of a layer: its name, the positions of its operands, the shape of its output."""

    name: str
    operands: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def operand(self) -> int:
        """The position of its only operand."""
        (operand,) = self.operands
        return operand

    def refusal(self, expected: str, found: str, way_out: str) -> UnreadableModelError:
        """Return the error to raise if this layer cannot be read."""
        return UnreadableModelError(
            f"layer {self.name!r}: expected {expected}, found {found}; {way_out}."
        )


class GraphBuilder:
    """Appends operations to a graph; each method returns the position of its result.

    Parameters
    ----------
    dtype : tf.DType
        What the network computes in.
    smooth_activations : {None, "ratio"}
        Whether smooth activations become gates by their ratio of output to input.
    read_layer : callable
        Reads a layer that another layer has as its activation: takes the layer and its call, and
        returns the position of the result, or None if no rule can read the layer.

    Attributes
    ----------
    operations : list of Operation
        The graph so far.
    """

    def __init__(
        self,
        dtype: tf.DType,
        smooth_activations: str | None,
        read_layer: Callable[[Any, Call], int | None],
    ) -> None:
        self.dtype = dtype
        self.smooth_activations = smooth_activations
        self._read_layer = read_layer
        self.operations: list[Operation] = []
        # The position that an activation was applied to, by the position of its result.
        self._activation_inputs: dict[int, int] = {}

    def append(self, operation: Operation) -> int:
        """Append an operation as it is."""
        self.operations.append(operation)
        return len(self.operations) - 1

    def shape(self, position: int) -> tuple[int, ...]:
        """Return the shape of the value at a position, for one input."""
        return self.operations[position].shape

    def before_activations(self, position: int) -> int:
        """Return the position of what the activations that end at a position were applied to."""
        while position in self._activation_inputs:
            position = self._activation_inputs[position]
        return position

    def activation(self, function: Any, call: Call, operand: int) -> int:
        """Append what a layer's activation does; Keras 3 allows a layer as an activation."""
        if function is None or is_keras(function, "linear"):
            return operand
        read_as_layer = self._read_layer(function, call._replace(operands=(operand,)))
        if read_as_layer is not None:
            return read_as_layer
        piecewise_linear = activations.named(function) if is_keras(function) else None
        if piecewise_linear is not None:
            return self.gated(call, operand, piecewise_linear)
        name = getattr(function, "__name__", None) or class_name(function)
        return self.smooth_activation(call, operand, name, function, is_known=is_keras(function))

    def gated(self, call: Call, operand: int, activation: PiecewiseLinear) -> int:
        """Append a piecewise linear activation."""
        activity = operand
        if activation.threshold:
            # The threshold moves the activity of the layer before, whose neurons these are.
            name = self.operations[operand].name if operand else call.name
            activity = self.scaled(call._replace(name=name), operand, 1.0, -activation.threshold)
        result = self.append(
            Gate(
                call.name,
                (activity,),
                self.shape(operand),
                activation.negative_slope,
                activation.ceiling,
                activation.jump,
            )
        )
        if (activation.scale, activation.offset) != (1.0, 0.0):
            result = self.scaled(call, result, activation.scale, activation.offset)
        self._activation_inputs[result] = operand
        return result

    def smooth_activation(
        self,
        call: Call,
        operand: int,
        name: str,
        function: Callable[[Any], Any],
        *,
        is_known: bool = True,
    ) -> int:
        """Append a smooth activation: a gate if it is read by its ratio, else for the output only.

        Parameters
        ----------
        call : Call
        operand : int
        name : str
            The activation's, by which its ratio is found.
        function : callable
            Computes the activation of a tensor.
        is_known : bool
            Whether the function is Keras' own of this name.
        """
        shape, smooth = self.shape(operand), activations.SMOOTH.get(name)
        operation: Operation
        if self.smooth_activations == "ratio" and smooth is not None and is_known:
            operation = RatioGate(
                call.name,
                (operand,),
                shape,
                function=smooth.function,
                slope_at_zero=smooth.slope_at_zero,
            )
        else:
            operation = OutputActivation(call.name, (operand,), shape, name, function)
        result = self.append(operation)
        self._activation_inputs[result] = operand
        return result

    def scaled(self, call: Call, operand: int, factor: Any, offset: Any = 0.0) -> int:
        """Append operand * factor + offset.

        Parameters
        ----------
        call : Call
        operand : int
            Shape (..., channels).
        factor, offset : number, array, variable or Computed
            One number, or one for each channel.
        """
        scale, shift = (self._per_channel(call, operand, values) for values in (factor, offset))
        return self.append(
            Scaling(call.name, (operand,), self.shape(operand), scale=scale, shift=shift)
        )

    def _per_channel(self, call: Call, operand: int, values: Any) -> Any:
        """Return numbers as an array, shape (channels,); variables as `Computed` of that shape."""
        channels = self.shape(operand)[-1:]
        is_variable = isinstance(values, Computed) or hasattr(values, "assign")
        array = values if is_variable else np.asarray(values, self.dtype.as_numpy_dtype)
        shape = tuple(array.shape)
        size = math.prod(shape)
        if size not in (1, *channels) or shape[-1:] not in ((), (size,)):
            raise call.refusal(
                f"one number, or one for each of the {channels[0]} channels of the last axis",
                f"numbers of shape {shape}",
                "scale the input before it enters the model",
            )
        if is_variable:

            def broadcast() -> tf.Tensor:
                flat = tf.reshape(tf.cast(tf.convert_to_tensor(values), self.dtype), [-1])
                return tf.broadcast_to(flat, channels)

            return Computed(broadcast, channels)
        if not np.isfinite(array).all():
            raise call.refusal(
                f"constants that are finite in {self.dtype.name}",
                "NaN or infinity",
                "mend what the layer was made with",
            )
        return np.broadcast_to(array.reshape(-1), channels)

    def permuted(self, call: Call, operand: int, axes: Sequence[int]) -> int:
        """Append the operand with its axes, counted without the batch, in another order."""
        shape = tuple(self.shape(operand)[axis] for axis in axes)
        return self.append(Permutation(call.name, (operand,), shape, tuple(axes)))

    def reshaped(self, call: Call, operand: int, shape: tuple[int, ...]) -> int:
        """Append the operand in another shape, counted without the batch."""
        return self.append(Reshape(call.name, (operand,), shape))

    def sum(self, call: Call) -> int:
        """Append the sum of all operands."""
        self.check_equal_shapes(call)
        return self.append(Add(call.name, call.operands, call.shape))

    def difference(self, call: Call) -> int:
        """Append the first of two operands minus the second."""
        minuend, subtrahend = call.operands
        negative = self.scaled(call, subtrahend, -1.0)
        return self.sum(call._replace(operands=(minuend, negative)))

    def check_equal_shapes(self, call: Call) -> None:
        """Raise UnreadableModelError unless all operands have the shape of the output."""
        shapes = [self.shape(operand) for operand in call.operands]
        if any(shape != call.shape for shape in shapes):
            raise call.refusal(
                "operands of one shape", str(shapes), "reshape them to the same shape first"
            )


def class_name(thing: Any) -> str:
    """Return the name of the class of a thing, with its module."""
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
