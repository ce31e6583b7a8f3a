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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


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
    raise NotImplementedError(f"padding {padding!r}")


def window_positions(
    image: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    padding: str,
) -> tuple[tuple[int, int], list[list[tuple[int, int, int]]]]:
    """Where every output looks: the output's size, and for each output, in C order, a list.

    The list holds ``(position in the kernel, row, column)`` in C order of the kernel, without the
    positions that fall on the padding.
    """
    spans = [(window[axis] - 1) * dilation[axis] + 1 for axis in range(2)]
    (rows, top), (columns, left) = (
        padding_before(image[axis], spans[axis], strides[axis], padding) for axis in range(2)
    )
    positions = []
    for out_row in range(rows):
        for out_column in range(columns):
            seen = []
            for kernel_row in range(window[0]):
                for kernel_column in range(window[1]):
                    row = out_row * strides[0] - top + kernel_row * dilation[0]
                    column = out_column * strides[1] - left + kernel_column * dilation[1]
                    if 0 <= row < image[0] and 0 <= column < image[1]:
                        seen.append((kernel_row * window[1] + kernel_column, row, column))
            positions.append(seen)
    return (rows, columns), positions


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


def convolution(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A two-dimensional convolution as a matrix, written kernel position by kernel position."""
    if layer.data_format != "channels_last":
        raise NotImplementedError(layer.data_format)
    rows, columns, channels = incoming[0].shape
    kernel, bias = kernel_and_bias(layer, layer.filters, sweep)
    size, positions = window_positions(
        (rows, columns), layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
    )
    key = id(layer), incoming[0].shape
    matrix = sweep.matrices.get(key)
    if matrix is None:
        filters, per_group = layer.filters, kernel.shape[2]
        matrix = np.zeros((len(positions), filters, rows, columns, channels))
        outputs_per_group = filters // layer.groups
        for output, seen in enumerate(positions):
            for position, row, column in seen:
                taps = kernel[position // layer.kernel_size[1], position % layer.kernel_size[1]]
                for group in range(layer.groups):
                    ins = slice(group * per_group, (group + 1) * per_group)
                    outs = slice(group * outputs_per_group, (group + 1) * outputs_per_group)
                    matrix[output, outs, row, column, ins] = taps[:, outs].T
        matrix = matrix.reshape(len(positions) * filters, rows * columns * channels)
        sweep.matrices[key] = matrix
    result = incoming[0].transformed((*size, layer.filters), matrix, np.tile(bias, len(positions)))
    return activation(layer.get_config()["activation"], replace(result, name=layer.name), sweep)


def max_pooling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each channel's maximum over a window; the first of several maxima wins, padding never."""
    if layer.data_format != "channels_last":
        raise NotImplementedError(layer.data_format)
    rows, columns, channels = incoming[0].shape
    size, positions = window_positions(
        (rows, columns), layer.pool_size, layer.strides, (1, 1), layer.padding
    )
    winners = []
    for seen in positions:
        for channel in range(channels):
            winner = None
            for _, row, column in seen:
                candidate = (row * columns + column) * channels + channel
                if winner is None or incoming[0].value[candidate] > incoming[0].value[winner]:
                    winner = candidate
            winners.append(winner)
    sweep.state.append(np.array(winners))
    return incoming[0].selected((*size, channels), np.array(winners))


def average_pooling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each channel's mean over a window, of which the padding is no part."""
    rows, columns, channels = incoming[0].shape
    size, positions = window_positions(
        (rows, columns), layer.pool_size, layer.strides, (1, 1), layer.padding
    )
    matrix = np.zeros((len(positions), channels, rows, columns, channels))
    for output, seen in enumerate(positions):
        for _, row, column in seen:
            matrix[output, :, row, column, :] = np.eye(channels) / len(seen)
    return incoming[0].transformed(
        (*size, channels), matrix.reshape(len(positions) * channels, incoming[0].value.size)
    )


def global_average_pooling(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Each channel's mean over the whole image."""
    rows, columns, channels = incoming[0].shape
    shape = (1, 1, channels) if layer.keepdims else (channels,)
    matrix = np.tile(np.eye(channels), (1, rows * columns)) / (rows * columns)
    return incoming[0].transformed(shape, matrix)


def zero_padding(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Zeros around the image."""
    rows, columns, channels = incoming[0].shape
    (top, bottom), (left, right) = layer.padding
    shape = (top + rows + bottom, left + columns + right, channels)
    positions = np.arange(np.prod(shape)).reshape(shape)
    inside = positions[top : top + rows, left : left + columns].ravel()
    matrix = np.zeros((positions.size, inside.size))
    matrix[inside, np.arange(inside.size)] = 1.0
    return incoming[0].transformed(shape, matrix)


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


def concatenation(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """Several layers side by side along their last axis, pixel by pixel."""
    leading = incoming[0].shape[:-1]
    if layer.axis not in (-1, len(leading) + 1):
        raise NotImplementedError(f"axis {layer.axis}")

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        rest = parts[0].shape[1:]
        split = [
            part.reshape(*leading, one.shape[-1], *rest)
            for part, one in zip(parts, incoming, strict=True)
        ]
        return np.concatenate(split, axis=len(leading)).reshape(-1, *rest)

    return AffineMap(
        (*leading, sum(one.shape[-1] for one in incoming)),
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

    A softmax is looked through: what comes out are the logits.
    """
    if name in ("linear", "softmax"):
        return incoming
    if name == "relu":
        return rectified(incoming, sweep)
    if name == "relu6":
        return rectified(incoming, sweep, ceiling=6.0)
    if name == "leaky_relu":
        return rectified(incoming, sweep, slope=0.2)
    raise NotImplementedError(f"activation {name!r}")


def activation_layer(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A layer that holds the name of an activation."""
    return activation(layer.get_config()["activation"], incoming[0], sweep)


def relu_layer(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A ReLU layer, with the slope that it has below zero and the ceiling, if it has one."""
    config = layer.get_config()
    if float(config["threshold"]) != 0.0:
        raise NotImplementedError("a ReLU with a threshold")
    ceiling = np.inf if config["max_value"] is None else float(config["max_value"])
    return rectified(incoming[0], sweep, float(config["negative_slope"]), ceiling)


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


Rule = Callable[[Any, list[AffineMap], Sweep], AffineMap]

RULES: dict[str, Rule] = {
    "Activation": activation_layer,
    "Add": addition,
    "AveragePooling2D": average_pooling,
    "BatchNormalization": batch_normalisation,
    "Concatenate": concatenation,
    "Conv2D": convolution,
    "Dense": dense,
    "Dropout": identity,
    "Flatten": flatten,
    "GlobalAveragePooling2D": global_average_pooling,
    "LeakyReLU": leaky_relu_layer,
    "MaxPooling2D": max_pooling,
    "PReLU": parametric_relu_layer,
    "ReLU": relu_layer,
    "Reshape": reshape,
    "Softmax": identity,
    "ZeroPadding2D": zero_padding,
}
"""What each kind of Keras layer does; a graph's layers (Add ...) get all their inputs in a list."""


# --- models --------------------------------------------------------------------------------------


def apply(layer: Any, incoming: list[AffineMap], sweep: Sweep) -> AffineMap:
    """A layer, or a model inside the model, applied to the results of others."""
    if hasattr(layer, "layers"):
        return run(layer, incoming[0], sweep)
    result = RULES[type(layer).__name__](layer, incoming, sweep)
    return result if result.name else replace(result, name=layer.name)


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

    results = {key(name, node): incoming for name, node, _ in config["input_layers"]}
    # One entry for each use of a layer: a layer that is shared is used more than once.
    pending = [
        (key(layer["name"], number), [key(*source[:2]) for source in node])
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
    ((name, node, _),) = config["output_layers"]
    return results[key(name, node)]


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
