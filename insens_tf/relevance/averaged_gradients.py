"""Means of gradients at many points for each input: integrated gradients and SmoothGrad."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from insens_tf import memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.noise_draws import Noise
from insens_tf.relevance.pooling_first import pooling_first

__all__ = ["AveragedGradient", "IntegratedGradients", "SmoothGrad", "chosen_multiples"]

# Fewer at a time wait for the weights of dense layers.
POINTS = 256


def chosen_multiples(activity: np.ndarray, neurons: np.ndarray | None, mode: str) -> np.ndarray:
    """Return what each neuron's gradient is multiplied by, (n, neurons).

    Parameters
    ----------
    activity : numpy.ndarray, shape (n, neurons)
    neurons : numpy.ndarray of int, shape (n,), optional
        In the mode "index".
    mode : {"max_activation", "index", "all"}
    """
    if mode == "all":
        return np.ones_like(activity)
    multiples = np.zeros_like(activity)
    chosen = activity.argmax(axis=1) if neurons is None else neurons
    multiples[np.arange(len(multiples)), chosen] = 1
    return multiples


class AveragedGradient(ABC):
    """The mean over some points for each input of the gradient of a neuron there.

    Parameters
    ----------
    graph : Graph
    position : int
        The neurons' layer.
    memory_budget : int
        In bytes.
    count : int
        How many points there are for an input.
    postprocess : callable, optional
        What is done with each gradient before the mean.
    """

    def __init__(
        self,
        graph: Graph,
        position: int,
        memory_budget: int,
        count: int,
        postprocess: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> None:
        graph = pooling_first(graph, position)
        self._graph = graph
        self._position = position
        self._postprocess = postprocess
        self.count = count
        of_a_point = memory.gradient(graph, [position])
        self._points_at_a_time = at_a_time(
            graph, [position], memory_budget, of_a_point, at_least=POINTS
        )
        layer = graph.operations[position]
        # What is done with each gradient is done at the input.
        self._ends = [0] if postprocess else graph.linear_ends(position)
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        points = tf.TensorSpec((None, None, *graph.input_shape), graph.dtype)
        choice = tf.TensorSpec((None, layer.size), graph.dtype)
        self._activity = Compiled(
            lambda x: tf.reshape(graph.values(x, [position])[0], (-1, layer.size)), [image]
        )
        self._sum = Compiled(self._summed, [points, choice])

    @abstractmethod
    def points(self, x: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Return some of the points of some inputs, (rows, columns, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
            All inputs.
        rows, columns : slice
            Of which inputs, and which of their points.
        """

    def weighted(self, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Return the map for the mean of the gradients; both have the inputs' shape."""
        return mean

    def __call__(
        self,
        x: np.ndarray,
        neurons: np.ndarray | None,
        mode: str,
        advance: Callable[[float], None] = lambda inputs: None,
    ) -> np.ndarray:
        """Return maps, (n, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        neurons : numpy.ndarray of int, shape (n,), optional
            In the mode "index", flat indices.
        mode : {"max_activation", "index", "all"}
            "max_activation" is the strongest neuron of the input itself, at all of its points.
        advance : callable
            Called with the number of inputs' worth of work done since.
        """
        sums = np.zeros(x.shape, x.dtype)
        choices = chosen_multiples(self.activity(x), neurons, mode)
        for rows in slices(len(x), max(1, self._points_at_a_time // self.count)):
            for columns in slices(self.count, self._points_at_a_time):
                sums[rows] += self._sum(self.points(x, rows, columns), choices[rows])
                advance((rows.stop - rows.start) * (columns.stop - columns.start) / self.count)
        return self.weighted(x, sums / np.asarray(self.count, x.dtype))

    def activity(self, x: np.ndarray) -> np.ndarray:
        """Return the neurons' activity, (n, neurons)."""
        parts = [self._activity(x[rows]) for rows in slices(len(x), self._points_at_a_time)]
        return np.concatenate(parts)

    def _summed(self, points: tf.Tensor, choice: tf.Tensor) -> tf.Tensor:
        graph, ends, shape = self._graph, self._ends, tf.shape(points)[:2]
        numbers = tf.reshape(
            tf.repeat(choice, shape[1], axis=0), (-1, *graph.operations[self._position].shape)
        )
        values = graph.values(tf.reshape(points, (-1, *graph.input_shape)), ends)
        gradients = graph.pulled_back(dict(zip(ends, values)), [self._position], [numbers])
        if self._postprocess is not None:
            gradients = [self._postprocess(one) for one in gradients]
        sums = [
            tf.reduce_sum(tf.reshape(one, (*tf.unstack(shape), *one.shape[1:])), 1)
            for one in gradients
        ]
        # What is linear takes the sum back, not each: most often the first convolution, whose
        # gradient costs more than any other.
        (result,) = graph.pulled_back({0: points[:, 0]}, ends, sums)
        return result


class IntegratedGradients(AveragedGradient):
    """The mean gradient on the way from a reference, times the difference to it.

    At 0, 1/steps, ..., 1 - 1/steps of the way, as iNNvestigate has it.

    Parameters
    ----------
    graph, position, memory_budget, postprocess
        As `AveragedGradient` has them.
    steps : int
    reference : numpy.ndarray
        Broadcast to the input's shape.
    """

    def __init__(
        self,
        graph: Graph,
        position: int,
        memory_budget: int,
        steps: int,
        reference: np.ndarray,
        postprocess: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> None:
        super().__init__(graph, position, memory_budget, steps, postprocess)
        self._reference = reference

    def points(self, x: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        fractions = np.arange(columns.start, columns.stop, dtype=x.dtype) / x.dtype.type(self.count)
        fractions = fractions.reshape(-1, *(1,) * (x.ndim - 1))
        difference = x[rows, np.newaxis] - self._reference
        return self._reference + difference * fractions

    def weighted(self, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return mean * (x - self._reference)

    def changes(self, x: np.ndarray, neurons: np.ndarray | None, mode: str) -> np.ndarray:
        """Return what the maps should add up to, (n,): arguments as for the maps themselves."""
        *activity, at_reference = self.activity(np.concatenate([x, self._reference]))
        choices = chosen_multiples(np.asarray(activity), neurons, mode)
        return (choices * (activity - at_reference)).sum(axis=1)


class SmoothGrad(AveragedGradient):
    """The mean gradient over noisy copies of the input.

    Parameters
    ----------
    graph, position, memory_budget, postprocess
        As `AveragedGradient` has them.
    samples : int
    noise : Noise
    """

    def __init__(
        self,
        graph: Graph,
        position: int,
        memory_budget: int,
        samples: int,
        noise: Noise,
        postprocess: Callable[[tf.Tensor], tf.Tensor] | None,
    ) -> None:
        super().__init__(graph, position, memory_budget, samples, postprocess)
        self._noise = noise
        self._source = 0

    def __call__(
        self,
        x: np.ndarray,
        neurons: np.ndarray | None,
        mode: str,
        advance: Callable[[float], None] = lambda inputs: None,
    ) -> np.ndarray:
        self._source = self._noise.source()
        return super().__call__(x, neurons, mode, advance)

    def points(self, x: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        shape = (self.count, *x.shape[1:])
        (noise,) = self._noise.draw(self._source, range(rows.start, rows.stop), [shape])
        return x[rows, np.newaxis] + noise[:, columns].astype(x.dtype)
