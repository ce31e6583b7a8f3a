"""The linear regions in a plane: exact polygons, operation by operation, in float64.

As along a line: within a polygon on which the states below are constant, all that an operation
computes is affine in two coordinates. Where a gate or a max pooling changes its state within a
polygon, the polygon is cut there, and everything before is affine on both parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf.graph import Graph
from insens_tf.regions.boundaries import Boundary, GateBoundary, PoolingBoundary
from insens_tf.regions.polygons import Pieces, centre_of, clipped, cut
from insens_tf.regions.rates import value_and_rates

__all__ = ["Cells", "Plane"]

Floats = NDArray[np.float64]

# What is narrower than this share of the window is no region.
RESOLUTION = 1e-10

# Functions that differ by less than this share of them are equal but for rounding.
ROUNDING = 1e-13

# How many arrays as large as the largest value are held beside the affine functions.
BESIDE = 8


class Cells(NamedTuple):
    """Polygons, and the affine functions that the operations are on them.

    Attributes
    ----------
    polygons : list of numpy.ndarray, shape (vertices, 2)
    centres : numpy.ndarray, shape (cells, 2)
    functions : dict of int to numpy.ndarray, shape (cells, 3, *shape of the operation)
        By position in the graph: the value at the centre, and its rates along both coordinates.
    """

    polygons: list[Floats]
    centres: Floats
    functions: dict[int, Floats]

    def parts(self, parents: NDArray[np.int64], polygons: list[Floats]) -> Cells:
        """Return parts of these cells, `parents` saying of which."""
        centres = np.array([centre_of(one) for one in polygons])
        shift = centres - self.centres[parents]
        functions = {}
        for position, function in self.functions.items():
            found = function[parents]
            found[:, 0] += np.einsum("nk,nk...->n...", shift, found[:, 1:])
            functions[position] = found
        return Cells(polygons, centres, functions)


class Plane:
    """What cuts planes through a graph into polygons.

    Parameters
    ----------
    graph : Graph
        Of dtype float64.
    outputs : sequence of int
        Their positions.
    boundaries : sequence of Boundary
        All those on the way there.
    memory_budget : int
    """

    def __init__(
        self,
        graph: Graph,
        outputs: Sequence[int],
        boundaries: Sequence[Boundary],
        memory_budget: int,
    ) -> None:
        self._operations = graph.operations
        self._boundaries = {one.position: one for one in boundaries}
        self._order = graph.ancestors(outputs)
        self._last_use = graph.last_use(self._order)
        self._last_use |= dict.fromkeys(outputs, len(self._operations))
        self._advance = {one: value_and_rates(graph, one) for one in self._order if one}
        held = sum(self._operations[one].size for one in self._order)
        largest = max(self._operations[one].size for one in self._order)
        self._at_a_time = max(1, int(memory_budget / (8 * 3 * (held + BESIDE * largest))))

    def cells(self, corner: Floats, axes: Floats, window: Floats) -> Iterator[Cells]:
        """Yield the cells of a plane, a few at a time, with the functions of the outputs.

        Parameters
        ----------
        corner : numpy.ndarray, shape (*input_shape)
            The input at the coordinates (0, 0).
        axes : numpy.ndarray, shape (2, *input_shape)
            How the input changes with the coordinates.
        window : numpy.ndarray, shape (vertices, 2)
            The polygon that is cut.
        """
        rounding = RESOLUTION * float(np.ptp(window, axis=0).max())
        function = np.concatenate([corner[np.newaxis], axes])[np.newaxis]
        whole = Cells([window], np.zeros((1, 2)), {0: function})
        one = np.zeros(1, np.int64)
        # What is to be done later is not made before.
        waiting: list[tuple[int, bool, Callable[[], Cells]]] = [
            (1, False, partial(whole.parts, one, [window]))
        ]
        while waiting:
            number, is_cut, make = waiting.pop()
            cells = make()
            while number < len(self._order):
                boundary = self._boundaries.get(self._order[number])
                if boundary is not None and not is_cut:
                    parents, polygons = _parts(boundary, cells, rounding)
                    waiting += [
                        (number, True, partial(cells.parts, parents[some], polygons[some]))
                        for some in reversed(self._slices(len(parents)))
                    ]
                    break
                cells = self._evaluated(self._order[number], cells)
                number, is_cut = number + 1, False
            else:
                yield cells

    def _slices(self, cells: int) -> list[slice]:
        starts = range(0, cells, self._at_a_time)
        return [slice(start, start + self._at_a_time) for start in starts]

    def _evaluated(self, position: int, cells: Cells) -> Cells:
        """Return cells with the function of one more operation."""
        operands = [cells.functions[one] for one in self._operations[position].operands]
        values = [one[:, 0] for one in operands]
        rates = [one[:, 1:].reshape(-1, *one.shape[2:]) for one in operands]
        value, rate = self._advance[position](*values, *rates)
        rate = rate.reshape(len(value), 2, *value.shape[1:])
        functions = cells.functions | {position: np.concatenate([value[:, np.newaxis], rate], 1)}
        for one in [one for one in functions if self._last_use.get(one, 0) <= position]:
            del functions[one]
        return cells._replace(functions=functions)


def _parts(
    boundary: Boundary, cells: Cells, rounding: float
) -> tuple[NDArray[np.int64], list[Floats]]:
    """Return the parts that a boundary cuts cells into, and the cell that each is of."""
    parents, polygons = [], []
    for number, polygon in enumerate(cells.polygons):
        function = cells.functions[boundary.operand][number]
        # Values at the coordinates (0, 0).
        function = function.copy()
        function[0] -= np.tensordot(cells.centres[number], function[1:], axes=1)
        if isinstance(boundary, PoolingBoundary):
            found = _cut_by_pooling(boundary, polygon, function, rounding)
        else:
            assert isinstance(boundary, GateBoundary)
            found = _cut_by_gate(boundary, polygon, function, rounding)
        polygons += found
        parents += [number] * len(found)
    return np.array(parents, np.int64), polygons


def _cut_by_gate(
    boundary: GateBoundary, polygon: Floats, function: Floats, rounding: float
) -> list[Floats]:
    function = function.reshape(3, -1)
    lengths = np.linalg.norm(function[1:], axis=0)
    pieces = Pieces(polygon)
    for threshold in boundary.thresholds:
        above = polygon @ function[1:] + (function[0] - threshold)
        far = rounding * lengths
        for neuron in np.flatnonzero((above.max(axis=0) > far) & (above.min(axis=0) < -far)):
            normal = function[1:, neuron] / lengths[neuron]
            offset = (function[0, neuron] - threshold) / lengths[neuron]
            distances = pieces.corners @ normal + offset
            crossed = pieces.have_one(distances > rounding) & pieces.have_one(distances < -rounding)
            pieces.replace(crossed, partial(cut, normal=normal, offset=offset, rounding=rounding))
    return pieces.polygons


def _cut_by_pooling(
    boundary: PoolingBoundary, polygon: Floats, function: Floats, rounding: float
) -> list[Floats]:
    channels = function.shape[-1]
    function = function.reshape(3, -1, channels)
    beyond = boundary.elements == function.shape[1]
    elements = function[:, np.where(beyond, 0, boundary.elements)]
    elements[0, beyond] = -np.inf
    # What is the highest at all vertices is so everywhere between.
    highest = _are_highest(elements, polygon, rounding, axis=2)
    is_cut = ~highest.all(axis=0).any(axis=1)
    pieces = Pieces(polygon)
    for window, channel in zip(*np.nonzero(is_cut)):
        mine = elements[:, window, ~beyond[window], channel]
        lower = ~_are_highest(mine, pieces.corners, rounding, axis=1)
        one_wins = (~pieces.have_one(lower)).any(axis=1)
        pieces.replace(~one_wins, partial(_of_the_highest, functions=mine, rounding=rounding))
    return pieces.polygons


def _are_highest(
    functions: Floats, points: Floats, rounding: float, axis: int
) -> NDArray[np.bool_]:
    """Tell which of some affine functions, along an axis of the results, are the highest at points.

    Parameters
    ----------
    functions : numpy.ndarray, shape (3, ...)
        Values at the coordinates (0, 0), and rates.
    points : numpy.ndarray, shape (n, 2)
    rounding : float
    axis : int

    Returns
    -------
    numpy.ndarray of bool, shape (n, ...)
    """
    heights = np.tensordot(points, functions[1:], axes=1) + functions[0]
    highest = heights.max(axis=axis, keepdims=True)
    steepest = np.abs(functions[1:]).max(axis=0).max(axis=axis - 1, keepdims=True)
    return heights >= highest - rounding * steepest - ROUNDING * np.abs(highest)


def _of_the_highest(polygon: Floats, functions: Floats, rounding: float) -> list[Floats]:
    """Return the parts of a polygon in which each of some affine functions is the highest.

    Parameters
    ----------
    polygon : numpy.ndarray, shape (vertices, 2)
    functions : numpy.ndarray, shape (3, functions)
        Values at the coordinates (0, 0), and rates.
    rounding : float
    """
    parts = []
    height, steepest = ROUNDING * np.abs(functions[0]).max(), ROUNDING * np.abs(functions[1:]).max()
    for number in range(functions.shape[1]):
        part: Floats | None = polygon
        for other in range(functions.shape[1]):
            if part is None or other == number:
                continue
            lead = functions[:, number] - functions[:, other]
            length = float(np.linalg.norm(lead[1:]))
            if length <= steepest:
                # One is above the other everywhere; of equal ones the first wins.
                level = abs(lead[0]) <= height
                if other < number if level else lead[0] < 0:
                    part = None
            else:
                part = clipped(part, lead[1:] / length, lead[0] / length, rounding)
        if part is not None:
            parts.append(part)
    return parts
