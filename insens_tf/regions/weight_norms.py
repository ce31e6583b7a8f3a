"""Norms of the switched weights of many neurons: what distances to boundaries are measured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from insens_tf.accumulation import ABSOLUTE_VALUES, LARGEST_VALUE, SQUARES
from insens_tf.graph import Graph
from insens_tf.row_norms import WAYS, accumulated, choose

__all__ = ["DUAL_ORDERS", "WeightNorms"]

DUAL_ORDERS: dict[str, float] = {"l2": 2, "linf": 1, "l1": np.inf}
"""The order of the dual of each norm of the input space: abs(v) over it is how far a root of v is.

As `tf.norm` and `numpy.linalg.norm` take it.
"""


_ACCUMULATIONS = {"l2": SQUARES, "linf": ABSOLUTE_VALUES, "l1": LARGEST_VALUE}


class WeightNorms:
    """Dual norms of the switched weights of the neurons of some layers.

    From the ways of :mod:`insens_tf.row_norms`, the cheapest for each layer of those that can.

    Parameters
    ----------
    graph : Graph
    positions : sequence of int
    norm : {"l2", "linf", "l1"}
        Of the input space.
    memory_budget : int
    """

    def __init__(
        self, graph: Graph, positions: Sequence[int], norm: str, memory_budget: int
    ) -> None:
        self._is_squared = norm == "l2"
        accumulation = _ACCUMULATIONS[norm]
        needed = {one: float(graph.operations[one].size) for one in positions}
        choice = choose(graph, needed, memory_budget, accumulation=accumulation)
        self._ways = [
            WAYS[name](graph, group, memory_budget, accumulation)
            for name, group in choice.groups.items()
        ]

    def __call__(
        self,
        x: NDArray[np.floating],
        needed: Mapping[int, NDArray[np.bool_]],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, NDArray[np.floating]]:
        """Return each layer's norms, (n, *layer shape); of what is not needed, anything.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        needed : mapping of int to numpy.ndarray of bool, shape (n, *layer shape)
        advance : callable
            Called with the share of all the work that was done since.
        """
        norms = accumulated(self._ways, x, needed, advance)
        if self._is_squared:
            return {position: np.sqrt(square) for position, square in norms.items()}
        return norms
