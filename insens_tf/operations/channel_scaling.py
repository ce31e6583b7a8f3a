"""Each channel times a factor, plus an offset; normalisation at inference is one such."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from insens_tf.operations.operation import Pointwise

__all__ = ["BatchNormalization", "ChannelScaling", "Scaling"]


@dataclass(frozen=True, eq=False)
class ChannelScaling(Pointwise):
    """The last axis scaled and shifted: each channel by numbers of its own."""

    @abstractmethod
    def factor(self) -> tf.Tensor:
        """Return the factor of each channel, (channels,)."""

    @abstractmethod
    def offset(self) -> tf.Tensor:
        """Return the offset that is then added to each channel, (channels,)."""

    @property
    def mixes_channels(self) -> bool:
        return True

    def channel_matrix(self) -> tf.Tensor:
        return tf.linalg.diag(self.factor())

    def transposed(self, *values: tf.Tensor) -> Callable[[tf.Tensor], Sequence[tf.Tensor]]:
        factor = self.factor()
        return lambda gradient: [gradient * factor]

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        (value,) = values
        return value * self.factor() + self.offset()

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        (change,) = changes
        return change * self.factor()


@dataclass(frozen=True, eq=False)
class Scaling(ChannelScaling):
    """Scaled and shifted by numbers that are given, (channels,) each."""

    scale: Any
    shift: Any

    def factor(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.scale)

    def offset(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.shift)


@dataclass(frozen=True, eq=False)
class BatchNormalization(ChannelScaling):
    """Normalisation at inference: scaled and shifted by stored statistics."""

    mean: Any
    variance: Any
    scale: Any | None
    shift: Any | None
    epsilon: float

    def factor(self) -> tf.Tensor:
        factor = tf.math.rsqrt(tf.convert_to_tensor(self.variance) + self.epsilon)
        return factor if self.scale is None else factor * tf.convert_to_tensor(self.scale)

    def offset(self) -> tf.Tensor:
        offset = -tf.convert_to_tensor(self.mean) * self.factor()
        return offset if self.shift is None else offset + tf.convert_to_tensor(self.shift)
