"""Where a network's state changes: the pieces of gates, the winners of max pooling.

A state is numbers: of a gate, the piece that each neuron lies on; of a max pooling, the element
that wins each window. Within a linear region of the network they are constant.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insens_tf.graph import Graph
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.operations import Gate, MaxPooling, Operation, RatioGate
from insens_tf.receptive_field import Window
from insens_tf.regions.highest import first_highest

__all__ = [
    "Boundary",
    "GateBoundary",
    "PoolingBoundary",
    "boundaries_of",
    "labels_of",
    "switched",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]


class Boundary(ABC):
    """What separates the states of one operation: of its neurons, or of its windows.

    Parameters
    ----------
    operation : Operation
    position : int
        Its own in the graph.
    name : str
        The hidden layer whose neurons are gated, or the layer that pools; "pool:2" for the second
        use of one.

    Attributes
    ----------
    kind : {"gate", "max pooling"}
    name, position
        As given.
    operand : int
        The position of what decides the state.
    shape, operand_shape : tuple of int
        Of the neurons or windows; of what decides the state.
    """

    kind: str

    def __init__(self, operation: Operation, position: int, name: str) -> None:
        self.name = name
        self.position = position
        (self.operand,) = operation.operands
        self.shape = self.operand_shape = operation.shape

    def __repr__(self) -> str:
        return f"<{self.kind} of {self.name!r} {self.shape}>"

    @abstractmethod
    def state(self, values: Floats) -> Integers:
        """Return the state at values of the operand.

        Parameters
        ----------
        values : numpy.ndarray, shape (rows, *operand shape)

        Returns
        -------
        numpy.ndarray of int, shape (rows, neurons or windows)
            Of a neuron 0 for inactive, 1 for active, 2 from the ceiling on; of a window the flat
            index of the operand's element that wins.
        """


class GateBoundary(Boundary):
    """The boundary of each neuron of a gate: where it switches on, and its ceiling.

    Attributes
    ----------
    thresholds : tuple of float
        The values at which the piece changes.
    """

    kind = "gate"

    def __init__(self, gate: Gate, position: int, name: str) -> None:
        super().__init__(gate, position, name)
        self.thresholds = (0.0,) if gate.ceiling is None else (0.0, float(gate.ceiling))

    def state(self, values: Floats, rounding: Floats | float = 0.0) -> Integers:
        """Return the state; what is above a threshold by no more than `rounding` lies on it."""
        values = values.reshape(len(values), -1)
        pieces = (values > rounding).astype(np.int8)
        for ceiling in self.thresholds[1:]:
            pieces += values >= ceiling - rounding
        return pieces

    def crossings(
        self, values: Floats, rates: Floats, below: Floats, above: Floats
    ) -> tuple[NDArray[np.int64], Floats]:
        """Return where straight lines cross the boundary.

        Parameters
        ----------
        values, rates : numpy.ndarray, shape (rows, neurons)
            Their values at s = 0, and how they change with s.
        below, above : numpy.ndarray, shape (rows,)
            Crossings at below < s < above are asked for.

        Returns
        -------
        row : numpy.ndarray of int, shape (crossings,)
        s : numpy.ndarray, shape (crossings,)
        """
        first = values + rates * below[:, np.newaxis]
        last = values + rates * above[:, np.newaxis]
        rows, found = [], []
        for threshold in self.thresholds:
            row, neuron = np.nonzero((first > threshold) != (last > threshold))
            s = (threshold - values[row, neuron]) / rates[row, neuron]
            inside = (s > below[row]) & (s < above[row])
            rows.append(row[inside])
            found.append(s[inside])
        return np.concatenate(rows), np.concatenate(found)


class PoolingBoundary(Boundary):
    """The boundaries between the winner of each window of a max pooling and the losers.

    Attributes
    ----------
    elements : numpy.ndarray of int, shape (windows, elements)
        The operand's position of each element of a window, channels left out; one beyond the last
        where it is beyond the edge.
    """

    kind = "max pooling"

    def __init__(self, pooling: MaxPooling, position: int, name: str) -> None:
        super().__init__(pooling, position, name)
        self.operand_shape = pooling.operand_shape
        self._channels = pooling.shape[-1]
        self.elements = _windows(pooling)

    def state(self, values: Floats) -> Integers:
        winners = self._winners(self._by_position(values))
        positions = self.elements[np.arange(len(self.elements))[:, np.newaxis], winners]
        flat = positions * self._channels + np.arange(self._channels)
        return flat.reshape(len(values), -1).astype(np.int32)

    def to_all_winners(self, values: Floats, gradients: Floats) -> Floats:
        """Take gradients back to the operand: to every element that is as large as the winner.

        Parameters
        ----------
        values : numpy.ndarray, shape (rows, *operand shape)
        gradients : numpy.ndarray, shape (rows, *shape)

        Returns
        -------
        numpy.ndarray, shape (rows, *operand shape)
        """
        heights = self._by_position(values)
        gradients = self._by_position(gradients)
        # What is beyond the edge is gathered behind the last position, and left there.
        result = np.zeros((len(values), heights.shape[1] + 1, self._channels))
        winners = self._winners(heights)
        windows = np.arange(len(self.elements))[:, np.newaxis]
        highest = np.take_along_axis(heights, self.elements[windows, winners], axis=1)
        for positions in self.elements.T:
            inside = np.flatnonzero(positions < heights.shape[1])
            equal = heights[:, positions[inside]] == highest[:, inside]
            # At one place of the windows no position comes twice.
            result[:, positions[inside]] += gradients[:, inside] * equal
        return result[:, :-1].reshape(values.shape)

    def _by_position(self, values: Floats) -> Floats:
        return values.reshape(len(values), -1, self._channels)

    def _winners(self, values: Floats) -> Integers:
        """Return which element of each window wins, (rows, windows, channels)."""

        def heights(positions: NDArray[np.int64]) -> Floats:
            beyond = positions == values.shape[1]
            found = values.take(np.where(beyond, 0, positions), axis=1)
            found[:, beyond] = -np.inf
            return found

        return first_highest(map(heights, self.elements.T))


def _windows(pooling: MaxPooling) -> NDArray[np.int64]:
    """Return the operand's position that each element of each window is at.

    Returns
    -------
    numpy.ndarray of int, shape (windows, elements)
        Windows and elements in row-major order; elements beyond the edge have the number of
        positions, one more than the last.
    """
    lengths = pooling.operand_shape[:-1]
    positions = np.zeros((1, 1), np.int64)
    inside = np.ones((1, 1), np.bool_)
    axes = zip(pooling.window, pooling.strides, lengths, pooling.shape[:-1])
    for size, stride, length, outputs in axes:
        window = Window.of(size, stride, pooling.padding, length)
        first = np.arange(outputs) * window.stride - window.padding
        along = first[:, np.newaxis] + np.arange(size)
        shape = len(positions) * outputs, -1
        within = (along >= 0) & (along < length)
        positions = positions[:, np.newaxis, :, np.newaxis] * length + along[:, np.newaxis]
        positions = positions.reshape(shape)
        inside = (inside[:, np.newaxis, :, np.newaxis] & within[:, np.newaxis]).reshape(shape)
    return np.where(inside, positions, math.prod(lengths))


def boundaries_of(
    graph: Graph, positions: Sequence[int], layers: Sequence[HiddenLayer]
) -> list[Boundary]:
    """Return the boundaries on the way to some positions of a graph, in its order.

    Parameters
    ----------
    graph : Graph
    positions : sequence of int
    layers : sequence of HiddenLayer
        The hidden layers, which gates are named after.

    Raises
    ------
    ValueError
        If a gate is smooth, so that there are no regions.
    """
    names = {layer.position: layer.name for layer in layers}
    found: list[Boundary] = []
    uses: Counter[str] = Counter()
    for position in graph.ancestors(positions):
        operation = graph.operations[position]
        if isinstance(operation, RatioGate):
            raise ValueError(
                f"layer {operation.name!r}: expected piecewise linear activations, which cut the "
                "input space into regions, came a smooth one read with smooth_activations="
                "'ratio'; such a network has no regions"
            )
        if isinstance(operation, Gate):
            found.append(GateBoundary(operation, position, names[operation.operands[0]]))
        elif isinstance(operation, MaxPooling):
            # Of a layer that is used more than once, each use has states of its own.
            uses[operation.name] += 1
            use = uses[operation.name]
            name = operation.name if use == 1 else f"{operation.name}:{use}"
            found.append(PoolingBoundary(operation, position, name))
    return found


def labels_of(
    boundaries: Sequence[Boundary], which: NDArray[np.int64]
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the names and the kinds of some of the boundaries, by their numbers."""
    names, kinds = (
        np.array([getattr(one, label) for one in boundaries], np.str_)[which]
        for label in ("name", "kind")
    )
    return names, kinds


def switched(
    first: Integers, second: Integers
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return in what states of a boundary differ.

    Parameters
    ----------
    first, second : numpy.ndarray of int, shape (rows, neurons or windows)

    Returns
    -------
    row, index : numpy.ndarray of int, shape (m,)
        Where; the row first, in order.
    before, after : numpy.ndarray of int, shape (m,)
        The states there.
    """
    row, index = np.nonzero(first != second)
    before, after = (states[row, index].astype(np.int64) for states in (first, second))
    return row, index, before, after
