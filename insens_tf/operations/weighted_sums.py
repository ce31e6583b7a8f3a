"""Weighted sums over windows: convolutions of every kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf.operations.matrix import through_matrix
from insens_tf.operations.operation import Affine
from insens_tf.receptive_field import Locality, Window

__all__ = [
    "Convolution",
    "DepthwiseConvolution",
    "LocallyConnected",
    "TransposedConvolution",
]

# The cost of a multiplication in a convolution, in multiplications of a large matrix product, on
# two cores.
CONVOLUTION_WORK = 2.0

# TensorFlow's convolutions are slow for fewer than these.
FEW_CHANNELS = 8


@dataclass(frozen=True, eq=False)
class Convolution(Affine):
    """A convolution of any rank, channels last: strides, dilation, padding, groups, bias."""

    kernel: Any
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str
    groups: int
    operand_shape: tuple[int, ...]

    @property
    def repeats_operands(self) -> bool:
        return not (self._is_convolution_back or self._has_gradient_of_its_own)

    @property
    def _is_convolution_back(self) -> bool:
        """Whether gradients are taken back by a convolution."""
        many = self.operand_shape[-1] >= FEW_CHANNELS
        return self.strides == (1, 1) and self.groups == 1 and many

    @property
    def _has_gradient_of_its_own(self) -> bool:
        """Whether TensorFlow has an operation for its gradient, on the CPU too."""
        return self.dilation == (1, 1) and self.groups == 1

    @property
    def has_rows(self) -> bool:
        return self.groups == 1

    @property
    def mixes_channels(self) -> bool:
        return self.groups == 1 and math.prod(self.kernel.shape[:-2]) == 1

    def channel_matrix(self) -> tf.Tensor:
        return tf.reshape(tf.convert_to_tensor(self.kernel), self.kernel.shape[-2:])

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
        kernel = tf.convert_to_tensor(self.kernel)
        if self.mixes_channels and self.shape[:-1] == self.operand_shape[:-1]:
            return through_matrix(self.channel_matrix(), self.operand_shape)
        if self._is_convolution_back:
            return self._convolution_back(kernel)
        if not self._has_gradient_of_its_own:
            return super().transposed(*values)
        return lambda gradient: [
            tf.nn.conv2d_transpose(
                gradient,
                kernel,
                (tf.shape(gradient)[0], *self.operand_shape),
                self.strides,
                self.padding.upper(),
            )
        ]

    def _convolution_back(self, kernel: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        """Return `transposed` as a convolution, of which TensorFlow's own gradient is slower."""
        kernel = tf.reverse(kernel, [0, 1])
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
        if not self.has_rows:
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

    @property
    def repeats_operands(self) -> bool:
        return not self._has_gradient_of_its_own

    @property
    def _has_gradient_of_its_own(self) -> bool:
        """Whether TensorFlow has an operation for its gradient, on the CPU too."""
        return self.dilation == (1, 1)

    def work(self, rows: int) -> float:
        sizes = tuple(self.kernel.shape)[: len(self.strides)]
        return super().work(rows) + CONVOLUTION_WORK * self.size * math.prod(sizes)

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        if not self._has_gradient_of_its_own:
            return super().transposed(*values)
        kernel = tf.convert_to_tensor(self.kernel)
        return lambda gradient: [
            tf.nn.depthwise_conv2d_backprop_input(
                (tf.shape(gradient)[0], *self.operand_shape),
                kernel,
                gradient,
                (1, *self.strides, 1),
                self.padding.upper(),
            )
        ]

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
            # TensorFlow has it for two axes only: an axis of length 1 comes before the only one.
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
