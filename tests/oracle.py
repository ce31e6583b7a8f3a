"""A slow and simple float64 NumPy oracle for switched projections and Insens.

It shares no code with the library and does no mathematics in TensorFlow: weights and settings are
read from the Keras layers, and everything else is loops and matrix products. For one input, every
layer becomes an explicit affine map of the network's input, with the network's state (which
neurons are active, which input won a maximum) held fixed::

    value = matrix @ x + offset

The matrix is the product of the layers' own matrices, never a derivative, so it is a second
opinion on what the library gets from automatic differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tensorflow import keras


@dataclass(frozen=True)
class AffineMap:
    """The values of one layer for one input, as an affine function of the network's input.

    Attributes
    ----------
    shape : tuple of int
        The layer's shape, without the batch.
    value : ndarray of shape (values,)
        What the layer computes. It is carried from layer to layer and not recomputed from the
        matrix, because the state depends on its exact zeros and ties.
    matrix : ndarray of shape (values, input components)
        Its dependence on the network's input, in the state of this input.
    offset : ndarray of shape (values,)
        The rest: ``value = matrix @ input + offset``.
    name : str
        The Keras layer that computes it.
    """

    shape: tuple[int, ...]
    value: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray
    name: str = ""

    def transformed(
        self, shape: Sequence[int], matrix: np.ndarray, bias: np.ndarray | float = 0.0
    ) -> AffineMap:
        """This map followed by ``values -> matrix @ values + bias``."""
        return AffineMap(
            tuple(shape),
            matrix @ self.value + bias,
            matrix @ self.matrix,
            matrix @ self.offset + bias,
        )

    def scaled(self, factor: np.ndarray, shift: np.ndarray) -> AffineMap:
        """This map followed by ``values -> factor * values + shift``, value by value."""
        return AffineMap(
            self.shape,
            factor * self.value + shift,
            factor[:, None] * self.matrix,
            factor * self.offset + shift,
        )

    def selected(self, shape: Sequence[int], indices: np.ndarray) -> AffineMap:
        """The values at ``indices`` of this map."""
        return AffineMap(
            tuple(shape), self.value[indices], self.matrix[indices], self.offset[indices]
        )

    def reshaped(self, shape: Sequence[int]) -> AffineMap:
        """The same values in another shape, in C order."""
        return AffineMap(tuple(shape), self.value, self.matrix, self.offset)


@dataclass
class Sweep:
    """What one pass over the layers collects for one input."""

    parameters: dict[int, list[np.ndarray]]
    """Kernels, biases ... as Keras lists them, by the identity of the layer."""
    matrices: dict[tuple[int, tuple[int, ...]], np.ndarray]
    """The layers' own matrices by layer and shape of its input, built once for all inputs."""
    hidden: list[AffineMap] = field(default_factory=list)
    """The activities (before the nonlinearity) of the hidden layers, in order."""
    state: list[np.ndarray] = field(default_factory=list)
    """Which piece of every nonlinearity is used, and which input won each maximum, in order."""


Seen = list[tuple[tuple[int, ...], tuple[int, ...]]]
"""What one output looks at: positions in the kernel, and in the image."""


# --- windows ------------------------------------------------------------------------------------


def padding_before(size: int, window: int, stride: int, padding: str) -> tuple[int, int]:
    """Number of outputs and the padding before the first component, along one axis.

    ``window`` counts the gaps of a dilated kernel. With "same", TensorFlow puts the odd component
    of padding *after* the image.
    """
    if padding == "valid":
        return (size - window) // stride + 1, 0
    if padding == "same":
        outputs = -(-size // stride)
        return outputs, max((outputs - 1) * stride + window - size, 0) // 2
    if padding == "causal":
        return (size - 1) // stride + 1, window - 1
    raise NotImplementedError(f"padding {padding!r}")


def output_ends(
    image: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
) -> list[tuple[int, int]]:
    """Number of outputs and the padding before the first component, along each axis."""
    return [
        padding_before(image[axis], (window[axis] - 1) * dilation[axis] + 1, strides[axis], padding)
        for axis in range(len(image))
    ]


def window_positions(
    image: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
) -> tuple[tuple[int, ...], list[Seen]]:
    """Where every output looks: the output's size, and for each output, in C order, a list.

    Each holds ``(position in the kernel, position in the image)`` in C order of the kernel,
    without those that fall on the padding. There may be any number of axes.
    """
    axes = range(len(image))
    ends = output_ends(image, window, strides, dilation, padding)
    size = tuple(outputs for outputs, _ in ends)
    positions = []
    for output in np.ndindex(*size):
        seen = []
        for tap in np.ndindex(*window):
            place = tuple(
                output[axis] * strides[axis] - ends[axis][1] + tap[axis] * dilation[axis]
                for axis in axes
            )
            if all(0 <= place[axis] < image[axis] for axis in axes):
                seen.append((tap, place))
        positions.append(seen)
    return size, positions


# --- one function for each kind of layer ---------------------------------------------------------


def identity(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Layers that do nothing at inference."""
    return incoming[0]


def kernel_and_bias(layer: Any, outputs: int, sweep: Sweep) -> tuple[np.ndarray, np.ndarray]:
    """A layer's kernel, and its bias or zeros where it has none."""
    kernel, *bias = sweep.parameters[id(layer)]
    return kernel, bias[0] if layer.use_bias else np.zeros(outputs)


def dense(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """``values @ kernel + bias`` along the last axis."""
    kernel, bias = kernel_and_bias(layer, layer.units, sweep)
    leading = incoming[0].shape[:-1]
    repetitions = int(np.prod(leading))
    key = id(layer), incoming[0].shape
    if key not in sweep.matrices:
        # A dense layer over a shape (rows, columns, channels) treats every pixel alike.
        sweep.matrices[key] = np.kron(np.eye(repetitions), kernel.T)
    result = incoming[0].transformed(
        (*leading, layer.units), sweep.matrices[key], np.tile(bias, repetitions)
    )
    return activation(layer.get_config()["activation"], replace(result, name=layer.name), sweep)


def convolution_matrix(
    image: Sequence[int],
    kernel: np.ndarray,
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
    groups: int = 1,
) -> np.ndarray:
    """A convolution's matrix, written kernel position by kernel position."""
    *window, per_group, filters = kernel.shape
    _, positions = window_positions(image, window, strides, dilation, padding)
    matrix = np.zeros((len(positions), filters, *image, per_group * groups))
    outputs_per_group = filters // groups
    for output, seen in enumerate(positions):
        for tap, place in seen:
            for group in range(groups):
                ins = slice(group * per_group, (group + 1) * per_group)
                outs = slice(group * outputs_per_group, (group + 1) * outputs_per_group)
                entries = output, outs, *place, ins
                matrix[entries] = kernel[tap][:, outs].T
    return matrix.reshape(len(positions) * filters, -1)


def convolution(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A convolution over any number of axes as a matrix."""
    if layer.data_format != "channels_last":
        raise NotImplementedError(layer.data_format)
    kernel, bias = kernel_and_bias(layer, layer.filters, sweep)
    image = incoming[0].shape[:-1]
    ends = output_ends(image, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
    size = [outputs for outputs, _ in ends]
    key = id(layer), incoming[0].shape
    if key not in sweep.matrices:
        sweep.matrices[key] = convolution_matrix(
            image, kernel, layer.strides, layer.dilation_rate, layer.padding, layer.groups
        )
    repeated = np.tile(bias, int(np.prod(size)))
    result = incoming[0].transformed((*size, layer.filters), sweep.matrices[key], repeated)
    return activation(layer.get_config()["activation"], replace(result, name=layer.name), sweep)


def each_channel_alone(
    layer: Any, incoming: AffineMap, kernel: np.ndarray, bias: np.ndarray
) -> AffineMap:
    """A depthwise convolution: channel c gives the results c * multiplier ... of each position."""
    *image, channels = incoming.shape
    multiplier = kernel.shape[-1]
    size, positions = window_positions(
        image, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
    )
    matrix = np.zeros((len(positions), channels * multiplier, *image, channels))
    for output, seen in enumerate(positions):
        for tap, place in seen:
            for channel in range(channels):
                results = slice(channel * multiplier, (channel + 1) * multiplier)
                entries = output, results, *place, channel
                matrix[entries] = kernel[tap][channel]
    return incoming.transformed(
        (*size, channels * multiplier),
        matrix.reshape(-1, incoming.value.size),
        np.tile(bias, len(positions)),
    )


def depthwise_convolution(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A convolution of each channel alone."""
    kernel, *bias = sweep.parameters[id(layer)]
    outputs = kernel.shape[-2] * kernel.shape[-1]
    result = each_channel_alone(
        layer, incoming[0], kernel, bias[0] if layer.use_bias else np.zeros(outputs)
    )
    return activation(layer.get_config()["activation"], replace(result, name=layer.name), sweep)


def separable_convolution(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A depthwise convolution, and then a matrix for the channels of each position."""
    depthwise, pointwise, *rest = sweep.parameters[id(layer)]
    bias = rest[0] if layer.use_bias else np.zeros(layer.filters)
    channels = depthwise.shape[-2] * depthwise.shape[-1]
    between = each_channel_alone(layer, incoming[0], depthwise, np.zeros(channels))
    positions = int(np.prod(between.shape[:-1]))
    result = between.transformed(
        (*between.shape[:-1], layer.filters),
        np.kron(np.eye(positions), pointwise.reshape(channels, layer.filters).T),
        np.tile(bias, positions),
    )
    return activation(layer.get_config()["activation"], replace(result, name=layer.name), sweep)


def transposed_convolution(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The transposed matrix of the convolution that leads from its outputs to its inputs."""
    kernel, bias = kernel_and_bias(layer, layer.filters, sweep)
    image = []
    for axis, length in enumerate(incoming[0].shape[:-1]):
        size, stride = layer.kernel_size[axis], layer.strides[axis]
        if layer.output_padding is not None:
            before = {"same": size // 2, "valid": 0}[layer.padding]
            image.append((length - 1) * stride + size - 2 * before + layer.output_padding[axis])
        elif layer.padding == "same":
            image.append(length * stride)
        else:
            image.append(length * stride + max(size - stride, 0))
    ones = [1] * len(image)
    matrix = convolution_matrix(image, kernel, layer.strides, ones, layer.padding)
    repeated = np.tile(bias, int(np.prod(image)))
    result = incoming[0].transformed((*image, layer.filters), matrix.T, repeated)
    return activation(layer.get_config()["activation"], replace(result, name=layer.name), sweep)


def largest(
    incoming: AffineMap,
    size: Sequence[int],
    positions: list[Seen],
    sweep: Sweep,
) -> AffineMap:
    """Each channel's maximum over windows; the first of several maxima wins, padding never."""
    *image, channels = incoming.shape
    winners = []
    for seen in positions:
        for channel in range(channels):
            winner = None
            for _, place in seen:
                candidate = int(np.ravel_multi_index((*place, channel), (*image, channels)))
                if winner is None or incoming.value[candidate] > incoming.value[winner]:
                    winner = candidate
            winners.append(winner)
    sweep.state.append(np.array(winners))
    return incoming.selected((*size, channels), np.array(winners))


def max_pooling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each channel's maximum over a window of any number of axes."""
    if layer.data_format != "channels_last":
        raise NotImplementedError(layer.data_format)
    image = incoming[0].shape[:-1]
    size, positions = window_positions(
        image, layer.pool_size, layer.strides, [1] * len(image), layer.padding
    )
    return largest(incoming[0], size, positions, sweep)


def global_max_pooling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each channel's maximum over the whole image."""
    *image, _ = incoming[0].shape
    everywhere: Seen = [((), place) for place in np.ndindex(*image)]
    size = [1] * len(image) if layer.keepdims else []
    return largest(incoming[0], size, [everywhere], sweep)


def average_pooling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each channel's mean over a window, of which the padding is no part."""
    *image, channels = incoming[0].shape
    size, positions = window_positions(
        image, layer.pool_size, layer.strides, [1] * len(image), layer.padding
    )
    matrix = np.zeros((len(positions), channels, *image, channels))
    for output, seen in enumerate(positions):
        for _, place in seen:
            entries = output, slice(None), *place, slice(None)
            matrix[entries] = np.eye(channels) / len(seen)
    return incoming[0].transformed(
        (*size, channels), matrix.reshape(len(positions) * channels, incoming[0].value.size)
    )


def global_average_pooling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each channel's mean over the whole image."""
    *image, channels = incoming[0].shape
    positions = int(np.prod(image))
    shape = (*([1] * len(image) if layer.keepdims else []), channels)
    return incoming[0].transformed(shape, np.tile(np.eye(channels), (1, positions)) / positions)


def ends_of_axes(amounts: Any) -> list[tuple[int, int]]:
    """(before, after) of each axis; a layer of one axis has the pair alone."""
    return [amounts] if np.ndim(amounts) == 1 else list(amounts)


def zero_padding(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Zeros around the image."""
    *image, channels = incoming[0].shape
    ends = ends_of_axes(layer.padding)
    shape = (
        *(before + size + after for (before, after), size in zip(ends, image, strict=True)),
        channels,
    )
    positions = np.arange(np.prod(shape)).reshape(shape)
    middle = tuple(
        slice(before, before + size) for (before, _), size in zip(ends, image, strict=True)
    )
    inside = positions[middle].ravel()
    matrix = np.zeros((positions.size, inside.size))
    matrix[inside, np.arange(inside.size)] = 1.0
    return incoming[0].transformed(shape, matrix)


def picked(incoming: AffineMap, indices: np.ndarray) -> AffineMap:
    """The values at `indices`, an array of the shape that is wanted."""
    return incoming.selected(indices.shape, indices.ravel())


def places(incoming: AffineMap) -> np.ndarray:
    """The index of each value, in the map's shape."""
    return np.arange(incoming.value.size).reshape(incoming.shape)


def cropping(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The image without its borders."""
    indices = places(incoming[0])
    for axis, (before, after) in enumerate(ends_of_axes(layer.cropping)):
        indices = np.delete(indices, range(indices.shape[axis] - after, indices.shape[axis]), axis)
        indices = np.delete(indices, range(before), axis)
    return picked(incoming[0], indices)


def permute(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The axes in another order; Keras counts them from 1."""
    return picked(incoming[0], np.transpose(places(incoming[0]), [axis - 1 for axis in layer.dims]))


def repeat_vector(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The same values several times."""
    return picked(incoming[0], np.stack([places(incoming[0])] * layer.n))


def up_sampling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each position several times, or what lies between the positions on a straight line."""
    factors = [layer.size] if isinstance(layer.size, int) else list(layer.size)
    if getattr(layer, "interpolation", "nearest") == "bilinear":
        image = incoming[0].shape[:-1]
        return interpolated(
            incoming[0], [size * factor for size, factor in zip(image, factors, strict=True)]
        )
    indices = places(incoming[0])
    for axis, factor in enumerate(factors):
        indices = np.repeat(indices, factor, axis)
    return picked(incoming[0], indices)


def resizing(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Another size, by straight lines or by the nearest position."""
    if layer.interpolation == "bilinear":
        return interpolated(incoming[0], [layer.height, layer.width])
    indices = places(incoming[0])
    for axis, size in enumerate((layer.height, layer.width)):
        length = indices.shape[axis]
        nearest = [int((2 * output + 1) * length / (2 * size)) for output in range(size)]
        indices = np.take(indices, nearest, axis)
    return picked(incoming[0], indices)


def interpolated(incoming: AffineMap, size: Sequence[int]) -> AffineMap:
    """Bilinear interpolation: pixels are squares, and their values are those of their centres."""
    rows, columns, channels = incoming.shape
    matrix = np.zeros((*size, channels, rows, columns, channels))
    for out_row, out_column in np.ndindex(*size):
        row = min(max((out_row + 0.5) * rows / size[0] - 0.5, 0.0), rows - 1.0)
        column = min(max((out_column + 0.5) * columns / size[1] - 0.5, 0.0), columns - 1.0)
        for near_row, near_column in np.ndindex(rows, columns):
            share = max(1 - abs(row - near_row), 0.0) * max(1 - abs(column - near_column), 0.0)
            matrix[out_row, out_column, :, near_row, near_column] = share * np.eye(channels)
    return incoming.transformed((*size, channels), matrix.reshape(-1, incoming.value.size))


def rescaling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A factor and a shift, of all values or of each channel."""
    factor, shift = (
        np.broadcast_to(np.asarray(number, float), incoming[0].shape).ravel()
        for number in (layer.scale, layer.offset)
    )
    return incoming[0].scaled(factor, shift)


def normalisation(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Mean and variance are those of the data that the layer was adapted to, or given."""
    if layer.input_mean is not None:
        mean, variance = np.asarray(layer.input_mean), np.asarray(layer.input_variance)
    else:
        mean, variance, _ = sweep.parameters[id(layer)]
    deviation = np.broadcast_to(np.sqrt(variance), incoming[0].shape).ravel()
    mean = np.broadcast_to(mean, incoming[0].shape).ravel()
    if layer.invert:
        return incoming[0].scaled(deviation, mean)
    return incoming[0].scaled(1.0 / deviation, -mean / deviation)


def batch_normalisation(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """At inference, a factor and a shift for each channel."""
    parameters = list(sweep.parameters[id(layer)])
    channels = incoming[0].shape[-1]
    gamma = parameters.pop(0) if layer.scale else np.ones(channels)
    beta = parameters.pop(0) if layer.center else np.zeros(channels)
    mean, variance = parameters
    factor = gamma / np.sqrt(variance + layer.epsilon)
    repetitions = incoming[0].value.size // channels
    return incoming[0].scaled(
        np.tile(factor, repetitions), np.tile(beta - mean * factor, repetitions)
    )


def addition(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The sum of several layers."""
    return AffineMap(
        incoming[0].shape,
        np.sum([one.value for one in incoming], axis=0),
        np.sum([one.matrix for one in incoming], axis=0),
        np.sum([one.offset for one in incoming], axis=0),
    )


def subtraction(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The first of two layers less the second."""
    one, other = incoming
    return AffineMap(
        one.shape, one.value - other.value, one.matrix - other.matrix, one.offset - other.offset
    )


def average(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The mean of several layers."""
    total = addition(layer, incoming, sweep)
    share = np.full(total.value.size, 1.0 / len(incoming))
    return total.scaled(share, np.zeros(total.value.size))


def maximum(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Element by element, the first of the largest."""
    return chosen(incoming, np.argmax([one.value for one in incoming], axis=0), sweep)


def minimum(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Element by element, the first of the smallest."""
    return chosen(incoming, np.argmin([one.value for one in incoming], axis=0), sweep)


def chosen(incoming: list[AffineMap], winners: np.ndarray, sweep: Sweep) -> AffineMap:
    """Each element of the layer that has it."""
    sweep.state.append(winners)
    elements = np.arange(winners.size)
    return AffineMap(
        incoming[0].shape,
        np.stack([one.value for one in incoming])[winners, elements],
        np.stack([one.matrix for one in incoming])[winners, elements],
        np.stack([one.offset for one in incoming])[winners, elements],
    )


def concatenation(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Several layers side by side along an axis."""
    axis = layer.axis % (len(incoming[0].shape) + 1) - 1

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        rest = parts[0].shape[1:]
        whole = [part.reshape(*one.shape, *rest) for part, one in zip(parts, incoming, strict=True)]
        return np.concatenate(whole, axis).reshape(-1, *rest)

    shape = list(incoming[0].shape)
    shape[axis] = sum(one.shape[axis] for one in incoming)
    return AffineMap(
        tuple(shape),
        joined([one.value for one in incoming]),
        joined([one.matrix for one in incoming]),
        joined([one.offset for one in incoming]),
    )


def flatten(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """All values in one axis."""
    return incoming[0].reshaped((incoming[0].value.size,))


def reshape(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """The target shape, in which one size may be left open by -1."""
    target = [int(size) for size in layer.target_shape]
    if -1 in target:
        target[target.index(-1)] = -incoming[0].value.size // int(np.prod(target))
    return incoming[0].reshaped(target)


def activation(name: str, incoming: AffineMap, sweep: Sweep) -> AffineMap:
    """An activation by its name, whether it is a layer's argument or a layer of its own.

    A softmax or sigmoid, at the output, is looked through: what comes out are the logits.
    """
    if name in ("linear", "softmax", "sigmoid"):
        return incoming
    if name == "relu":
        return rectified(incoming, sweep)
    if name == "relu6":
        return rectified(incoming, sweep, ceiling=6.0)
    if name == "leaky_relu":
        return rectified(incoming, sweep, slope=0.2)
    if name == "hard_sigmoid":
        width = 6.0 if hasattr(keras, "ops") else 5.0
        return clipped(incoming, sweep, (-width / 2, width / 2), (0.0, 1.0))
    if name == "hard_tanh":
        return clipped(incoming, sweep, (-1.0, 1.0), (-1.0, 1.0))
    if name in SMOOTH:
        return ratio_gated(name, incoming, sweep)
    raise NotImplementedError(f"activation {name!r}")


SMOOTH: dict[str, Callable[[float], float]] = {
    "elu": lambda v: v if v > 0 else math.exp(v) - 1,
    "gelu": lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2,
    "mish": lambda v: v * math.tanh(math.log(1 + math.exp(v))),
    "selu": lambda v: 1.0507009873554805 * (v if v > 0 else 1.6732632423543772 * (math.exp(v) - 1)),
    "silu": lambda v: v / (1 + math.exp(-v)),
    "softsign": lambda v: v / (1 + abs(v)),
    "swish": lambda v: v / (1 + math.exp(-v)),
    "tanh": math.tanh,
}
"""Smooth activations, one number at a time."""


def ratio_gated(name: str, incoming: AffineMap, sweep: Sweep) -> AffineMap:
    """Each neuron times what it gives over what it gets; at 0 the ratio of a tiny step below."""
    sweep.hidden.append(incoming)
    function, steps = SMOOTH[name], np.where(incoming.value == 0.0, -1e-7, incoming.value)
    ratio = np.array([function(step) / step for step in steps])
    sweep.state.append(ratio)
    return incoming.scaled(ratio, np.zeros(ratio.size))


def activation_layer(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A layer that holds the name of an activation."""
    return activation(layer.get_config()["activation"], incoming[0], sweep)


def relu_layer(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A ReLU layer, with the slope that it has below zero and the ceiling, if it has one."""
    config = layer.get_config()
    ceiling = np.inf if config["max_value"] is None else float(config["max_value"])
    threshold, slope = float(config["threshold"]), float(config["negative_slope"])
    if threshold == 0.0:
        return rectified(incoming[0], sweep, slope, ceiling)
    return thresholded(incoming[0], sweep, threshold, slope, ceiling)


def thresholded_relu_layer(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A ThresholdedReLU layer of Keras 2."""
    return thresholded(incoming[0], sweep, float(layer.theta), 0.0, np.inf)


def leaky_relu_layer(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A LeakyReLU layer; its slope is called alpha in Keras 2, negative_slope in Keras 3."""
    config = layer.get_config()
    slope = config["alpha"] if "alpha" in config else config["negative_slope"]
    return rectified(incoming[0], sweep, float(slope))


def parametric_relu_layer(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A PReLU layer: a slope for each neuron, or one that the neurons along an axis share."""
    (slope,) = sweep.parameters[id(layer)]
    return rectified(incoming[0], sweep, np.broadcast_to(slope, incoming[0].shape).ravel())


def rectified(
    incoming: AffineMap,
    sweep: Sweep,
    slope: np.ndarray | float = 0.0,
    ceiling: float = np.inf,
) -> AffineMap:
    """A hidden layer's nonlinearity: active means greater than zero, so exactly 0 is inactive."""
    active, saturated = incoming.value > 0.0, incoming.value >= ceiling
    if not any(known is incoming for known in sweep.hidden):
        sweep.hidden.append(incoming)
    sweep.state.append(active.astype(int) + saturated)
    factor = np.where(saturated, 0.0, np.where(active, 1.0, slope))
    return incoming.scaled(factor, np.where(saturated, ceiling, 0.0))


def thresholded(
    incoming: AffineMap, sweep: Sweep, threshold: float, slope: float, ceiling: float
) -> AffineMap:
    """A ReLU that jumps at a threshold: a hidden layer's activity is measured from there."""
    value = measured_from(incoming, threshold, sweep).value
    active, saturated = value > 0.0, (value > 0.0) & (incoming.value >= ceiling)
    sweep.state.append(active.astype(int) + saturated)
    factor = np.where(saturated, 0.0, np.where(active, 1.0, slope))
    below = np.where(active, 0.0, -slope * threshold)
    return incoming.scaled(factor, np.where(saturated, ceiling, below))


def clipped(
    incoming: AffineMap, sweep: Sweep, ends: tuple[float, float], results: tuple[float, float]
) -> AffineMap:
    """A straight line from the first end to the last, and constant beyond them."""
    value = measured_from(incoming, ends[0], sweep).value
    active, saturated = value > 0.0, incoming.value >= ends[1]
    sweep.state.append(active.astype(int) + saturated)
    slope = (results[1] - results[0]) / (ends[1] - ends[0])
    factor = np.where(active & ~saturated, slope, 0.0)
    rising = results[0] - slope * ends[0]
    constant = np.where(saturated, results[1], results[0])
    return incoming.scaled(factor, np.where(active & ~saturated, rising, constant))


def measured_from(incoming: AffineMap, threshold: float, sweep: Sweep) -> AffineMap:
    """A hidden layer's activity, which is 0 where its neurons switch."""
    ones = np.ones(incoming.value.size)
    result = replace(incoming.scaled(ones, -threshold * ones), name=incoming.name)
    sweep.hidden.append(result)
    return result


def locally_connected(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A convolution with a kernel of its own at every position."""
    kernel, *bias = sweep.parameters[id(layer)]
    *image, channels = incoming[0].shape
    size, positions = window_positions(
        image, layer.kernel_size, layer.strides, [1] * len(image), layer.padding
    )
    matrix = np.zeros((len(positions), layer.filters, *image, channels))
    for output, seen in enumerate(positions):
        weights = kernel[output].reshape(*layer.kernel_size, channels, layer.filters)
        for tap, place in seen:
            entries = output, slice(None), *place
            matrix[entries] = weights[tap].T
    result = incoming[0].transformed(
        (*size, layer.filters),
        matrix.reshape(-1, incoming[0].value.size),
        bias[0].reshape(-1) if layer.use_bias else 0.0,
    )
    return activation(layer.get_config()["activation"], replace(result, name=layer.name), sweep)


Rule = Callable[[Any, list[AffineMap], Sweep], AffineMap]

RULES: dict[str, Rule] = {
    "Activation": activation_layer,
    "ActivityRegularization": identity,
    "Add": addition,
    "AlphaDropout": identity,
    "Average": average,
    "BatchNormalization": batch_normalisation,
    "Concatenate": concatenation,
    "Dense": dense,
    "Dropout": identity,
    "Flatten": flatten,
    "GaussianDropout": identity,
    "GaussianNoise": identity,
    "Identity": identity,
    "LeakyReLU": leaky_relu_layer,
    "LocallyConnected1D": locally_connected,
    "LocallyConnected2D": locally_connected,
    "Maximum": maximum,
    "Minimum": minimum,
    "Normalization": normalisation,
    "PReLU": parametric_relu_layer,
    "Permute": permute,
    "ReLU": relu_layer,
    "RepeatVector": repeat_vector,
    "Rescaling": rescaling,
    "Reshape": reshape,
    "Resizing": resizing,
    "Softmax": identity,
    "Subtract": subtraction,
    "ThresholdedReLU": thresholded_relu_layer,
}
"""What each kind of Keras layer does; a graph's layers (Add ...) get all their inputs in a list."""
for axes in ("1D", "2D", "3D"):
    RULES[f"AveragePooling{axes}"] = average_pooling
    RULES[f"Conv{axes}"] = convolution
    RULES[f"Conv{axes}Transpose"] = transposed_convolution
    RULES[f"Cropping{axes}"] = cropping
    RULES[f"DepthwiseConv{axes}"] = depthwise_convolution
    RULES[f"GlobalAveragePooling{axes}"] = global_average_pooling
    RULES[f"GlobalMaxPooling{axes}"] = global_max_pooling
    RULES[f"MaxPooling{axes}"] = max_pooling
    RULES[f"SeparableConv{axes}"] = separable_convolution
    RULES[f"SpatialDropout{axes}"] = identity
    RULES[f"UpSampling{axes}"] = up_sampling
    RULES[f"ZeroPadding{axes}"] = zero_padding


# --- models --------------------------------------------------------------------------------------


def apply(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A layer, or a model inside the model, applied to the results of others."""
    if hasattr(layer, "layers"):
        return run(layer, incoming[0], sweep)
    result = RULES[type(layer).__name__](layer, incoming, sweep)
    # What does nothing gives the very same map, which its gates are then known to share.
    if result.name or result is incoming[0]:
        return result
    return replace(result, name=layer.name)


def run(model: Any, incoming: AffineMap, sweep: Sweep) -> AffineMap:
    """A Sequential model layer after layer, a functional one as its configuration says."""
    if type(model).__name__ == "Sequential":
        for layer in model.layers:
            incoming = apply(layer, [incoming], sweep)
        return incoming
    config = model.get_config()
    uses = {layer["name"]: len(layer["inbound_nodes"]) for layer in config["layers"]}

    def key(name: str, node: int) -> tuple[str, int]:
        # Keras counts a model inside the model from 1: its own making was its first use.
        return name, node if uses[name] > 1 else 0

    results = {key(*one): incoming for one in sources_in(config["input_layers"])}
    # One entry for each use of a layer: a layer that is shared is used more than once.
    pending = [
        (key(layer["name"], number), [key(*one) for one in sources_in(node)])
        for layer in config["layers"]
        for number, node in enumerate(layer["inbound_nodes"])
    ]
    while pending:
        ready = [one for one in pending if all(source in results for source in one[1])]
        if not ready:
            raise NotImplementedError(f"a model that cannot be followed: {pending}")
        for use, sources in ready:
            layer = model.get_layer(use[0])
            results[use] = apply(layer, [results[source] for source in sources], sweep)
            pending.remove((use, sources))
    (output,) = sources_in(config["output_layers"])
    return results[key(*output)]


def sources_in(entry: Any) -> list[tuple[str, int]]:
    """The layers, and which uses of them, that a configuration names, in order.

    In Keras 2 each is a list that begins with both, in Keras 3 a tensor of that history; arguments
    that are no tensors are in between.
    """
    if isinstance(entry, dict):
        if entry.get("class_name") == "__keras_tensor__":
            return sources_in(entry["config"]["keras_history"])
        return sources_in(list(entry.values()))
    if not isinstance(entry, (list, tuple)):
        return []
    if len(entry) >= 3 and isinstance(entry[0], str) and isinstance(entry[1], int):
        return [(entry[0], entry[1])]
    return [source for one in entry for source in sources_in(one)]


def all_layers(model: Any) -> Iterator[Any]:
    """The layers of a model and of the models inside it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from all_layers(layer)
        else:
            yield layer


# --- what the tests compare ----------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """One hidden layer's (or the output's) switched projections for a batch of inputs.

    All neurons, in C order of the layer: ``activity`` and ``bias`` are (batch, neurons), the
    others (batch, neurons, *input shape).
    """

    name: str
    shape: tuple[int, ...]
    x: np.ndarray
    activity: np.ndarray
    bias: np.ndarray
    weights: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """The nearest root point of every neuron; NaN where the weights are zero."""
        batch, neurons = self.activity.shape
        result = np.full(self.weights.shape, np.nan)
        for row in range(batch):
            for neuron in range(neurons):
                w = self.weights[row, neuron]
                if np.any(w != 0.0):
                    result[row, neuron] = self.x[row] - self.activity[row, neuron] * w / np.sum(
                        w**2
                    )
        return result

    @property
    def contribution(self) -> np.ndarray:
        """(x - centre) * weights."""
        return (self.x[:, None] - self.centre) * self.weights

    @property
    def count(self) -> np.ndarray:
        """In how many inputs of the batch each neuron is active, in the layer's shape."""
        return np.sum(self.activity > 0.0, axis=0).reshape(self.shape)

    def insens(
        self,
        frequency: np.ndarray | None = None,
        state: str = "inactive",
        sensitivity: str = "centre",
    ) -> np.ndarray:
        """Equation 8, one neuron after another: (batch, *input shape)."""
        frequency = np.ones(self.shape) if frequency is None else np.asarray(frequency)
        result = np.zeros(self.x.shape)
        for row in range(self.activity.shape[0]):
            for neuron in range(self.activity.shape[1]):
                v, w = self.activity[row, neuron], self.weights[row, neuron]
                counted = {"inactive": v <= 0.0, "active": v > 0.0, "all": True}[state]
                if not counted or not np.any(w != 0.0):
                    continue
                factor = {"centre": v / np.sum(w**2), "activity": v}[sensitivity]
                result[row] += frequency.flat[neuron] * factor * w
        return result


class Oracle:
    """The model as it is when the oracle is made: later changes of its weights are not seen."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.input_shape = tuple(model.input_shape[1:])
        self._parameters = {
            id(layer): [parameter.astype(np.float64) for parameter in layer.get_weights()]
            for layer in all_layers(model)
        }
        self._matrices: dict[tuple[int, tuple[int, ...]], np.ndarray] = {}

    def sweep(self, x: np.ndarray) -> tuple[AffineMap, Sweep]:
        """One input of the model's input shape, through all layers: (logits, all the rest)."""
        if x.shape != self.input_shape:
            raise ValueError(f"one input of shape {self.input_shape}, not {x.shape}")
        value = np.asarray(x, dtype=np.float64).reshape(-1)
        incoming = AffineMap(x.shape, value, np.eye(value.size), np.zeros(value.size))
        sweep = Sweep(self._parameters, self._matrices)
        return run(self.model, incoming, sweep), sweep

    def state(self, x: np.ndarray) -> np.ndarray:
        """The state of one input: every active neuron and every winner, in one vector."""
        return np.concatenate([np.ravel(part) for part in self.sweep(x)[1].state])

    def references(self, x: np.ndarray) -> list[Reference]:
        """For a batch of inputs: every hidden layer in order, and last the logits."""
        x = np.asarray(x, dtype=np.float64)
        sweeps = []
        for one in x:
            logits, sweep = self.sweep(one)
            sweeps.append([*sweep.hidden, logits])
        return [
            Reference(
                name=maps[0].name,
                shape=maps[0].shape,
                x=x,
                activity=np.stack([one.value for one in maps]),
                bias=np.stack([one.offset for one in maps]),
                weights=np.stack([one.matrix for one in maps]).reshape(
                    len(x), -1, *self.input_shape
                ),
            )
            for maps in zip(*sweeps, strict=True)
        ]


def assert_agrees(actual: Any, expected: Any, tolerance: float = 1e-10) -> None:
    """Equal shapes, and values equal to ``tolerance`` of themselves or of the largest expected."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    finite = np.abs(expected[np.isfinite(expected)])
    largest = float(finite.max()) if finite.size else 0.0
    assert actual.shape == expected.shape
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * max(largest, 1e-3), equal_nan=True
    )
