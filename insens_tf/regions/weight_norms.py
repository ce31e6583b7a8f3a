"""Norms of the switched weights of many neurons: what distances to boundaries are measured by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.progress import scaled
from insens_tf.row_norms import WAYS, choose, squared_norms

__all__ = ["DUAL_ORDERS", "WeightNorms"]

DUAL_ORDERS: dict[str, float] = {"l2": 2, "linf": 1, "l1": np.inf}
"""The order of the dual of each norm of the input space: abs(v) over it is how far a root of v is.

As `tf.norm` and `numpy.linalg.norm` take it.
"""


class WeightNorms:
    """Dual norms of the switched weights of the neurons of some layers.

    Euclidean ones come from the ways of :mod:`insens_tf.row_norms`, the cheapest for each layer;
    the others by taking every neuron back.

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
        self._graph = graph
        self._norm = norm
        if norm == "l2":
            needed = {one: float(graph.operations[one].size) for one in positions}
            choice = choose(graph, needed, memory_budget)
            self._ways = [
                WAYS[name](graph, group, memory_budget) for name, group in choice.groups.items()
            ]
        else:
            self._back = {one: _TakenBack(graph, one, norm, memory_budget) for one in positions}

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
        if self._norm == "l2":
            squares = squared_norms(self._ways, x, needed, advance)
            return {position: np.sqrt(square) for position, square in squares.items()}
        neurons = max(1, sum(int(mask.sum()) for mask in needed.values()))
        return {
            position: back(x, needed[position], scaled(advance, 1 / neurons))
            for position, back in self._back.items()
        }


class _TakenBack:
    """The norms of one layer's neurons, each of which is taken back to the input."""

    def __init__(self, graph: Graph, position: int, norm: str, memory_budget: int) -> None:
        self._shape = graph.operations[position].shape
        state, of_a_neuron = memory.backward(graph, position)
        left = memory_budget - memory.functions(graph, [position]) - state
        self._at_a_time = at_a_time(graph, [position], left, of_a_neuron, at_least=8)
        order = DUAL_ORDERS[norm]

        def norms(x: tf.Tensor, neurons: tf.Tensor) -> tf.Tensor:
            _, weights = graph.switched_weights(x, position, neurons)
            return tf.norm(tf.reshape(weights, (-1, math.prod(graph.input_shape))), order, 1)

        image = tf.TensorSpec((1, *graph.input_shape), graph.dtype)
        self._compiled = Compiled(norms, [image, tf.TensorSpec((None,), tf.int64)])

    def __call__(
        self, x: NDArray[np.floating], needed: NDArray[np.bool_], advance: Callable[[float], None]
    ) -> NDArray[np.floating]:
        result = np.zeros((len(x), int(np.prod(self._shape))), x.dtype)
        for row, mask in enumerate(needed.reshape(len(x), -1)):
            neurons = np.flatnonzero(mask)
            for chunk in slices(len(neurons), self._at_a_time):
                result[row, neurons[chunk]] = self._compiled(x[row : row + 1], neurons[chunk])
                advance(len(neurons[chunk]))
        return result.reshape(needed.shape)
