"""Integrals of gradients along a line of which it is known where the state changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.regions.boundaries import Boundary
from insens_tf.regions.line_gradients import LineGradients

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
        self._decisive = self._gradients.decisive
        each = 2 * memory.gradient(graph, self._decisive or [0])
        self._at_a_time = max(2, int(memory_budget / each))
        image = tf.TensorSpec((None, *graph.input_shape), tf.float64)
        self._values = Compiled(lambda x: graph.values(x, self._decisive), [image])

    def __call__(
        self,
        start: Floats,
        end: Floats,
        bounds: Floats,
        seeds: Mapping[int, Floats],
        advance: Callable[[float], None] = lambda share: None,
    ) -> Floats:
        """Return the integral times the way, (*input_shape).

        Parameters
        ----------
        start, end : numpy.ndarray, shape (*input_shape)
        bounds : numpy.ndarray, shape (parts + 1,)
            Where the parts of the line begin and end, from 0 to 1.
        seeds : mapping of int to numpy.ndarray, shape (1, *shape of the operation)
            What gradients begin with, by position.
        advance : callable
            Called with the share of all the work that was done since.
        """
        sums: dict[int, Floats] = {}
        parts = len(bounds) - 1
        for some in self._slices(parts):
            self._add(sums, start, end, bounds[some.start : some.stop + 1], seeds)
            advance((some.stop - some.start) / parts)
        return self._gradients.at_the_input(sums) * (end - start)

    def look(
        self, start: Floats, end: Floats, bounds: Floats, seeds: Mapping[int, Floats], see: See
    ) -> None:
        """Show the gradients that come back to each boundary, in each part of a line.

        Parameters
        ----------
        start, end, bounds, seeds
            As for a call.
        see : callable
            Is given some parts (each but the last slice's last comes again as the next one's
            first), a boundary's position, gradients, and which of them is each part's.
        """
        for some in self._slices(len(bounds) - 1, overlap=1):

            def of_parts(
                position: int, gradients: Floats, group: NDArray[np.int64], some: slice = some
            ) -> None:
                see(some, position, gradients, group)

            self._add({}, start, end, bounds[some.start : some.stop + 1], seeds, of_parts)

    def _slices(self, parts: int, overlap: int = 0) -> Iterator[slice]:
        for start in range(0, max(1, parts - overlap), self._at_a_time - overlap):
            yield slice(start, min(start + self._at_a_time, parts))

    def _add(
        self,
        sums: dict[int, Floats],
        start: Floats,
        end: Floats,
        bounds: Floats,
        seeds: Mapping[int, Floats],
        see: Callable[..., None] = lambda *_: None,
    ) -> None:
        middles = ((bounds[1:] + bounds[:-1]) / 2).reshape(-1, *(1,) * start.ndim)
        values = dict(zip(self._decisive, self._values(start + middles * (end - start))))
        self._gradients.add(sums, seeds, values, np.diff(bounds), see)
