"""What an operation computes along a stretch of a straight line: piecewise affine in the place t.

Whatever a network computes is continuous in t (but for activations that jump) and bends only where
a state changes below. A change is local at first: one neuron of a convolution bends at a place, and
with it the few positions that see it. So each position keeps the places of its own bends alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RESOLUTION",
    "Bends",
    "Curve",
    "bends_of",
    "curves_of",
    "settled",
    "straight",
    "widths_of",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESOLUTION = 1e-12
"""Changes of the state that are less than this apart on the line, of length 1, are at one place."""


class Curve(NamedTuple):
    """The channels of one position along a stretch of a line.

    Attributes
    ----------
    t : numpy.ndarray, shape (pieces,)
        Where each piece begins; the first at the beginning of the stretch.
    values : numpy.ndarray, shape (pieces, channels)
        At the beginning of each piece.
    rates : numpy.ndarray, shape (pieces, channels)
        How they change along it.
    """

    t: Floats
    values: Floats
    rates: Floats

    def at(self, t: Floats) -> Curve:
        """Return the curve in pieces that begin at places of which it bends at no other."""
        piece = np.searchsorted(self.t, t, side="right") - 1
        rates = self.rates[piece]
        values = self.values[piece] + rates * (t - self.t[piece])[:, np.newaxis]
        return Curve(t, values, rates)

    def within(self, start: float, end: float) -> Curve:
        """Return the part of the curve on a stretch of its own."""
        low, high = np.searchsorted(self.t, [start, end])
        if low == 0 and high == len(self.t):
            return self
        if low < len(self.t) and self.t[low] == start:
            return Curve(*(one[low:high] for one in self))
        (first,) = zip(*self.at(np.array([start])))
        both = zip(first, self)
        return Curve(*(np.concatenate([[one], all_of[low:high]]) for one, all_of in both))


def widths_of(t: Floats, end: float) -> Floats:
    """Return how long pieces are that begin at t, on a stretch that ends at `end`."""
    widths = np.empty_like(t)
    np.subtract(t[1:], t[:-1], out=widths[:-1])
    widths[-1] = end - t[-1]
    return widths


class Bends(NamedTuple):
    """Where the curves of some positions bend, by position and then by place.

    Attributes
    ----------
    position : numpy.ndarray of int, shape (bends,)
    t : numpy.ndarray, shape (bends,)
    change : numpy.ndarray, shape (bends, 1 or 2, channels)
        Of the rates; and of the values, where something on the way jumps.
    """

    position: Integers
    t: Floats
    change: Floats

    def collected(self) -> Bends:
        """Return them in order, those of one position at one place added up."""
        order = np.lexsort((self.t, self.position))
        position, t = self.position[order], self.t[order]
        new = np.ones(len(order), np.bool_)
        new[1:] = (np.diff(position) != 0) | (np.diff(t) != 0)
        first = np.flatnonzero(new)
        if not len(first):
            return self
        change = np.add.reduceat(self.change[order], first, axis=0)
        return Bends(position[first], t[first], change)


def bends_of(curves: Sequence[Curve], jumps: bool) -> Bends:
    """Return where curves bend, one curve a position; with what their values jump by, if asked."""
    channels = curves[0].values.shape[1]
    positions, places, changes = [], [], [np.zeros((0, 1 + jumps, channels))]
    for position, curve in enumerate(curves):
        if len(curve.t) == 1:
            continue
        change = [np.diff(curve.rates, axis=0)]
        if jumps:
            reached = curve.values[:-1] + curve.rates[:-1] * np.diff(curve.t)[:, np.newaxis]
            change.append(curve.values[1:] - reached)
        found = np.stack(change, axis=1)
        bent = found.any(axis=(1, 2))
        changes.append(found[bent])
        places.append(curve.t[1:][bent])
        positions.append(np.full(np.count_nonzero(bent), position))
    if not places:
        return Bends(np.zeros(0, np.int64), np.zeros(0), changes[0])
    return Bends(np.concatenate(positions), np.concatenate(places), np.concatenate(changes))


def curves_of(start: float, values: Floats, rates: Floats, bends: Bends) -> list[Curve]:
    """Return the curves of all positions.

    Parameters
    ----------
    start : float
        The beginning of the stretch.
    values, rates : numpy.ndarray, shape (positions, channels)
        There.
    bends : Bends
        In order, each place of a position once.
    """
    first = np.searchsorted(bends.position, np.arange(len(values) + 1))
    curves = []
    for value, rate, one, end in zip(values, rates, first[:-1], first[1:]):
        t = np.concatenate([[start], bends.t[one:end]])
        change = bends.change[one:end]
        along, reached = np.empty((2, len(t), len(rate)))
        along[0], along[1:] = rate, change[:, 0]
        np.cumsum(along, axis=0, out=along)
        reached[0] = value
        np.multiply(along[:-1], np.diff(t)[:, np.newaxis], out=reached[1:])
        if change.shape[1] > 1:
            reached[1:] += change[:, 1]
        np.cumsum(reached, axis=0, out=reached)
        curves.append(Curve(t, reached, along))
    return curves


def straight(start: float, values: Floats, rates: Floats) -> list[Curve]:
    """Return the curves of positions that do not bend; arguments as for `curves_of`."""
    t = np.array([start])
    return [Curve(t, *one) for one in zip(values[:, np.newaxis], rates[:, np.newaxis])]


def settled(states: NDArray[np.integer], widths: Floats) -> NDArray[np.integer]:
    """Return the states of pieces, (pieces, channels): of too short ones, as it was before."""
    wide = widths > RESOLUTION
    if wide.all() or not wide.any():
        return states
    last = np.maximum.accumulate(np.where(wide, np.arange(len(wide)), -1))
    return states[np.where(last < 0, wide.argmax(), last)]
