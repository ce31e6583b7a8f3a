"""The slopes of gates, by their states."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.operations import Gate
from insens_tf.regions.boundaries import Boundary, GateBoundary

__all__ = ["inactive_slopes", "slopes_of"]

Floats = NDArray[np.float64]


def inactive_slopes(graph: Graph, boundaries: Iterable[Boundary]) -> dict[int, Compiled]:
    """Return what gives the slopes of gates' neurons where they are inactive, (*shape).

    By position, of those of the boundaries that are gates'.
    """

    def of_gate(position: int) -> Compiled:
        gate = graph.operations[position]
        assert isinstance(gate, Gate)

        def slopes() -> tf.Tensor:
            slope = tf.cast(tf.convert_to_tensor(gate.negative_slope), graph.dtype)
            return tf.broadcast_to(slope, gate.shape)

        return Compiled(slopes, [])

    return {
        one.position: of_gate(one.position) for one in boundaries if isinstance(one, GateBoundary)
    }


def slopes_of(state: NDArray[np.integer], inactive: Floats) -> Floats:
    """Return the slopes of neurons in some states: 0 is inactive, 1 active, 2 at the ceiling.

    Parameters
    ----------
    state : numpy.ndarray of int, shape (rows, neurons)
    inactive : numpy.ndarray, shape (neurons,)
        Their slopes where they are inactive.
    """
    if not inactive.any():
        return (state == 1).astype(np.float64)
    return np.where(state == 1, 1.0, np.where(state == 0, inactive, 0.0))
