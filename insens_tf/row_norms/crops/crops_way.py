"""The way to squared row norms that pushes crops forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.row_norms.crops.sweep import swept_norms
from insens_tf.row_norms.crops.tile_sizes import crop_sizes
from insens_tf.row_norms.way import IMPOSSIBLE, Cost, Way

__all__ = ["Crops"]


class Crops(Way):
    """Pushes crops forward, an input at a time, for all layers at once."""

    def _prepare(self) -> None:
        graph = self.graph
        sizes = crop_sizes(graph, dict.fromkeys(self.positions, 0.0), self.memory_budget)
        if sizes is None:
            raise ValueError("these layers have no crops, or none that fit the memory budget")
        self._sizes = sizes
        image = tf.TensorSpec((1, *graph.input_shape), graph.dtype)
        masks = [
            tf.TensorSpec((1, *graph.operations[position].shape), tf.bool)
            for position in self.positions
        ]
        self._compiled = Compiled(self._norms, [image, *masks])

    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        norms = {position: np.empty(needed[position].shape, x.dtype) for position in self.positions}
        for row in range(len(x)):
            one = slice(row, row + 1)
            masks = [needed[position][one] for position in self.positions]
            for position, result in zip(self.positions, self._compiled(x[one], *masks)):
                norms[position][row] = result
            advance(1 / len(x))
        return norms

    @staticmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        sizes = crop_sizes(graph, needed, memory_budget)
        return IMPOSSIBLE if sizes is None else sizes.cost

    def _norms(self, x: tf.Tensor, *needed: tf.Tensor) -> list[tf.Tensor]:
        ancestors = self.graph.ancestors(self.positions)
        values = {
            position: value[0]
            for position, value in zip(ancestors, self.graph.values(x, ancestors))
        }
        masks = {position: mask[0] for position, mask in zip(self.positions, needed)}
        return swept_norms(self._sizes, values, masks, self.accumulation)
