"""An operation: its value, its change with the state held, gradients taken back, its cost."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import tensorflow as tf

from insens_tf.receptive_field import POINTWISE, WHOLE, Locality

__all__ = ["ELEMENT_WORK", "Affine", "Computed", "Operation", "Pointwise"]

# The cost of reading, changing and writing an element, in multiplications of a large matrix
# product, on two cores.
ELEMENT_WORK = 20.0


@dataclass(frozen=True, eq=False)
class Computed:
    """A weight that is no variable: it is computed from others at each use, as by LoRA."""

    compute: Callable[[], Any]
    shape: tuple[int, ...]

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.compute(), dtype, name=name)


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
        """How its positions see those of its operands; WHOLE is always true."""
        return WHOLE

    @property
    def size(self) -> int:
        """The number of elements of its value for one input."""
        return math.prod(self.shape)

    @property
    def weights(self) -> list[Any]:
        """The model's weights that it was made with, which can change."""
        values = [getattr(self, one.name) for one in fields(self)]
        return [one for one in values if isinstance(one, Computed) or hasattr(one, "assign")]

    @property
    def repeats_operands(self) -> bool:
        """Whether `transposed` holds a copy of the operands for each gradient."""
        return True

    @property
    def has_state(self) -> bool:
        """Whether it has a state, so that its change depends on its operands' values."""
        return False

    @property
    def has_rows(self) -> bool:
        """Whether `rows` makes them without an array of its value's shape for each."""
        return False

    @property
    def mixes_channels(self) -> bool:
        """Whether its value at a position is `channel_matrix` times one position's channels."""
        return False

    def channel_matrix(self) -> tf.Tensor:
        """Return the matrix, (operand's channels, channels), of what only `mixes_channels`."""
        raise NotImplementedError

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
            The operands', which set the state; of what has no state they are not looked at.
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
        from gradients (count, *shape) to a list of (count, *operand shape). Of what has no state
        the shapes of these alone matter. This one, by automatic differentiation, is right for every
        operation; others are faster.
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


class Pointwise(Operation):
    """An operation position by position, which takes gradients back by a rule of its own."""

    @property
    def locality(self) -> Locality:
        return POINTWISE

    @property
    def repeats_operands(self) -> bool:
        return False


@dataclass(frozen=True, eq=False)
class Affine(Operation):
    """An operation that is linear but for a bias, whatever its operands are."""

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
