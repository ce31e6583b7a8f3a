"""Through a narrow place: a layer's rows are combinations of fewer rows, which alone go back.

Let the rows of B be those of a narrow place at one position, and a the weights with which a neuron
sees them: its w is a B, so that w w = a G a', with the Gram matrix G = B B' of the position.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from insens_tf.chunks import LARGEST_ARRAY, slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.operations import ELEMENT_WORK
from insens_tf.row_norms.narrow_places import NarrowPlace, narrow_place
from insens_tf.row_norms.way import IMPOSSIBLE, Cost, Way
from insens_tf.switched_weights import SharedBackward

__all__ = ["Narrow"]

# Of the sum of squares of its parts; what is left of a row of which less remains is rounding.
CANCELLED = 1e-4

# A multiplication of float64, in multiplications of a large matrix product in float32.
GRAM_WORK = 2.5

FLOAT64 = 8


class Narrow(Way):
    """Takes the rows of the narrow place before each layer back, one input at a time.

    Products are of float64, so that Gram matrices lose nothing to float32. Neurons whose parts
    cancel out are taken back by themselves. It holds no w, only its square: other norms are not to
    be had this way.
    """

    shares_work = False
    holds_weights = False

    def _prepare(self) -> None:
        self._layers = {one: _Layer(self.graph, one, self.memory_budget) for one in self.positions}

    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        total = sum(int(needed[position].sum()) for position in self.positions)
        norms = {}
        for position, layer in self._layers.items():
            mask = needed[position]
            norms[position] = np.zeros(mask.shape, x.dtype)
            for row, wanted in enumerate(mask):
                result = norms[position][row].reshape(-1, mask.shape[-1])
                for done in layer.squared_norms(x[row : row + 1], wanted, result):
                    advance(done / total)
        return norms

    @staticmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        costs = []
        for position, neurons in needed.items():
            place = narrow_place(graph, position)
            if place is None:
                return IMPOSSIBLE
            costs.append(_cost(place, neurons, memory_budget))
        return Cost(
            sum(one.work for one in costs),
            max(one.arrays for one in costs),
            sum(one.functions for one in costs),
        )


class _Layer:
    """One layer behind a narrow place."""

    def __init__(self, graph: Graph, position: int, memory_budget: float) -> None:
        place = narrow_place(graph, position)
        if place is None:
            raise ValueError(f"layer {graph.operations[position].name!r} has no narrow place")
        self._place = place
        self._rows, self._positions_at_a_time = _taken_back(place, memory_budget)
        self._alone = SharedBackward(graph, position, memory_budget)
        self._matrix = Compiled(place.matrix, [])
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self._is_open = Compiled(place.is_open, [image])
        rows = tf.TensorSpec((None, None, None), graph.dtype)
        self._gram = Compiled(_gram, [rows])
        gram = tf.TensorSpec((None, None, None), tf.float64)
        parts = tf.TensorSpec((None, None, graph.operations[position].shape[-1]), tf.float64)
        self._combined = Compiled(_squares_of_combinations, [gram, parts])

    def squared_norms(self, x: np.ndarray, needed: np.ndarray, result: np.ndarray) -> Iterator[int]:
        """Write w w of one input's needed neurons, and yield of how many now and then.

        Parameters
        ----------
        x : numpy.ndarray, shape (1, *input_shape)
        needed : numpy.ndarray of bool, shape (*layer shape)
        result : numpy.ndarray, shape (positions, channels)
        """
        wanted = needed.reshape(result.shape)
        positions = np.flatnonzero(wanted.any(axis=1))
        is_open = self._is_open(x).reshape(-1, self._place.shape[-1])
        matrix = self._matrix()
        for group in slices(len(positions), self._positions_at_a_time):
            mine = positions[group]
            rows, parts = self._rows_and_parts(x, self._place.positions_seen(mine), is_open, matrix)
            gram = self._gram_matrices(rows)
            squares, orthogonal = self._combined(gram, parts)
            # Comparisons with what is not a number are false.
            is_lost = ~(squares > CANCELLED * orthogonal) & (orthogonal != 0) & wanted[mine]
            with np.errstate(over="ignore"):
                result[mine] = squares
            lost = np.flatnonzero(is_lost)
            where = mine[lost // wanted.shape[1]], lost % wanted.shape[1]
            neurons = np.ravel_multi_index(where, wanted.shape)
            for chunk in slices(len(neurons), self._alone.rows_at_a_time):
                result.reshape(-1)[neurons[chunk]] = self._alone.accumulated(x, neurons[chunk])
            yield int(wanted[mine].sum())

    def _rows_and_parts(
        self, x: np.ndarray, places: np.ndarray, is_open: np.ndarray, matrix: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows (positions, k, pixels), and how the layer sees them (positions, k, channels).

        k is the most open channels at a position; elsewhere rows are filled up by zeros.
        """
        opened = is_open[places]
        channels = np.argsort(~opened, axis=1, kind="stable")[:, : opened.sum(axis=1).max()]
        opened = np.take_along_axis(opened, channels, axis=1)
        neurons = places[:, np.newaxis] * self._place.shape[-1] + channels
        rows = np.zeros((*neurons.shape, x.size), x.dtype)
        where = np.argwhere(opened)
        for chunk in slices(len(where), self._rows.rows_at_a_time):
            position, number = where[chunk].T
            _, weights = self._rows(x, neurons[position, number])
            rows[position, number] = weights.reshape(-1, x.size)
        return rows, matrix[channels]

    def _gram_matrices(self, rows: np.ndarray) -> np.ndarray:
        """Return (positions, k, k) in float64, of some pixels of all rows at a time."""
        positions, count, pixels = rows.shape
        at_a_time = max(1, LARGEST_ARRAY // (FLOAT64 * max(1, positions * count)))
        total = np.zeros((positions, count, count))
        for chunk in slices(pixels, at_a_time):
            total += self._gram(rows[..., chunk])
        return total


def _gram(rows: tf.Tensor) -> tf.Tensor:
    rows = tf.cast(rows, tf.float64)
    return tf.matmul(rows, rows, transpose_b=True)


def _squares_of_combinations(gram: tf.Tensor, parts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return squared norms of combinations of rows, and what they were if these were orthogonal.

    Parameters
    ----------
    gram : tf.Tensor of float64, shape (positions, k, k)
        The rows' Gram matrices.
    parts : tf.Tensor of float64, shape (positions, k, channels)

    Returns
    -------
    tuple of tf.Tensor of float64, shape (positions, channels) each
    """
    squares = tf.reduce_sum(parts * tf.matmul(gram, parts), axis=1)
    orthogonal = tf.linalg.diag_part(gram)[..., tf.newaxis] * tf.square(parts)
    return squares, tf.reduce_sum(orthogonal, axis=1)


def _taken_back(place: NarrowPlace, memory_budget: float) -> tuple[SharedBackward, int]:
    """Return what takes the place's rows back, and how many of its positions at a time."""
    # Half of the memory is for passes, half for what they bring.
    rows = SharedBackward(place.graph, place.position, memory_budget / 2)
    at_a_time = min(rows.rows_at_a_time, memory_budget / 2 / _bytes_of_a_row(place))
    return rows, max(1, int(at_a_time / place.open_channels))


def _bytes_of_a_row(place: NarrowPlace) -> int:
    return math.prod(place.graph.input_shape) * place.graph.dtype.size


def _cost(place: NarrowPlace, neurons: float, memory_budget: float) -> Cost:
    graph, channels = place.graph, place.open_channels
    layer = graph.operations[place.chain[-1]]
    pixels = math.prod(graph.input_shape)
    # Where few neurons are needed each is taken as alone at its position.
    positions = min(neurons, layer.size // layer.shape[-1])
    rows = positions * channels
    weights, at_a_time = _taken_back(place, memory_budget)
    passes = rows + -(-rows // weights.rows_at_a_time)
    work = passes * graph.work([place.position], weights.rows_at_a_time)
    work += rows * (ELEMENT_WORK * pixels + GRAM_WORK * channels * (pixels + layer.shape[-1]))
    held = min(at_a_time, positions) * channels * _bytes_of_a_row(place)
    # Some pixels of the rows in float64.
    held += 2 * LARGEST_ARRAY if held > LARGEST_ARRAY else 2 * held
    return Cost(work, weights.arrays(rows) + held, weights.functions)
