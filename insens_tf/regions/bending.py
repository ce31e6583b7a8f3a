"""How the bends of what an operation is applied to become its own, where it is linear."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeGuard

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.chunks import slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.operations import Convolution, Operation
from insens_tf.regions.curves import Bends

__all__ = [
    "ConvolvedBends",
    "LinearBends",
    "TooManyBendsError",
    "is_local_convolution",
    "linear_bends",
    "seen_by",
]

Floats = NDArray[np.float64]


# How often bends are held: as they are found, in order, and twice as curves.
HELD = 4


class TooManyBendsError(Exception):
    """What bends on a stretch of a line does not fit the memory that there is for it."""


class LinearBends:
    """The bends of any operation without a state: all its operands' changes at a place at once.

    Parameters
    ----------
    graph : Graph
        Of dtype float64.
    position : int
        Of the operation.
    memory_budget : float
        In bytes, for the arrays of a pass.
    """

    def __init__(self, graph: Graph, position: int, memory_budget: float) -> None:
        operation = graph.operations[position]
        self._shapes = [graph.operations[one].shape for one in operation.operands]
        self._shape = operation.shape
        held = 8 * (2 * operation.size + sum(math.prod(shape) for shape in self._shapes))
        self._at_a_time = max(1, int(memory_budget / 4 / held))

        def push(*changes: tf.Tensor) -> tf.Tensor:
            at_zero = [tf.zeros((1, *shape), graph.dtype) for shape in self._shapes]
            return operation.pushed(at_zero, changes)

        specs = [tf.TensorSpec((None, *shape), graph.dtype) for shape in self._shapes]
        self._push = Compiled(push, specs)

    def __call__(self, operands: Sequence[Bends], most: float = math.inf) -> Bends:
        """Return the bends of the operation's value for those of its operands.

        Parameters
        ----------
        operands : sequence of Bends
            One each.
        most : float
            How many bytes they and the curves of them may take.

        Raises
        ------
        TooManyBendsError
        """
        places = np.unique(np.concatenate([one.t for one in operands]))
        parts = list(self._parts(operands, places, most))
        return Bends(*(np.concatenate(column) for column in zip(*parts))).collected()

    def _parts(self, operands: Sequence[Bends], places: Floats, most: float) -> Iterator[Bends]:
        kinds, channels, held = operands[0].change.shape[1], self._shape[-1], 0.0
        yield Bends(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, kinds, channels)))
        rows = [np.searchsorted(places, one.t) for one in operands]
        for some in slices(len(places), max(1, self._at_a_time // kinds)):
            dense = []
            for bends, row, shape in zip(operands, rows, self._shapes):
                mine = (row >= some.start) & (row < some.stop)
                positions = math.prod(shape[:-1])
                changes = np.zeros((some.stop - some.start, kinds, positions, shape[-1]))
                changes[row[mine] - some.start, :, bends.position[mine]] = bends.change[mine]
                dense.append(changes.reshape(-1, *shape))
            pushed = self._push(*dense).reshape(len(dense[0]) // kinds, kinds, -1, channels)
            place, position = np.nonzero(pushed.any(axis=(1, 3)))
            found = pushed[place, :, position]
            held += HELD * found.nbytes
            if held > most:
                raise TooManyBendsError
            yield Bends(position, places[some][place], found)


class ConvolvedBends:
    """The bends of a convolution: of the few positions that see where its operand bends.

    Parameters as `LinearBends` has them, for a convolution without groups.
    """

    def __init__(self, graph: Graph, position: int, memory_budget: float) -> None:
        operation = graph.operations[position]
        assert isinstance(operation, Convolution)
        self._sizes = tuple(int(one) for one in operation.kernel.shape)
        self._kernel = Compiled(lambda: tf.convert_to_tensor(operation.kernel), [])
        self._seen_by = seen_by(operation)

    def __call__(self, operands: Sequence[Bends], most: float = math.inf) -> Bends:
        """Return the bends of the operation's value for those of its operand.

        Parameters and errors are those of `LinearBends`.
        """
        (bends,) = operands
        kinds, channels, filters = bends.change.shape[1], *self._sizes[-2:]
        positions = self._seen_by[bends.position]
        row, tap = np.nonzero(positions >= 0)
        if HELD * 8 * kinds * filters * len(row) > most:
            raise TooManyBendsError
        kernels = self._kernel().reshape(-1, channels, filters)
        change = np.empty((len(row), kinds, filters))
        for number, kernel in enumerate(kernels):
            mine = np.flatnonzero(tap == number)
            change[mine] = bends.change[row[mine]] @ kernel
        return Bends(positions[row, tap], bends.t[row], change).collected()


def linear_bends(graph: Graph, position: int, memory_budget: float) -> LinearBends | ConvolvedBends:
    """Return what makes an operation's bends of its operands'."""
    operation = graph.operations[position]
    kind = ConvolvedBends if is_local_convolution(operation) else LinearBends
    return kind(graph, position, memory_budget)


def is_local_convolution(operation: Operation) -> TypeGuard[Convolution]:
    """Tell whether an operation is a convolution whose taps see all channels."""
    return isinstance(operation, Convolution) and operation.groups == 1


def seen_by(convolution: Convolution) -> NDArray[np.int64]:
    """Return which position of the result sees a position of the operand, (positions, taps).

    By the tap of the kernel that it is multiplied with; -1 where there is none.
    """
    seen = np.zeros((1, 1), np.int64)
    axes = zip(
        convolution.locality.windows or (),
        convolution.dilation,
        convolution.kernel.shape,
        convolution.operand_shape,
        convolution.shape,
    )
    for window, dilation, taps, length, outputs in axes:
        behind = np.arange(length)[:, np.newaxis] + window.padding - np.arange(taps) * dilation
        along = behind // window.stride
        there = (behind % window.stride == 0) & (along >= 0) & (along < outputs)
        both = seen[:, np.newaxis, :, np.newaxis] * outputs + along[:, np.newaxis]
        is_there = (seen >= 0)[:, np.newaxis, :, np.newaxis] & there[:, np.newaxis]
        seen = np.where(is_there, both, -1).reshape(len(seen) * length, -1)
    return seen
