"""Keras model -> graph: one rule a layer kind, and a clear refusal of what has none.

Layers are recognised by the name of their class, so that the Keras that comes with TensorFlow,
`tf_keras` and Keras 3 are read alike. Nothing of the model is called or changed: rules take its
configuration and refer to its variables, whose later values are therefore seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from insens_tf import graph as graphs
from insens_tf.errors import UnreadableModelError

__all__ = ["Reading", "read"]

Rule = Callable[["_Reader", Any, "_Call"], int]

RULES: dict[str, Rule] = {}
"""The rule of each layer kind, by the name of its class."""

PIECEWISE_LINEAR = "relu, leaky_relu or linear"

NOT_PIECEWISE_LINEAR: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("LayerNormalization", "GroupNormalization", "UnitNormalization"),
        (
            "divides by the spread of its own input",
            "normalise by stored statistics (BatchNormalization) and retrain, or cut the model "
            "before it",
        ),
    ),
    **dict.fromkeys(
        ("Multiply", "Dot", "Attention", "AdditiveAttention", "MultiHeadAttention"),
        ("multiplies activities with each other", "cut the model before it"),
    ),
    **dict.fromkeys(
        ("SimpleRNN", "LSTM", "GRU"),
        ("gates its activities by smooth functions", "cut the model before it"),
    ),
    "ELU": ("bends below 0", "replace it by ReLU or LeakyReLU and retrain"),
}
"""Layers that no rule can read: what each does, and the way out."""


class Reading(NamedTuple):
    """What a model was read as.

    Attributes
    ----------
    graph : Graph
        The operations, up to the output's.
    output : int
        The position of the output's activity (the logits, where a softmax follows).
    keras_layers : dict of str to Keras layer
        By name; a layer of a nested model is "model name/layer name".
    """

    graph: graphs.Graph
    output: int
    keras_layers: dict[str, Any]


class _Call(NamedTuple):
    """One use of a layer: its name, the positions of its operands, the shape of its output."""

    name: str
    operands: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def operand(self) -> int:
        (operand,) = self.operands
        return operand


def read(model: Any) -> Reading:
    """Read a Keras model as a graph of piecewise linear operations.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, with one input of known shape and one output.

    Returns
    -------
    Reading
        The graph, its output, and the Keras layers by name.

    Raises
    ------
    UnreadableModelError
        If the model cannot be read; the message names the layer and the way out.
    """
    return _Reader(model).reading()


def is_keras(thing: Any, name: str | None = None) -> bool:
    """Tell whether `thing`'s class (or function) is one of Keras' or TensorFlow's own."""
    kind = thing if callable(thing) and hasattr(thing, "__name__") else type(thing)
    package = (kind.__module__ or "").partition(".")[0]
    return package in ("keras", "tf_keras", "tensorflow") and name in (None, kind.__name__)


def _rule(*class_names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(class_names, function))
        return function

    return register


class _Reader:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.dtype = tf.float32
        self.operations: list[graphs.Operation] = []
        self.keras_layers: dict[str, Any] = {}

    def reading(self) -> Reading:
        model = self.model
        inputs, outputs = self._ends(model)
        if len(inputs) != 1:
            raise UnreadableModelError(
                f"model {model.name!r}: expected one input, found {len(inputs)} "
                f"({', '.join(self._shape_text(one) for one in inputs)}); analyse a model of one "
                "of them with the others held constant."
            )
        if len(outputs) != 1:
            raise UnreadableModelError(
                f"model {model.name!r}: expected one output, found {len(outputs)}; analyse a "
                "model of one of them, such as keras.Model(model.input, model.outputs[0])."
            )
        shape = tuple(inputs[0].shape[1:])
        if not shape or None in shape:
            raise UnreadableModelError(
                f"model {model.name!r}: expected an input of known shape, found "
                f"{self._shape_text(inputs[0])}; rebuild the model with every size but the "
                "batch's given, such as Input((28, 28, 1))."
            )
        self.dtype = self._dtype()
        self.add(graphs.Input("input", (), shape))
        (output,) = self._read(inputs, outputs, [0], prefix="")
        while isinstance(self.operations[output], (graphs.Gate, graphs.OutputActivation)):
            (output,) = self.operations[output].operands
        graph = graphs.Graph(self.operations, self.dtype)
        for position in graph.ancestors([output]):
            operation = self.operations[position]
            if isinstance(operation, graphs.OutputActivation):
                does = (
                    "switches elsewhere than at 0"
                    if operation.activation == "hard_sigmoid"
                    else "is not piecewise linear"
                )
                raise UnreadableModelError(
                    f"layer {operation.name!r}: the activation {operation.activation!r} {does}; "
                    f"expected {PIECEWISE_LINEAR}. Other activations are only "
                    "looked through at the output; retrain with ReLU to analyse this network."
                )
        return Reading(graph, output, self.keras_layers)

    def add(self, operation: graphs.Operation) -> int:
        """Append an operation and return its position."""
        self.operations.append(operation)
        return len(self.operations) - 1

    def activation(self, function: Any, call: _Call, operand: int) -> int:
        """Append what an activation (a function, or a layer as K3 allows) does to `operand`."""
        if function is None or is_keras(function, "linear"):
            return operand
        if hasattr(function, "get_config") and type(function).__name__ in RULES:
            return RULES[type(function).__name__](
                self, function, call._replace(operands=(operand,))
            )
        name = getattr(function, "__name__", type(function).__name__)
        ours = is_keras(function)
        if ours and name == "relu":
            return self.add(graphs.Gate(call.name, (operand,), call.shape))
        if ours and name == "leaky_relu":
            # Keras' and TensorFlow's own default for this activation.
            return self.add(graphs.Gate(call.name, (operand,), call.shape, negative_slope=0.2))
        if ours and name == "relu6":
            return self.add(graphs.Gate(call.name, (operand,), call.shape, ceiling=6.0))
        return self.add(graphs.OutputActivation(call.name, (operand,), call.shape, name))

    def shape(self, position: int) -> tuple[int, ...]:
        return self.operations[position].shape

    def scaled(self, call: _Call, operand: int, factor: Any, offset: Any = 0.0) -> int:
        """Append the product with a factor, plus an offset: a number each, or one a channel."""
        channels = self.shape(operand)[-1:]
        arrays = [np.asarray(values, self.dtype.as_numpy_dtype) for values in (factor, offset)]
        for array in arrays:
            if array.size not in (1, *channels) or array.shape[-1:] not in ((), (array.size,)):
                raise self.refuse(
                    call,
                    f"one number, or one for each of the {channels[0]} channels of the last axis",
                    f"numbers of shape {array.shape}",
                    "scale the input before it enters the model",
                )
        scale, shift = (np.broadcast_to(array.reshape(-1), channels) for array in arrays)
        return self.add(
            graphs.BatchNormalization(
                call.name,
                (operand,),
                self.shape(operand),
                mean=np.zeros_like(scale),
                variance=np.ones_like(scale),
                scale=scale,
                shift=shift,
                epsilon=0.0,
            )
        )

    def permuted(self, call: _Call, operand: int, axes: Sequence[int]) -> int:
        """Append what puts the axes, counted without the batch, in another order."""
        shape = tuple(self.shape(operand)[axis] for axis in axes)
        return self.add(graphs.Permutation(call.name, (operand,), shape, tuple(axes)))

    def reshaped(self, call: _Call, operand: int, shape: tuple[int, ...]) -> int:
        return self.add(graphs.Reshape(call.name, (operand,), shape))

    def refuse(self, call: _Call, expected: str, found: str, way_out: str) -> UnreadableModelError:
        return UnreadableModelError(
            f"layer {call.name!r}: expected {expected}, found {found}; {way_out}."
        )

    def channels_last(self, layer: Any, call: _Call) -> None:
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise self.refuse(
                call,
                "data_format='channels_last'",
                f"{layer.data_format!r}",
                "rebuild the layer with channels last",
            )

    def _read(
        self, inputs: Sequence[Any], outputs: Sequence[Any], positions: Sequence[int], prefix: str
    ) -> list[int]:
        """Read what leads from `inputs`, at `positions`, to `outputs`; return their positions."""
        known = {_key(tensor): position for tensor, position in zip(inputs, positions)}
        pending = list(outputs)
        while pending:
            tensor = pending[-1]
            if _key(tensor) in known:
                pending.pop()
                continue
            layer, node = _source(tensor)
            operands = _operands_of(node)
            missing = [one for one in operands if _key(one) not in known]
            if missing:
                pending.extend(missing)
                continue
            if not operands:
                raise UnreadableModelError(
                    f"layer {prefix + layer.name!r}: expected it to follow from the model's input, "
                    "found an input of its own; build the model from one input."
                )
            results = tf.nest.flatten(node.outputs if hasattr(node, "outputs") else node.output)
            values = self._apply(layer, [known[_key(one)] for one in operands], results, prefix)
            known.update({_key(one): value for one, value in zip(results, values)})
        return [known[_key(tensor)] for tensor in outputs]

    def _apply(
        self, layer: Any, operands: list[int], results: Sequence[Any], prefix: str
    ) -> list[int]:
        name = prefix + layer.name
        self.keras_layers[name] = layer
        if hasattr(layer, "layers"):
            inputs, outputs = self._ends(layer)
            positions = self._read(inputs, outputs, operands, prefix=f"{name}/")
        else:
            kind = type(layer).__name__
            rule = RULES.get(kind)
            call = _Call(name, tuple(operands), tuple(results[0].shape[1:]))
            if kind in NOT_PIECEWISE_LINEAR and is_keras(layer):
                does, way_out = NOT_PIECEWISE_LINEAR[kind]
                raise self.refuse(
                    call, "a piecewise linear layer", f"{kind}, which {does}", way_out
                )
            if rule is None or not is_keras(layer):
                raise self.refuse(
                    call,
                    "a layer kind that can be read as piecewise linear "
                    f"({', '.join(sorted(RULES))})",
                    f"{type(layer).__module__}.{type(layer).__qualname__}",
                    "replace it by such layers, or cut the model before it",
                )
            positions = [rule(self, layer, call)]
        return positions

    def _ends(self, model: Any) -> tuple[list[Any], list[Any]]:
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

    def _dtype(self) -> tf.DType:
        dtypes = {
            tf.as_dtype(weight.dtype).name
            for weight in self.model.weights
            if tf.as_dtype(weight.dtype).is_floating
        }
        if len(dtypes) > 1:
            raise UnreadableModelError(
                f"model {self.model.name!r}: expected weights of one dtype, found "
                f"{', '.join(sorted(dtypes))}; rebuild every layer with the same dtype."
            )
        dtype = tf.as_dtype(dtypes.pop() if dtypes else tf.as_dtype(self.model.inputs[0].dtype))
        if dtype not in (tf.float32, tf.float64):
            if dtypes or dtype.is_floating:
                raise UnreadableModelError(
                    f"model {self.model.name!r}: expected float32 or float64 weights, found "
                    f"{dtype.name}; rebuild it in float32 and copy the weights."
                )
            return tf.float32
        return dtype

    @staticmethod
    def _shape_text(tensor: Any) -> str:
        return str(tuple(tensor.shape))


def _key(tensor: Any) -> tuple[int, int, int]:
    layer, node_index, tensor_index = tensor._keras_history
    return id(layer), node_index, tensor_index


def _source(tensor: Any) -> tuple[Any, Any]:
    """Return the layer, and the one use of it, that a symbolic Keras tensor comes from."""
    layer, node_index, _ = tensor._keras_history
    return layer, layer._inbound_nodes[node_index]


def _operands_of(node: Any) -> list[Any]:
    if hasattr(node, "keras_inputs"):  # Keras 2
        return [] if node.is_input else list(node.keras_inputs)
    return list(node.input_tensors)


@_rule("Dense")
def _dense(reader: _Reader, layer: Any, call: _Call) -> int:
    position = reader.add(
        graphs.Matrix(call.name, call.operands, call.shape, layer.kernel, layer.bias)
    )
    return reader.activation(layer.activation, call, position)


@_rule("Conv1D", "Conv2D", "Conv3D")
def _convolution(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    if len(call.shape) != len(layer.kernel_size) + 1:
        raise reader.refuse(
            call,
            f"an input with {len(layer.kernel_size)} axes and channels",
            f"shape {reader.shape(call.operand)}",
            "use a convolution over all its axes, with a kernel of length 1 where none is wanted",
        )
    operand, padding = _padded(reader, layer, call)
    position = reader.add(
        graphs.Convolution(
            call.name,
            (operand,),
            call.shape,
            kernel=layer.kernel,
            bias=layer.bias,
            strides=tuple(layer.strides),
            dilation=tuple(layer.dilation_rate),
            padding=padding,
            groups=layer.groups,
            operand_shape=reader.shape(operand),
        )
    )
    return reader.activation(layer.activation, call, position)


def _padded(reader: _Reader, layer: Any, call: _Call) -> tuple[int, str]:
    """Return what a convolution is to see, and its padding; a causal one is zeros before it."""
    if layer.padding != "causal":
        return call.operand, layer.padding
    before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    length, channels = reader.shape(call.operand)
    padding = graphs.ZeroPadding(
        call.name, call.operands, (before + length, channels), ((before, 0),)
    )
    return reader.add(padding), "valid"


@_rule("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise_convolution(reader: _Reader, layer: Any, call: _Call) -> int:
    kernel = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    position = _depthwise(reader, layer, call, call.shape, kernel, layer.bias)
    return reader.activation(layer.activation, call, position)


@_rule("SeparableConv1D", "SeparableConv2D")
def _separable_convolution(reader: _Reader, layer: Any, call: _Call) -> int:
    kernel = layer.pointwise_kernel
    shape = (*call.shape[:-1], int(kernel.shape[-2]))
    ones = (1,) * len(layer.strides)
    position = reader.add(
        graphs.Convolution(
            call.name,
            (_depthwise(reader, layer, call, shape, layer.depthwise_kernel, None),),
            call.shape,
            kernel=kernel,
            bias=layer.bias,
            strides=ones,
            dilation=ones,
            padding="valid",
            groups=1,
            operand_shape=shape,
        )
    )
    return reader.activation(layer.activation, call, position)


def _depthwise(
    reader: _Reader, layer: Any, call: _Call, shape: tuple[int, ...], kernel: Any, bias: Any | None
) -> int:
    reader.channels_last(layer, call)
    operand, padding = _padded(reader, layer, call)
    return reader.add(
        graphs.DepthwiseConvolution(
            call.name,
            (operand,),
            shape,
            kernel=kernel,
            bias=bias,
            strides=tuple(layer.strides),
            dilation=tuple(layer.dilation_rate),
            padding=padding,
            operand_shape=reader.shape(operand),
        )
    )


@_rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _transposed_convolution(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    if set(layer.dilation_rate) != {1}:
        raise reader.refuse(
            call,
            "dilation_rate=1",
            f"{tuple(layer.dilation_rate)}",
            "cut the model before it, or retrain without dilation",
        )
    position = reader.add(
        graphs.TransposedConvolution(
            call.name,
            call.operands,
            call.shape,
            kernel=layer.kernel,
            bias=layer.bias,
            strides=tuple(layer.strides),
            padding=layer.padding,
        )
    )
    return reader.activation(layer.activation, call, position)


@_rule("MaxPooling1D", "MaxPooling2D", "MaxPooling3D")
def _max_pooling(reader: _Reader, layer: Any, call: _Call) -> int:
    return _pooling(reader, layer, call, graphs.MaxPooling)


@_rule("AveragePooling1D", "AveragePooling2D", "AveragePooling3D")
def _average_pooling(reader: _Reader, layer: Any, call: _Call) -> int:
    return _pooling(reader, layer, call, graphs.AveragePooling)


def _pooling(reader: _Reader, layer: Any, call: _Call, kind: type[graphs.Pooling]) -> int:
    reader.channels_last(layer, call)
    return reader.add(
        kind(
            call.name,
            call.operands,
            call.shape,
            window=tuple(layer.pool_size),
            strides=tuple(layer.strides),
            padding=layer.padding,
            operand_shape=reader.shape(call.operand),
        )
    )


@_rule("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D")
def _global_average_pooling(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    return reader.add(graphs.GlobalAveragePooling(call.name, call.operands, call.shape))


@_rule("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D")
def _global_max_pooling(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    *lengths, channels = reader.shape(call.operand)
    positions = math.prod(lengths)
    row = reader.reshaped(call, call.operand, (positions, channels))
    return reader.reshaped(call, _row_maxima(reader, call, row, positions), call.shape)


def _row_maxima(reader: _Reader, call: _Call, operand: int, length: int) -> int:
    """Append the maximum of every `length` positions of an operand (positions, channels)."""
    positions, channels = reader.shape(operand)
    return reader.add(
        graphs.MaxPooling(
            call.name,
            (operand,),
            (positions // length, channels),
            window=(length,),
            strides=(length,),
            padding="valid",
            operand_shape=(positions, channels),
        )
    )


@_rule("Flatten", "Reshape")
def _reshape(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    return reader.add(graphs.Reshape(call.name, call.operands, call.shape))


@_rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _zero_padding(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    padding = tuple((before, after) for before, after in _ends_of_axes(layer.padding))
    return reader.add(graphs.ZeroPadding(call.name, call.operands, call.shape, padding))


@_rule("Cropping1D", "Cropping2D", "Cropping3D")
def _cropping(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    first = tuple(before for before, _ in _ends_of_axes(layer.cropping))
    return reader.add(graphs.Cropping(call.name, call.operands, call.shape, first))


def _ends_of_axes(amounts: Any) -> list[list[int]]:
    """Return (before, after) of each axis; for one axis Keras has the pair alone."""
    return np.reshape(amounts, (-1, 2)).tolist()


@_rule("Permute")
def _permute(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.permuted(call, call.operand, [axis - 1 for axis in layer.dims])


@_rule("RepeatVector")
def _repeat_vector(reader: _Reader, layer: Any, call: _Call) -> int:
    row = reader.reshaped(call, call.operand, (1, *reader.shape(call.operand)))
    return _resampled(reader, call, row, "nearest")


@_rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def _up_sampling(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    # Over one axis and over three, Keras only repeats.
    return _resampled(reader, call, call.operand, getattr(layer, "interpolation", "nearest"))


@_rule("Resizing")
def _resizing(reader: _Reader, layer: Any, call: _Call) -> int:
    if layer.crop_to_aspect_ratio:
        raise reader.refuse(
            call,
            "crop_to_aspect_ratio=False",
            "True",
            "crop by a Cropping2D layer and resize what is left",
        )
    return _resampled(reader, call, call.operand, layer.interpolation)


def _resampled(reader: _Reader, call: _Call, operand: int, interpolation: str) -> int:
    if interpolation not in ("nearest", "bilinear"):
        raise reader.refuse(
            call,
            "interpolation='nearest' or 'bilinear'",
            repr(interpolation),
            "rebuild the layer with one of these",
        )
    matrices = tuple(
        _interpolation(below, above, interpolation == "bilinear")
        for below, above in zip(reader.shape(operand)[:-1], call.shape[:-1])
    )
    return reader.add(graphs.Resampling(call.name, (operand,), call.shape, matrices))


def _interpolation(length: int, results: int, linear: bool) -> np.ndarray:
    """Return TensorFlow's interpolation of an axis, positions at their centres, as a matrix."""
    if linear:
        centres = (np.arange(results) + 0.5) * length / results - 0.5
        below = np.floor(centres)
        share = centres - below
    else:
        # In TensorFlow's own precision: rounding decides where a centre falls between two.
        centres = np.arange(results, dtype=np.float32) + np.float32(0.5)
        below = np.floor(centres * (np.float32(length) / np.float32(results)))
        share = np.zeros(results)
    identity = np.eye(length)
    first, second = (np.clip(below + i, 0, length - 1).astype(int) for i in (0, 1))
    return (1 - share)[:, np.newaxis] * identity[first] + share[:, np.newaxis] * identity[second]


@_rule("BatchNormalization")
def _batch_normalization(reader: _Reader, layer: Any, call: _Call) -> int:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    rank = len(call.shape)
    if [axis % (rank + 1) for axis in axes] != [rank]:
        raise reader.refuse(
            call,
            "normalisation along the last axis",
            f"axis={axes}",
            "rebuild the layer with channels last",
        )
    return reader.add(
        graphs.BatchNormalization(
            call.name,
            call.operands,
            call.shape,
            mean=layer.moving_mean,
            variance=layer.moving_variance,
            scale=layer.gamma,
            shift=layer.beta,
            epsilon=layer.epsilon,
        )
    )


@_rule("Rescaling")
def _rescaling(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.scaled(call, call.operand, layer.scale, layer.offset)


@_rule("Normalization")
def _normalization(reader: _Reader, layer: Any, call: _Call) -> int:
    # What the layer computes with, given or adapted, and with a batch axis; Keras has it constant
    # too until the model is compiled again.
    mean, variance = np.asarray(layer.mean), np.asarray(layer.variance)
    deviation = np.maximum(np.sqrt(variance), tf.keras.backend.epsilon())
    if layer.invert:
        return reader.scaled(call, call.operand, deviation, mean)
    return reader.scaled(call, call.operand, 1 / deviation, -mean / deviation)


@_rule("Add")
def _add(reader: _Reader, layer: Any, call: _Call) -> int:
    _alike(reader, call)
    return reader.add(graphs.Add(call.name, call.operands, call.shape))


@_rule("Subtract")
def _subtract(reader: _Reader, layer: Any, call: _Call) -> int:
    minuend, subtrahend = call.operands
    return _add(
        reader, layer, call._replace(operands=(minuend, reader.scaled(call, subtrahend, -1.0)))
    )


@_rule("Average")
def _average(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.scaled(call, _add(reader, layer, call), 1 / len(call.operands))


@_rule("Maximum")
def _maximum(reader: _Reader, layer: Any, call: _Call) -> int:
    """Read it as max pooling, of which a window is an element of all operands in their order."""
    _alike(reader, call)
    size, count = math.prod(call.shape), len(call.operands)
    columns = tuple(reader.reshaped(call, operand, (size, 1)) for operand in call.operands)
    beside = reader.add(graphs.Concatenate(call.name, columns, (size, count)))
    row = reader.reshaped(call, beside, (size * count, 1))
    return reader.reshaped(call, _row_maxima(reader, call, row, count), call.shape)


@_rule("Minimum")
def _minimum(reader: _Reader, layer: Any, call: _Call) -> int:
    negative = tuple(reader.scaled(call, operand, -1.0) for operand in call.operands)
    return reader.scaled(call, _maximum(reader, layer, call._replace(operands=negative)), -1.0)


def _alike(reader: _Reader, call: _Call) -> None:
    shapes = [reader.shape(operand) for operand in call.operands]
    if any(shape != call.shape for shape in shapes):
        raise reader.refuse(
            call, "operands of one shape", str(shapes), "reshape them to the same shape first"
        )


@_rule("Concatenate")
def _concatenate(reader: _Reader, layer: Any, call: _Call) -> int:
    rank = len(call.shape)
    along = layer.axis % (rank + 1) - 1
    if along == rank - 1:
        return reader.add(graphs.Concatenate(call.name, call.operands, call.shape))
    axes = [*(axis for axis in range(rank) if axis != along), along]
    permuted = tuple(reader.permuted(call, operand, axes) for operand in call.operands)
    shape = tuple(call.shape[axis] for axis in axes)
    joined = reader.add(graphs.Concatenate(call.name, permuted, shape))
    return reader.permuted(call, joined, np.argsort(axes).tolist())


@_rule(
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)
def _identity(reader: _Reader, layer: Any, call: _Call) -> int:
    return call.operand


@_rule("Activation")
def _activation(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.activation(layer.activation, call, call.operand)


@_rule("Softmax")
def _softmax(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.add(graphs.OutputActivation(call.name, call.operands, call.shape, "softmax"))


@_rule("ReLU")
def _relu(reader: _Reader, layer: Any, call: _Call) -> int:
    if layer.threshold is not None and float(layer.threshold) != 0:
        raise reader.refuse(
            call,
            "a ReLU that switches at 0",
            f"threshold={float(layer.threshold)}",
            "move the threshold into the bias of the layer before",
        )
    ceiling = None if layer.max_value is None else float(layer.max_value)
    gate = graphs.Gate(
        call.name, call.operands, call.shape, float(layer.negative_slope or 0), ceiling
    )
    return reader.add(gate)


@_rule("LeakyReLU")
def _leaky_relu(reader: _Reader, layer: Any, call: _Call) -> int:
    slope = layer.alpha if hasattr(layer, "alpha") else layer.negative_slope
    return reader.add(graphs.Gate(call.name, call.operands, call.shape, float(slope)))


@_rule("PReLU")
def _parametric_relu(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.add(graphs.Gate(call.name, call.operands, call.shape, layer.alpha))
