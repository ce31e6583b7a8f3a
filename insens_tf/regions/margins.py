"""Margins: how far the neurons of a layer are from where they switch, for many inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.hidden_layer import HiddenLayer
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
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self._activities = Compiled(lambda x: graph.values(x, positions), [image])
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
            activities = self._activities(part)
            needed = {
                layer.position: np.ones(activity.shape, np.bool_)
                for layer, activity in zip(self._layers, activities)
            }
            norms = self._norms(part, needed, partial(_advance_by, advance, len(part)))
            for layer, activity, thresholds, result in zip(
                self._layers, activities, self._thresholds, results
            ):
                _warn_of_vanished_norms(layer, norms[layer.position])
                result[rows] = _signed_distance(activity, norms[layer.position], thresholds)
        return results


def _advance_by(advance: Callable[[float], None], inputs: int, done: float) -> None:
    advance(inputs * done)


def _signed_distance(
    activity: NDArray[np.floating], norms: NDArray[np.floating], thresholds: NDArray[np.float64]
) -> NDArray[np.floating]:
    """Return how far the nearest threshold is, as a positive number where a neuron is active."""
    beyond = np.min([np.abs(activity - threshold) for threshold in thresholds], axis=0)
    distance = np.full_like(activity, np.inf)
    np.divide(beyond, norms, out=distance, where=norms > 0)
    return np.where(activity > 0, distance, -distance)


def _warn_of_vanished_norms(layer: HiddenLayer, norms: NDArray[np.floating]) -> None:
    limits = np.finfo(norms.dtype)
    vanished = (norms > 0) & (norms < np.sqrt(limits.tiny / limits.eps))
    if vanished.any():
        warnings.warn(
            f"layer {layer.name!r}: the switched weights of {int(vanished.sum())} neurons are so "
            f"small that their squares are lost in {norms.dtype}, and so are their margins; "
            "rebuild the model in float64",
            RuntimeWarning,
            stacklevel=2,
        )
