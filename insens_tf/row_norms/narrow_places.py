"""Narrow places: where all that a layer sees of the input goes through fewer neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from insens_tf.graph import Graph
from insens_tf.operations import Convolution, Gate

__all__ = ["NarrowPlace", "narrow_place"]

# The share of the neurons of a gate that are expected to be open.
OPEN = 0.5


@dataclass(frozen=True)
class NarrowPlace:
    """Operations of which the last is a layer, and the first sees the narrow place.

    Each position of the layer is a matrix times the channels of one position of the place. What
    is closed by a gate does not count: its rows are 0.

    Attributes
    ----------
    graph : Graph
    position : int
        Of the narrow place, in the graph.
    chain : tuple of int
        The operations above it, up to the layer, in order.
    """

    graph: Graph
    position: int
    chain: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the place."""
        return self.graph.operations[self.position].shape

    @property
    def open_channels(self) -> float:
        """How many of a position's channels are expected to have rows that are not 0."""
        operation = self.graph.operations[self.position]
        closes = isinstance(operation, Gate) and operation.closes
        return self.shape[-1] * (OPEN if closes else 1.0)

    def matrix(self) -> tf.Tensor:
        """Return from the place's channels to the layer's, (channels, channels), float64."""
        product = tf.eye(self.shape[-1], dtype=tf.float64)
        for one in self.chain:
            matrix = self.graph.operations[one].channel_matrix()
            product = tf.matmul(product, tf.cast(matrix, tf.float64))
        return product

    def is_open(self, x: tf.Tensor) -> tf.Tensor:
        """Return which of the place's neurons may have rows that are not 0, (n, *shape), bool."""
        operation = self.graph.operations[self.position]
        if not isinstance(operation, Gate):
            return tf.ones((tf.shape(x)[0], *self.shape), tf.bool)
        (value,) = self.graph.values(x, operation.operands)
        return tf.not_equal(operation.slope(value), 0)

    def positions_seen(self, positions: np.ndarray) -> np.ndarray:
        """Return the flat positions of the place that those of the layer see, which are flat."""
        *layer, _ = self.graph.operations[self.chain[-1]].shape
        *place, _ = self.shape
        if not layer:
            return positions
        strides = np.ones(len(layer), np.int64)
        for one in self.chain:
            operation = self.graph.operations[one]
            if isinstance(operation, Convolution):
                strides = strides * operation.strides
        indices = np.stack(np.unravel_index(positions, layer))
        return np.ravel_multi_index(tuple(indices * strides[:, np.newaxis]), place)


def narrow_place(graph: Graph, position: int) -> NarrowPlace | None:
    """Return the narrowest place before a layer, None if nothing is narrower than the layer."""
    ways = list(_places(graph, position))
    narrowest = min(ways, key=lambda one: one.open_channels, default=None)
    if narrowest is None:
        return None
    is_narrower = narrowest.open_channels < graph.operations[position].shape[-1]
    return narrowest if is_narrower else None


def _places(graph: Graph, position: int) -> Iterator[NarrowPlace]:
    """Yield the places before a layer from which channels alone are mixed."""
    chain: tuple[int, ...] = ()
    while graph.operations[position].mixes_channels:
        chain = (position, *chain)
        (position,) = graph.operations[position].operands
        # Before the first state, norms are the same for every input.
        if any(graph.operations[one].has_state for one in graph.ancestors([position])):
            yield NarrowPlace(graph, position, chain)
