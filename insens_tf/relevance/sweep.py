"""A neuron's relevance taken back to the input, for many inputs at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

from insens_tf import memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph, summed
from insens_tf.relevance.composites import Composite, Place

__all__ = ["GradientSweep", "RelevanceSweep", "Sweep", "gradient"]

# How many times what a gradient holds the passes of a rule hold.
HELD_BY_RULES = 4


class Sweep:
    """From inputs and a neuron each to maps, in batches that fit a memory budget.

    Parameters
    ----------
    graph : Graph
    position : int
        The neurons' layer.
    memory_budget : int
        In bytes.
    back : callable
        From a batch of inputs and the neurons' choice, (batch, neurons), 1 where a neuron is
        explained and 0 elsewhere, to maps.
    held : float
        How many times what a gradient holds it holds.
    """

    def __init__(
        self,
        graph: Graph,
        position: int,
        memory_budget: int,
        back: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        held: float = 1.0,
    ) -> None:
        self._graph = graph
        self._position = position
        self._back = back
        of_an_input = held * memory.gradient(graph, [position])
        self.rows_at_a_time = at_a_time(graph, [position], memory_budget, of_an_input)
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self._of_strongest = Compiled(self._explain_strongest, [image])
        self._of_chosen = Compiled(self._explain_chosen, [image, tf.TensorSpec((None,), tf.int64)])
        self._of_all = Compiled(self._explain_all, [image])

    def __call__(self, x: np.ndarray, neurons: np.ndarray | None, mode: str) -> np.ndarray:
        """Return maps, (n, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        neurons : numpy.ndarray of int, shape (n,), optional
            In the mode "index", flat indices.
        mode : {"max_activation", "index", "all"}
        """
        maps = np.empty(x.shape, x.dtype)
        for rows in slices(len(x), self.rows_at_a_time):
            if mode == "max_activation":
                maps[rows] = self._of_strongest(x[rows])
            elif neurons is None:
                maps[rows] = self._of_all(x[rows])
            else:
                maps[rows] = self._of_chosen(x[rows], neurons[rows])
        return maps

    def _activity(self, x: tf.Tensor) -> tf.Tensor:
        (value,) = self._graph.values(x, [self._position])
        return tf.reshape(value, (-1, self._graph.operations[self._position].size))

    def _explain_strongest(self, x: tf.Tensor) -> tf.Tensor:
        activity = self._activity(x)
        # As in iNNvestigate, several that are equally strong share what one would have.
        strongest = tf.equal(activity, tf.reduce_max(activity, axis=1, keepdims=True))
        choice = tf.cast(strongest, x.dtype)
        return self._back(x, choice / tf.reduce_sum(choice, axis=1, keepdims=True))

    def _explain_chosen(self, x: tf.Tensor, neurons: tf.Tensor) -> tf.Tensor:
        size = self._graph.operations[self._position].size
        return self._back(x, tf.one_hot(neurons, size, dtype=x.dtype))

    def _explain_all(self, x: tf.Tensor) -> tf.Tensor:
        return self._back(x, tf.ones_like(self._activity(x)))


class GradientSweep(Sweep):
    """The gradient of the chosen neurons' sum."""

    def __init__(self, graph: Graph, position: int, memory_budget: int) -> None:
        super().__init__(graph, position, memory_budget, partial(gradient, graph, position))


class RelevanceSweep(Sweep):
    """The chosen neurons' activity, taken back as a composite says."""

    def __init__(
        self, graph: Graph, position: int, memory_budget: int, composite: Composite
    ) -> None:
        back = partial(_relevance, graph, position, composite)
        super().__init__(graph, position, memory_budget, back, HELD_BY_RULES)


def gradient(graph: Graph, position: int, x: tf.Tensor, choice: tf.Tensor) -> tf.Tensor:
    """Return the gradient at the input of the chosen neurons' sum.

    Parameters
    ----------
    graph : Graph
    position : int
        The neurons' layer.
    x : tf.Tensor, shape (batch, *input_shape)
    choice : tf.Tensor, shape (batch, neurons)
        What each neuron's gradient is multiplied by.

    Returns
    -------
    tf.Tensor, shape (batch, *input_shape)
    """
    choice = tf.reshape(choice, (-1, *graph.operations[position].shape))
    return graph.combined_weights(x, choice, position)


def _relevance(
    graph: Graph, position: int, composite: Composite, x: tf.Tensor, choice: tf.Tensor
) -> tf.Tensor:
    ancestors = graph.ancestors([position])
    values = dict(zip(ancestors, graph.values(x, ancestors)))
    start = values[position]
    if composite.starts_with_positive:
        start = tf.nn.relu(start)
    choice = tf.reshape(choice, (-1, *graph.operations[position].shape))
    relevances: dict[int, list[tf.Tensor]] = {position: [start * choice]}
    for ancestor in reversed(ancestors):
        if ancestor and ancestor in relevances:
            operands = graph.operations[ancestor].operands
            relevance = summed(relevances.pop(ancestor))
            parts = composite.back(
                Place(graph, ancestor), [values[operand] for operand in operands], relevance
            )
            for operand, part in zip(operands, parts):
                relevances.setdefault(operand, []).append(part)
    return summed(relevances[0])
