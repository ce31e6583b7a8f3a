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
from insens_tf.relevance.pooling_first import pooling_first

__all__ = ["GradientSweep", "RelevanceSweep", "Sweep"]

Choose = Callable[[tf.Tensor], tf.Tensor]
"""From the activity of neurons, (batch, *shape), to what each of them is multiplied by."""

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
        From a batch of inputs, and what says from the neurons' activity, (batch, *shape), which of
        them are explained, 1 there and 0 elsewhere, to maps.
    held : float
        How many times what a gradient holds it holds.
    """

    def __init__(
        self,
        graph: Graph,
        position: int,
        memory_budget: int,
        back: Callable[[tf.Tensor, Choose], tf.Tensor],
        held: float = 1.0,
    ) -> None:
        of_an_input = held * memory.gradient(graph, [position])
        self.rows_at_a_time = at_a_time(graph, [position], memory_budget, of_an_input)
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self._of_strongest = Compiled(lambda x: back(x, _strongest), [image])
        self._of_chosen = Compiled(
            lambda x, neurons: back(x, partial(_chosen, neurons)),
            [image, tf.TensorSpec((None,), tf.int64)],
        )
        self._of_all = Compiled(lambda x: back(x, tf.ones_like), [image])

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


class GradientSweep(Sweep):
    """The gradient of the chosen neurons' sum."""

    def __init__(self, graph: Graph, position: int, memory_budget: int) -> None:
        graph = pooling_first(graph, position)
        super().__init__(graph, position, memory_budget, partial(_gradient, graph, position))


class RelevanceSweep(Sweep):
    """The chosen neurons' activity, taken back as a composite says."""

    def __init__(
        self, graph: Graph, position: int, memory_budget: int, composite: Composite
    ) -> None:
        back = partial(_relevance, graph, position, composite)
        super().__init__(graph, position, memory_budget, back, HELD_BY_RULES)


def _strongest(activity: tf.Tensor) -> tf.Tensor:
    """Choose the strongest neuron; as in iNNvestigate, several share what one would have."""
    axes = range(1, len(activity.shape))
    most = tf.reduce_max(activity, axis=tuple(axes), keepdims=True)
    choice = tf.cast(tf.equal(activity, most), activity.dtype)
    return choice / tf.reduce_sum(choice, axis=tuple(axes), keepdims=True)


def _chosen(neurons: tf.Tensor, activity: tf.Tensor) -> tf.Tensor:
    shape = activity.shape[1:]
    choice = tf.one_hot(neurons, shape.num_elements(), dtype=activity.dtype)
    return tf.reshape(choice, (-1, *shape))


def _gradient(graph: Graph, position: int, x: tf.Tensor, choose: Choose) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(x)
        (value,) = graph.values(x, [position])
    return tape.gradient(
        value, x, choose(value), unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def _relevance(
    graph: Graph, position: int, composite: Composite, x: tf.Tensor, choose: Choose
) -> tf.Tensor:
    ancestors = graph.ancestors([position])
    values = dict(zip(ancestors, graph.values(x, ancestors)))
    start = values[position]
    choice = choose(start)
    if composite.starts_with_positive:
        start = tf.nn.relu(start)
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
