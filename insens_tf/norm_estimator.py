"""The formulas of estimated row norms, as functions of arrays: no network, no randomness.

An orthonormal basis Q of some directions of the input splits every w w into what lies inside of
their span, the squares of w Q, and the rest. The rest is estimated: of a probe z of independent
standard normal components, less its part inside of Q, (w z)^2 has the rest as its mean. As a sum
over k such probes, S, it is the rest times a chi-squared variable of k degrees of freedom if all
lies outside, so that (k - 2) / S has exactly 1 / (w w) as its mean.

References
----------
Hutch++ (Meyer, Musco, Musco and Woodruff, 2021, arXiv:2010.09649) splits a trace like that. XDiag
(Epperly, Tropp and Webber, 2024, arXiv:2301.07825) is the diagonal's; it leaves out one pass at a
time, and so has to hold a number a neuron and pass, where sums are enough here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import equations

__all__ = [
    "extended_basis",
    "few_error_numbers",
    "importance",
    "map_and_error_numbers",
    "outside",
    "probes_for",
    "squared_norms",
]

Array = NDArray[np.floating]

MARGIN = 1.1
"""How many more probes are taken than the error asks for, as it is known only so well itself."""


def squared_norms(inside: Array, rest: Array, probes: int) -> Array:
    """Return w w of neurons, in float64: what lies inside of the basis, and the mean of the rest.

    Parameters
    ----------
    inside : numpy.ndarray
        The sum of squares of w Q.
    rest : numpy.ndarray, of the same shape
        The sum over probes of (w z)^2.
    probes : int

    Returns
    -------
    numpy.ndarray of float64, of that shape
        NaN where it is too large for the arrays' dtype, not to pass for far from its centre.
    """
    norms = inside.astype(np.float64) + rest.astype(np.float64) / probes
    return np.where(np.isfinite(norms), norms, np.nan)


def map_and_error_numbers(
    activity: Array, inside: Array, squares: Array, sizes: Sequence[int]
) -> Array:
    """Return a number a neuron whose sums of number * w are Omega (Eq. 8), and parts of its error.

    1 / (w w) is estimated as (1 - 2 s^2 / k) / n, with k probes, n the estimate of w w and s the
    share of it that was estimated. That has no bias where s is 1 and where s is 0; in between, one
    of the order of 1 / k^2.

    All neurons share the probes, so their errors go together, and only the map shows how far they
    cancel. Its standard error is a jackknife in groups of probes: what Omega becomes, to first
    order, when one group weighs more.

    Parameters
    ----------
    activity : numpy.ndarray, any shape
        (m/N) v of the neurons that are summed over, 0 of all others.
    inside : numpy.ndarray, of the same shape
        The sum of squares of w Q.
    squares : numpy.ndarray, shape (groups, *that shape)
        The sum of (w z)^2 over the probes of each group.
    sizes : sequence of int
        How many probes each group has.

    Returns
    -------
    numpy.ndarray, shape (1 + groups, *that shape)
        Omega's, and for each group what the squares of add up to the variance of each component.
    """
    probes = sum(sizes)
    rest = squares.sum(axis=0, dtype=np.float64)
    norms = squared_norms(inside, rest, probes)
    share = np.divide(rest / probes, norms, out=np.zeros_like(norms), where=norms != 0)
    multiples = equations.omega(activity * (1.0 - 2.0 / probes * share**2), norms)
    numbers = np.empty((1 + len(sizes), *activity.shape), squares.dtype)
    numbers[0] = multiples
    # Of one neuron outside of the basis, the estimate's variance is 2 / (k - 4) of the square of
    # what it estimates. As a group's share is a beta variable, the sum's mean is that times
    # (k - 2) / (k + 2) and what of 1 the squares of the expected shares leave; of a neuron most of
    # which is inside, only the latter.
    of_shares = sum((size / probes) ** 2 for size in sizes)
    multiples *= np.sqrt((1.0 + 4.0 / (probes - 2) * share**2) / (1.0 - of_shares))
    multiples = equations.omega(multiples, norms * probes)
    for number, part, size in zip(numbers[1:], squares, sizes):
        # What is too large for the dtype is NaN, and reported with the map.
        with np.errstate(invalid="ignore", over="ignore"):
            number[...] = multiples * (part - size / probes * rest)
    return numbers


def probes_for(tolerance: float, error: float, probes: int) -> int:
    """Return how many probes have an error of `tolerance`, if `probes` have one of `error`.

    It falls with their square root.
    """
    return int(np.ceil(MARGIN * probes * (error / tolerance) ** 2))


def importance(activity: Array, norms: Array) -> Array:
    """Return how much of each neuron goes into the random sums that a basis is made of.

    abs((m/N) v) / (w w): then its part of them is as long as its part of Omega, on average, and
    the basis is where Omega's is, not where the largest weights are.
    """
    usable = np.isfinite(norms) & (norms > 0)
    return np.divide(np.abs(activity), norms, out=np.zeros(norms.shape), where=usable)


def few_error_numbers(numbers: Array) -> Array:
    """Return a few sums of the groups' numbers whose squares add up to about what all of theirs do.

    They are sums and differences of all groups, orthogonal to each other: a half of the groups less
    the other half. As the groups' numbers add up to 0, the mean of such a square is 8/7 of the sum
    of all squares of 8.

    Parameters
    ----------
    numbers : numpy.ndarray, shape (groups, ...)
        Of a map's error, as `map_and_error_numbers` returns them behind the map's.

    Returns
    -------
    numpy.ndarray, shape (2, ...)
    """
    groups = len(numbers)
    halves = np.where(np.arange(groups) < groups // 2, 1.0, -1.0)
    in_turn = np.where(np.arange(groups) % 2, -1.0, 1.0)
    signs = np.stack([halves, in_turn]) * np.sqrt((groups - 1) / groups / 2)
    return np.tensordot(signs.astype(numbers.dtype), numbers, axes=1)


def extended_basis(basis: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return an orthonormal basis that spans what `basis` does, first, and also `rows`.

    Parameters
    ----------
    basis : tf.Tensor, shape (q, d)
        Orthonormal rows.
    rows : tf.Tensor, shape (g, d)
        Any.

    Returns
    -------
    tf.Tensor, shape (q + up to g, d)
        Orthonormal rows. What depends on others up to rounding adds none.
    """
    rounding = np.finfo(rows.dtype.as_numpy_dtype).eps
    # What is left outside is as orthogonal as it is long; the second time it is long.
    for _ in range(2):
        lengths = tf.norm(rows, axis=1, keepdims=True)
        rows = tf.math.divide_no_nan(rows, lengths)
        rows = outside(basis, rows)
        squares, directions = tf.linalg.eigh(tf.matmul(rows, rows, transpose_b=True))
        independent = squares > rounding * tf.cast(tf.shape(rows)[0], rows.dtype)
        directions = tf.boolean_mask(directions / tf.sqrt(tf.abs(squares)), independent, axis=1)
        rows = tf.matmul(directions, rows, transpose_a=True)
    return tf.concat([basis, rows], axis=0)


def outside(basis: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return rows, (k, d), less their parts in the span of an orthonormal basis, (q, d)."""
    return rows - tf.matmul(tf.matmul(rows, basis, transpose_b=True), basis)
