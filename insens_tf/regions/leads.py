"""By how much the winner of each window leads the others: differences, as operations of a graph.

With them the boundary between a winner and a loser of max pooling is one like a gate's: where a
number that is linear in the input, with the state held, is 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insens_tf.graph import Graph
from insens_tf.operations import Add, MaxPooling, Operation, Scaling, WindowElement
from insens_tf.regions.boundaries import Boundary, PoolingBoundary

__all__ = ["Lead", "with_leads"]


@dataclass(frozen=True)
class Lead:
    """The lead of the winners of a pooling over the elements at one place of their windows.

    Attributes
    ----------
    boundary : Boundary
        Of the pooling.
    position : int
        In the graph that was extended.
    element : numpy.ndarray of int, shape (windows,)
        The flat index of each window's element in the pooling's operand; -1 beyond the edge.
    """

    boundary: PoolingBoundary
    position: int
    element: NDArray[np.int64]


def with_leads(graph: Graph, boundaries: Sequence[Boundary]) -> tuple[Graph, list[Lead]]:
    """Return a graph with the leads of all its max poolings among `boundaries`, and these."""
    operations: list[Operation] = list(graph.operations)
    leads: list[Lead] = []
    for boundary in boundaries:
        if not isinstance(boundary, PoolingBoundary):
            continue
        pooling = operations[boundary.position]
        assert isinstance(pooling, MaxPooling)
        channels = pooling.shape[-1]
        ones = np.ones(channels, graph.dtype.as_numpy_dtype)
        places = itertools.product(*(range(size) for size in pooling.window))
        for place, elements in zip(places, boundary.elements.T):
            flat = elements[:, np.newaxis] * channels + np.arange(channels)
            flat[elements == np.prod(pooling.operand_shape[:-1])] = -1
            operations.append(
                WindowElement(
                    pooling.name,
                    pooling.operands,
                    pooling.shape,
                    pooling.window,
                    pooling.strides,
                    pooling.padding,
                    pooling.operand_shape,
                    place=place,
                )
            )
            last = len(operations) - 1
            operations.append(Scaling(pooling.name, (last,), pooling.shape, -ones, 0 * ones))
            difference = (boundary.position, last + 1)
            operations.append(Add(pooling.name, difference, pooling.shape))
            leads.append(Lead(boundary, last + 2, flat.reshape(-1)))
    return Graph(operations, graph.dtype), leads
