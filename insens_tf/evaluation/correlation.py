"""Rank correlations between maps: how alike two maps of one input are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from insens_tf.arguments import one_of

__all__ = ["CORRELATIONS", "rank_correlation"]

CORRELATIONS = ("signed", "absolute", "signed_support", "absolute_support")
"""The kinds of correlation; `rank_correlation` says what each of them is."""


def rank_correlation(
    maps: ArrayLike, others: ArrayLike, kind: str = "signed"
) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of each map with its counterpart.

    It is Pearson's correlation of the values' ranks, tied values having the mean of their ranks.
    Every component of a map counts, each colour channel's too.

    Parameters
    ----------
    maps, others : array_like of real numbers, shape (n, ...)
        Two maps of each of n inputs.
    kind : {"signed", "absolute", "signed_support", "absolute_support"}
        "signed" ranks the values as they are, "absolute" their magnitudes. The others do so over
        the maps' common support only, which are the components where neither of both is exactly 0:
        where maps share many zeros, these alone make all components correlate. Where one map is 0
        and the other is not is left out as well, so that two maps which share no component at all
        have no correlation over their support, rather than a low one.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        In -1..1; NaN where it is not defined: if one of both maps is constant over the components
        that count, if these are fewer than two, or if a map holds NaN or infinity.

    Raises
    ------
    ValueError
        If the shapes differ or have no axis beyond the first, the values are not real numbers, or
        the kind is unknown.

    References
    ----------
    C. Spearman, "The proof and measurement of association between two things", American Journal of
    Psychology 15 (1904). For signed and absolute maps: J. Adebayo et al., "Sanity checks for
    saliency maps", NeurIPS 2018, arXiv:1810.03292.

    Examples
    --------
    >>> rank_correlation([[1.0, 2.0, 3.0]], [[10.0, 30.0, 20.0]])
    array([0.5])
    """
    one_of("kind", kind, CORRELATIONS)
    first, second = _rows("maps", maps), _rows("others", others)
    if np.shape(maps) != np.shape(others):
        raise ValueError(
            f"others: expected as many maps and of the same shape as maps, {np.shape(maps)}, came "
            f"{np.shape(others)}"
        )
    defined = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    counted = defined[:, np.newaxis]
    if kind.endswith("support"):
        counted = counted & (first != 0) & (second != 0)
    else:
        counted = np.broadcast_to(counted, first.shape)
    if kind.startswith("absolute"):
        first, second = np.abs(first), np.abs(second)
    deviations, others_deviations = (_deviations(values, counted) for values in (first, second))
    variances = (deviations**2).sum(axis=1) * (others_deviations**2).sum(axis=1)
    covariances = (deviations * others_deviations).sum(axis=1)
    found = np.full(len(first), np.nan)
    np.divide(covariances, np.sqrt(variances), out=found, where=variances > 0)
    # Rounding may give numbers beyond the interval.
    return found.clip(-1, 1)


def _deviations(values: NDArray[Any], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the ranks less their mean among the values that count, 0 for the others."""
    # Values that do not count rank behind all that do, and so change none of their ranks.
    ranks = stats.rankdata(np.where(counted, values, np.inf), axis=1)
    # Exact, as it is a multiple of a half: constant maps have no deviation at all.
    mean = (counted.sum(axis=1, keepdims=True) + 1) / 2
    return np.where(counted, ranks - mean, 0.0)


def _rows(name: str, maps: ArrayLike) -> NDArray[Any]:
    values = np.asarray(maps)
    if values.ndim < 2 or values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name}: expected real numbers of the shape (n, ...), came {values.dtype} of shape "
            f"{values.shape}; a single map is maps[numpy.newaxis]"
        )
    return values.reshape(len(values), math.prod(values.shape[1:])).astype(np.float64)
