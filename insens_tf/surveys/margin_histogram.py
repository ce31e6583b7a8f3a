"""Margins of all inputs and neurons of a layer, as a histogram that adds up exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insens_tf.arguments import finite_number

__all__ = ["MarginHistogram"]

_BINS_OF_A_DECADE = 64
_LOWEST, _HIGHEST = -15, 15
EDGES = np.logspace(_LOWEST, _HIGHEST, _BINS_OF_A_DECADE * (_HIGHEST - _LOWEST) + 1)


@dataclass(frozen=True)
class MarginHistogram:
    """How many neurons, over all inputs, are how far from where they switch.

    Attributes
    ----------
    counts : numpy.ndarray of int64, shape (2, bins + 2)
        Of inactive and of active neurons, by the size of the margin. The first bin is for what is
        below `edges`, 0 among it; the last for what is above, the infinite margins of neurons with
        w = 0 among it.
    """

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, margins: NDArray[np.floating]) -> MarginHistogram:
        """Count signed margins of any shape: positive where a neuron is active."""
        places = np.searchsorted(EDGES, np.abs(margins).reshape(-1), side="right")
        places += len(cls.edges_and_beyond()) * (margins.reshape(-1) > 0)
        total = 2 * len(cls.edges_and_beyond())
        return cls(np.bincount(places, minlength=total).reshape(2, -1))

    @staticmethod
    def edges_and_beyond() -> NDArray[np.float64]:
        """Return the lower edge of each bin, those below and above the others included."""
        return np.concatenate([[0.0], EDGES])

    def __add__(self, other: MarginHistogram) -> MarginHistogram:
        """Count both parts of the data; in any order the same."""
        return MarginHistogram(self.counts + other.counts)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where the bins between the first and the last begin and end, (bins + 1,)."""
        return EDGES

    @property
    def relative_error(self) -> float:
        """How far a quantile may be from the exact one, relative to it: half a bin."""
        return float(np.sqrt(EDGES[1] / EDGES[0]) - 1)

    def quantile(self, share: float) -> float:
        """Return the margin, without its sign, that a share of neurons and inputs does not exceed.

        Exact but for `relative_error`; 0 below 1e-15, and infinite above 1e15.

        Parameters
        ----------
        share : float
            In 0..1; 0.5 is the median.

        Raises
        ------
        ValueError
            If it is not in 0..1.
        """
        finite_number("share", share, least=0, most=1, hint="; 0.5 is the median")
        reached = np.cumsum(self.counts.sum(axis=0))
        # The smallest value of which at least the share is not above it.
        place = int(np.searchsorted(reached, max(1, np.ceil(share * reached[-1]))))
        if place == 0:
            return 0.0
        if place == len(EDGES):
            return float("inf")
        return float(np.sqrt(EDGES[place - 1] * EDGES[place]))
