"""Gradients along a line taken back through what has no state, of convolutions by their changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.operations import Convolution
from insens_tf.regions.bending import is_local_convolution, seen_by

__all__ = ["taken_back"]

Floats = NDArray[np.float64]
Back = Callable[[Floats], list[Floats]]

# Gradients that change at more than this share of the positions are taken back as a whole.
FEW = 1 / 8

# What is added to and taken from a sum until 0 is left is less than this share of the largest.
ROUNDING = 1e-13


def taken_back(graph: Graph, position: int) -> Back:
    """Return what takes gradients, (count, *shape), back to each operand of an operation."""
    operation = graph.operations[position]
    shapes = [graph.operations[one].shape for one in operation.operands]

    def back(gradient: tf.Tensor) -> list[tf.Tensor]:
        at_zero = [tf.zeros((1, *shape), gradient.dtype) for shape in shapes]
        return list(operation.transposed(*at_zero)(gradient))

    compiled = Compiled(back, [tf.TensorSpec((None, *operation.shape), graph.dtype)])
    if is_local_convolution(operation):
        return _ThroughConvolution(operation, compiled)
    return compiled


class _ThroughConvolution:
    """Takes gradients back through a convolution, most of which are as before at most positions."""

    def __init__(self, operation: Convolution, whole: Back) -> None:
        self._whole = whole
        self._operand_shape = operation.operand_shape
        self._kernel = Compiled(lambda: tf.convert_to_tensor(operation.kernel), [])
        seen = seen_by(operation)
        positions = int(np.prod(operation.shape[:-1]))
        # What a tap sees beyond the edge is gathered behind the last position, and left there.
        self._sees = np.full((positions, seen.shape[1]), len(seen))
        inside, tap = np.nonzero(seen >= 0)
        self._sees[seen[inside, tap], tap] = inside

    def __call__(self, gradients: Floats) -> list[Floats]:
        """Return the gradients at the operand, (count, *operand shape), in a list of one."""
        positions, channels = len(self._sees), self._operand_shape[-1]
        flat = gradients.reshape(len(gradients), positions, -1)
        changed = (flat[1:] != flat[:-1]).any(axis=2)
        anew = np.concatenate([[True], changed.sum(axis=1) > FEW * positions])
        size = int(np.prod(self._operand_shape[:-1]))
        result = np.empty((len(gradients), size + 1, channels))
        (whole,) = self._whole(gradients[anew])
        result[anew, :-1] = whole.reshape(len(whole), size, channels)
        before, position = np.nonzero(changed & ~anew[1:, np.newaxis])
        change = flat[before + 1, position] - flat[before, position]
        kernel = self._kernel().reshape(-1, change.shape[1])
        parts = (change @ kernel.T).reshape(len(change), len(kernel) // channels, channels)
        sees = self._sees[position]
        ends = np.searchsorted(before, np.arange(len(gradients)))
        result[:, -1] = 0
        for row in np.flatnonzero(~anew):
            result[row] = result[row - 1]
            for one in range(ends[row - 1], ends[row]):
                result[row, sees[one]] += parts[one]
        found = result[:, :-1]
        found[np.abs(found) < ROUNDING * np.abs(whole).max()] = 0
        return [found.reshape(len(gradients), *self._operand_shape)]
