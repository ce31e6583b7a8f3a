"""Integrals of gradients along a line: exact sums over its parts, no step and no step error.

The gradient that comes back to an operation is constant as long as no state above it changes. It
is taken back once for all parts in which it is the same; and below the lowest state, where all is
one linear map, once for their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.regions.boundaries import Boundary, PoolingBoundary

__all__ = ["LineGradients"]

Floats = NDArray[np.float64]
# Gradients, and which of them is each part's.
Grouped = tuple[Floats, NDArray[np.int64]]


class LineGradients:
    """Takes gradients back through many parts of a line at a time.

    Parameters
    ----------
    graph : Graph
        Of dtype float64.
    positions : sequence of int
        Where gradients begin.
    boundaries : sequence of Boundary
        Those on the way there; others are left aside.
    """

    def __init__(
        self, graph: Graph, positions: Sequence[int], boundaries: Sequence[Boundary]
    ) -> None:
        self._order = graph.ancestors(positions)
        self._operands = {one: graph.operations[one].operands for one in self._order}
        self._boundaries = {one.position: one for one in boundaries if one.position in self._order}
        self._back = {one: _back(graph, one, one in self._boundaries) for one in self._order if one}
        self._input_shape = graph.input_shape
        self._stateless: set[int] = set()
        for one in self._order:
            if one not in self._boundaries and self._stateless.issuperset(self._operands[one]):
                self._stateless.add(one)

    @property
    def decisive(self) -> list[int]:
        """The positions of what decides the states."""
        return sorted({one.operand for one in self._boundaries.values()})

    def add(
        self,
        sums: dict[int, Floats],
        seeds: Mapping[int, Floats],
        values: Mapping[int, Floats],
        widths: Floats,
        see: Callable[[int, Floats, NDArray[np.int64]], None] = lambda *_: None,
        *,
        ties: bool = False,
    ) -> None:
        """Add to sums the gradients of parts, each times its part's width.

        Parameters
        ----------
        sums : dict of int to numpy.ndarray, shape (1, *shape of the operation)
            By the position of what has no state below it; for `at_the_input`.
        seeds : mapping of int to numpy.ndarray, shape (1, *shape of the operation)
            What gradients begin with, by position.
        values : mapping of int to numpy.ndarray, shape (parts, *shape of the operation)
            In the middle of each part, at the positions `decisive`.
        widths : numpy.ndarray, shape (parts,)
        see : callable
            Is given each boundary's position, the gradients that come back to it, and which of them
            is each part's.
        ties : bool
            Let gradients go to all equal winners of a window, not to the first of them alone.
        """
        everywhere = np.zeros(len(widths), np.int64)
        waiting: dict[int, list[Grouped]] = {
            one: [(seed, everywhere)] for one, seed in seeds.items()
        }
        for position in reversed(self._order):
            if position not in waiting:
                continue
            gradients, group = _added(waiting.pop(position))
            if position in self._stateless:
                shares = np.bincount(group, widths, minlength=len(gradients))
                total = np.tensordot(shares, gradients, axes=1)[np.newaxis]
                sums[position] = sums[position] + total if position in sums else total
                continue
            boundary = self._boundaries.get(position)
            if boundary is None:
                parts = self._back[position](gradients)
            else:
                see(position, gradients, group)
                decisive = values[boundary.operand]
                gradients, group, chosen = _refined(gradients, group, boundary.state(decisive))
                if ties and isinstance(boundary, PoolingBoundary):
                    parts = [boundary.to_all_winners(decisive[chosen], gradients)]
                else:
                    parts = self._back[position](decisive[chosen], gradients)
            for operand, part in zip(self._operands[position], parts):
                waiting.setdefault(operand, []).append((part, group))

    def at_the_input(self, sums: Mapping[int, Floats]) -> Floats:
        """Take sums of gradients back to the input, (*input_shape)."""
        waiting = {position: [one] for position, one in sums.items()}
        waiting.setdefault(0, []).append(np.zeros((1, *self._input_shape)))
        for position in reversed(self._order[1:]):
            if position in waiting:
                parts = self._back[position](np.sum(waiting.pop(position), axis=0))
                for operand, part in zip(self._operands[position], parts):
                    waiting.setdefault(operand, []).append(part)
        return np.sum(waiting[0], axis=0)[0]


def _added(parts: Sequence[Grouped]) -> Grouped:
    """Return the sum of gradients that are grouped in several ways."""
    gradients, group = parts[0]
    for others, other_group in parts[1:]:
        if np.array_equal(group, other_group):
            gradients = gradients + others
            continue
        new = _changes(group) | _changes(other_group)
        first = np.flatnonzero(new)
        gradients = gradients[group[first]] + others[other_group[first]]
        group = np.cumsum(new) - 1
    return gradients, group


def _refined(
    gradients: Floats, group: NDArray[np.int64], state: NDArray[np.integer]
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Return gradients such that each is of parts of one state, wherever there is a gradient.

    Returns
    -------
    gradients : numpy.ndarray, shape (groups, *shape)
    group : numpy.ndarray of int, shape (parts,)
    chosen : numpy.ndarray of int, shape (groups,)
        A part of each.
    """
    flat = gradients.reshape(len(gradients), -1)
    before, element = np.nonzero(state[1:] != state[:-1])
    matters = (flat[group[before], element] != 0) | (flat[group[before + 1], element] != 0)
    new = _changes(group)
    new[before[matters] + 1] = True
    chosen = np.flatnonzero(new)
    return gradients[group[chosen]], np.cumsum(new) - 1, chosen


def _changes(group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where the first part of each group is."""
    return np.concatenate([[True], np.diff(group) != 0])


def _back(graph: Graph, position: int, has_state: bool) -> Compiled:
    """Return what takes gradients back through an operation, each with a state of its own."""
    operation = graph.operations[position]
    shapes = [graph.operations[one].shape for one in operation.operands]

    def through(operands: list[tf.Tensor], gradient: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(operands)
            value = operation(*operands)
        return tape.gradient(
            value, operands, gradient, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    def with_state(operand: tf.Tensor, gradient: tf.Tensor) -> list[tf.Tensor]:
        return through([operand], gradient)

    def without_state(gradient: tf.Tensor) -> list[tf.Tensor]:
        count = tf.shape(gradient)[0]
        return through([tf.zeros((count, *shape), gradient.dtype) for shape in shapes], gradient)

    above = tf.TensorSpec((None, *operation.shape), graph.dtype)
    below = [tf.TensorSpec((None, *shape), graph.dtype) for shape in shapes]
    return Compiled(with_state, [*below, above]) if has_state else Compiled(without_state, [above])
