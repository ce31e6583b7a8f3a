"""Forward: push probe images through the network with its state held, summing squares.

The Jacobian's columns are what the basis images become. A neuron sees only its receptive field, so
basis images one receptive field apart share a probe: each neuron sees at most one of their pixels,
and its square is that pixel's share of w w. As the push forward is the derivative of the gradient
in its seed, automatic differentiation does it for any operation, with no rule for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.row_norms.way import EVALUATION_COST, Way

__all__ = ["Probes"]


class Probes(Way):
    """Pushes coloured probes forward, for all layers at once, by differentiating a gradient."""

    def __init__(self, graph: Graph, positions: Sequence[int], memory_budget: int) -> None:
        super().__init__(graph, positions, memory_budget)
        self._rows_at_a_time = at_a_time(graph, positions, memory_budget, passes=6)
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self._compiled = Compiled(self._push, [image, image])

    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        shapes = [self.graph.operations[position].shape for position in self.positions]
        norms = [np.zeros((len(x), *shape), x.dtype) for shape in shapes]
        spacing = probe_spacing(self.graph, self.positions)
        colours = int(np.prod(spacing))
        inputs_at_a_time = max(1, self._rows_at_a_time // colours)
        for rows in slices(len(x), inputs_at_a_time):
            for chunk in slices(colours, self._rows_at_a_time):
                probes = probe_images(self.graph.input_shape, spacing, chunk).astype(x.dtype)
                for total, squares in zip(norms, self._compiled(x[rows], probes)):
                    total[rows] += squares
                advance(len(probes) * len(x[rows]) / (colours * len(x)))
        return dict(zip(self.positions, norms))

    @staticmethod
    def cost(graph: Graph, positions: Sequence[int]) -> float:
        # Forward, the gradient, and the gradient's derivative, each for every probe.
        probes = int(np.prod(probe_spacing(graph, positions)))
        return probes * 4 * EVALUATION_COST * graph.multiplications(positions)

    def _push(self, x: tf.Tensor, probes: tf.Tensor) -> list[tf.Tensor]:
        inputs, count = tf.shape(x)[0], tf.shape(probes)[0]
        repeated = tf.repeat(x, count, axis=0)
        with tf.GradientTape() as seed_tape:
            with tf.GradientTape() as tape:
                tape.watch(repeated)
                values = self.graph.values(repeated, self.positions)
            seeds = [tf.zeros_like(value) for value in values]
            seed_tape.watch(seeds)
            gradient = tape.gradient(
                values, repeated, seeds, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
        pushed = seed_tape.gradient(
            gradient,
            seeds,
            tf.tile(probes, [inputs] + [1] * len(self.graph.input_shape)),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return [
            tf.reduce_sum(
                tf.reshape(tf.square(value), tf.concat([[inputs, count], value.shape[1:]], axis=0)),
                axis=1,
            )
            for value in pushed
        ]


def probe_spacing(graph: Graph, positions: Sequence[int]) -> tuple[int, ...]:
    """Return how far apart, along each axis of the input, the pixels of one probe lie.

    The last axis is the channels, which never share a probe.
    """
    spacing = [1] * (len(graph.input_shape) - 1)
    for position in positions:
        field = graph.receptive_field(position)
        for axis, length in enumerate(graph.input_shape[:-1]):
            size = length if field.windows is None else field.windows[axis].size
            spacing[axis] = max(spacing[axis], min(size, length))
    return (*spacing, graph.input_shape[-1])


def probe_images(shape: tuple[int, ...], spacing: tuple[int, ...], chosen: slice) -> np.ndarray:
    """Return some of the probes, (count, *shape): 1 at the pixels of its colour, 0 elsewhere."""
    colours = np.stack(np.unravel_index(np.arange(chosen.start, chosen.stop), spacing), axis=-1)
    images = np.ones((len(colours), *(1,) * len(shape)), bool)
    for axis, length in enumerate(shape):
        same = np.arange(length) % spacing[axis] == colours[:, axis : axis + 1]
        images = images & same.reshape(
            len(colours), *(1,) * axis, length, *(1,) * (len(shape) - axis - 1)
        )
    return images
