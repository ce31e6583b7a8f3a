"""What is compiled for the linear regions of one network, and the hyperplanes that bound them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.bounded_cache import BoundedCache
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer
from insens_tf.regions.boundaries import GateBoundary, boundaries_of
from insens_tf.regions.float64_graph import in_float64
from insens_tf.regions.leads import with_leads
from insens_tf.regions.line import Line
from insens_tf.regions.line_gradients import LineGradients
from insens_tf.regions.line_integral import LineIntegral
from insens_tf.regions.line_states import BoundaryStates
from insens_tf.regions.plane import Plane
from insens_tf.regions.weight_norms import WeightNorms
from insens_tf.switched_weights import Gradients

__all__ = ["Hyperplanes", "RegionFunctions"]

Floats = NDArray[np.float64]
States = list[NDArray[np.integer]]

# Compiled functions of single positions, of which few are asked for again.
KEPT = 32


@dataclass(frozen=True)
class Hyperplanes:
    """Hyperplanes value = 0 around an input, each value affine in the input within its region.

    Attributes
    ----------
    which : numpy.ndarray of int, shape (m,)
        The boundary that each belongs to, by its number.
    position : numpy.ndarray of int, shape (m,)
        Of the value, in the graph that has leads.
    index : numpy.ndarray of int, shape (m,)
        The flat index of the neuron or window.
    other : numpy.ndarray of int, shape (m,)
        Of a window the flat index of the loser; of a neuron -1.
    value : numpy.ndarray of float64, shape (m,)
        At the input: how far v is above the threshold, or the winner above the loser.
    """

    which: NDArray[np.int64]
    position: NDArray[np.int64]
    index: NDArray[np.int64]
    other: NDArray[np.int64]
    value: Floats

    def __len__(self) -> int:
        return len(self.which)


class RegionFunctions:
    """What computes states, hyperplanes and distances of one network, in float64.

    Parameters
    ----------
    graph : Graph
    outputs : sequence of int
        The positions of the outputs.
    layers : sequence of HiddenLayer
    memory_budget : int

    Attributes
    ----------
    graph : Graph
        In float64.
    boundaries : list of Boundary
    """

    def __init__(
        self,
        graph: Graph,
        outputs: Sequence[int],
        layers: Sequence[HiddenLayer],
        memory_budget: int,
    ) -> None:
        self.graph = in_float64(graph)
        self.boundaries = boundaries_of(self.graph, outputs, layers)
        self._outputs = list(outputs)
        self._memory_budget = memory_budget
        self._with_leads, self._leads = with_leads(self.graph, self.boundaries)
        self._compiled = BoundedCache(KEPT)

    def values(self, x: Floats, positions: Sequence[int]) -> list[Floats]:
        """Evaluate positions of the graph with leads for inputs, (n, *shape) each."""
        image = tf.TensorSpec((None, *self.graph.input_shape), tf.float64)
        compiled = self._compiled.kept(
            ("values", *positions),
            lambda: Compiled(lambda x: self._with_leads.values(x, positions), [image]),
        )
        return compiled(x) if positions else []

    def states(self, x: Floats) -> States:
        """Return each boundary's state for inputs, (n, neurons or windows) each."""
        decisive = self.values(x, self.decisive)
        return [one.state(value) for one, value in zip(self.boundaries, decisive)]

    @property
    def decisive(self) -> list[int]:
        """The positions of what decides the states."""
        return [one.operand for one in self.boundaries]

    def slices(self, inputs: int, positions: Sequence[int]) -> Iterator[slice]:
        """Yield slices of so many inputs whose values at `positions` fit the memory budget."""
        positions = positions or [0]
        # The values themselves, and some arrays as large as the states beside them.
        each = 2 * memory.evaluation(self.graph, positions)
        return slices(inputs, at_a_time(self.graph, positions, self._memory_budget, each))

    @cached_property
    def line(self) -> Line:
        """What goes along lines, through the whole network."""
        return Line(self.graph, self.boundaries, self._memory_budget)

    @cached_property
    def plane(self) -> Plane:
        """What cuts planes into polygons."""
        return Plane(self.graph, self._outputs, self.boundaries, self._memory_budget)

    def integral(self, positions: Sequence[int]) -> LineIntegral:
        """Return what integrates gradients of layers along lines."""
        found: LineIntegral = self._compiled.kept(
            ("integral", *positions),
            lambda: LineIntegral(self.graph, positions, self.boundaries, self._memory_budget),
        )
        return found

    @cached_property
    def output_seeds(self) -> dict[int, Floats]:
        """Random multiples of the outputs, (1, *shape), by position.

        An output that a neuron reaches makes the sum of random multiples depend on it, too.
        """
        random = np.random.default_rng(0)
        return {
            one: random.normal(size=(1, *self.graph.operations[one].shape)) for one in self._outputs
        }

    def hyperplanes(self, x: Floats, states: States) -> Hyperplanes:
        """Return all hyperplanes around an input, (*input_shape), whose states these are."""
        positions = self.decisive + [one.position for one in self._leads]
        values = [value.reshape(-1) for value in self.values(x[np.newaxis], positions)]
        columns = []
        for which, boundary in enumerate(self.boundaries):
            if isinstance(boundary, GateBoundary):
                everything = np.arange(values[which].size)
                for threshold in boundary.thresholds:
                    value = values[which] - threshold
                    columns.append(_columns(which, boundary.operand, everything, -1, value))
        for lead, value in zip(self._leads, values[len(self.boundaries) :]):
            which = self.boundaries.index(lead.boundary)
            losers = np.flatnonzero((lead.element >= 0) & (lead.element != states[which][0]))
            other = lead.element[losers]
            columns.append(_columns(which, lead.position, losers, other, value[losers]))
        if not columns:
            columns.append(_columns(0, 0, np.zeros(0, np.int64), -1, np.zeros(0)))
        return Hyperplanes(*(np.concatenate(column) for column in zip(*columns)))

    def distances(self, x: Floats, planes: Hyperplanes, norm: str) -> Floats:
        """Return how far each hyperplane is, (m,); infinity where its value is constant."""
        positions = np.unique(planes.position).tolist()
        if not positions:
            return np.zeros(0)
        norms_of = self._compiled.kept(
            ("norms", norm),
            lambda: WeightNorms(self._with_leads, positions, norm, self._memory_budget),
        )
        needed = {}
        for position in positions:
            operation = self._with_leads.operations[position]
            mask = np.zeros(operation.size, np.bool_)
            mask[planes.index[planes.position == position]] = True
            needed[position] = mask.reshape(1, *operation.shape)
        norms = norms_of(x[np.newaxis], needed)
        sizes = np.empty(len(planes))
        for position in positions:
            mine = planes.position == position
            sizes[mine] = norms[position].reshape(-1)[planes.index[mine]]
        distances = np.full(len(planes), np.inf)
        return np.divide(np.abs(planes.value), sizes, out=distances, where=sizes > 0)

    def effective(self, x: Floats) -> list[NDArray[np.bool_]]:
        """Return on which neurons and windows of each boundary an output depends.

        Or comes to depend as soon as they switch: a window in which all are 0 passes on whichever
        is the first to be more.
        """
        gradients = self._compiled.kept(
            ("gradients",), lambda: LineGradients(self.graph, self._outputs, self.boundaries)
        )
        values = dict(zip(self.decisive, self.values(x[np.newaxis], self.decisive)))
        nothing = [np.zeros(0, np.int64)] * 4
        states = {
            one.position: BoundaryStates(one.state(values[one.operand])[0], *nothing)
            for one in self.boundaries
        }
        found = {
            one.position: np.zeros(int(np.prod(one.shape)), np.bool_) for one in self.boundaries
        }

        def see(position: int, gradient: Floats, _: NDArray[np.int64]) -> None:
            found[position] = gradient.reshape(-1) != 0

        gradients.add({}, self.output_seeds, states, np.ones(1), see, tied=values)
        return [found[one.position] for one in self.boundaries]

    def switched_weights(
        self, x: Floats, position: int, neurons: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Return values (k,) and switched weights (k, *input_shape) of an input's neurons."""
        weights: Callable[[Floats, NDArray[np.int64]], tuple[Floats, Floats]] = self._compiled.kept(
            ("weights", position),
            lambda: Gradients(self._with_leads, position, self._memory_budget),
        )
        values, found = weights(x[np.newaxis], neurons)
        return values[0], found[0]


def _columns(
    which: int,
    position: int,
    index: NDArray[np.int64],
    other: NDArray[np.int64] | int,
    value: Floats,
) -> tuple[NDArray[Any], ...]:
    size = len(index)
    return np.full(size, which), np.full(size, position), index, np.full(size, other), value
