"""Integrated gradients without steps: the exact integral over the linear regions of the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from insens_tf.layers import Layers
from insens_tf.progress import scaled
from insens_tf.regions.line_states import LineStates
from insens_tf.regions.region_functions import RegionFunctions
from insens_tf.relevance.averaged_gradients import chosen_multiples
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
        graph, position = target.reading.graph, target.position
        self._functions = RegionFunctions(
            graph, [position], Layers(target.reading).hidden, target.memory_budget
        )
        self._dtype = graph.dtype.as_numpy_dtype
        self._reference = reference[0].astype(np.float64)
        self._position = position
        self._shape = graph.operations[position].shape

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
            (activity,) = self._functions.values(end[np.newaxis], [self._position])
            chosen = None if neurons is None else neurons[row : row + 1]
            seed = chosen_multiples(activity.reshape(1, -1), chosen, mode)
            seeds = {self._position: seed.reshape(1, *self._shape)}
            line = self._functions.line
            states = LineStates(line, self._reference, end, scaled(advance, 1 / 2))
            integral = self._functions.integral([self._position])
            mean = integral(states, seeds, scaled(advance, 1 / 2))
            maps[row] = mean * (end - self._reference)
        return maps
