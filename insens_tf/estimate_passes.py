"""The compiled passes of an estimate, for one input at a time: forward, back, and to a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import memory, norm_estimator
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer
from insens_tf.row_norms.probes import probe_images, probe_spacing

__all__ = ["EstimatePasses", "grouped"]

# As many directions share an evaluation of the input's state, budget permitting.
SHARED_BY = 8


class EstimatePasses:
    """What pushes directions of the input to layers, and takes neurons of layers back.

    Parameters
    ----------
    graph : Graph
    layers : sequence of HiddenLayer
        In the order of the graph.
    memory_budget : float
        In bytes, of what a pass holds.

    Attributes
    ----------
    shapes : list of tuple of int
        Each layer's.
    activities : Compiled
        From x, (n, *input_shape), to each layer's v, (n, *layer shape).
    outside : Compiled
        `norm_estimator.outside`: NumPy's threads and TensorFlow's would wait for each other.
    """

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer], memory_budget: float) -> None:
        self._graph = graph
        self._layers = tuple(layers)
        self._memory_budget = memory_budget
        self.shapes = [layer.shape for layer in layers]
        self._depths = _depths(graph, layers)
        self._forward: dict[int, tuple[int, Compiled]] = {}
        self._back: dict[int, tuple[int, Compiled]] = {}
        self._to_maps: dict[int, tuple[int, Compiled]] = {}
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        positions = [layer.position for layer in layers]
        self.activities = Compiled(lambda x: graph.values(x, positions), [image])
        rows = tf.TensorSpec((None, graph.operations[0].size), graph.dtype)
        self.outside = Compiled(norm_estimator.outside, [rows, rows])

    def depth(self, wanted: Sequence[int]) -> int:
        """Return how many of the first layers a pass goes through for some, by their indices."""
        return min(depth for depth in self._depths if depth > max(wanted))

    def work(self, wanted: Sequence[int]) -> float:
        """Return the work of a pass that goes as far as some layers, by their indices."""
        positions = [layer.position for layer in self._layers[: self.depth(wanted)]]
        return self._graph.work(positions, SHARED_BY)

    def colours(self, wanted: Sequence[int]) -> int:
        """Return how many coloured probes give w w of some layers exactly, by their indices."""
        return int(np.prod(self._spacing(wanted)))

    def coloured(self, wanted: Sequence[int], chosen: slice) -> NDArray[np.float64]:
        """Return some of those probes, (count, *input_shape)."""
        return probe_images(self._graph.input_shape, self._spacing(wanted), chosen)

    def _spacing(self, wanted: Sequence[int]) -> tuple[int, ...]:
        return probe_spacing(self._graph, [self._layers[one].position for one in wanted])

    def squares(
        self, x: NDArray[np.floating], directions: NDArray[np.floating], depth: int
    ) -> list[NDArray[np.floating]]:
        """Return (w z)^2 of directions z, (count, *layer shape) of each of the first layers.

        Parameters
        ----------
        x : numpy.ndarray, shape (1, *input_shape)
        directions : numpy.ndarray, shape (count, *input_shape)
            At most `rows_forward`.
        depth : int
            Of how many of the first layers.
        """
        return self._pushing(depth)[1](x, directions)

    def sums(
        self, x: NDArray[np.floating], numbers: Sequence[NDArray[np.floating]]
    ) -> NDArray[np.floating]:
        """Return the sum over neurons of several layers of number * w, (count, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (1, *input_shape)
        numbers : sequence of numpy.ndarray, shape (count, *layer shape)
            Of as many of the first layers; at most `rows_back` of each.
        """
        return self._taking_back(len(numbers))[1](x, *numbers)

    def maps(
        self, x: NDArray[np.floating], layer: int, numbers: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Return the sum over neurons of a layer of number * w, (count, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (1, *input_shape)
        layer : int
            Its index.
        numbers : numpy.ndarray, shape (count, *layer shape)
        """
        if layer not in self._to_maps:
            self._to_maps[layer] = self._compiled_back([self._layers[layer]])
        rows, compiled = self._to_maps[layer]
        results = np.empty((len(numbers), *x.shape[1:]), x.dtype)
        for chunk in slices(len(numbers), rows):
            results[chunk] = compiled(x, numbers[chunk])
        return results

    def rows_forward(self, depth: int) -> int:
        """Return how many directions `squares` takes at once."""
        return self._pushing(depth)[0]

    def rows_back(self, depth: int) -> int:
        """Return how many sums `sums` takes at once."""
        return self._taking_back(depth)[0]

    def _pushing(self, depth: int) -> tuple[int, Compiled]:
        if depth not in self._forward:
            self._forward[depth] = self._compiled_forward(depth)
        return self._forward[depth]

    def _taking_back(self, depth: int) -> tuple[int, Compiled]:
        if depth not in self._back:
            self._back[depth] = self._compiled_back(self._layers[:depth])
        return self._back[depth]

    def _compiled_forward(self, depth: int) -> tuple[int, Compiled]:
        graph, positions = self._graph, [layer.position for layer in self._layers[:depth]]
        of_an_input, of_each = memory.pushed(graph, positions)
        # The squares of all layers come together.
        of_each += graph.dtype.size * sum(layer.neurons for layer in self._layers[:depth])
        left = self._memory_budget - of_an_input
        rows = at_a_time(graph, positions, left, of_each, at_least=SHARED_BY)
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        return rows, Compiled(partial(_squares, graph, positions), [image, image])

    def _compiled_back(self, layers: Sequence[HiddenLayer]) -> tuple[int, Compiled]:
        graph, positions = self._graph, [layer.position for layer in layers]
        of_an_input, of_each = memory.backward(graph, positions[-1])
        of_each += 2 * graph.dtype.size * sum(layer.neurons for layer in layers)
        left = self._memory_budget - of_an_input
        rows = at_a_time(graph, positions, left, of_each, at_least=SHARED_BY)
        signature = [tf.TensorSpec((1, *graph.input_shape), graph.dtype)]
        signature += [tf.TensorSpec((None, *layer.shape), graph.dtype) for layer in layers]
        return rows, Compiled(
            lambda x, *numbers: graph.taken_back(x, positions, numbers), signature
        )


def grouped(
    layers: Sequence[HiddenLayer], held: Callable[[Sequence[HiddenLayer]], float], most: float
) -> list[list[HiddenLayer]]:
    """Return layers in the order of the graph, in groups that hold no more than `most`.

    A layer that holds more by itself is a group of its own.
    """
    groups: list[list[HiddenLayer]] = []
    for layer in sorted(layers, key=lambda one: one.position):
        if groups and held([*groups[-1], layer]) <= most:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def _squares(
    graph: Graph, positions: Sequence[int], x: tf.Tensor, directions: tf.Tensor
) -> list[tf.Tensor]:
    return [tf.square(value) for value in graph.pushed(x, directions, positions)]


def _depths(graph: Graph, layers: Sequence[HiddenLayer]) -> list[int]:
    """Return up to how many of the layers there is a pass: each half the work of the one before.

    So that few functions are compiled, and none goes much farther than it has to.
    """
    depths = [len(layers)]
    positions = [layer.position for layer in layers]
    work = [graph.work(positions[: 1 + one], SHARED_BY) for one in range(len(layers))]
    for depth in range(len(layers) - 1, 0, -1):
        if work[depth - 1] <= work[depths[-1] - 1] / 2:
            depths.append(depth)
    return depths
