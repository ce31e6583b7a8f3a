"""Forward: push probe images through the network with its state held, summing squares.

The Jacobian's columns are what the basis images become. A neuron sees only its receptive field, so
basis images one receptive field apart share a probe: each neuron sees at most one of their pixels,
and its square is that pixel's share of w w. Each operation pushes them on by itself, as derivatives
of derivatives are not to be trusted: TensorFlow's of max pooling are wrong for some shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from insens_tf import memory
from insens_tf.accumulation import SQUARES, Accumulation
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.row_norms.way import Cost, Way

__all__ = ["Probes", "probe_images", "probe_spacing", "probes_at_a_time", "pushed_squares"]

# How much more than evaluating the graph it takes to push probes through it: picking out winners.
PUSH_WORK = 1.5


class Probes(Way):
    """Pushes coloured probes forward, for all layers at once."""

    def _prepare(self) -> None:
        graph, positions, accumulation = self.graph, self.positions, self.accumulation
        self._rows_at_a_time = probes_at_a_time(graph, positions, self.memory_budget)
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self._compiled = Compiled(
            lambda x, probes: pushed_squares(graph, positions, x, probes, accumulation),
            [image, image],
        )

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
                    self.accumulation.of_two(total[rows], squares, out=total[rows])
                advance(len(probes) * len(x[rows]) / (colours * len(x)))
        return dict(zip(self.positions, norms))

    @staticmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        positions = list(needed)
        probes = int(np.prod(probe_spacing(graph, positions)))
        rows = min(probes, probes_at_a_time(graph, positions, memory_budget))
        work = probes * PUSH_WORK * graph.work(positions, rows)
        of_an_input, of_a_probe = memory.pushed(graph, positions)
        return Cost(work, of_an_input + rows * of_a_probe, memory.functions(graph, positions))


def probes_at_a_time(graph: Graph, positions: Sequence[int], memory_budget: float) -> int:
    """Return how many probes to push through an input's state at once, at least 1."""
    of_an_input, of_a_probe = memory.pushed(graph, positions)
    of_functions = memory.functions(graph, positions)
    return at_a_time(graph, positions, memory_budget - of_an_input - of_functions, of_a_probe)


def pushed_squares(
    graph: Graph,
    positions: Sequence[int],
    x: tf.Tensor,
    probes: tf.Tensor,
    accumulation: Accumulation = SQUARES,
) -> list[tf.Tensor]:
    """Push probes forward in the state of each input, and sum the squares of what they become.

    Parameters
    ----------
    graph : Graph
    positions : sequence of int
        The layers, as positions in the graph.
    x : tf.Tensor, shape (n, *input_shape)
        The inputs.
    probes : tf.Tensor, shape (count, *input_shape)
        Every input gets all of them.
    accumulation : Accumulation

    Returns
    -------
    list of tf.Tensor
        The sum over probes z of (w z)^2 of every neuron, one a layer, (n, *layer shape).
    """
    inputs, count = tf.shape(x)[0], tf.shape(probes)[0]
    setting = graph.setting_state(positions)
    state = dict(zip(setting, graph.values(x, setting)))
    changes = tf.tile(probes, [inputs] + [1] * len(graph.input_shape))
    return [
        accumulation.of(tf.reshape(value, (inputs, count, *value.shape[1:])), 1)
        for value in graph.pushed(state, changes, positions)
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
