"""Means over few networks, and how sure they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["LEVEL", "Interval", "interval_rows", "mean_interval", "sample_deviation"]

LEVEL = 0.95
"""Of the intervals: so often, over many experiments, does one hold the true mean."""


class Interval(NamedTuple):
    """A mean and its interval.

    Attributes
    ----------
    mean
        Of the values.
    low, high
        The ends of its interval; NaN where there is one value alone.
    n
        How many values there are.
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2


def sample_deviation(values: ArrayLike) -> float:
    """Return the standard deviation of what few values were drawn from; NaN of one alone."""
    found = np.asarray(values, float)
    return float(found.std(ddof=1)) if found.size > 1 else float("nan")


def mean_interval(values: ArrayLike) -> Interval:
    """Return the mean of independent values with Student's interval of the mean.

    For a paired comparison, give it the differences of the pairs.

    Parameters
    ----------
    values
        A number a network, (n,). What is not defined, NaN, is left out.

    Raises
    ------
    ValueError
        If no value is defined.
    """
    found = np.asarray(values, float).reshape(-1)
    found = found[~np.isnan(found)]
    if not found.size:
        raise ValueError("values: expected at least one number, came none that is defined")
    mean = float(found.mean())
    if found.size == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    error = sample_deviation(found) / np.sqrt(found.size)
    half = float(stats.t.ppf((1 + LEVEL) / 2, found.size - 1) * error)
    return Interval(mean, mean - half, mean + half, int(found.size))


def interval_rows(values: Iterable[tuple[tuple[str, ...], float]]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table: names, the mean of their values, its interval, and n.

    Parameters
    ----------
    values
        Names, and a value of them; one after the other, as many of the same names as networks.
        Names of which no value is defined get no row.
    """
    of_names: dict[tuple[str, ...], list[float]] = {}
    for names, value in values:
        of_names.setdefault(names, []).append(value)
    for names, some in of_names.items():
        if not np.isnan(some).all():
            interval = mean_interval(some)
            yield (*names, *(float(f"{one:.4g}") for one in interval[:3]), interval.n)
