"""Which of several numbers is the highest, and where one straight line overtakes the others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["first_highest", "overtakings"]

# Elements of a window that differ by less than this share of the largest are equal but for
# rounding, and the first of them wins.
ROUNDING = 1e-14

# Lower than any element, and finite.
LOWEST = -1e300

Floats = NDArray[np.float64]


def first_highest(elements: Iterable[Floats], rounding: float = ROUNDING) -> NDArray[np.int32]:
    """Return which of some arrays is the highest, element by element; of equal ones the first.

    Parameters
    ----------
    elements : iterable of numpy.ndarray, of one shape
    rounding : float
        Which share of the highest a higher one may be above it and still be equal.
    """
    for number, heights in enumerate(elements):
        if not number:
            highest = np.maximum(heights, LOWEST)
            winners = np.zeros(heights.shape, np.int32)
            continue
        higher = heights > highest + rounding * np.abs(highest)
        winners[higher] = number
        np.copyto(highest, heights, where=higher)
    return winners


def overtakings(
    heights: Floats, slopes: Floats, below: Floats, above: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Return where the highest of some straight lines is overtaken by another of them.

    Parameters
    ----------
    heights, slopes : numpy.ndarray, shape (windows, elements)
        Of the lines at s = 0; -infinity and 0 where there is none.
    below, above : numpy.ndarray, shape (windows,)
        It is asked for below < s < above.

    Returns
    -------
    window : numpy.ndarray of int, shape (overtakings,)
    s : numpy.ndarray, shape (overtakings,)
    """
    span = (above - below)[:, np.newaxis]
    at = heights + slopes * below[:, np.newaxis]
    highest = at.max(axis=1, keepdims=True)
    steepest = np.abs(slopes).max(axis=1, keepdims=True)
    rounding = ROUNDING * (np.abs(highest) + steepest * span)
    # Of those that are level there, the steepest leads at once.
    leader = np.where(at >= highest - rounding, slopes, -np.inf).argmax(axis=1)
    place = below.copy()
    found_windows, found_places = [np.zeros(0, np.int64)], [np.zeros(0)]
    left = np.arange(len(heights))
    while len(left):
        leading = left, leader[left]
        steeper = slopes[left] - slopes[leading][:, np.newaxis]
        lead = heights[leading][:, np.newaxis] - heights[left]
        s = np.full(lead.shape, np.inf)
        np.divide(lead, steeper, out=s, where=steeper * span[left] > rounding[left])
        s = np.maximum(s, place[left, np.newaxis])
        place[left] = nearest = s.min(axis=1)
        leader[left] = np.where(s == nearest[:, np.newaxis], slopes[left], -np.inf).argmax(axis=1)
        left = left[nearest < above[left]]
        inside = left[place[left] > below[left]]
        found_windows.append(inside)
        found_places.append(place[inside])
    return np.concatenate(found_windows), np.concatenate(found_places)
