"""Gates and max poolings along a stretch of a line: what switches, and the curves behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf.operations import Gate
from insens_tf.regions.boundaries import (
    GateBoundary,
    PoolingBoundary,
    switched,
)
from insens_tf.regions.curves import RESOLUTION, Curve, settled, widths_of
from insens_tf.regions.highest import first_highest, overtakings
from insens_tf.regions.slopes import slopes_of

__all__ = ["Piecewise", "Switches", "gated", "pooled"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# A sum of many bends that is 0 but for rounding is less than this share of the largest there was.
ROUNDING = 1e-13


class Switches(NamedTuple):
    """What switches of one boundary along a stretch of a line.

    Attributes
    ----------
    first : numpy.ndarray of int, shape (neurons or windows,)
        The state at the beginning.
    t : numpy.ndarray, shape (m,)
    neuron, before, after : numpy.ndarray of int, shape (m,)
        The neuron or window, and its states; by position, and then by place.
    """

    first: Integers
    t: Floats
    neuron: Integers
    before: Integers
    after: Integers


Piecewise = tuple[list[Curve], Switches]


def gated(
    boundary: GateBoundary,
    gate: Gate,
    slopes: Floats,
    operand: Sequence[Curve],
    end: float,
    *,
    jumps: bool,
) -> Piecewise:
    """Return the curves behind a gate, and what switches.

    Parameters
    ----------
    boundary : GateBoundary
    gate : Gate
        Its operation.
    slopes : numpy.ndarray, shape (positions, channels)
        Where neurons are inactive.
    operand : sequence of Curve
        One a position.
    end : float
        Of the stretch.
    jumps : bool
        Whether values may jump where they do not bend.
    """
    curves, states = [], []
    for curve, slope in zip(operand, slopes):
        widths = widths_of(curve.t, end)
        row, s = boundary.crossings(
            curve.values, curve.rates, np.full(len(widths), RESOLUTION), widths - RESOLUTION
        )
        if len(row):
            curve = curve.at(np.union1d(curve.t, curve.t[row] + s))
            widths = widths_of(curve.t, end)
        middles = curve.values + curve.rates * (widths / 2)[:, np.newaxis]
        # Where a neuron's bends should add up to 0, they do so but for rounding.
        rounding = 0.0 if len(curve.t) == 1 else ROUNDING * _largest(curve.values)
        state = settled(boundary.state(middles, rounding), widths)
        curves.append(_without_straight(_behind(gate, curve, state, slope), keep_all=jumps))
        states.append((curve.t, state))
    return curves, _switches(states)


def _behind(gate: Gate, curve: Curve, state: NDArray[np.integer], slope: Floats) -> Curve:
    """Return the curve behind a gate, whose pieces have these states."""
    factor = slopes_of(state, slope)
    values = factor * curve.values
    if gate.ceiling is not None:
        values += gate.ceiling * (state == 2)
    if gate.jump != 0:
        values += gate.jump * (state > 0)
    return Curve(curve.t, values, factor * curve.rates)


def _largest(values: Floats) -> Floats:
    return np.maximum(values.max(axis=0), -values.min(axis=0))


def pooled(
    boundary: PoolingBoundary, operand: Sequence[Curve], end: float, *, jumps: bool
) -> Piecewise:
    """Return the curves behind a max pooling, and what switches.

    Parameters
    ----------
    boundary : PoolingBoundary
    operand, end
        As for `gated`.
    jumps : bool
        Whether the operand's values may jump where they do not bend.
    """
    curves, states = [], []
    for positions in boundary.elements:
        positions = positions[positions < len(operand)]
        elements = [operand[one] for one in positions]
        t = np.unique(np.concatenate([one.t for one in elements]))
        aligned = _at(elements, t)
        found = _overtaking_places(aligned, widths_of(t, end))
        if len(found):
            t = np.union1d(t, found)
            aligned = _at(elements, t)
        widths = widths_of(t, end)
        winners = settled(_winners(aligned, widths / 2), widths)
        values, rates = aligned[0].values.copy(), aligned[0].rates.copy()
        for number, one in enumerate(aligned[1:], 1):
            wins = winners == number
            np.copyto(values, one.values, where=wins)
            np.copyto(rates, one.rates, where=wins)
        curves.append(_without_straight(Curve(t, values, rates), keep_all=jumps))
        channels = values.shape[1]
        states.append((t, positions[winners] * channels + np.arange(channels)))
    return curves, _switches(states)


def _at(curves: Sequence[Curve], t: Floats) -> list[Curve]:
    """Return curves in pieces that begin at all of t, where each begins at some."""
    return [one if len(one.t) == len(t) else one.at(t) for one in curves]


def _winners(elements: Sequence[Curve], s: Floats) -> NDArray[np.integer]:
    """Return which element is the highest at s behind the beginning of each piece."""
    places = s[:, np.newaxis]
    heights = (one.values + one.rates * places for one in elements)
    return first_highest(heights) if len(s) == 1 else first_highest(heights, ROUNDING)


def _overtaking_places(elements: Sequence[Curve], widths: Floats) -> Floats:
    """Return where within pieces another element becomes the highest."""
    first, last = _winners(elements, 0 * widths), _winners(elements, widths)
    piece, channel = np.nonzero((first != last) & (widths > 2 * RESOLUTION)[:, np.newaxis])
    if not len(piece):
        return np.zeros(0)
    heights, slopes = (
        np.stack([getattr(one, what)[piece, channel] for one in elements], axis=1)
        for what in ("values", "rates")
    )
    below, above = np.full(len(piece), RESOLUTION), widths[piece] - RESOLUTION
    line, s = overtakings(heights, slopes, below, above)
    return elements[0].t[piece[line]] + s


def _without_straight(curve: Curve, *, keep_all: bool) -> Curve:
    """Return a curve without the beginnings of pieces where nothing bends."""
    if keep_all or len(curve.t) == 1:
        return curve
    bent = np.concatenate([[True], (np.diff(curve.rates, axis=0) != 0).any(axis=1)])
    return Curve(*(one[bent] for one in curve))


def _switches(states: Sequence[tuple[Floats, NDArray[np.integer]]]) -> Switches:
    """Return what switches, from the places and the states of the pieces of each position."""
    columns: list[tuple[NDArray[np.generic], ...]] = [(np.zeros(0), *[np.zeros(0, np.int64)] * 3)]
    for position, (t, state) in enumerate(states):
        if len(t) > 1:
            row, channel, before, after = switched(state[:-1], state[1:])
            columns.append((t[row + 1], position * state.shape[1] + channel, before, after))
    first = np.concatenate([state[0] for _, state in states])
    return Switches(first, *(np.concatenate(column) for column in zip(*columns)))
