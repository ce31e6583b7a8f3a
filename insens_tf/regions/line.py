"""The regions that a straight line goes through: exact, layer by layer, in float64.

Between two points at which the state changes, everything that the network computes is affine in
the place t on the line. So the operations are evaluated in their order on parts of the line, each
by its middle and its rate of change; where a gate or a pooling changes its state within a part,
the part is split there, and what was evaluated already is affine on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.regions.boundaries import Boundary

__all__ = ["RESOLUTION", "Line", "Parts"]

Floats = NDArray[np.float64]

RESOLUTION = 1e-12
"""Changes of the state that are less than this apart on the line, of length 1, are at one place."""

# How many arrays as large as the largest value are held beside the values and rates.
BESIDE = 6


@dataclass(frozen=True)
class Parts:
    """Parts of a line, one after the other.

    Attributes
    ----------
    start, end : numpy.ndarray, shape (parts,)
    values, rates : mapping of int to numpy.ndarray, shape (parts, *shape of the operation)
        By position in the graph: in the middle of each part, and how they change along the line.
        Only of what is still to be used.
    states : mapping of int to numpy.ndarray of int, shape (parts, neurons or windows)
        By the position of the gate or pooling.
    """

    start: Floats
    end: Floats
    values: Mapping[int, Floats]
    rates: Mapping[int, Floats]
    states: Mapping[int, NDArray[np.integer]]

    def __len__(self) -> int:
        return len(self.start)

    def split(self, start: Floats, end: Floats, parents: NDArray[np.int64]) -> Parts:
        """Return parts of these parts, `parents` saying of which."""
        shift = (start + end - self.start[parents] - self.end[parents]) / 2
        rates = {position: rate[parents] for position, rate in self.rates.items()}
        values = {}
        for position, value in self.values.items():
            values[position] = rates[position] * shift.reshape(-1, *(1,) * (value.ndim - 1))
            values[position] += value[parents]
        states = {position: state[parents] for position, state in self.states.items()}
        return Parts(start, end, values, rates, states)


class Line:
    """What goes along straight lines through a graph, and splits them where the state changes.

    Parameters
    ----------
    graph : Graph
        Of dtype float64.
    boundaries : sequence of Boundary
        All those on the way to what is asked for.
    memory_budget : int
    """

    def __init__(self, graph: Graph, boundaries: Sequence[Boundary], memory_budget: int) -> None:
        self._operations = graph.operations
        self._boundaries = {one.position: one for one in boundaries}
        positions = graph.ancestors(self._boundaries)
        self._advance = {one: _advance(graph, one) for one in positions if one}
        self._last_use = {
            operand: one for one in positions for operand in self._operations[one].operands
        }
        self._steps: list[Callable[[Parts], list[Callable[[], Parts]] | Parts]] = []
        for position in positions:
            if position in self._boundaries:
                self._steps.append(partial(self._split, self._boundaries[position]))
            if position:
                self._steps.append(partial(self._evaluated, position))
        held = sum(self._operations[one].size for one in positions)
        largest = max((self._operations[one].size for one in positions), default=1)
        self._at_a_time = max(1, int(memory_budget / (8 * (held + BESIDE * largest))))

    def parts(self, start: Floats, end: Floats) -> Iterator[Parts]:
        """Yield the parts of the line from one input to another, in order, a few at a time.

        Parameters
        ----------
        start, end : numpy.ndarray, shape (*input_shape)

        Yields
        ------
        Parts
            With the states of all boundaries.
        """
        middle, rate = {0: (start + end)[np.newaxis] / 2}, {0: (end - start)[np.newaxis]}
        whole = Parts(np.zeros(1), np.ones(1), middle, rate, {})
        # What is to be done later is not made before: parts of a line are many, those that they
        # are parts of few.
        waiting: list[tuple[int, Callable[[], Parts]]] = [(0, lambda: whole)]
        while waiting:
            done, make = waiting.pop()
            parts = make()
            for number in range(done, len(self._steps)):
                result = self._steps[number](parts)
                if isinstance(result, Parts):
                    parts = result
                    continue
                waiting += [(number + 1, one) for one in reversed(result)]
                break
            else:
                yield parts

    def _split(self, boundary: Boundary, parts: Parts) -> list[Callable[[], Parts]] | Parts:
        """Return what makes parts of parts, as many at a time as the budget allows."""
        middle = (parts.start + parts.end) / 2
        row, s = boundary.crossings(
            parts.values[boundary.operand],
            parts.rates[boundary.operand],
            parts.start - middle + RESOLUTION,
            parts.end - middle - RESOLUTION,
        )
        if not len(row):
            return parts
        t = middle[row] + s
        order = np.argsort(t)
        row, t = row[order], t[order]
        apart = np.concatenate([[True], np.diff(t) > RESOLUTION])
        row, t = row[apart], t[apart]
        # Parts are one after the other, so that all places are in their order, too.
        bounds = np.sort(np.concatenate([parts.start, t, parts.end[-1:]]))
        parents = np.sort(np.concatenate([np.arange(len(parts)), row]))
        slices = np.array_split(np.arange(len(parents)), -(-len(parents) // self._at_a_time))
        return [
            partial(parts.split, bounds[some], bounds[some + 1], parents[some]) for some in slices
        ]

    def _evaluated(self, position: int, parts: Parts) -> Parts:
        """Return parts with the value of an operation, and its state."""
        operands = self._operations[position].operands
        values, rates, states = dict(parts.values), dict(parts.rates), dict(parts.states)
        if position in self._boundaries:
            boundary = self._boundaries[position]
            states[position] = boundary.state(values[boundary.operand])
        values[position], rates[position] = self._advance[position](
            *(values[one] for one in operands), *(rates[one] for one in operands)
        )
        for one in [one for one in values if self._last_use.get(one, 0) <= position]:
            del values[one], rates[one]
        return Parts(parts.start, parts.end, values, rates, states)


def _advance(graph: Graph, position: int) -> Compiled:
    """Return what evaluates an operation and pushes rates of change through it."""
    operation = graph.operations[position]
    count = len(operation.operands)

    def function(*arrays: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values, rates = arrays[:count], arrays[count:]
        return operation(*values), operation.pushed(values, rates)

    specs = [
        tf.TensorSpec((None, *graph.operations[one].shape), graph.dtype)
        for one in operation.operands
    ]
    return Compiled(function, specs + specs)
