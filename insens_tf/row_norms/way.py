"""The interface of everything that computes squared row norms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from insens_tf.graph import Graph

__all__ = ["EVALUATION_COST", "Way"]

EVALUATION_COST = 3.0


class Way(ABC):
    """A way to compute the squared row norms of the Jacobians of some layers, exactly.

    Parameters
    ----------
    graph : Graph
        The network.
    positions : sequence of int
        The layers, as positions in the graph.
    memory_budget : int
        In bytes; chunks of work are chosen to stay within it.
    """

    def __init__(self, graph: Graph, positions: Sequence[int], memory_budget: int) -> None:
        self.graph = graph
        self.positions = tuple(positions)
        self.memory_budget = memory_budget

    @abstractmethod
    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        """Return w w of each needed neuron, by position, each (n, *layer shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
            The inputs.
        needed : mapping of int to numpy.ndarray of bool, (n, *layer shape)
            The neurons that are wanted, by position; what comes for others is not defined.
        advance : callable
            Called now and then with the share of all its work that was done since.
        """

    @staticmethod
    @abstractmethod
    def cost(graph: Graph, positions: Sequence[int]) -> float:
        """Return about what one input costs: infinity where the way cannot be taken.

        In multiplications of a large matrix product. Those of an evaluation of the network count
        `EVALUATION_COST` each: convolutions of few channels are slower than matrix products.
        """
