"""A two-dimensional slice of a network's input space, cut into its linear regions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insens_tf.progress import progress_bar
from insens_tf.read_network import ReadNetwork
from insens_tf.regions.polygons import area_of
from insens_tf.regions.region_functions import RegionFunctions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Slice"]

Floats = NDArray[np.float64]

# Three inputs are on a line if their triangle is so much flatter than long.
FLAT = 1e-9


class Slice:
    """The plane through three inputs, cut into the polygons that linear regions are in it.

    Comes from :meth:`insens_tf.SwitchedNetwork.slice`; all is computed in float64. The plane has
    right-angled coordinates in the length of the input space: the first input is at (0, 0), and the
    second on the first axis.

    Attributes
    ----------
    inputs : numpy.ndarray of float64, shape (3, *input_shape)
    coordinates : numpy.ndarray of float64, shape (3, 2)
        Of the inputs.
    window : numpy.ndarray of float64, shape (4, 2)
        The vertices of the rectangle that is cut, counter-clockwise.
    polygons : list of numpy.ndarray of float64, shape (vertices, 2)
        The vertices of each region's part of the window, counter-clockwise.
    centres : numpy.ndarray of float64, shape (regions, 2)
        A point inside of each polygon.
    outputs : numpy.ndarray of float64, shape (regions, 3, *output shape)
        Each region's affine map: the output is ``outputs[i, 0] + p * outputs[i, 1] + q *
        outputs[i, 2]`` at the coordinates (p, q).
    """

    def __init__(
        self,
        network: ReadNetwork,
        functions: RegionFunctions,
        inputs: Floats,
        weights: NDArray[np.floating],
        *,
        margin: float,
        most_regions: int,
        progress: bool,
    ) -> None:
        self.inputs = inputs
        self._network = network
        self._functions = functions
        self._weights = weights
        self._axes, self.coordinates = _axes(inputs)
        low, high = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
        low, high = low - margin * (high - low), high + margin * (high - low)
        self.window = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
        self.polygons: list[Floats] = []
        centres, outputs = [], []
        position = network.output.position
        with progress_bar(shown=progress, desc="regions of the plane", unit="region") as bar:
            for cells in functions.plane.cells(inputs[0], self._axes, self.window):
                self.polygons += cells.polygons
                if len(self.polygons) > most_regions:
                    raise ValueError(
                        f"most_regions={most_regions}: expected as many regions at most, and this "
                        "window of the plane has more; take inputs that are nearer to each other, "
                        "a smaller margin, or more regions"
                    )
                found = cells.functions[position].copy()
                found[:, 0] -= np.einsum("nk,nk...->n...", cells.centres, found[:, 1:])
                outputs.append(found)
                centres.append(cells.centres)
                bar.update(len(cells.polygons))
        self.centres = np.concatenate(centres)
        self.outputs = np.concatenate(outputs)

    def __len__(self) -> int:
        return len(self.polygons)

    def __repr__(self) -> str:
        width, height = np.ptp(self.window, axis=0)
        return f"Slice({len(self)} regions in a window of {width:.4g} x {height:.4g})"

    @cached_property
    def areas(self) -> Floats:
        """The area of each polygon, shape (regions,)."""
        return np.array([area_of(one) for one in self.polygons])

    def at(self, points: ArrayLike) -> Floats:
        """Return the inputs at points of the plane.

        Parameters
        ----------
        points : array, shape (n, 2)
            Their coordinates.

        Returns
        -------
        numpy.ndarray of float64, shape (n, *input_shape)
        """
        places = np.asarray(points, np.float64)
        if places.ndim != 2 or places.shape[1] != 2:
            raise ValueError(f"points: expected an array (n, 2), came {places.shape}")
        return self.inputs[0] + np.tensordot(places, self._axes, axes=1)

    def states(self, regions: Sequence[int]) -> dict[str, list[NDArray[np.integer]]]:
        """Return the states of regions.

        Parameters
        ----------
        regions : sequence of int
            Their numbers.

        Returns
        -------
        dict of str to list of numpy.ndarray of int, shape (regions, neurons or windows)
            By hidden layer or pooling, one for each of its boundaries: of a neuron 0 for inactive,
            1 for active, 2 from a ceiling on; of a window the flat index, in the pooling's operand,
            of the winner.

        Raises
        ------
        RuntimeError
            If the weights have changed since the slice was computed.
        """
        self._network.check_weights(self._weights, "slice", "network.slice(*slice.inputs)")
        x = self.at(self.centres[list(regions)])
        parts = [
            self._functions.states(x[rows])
            for rows in self._functions.slices(len(x), self._functions.decisive)
        ]
        found: dict[str, list[NDArray[np.integer]]] = {}
        for boundary, states in zip(self._functions.boundaries, zip(*parts)):
            found.setdefault(boundary.name, []).append(np.concatenate(states))
        return found

    def plot(self) -> Figure:
        """Draw the polygons, coloured by the strongest output in their middle.

        Returns
        -------
        matplotlib.figure.Figure
            Not one of pyplot's: ``figure.savefig(path)`` writes it.
        """
        from insens_tf.regions.slice_picture import draw_slice

        outputs = self.outputs.reshape(len(self), 3, -1)
        middle = outputs[:, 0] + np.einsum("nk,nko->no", self.centres, outputs[:, 1:])
        classes = middle.argmax(axis=1) if middle.shape[1] > 1 else (middle[:, 0] > 0).astype(int)
        return draw_slice(self.polygons, classes, self.window, self.coordinates)


def _axes(inputs: Floats) -> tuple[Floats, Floats]:
    """Return two axes of length 1 at right angles, and the coordinates of three inputs."""
    first, second = (one.reshape(-1) for one in inputs[1:] - inputs[0])
    along = float(np.linalg.norm(first))
    axis = first / along if along else first
    across = second - (second @ axis) * axis
    # Once more, so that rounding leaves no part of the first axis.
    across -= (across @ axis) * axis
    height = float(np.linalg.norm(across))
    if not along or height <= FLAT * max(along, float(np.linalg.norm(second))):
        raise ValueError(
            "a, b, c: expected three inputs that span a plane, came three on one line; "
            "network.path(a, b) is of the line"
        )
    axes = np.stack([axis, across / height]).reshape(2, *inputs.shape[1:])
    coordinates = np.array([[0.0, 0.0], [along, 0.0], [second @ axis, height]])
    return axes, coordinates
