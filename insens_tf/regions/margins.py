"""Margins: how far the neurons of a layer are from where they switch, for many inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.data_frames import data_frame
from insens_tf.graph import Graph
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.insens import Passes, warn_of_vanished_squares
from insens_tf.progress import scaled
from insens_tf.regions.boundaries import PoolingBoundary
from insens_tf.regions.leads import with_leads
from insens_tf.regions.weight_norms import WeightNorms

__all__ = ["BoundaryMargins", "Margins"]

# How many arrays of the layers' sizes are held for an input.
ARRAYS = 6


class BoundaryMargins(NamedTuple):
    """How far inputs are from every boundary of their regions, by what the boundaries are of.

    Attributes
    ----------
    neurons : dict of str to numpy.ndarray, shape (n, *layer shape)
        By hidden layer: as `SwitchedNetwork.margins` has them.
    windows : dict of str to numpy.ndarray, shape (n, *output shape)
        By layer that pools, or takes a maximum or minimum: how far it is to where another element
        of a window becomes as large as the winner. 0 where elements tie, infinite where the winner
        leads by the same wherever the state is held.
    """

    neurons: dict[str, NDArray[np.floating]]
    windows: dict[str, NDArray[np.floating]]

    def nearest(self) -> NDArray[np.floating]:
        """Return how far the nearest boundary of each input is: its region's radius, (n,)."""
        everything = [*self.neurons.values(), *self.windows.values()]
        return np.min([np.abs(one).reshape(len(one), -1).min(axis=1) for one in everything], axis=0)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row an input and neuron or window.

        Returns
        -------
        pandas.DataFrame
            Its columns are input, layer, kind ("gate" or "max pooling", as of `Crossings`), index
            (the flat one in the layer, or in the pooling's output) and margin.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        named = [
            (layer, kind, values.reshape(len(values), -1))
            for kind, found in (("gate", self.neurons), ("max pooling", self.windows))
            for layer, values in found.items()
        ]
        sizes = [values.size for _, _, values in named]
        places = [np.indices(values.shape).reshape(2, -1) for _, _, values in named]
        inputs, index = np.concatenate([np.zeros((2, 0), np.int64), *places], axis=1)
        return data_frame(
            {
                "input": inputs,
                "layer": np.repeat(np.array([layer for layer, _, _ in named], object), sizes),
                "kind": np.repeat(np.array([kind for _, kind, _ in named], object), sizes),
                "index": index,
                "margin": np.concatenate([np.zeros(0), *(v.reshape(-1) for _, _, v in named)]),
            }
        )


class Margins:
    """The margins of some layers of a network, in its dtype, and of windows in the same sweep.

    Parameters
    ----------
    graph : Graph
    layers : sequence of HiddenLayer
    thresholds : mapping of int to sequence of float
        By a layer's position: the activities at which its neurons switch.
    poolings : sequence of PoolingBoundary
        Whose windows' margins are wanted, too.
    norm : {"l2", "linf", "l1"}
    memory_budget : int
    """

    def __init__(
        self,
        graph: Graph,
        layers: Sequence[HiddenLayer],
        thresholds: Mapping[int, Sequence[float]],
        poolings: Sequence[PoolingBoundary],
        norm: str,
        memory_budget: int,
    ) -> None:
        graph, leads = with_leads(graph, poolings)
        self._layers = tuple(layers)
        self._poolings = tuple(poolings)
        self._leads = {
            HiddenLayer(None, lead.boundary.name, lead.boundary.shape, lead.position): lead
            for lead in leads
        }
        everything = (*self._layers, *self._leads)
        positions = [one.position for one in everything]
        self._thresholds = [np.asarray(thresholds[layer.position]) for layer in layers]
        self._passes = Passes(graph, everything)
        self._squares = norm == "l2"
        self._norms = WeightNorms(graph, positions, norm, memory_budget)
        held = ARRAYS * graph.dtype.size * sum(one.neurons for one in everything)
        each = held + memory.evaluation(graph, positions)
        self._inputs_at_a_time = at_a_time(graph, positions, memory_budget / 4, each)

    def __call__(
        self, x: NDArray[np.floating], advance: Callable[[float], None]
    ) -> tuple[list[NDArray[np.floating]], list[NDArray[np.floating]]]:
        """Return each layer's margins, (n, *layer shape), and each pooling's, (n, *shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        advance : callable
            Called with the number of inputs' worth of work done since.
        """
        of_layers = [np.empty((len(x), *layer.shape), x.dtype) for layer in self._layers]
        of_poolings = [np.full((len(x), *one.shape), np.inf, x.dtype) for one in self._poolings]
        for rows in slices(len(x), self._inputs_at_a_time):
            distances = self._distances(x[rows], scaled(advance, len(x[rows])))
            for result, distance in zip(of_layers, distances):
                result[rows] = distance
            for lead, distance in zip(self._leads.values(), distances[len(self._layers) :]):
                # Of the winner itself it is infinite, and an element beyond the edge never wins.
                distance[:, (lead.element < 0).reshape(distance.shape[1:])] = np.inf
                result = of_poolings[self._poolings.index(lead.boundary)]
                np.minimum(result[rows], distance, out=result[rows])
        return of_layers, of_poolings

    def _distances(
        self, x: NDArray[np.floating], advance: Callable[[float], None]
    ) -> list[NDArray[np.floating]]:
        """Return the signed distances of all layers' neurons, then those of all leads."""
        everything = (*self._layers, *self._leads)
        activities = self._passes.activities(x)
        needed = {
            one.position: np.ones(activity.shape, np.bool_)
            for one, activity in zip(everything, activities)
        }
        norms = self._norms(x, needed, advance)
        distances = []
        thresholds = (*self._thresholds, *[np.zeros(1)] * len(self._leads))
        for one, activity, at in zip(everything, activities, thresholds):
            if self._squares:
                warn_of_vanished_squares(
                    one,
                    activity if one in self._leads else needed[one.position],
                    np.square(norms[one.position]),
                    partial(self._passes.backward[one], x),
                    lost="their margins",
                )
            distances.append(_signed_distance(activity, norms[one.position], at))
        for lead in range(len(self._layers), len(everything)):
            np.abs(distances[lead], out=distances[lead])
        return distances


def _signed_distance(
    activity: NDArray[np.floating], norms: NDArray[np.floating], thresholds: NDArray[np.float64]
) -> NDArray[np.floating]:
    """Return how far the nearest threshold is, as a positive number where a neuron is active."""
    beyond = np.min([np.abs(activity - threshold) for threshold in thresholds], axis=0)
    distance = np.full_like(activity, np.inf)
    np.divide(beyond, norms, out=distance, where=norms > 0)
    return np.where(activity > 0, distance, -distance)
