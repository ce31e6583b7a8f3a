"""A dense layer, and how gradients go back through a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from insens_tf.operations.operation import Affine, Pointwise

__all__ = ["Matrix", "through_matrix"]

# The cost of reading a weight, in multiplications of a large matrix product, on two cores.
WEIGHT_WORK = 40.0


@dataclass(frozen=True, eq=False)
class Matrix(Pointwise, Affine):
    """A dense layer: the last axis times a matrix, plus a bias."""

    kernel: Any

    @property
    def has_rows(self) -> bool:
        return len(self.shape) == 1

    @property
    def mixes_channels(self) -> bool:
        return True

    def channel_matrix(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.kernel)

    def work(self, rows: int) -> float:
        # Few rows wait for the weights.
        positions = self.size // int(self.kernel.shape[1])
        weights = math.prod(self.kernel.shape)
        return super().work(rows) + weights * (positions + WEIGHT_WORK / rows)

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        return through_matrix(self.channel_matrix(), values[0].shape[1:])

    def rows(self, elements: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        if not self.has_rows:
            return super().rows(elements, *values)
        return [tf.transpose(tf.gather(tf.convert_to_tensor(self.kernel), elements, axis=1))]

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return self.of_known_shape(tf.tensordot(value, tf.convert_to_tensor(self.kernel), axes=1))


def through_matrix(
    matrix: tf.Tensor, shape: Sequence[int]
) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
    """Return `transposed` of what takes each position's channels times a matrix.

    Parameters
    ----------
    matrix : tf.Tensor, shape (operand's channels, channels)
    shape : sequence of int
        The operand's.
    """
    has_positions = len(shape) > 1
    transposed = tf.transpose(matrix) if has_positions else matrix

    def backward(gradient: tf.Tensor) -> Sequence[tf.Tensor]:
        above = tf.reshape(gradient, (-1, matrix.shape[1]))
        if has_positions:
            return [tf.reshape(tf.matmul(above, transposed), (-1, *shape))]
        return [_times_transposed(above, matrix)]

    return backward


def _times_transposed(rows: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Return few rows, (count, channels), times the transposed of a large matrix.

    TensorFlow's product of rows and a transposed matrix, which is its gradient of a dense layer,
    rearranges the matrix: a sixth as fast as this where there are four rows of a thousand.
    """
    return tf.transpose(tf.matmul(matrix, rows, transpose_b=True))
