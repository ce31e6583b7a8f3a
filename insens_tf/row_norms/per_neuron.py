"""Backward: the switched weights of each needed neuron are recovered, and their squares summed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from insens_tf.chunks import slices
from insens_tf.graph import Graph
from insens_tf.row_norms.way import Cost, Way
from insens_tf.switched_weights import Gradients, SharedBackward

__all__ = ["Backward", "Gradient"]


class _PerNeuron(Way):
    """What the two ways share: one input at a time, some neurons at a time."""

    recovered: type[Gradients] | type[SharedBackward]
    shares_work = False

    def _prepare(self) -> None:
        self._weights = {
            position: self.recovered(self.graph, position, self.memory_budget, self.accumulation)
            for position in self.positions
        }

    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        norms = {}
        total = sum(int(needed[position].sum()) for position in self.positions)
        for position, weights in self._weights.items():
            mask = needed[position].reshape(len(x), -1)
            norms[position] = np.zeros(mask.shape, x.dtype)
            for row, wanted in enumerate(mask):
                neurons = np.flatnonzero(wanted)
                for chunk in slices(len(neurons), weights.rows_at_a_time):
                    found = weights.accumulated(x[row : row + 1], neurons[chunk])
                    norms[position][row, neurons[chunk]] = found
                    advance(len(neurons[chunk]) / total)
            norms[position] = norms[position].reshape(needed[position].shape)
        return norms


class Gradient(_PerNeuron):
    """The plain way, a tf.GradientTape's gradient of every neuron: the others' oracle."""

    recovered = Gradients

    @staticmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        work, arrays, functions = 0.0, 0.0, 0.0
        for position, neurons in needed.items():
            weights = Gradients(graph, position, memory_budget)
            # Forward and back.
            work += neurons * 2 * graph.work([position], weights.rows_at_a_time)
            arrays = max(arrays, weights.arrays(neurons))
            functions += weights.functions
        return Cost(work, arrays, functions)


class Backward(_PerNeuron):
    """One evaluation of an input's state serves many neurons, which all go back through it."""

    recovered = SharedBackward

    @staticmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        work, arrays, functions = 0.0, 0.0, 0.0
        for position, neurons in needed.items():
            weights = SharedBackward(graph, position, memory_budget)
            passes = neurons + -(-neurons // weights.rows_at_a_time)
            work += passes * graph.work([position], weights.rows_at_a_time)
            arrays = max(arrays, weights.arrays(neurons))
            functions += weights.functions
        return Cost(work, arrays, functions)
