"""A layer that no gate and no pooling precedes: its row norms are the same for every input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from insens_tf.graph import Graph
from insens_tf.row_norms.crops import Crops
from insens_tf.row_norms.probes import Probes
from insens_tf.row_norms.way import IMPOSSIBLE, Cost, Way

__all__ = ["Stateless"]


class Stateless(Way):
    """Computes the norms once a call, for all inputs: such as a first convolution's.

    Crops do it in closed form, the sums of the kernel's squares over what borders leave of it;
    probes where crops cannot.
    """

    def _prepare(self) -> None:
        graph, positions, budget = self.graph, self.positions, self.memory_budget
        all_neurons = {position: graph.operations[position].size for position in positions}
        way, _ = _cheaper(graph, all_neurons, budget)
        self._way: Way = way(graph, positions, budget, self.accumulation)

    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        of_any = {position: mask.any(axis=0, keepdims=True) for position, mask in needed.items()}
        norms = self._way(x[:1], of_any, advance)
        return {
            position: np.broadcast_to(norm, needed[position].shape)
            for position, norm in norms.items()
        }

    @staticmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        if any(graph.operations[position].has_state for position in graph.ancestors(needed)):
            return IMPOSSIBLE
        # Once for all inputs, so that one of them has nothing to pay.
        return replace(_cheaper(graph, needed, memory_budget)[1], work=0.0)


def _cheaper(
    graph: Graph, needed: Mapping[int, float], memory_budget: float
) -> tuple[type[Way], Cost]:
    costs = {way: way.cost(graph, needed, memory_budget) for way in (Crops, Probes)}
    return min(costs.items(), key=lambda item: item[1].work)
