"""Operations that add elements or move them: sums, concatenation, padding, new shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from insens_tf.operations.operation import Affine, Pointwise
from insens_tf.receptive_field import Locality, Window

__all__ = [
    "Add",
    "Concatenate",
    "Cropping",
    "Permutation",
    "Resampling",
    "Reshape",
    "ZeroPadding",
]


@dataclass(frozen=True, eq=False)
class Add(Pointwise, Affine):
    """The sum of its operands, all of one shape."""

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        return lambda gradient: [gradient] * len(values)

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        return tf.add_n(values)


@dataclass(frozen=True, eq=False)
class Concatenate(Pointwise, Affine):
    """Its operands side by side along the last axis."""

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        channels = [value.shape[-1] for value in values]
        return lambda gradient: tf.split(gradient, channels, axis=-1)

    def linear(self, *values: tf.Tensor) -> tf.Tensor:
        return tf.concat(values, axis=-1)


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
    """A part of the spatial axes, from the position `first` of each on."""

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
