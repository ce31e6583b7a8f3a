"""Integrated gradients without steps: the exact integral over the linear regions of the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from insens_tf.execution import Compiled
from insens_tf.layers import Layers
from insens_tf.regions.boundaries import boundaries_of
from insens_tf.regions.float64_graph import in_float64
from insens_tf.regions.line import Line
from insens_tf.regions.line_integral import LineIntegral
from insens_tf.relevance.explained_neurons import Target

__all__ = ["ExactIntegratedGradients"]


class ExactIntegratedGradients:
    """Multiplies the way from a reference by the mean gradient on it, exactly, in float64.

    Parameters
    ----------
    target : Target
    reference : numpy.ndarray, shape (1, *input_shape)

    Attributes
    ----------
    count : int
        Of the passes for an input: not known before, and many.
    """

    count = 1000

    def __init__(self, target: Target, reference: np.ndarray) -> None:
        graph = in_float64(target.reading.graph)
        positions = [target.position]
        boundaries = boundaries_of(graph, positions, Layers(target.reading).hidden)
        self._dtype = target.reading.graph.dtype.as_numpy_dtype
        self._reference = reference[0].astype(np.float64)
        self._position = target.position
        self._shape = graph.operations[target.position].shape
        self._line = Line(graph, boundaries, target.memory_budget)
        self._integral = LineIntegral(graph, positions, boundaries, target.memory_budget)
        image = tf.TensorSpec((None, *graph.input_shape), tf.float64)
        self._activity = Compiled(lambda x: graph.values(x, positions)[0], [image])

    def __call__(
        self,
        x: np.ndarray,
        neurons: np.ndarray | None,
        mode: str,
        advance: Callable[[float], None] = lambda inputs: None,
    ) -> np.ndarray:
        """Return maps, (n, *input_shape), in the network's dtype; as `AveragedGradient` does."""
        maps = np.empty(x.shape, self._dtype)
        for row, end in enumerate(x.astype(np.float64)):
            seed = np.full(int(np.prod(self._shape)), float(mode == "all"))
            if mode == "max_activation":
                seed[self._activity(end[np.newaxis]).argmax()] = 1
            elif neurons is not None:
                seed[neurons[row]] = 1
            seeds = {self._position: seed.reshape(1, *self._shape)}
            starts = [np.zeros(0)]
            for parts in self._line.parts(self._reference, end):
                starts.append(parts.start)
                advance(float(parts.end[-1] - parts.start[0]) / 2)
            bounds = np.append(np.concatenate(starts), 1.0)
            maps[row] = self._integral(
                self._reference, end, bounds, seeds, lambda done: advance(done / 2)
            )
        return maps
