"""Where the state changes on a straight line: exact, operation by operation, in float64.

Along a line everything that a network computes is piecewise affine in the place t. An operation
that is linear takes bends to bends; where a gate switches or another element wins a pooling, there
is one more. Nothing is evaluated between bends, and nothing where a position does not see them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf.graph import Graph
from insens_tf.operations import Gate
from insens_tf.regions.bending import TooManyBendsError, linear_bends
from insens_tf.regions.boundaries import Boundary, GateBoundary, PoolingBoundary
from insens_tf.regions.curves import Curve, bends_of, curves_of, straight
from insens_tf.regions.rates import value_and_rates
from insens_tf.regions.slopes import inactive_slopes
from insens_tf.regions.switches import Piecewise, Switches, gated, pooled

__all__ = ["Line", "Stretch"]

Floats = NDArray[np.float64]

# Shorter stretches of a line are followed whatever memory it takes.
SHORTEST = 1e-9

# What is held of a memory budget: the curves of an operation and of its operands, and its bends.
SHARE = 3


class Stretch(NamedTuple):
    """A stretch of a line, and what some boundaries switch on it.

    Attributes
    ----------
    start, end : float
    switches : dict of int to Switches
        By the position of the gate or pooling. Of each boundary stretches come in order.
    is_done : bool
        Whether all boundaries have been followed to its end.
    """

    start: float
    end: float
    switches: dict[int, Switches]
    is_done: bool


class Line:
    """What goes along straight lines through a graph, and finds where the state changes.

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
        self._order = graph.ancestors(self._boundaries) if boundaries else []
        self._last_use = graph.last_use(self._order)
        linear = [one for one in self._order if one and one not in self._boundaries]
        self._budget = memory_budget / SHARE
        self._advance = {one: value_and_rates(graph, one) for one in linear}
        self._bends = {one: linear_bends(graph, one, self._budget) for one in linear}
        gates = [self._operations[one] for one in self._boundaries]
        self._jumps = any(isinstance(one, Gate) and one.jump != 0 for one in gates)
        self._slopes = inactive_slopes(graph, boundaries)

    def stretches(self, start: Floats, end: Floats) -> Iterator[Stretch]:
        """Yield the stretches of the line from one input to another.

        Parameters
        ----------
        start, end : numpy.ndarray, shape (*input_shape)
        """
        curves = {0: straight(0.0, _flat(start), _flat(end - start))}
        # What bends too often for the memory is followed in halves, from where it does so on.
        waiting = [(1, curves, 0.0, 1.0)]
        while waiting:
            done, curves, first, last = waiting.pop()
            curves = {one: [c.within(first, last) for c in found] for one, found in curves.items()}
            switches: dict[int, Switches] = {}
            for number in range(done, len(self._order)):
                try:
                    self._follow(self._order[number], curves, switches, first, last)
                except TooManyBendsError:
                    middle = (first + last) / 2
                    waiting.append((number, curves, middle, last))
                    waiting.append((number, curves, first, middle))
                    yield Stretch(first, last, switches, is_done=False)
                    break
            else:
                yield Stretch(first, last, switches, is_done=True)

    def _follow(
        self,
        position: int,
        curves: dict[int, list[Curve]],
        switches: dict[int, Switches],
        start: float,
        end: float,
    ) -> None:
        """Add the curves of an operation, and what switches there; take away what is used up."""
        operands = [curves[one] for one in self._operations[position].operands]
        boundary = self._boundaries.get(position)
        if boundary is None:
            most = self._budget if end - start > SHORTEST else math.inf
            found = self._linear(position, operands, start, most)
        else:
            found, switches[position] = self._switched(boundary, operands[0], end)
        curves[position] = found
        for one in [one for one in curves if self._last_use.get(one, 0) <= position]:
            del curves[one]

    def _linear(
        self, position: int, operands: Sequence[list[Curve]], start: float, most: float
    ) -> list[Curve]:
        bends = self._bends[position]([bends_of(one, self._jumps) for one in operands], most)
        shapes = [self._operations[one].shape for one in self._operations[position].operands]
        at_start = [
            np.stack([getattr(curve, what)[0] for curve in curves]).reshape(1, *shape)
            for what in ("values", "rates")
            for curves, shape in zip(operands, shapes)
        ]
        values, rates = (_flat(one[0]) for one in self._advance[position](*at_start))
        return curves_of(start, values, rates, bends)

    def _switched(self, boundary: Boundary, operand: list[Curve], end: float) -> Piecewise:
        if isinstance(boundary, PoolingBoundary):
            return pooled(boundary, operand, end, jumps=self._jumps)
        assert isinstance(boundary, GateBoundary)
        gate = self._operations[boundary.position]
        assert isinstance(gate, Gate)
        slopes = _flat(self._slopes[boundary.position]())
        return gated(boundary, gate, slopes, operand, end, jumps=self._jumps)


def _flat(value: Floats) -> Floats:
    return value.reshape(-1, value.shape[-1])
