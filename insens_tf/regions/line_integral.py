"""Integrals of gradients along a line of which it is known where the state changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.graph import Graph
from insens_tf.regions.boundaries import Boundary
from insens_tf.regions.line_gradients import LineGradients
from insens_tf.regions.line_states import LineStates

__all__ = ["LineIntegral"]

Floats = NDArray[np.float64]
See = Callable[[slice, int, Floats, NDArray[np.int64]], None]


class LineIntegral:
    """Integrates gradients of some layers along straight lines.

    Parameters
    ----------
    graph : Graph
        Of dtype float64.
    positions : sequence of int
        The layers.
    boundaries : sequence of Boundary
        Those on the way there; others are left aside.
    memory_budget : int
    """

    def __init__(
        self,
        graph: Graph,
        positions: Sequence[int],
        boundaries: Sequence[Boundary],
        memory_budget: int,
    ) -> None:
        self._gradients = LineGradients(graph, positions, boundaries)
        each = 2 * memory.gradient(graph, positions)
        self._at_a_time = max(2, int(memory_budget / each))

    def __call__(
        self,
        states: LineStates,
        seeds: Mapping[int, Floats],
        advance: Callable[[float], None] = lambda share: None,
    ) -> Floats:
        """Return the integral of the gradient over the places 0..1 of a line, (*input_shape).

        Parameters
        ----------
        states : LineStates
        seeds : mapping of int to numpy.ndarray, shape (1, *shape of the operation)
            What gradients begin with, by position.
        advance : callable
            Called with the share of all the work that was done since.
        """
        sums: dict[int, Floats] = {}
        parts = len(states.bounds) - 1
        for some in self._slices(parts):
            self._add(sums, states, some, seeds)
            advance((some.stop - some.start) / parts)
        return self._gradients.at_the_input(sums)

    def look(self, states: LineStates, seeds: Mapping[int, Floats], see: See) -> None:
        """Show the gradients that come back to each boundary, in each part of a line.

        Parameters
        ----------
        states, seeds
            As for a call.
        see : callable
            Is given some parts (each but the last slice's last comes again as the next one's
            first), a boundary's position, gradients, and which of them is each part's.
        """
        for some in self._slices(len(states.bounds) - 1, overlap=1):

            def of_parts(
                position: int, gradients: Floats, group: NDArray[np.int64], some: slice = some
            ) -> None:
                see(some, position, gradients, group)

            self._add({}, states, some, seeds, of_parts)

    def _slices(self, parts: int, overlap: int = 0) -> Iterator[slice]:
        for start in range(0, max(1, parts - overlap), self._at_a_time - overlap):
            yield slice(start, min(start + self._at_a_time, parts))

    def _add(
        self,
        sums: dict[int, Floats],
        states: LineStates,
        some: slice,
        seeds: Mapping[int, Floats],
        see: Callable[..., None] = lambda *_: None,
    ) -> None:
        here = {position: one.within(some) for position, one in states.by_position.items()}
        widths = np.diff(states.bounds[some.start : some.stop + 1])
        self._gradients.add(sums, seeds, here, widths, see)
