"""An estimate of Insens from random probes, for networks where the exact norms cost minutes.

A probe z of independent standard normal components makes w z of every neuron exactly normal with
variance w w. So the sum S of (w z)^2 over k probes is w w times a chi-squared variable of k degrees
of freedom, and as E[1 / chi^2_k] = 1 / (k - 2), the mean of (k - 2) / S is exactly 1 / (w w):
Omega's estimate has no bias, whatever the network.

All neurons share the probes, so their errors go together, and only the map shows how far they
cancel. Its standard error is a jackknife in groups of probes: what Omega becomes, to first order,
when one group weighs more. That is one more vector-Jacobian product a group, each neuron's seed
times how much more than its part of S the group has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import equations
from insens_tf.chunks import slices
from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.insens import Passes, warn_of_vanished_squares, weighted_activity
from insens_tf.layers import HiddenLayer
from insens_tf.row_norms.probes import probes_at_a_time, pushed_squares

__all__ = ["GROUPS", "Estimator", "InsensEstimate", "check_sampling", "map_and_error"]

GROUPS = 8
"""Of probes, for the jackknife."""

PROBES = 64
"""How many there are unless told otherwise."""

LEAST_PROBES = 2 * GROUPS


@dataclass(frozen=True, eq=False)
class InsensEstimate:
    """Insens of a layer as random probes estimate it, and how far off it may be.

    Attributes
    ----------
    omega : numpy.ndarray, shape (n, *input_shape)
        The estimate of Omega (Eq. 8), without bias.
    standard_error : numpy.ndarray, shape (n, *input_shape)
        Of each component of omega: about what its standard deviation over seeds is.
    probes : int
        How many there were; the error falls with their square root.
    seed : int
        What they were drawn from.
    """

    omega: NDArray[Any]
    standard_error: NDArray[Any]
    probes: int
    seed: int

    @property
    def relative_error(self) -> NDArray[Any]:
        """The length of standard_error over that of omega, shape (n,), float64; 0 where omega is 0.

        What ``norm(omega - exact) / norm(omega)`` is about, of each map.
        """
        length, error = (
            np.sqrt(np.square(maps, dtype=np.float64).reshape(len(maps), -1).sum(axis=1))
            for maps in (self.omega, self.standard_error)
        )
        return np.divide(error, length, out=np.zeros_like(error), where=length > 0)

    def __repr__(self) -> str:
        errors = self.relative_error
        return (
            f"InsensEstimate(omega={self.omega.shape}, probes={self.probes}, seed={self.seed}, "
            f"relative_error={errors.min():.2g}..{errors.max():.2g})"
        )


def check_sampling(probes: Any, seed: Any) -> None:
    """Raise ValueError unless `probes` and `seed` are such as `Estimator` takes."""
    if not _whole_number(probes) or probes < LEAST_PROBES:
        raise ValueError(
            f"probes={probes!r}: expected a whole number, at least {LEAST_PROBES}; the error falls "
            "with its square root"
        )
    if not _whole_number(seed) or seed < 0:
        raise ValueError(
            f"seed={seed!r}: expected a whole number, at least 0, to draw the probes from"
        )


def _whole_number(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


class Estimator:
    """Estimates Omega of some layers of a network, and its error.

    Parameters
    ----------
    graph : Graph
    layers : sequence of HiddenLayer
    memory_budget : int
        In bytes.
    """

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer], memory_budget: int) -> None:
        self._layers = tuple(layers)
        positions = [layer.position for layer in layers]
        # Half of the budget is for the graph, half for what is held beside it of each input: the
        # activities, terms and sums of squares of all layers, and some arrays of one, in float64.
        self._rows_at_a_time = probes_at_a_time(graph, positions, memory_budget // 2)
        held = (3 + GROUPS) * graph.dtype.size * sum(layer.neurons for layer in layers)
        held += 8 * 8 * max(layer.neurons for layer in layers)
        self._inputs_at_a_time = max(1, min(self._rows_at_a_time, memory_budget // 2 // held))
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self._squares = Compiled(partial(pushed_squares, graph, positions), [image, image])
        self._passes = Passes(graph, layers)

    def __call__(
        self,
        x: NDArray[Any],
        frequencies: Sequence[NDArray[Any] | None],
        state: str,
        probes: int,
        seed: int,
        advance: Callable[[float], None],
    ) -> list[InsensEstimate]:
        """Return the estimate of each layer's Omega.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        frequencies : sequence of numpy.ndarray or None
            m/N, one a layer, of the layer's shape; None: all ones.
        state : {"inactive", "active", "all"}
        probes, seed : int
            As `check_sampling` has them. Every input gets the same probes.
        advance : callable
            Called with the number of inputs' worth of work done since.
        """
        sizes = [probes // GROUPS + (group < probes % GROUPS) for group in range(GROUPS)]
        estimates = [
            InsensEstimate(np.empty_like(x), np.empty_like(x), int(probes), int(seed))
            for _ in self._layers
        ]
        for rows in slices(len(x), self._inputs_at_a_time):
            weighted = [
                weighted_activity(activity, frequency, state)[1]
                for activity, frequency in zip(self._passes.activities(x[rows]), frequencies)
            ]
            found = self._maps_and_errors(x[rows], weighted, sizes, seed, advance)
            for estimate, (omega, error) in zip(estimates, found):
                estimate.omega[rows], estimate.standard_error[rows] = omega, error
        return estimates

    def _maps_and_errors(
        self,
        x: NDArray[Any],
        weighted: Sequence[NDArray[Any]],
        sizes: Sequence[int],
        seed: int,
        advance: Callable[[float], None],
    ) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Return omega and standard error of each layer, for inputs that fit the budget at once."""
        found = []
        for layer, activity, squares in zip(
            self._layers, weighted, self._squares_of_groups(x, sizes, seed, advance)
        ):
            combine = partial(self._passes.backward[layer], x)
            warn_of_vanished_squares(layer, activity, squares.sum(axis=0), combine)
            found.append(map_and_error(activity, squares, sizes, combine))
        return found

    def _squares_of_groups(
        self, x: NDArray[Any], sizes: Sequence[int], seed: int, advance: Callable[[float], None]
    ) -> list[NDArray[Any]]:
        """Return each group's sum of (w z)^2, one array a layer, (groups, n, *layer shape)."""
        squares = [np.zeros((len(sizes), len(x), *layer.shape), x.dtype) for layer in self._layers]
        # Drawn one after another, the probes are the same in chunks of any size.
        random = np.random.default_rng(seed)
        for group, size in enumerate(sizes):
            for chunk in slices(size, max(1, self._rows_at_a_time // len(x))):
                count = chunk.stop - chunk.start
                for total, part in zip(
                    squares, self._squares(x, random.standard_normal((count, *x.shape[1:])))
                ):
                    total[group] += part
                advance(len(x) * count / sum(sizes))
        return squares


def map_and_error(
    activity: NDArray[Any],
    squares: NDArray[Any],
    sizes: Sequence[int],
    combine: Callable[[NDArray[Any]], NDArray[Any]],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the estimate of Omega (Eq. 8), and its standard error.

    Parameters
    ----------
    activity : numpy.ndarray, shape (n, *layer shape)
        (m/N) v of the neurons that are summed over, 0 of all others.
    squares : numpy.ndarray, shape (groups, n, *layer shape)
        The sum of (w z)^2 over the probes of each group.
    sizes : sequence of int
        How many probes each group has.
    combine : callable
        Takes a number a neuron, (n, *layer shape), and returns the sum over neurons of number * w,
        (n, *input_shape).
    """
    probes = sum(sizes)
    total = squares.sum(axis=0)
    # A neuron whose squares are too large for the dtype is not to pass for one far from its centre.
    total = np.where(np.isfinite(total), total, np.nan)
    multiples = equations.omega(float(probes - 2) * activity, total)
    omega = combine(multiples)
    variance = np.zeros(omega.shape)
    for size, part in zip(sizes, squares):
        share = np.divide(part, total, out=np.zeros(total.shape), where=total != 0)
        variance += np.square(combine(multiples * (share - size / probes)), dtype=np.float64)
    # Of one neuron the estimate's variance is 2 / (k - 4) of the square of what it estimates. As a
    # share is a beta variable, the sum's mean is that times (k - 2) / (k + 2) and what of 1 the
    # squares of the expected shares leave.
    of_shares = sum((size / probes) ** 2 for size in sizes)
    variance *= (probes + 2) / ((probes - 2) * (1 - of_shares))
    return omega, np.sqrt(variance)
