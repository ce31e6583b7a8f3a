"""Where a graph begins and ends, and where nothing can be read: operations never pushed through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from insens_tf.errors import UnreadableModelError
from insens_tf.operations.operation import Operation

__all__ = ["Input", "OutputActivation", "Refused"]


@dataclass(frozen=True, eq=False)
class Input(Operation):
    """The network's input: the graph's first operation, never evaluated."""

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        raise AssertionError("the input's value is given")

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        raise AssertionError("the input's change is given")


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
    """The place of a layer that cannot be read, never evaluated, with the reason."""

    reason: UnreadableModelError

    def __call__(self, *values: tf.Tensor) -> tf.Tensor:
        raise self.reason

    def pushed(self, values: Sequence[tf.Tensor], changes: Sequence[tf.Tensor]) -> tf.Tensor:
        raise self.reason
