"""What is known of one layer while its Insens is estimated."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from insens_tf import norm_estimator

__all__ = ["GROUPS", "LayerEstimate"]

Array = NDArray[np.floating]

GROUPS = 8
"""Of probes, for the jackknife."""


@dataclass
class LayerEstimate:
    """What is known of one layer: maps of the shape of an input, and numbers a neuron.

    Attributes
    ----------
    activity : numpy.ndarray, shape of the layer
        (m/N) v of the neurons that are summed over, 0 of all others.
    inside : numpy.ndarray, shape of the layer
        The sum of squares of w Q.
    squares : numpy.ndarray, shape (groups, *shape of the layer)
        The sum of (w z)^2 over the probes of each group.
    omega, standard_error : numpy.ndarray, shape of an input
    error : float
        The length of standard_error over that of omega; between two estimates, what it is
        predicted to be.
    probes, passes : int
        When it was last estimated.
    """

    activity: Array
    inside: Array
    squares: Array
    omega: Array = field(default_factory=lambda: np.empty(0))
    standard_error: Array = field(default_factory=lambda: np.empty(0))
    error: float = np.inf
    probes: int = 0
    passes: int = 0

    def norms(self, probes: int) -> NDArray[np.float64]:
        """Return the estimate of w w of each neuron."""
        return norm_estimator.squared_norms(self.inside, self.squares.sum(axis=0), probes)

    def outside(self, probes: int) -> float:
        """Return about which share of w w lies outside of the basis, weighted by parts of Omega.

        The map's error is about that times what it is without a basis.
        """
        norms = self.norms(probes)
        weights = norm_estimator.importance(self.activity, norms) * np.abs(self.activity)
        rest = np.divide(
            self.squares.sum(axis=0) / probes, norms, out=np.zeros_like(norms), where=norms > 0
        )
        total = float(np.sum(weights))
        return float(np.sum(weights * rest)) / total if total > 0 else 0.0

    def map_and_error_numbers(self, probes_of_groups: NDArray[np.int64]) -> Array:
        """Return `norm_estimator.map_and_error_numbers` of so many probes."""
        return norm_estimator.map_and_error_numbers(
            self.activity, self.inside, self.squares, probes_of_groups.tolist()
        )

    def take(self, maps: Array) -> NDArray[np.float64]:
        """Take in a map, and the error that those behind it add up to; return its variance."""
        variance: NDArray[np.float64] = np.square(maps[1:], dtype=np.float64).sum(axis=0)
        self.omega = maps[0]
        length = np.linalg.norm(self.omega.astype(np.float64))
        self.error = float(np.sqrt(variance.sum()) / length) if length > 0 else 0.0
        return variance

    def release(self) -> None:
        """Keep no number a neuron."""
        self.activity = self.inside = self.squares = np.empty(0)
