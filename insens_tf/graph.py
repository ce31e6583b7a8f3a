"""The switched network as data: a graph of operations, each linear once the state is known.

Every operation is one of three kinds. *Linear* ones (convolution, matrix, average, ...) are affine
in their operands whatever the input. A *gate* (ReLU and its kin) multiplies each neuron's activity
by the slope of the linear piece that it lies on. A *selection* (max pooling) passes one of its
inputs on. The state of the network, Section 2 of the paper, is the pieces and the winners; hold
them and the whole graph is one affine map.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf.errors import UnreadableModelError

__all__ = [
    "ELEMENT_WORK",
    "POINTWISE",
    "WHOLE",
    "Add",
    "AveragePooling",
    "BatchNormalization",
    "Computed",
    "Concatenate",
    "Convolution",
    "Cropping",
    "DepthwiseConvolution",
    "Gate",
    "GlobalAveragePooling",
    "Graph",
    "Input",
    "Locality",
    "LocallyConnected",
    "Matrix",
    "MaxPooling",
    "Operation",
    "OutputActivation",
    "Permutation",
    "Pooling",
    "RatioGate",
    "ReceptiveField",
    "Refused",
    "Resampling",
    "Reshape",
    "TransposedConvolution",
    "Window",
    "ZeroPadding",
]


# What an element costs that is read, changed and written, a weight of a matrix that is read, and a
# multiplication of a convolution: in multiplications of a large matrix product, on two cores.
ELEMENT_WORK = 20.0
WEIGHT_WORK = 40.0
CONVOLUTION_WORK = 2.0

# Below as many, TensorFlow's convolutions are slow.
FEW_CHANNELS = 8


@dataclass(frozen=True)
class Window:
    """What output position o sees along one axis: `size` positions from `stride * o - padding`."""

    size: int
    stride: int = 1
    padding: int = 0

    @staticmethod
    def of(size: int, stride: int, padding: str, length: int, dilation: int = 1) -> Window:
        """Return the window of TensorFlow's "same" or "valid" padding over an axis of `length`."""
        extent = (size - 1) * dilation + 1
        if padding == "valid":
            return Window(extent, stride)
        outputs = -(-length // stride)
        return Window(extent, stride, max((outputs - 1) * stride + extent - length, 0) // 2)


@dataclass(frozen=True, eq=False)
class Computed:
    """A weight that is no variable: computed of others, as by LoRA, whenever it is used."""

    compute: Callable[[], Any]
    shape: tuple[int, ...]

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.compute(), dtype, name=name)


@dataclass(frozen=True)
class Locality:
    """How an operation's output positions see its operand's positions.

    A position is an index into every axis but the last (the channels); all channels are seen.
    `windows` has one `Window` an axis; None with `whole` False means position by position.
    """

    windows: tuple[Window, ...] | None = None
    whole: bool = False


POINTWISE = Locality()
WHOLE = Locality(whole=True)


@dataclass(frozen=True)
class ReceptiveField:
    """The block of the input that a neuron sees: a `Window` an axis, None for all of it."""

    windows: tuple[Window, ...] | None

    def through(self, locality: Locality) -> ReceptiveField:
        """Return the field of what looks at this one with `locality`."""
        if self.windows is None or locality.whole:
            return ReceptiveField(None)
        if locality.windows is None:
            return self
        if len(locality.windows) != len(self.windows):
            return ReceptiveField(None)
        return ReceptiveField(
            tuple(
                Window(
                    size=below.size + below.stride * (above.size - 1),
                    stride=below.stride * above.stride,
                    padding=below.padding + below.stride * above.padding,
                )
                for below, above in zip(self.windows, locality.windows)
            )
        )

    @staticmethod
    def union(receptive_fields: Sequence[ReceptiveField]) -> ReceptiveField:
        """Return the smallest field that covers all of `receptive_fields`."""
        if any(field.windows is None for field in receptive_fields):
            return ReceptiveField(None)
        windows = []
        for axis in zip(*(field.windows for field in receptive_fields)):
            if len({window.stride for window in axis}) > 1:
                return ReceptiveField(None)
            padding = max(window.padding for window in axis)
            end = max(window.size - window.padding for window in axis)
            windows.append(Window(padding + end, axis[0].stride, padding))
        return ReceptiveField(tuple(windows))


@dataclass(frozen=True, eq=False)
class Operation(ABC):
    """One step of the graph.

    Attributes
    ----------
    name : str
        The Keras layer that it comes from.
    operands : tuple of int
        The positions, in the graph, of what it is applied to.
    shape : tuple of int
        The shape of its value, without the batch axis.
    """

    name: str
    operands: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def locality(self) -> Locality:
        """How its positions see those of its operands; seeing everything is always true."""
        return WHOLE

    @property
    def size(self) -> int:
        """The number of elements of its value for one input."""
        return math.prod(self.shape)

    @property
    def weights(self) -> list[Any]:
        """What it is made with of the model's weights, which can change."""
        values = [getattr(self, one.name) for one in fields(self)]
        return [one for one in values if isinstance(one, Computed) or hasattr(one, "assign")]

    def work(self, rows: int) -> float:
        """Return about how long it takes to evaluate it for one of `rows` inputs at a time.

        In multiplications of a large matrix product.
        """
        return ELEMENT_WORK * self.size

    @abstractmethod
    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        """Return the value, (batch, *shape), for the values of the operands."""

    @abstractmethod
    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return how its value changes with its operands, with the state held.

        Parameters
        ----------
        values : sequence of tf.Tensor, shape (batch, *operand shape) each
            The operands', which set the state.
        changes : sequence of tf.Tensor, shape (batch * count, *operand shape) each
            `count` changes of each operand, one input's after the other's.

        Returns
        -------
        tf.Tensor, shape (batch * count, *shape)
        """

    def of_known_shape(self, value: tf.Tensor) -> tf.Tensor:
        """Return its value such that TensorFlow knows the shape in derivatives of it, too."""
        return tf.reshape(value, (-1, *self.shape))

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        """Return what takes gradients at this operation's value back to its operands.

        With the state held that it has at the operands' `values` for one input, (1, *shape) each:
        from gradients (count, *shape) to a list of (count, *operand shape). This one, by automatic
        differentiation, is right for every operation; others are faster.
        """

        def backward(gradient: tf.Tensor) -> Sequence[tf.Tensor]:
            count = tf.shape(gradient)[0]
            operands = [tf.broadcast_to(value, (count, *value.shape[1:])) for value in values]
            with tf.GradientTape() as tape:
                tape.watch(operands)
                result = self(*operands)
            return tape.gradient(
                result, operands, gradient, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )

        return backward

    def rows(self, elements: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        """Return the gradients of some elements of its value, (count, *operand shape) an operand.

        Parameters
        ----------
        elements : tf.Tensor of int64, shape (count,)
            Flat indices into its value for one input.
        *values : tf.Tensor, shape (1, *operand shape)
            The operands' for that input.
        """
        chosen = tf.one_hot(elements, self.size, dtype=values[0].dtype)
        return self.transposed(*values)(tf.reshape(chosen, (-1, *self.shape)))


@dataclass(frozen=True, eq=False)
class Input(Operation):
    """The network's input: the graph's first operation, never evaluated."""

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        raise AssertionError("the input's value is given")

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        raise AssertionError("the input's change is given")


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """What is linear but for a bias, whatever its operands."""

    _: KW_ONLY
    bias: Any | None = None

    @abstractmethod
    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        """Return the value without the bias."""

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        result = self.linear(*values)
        return result if self.bias is None else result + tf.convert_to_tensor(self.bias)

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        return self.linear(*changes)


@dataclass(frozen=True, eq=False)
class Matrix(Affine):
    """A dense layer: the last axis times a matrix, plus a bias."""

    kernel: Any

    @property
    def locality(self) -> Locality:
        return POINTWISE

    def work(self, rows: int) -> float:
        # Few rows wait for the weights.
        positions = self.size // int(self.kernel.shape[1])
        weights = math.prod(self.kernel.shape)
        return super().work(rows) + weights * (positions + WEIGHT_WORK / rows)

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        shape = values[0].shape[1:]
        kernel = tf.convert_to_tensor(self.kernel)

        def backward(gradient: tf.Tensor) -> Sequence[tf.Tensor]:
            above = tf.reshape(gradient, (-1, self.shape[-1]))
            return [tf.reshape(tf.matmul(above, kernel, transpose_b=True), (-1, *shape))]

        return backward

    def rows(self, elements: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        if len(self.shape) > 1:
            return super().rows(elements, *values)
        return [tf.transpose(tf.gather(tf.convert_to_tensor(self.kernel), elements, axis=1))]

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return self.of_known_shape(tf.tensordot(value, tf.convert_to_tensor(self.kernel), axes=1))


@dataclass(frozen=True, eq=False)
class Convolution(Affine):
    """A convolution of any rank, channels last: strides, dilation, padding, groups, bias."""

    kernel: Any
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    groups: int
    operand_shape: tuple[int, ...]

    def work(self, rows: int) -> float:
        multiplications = self.size * math.prod(self.kernel.shape[:-1])
        return super().work(rows) + CONVOLUTION_WORK * multiplications

    @property
    def locality(self) -> Locality:
        sizes = tuple(self.kernel.shape)[: len(self.strides)]
        return Locality(
            tuple(
                Window.of(size, stride, self.padding, length, dilation)
                for size, stride, dilation, length in zip(
                    sizes, self.strides, self.dilation, self.operand_shape
                )
            )
        )

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        if self.strides != (1, 1) or self.groups > 1 or self.operand_shape[-1] < FEW_CHANNELS:
            return super().transposed(*values)
        # TensorFlow's gradient of a convolution is slower than the convolution that it is.
        kernel = tf.reverse(tf.convert_to_tensor(self.kernel), [0, 1])
        kernel = tf.transpose(kernel, (0, 1, 3, 2))
        paddings = [[0, 0]]
        for window, below, above in zip(
            self.locality.windows or (), self.operand_shape, self.shape
        ):
            before = window.size - 1 - window.padding
            paddings.append([before, below + window.size - 1 - above - before])
        paddings.append([0, 0])
        return lambda gradient: [
            tf.nn.conv2d(gradient, kernel, 1, paddings, dilations=self.dilation)
        ]

    def rows(self, elements: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        if self.groups > 1:
            return super().rows(elements, *values)
        *positions, filters = tf.unstack(tf.unravel_index(elements, self.shape))
        # Each row is a filter's weights, put where its neuron sees, and 0 elsewhere.
        weights = tf.gather(tf.convert_to_tensor(self.kernel), filters, axis=-1)
        weights = tf.reshape(weights, (-1, *weights.shape[-2:-1], tf.shape(elements)[0]))
        weights = tf.pad(tf.transpose(weights, (2, 0, 1)), ((0, 0), (0, 1), (0, 0)))
        axes = len(positions)
        place: Any = tf.zeros((1,) * (axes + 1), tf.int64)
        seen: Any = tf.ones((1,) * (axes + 1), tf.bool)
        for axis, (window, dilation) in enumerate(zip(self.locality.windows or (), self.dilation)):
            length, size = self.operand_shape[axis], int(self.kernel.shape[axis])
            first = positions[axis] * window.stride - window.padding
            offset = tf.range(length, dtype=tf.int64) - first[:, tf.newaxis]
            tap = offset // dilation
            inside = tf.equal(offset % dilation, 0) & (tap >= 0) & (tap < size)
            shape = (-1, *(length if other == axis else 1 for other in range(axes)))
            place = place * size + tf.reshape(tap, shape)
            seen = seen & tf.reshape(inside, shape)
        place = tf.where(seen, place, math.prod(self.kernel.shape[:axes]))
        return [
            tf.gather(weights, tf.reshape(place, (-1, *self.operand_shape[:axes])), batch_dims=1)
        ]

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        kernel = tf.convert_to_tensor(self.kernel)

        def convolve(part: tf.Tensor, part_of_kernel: tf.Tensor) -> tf.Tensor:
            return tf.nn.convolution(
                part,
                part_of_kernel,
                strides=self.strides,
                padding=self.padding.upper(),
                dilations=self.dilation,
            )

        if self.groups == 1:
            return convolve(value, kernel)
        # TensorFlow has no gradient of a grouped convolution on the CPU.
        parts = zip(tf.split(value, self.groups, axis=-1), tf.split(kernel, self.groups, axis=-1))
        return tf.concat([convolve(*part) for part in parts], axis=-1)


@dataclass(frozen=True, eq=False)
class DepthwiseConvolution(Affine):
    """A convolution of each channel alone, over one or two axes.

    `kernel` is (size of the window ..., channels, results for each channel).
    """

    kernel: Any
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    operand_shape: tuple[int, ...]

    def work(self, rows: int) -> float:
        sizes = tuple(self.kernel.shape)[: len(self.strides)]
        return super().work(rows) + CONVOLUTION_WORK * self.size * math.prod(sizes)

    @property
    def locality(self) -> Locality:
        return Locality(
            tuple(
                Window.of(size, stride, self.padding, length, dilation)
                for size, stride, dilation, length in zip(
                    tuple(self.kernel.shape), self.strides, self.dilation, self.operand_shape
                )
            )
        )

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        kernel = tf.convert_to_tensor(self.kernel)
        strides, dilation = self.strides, self.dilation
        if len(strides) == 1:
            # TensorFlow has it for two axes only: a first one of length 1.
            value, kernel = value[:, tf.newaxis], kernel[tf.newaxis]
            strides, dilation = strides * 2, (1, *dilation)
        result = tf.nn.depthwise_conv2d(
            value, kernel, (1, *strides, 1), self.padding.upper(), dilations=dilation
        )
        return self.of_known_shape(result)


@dataclass(frozen=True, eq=False)
class LocallyConnected(Affine):
    """A convolution of any rank with a kernel of its own at every position, without padding.

    `kernel` is (positions, elements of a window, filters).
    """

    kernel: Any
    window: tuple[int, ...]
    strides: tuple[int, ...]
    operand_shape: tuple[int, ...]

    @property
    def locality(self) -> Locality:
        return Locality(tuple(map(Window, self.window, self.strides)))

    def work(self, rows: int) -> float:
        return super().work(rows) + CONVOLUTION_WORK * math.prod(self.kernel.shape)

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        elements = np.arange(math.prod(self.operand_shape)).reshape(self.operand_shape)
        seen = np.lib.stride_tricks.sliding_window_view(
            elements, (*self.window, self.operand_shape[-1])
        )
        seen = seen[tuple(slice(None, None, stride) for stride in self.strides)]
        seen = seen.reshape(self.kernel.shape[0], self.kernel.shape[1])
        windows = tf.gather(tf.reshape(value, (-1, elements.size)), seen, axis=1)
        result = tf.einsum("npe,pef->npf", windows, tf.convert_to_tensor(self.kernel))
        return self.of_known_shape(result)


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Affine):
    """A convolution the other way round, of any rank; `kernel` is (sizes ..., filters, channels).

    Its outputs see windows of which the stride is a fraction, so that its locality is not told.
    """

    kernel: Any
    strides: tuple[int, ...]
    padding: str

    def work(self, rows: int) -> float:
        *sizes, _, channels = self.kernel.shape
        multiplications = self.size * math.prod(sizes) * channels / math.prod(self.strides)
        return super().work(rows) + CONVOLUTION_WORK * multiplications

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        result = tf.nn.conv_transpose(
            value,
            tf.convert_to_tensor(self.kernel),
            (tf.shape(value)[0], *self.shape),
            self.strides,
            self.padding.upper(),
        )
        return self.of_known_shape(result)


@dataclass(frozen=True, eq=False)
class BatchNormalization(Operation):
    """Normalisation at inference: the last axis scaled and shifted by stored statistics."""

    mean: Any
    variance: Any
    scale: Any | None
    shift: Any | None
    epsilon: float

    @property
    def locality(self) -> Locality:
        return POINTWISE

    def factor(self) -> tf.Tensor:
        """Return what each channel is multiplied by, (channels,)."""
        factor = tf.math.rsqrt(tf.convert_to_tensor(self.variance) + self.epsilon)
        return factor if self.scale is None else factor * tf.convert_to_tensor(self.scale)

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        factor = self.factor()
        return lambda gradient: [gradient * factor]

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        factor = self.factor()
        offset = -tf.convert_to_tensor(self.mean) * factor
        if self.shift is not None:
            offset = offset + tf.convert_to_tensor(self.shift)
        return value * factor + offset

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        (change,) = changes
        return change * self.factor()


@dataclass(frozen=True, eq=False)
class Add(Affine):
    """The sum of its operands, all of one shape."""

    @property
    def locality(self) -> Locality:
        return POINTWISE

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        return lambda gradient: [gradient] * len(values)

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        return tf.add_n(values)


@dataclass(frozen=True, eq=False)
class Concatenate(Affine):
    """Its operands side by side along the last axis."""

    @property
    def locality(self) -> Locality:
        return POINTWISE

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        channels = [value.shape[-1] for value in values]
        return lambda gradient: tf.split(gradient, channels, axis=-1)

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        return tf.concat(values, axis=-1)


@dataclass(frozen=True, eq=False)
class Gate(Operation):
    """A piecewise linear activation: each element scaled by the slope of the piece it lies on.

    The pieces are `negative_slope * v` for v <= 0, `v + jump` above, and the constant `ceiling +
    jump` from `ceiling` on. With the state held, a gate is the product with `slope`, so that is all
    its gradient is: at exactly 0 a neuron is inactive.
    """

    negative_slope: Any = 0.0
    ceiling: float | None = None
    jump: float = 0.0

    @property
    def locality(self) -> Locality:
        return POINTWISE

    @property
    def is_relu(self) -> bool:
        """Whether its only pieces are 0 and the value itself."""
        slope = self.negative_slope
        is_zero = isinstance(slope, float) and slope == 0.0
        return is_zero and self.ceiling is None and self.jump == 0

    def slope(self, value: tf.Tensor) -> tf.Tensor:
        """Return the derivative at each element of `value`, same shape and dtype."""
        above = tf.ones_like(value)
        if self.ceiling is not None:
            above = tf.where(value >= self.ceiling, tf.zeros_like(value), above)
        return tf.where(value > 0, above, tf.cast(self.negative_slope, value.dtype))

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        slope = self.slope(*values)
        return lambda gradient: [gradient * slope]

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        (change,) = changes
        slope = self.slope(*values)
        of_each = tf.reshape(change, (tf.shape(slope)[0], -1, *self.shape))
        return tf.reshape(of_each * slope[:, tf.newaxis], (-1, *self.shape))

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        jumps = self.ceiling is not None or self.jump != 0
        if self.is_relu:
            # Its gradient at 0 is 0 too, and it is three times as fast.
            return tf.nn.relu(value)
        result = tf.stop_gradient(self.slope(value)) * value
        return result + tf.stop_gradient(self._offset(value)) if jumps else result

    def _offset(self, value: tf.Tensor) -> tf.Tensor:
        """Return what each element's piece is at 0, if it were as long."""
        above = tf.fill(tf.shape(value), tf.cast(self.jump, value.dtype))
        if self.ceiling is not None:
            saturated = tf.cast(self.ceiling + self.jump, value.dtype)
            above = tf.where(value >= self.ceiling, saturated, above)
        return tf.where(value > 0, above, tf.zeros_like(value))


@dataclass(frozen=True, eq=False)
class RatioGate(Gate):
    """A smooth activation as a gate: each element scaled by activity out over activity in.

    Held fixed, as a gate's slope is, so that v = x w + b is exact; w is no derivative then. The
    function is 0 at 0, where the ratio is its slope.
    """

    function: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    slope_at_zero: float = 1.0

    def slope(self, value: tf.Tensor) -> tf.Tensor:
        at_zero = tf.equal(value, 0)
        divisor = tf.where(at_zero, tf.ones_like(value), value)
        ratio = self.function(divisor) / divisor
        return tf.where(at_zero, tf.cast(self.slope_at_zero, value.dtype), ratio)

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return tf.stop_gradient(self.slope(value)) * value


@dataclass(frozen=True, eq=False)
class Pooling(Operation):
    """Pooling over the spatial axes, one to three of them, of each channel alone."""

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    operand_shape: tuple[int, ...]

    @property
    def locality(self) -> Locality:
        return Locality(
            tuple(
                Window.of(size, stride, self.padding, length)
                for size, stride, length in zip(self.window, self.strides, self.operand_shape)
            )
        )


class MaxPooling(Pooling):
    """Max pooling; the first of equal maxima wins, as in TensorFlow's own gradient over 2 axes."""

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        padding = self.padding.upper()
        if len(self.window) == 2:
            return tf.nn.max_pool2d(value, self.window, self.strides, padding)
        # Not by TensorFlow's pooling of three axes, whose gradient goes to all equal maxima: each
        # plane first, and then the first axis, find the first of all.
        if len(self.window) == 3:
            planes = tf.reshape(value, (-1, *self.operand_shape[1:]))
            value = tf.nn.max_pool2d(planes, self.window[1:], self.strides[1:], padding)
        columns = math.prod(self.shape[1:-1])
        value = tf.reshape(value, (-1, self.operand_shape[0], columns, self.shape[-1]))
        value = tf.nn.max_pool2d(value, (self.window[0], 1), (self.strides[0], 1), padding)
        return tf.reshape(value, (-1, *self.shape))

    def winners(self, value: tf.Tensor) -> tf.Tensor:
        """Return which element wins each window: flat indices, int64, (batch, *shape)."""
        padding, channels = self.padding.upper(), self.shape[-1]
        if len(self.window) == 2:
            return tf.nn.max_pool_with_argmax(value, self.window, self.strides, padding)[1]
        elements = None
        if len(self.window) == 3:
            # Of each plane, as the value is; their indices begin anew in each.
            depth, *plane = self.operand_shape
            value, elements = tf.nn.max_pool_with_argmax(
                tf.reshape(value, (-1, *plane)), self.window[1:], self.strides[1:], padding
            )
            first = tf.range(depth, dtype=tf.int64) * math.prod(plane)
            elements = tf.reshape(elements, (-1, depth, math.prod(value.shape[1:])))
            elements = tf.reshape(elements + first[:, tf.newaxis], (tf.shape(elements)[0], -1))
        columns = math.prod(self.shape[1:-1])
        value = tf.reshape(value, (-1, self.operand_shape[0], columns, channels))
        _, winners = tf.nn.max_pool_with_argmax(
            value, (self.window[0], 1), (self.strides[0], 1), padding
        )
        winners = tf.reshape(winners, (-1, self.size))
        if elements is not None:
            winners = tf.gather(elements, winners, batch_dims=1)
        return tf.reshape(winners, (-1, *self.shape))

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        # Not by the derivative of TensorFlow's gradient, which overwrites what it has yet to read
        # where the result has the operand's shape.
        (change,) = changes
        winners = tf.reshape(self.winners(*values), (-1, self.size))
        of_each = (tf.shape(winners)[0], -1, math.prod(self.operand_shape))
        picked = tf.gather(tf.reshape(change, of_each), winners, axis=2, batch_dims=1)
        return tf.reshape(picked, (-1, *self.shape))

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        if len(self.window) != 2:
            return super().transposed(*values)
        (down, right), (rows, columns, channels) = self.window, self.shape
        whole = (rows * down, columns * right, channels)
        if self.window != self.strides or whole != self.operand_shape:
            return super().transposed(*values)
        # Windows side by side: a product with who wins is much faster than TensorFlow's gradient.
        winners = tf.cast(self.winners(*values), tf.int32)
        winners = tf.reshape(winners, (1, rows, 1, columns, channels))
        winners = tf.reshape(tf.tile(winners, (1, 1, down, 1, right)), (1, *whole))
        places = tf.reshape(tf.range(math.prod(whole)), (1, *whole))
        wins = tf.cast(tf.equal(winners, places), values[0].dtype)

        def backward(gradient: tf.Tensor) -> Sequence[tf.Tensor]:
            gradient = tf.reshape(gradient, (-1, rows, 1, columns, channels))
            spread = tf.tile(gradient, (1, 1, down, 1, right))
            return [tf.reshape(spread, (-1, *whole)) * wins]

        return backward


class AveragePooling(Pooling, Affine):
    """Average pooling; padding does not count."""

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return tf.nn.avg_pool(value, self.window, self.strides, self.padding.upper())


@dataclass(frozen=True, eq=False)
class GlobalAveragePooling(Affine):
    """The mean over all axes but the last."""

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        axes = range(1, len(value.shape) - 1)
        return tf.reshape(tf.reduce_mean(value, axis=tuple(axes)), (-1, *self.shape))


@dataclass(frozen=True, eq=False)
class ZeroPadding(Affine):
    """Zeros around the spatial axes: (before, after) of each."""

    padding: tuple[tuple[int, int], ...]

    @property
    def locality(self) -> Locality:
        return Locality(tuple(Window(1, 1, before) for before, _ in self.padding))

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return self.of_known_shape(tf.pad(value, ((0, 0), *self.padding, (0, 0))))


@dataclass(frozen=True, eq=False)
class Cropping(Affine):
    """What is left of the spatial axes from the position `first` of each on."""

    first: tuple[int, ...]

    @property
    def locality(self) -> Locality:
        return Locality(tuple(Window(1, 1, -first) for first in self.first))

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        result = tf.slice(value, (0, *self.first, 0), (-1, *self.shape))
        return self.of_known_shape(result)


@dataclass(frozen=True, eq=False)
class Resampling(Affine):
    """Each spatial axis times a matrix, (positions, positions of the operand): interpolation."""

    matrices: tuple[np.ndarray, ...]

    def work(self, rows: int) -> float:
        longest = max(matrix.shape[1] for matrix in self.matrices)
        return super().work(rows) + self.size * longest

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        for matrix in self.matrices:
            # The first spatial axis is taken away, and comes back as the last of all.
            value = tf.tensordot(value, tf.constant(matrix, value.dtype), axes=[[1], [1]])
        result = tf.transpose(value, (0, *range(2, len(self.shape) + 1), 1))
        return self.of_known_shape(result)


@dataclass(frozen=True, eq=False)
class Permutation(Affine):
    """Its operand with the axes, counted without the batch, in another order."""

    axes: tuple[int, ...]

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        result = tf.transpose(value, (0, *(axis + 1 for axis in self.axes)))
        return self.of_known_shape(result)


@dataclass(frozen=True, eq=False)
class Reshape(Affine):
    """The same elements, in the same order, in another shape."""

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return tf.reshape(value, (-1, *self.shape))


@dataclass(frozen=True, eq=False)
class OutputActivation(Operation):
    """An activation that is not piecewise linear, looked through at the output only."""

    activation: str
    function: Callable[[tf.Tensor], tf.Tensor]

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return self.function(value)

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        raise AssertionError("nothing that is asked for comes after it")


@dataclass(frozen=True, eq=False)
class Refused(Operation):
    """Where a layer would be that cannot be read, never evaluated: the reason."""

    reason: UnreadableModelError

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        raise self.reason

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        raise self.reason


class Graph:
    """Operations in an order in which each comes after its operands; the first is the input.

    Parameters
    ----------
    operations : sequence of Operation
        The first one, and only it, is an `Input`.
    dtype : tf.DType
        What everything is computed in: the dtype of the weights.
    """

    def __init__(self, operations: Sequence[Operation], dtype: tf.DType) -> None:
        self.operations = tuple(operations)
        self.dtype = dtype
        self.input_shape = self.operations[0].shape
        self._fields: tuple[ReceptiveField, ...] = ()

    def ancestors(self, positions: Iterable[int]) -> list[int]:
        """Return the positions that those of `positions` are computed from, with them, in order."""
        needed = set(positions)
        for position in range(len(self.operations) - 1, -1, -1):
            if position in needed:
                needed.update(self.operations[position].operands)
        return sorted(needed)

    def values(self, x: tf.Tensor, positions: Sequence[int]) -> list[tf.Tensor]:
        """Evaluate the operations at `positions` on x, (batch, *input_shape)."""
        values = {0: x}
        ancestors = self.ancestors(positions)
        last_use = {operand: one for one in ancestors for operand in self.operations[one].operands}
        for position in ancestors:
            if position:
                operation = self.operations[position]
                values[position] = operation(*(values[operand] for operand in operation.operands))
                # In eager mode what is held here is in memory.
                for operand in set(operation.operands) - set(positions):
                    if last_use[operand] == position:
                        del values[operand]
        return [values[position] for position in positions]

    def pushed(self, x: tf.Tensor, changes: tf.Tensor, positions: Sequence[int]) -> list[tf.Tensor]:
        """Return how the values at `positions` change with the input, with the state held.

        Parameters
        ----------
        x : tf.Tensor, shape (batch, *input_shape)
        changes : tf.Tensor, shape (batch * count, *input_shape)
            `count` changes of each input, one input's after the other's.
        positions : sequence of int

        Returns
        -------
        list of tf.Tensor, shape (batch * count, *shape of the operation) each
        """
        ancestors = self.ancestors(positions)
        values = dict(zip(ancestors, self.values(x, ancestors)))
        pushed = {0: changes}
        for position in ancestors:
            if position:
                operation = self.operations[position]
                pushed[position] = operation.pushed(
                    [values[operand] for operand in operation.operands],
                    [pushed[operand] for operand in operation.operands],
                )
        return [pushed[position] for position in positions]

    def switched_weights(
        self, x: tf.Tensor, position: int, neurons: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Evaluate one input, and take neurons back to it with the state held.

        Parameters
        ----------
        x : tf.Tensor, shape (1, *input_shape)
        position : int
            The neurons' layer.
        neurons : tf.Tensor of int64, shape (count,)
            Flat indices into it.

        Returns
        -------
        activity : tf.Tensor, shape (count,)
        weights : tf.Tensor, shape (count, *input_shape)
        """
        ancestors = self.ancestors([position])
        values = dict(zip(ancestors, self.values(x, ancestors)))
        activity = tf.gather(tf.reshape(values[position], [-1]), neurons)
        if not position:
            chosen = tf.one_hot(neurons, self.operations[0].size, dtype=x.dtype)
            return activity, tf.reshape(chosen, (-1, *self.input_shape))
        gradients: dict[int, list[tf.Tensor]] = {}
        for ancestor in reversed(ancestors[1:]):
            operation = self.operations[ancestor]
            operands = [values[operand] for operand in operation.operands]
            if ancestor == position:
                parts = operation.rows(neurons, *operands)
            else:
                parts = operation.transposed(*operands)(_sum(gradients.pop(ancestor)))
            for operand, part in zip(operation.operands, parts):
                gradients.setdefault(operand, []).append(part)
        return activity, _sum(gradients[0])

    def elements(self, positions: Sequence[int]) -> int:
        """Return how many numbers one input's values are, all the way up to `positions`."""
        return sum(self.operations[position].size for position in self.ancestors(positions))

    def work(self, positions: Sequence[int], rows: int) -> float:
        """Return about how long it takes to evaluate `positions` for one of `rows` inputs.

        In multiplications of a large matrix product.
        """
        return sum(self.operations[one].work(rows) for one in self.ancestors(positions))

    def receptive_field(self, position: int) -> ReceptiveField:
        """Return the block of the input that a neuron at `position` of the graph sees."""
        if not self._fields:
            fields = [ReceptiveField((Window(1),) * (len(self.input_shape) - 1))]
            for operation in self.operations[1:]:
                below = ReceptiveField.union([fields[operand] for operand in operation.operands])
                fields.append(below.through(operation.locality))
            self._fields = tuple(fields)
        return self._fields[position]


def _sum(parts: list[tf.Tensor]) -> tf.Tensor:
    return parts[0] if len(parts) == 1 else tf.add_n(parts)
