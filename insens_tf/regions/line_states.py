"""The states of a network along a line: where they change, and what they are between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf.regions.boundaries import switched
from insens_tf.regions.curves import RESOLUTION
from insens_tf.regions.line import Line
from insens_tf.regions.switches import Switches

__all__ = ["BoundaryStates", "LineStates"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class BoundaryStates(NamedTuple):
    """The states of one boundary in the parts of a line.

    Attributes
    ----------
    first : numpy.ndarray of int, shape (neurons or windows,)
        In the first part.
    part : numpy.ndarray of int, shape (m,)
        The part before which each change is, in order.
    neuron, before, after : numpy.ndarray of int, shape (m,)
        The neuron or window that changes, and its states.
    """

    first: NDArray[np.integer]
    part: Integers
    neuron: Integers
    before: Integers
    after: Integers

    def within(self, parts: slice) -> BoundaryStates:
        """Return the states in some of the parts, which are numbered anew."""
        (first,) = self.rows(np.array([parts.start]))
        low, high = np.searchsorted(self.part, [parts.start + 1, parts.stop])
        changes = (one[low:high] for one in (self.neuron, self.before, self.after))
        return BoundaryStates(first, self.part[low:high] - parts.start, *changes)

    def rows(self, parts: Integers) -> NDArray[np.integer]:
        """Return the states in some parts, in order, (parts, neurons or windows)."""
        state = self.first.copy()
        result = np.empty((len(parts), state.size), state.dtype)
        done = 0
        for row, until in enumerate(np.searchsorted(self.part, parts, side="right")):
            # Of several changes of one neuron the last one stays.
            state[self.neuron[done:until]] = self.after[done:until]
            result[row] = state
            done = until
        return result


class LineStates:
    """The states along the line between two inputs.

    Parameters
    ----------
    line : Line
    start, end : numpy.ndarray, shape (*input_shape)
    advance : callable
        Called with the share of the line that was followed since.

    Attributes
    ----------
    breakpoints : numpy.ndarray, shape (k,)
        Where the state changes, in order; changes closer than `RESOLUTION` are at one place.
    by_position : dict of int to BoundaryStates
        By the position of the gate or pooling.
    """

    def __init__(
        self,
        line: Line,
        start: Floats,
        end: Floats,
        advance: Callable[[float], None] = lambda share: None,
    ) -> None:
        found: dict[int, _Collected] = {}
        for stretch in line.stretches(start, end):
            for position, switches in stretch.switches.items():
                collected = found.setdefault(position, _Collected(switches.first))
                collected.add_stretch(stretch.start, switches)
            if stretch.is_done:
                advance(stretch.end - stretch.start)
        columns = {position: one.in_order() for position, one in found.items()}
        places = np.sort(np.concatenate([np.zeros(0), *(t for t, *_ in columns.values())]))
        apart = np.diff(places, prepend=-1.0) > RESOLUTION
        states = {
            position: _states(found[position].first, columns[position], places, apart)
            for position in columns
        }
        # Where something switches there and back at one place, nothing does.
        parts = np.unique(
            np.concatenate([np.zeros(0, int), *(one.part for one in states.values())])
        )
        self.breakpoints = places[apart][parts - 1]
        self.by_position = {
            position: one._replace(part=1 + np.searchsorted(parts, one.part))
            for position, one in states.items()
        }

    @property
    def bounds(self) -> Floats:
        """Where the parts begin and end, (parts + 1,)."""
        return np.concatenate([[0.0], self.breakpoints, [1.0]])


class _Collected:
    """What switches of a boundary on one stretch after another."""

    def __init__(self, first: NDArray[np.integer]) -> None:
        self.first = first
        self._now = first.copy()
        self._columns: list[tuple[NDArray[Any], ...]] = [
            (np.zeros(0), *[np.zeros(0, np.int64)] * 3)
        ]

    def add_stretch(self, start: float, switches: Switches) -> None:
        first, t, *what = switches
        # What switches where two stretches meet is on neither.
        _, *between = switched(self._now[np.newaxis], first[np.newaxis])
        self._columns.append((np.full(len(between[0]), start), *between))
        order = np.argsort(t, kind="stable")
        index, before, after = (one[order] for one in what)
        self._columns.append((t[order], index, before, after))
        self._now = first.copy()
        self._now[index] = after

    def in_order(self) -> tuple[NDArray[Any], ...]:
        """Return t, index, before and after, by place and then by index."""
        t, index, before, after = (np.concatenate(one) for one in zip(*self._columns))
        order = np.lexsort((index, t))
        return t[order], index[order], before[order], after[order]


def _states(
    first: NDArray[np.integer],
    columns: tuple[NDArray[Any], ...],
    places: Floats,
    apart: NDArray[np.bool_],
) -> BoundaryStates:
    """Return a boundary's states, what is at one place put together."""
    t, index, before, after = columns
    part = np.cumsum(apart)[np.searchsorted(places, t)] if len(t) else np.zeros(0, np.int64)
    order = np.lexsort((t, index, part))
    part, index, before, after = (one[order] for one in (part, index, before, after))
    new = np.ones(len(part), np.bool_)
    new[1:] = (np.diff(part) != 0) | (np.diff(index) != 0)
    begin = np.flatnonzero(new)
    end = np.append(begin[1:], len(part))[: len(begin)] - 1
    part, index, before, after = part[begin], index[begin], before[begin], after[end]
    real = before != after
    return BoundaryStates(first, part[real], index[real], before[real], after[real])
