"""Margins: how far the neurons of a layer are from where they switch, for many inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.graph import Graph
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.insens import Passes, warn_of_vanished_squares
from insens_tf.progress import scaled
from insens_tf.regions.weight_norms import WeightNorms

__all__ = ["Margins"]

# How many arrays of the layers' sizes are held for an input.
ARRAYS = 6


class Margins:
    """The margins of some layers of a network, in its dtype.

    Parameters
    ----------
    graph : Graph
    layers : sequence of HiddenLayer
    thresholds : mapping of int to sequence of float
        By a layer's position: the activities at which its neurons switch.
    norm : {"l2", "linf", "l1"}
    memory_budget : int
    """

    def __init__(
        self,
        graph: Graph,
        layers: Sequence[HiddenLayer],
        thresholds: Mapping[int, Sequence[float]],
        norm: str,
        memory_budget: int,
    ) -> None:
        positions = [layer.position for layer in layers]
        self._layers = tuple(layers)
        self._thresholds = [np.asarray(thresholds[position]) for position in positions]
        self._passes = Passes(graph, layers)
        self._squares = norm == "l2"
        self._norms = WeightNorms(graph, positions, norm, memory_budget)
        held = ARRAYS * graph.dtype.size * sum(layer.neurons for layer in layers)
        each = held + memory.evaluation(graph, positions)
        self._inputs_at_a_time = at_a_time(graph, positions, memory_budget / 4, each)

    def __call__(
        self, x: NDArray[np.floating], advance: Callable[[float], None]
    ) -> list[NDArray[np.floating]]:
        """Return each layer's margins, (n, *layer shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        advance : callable
            Called with the number of inputs' worth of work done since.
        """
        results = [np.empty((len(x), *layer.shape), x.dtype) for layer in self._layers]
        for rows in slices(len(x), self._inputs_at_a_time):
            part = x[rows]
            activities = self._passes.activities(part)
            needed = {
                layer.position: np.ones(activity.shape, np.bool_)
                for layer, activity in zip(self._layers, activities)
            }
            norms = self._norms(part, needed, scaled(advance, len(part)))
            for layer, activity, thresholds, result in zip(
                self._layers, activities, self._thresholds, results
            ):
                if self._squares:
                    warn_of_vanished_squares(
                        layer,
                        needed[layer.position],
                        np.square(norms[layer.position]),
                        partial(self._passes.backward[layer], part),
                        lost="their margins",
                    )
                result[rows] = _signed_distance(activity, norms[layer.position], thresholds)
        return results


def _signed_distance(
    activity: NDArray[np.floating], norms: NDArray[np.floating], thresholds: NDArray[np.float64]
) -> NDArray[np.floating]:
    """Return how far the nearest threshold is, as a positive number where a neuron is active."""
    beyond = np.min([np.abs(activity - threshold) for threshold in thresholds], axis=0)
    distance = np.full_like(activity, np.inf)
    np.divide(beyond, norms, out=distance, where=norms > 0)
    return np.where(activity > 0, distance, -distance)
