"""The paper's Eq. 2 to 8 as functions of arrays; `docs/equations.md` says where each is used.

n inputs, k neurons; v is a neuron's activity, w its switched weights, w w their squared length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["centre", "contribution", "insens", "omega", "root_factor", "switched_bias"]

Array = NDArray[np.floating]


def switched_bias(x: Array, activity: Array, weights: Array) -> Array:
    """Return b = v - x w (Eq. 2), the switched bias, summed in float64.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, inputs)
    activity : numpy.ndarray, shape (n, k)
    weights : numpy.ndarray, shape (n, k, inputs)

    Returns
    -------
    numpy.ndarray, shape (n, k)
    """
    product = np.einsum("nd,nkd->nk", x.astype(np.float64), weights.astype(np.float64))
    return (activity - product).astype(activity.dtype)


def root_factor(activity: Array, weights: Array) -> Array:
    """Return v / (w w): so many times w leads from the nearest root to x (Eq. 4, 6 and 7).

    Parameters
    ----------
    activity : numpy.ndarray, shape (n, k)
    weights : numpy.ndarray, shape (n, k, inputs)

    Returns
    -------
    numpy.ndarray of float64, shape (n, k)
        NaN where w = 0: such a neuron has no root, or every point is one.
    """
    weights = weights.astype(np.float64)
    # Squares of the smallest numbers vanish; their neurons still have weights.
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = activity / np.einsum("nkd,nkd->nk", weights, weights)
    return np.where(weights.any(axis=-1), factor, np.nan)


def centre(x: Array, weights: Array, factor: Array) -> Array:
    """Return c = x - v / (w w) w, the nearest root (Eq. 4; of switched weights Eq. 6).

    The shapes of x, w and `root_factor` go together by broadcasting.
    """
    return (x - factor * weights).astype(weights.dtype)


def contribution(weights: Array, factor: Array) -> Array:
    """Return (x_j - c_j) w_j of each component of the input (Eq. 5), which add up to v.

    The shapes of w and `root_factor` go together by broadcasting.
    """
    return (factor * np.square(weights, dtype=np.float64)).astype(weights.dtype)


def omega(activity: Array, squared_norms: Array) -> Array:
    """Return omega = x - c = v / (w w) w (Eq. 7) of each neuron, as a multiple of its w.

    Parameters
    ----------
    activity, squared_norms : numpy.ndarray, of one shape
        v and w w.

    Returns
    -------
    numpy.ndarray, of that shape
        0 where w = 0: without a centre there is no omega, and nothing to add.
    """
    return np.divide(activity, squared_norms, out=np.zeros_like(activity), where=squared_norms != 0)


def insens(
    combine: Callable[[Array], Array],
    weighted_activity: Array,
    squared_norms: Array | None = None,
) -> Array:
    """Return Omega, the sum of (m/N) omega over the neurons of a state (Eq. 8).

    omega is linear in v, so (m/N) v in the place of v gives (m/N) omega. And as each omega is a
    multiple of its neuron's w, the sum over neurons is one vector-Jacobian product.

    Parameters
    ----------
    combine : callable
        The vector-Jacobian product: from a number a neuron, (n, *layer shape), to the sum over
        neurons of number * w, (n, *input_shape).
    weighted_activity : numpy.ndarray, shape (n, *layer shape)
        (m/N) v of the neurons that are summed over, 0 of all others.
    squared_norms : numpy.ndarray, shape (n, *layer shape), optional
        w w of each neuron; None for the other reading of Eq. 7, omega = v w.

    Returns
    -------
    numpy.ndarray, shape (n, *input_shape)
    """
    if squared_norms is None:
        return combine(weighted_activity)
    return combine(omega(weighted_activity, squared_norms))
