"""The compiled passes of an estimate, for one input at a time: forward, back, and to a map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import memory, norm_estimator
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled, held
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer
from insens_tf.row_norms.probes import probe_images, probe_spacing

__all__ = ["EstimatePasses", "State", "grouped"]

# Work of a direction is compared for so many at a time.
TOGETHER = 8

# Calling a function that takes numbers back takes as long as a few operations on small images.
OPERATIONS_BETWEEN_STATIONS = 12

Array = NDArray[np.floating]
State = dict[int, Any]
"""Values by their position in the graph, `held` or as tensors."""


class _StepBack(NamedTuple):
    """What takes numbers of a layer back, as far as to the station before it.

    From there on it is the station's own step which is taken, so that each operation of the graph
    is traced for a few layers, not for all that come after it; a traced one takes half a MiB.
    """

    compiled: Compiled
    setting_state: list[int]
    to_layer: int | None
    """Its index; None: the input."""
    rows: int
    """How many numbers of each neuron may go all the way to the input at once."""


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
    outside, extended_basis : Compiled
        Those of `norm_estimator`: NumPy's threads and TensorFlow's would wait for each other.
    """

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer], memory_budget: float) -> None:
        self._graph = graph
        self._layers = tuple(layers)
        self._memory_budget = memory_budget
        self.shapes = [layer.shape for layer in layers]
        self._depths = _depths(graph, layers)
        self._stations = _stations(graph, [layer.position for layer in layers])
        self._forward: dict[int, tuple[int, Compiled]] = {}
        self._back: dict[int, tuple[int, Compiled]] = {}
        self._steps_back: dict[int, _StepBack] = {}
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        positions = [layer.position for layer in layers]
        self._evaluated = sorted({*positions, *graph.setting_state(positions)})
        self._evaluate = Compiled(lambda x: graph.values(x, self._evaluated), [image])
        rows = tf.TensorSpec((None, graph.operations[0].size), graph.dtype)
        self.outside = Compiled(norm_estimator.outside, [rows, rows])
        self.extended_basis = Compiled(norm_estimator.extended_basis, [rows, rows])

    def at(self, x: Array) -> tuple[State, list[Array]]:
        """Return the state that an input, (1, *input_shape), sets, and each layer's activity.

        Evaluated once, as a pass of few directions takes less time than that.
        """
        values = dict(zip(self._evaluated, self._evaluate(x)))
        activities = [values[layer.position] for layer in self._layers]
        setting = self._graph.setting_state(layer.position for layer in self._layers)
        return {one: held(values[one]) for one in setting}, activities

    def depth(self, wanted: Sequence[int]) -> int:
        """Return how many of the first layers a pass goes through for some, by their indices."""
        return min(depth for depth in self._depths if depth > max(wanted))

    def work(self, wanted: Sequence[int]) -> float:
        """Return the work of a pass that goes as far as some layers, by their indices."""
        positions = [layer.position for layer in self._layers[: self.depth(wanted)]]
        return self._graph.work(positions, TOGETHER)

    def colours(self, wanted: Sequence[int]) -> int:
        """Return how many coloured probes give w w of some layers exactly, by their indices."""
        return int(np.prod(self._spacing(wanted)))

    def coloured(self, wanted: Sequence[int], chosen: slice) -> NDArray[np.float64]:
        """Return some of those probes, (count, *input_shape)."""
        return probe_images(self._graph.input_shape, self._spacing(wanted), chosen)

    def _spacing(self, wanted: Sequence[int]) -> tuple[int, ...]:
        return probe_spacing(self._graph, [self._layers[one].position for one in wanted])

    def squares(
        self, state: State, directions: Array, groups: NDArray[np.int32], depth: int
    ) -> list[Array]:
        """Return sums of (w z)^2 over directions z, (groups, *layer shape) of each first layer.

        Parameters
        ----------
        state : dict
            As `at` returns it.
        directions : numpy.ndarray, shape (count, *input_shape)
            At most `rows_forward`.
        groups : numpy.ndarray of int32, shape (count,)
            Which group each belongs to: 0, and on by 0 or 1.
        depth : int
            Of how many of the first layers.
        """
        compiled = self._pushing(depth)[1]
        return compiled(directions, groups, *self._needed(state, range(depth)))

    def sums(self, state: State, sizes: Sequence[Any], signs: Sequence[NDArray[np.uint8]]) -> Array:
        """Return random sums of neurons of several layers, of +-size * w: (count, *input_shape).

        Parameters
        ----------
        state : dict
            As `at` returns it.
        sizes : sequence of numpy.ndarray, of the layer's shape each
            Of as many of the first layers; or what is `held` of them.
        signs : sequence of numpy.ndarray, shape (count, *layer shape) each
            0 for minus, 1 for plus; at most `rows_back` of each.
        """
        compiled = self._taking_back(len(sizes))[1]
        return compiled(*sizes, *signs, *self._needed(state, range(len(sizes))))

    def maps(self, state: State, layer: int, numbers: Array) -> Array:
        """Return the sum over neurons of a layer of number * w, (count, *input_shape).

        Parameters
        ----------
        state : dict
            As `at` returns it.
        layer : int
            Its index.
        numbers : numpy.ndarray, shape (count, *layer shape)
        """
        graph = self._graph
        results = np.empty((len(numbers), *graph.input_shape), graph.dtype.as_numpy_dtype)
        for chunk in slices(len(numbers), self._step_back(layer).rows):
            results[chunk] = self._map(state, layer, numbers[chunk])
        return results

    def _map(self, state: State, layer: int | None, numbers: Array) -> Array:
        while layer is not None:
            step = self._step_back(layer)
            numbers = step.compiled(numbers, *(state[one] for one in step.setting_state))
            layer = step.to_layer
        return numbers

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
            self._back[depth] = self._compiled_back(depth)
        return self._back[depth]

    def _positions(self, layers: Iterable[int]) -> list[int]:
        return [self._layers[one].position for one in layers]

    def _needed(self, state: State, layers: Iterable[int]) -> list[Any]:
        """Return the part of the state that passes between the input and some layers need."""
        return [state[one] for one in self._graph.setting_state(self._positions(layers))]

    def _with_state(
        self, setting: Sequence[int], before: Sequence[tf.TensorSpec], function: Callable[..., Any]
    ) -> Compiled:
        """Compile a function of the state at positions, as a dict, and of other tensors."""
        graph = self._graph
        shapes = [graph.operations[one].shape for one in setting]
        signature = [*before, *(tf.TensorSpec((1, *shape), graph.dtype) for shape in shapes)]
        return Compiled(
            lambda *tensors: function(
                dict(zip(setting, tensors[len(before) :])), *tensors[: len(before)]
            ),
            signature,
        )

    def _compiled_forward(self, depth: int) -> tuple[int, Compiled]:
        graph, positions = self._graph, self._positions(range(depth))
        of_an_input, of_each = memory.pushed(graph, positions)
        # The squares of all layers come together.
        of_each += graph.dtype.size * sum(layer.neurons for layer in self._layers[:depth])
        rows = at_a_time(graph, positions, self._memory_budget - of_an_input, of_each)

        def squares(state: State, directions: tf.Tensor, groups: tf.Tensor) -> list[tf.Tensor]:
            pushed = graph.pushed(state, directions, positions)
            return [tf.math.segment_sum(tf.square(value), groups) for value in pushed]

        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        number = tf.TensorSpec((None,), tf.int32)
        setting = graph.setting_state(positions)
        return rows, self._with_state(setting, [image, number], squares)

    def _compiled_back(self, depth: int) -> tuple[int, Compiled]:
        graph, positions = self._graph, self._positions(range(depth))

        def sums(state: State, *tensors: tf.Tensor) -> tf.Tensor:
            numbers = [
                size * (2 * tf.cast(signs, graph.dtype) - 1)
                for size, signs in zip(tensors[:depth], tensors[depth:])
            ]
            return graph.taken_back(state, positions, numbers)

        shapes = self.shapes[:depth]
        before = [tf.TensorSpec(shape, graph.dtype) for shape in shapes]
        before += [tf.TensorSpec((None, *shape), tf.uint8) for shape in shapes]
        setting = graph.setting_state(positions)
        return self._rows_back(positions), self._with_state(setting, before, sums)

    def _step_back(self, layer: int) -> _StepBack:
        if layer not in self._steps_back:
            self._steps_back[layer] = self._compiled_step_back(layer)
        return self._steps_back[layer]

    def _compiled_step_back(self, layer: int) -> _StepBack:
        graph, (position,) = self._graph, self._positions([layer])
        end = graph.last_on_every_way(position, self._stations)
        setting = [one for one in graph.setting_state([position]) if one >= end]
        numbers = tf.TensorSpec((None, *self.shapes[layer]), graph.dtype)
        compiled = self._with_state(
            setting,
            [numbers],
            lambda state, numbers: graph.taken_back(state, [position], [numbers], end),
        )
        before = self._positions(range(layer))
        to_layer = before.index(end) if end else None
        return _StepBack(compiled, setting, to_layer, self._rows_back([position]))

    def _rows_back(self, positions: Sequence[int]) -> int:
        graph = self._graph
        of_an_input, of_each = memory.backward(graph, positions[-1])
        of_each += 2 * graph.dtype.size * sum(graph.operations[one].size for one in positions)
        return at_a_time(graph, positions, self._memory_budget - of_an_input, of_each)


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


def _depths(graph: Graph, layers: Sequence[HiddenLayer]) -> list[int]:
    """Return up to how many of the layers there is a pass: each half the work of the one before.

    So that few functions are compiled, and none goes much farther than it has to.
    """
    depths = [len(layers)]
    positions = [layer.position for layer in layers]
    work = [graph.work(positions[: 1 + one], TOGETHER) for one in range(len(layers))]
    for depth in range(len(layers) - 1, 0, -1):
        if work[depth - 1] <= work[depths[-1] - 1] / 2:
            depths.append(depth)
    return depths


def _stations(graph: Graph, positions: Sequence[int]) -> list[int]:
    """Return some of the positions that every way to the last of them leads through, apart."""
    found: list[int] = []
    here = positions[-1]
    while here := graph.last_on_every_way(here, positions):
        if not found or found[-1] - here >= OPERATIONS_BETWEEN_STATIONS:
            found.append(here)
    return found
