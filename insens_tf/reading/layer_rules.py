"""One rule a layer kind: what it appends to the graph.

A rule is found by the name of the layer's class, so that it reads the Keras that comes with
TensorFlow, `tf_keras` and Keras 3 in the same way. Rules call nothing of the model and change
nothing in it: they take its configuration and refer to its variables, so later values are seen.

This module is long because it is a table: each rule stands alone, and is read alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf import activations
from insens_tf.activations import PiecewiseLinear
from insens_tf.operations import (
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
from insens_tf.reading.graph_builder import Call, GraphBuilder

__all__ = [
    "MAKE_FLOATING",
    "MOVE_OR_CHOOSE",
    "NOT_PIECEWISE_LINEAR",
    "OTHERWISE_IN_TRAINING",
    "RULES",
    "relu_with_settings",
]

Rule = Callable[[GraphBuilder, Any, Call], int]

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
"""Layers and functions that only move or choose numbers: whole numbers stay whole and exact."""

MAKE_FLOATING = (
    *("BatchNormalization", "Dense", "LeakyReLU", "Normalization", "Rescaling"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
    *("divide", "multiply", "true_divide"),
)
"""Layers and functions that turn whole numbers into floating point numbers in Keras 3."""

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
"""Layers that are not piecewise linear: what each does, and the way out."""


def _rule(*class_names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(class_names, function))
        return function

    return register


def _check_channels_last(layer: Any, call: Call) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise call.refusal(
            "data_format='channels_last'",
            f"{layer.data_format!r}",
            "rebuild the layer with channels last",
        )


def _check_padding(layer: Any, call: Call) -> None:
    """Refuse padding given in numbers, which Keras 3 accepts without an error."""
    if not isinstance(layer.padding, str):
        raise call.refusal(
            "padding='valid', 'same' or 'causal'",
            f"{layer.padding!r}",
            "pad by a ZeroPadding layer before it",
        )


@_rule("Dense")
def _dense(builder: GraphBuilder, layer: Any, call: Call) -> int:
    position = builder.append(
        Matrix(call.name, call.operands, call.shape, _kernel(layer), bias=layer.bias)
    )
    return builder.activation(layer.activation, call, position)


def _kernel(layer: Any) -> Any:
    """Return a layer's kernel; if it is no variable, as with LoRA, what computes it."""
    kernel = layer.kernel
    if hasattr(kernel, "assign"):
        return kernel
    return Computed(lambda: layer.kernel, tuple(kernel.shape))


@_rule("Conv1D", "Conv2D", "Conv3D")
def _convolution(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    if len(call.shape) != len(layer.kernel_size) + 1:
        raise call.refusal(
            f"an input with {len(layer.kernel_size)} axes and channels",
            f"shape {builder.shape(call.operand)}",
            "use a convolution over all its axes, with a kernel of length 1 where none is wanted",
        )
    _check_gradient(builder, layer, call)
    operand, padding = _padded_operand(builder, layer, call)
    position = builder.append(
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
            operand_shape=builder.shape(operand),
        )
    )
    return builder.activation(layer.activation, call, position)


def _check_gradient(builder: GraphBuilder, layer: Any, call: Call) -> None:
    """Refuse a Conv3D whose gradient in TensorFlow starts at another position than the layer."""
    if len(layer.kernel_size) < 3 or layer.padding != "same":
        return
    for size, stride, dilation, outputs, length in zip(
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        call.shape,
        builder.shape(call.operand),
    ):
        seen = (outputs - 1) * stride + (size - 1) * dilation + 1
        if length - seen > 1:
            raise call.refusal(
                "strides that see the whole of each axis, as TensorFlow has the gradient of "
                "another convolution than it computes where padding='same' leaves more out",
                f"kernel {tuple(layer.kernel_size)} and strides {tuple(layer.strides)}",
                "use padding='valid' after ZeroPadding3D or Cropping3D",
            )


def _padded_operand(builder: GraphBuilder, layer: Any, call: Call) -> tuple[int, str]:
    """Return a convolution's operand and its padding; causal padding becomes zeros before it."""
    _check_padding(layer, call)
    if layer.padding != "causal":
        return call.operand, layer.padding
    before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    length, channels = builder.shape(call.operand)
    padding = ZeroPadding(call.name, call.operands, (before + length, channels), ((before, 0),))
    return builder.append(padding), "valid"


@_rule("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise_convolution(builder: GraphBuilder, layer: Any, call: Call) -> int:
    kernel = layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel
    position = _depthwise_sum(builder, layer, call, call.shape, kernel, layer.bias)
    return builder.activation(layer.activation, call, position)


@_rule("SeparableConv1D", "SeparableConv2D")
def _separable_convolution(builder: GraphBuilder, layer: Any, call: Call) -> int:
    kernel = layer.pointwise_kernel
    shape = (*call.shape[:-1], int(kernel.shape[-2]))
    ones = (1,) * len(layer.strides)
    position = builder.append(
        Convolution(
            call.name,
            (_depthwise_sum(builder, layer, call, shape, layer.depthwise_kernel, None),),
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
    return builder.activation(layer.activation, call, position)


def _depthwise_sum(
    builder: GraphBuilder,
    layer: Any,
    call: Call,
    shape: tuple[int, ...],
    kernel: Any,
    bias: Any | None,
) -> int:
    _check_channels_last(layer, call)
    operand, padding = _padded_operand(builder, layer, call)
    return builder.append(
        DepthwiseConvolution(
            call.name,
            (operand,),
            shape,
            kernel=kernel,
            bias=bias,
            strides=tuple(layer.strides),
            dilation=tuple(layer.dilation_rate),
            padding=padding,
            operand_shape=builder.shape(operand),
        )
    )


@_rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _transposed_convolution(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    _check_padding(layer, call)
    if set(layer.dilation_rate) != {1}:
        raise call.refusal(
            "dilation_rate=1",
            f"{tuple(layer.dilation_rate)}",
            "cut the model before it, or retrain without dilation",
        )
    position = builder.append(
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
    return builder.activation(layer.activation, call, position)


@_rule("LocallyConnected1D", "LocallyConnected2D")
def _locally_connected(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    if layer.implementation != 1:
        raise call.refusal(
            "implementation=1",
            f"{layer.implementation}",
            "rebuild the layer with that, which has the weights without zeros between them",
        )
    position = builder.append(
        LocallyConnected(
            call.name,
            call.operands,
            call.shape,
            kernel=layer.kernel,
            bias=layer.bias if layer.use_bias else None,
            window=tuple(layer.kernel_size),
            strides=tuple(layer.strides),
            operand_shape=builder.shape(call.operand),
        )
    )
    return builder.activation(layer.activation, call, position)


@_rule("MaxPooling1D", "MaxPooling2D", "MaxPooling3D")
def _max_pooling(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return _pooling(builder, layer, call, MaxPooling)


@_rule("AveragePooling1D", "AveragePooling2D", "AveragePooling3D")
def _average_pooling(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return _pooling(builder, layer, call, AveragePooling)


def _pooling(builder: GraphBuilder, layer: Any, call: Call, kind: type[Pooling]) -> int:
    _check_channels_last(layer, call)
    return builder.append(
        kind(
            call.name,
            call.operands,
            call.shape,
            window=tuple(layer.pool_size),
            strides=tuple(layer.strides),
            padding=layer.padding,
            operand_shape=builder.shape(call.operand),
        )
    )


@_rule("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D")
def _global_average_pooling(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    return builder.append(GlobalAveragePooling(call.name, call.operands, call.shape))


@_rule("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D")
def _global_max_pooling(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    *lengths, channels = builder.shape(call.operand)
    positions = math.prod(lengths)
    row = builder.reshaped(call, call.operand, (positions, channels))
    return builder.reshaped(call, _row_maxima(builder, call, row, positions), call.shape)


def _row_maxima(builder: GraphBuilder, call: Call, operand: int, length: int) -> int:
    """Append the maxima over every `length` positions of an operand (positions, channels)."""
    positions, channels = builder.shape(operand)
    return builder.append(
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
def _reshape(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    return builder.append(Reshape(call.name, call.operands, call.shape))


@_rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _zero_padding(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    padding = tuple((before, after) for before, after in _ends_of_axes(layer.padding))
    return builder.append(ZeroPadding(call.name, call.operands, call.shape, padding))


@_rule("Cropping1D", "Cropping2D", "Cropping3D")
def _cropping(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    first = tuple(before for before, _ in _ends_of_axes(layer.cropping))
    return builder.append(Cropping(call.name, call.operands, call.shape, first))


def _ends_of_axes(amounts: Any) -> list[list[int]]:
    """Return (before, after) for each axis; for a single axis Keras stores the pair alone."""
    return np.reshape(amounts, (-1, 2)).tolist()


@_rule("Permute")
def _permute(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.permuted(call, call.operand, [axis - 1 for axis in layer.dims])


@_rule("RepeatVector")
def _repeat_vector(builder: GraphBuilder, layer: Any, call: Call) -> int:
    row = builder.reshaped(call, call.operand, (1, *builder.shape(call.operand)))
    return _resampled(builder, call, row, "nearest")


@_rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def _up_sampling(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    # Keras interpolates over two axes alone; over one or three it repeats.
    return _resampled(builder, call, call.operand, getattr(layer, "interpolation", "nearest"))


@_rule("Resizing")
def _resizing(builder: GraphBuilder, layer: Any, call: Call) -> int:
    _check_channels_last(layer, call)
    return _resampled(builder, call, call.operand, layer.interpolation)


def _resampled(builder: GraphBuilder, call: Call, operand: int, interpolation: str) -> int:
    if interpolation not in ("nearest", "bilinear"):
        raise call.refusal(
            "interpolation='nearest' or 'bilinear'",
            repr(interpolation),
            "rebuild the layer with one of these",
        )
    matrices = tuple(
        _interpolation(below, above, interpolation == "bilinear")
        for below, above in zip(builder.shape(operand)[:-1], call.shape[:-1])
    )
    return builder.append(Resampling(call.name, (operand,), call.shape, matrices))


def _interpolation(length: int, results: int, linear: bool) -> np.ndarray:
    """Return TensorFlow's interpolation along an axis as a matrix, shape (results, length)."""
    if linear:
        centres = (np.arange(results) + 0.5) * length / results - 0.5
        below = np.floor(centres)
        share = centres - below
    else:
        # TensorFlow's own precision: rounding decides about a centre between two positions.
        centres = np.arange(results, dtype=np.float32) + np.float32(0.5)
        below = np.floor(centres * (np.float32(length) / np.float32(results)))
        share = np.zeros(results)
    identity = np.eye(length)
    first, second = (np.clip(below + i, 0, length - 1).astype(int) for i in (0, 1))
    return (1 - share)[:, np.newaxis] * identity[first] + share[:, np.newaxis] * identity[second]


@_rule("BatchNormalization")
def _batch_normalization(builder: GraphBuilder, layer: Any, call: Call) -> int:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    rank = len(call.shape)
    if [axis % (rank + 1) for axis in axes] != [rank]:
        raise call.refusal(
            "normalisation along the last axis",
            f"axis={axes}",
            "rebuild the layer with channels last",
        )
    return builder.append(
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
def _rescaling(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.scaled(call, call.operand, layer.scale, layer.offset)


@_rule("Normalization")
def _normalization(builder: GraphBuilder, layer: Any, call: Call) -> int:
    # Both attributes hold what the layer computes with, given or adapted, and have a batch axis.
    def deviation() -> tf.Tensor:
        return tf.maximum(tf.sqrt(layer.variance), tf.keras.backend.epsilon())

    shape = tuple(layer.mean.shape)
    if layer.invert:
        factor, offset = deviation, lambda: layer.mean
    else:
        factor, offset = lambda: 1 / deviation(), lambda: -layer.mean / deviation()
    return builder.scaled(call, call.operand, Computed(factor, shape), Computed(offset, shape))


@_rule("Add")
def _add(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.sum(call)


@_rule("Subtract")
def _subtract(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.difference(call)


@_rule("Average")
def _average(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.scaled(call, builder.sum(call), 1 / len(call.operands))


@_rule("Maximum")
def _maximum(builder: GraphBuilder, layer: Any, call: Call) -> int:
    """Append max pooling whose windows hold one element of every operand, in their order."""
    builder.check_equal_shapes(call)
    size, count = math.prod(call.shape), len(call.operands)
    columns = tuple(builder.reshaped(call, operand, (size, 1)) for operand in call.operands)
    beside = builder.append(Concatenate(call.name, columns, (size, count)))
    row = builder.reshaped(call, beside, (size * count, 1))
    return builder.reshaped(call, _row_maxima(builder, call, row, count), call.shape)


@_rule("Minimum")
def _minimum(builder: GraphBuilder, layer: Any, call: Call) -> int:
    negative = tuple(builder.scaled(call, operand, -1.0) for operand in call.operands)
    return builder.scaled(call, _maximum(builder, layer, call._replace(operands=negative)), -1.0)


@_rule("Concatenate")
def _concatenate(builder: GraphBuilder, layer: Any, call: Call) -> int:
    rank = len(call.shape)
    along = layer.axis % (rank + 1) - 1
    if along < 0:
        raise call.refusal(
            "an axis other than the batch's", f"axis={layer.axis}", "keep inputs apart"
        )
    if along == rank - 1:
        return builder.append(Concatenate(call.name, call.operands, call.shape))
    axes = [*(axis for axis in range(rank) if axis != along), along]
    permuted = tuple(builder.permuted(call, operand, axes) for operand in call.operands)
    shape = tuple(call.shape[axis] for axis in axes)
    joined = builder.append(Concatenate(call.name, permuted, shape))
    return builder.permuted(call, joined, np.argsort(axes).tolist())


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
def _identity(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return call.operand


@_rule("Activation")
def _activation(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.activation(layer.activation, call, call.operand)


@_rule("Softmax")
def _softmax(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.smooth_activation(call, call.operand, "softmax", layer)


@_rule("ReLU")
def _relu(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.gated(call, call.operand, relu_with_settings(vars(layer), call))


def relu_with_settings(settings: dict[str, Any], call: Call) -> PiecewiseLinear:
    """Return Keras' ReLU with the settings of a layer or a function."""
    threshold = float(settings["threshold"] or 0)
    if threshold < 0:
        raise call.refusal(
            "a threshold of at least 0", f"{threshold}", "move it into the bias before"
        )
    return activations.relu(
        float(settings["negative_slope"] or 0), settings["max_value"], threshold
    )


@_rule("ThresholdedReLU")
def _thresholded_relu(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.gated(call, call.operand, activations.relu(threshold=float(layer.theta)))


@_rule("LeakyReLU")
def _leaky_relu(builder: GraphBuilder, layer: Any, call: Call) -> int:
    slope = layer.alpha if hasattr(layer, "alpha") else layer.negative_slope
    return builder.gated(call, call.operand, activations.relu(float(slope)))


@_rule("PReLU")
def _parametric_relu(builder: GraphBuilder, layer: Any, call: Call) -> int:
    return builder.gated(call, call.operand, activations.relu(layer.alpha))
