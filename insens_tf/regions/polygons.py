"""Convex polygons in a plane, cut by straight lines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pieces", "area_of", "centre_of", "clipped", "cut"]

Floats = NDArray[np.float64]


def cut(polygon: Floats, normal: Floats, offset: float, rounding: float) -> list[Floats]:
    """Return the parts of a polygon on both sides of a line that goes through it.

    Parameters
    ----------
    polygon : numpy.ndarray, shape (vertices, 2)
    normal, offset
        Points with ``normal @ point + offset == 0`` are on the line; the normal has length 1.
    rounding : float
        Vertices that are no further from the line lie on it.
    """
    distances = polygon @ normal + offset
    return [_above(polygon, sign * distances, rounding) for sign in (1, -1)]


def clipped(polygon: Floats, normal: Floats, offset: float, rounding: float) -> Floats | None:
    """Return the part of a polygon where ``normal @ point + offset >= 0``, None if there is none.

    Parameters are those of `cut`.
    """
    distances = polygon @ normal + offset
    if distances.min() >= -rounding:
        return polygon
    return None if distances.max() <= rounding else _above(polygon, distances, rounding)


def _above(polygon: Floats, distances: Floats, rounding: float) -> Floats:
    """Return the part of a polygon in which distances, of its vertices from a line, are > 0."""
    distances = np.where(np.abs(distances) <= rounding, 0.0, distances)
    vertices = []
    for place, here in enumerate(distances):
        before = distances[place - 1]
        if before * here < 0:
            share = before / (before - here)
            vertices.append(polygon[place - 1] + share * (polygon[place] - polygon[place - 1]))
        if here >= 0:
            vertices.append(polygon[place])
    return np.array(vertices)


class Pieces:
    """The pieces of a polygon, which are asked all at once how they lie.

    Attributes
    ----------
    polygons : list of numpy.ndarray, shape (vertices, 2)
    corners : numpy.ndarray, shape (vertices of all, 2)
    """

    def __init__(self, polygon: Floats) -> None:
        self._take([polygon])

    def _take(self, polygons: list[Floats]) -> None:
        self.polygons = polygons
        self.corners = np.concatenate(polygons)
        self._starts = np.cumsum([0, *map(len, polygons[:-1])])

    def have_one(self, of_corners: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell of which pieces something is true at one of the corners at least, (pieces, ...)."""
        return np.logical_or.reduceat(of_corners, self._starts, axis=0)

    def replace(
        self, chosen: NDArray[np.bool_], parts_of: Callable[[Floats], list[Floats]]
    ) -> None:
        """Put parts of the chosen pieces in their place."""
        if chosen.any():
            kept = [one for one, is_chosen in zip(self.polygons, chosen) if not is_chosen]
            for number in np.flatnonzero(chosen):
                kept += parts_of(self.polygons[number])
            self._take(kept)


def area_of(polygon: Floats) -> float:
    """Return the area of a polygon whose vertices go round counter-clockwise."""
    from_first = polygon[1:] - polygon[0]
    one, other = from_first[:-1], from_first[1:]
    return float((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum() / 2)


def centre_of(polygon: Floats) -> Floats:
    """Return a point inside: the mean of the vertices."""
    centre: Floats = polygon.mean(axis=0)
    return centre
