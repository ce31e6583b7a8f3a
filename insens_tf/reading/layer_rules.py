"""One rule a layer kind: what it appends to the graph.

Layers are recognised by the name of their class, so that the Keras that comes with TensorFlow,
`tf_keras` and Keras 3 are read alike. Nothing of the model is called or changed: rules take its
configuration and refer to its variables, whose later values are therefore seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from insens_tf import activations
from insens_tf.activations import PiecewiseLinear
from insens_tf.operations import (
    Add,
    AveragePooling,
    BatchNormalization,
    Computed,
    Concatenate,
    Convolution,
    Cropping,
    DepthwiseConvolution,
    GlobalAveragePooling,
    LocallyConnected,
    Matrix,
    MaxPooling,
    Pooling,
    Resampling,
    Reshape,
    TransposedConvolution,
    ZeroPadding,
)

if TYPE_CHECKING:
    from insens_tf.reading.reader import Call, Reader

__all__ = [
    "MAKE_FLOATING",
    "MOVE_OR_CHOOSE",
    "NOT_PIECEWISE_LINEAR",
    "OTHERWISE_IN_TRAINING",
    "RULES",
]

Rule = Callable[["Reader", Any, "Call"], int]

RULES: dict[str, Rule] = {}
"""The rule of each layer kind, by the name of its class."""

OTHERWISE_IN_TRAINING = (
    "AlphaDropout",
    "BatchNormalization",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)
"""Layers that do something else in training than at inference."""

MOVE_OR_CHOOSE = (
    *("Concatenate", "Flatten", "Maximum", "Minimum", "Permute", "RepeatVector", "Reshape"),
    *("Activation", "ActivityRegularization", "Identity", "ReLU", "GaussianDropout"),
    *("AlphaDropout", "Dropout", "GaussianNoise", "abs", "absolute", "identity", "reshape"),
    *(
        f"{kind}{axes}D"
        for kind in ("Cropping", "GlobalMaxPooling", "MaxPooling", "SpatialDropout", "ZeroPadding")
        for axes in (1, 2, 3)
    ),
)
"""What gives whole numbers of whole numbers, exactly: it only moves them or chooses among them."""

MAKE_FLOATING = (
    *("BatchNormalization", "Dense", "LeakyReLU", "Normalization", "Rescaling"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
    *("divide", "multiply", "true_divide"),
)
"""What gives floating point numbers of whole numbers in Keras 3, as it says itself."""

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


def _rule(*class_names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(class_names, function))
        return function

    return register


@_rule("Dense")
def _dense(reader: Reader, layer: Any, call: Call) -> int:
    position = reader.add(
        Matrix(call.name, call.operands, call.shape, _kernel(layer), bias=layer.bias)
    )
    return reader.activation(layer.activation, call, position)


def _kernel(layer: Any) -> Any:
    """Return a layer's kernel; if it is no variable, such as with LoRA, what computes it."""
    kernel = layer.kernel
    if hasattr(kernel, "assign"):
        return kernel
    return Computed(lambda: layer.kernel, tuple(kernel.shape))


@_rule("Conv1D", "Conv2D", "Conv3D")
def _convolution(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    if len(call.shape) != len(layer.kernel_size) + 1:
        raise reader.refuse(
            call,
            f"an input with {len(layer.kernel_size)} axes and channels",
            f"shape {reader.shape(call.operand)}",
            "use a convolution over all its axes, with a kernel of length 1 where none is wanted",
        )
    _gradient_is_of_what_is_computed(reader, layer, call)
    operand, padding = _padded(reader, layer, call)
    position = reader.add(
        Convolution(
            call.name,
            (operand,),
            call.shape,
            kernel=_kernel(layer),
            bias=layer.bias,
            strides=tuple(layer.strides),
            dilation=tuple(layer.dilation_rate),
            padding=padding,
            groups=layer.groups,
            operand_shape=reader.shape(operand),
        )
    )
    return reader.activation(layer.activation, call, position)


def _gradient_is_of_what_is_computed(reader: Reader, layer: Any, call: Call) -> None:
    """Refuse where TensorFlow begins a convolution of three axes elsewhere than its gradient."""
    if len(layer.kernel_size) < 3 or layer.padding != "same":
        return
    for size, stride, dilation, outputs, length in zip(
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        call.shape,
        reader.shape(call.operand),
    ):
        seen = (outputs - 1) * stride + (size - 1) * dilation + 1
        if length - seen > 1:
            raise reader.refuse(
                call,
                "strides that see the whole of each axis, as TensorFlow has the gradient of "
                "another convolution than it computes where padding='same' leaves more out",
                f"kernel {tuple(layer.kernel_size)} and strides {tuple(layer.strides)}",
                "use padding='valid' after ZeroPadding3D or Cropping3D",
            )


def _padded(reader: Reader, layer: Any, call: Call) -> tuple[int, str]:
    """Return what a convolution is to see, and its padding; a causal one is zeros before it."""
    reader.padding_by_name(layer, call)
    if layer.padding != "causal":
        return call.operand, layer.padding
    before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    length, channels = reader.shape(call.operand)
    padding = ZeroPadding(call.name, call.operands, (before + length, channels), ((before, 0),))
    return reader.add(padding), "valid"


@_rule("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise_convolution(reader: Reader, layer: Any, call: Call) -> int:
    kernel = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    position = _depthwise(reader, layer, call, call.shape, kernel, layer.bias)
    return reader.activation(layer.activation, call, position)


@_rule("SeparableConv1D", "SeparableConv2D")
def _separable_convolution(reader: Reader, layer: Any, call: Call) -> int:
    kernel = layer.pointwise_kernel
    shape = (*call.shape[:-1], int(kernel.shape[-2]))
    ones = (1,) * len(layer.strides)
    position = reader.add(
        Convolution(
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
    reader: Reader, layer: Any, call: Call, shape: tuple[int, ...], kernel: Any, bias: Any | None
) -> int:
    reader.channels_last(layer, call)
    operand, padding = _padded(reader, layer, call)
    return reader.add(
        DepthwiseConvolution(
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
def _transposed_convolution(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    reader.padding_by_name(layer, call)
    if set(layer.dilation_rate) != {1}:
        raise reader.refuse(
            call,
            "dilation_rate=1",
            f"{tuple(layer.dilation_rate)}",
            "cut the model before it, or retrain without dilation",
        )
    position = reader.add(
        TransposedConvolution(
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


@_rule("LocallyConnected1D", "LocallyConnected2D")
def _locally_connected(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    if layer.implementation != 1:
        raise reader.refuse(
            call,
            "implementation=1",
            f"{layer.implementation}",
            "rebuild the layer with that, which has the weights without zeros between them",
        )
    position = reader.add(
        LocallyConnected(
            call.name,
            call.operands,
            call.shape,
            kernel=layer.kernel,
            bias=layer.bias if layer.use_bias else None,
            window=tuple(layer.kernel_size),
            strides=tuple(layer.strides),
            operand_shape=reader.shape(call.operand),
        )
    )
    return reader.activation(layer.activation, call, position)


@_rule("MaxPooling1D", "MaxPooling2D", "MaxPooling3D")
def _max_pooling(reader: Reader, layer: Any, call: Call) -> int:
    return _pooling(reader, layer, call, MaxPooling)


@_rule("AveragePooling1D", "AveragePooling2D", "AveragePooling3D")
def _average_pooling(reader: Reader, layer: Any, call: Call) -> int:
    return _pooling(reader, layer, call, AveragePooling)


def _pooling(reader: Reader, layer: Any, call: Call, kind: type[Pooling]) -> int:
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
def _global_average_pooling(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    return reader.add(GlobalAveragePooling(call.name, call.operands, call.shape))


@_rule("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D")
def _global_max_pooling(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    *lengths, channels = reader.shape(call.operand)
    positions = math.prod(lengths)
    row = reader.reshaped(call, call.operand, (positions, channels))
    return reader.reshaped(call, _row_maxima(reader, call, row, positions), call.shape)


def _row_maxima(reader: Reader, call: Call, operand: int, length: int) -> int:
    """Append the maximum of every `length` positions of an operand (positions, channels)."""
    positions, channels = reader.shape(operand)
    return reader.add(
        MaxPooling(
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
def _reshape(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    return reader.add(Reshape(call.name, call.operands, call.shape))


@_rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _zero_padding(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    padding = tuple((before, after) for before, after in _ends_of_axes(layer.padding))
    return reader.add(ZeroPadding(call.name, call.operands, call.shape, padding))


@_rule("Cropping1D", "Cropping2D", "Cropping3D")
def _cropping(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    first = tuple(before for before, _ in _ends_of_axes(layer.cropping))
    return reader.add(Cropping(call.name, call.operands, call.shape, first))


def _ends_of_axes(amounts: Any) -> list[list[int]]:
    """Return (before, after) of each axis; for one axis Keras has the pair alone."""
    return np.reshape(amounts, (-1, 2)).tolist()


@_rule("Permute")
def _permute(reader: Reader, layer: Any, call: Call) -> int:
    return reader.permuted(call, call.operand, [axis - 1 for axis in layer.dims])


@_rule("RepeatVector")
def _repeat_vector(reader: Reader, layer: Any, call: Call) -> int:
    row = reader.reshaped(call, call.operand, (1, *reader.shape(call.operand)))
    return _resampled(reader, call, row, "nearest")


@_rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def _up_sampling(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    # Over one axis and over three, Keras only repeats.
    return _resampled(reader, call, call.operand, getattr(layer, "interpolation", "nearest"))


@_rule("Resizing")
def _resizing(reader: Reader, layer: Any, call: Call) -> int:
    reader.channels_last(layer, call)
    return _resampled(reader, call, call.operand, layer.interpolation)


def _resampled(reader: Reader, call: Call, operand: int, interpolation: str) -> int:
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
    return reader.add(Resampling(call.name, (operand,), call.shape, matrices))


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
def _batch_normalization(reader: Reader, layer: Any, call: Call) -> int:
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
        BatchNormalization(
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
def _rescaling(reader: Reader, layer: Any, call: Call) -> int:
    return reader.scaled(call, call.operand, layer.scale, layer.offset)


@_rule("Normalization")
def _normalization(reader: Reader, layer: Any, call: Call) -> int:
    # What the layer computes with, given or adapted, and with a batch axis.
    def deviation() -> tf.Tensor:
        return tf.maximum(tf.sqrt(layer.variance), tf.keras.backend.epsilon())

    shape = tuple(layer.mean.shape)
    if layer.invert:
        factor, offset = deviation, lambda: layer.mean
    else:
        factor, offset = lambda: 1 / deviation(), lambda: -layer.mean / deviation()
    return reader.scaled(call, call.operand, Computed(factor, shape), Computed(offset, shape))


@_rule("Add")
def _add(reader: Reader, layer: Any, call: Call) -> int:
    return added(reader, call)


def added(reader: Reader, call: Call) -> int:
    """Append the sum of the operands."""
    _alike(reader, call)
    return reader.add(Add(call.name, call.operands, call.shape))


@_rule("Subtract")
def _subtract(reader: Reader, layer: Any, call: Call) -> int:
    return subtracted(reader, call)


def subtracted(reader: Reader, call: Call) -> int:
    """Append the difference of two operands."""
    minuend, subtrahend = call.operands
    negative = reader.scaled(call, subtrahend, -1.0)
    return added(reader, call._replace(operands=(minuend, negative)))


@_rule("Average")
def _average(reader: Reader, layer: Any, call: Call) -> int:
    return reader.scaled(call, added(reader, call), 1 / len(call.operands))


@_rule("Maximum")
def _maximum(reader: Reader, layer: Any, call: Call) -> int:
    """Read it as max pooling, of which a window is an element of all operands in their order."""
    _alike(reader, call)
    size, count = math.prod(call.shape), len(call.operands)
    columns = tuple(reader.reshaped(call, operand, (size, 1)) for operand in call.operands)
    beside = reader.add(Concatenate(call.name, columns, (size, count)))
    row = reader.reshaped(call, beside, (size * count, 1))
    return reader.reshaped(call, _row_maxima(reader, call, row, count), call.shape)


@_rule("Minimum")
def _minimum(reader: Reader, layer: Any, call: Call) -> int:
    negative = tuple(reader.scaled(call, operand, -1.0) for operand in call.operands)
    return reader.scaled(call, _maximum(reader, layer, call._replace(operands=negative)), -1.0)


def _alike(reader: Reader, call: Call) -> None:
    shapes = [reader.shape(operand) for operand in call.operands]
    if any(shape != call.shape for shape in shapes):
        raise reader.refuse(
            call, "operands of one shape", str(shapes), "reshape them to the same shape first"
        )


@_rule("Concatenate")
def _concatenate(reader: Reader, layer: Any, call: Call) -> int:
    rank = len(call.shape)
    along = layer.axis % (rank + 1) - 1
    if along < 0:
        raise reader.refuse(
            call, "an axis other than the batch's", f"axis={layer.axis}", "keep inputs apart"
        )
    if along == rank - 1:
        return reader.add(Concatenate(call.name, call.operands, call.shape))
    axes = [*(axis for axis in range(rank) if axis != along), along]
    permuted = tuple(reader.permuted(call, operand, axes) for operand in call.operands)
    shape = tuple(call.shape[axis] for axis in axes)
    joined = reader.add(Concatenate(call.name, permuted, shape))
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
def _identity(reader: Reader, layer: Any, call: Call) -> int:
    return call.operand


@_rule("Activation")
def _activation(reader: Reader, layer: Any, call: Call) -> int:
    return reader.activation(layer.activation, call, call.operand)


@_rule("Softmax")
def _softmax(reader: Reader, layer: Any, call: Call) -> int:
    return reader.bent(call, call.operand, "softmax", layer)


@_rule("ReLU")
def _relu(reader: Reader, layer: Any, call: Call) -> int:
    return reader.gated(call, call.operand, keras_relu(reader, vars(layer), call))


def keras_relu(reader: Reader, settings: dict[str, Any], call: Call) -> PiecewiseLinear:
    threshold = float(settings["threshold"] or 0)
    if threshold < 0:
        raise reader.refuse(
            call, "a threshold of at least 0", f"{threshold}", "move it into the bias before"
        )
    return activations.relu(
        float(settings["negative_slope"] or 0), settings["max_value"], threshold
    )


@_rule("ThresholdedReLU")
def _thresholded_relu(reader: Reader, layer: Any, call: Call) -> int:
    return reader.gated(call, call.operand, activations.relu(threshold=float(layer.theta)))


@_rule("LeakyReLU")
def _leaky_relu(reader: Reader, layer: Any, call: Call) -> int:
    slope = layer.alpha if hasattr(layer, "alpha") else layer.negative_slope
    return reader.gated(call, call.operand, activations.relu(float(slope)))


@_rule("PReLU")
def _parametric_relu(reader: Reader, layer: Any, call: Call) -> int:
    return reader.gated(call, call.operand, activations.relu(layer.alpha))
