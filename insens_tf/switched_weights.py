"""The switched weights of chosen neurons, by backward passes (Eq. 2 of the paper)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from insens_tf import memory
from insens_tf.accumulation import SQUARES, Accumulation
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph

__all__ = ["Gradients", "SharedBackward", "SwitchedWeights"]

# From as many neurons on it pays to take the inputs one by one and share their forward pass.
SHARED_BY = 4


class Gradients:
    """w by a plain tf.GradientTape: an input is repeated for each neuron, nothing is shared.

    Attributes
    ----------
    rows_at_a_time : int
        How many pairs of an input and a neuron there are in one pass.
    functions : float
        The bytes that its compiled function takes.
    """

    def __init__(
        self,
        graph: Graph,
        position: int,
        memory_budget: float,
        accumulation: Accumulation = SQUARES,
    ) -> None:
        self._accumulation = accumulation
        self._graph = graph
        self._position = position
        self._of_a_pair = memory.gradient(graph, [position])
        self.functions = memory.functions(graph, [position])
        self.rows_at_a_time = at_a_time(
            graph, [position], memory_budget - self.functions, self._of_a_pair
        )
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        signature = [image, tf.TensorSpec((None,), tf.int64)]
        self._compiled = Compiled(self._recover, signature)
        self._norms = Compiled(self._accumulate, signature)

    def __call__(self, x: np.ndarray, neurons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return activity (n, k) and weights (n, k, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        neurons : numpy.ndarray of int64, shape (k,)
            Flat indices into the layer.
        """
        activity, weights = _results(x, neurons)
        for columns in slices(len(neurons), self.rows_at_a_time):
            for rows in slices(len(x), max(1, self.rows_at_a_time // len(neurons))):
                part = self._compiled(x[rows], neurons[columns])
                activity[rows, columns], weights[rows, columns] = part
        return activity, weights

    def arrays(self, rows: float) -> float:
        """Return the bytes of arrays that a pass of at most so many rows holds."""
        return min(rows, self.rows_at_a_time) * self._of_a_pair

    def accumulated(self, x: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Return what w accumulates to, (k,), of the neurons for one input, (1, *input_shape)."""
        results = [
            self._norms(x, neurons[chunk]) for chunk in slices(len(neurons), self.rows_at_a_time)
        ]
        return np.concatenate([np.zeros(0, x.dtype), *results])

    def _recover(self, x: tf.Tensor, neurons: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs, count = tf.shape(x)[0], tf.shape(neurons)[0]
        repeated = tf.repeat(x, count, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(repeated)
            (value,) = self._graph.values(repeated, [self._position])
            value = tf.reshape(value, (inputs * count, self._graph.operations[self._position].size))
        seeds = tf.one_hot(tf.tile(neurons, [inputs]), tf.shape(value)[1], dtype=value.dtype)
        weights = tape.gradient(
            value, repeated, seeds, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        activity = tf.gather(value, tf.tile(neurons, [inputs]), axis=1, batch_dims=1)
        shape = tf.stack([inputs, count])
        return (
            tf.reshape(activity, shape),
            tf.reshape(weights, tf.concat([shape, self._graph.input_shape], axis=0)),
        )

    def _accumulate(self, x: tf.Tensor, neurons: tf.Tensor) -> tf.Tensor:
        _, weights = self._recover(x, neurons)
        return self._accumulation.of(weights[0], list(range(1, 1 + len(x.shape[1:]))))


class SharedBackward:
    """w of many neurons for an input: its state is evaluated once, and all go back through it."""

    def __init__(
        self,
        graph: Graph,
        position: int,
        memory_budget: float,
        accumulation: Accumulation = SQUARES,
    ) -> None:
        self._accumulation = accumulation
        self._graph = graph
        self._position = position
        self._state, self._of_a_neuron = memory.backward(graph, position)
        self.functions = memory.functions(graph, [position])
        self.rows_at_a_time = at_a_time(
            graph,
            [position],
            memory_budget - self.functions - self._state,
            self._of_a_neuron,
            at_least=8,
        )
        signature = [
            tf.TensorSpec((1, *graph.input_shape), graph.dtype),
            tf.TensorSpec((None,), tf.int64),
        ]
        self._weights = Compiled(self._recover, signature)
        self._norms = Compiled(self._accumulate, signature)

    def __call__(self, x: np.ndarray, neurons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what `Gradients` does."""
        activity, weights = _results(x, neurons)
        for row in range(len(x)):
            for chunk in slices(len(neurons), self.rows_at_a_time):
                part = self._weights(x[row : row + 1], neurons[chunk])
                activity[row, chunk], weights[row, chunk] = part
        return activity, weights

    def arrays(self, rows: float) -> float:
        """Return what `Gradients` does."""
        return self._state + min(rows, self.rows_at_a_time) * self._of_a_neuron

    def accumulated(self, x: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Return what `Gradients` does, for at most `rows_at_a_time` neurons."""
        return self._norms(x, neurons)

    def _recover(self, x: tf.Tensor, neurons: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._graph.switched_weights(x, self._position, neurons)

    def _accumulate(self, x: tf.Tensor, neurons: tf.Tensor) -> tf.Tensor:
        _, weights = self._recover(x, neurons)
        return self._accumulation.of(weights, list(range(1, len(weights.shape))))


class SwitchedWeights:
    """w of any neurons of one layer, the faster way for as many as there are.

    Attributes
    ----------
    receptive_field : ReceptiveField
        What of the input they see.
    """

    def __init__(self, graph: Graph, position: int, memory_budget: float) -> None:
        self.receptive_field = graph.receptive_field(position)
        self._alone = Gradients(graph, position, memory_budget)
        self._together = SharedBackward(graph, position, memory_budget)

    def __call__(self, x: np.ndarray, neurons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what `Gradients` does."""
        return (self._together if len(neurons) >= SHARED_BY else self._alone)(x, neurons)


def _results(x: np.ndarray, neurons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = len(x), len(neurons)
    return np.empty(count, x.dtype), np.empty((*count, *x.shape[1:]), x.dtype)
