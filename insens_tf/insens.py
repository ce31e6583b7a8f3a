"""Insens, the inactive state sensitivity Omega of layers (Eq. 8 of the paper), for many inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import equations, memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer
from insens_tf.progress import scaled
from insens_tf.row_norms import Cost, Way, accumulated

__all__ = [
    "SENSITIVITIES",
    "STATES",
    "Footprint",
    "Insens",
    "Passes",
    "warn_of_vanished_squares",
    "weighted_activity",
]

STATES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "inactive": lambda activity: activity <= 0,
    "active": lambda activity: activity > 0,
    "all": lambda activity: np.ones_like(activity, bool),
}
"""Which neurons are summed over, by their activity."""

SENSITIVITIES = ("centre", "activity")
"""Eq. 7's readings: omega = x - c = v w / (w w), and omega = v w."""


# The maps' part of a memory budget, while a way computes norms: a fourth.
MAPS_SHARE = 4


class Passes:
    """The compiled passes of some layers, forward to their activities and back to the input.

    Attributes
    ----------
    activities : Compiled
        From x, (n, *input_shape), to each layer's v, (n, *layer shape).
    backward : dict of HiddenLayer to Compiled
        From x and a number a neuron, (n, *layer shape), to the sum over neurons of number * w.
    """

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer]) -> None:
        positions = [layer.position for layer in layers]
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self.activities = Compiled(lambda x: graph.values(x, positions), [image])
        self.backward = {
            layer: Compiled(
                partial(graph.combined_weights, position=layer.position),
                [image, tf.TensorSpec((None, *layer.shape), graph.dtype)],
            )
            for layer in layers
        }


class Footprint:
    """What the maps of some layers take in memory, without the way to their row norms.

    Parameters
    ----------
    graph : Graph
    positions : sequence of int
        The layers, as positions in the graph.
    memory_budget : int
        In bytes, of a whole call.

    Attributes
    ----------
    inputs_at_a_time : int
        How many inputs' arrays fit what the maps may take of the budget.
    functions : float
        The bytes of compiled functions.
    """

    def __init__(self, graph: Graph, positions: Sequence[int], memory_budget: int) -> None:
        size = graph.dtype.size
        neurons = sum(graph.operations[position].size for position in positions)
        # Activities in float64, masks, and norms twice, as they come from a way and as they go on.
        self._held = neurons * (8 + 2 + 2 * size)
        # Back to the input from a seed, given as an array.
        self._pass = max(
            memory.gradient(graph, [position]) + size * graph.operations[position].size
            for position in positions
        )
        self.inputs_at_a_time = at_a_time(
            graph, positions, memory_budget // MAPS_SHARE, self._held + self._pass
        )
        self.functions = (
            memory.TENSORFLOW
            + sum(memory.functions(graph, [position]) for position in positions)
            + memory.functions(graph, positions) / 4
        )

    @property
    def beside(self) -> float:
        """The bytes that are held while a way computes norms."""
        return self.functions + self.inputs_at_a_time * self._held

    def with_way(self, cost: Cost, inputs: int, proof: float) -> float:
        """Return the bytes of a first call at its fullest.

        Parameters
        ----------
        cost : Cost
            The bytes that the way to the norms takes.
        inputs : int
            How many there are.
        proof : float
            The bytes that the proof on first use takes, before all else.
        """
        inputs = min(inputs, self.inputs_at_a_time)
        # TensorFlow keeps the memory that it has held for its own use; NumPy cannot have it.
        arrays = inputs * self._held + max(cost.arrays, inputs * self._pass)
        return self.functions + cost.functions + max(arrays, proof)


class Insens:
    """Omega of some layers of a network.

    Parameters
    ----------
    graph : Graph
    layers : sequence of HiddenLayer
    memory_budget : int
        In bytes, of a whole call.
    """

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer], memory_budget: int) -> None:
        self._layers = tuple(layers)
        positions = [layer.position for layer in layers]
        self._inputs_at_a_time = Footprint(graph, positions, memory_budget).inputs_at_a_time
        self._passes = Passes(graph, layers)

    def __call__(
        self,
        x: NDArray[Any],
        frequencies: Sequence[NDArray[Any] | None],
        state: str,
        sensitivity: str,
        row_norms: Sequence[Way],
        advance: Callable[[float], None],
    ) -> list[NDArray[Any]]:
        """Return Omega of each layer, (n, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        frequencies : sequence of numpy.ndarray or None
            m/N, one a layer, of the layer's shape; None: all ones.
        state : {"inactive", "active", "all"}
        sensitivity : {"centre", "activity"}
        row_norms : sequence of Way
            What computes w w, each of some of the layers.
        advance : callable
            Called with the number of inputs' worth of work done since.
        """
        maps = [np.empty_like(x) for _ in self._layers]
        for rows in slices(len(x), self._inputs_at_a_time):
            part = x[rows]
            weighted = [
                weighted_activity(activity, frequency, state)
                for activity, frequency in zip(self._passes.activities(part), frequencies)
            ]
            norms: Sequence[NDArray[Any] | None] = [None] * len(self._layers)
            if sensitivity == "centre":
                norms = self._norms(part, [needed for needed, _ in weighted], row_norms, advance)
            else:
                advance(len(part))
            for layer, (_, activity), squares, result in zip(self._layers, weighted, norms, maps):
                combine = partial(self._passes.backward[layer], part)
                if squares is not None:
                    warn_of_vanished_squares(layer, activity, squares, combine)
                result[rows] = equations.insens(combine, activity, squares)
        return maps

    def _norms(
        self,
        x: NDArray[Any],
        masks: Sequence[NDArray[Any]],
        row_norms: Sequence[Way],
        advance: Callable[[float], None],
    ) -> list[NDArray[Any]]:
        """Return w w of each layer's neurons that are summed over, and infinity elsewhere.

        One that is too large for the dtype is NaN, so that it differs from one that is not needed.
        """
        needed = {layer.position: mask for layer, mask in zip(self._layers, masks)}
        norms = accumulated(row_norms, x, needed, scaled(advance, len(x)))
        results = []
        for position, mask in needed.items():
            result = np.where(mask, norms.pop(position), np.inf)
            result[mask & np.isinf(result)] = np.nan
            results.append(result)
        return results


def weighted_activity(
    activity: NDArray[Any], frequency: NDArray[Any] | None, state: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which neurons Eq. 8 sums over, and (m/N) v of these, 0 of all others.

    Parameters
    ----------
    activity : numpy.ndarray, shape (n, *layer shape)
    frequency : numpy.ndarray, shape of the layer, or None
        m/N; None: all ones.
    state : {"inactive", "active", "all"}

    Returns
    -------
    needed : numpy.ndarray of bool, shape (n, *layer shape)
    weighted : numpy.ndarray of float64, shape (n, *layer shape)
    """
    weight = STATES[state](activity) * (1.0 if frequency is None else frequency)
    # Infinite values, and 0 times infinity, are reported with the map.
    with np.errstate(invalid="ignore"):
        return weight != 0, activity * weight


def warn_of_vanished_squares(
    layer: HiddenLayer,
    activity: NDArray[Any],
    squares: NDArray[Any],
    combine: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    lost: str = "their parts of Insens",
) -> None:
    """Warn if neurons pass for ones with w = 0 only because w w is too small for the dtype.

    Parameters
    ----------
    layer : HiddenLayer
    activity : numpy.ndarray, shape (n, *layer shape)
        (m/N) v of the neurons that are summed over, 0 of all others; 0 of those that do not matter.
    squares : numpy.ndarray, shape (n, *layer shape)
        Each neuron's w w, or about it.
    combine : callable
        From a number a neuron to the sum over neurons of number * w, (n, *input_shape).
    lost : str
        What is wrong then, too.
    """
    limits = np.finfo(squares.dtype)
    vanished = (activity != 0) & (squares < limits.tiny / limits.eps)
    if not vanished.any():
        return
    # Only if all of these have w = 0 is any sum of them 0. Different numbers keep one from
    # cancelling another.
    numbers = 1 + np.arange(vanished[0].size).reshape(vanished.shape[1:]) / vanished[0].size
    if combine(vanished * numbers).any():
        warnings.warn(
            f"layer {layer.name!r}: some neurons' switched weights are so small that their squares "
            f"are lost in {squares.dtype}, and so are {lost}; rebuild the "
            "model in float64",
            RuntimeWarning,
            stacklevel=2,
        )
