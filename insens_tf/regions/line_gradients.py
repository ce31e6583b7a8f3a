"""Integrals of gradients along a line: exact sums over its parts, no step and no step error.

The gradient that comes back to an operation is constant as long as no state above it changes. It
is taken back once for all parts in which it is the same; and below the lowest state, where all is
one linear map, once for their sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from insens_tf.graph import Graph
from insens_tf.regions.boundaries import Boundary, GateBoundary, PoolingBoundary
from insens_tf.regions.line_states import BoundaryStates
from insens_tf.regions.slopes import inactive_slopes, slopes_of
from insens_tf.regions.taken_back import taken_back

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
        self._shapes = {one: graph.operations[one].shape for one in self._order}
        linear = [one for one in self._order if one and one not in self._boundaries]
        self._back = {one: taken_back(graph, one) for one in linear}
        self._slopes = inactive_slopes(graph, self._boundaries.values())
        self._input_shape = graph.input_shape
        self._stateless: set[int] = set()
        for one in self._order:
            if one not in self._boundaries and self._stateless.issuperset(self._operands[one]):
                self._stateless.add(one)

    def add(
        self,
        sums: dict[int, Floats],
        seeds: Mapping[int, Floats],
        states: Mapping[int, BoundaryStates],
        widths: Floats,
        see: Callable[[int, Floats, NDArray[np.int64]], None] = lambda *_: None,
        *,
        tied: Mapping[int, Floats] | None = None,
    ) -> None:
        """Add to sums the gradients of parts, each times its part's width.

        Parameters
        ----------
        sums : dict of int to numpy.ndarray, shape (1, *shape of the operation)
            By the position of what has no state below it; for `at_the_input`.
        seeds : mapping of int to numpy.ndarray, shape (1, *shape of the operation)
            What gradients begin with, by position.
        states : mapping of int to BoundaryStates
            Of all parts, by the position of the gate or pooling.
        widths : numpy.ndarray, shape (parts,)
        see : callable
            Is given each boundary's position, the gradients that come back to it, and which of them
            is each part's.
        tied : mapping of int to numpy.ndarray, shape (1, *shape of the operation), optional
            Of a single part the values that poolings choose from, by their position: gradients go
            to all equal winners of a window, not to the first of them alone.
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
                gradients, group, chosen = _refined(gradients, group, states[position])
                if tied is not None and isinstance(boundary, PoolingBoundary):
                    parts = [boundary.to_all_winners(tied[boundary.operand], gradients)]
                else:
                    parts = [self._through(boundary, states[position].rows(chosen), gradients)]
            for operand, part in zip(self._operands[position], parts):
                waiting.setdefault(operand, []).append((part, group))

    def _through(self, boundary: Boundary, state: NDArray[np.integer], gradients: Floats) -> Floats:
        """Take gradients back through a boundary, each with a state of its own."""
        flat = gradients.reshape(state.shape)
        shape = len(state), *self._shapes[boundary.operand]
        if isinstance(boundary, GateBoundary):
            slopes = self._slopes[boundary.position]().reshape(-1)
            return (flat * slopes_of(state, slopes)).reshape(shape)
        size = math.prod(shape[1:])
        places = state + size * np.arange(len(state))[:, np.newaxis]
        counts = np.bincount(places.reshape(-1), flat.reshape(-1), len(state) * size)
        return np.asarray(counts, np.float64).reshape(shape)

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
    gradients: Floats, group: NDArray[np.int64], states: BoundaryStates
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
    part, element = states.part, states.neuron
    matters = (flat[group[part - 1], element] != 0) | (flat[group[part], element] != 0)
    new = _changes(group)
    new[part[matters]] = True
    chosen = np.flatnonzero(new)
    return gradients[group[chosen]], np.cumsum(new) - 1, chosen


def _changes(group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where the first part of each group is."""
    return np.concatenate([[True], np.diff(group) != 0])
