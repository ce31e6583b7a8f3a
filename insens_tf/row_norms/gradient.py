"""The plain way, the gradient of every needed neuron: what the other ways are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from insens_tf.chunks import slices
from insens_tf.graph import Graph
from insens_tf.projections import SwitchedWeights
from insens_tf.row_norms.way import EVALUATION_COST, Way

__all__ = ["Gradient"]


class Gradient(Way):
    """Recovers each neuron's switched weights by a tf.GradientTape and sums their squares."""

    def __init__(self, graph: Graph, positions: Sequence[int], memory_budget: int) -> None:
        super().__init__(graph, positions, memory_budget)
        self._weights = {
            position: SwitchedWeights(graph, position, memory_budget) for position in positions
        }

    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        norms = {}
        total = max(1, sum(int(mask.sum()) for mask in needed.values()))
        for position, weights in self._weights.items():
            mask = needed[position].reshape(len(x), -1)
            norms[position] = np.zeros(mask.shape, x.dtype)
            for row, wanted in enumerate(mask):
                neurons = np.flatnonzero(wanted)
                for chunk in slices(len(neurons), weights.rows_at_a_time):
                    _, maps = weights(x[row : row + 1], neurons[chunk])
                    rows = maps.reshape(len(neurons[chunk]), -1)
                    norms[position][row, neurons[chunk]] = np.einsum("kd,kd->k", rows, rows)
                    advance(len(neurons[chunk]) / total)
            norms[position] = norms[position].reshape(needed[position].shape)
        return norms

    @staticmethod
    def cost(graph: Graph, positions: Sequence[int]) -> float:
        # Forward and backward, for every neuron, of which about half are needed.
        neurons = sum(graph.operations[position].size for position in positions)
        return 0.5 * neurons * 2 * EVALUATION_COST * graph.multiplications(positions)
