"""An estimate of Insens, to a tolerance, for networks where the exact norms cost minutes.

Random probes are pushed forward, and their squares at every neuron are what its w w is estimated
from (`norm_estimator`). If more would be needed than it costs to look for better, random sums of
neurons are taken back to the input: they show the directions that carry most of what Omega is made
of. What lies inside of their span is then computed exactly, and only the rest estimated. This goes
on, each time with twice as many directions, until the maps' errors are small enough.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf import inline_html
from insens_tf.arguments import finite_number, whole_number
from insens_tf.estimate_passes import EstimatePasses, grouped
from insens_tf.estimate_rounds import LEAST_PROBES, Rounds
from insens_tf.files import save_arrays
from insens_tf.graph import Graph
from insens_tf.insens import warn_of_vanished_squares, weighted_activity
from insens_tf.layer_estimate import GROUPS, LayerEstimate
from insens_tf.layers import HiddenLayer
from insens_tf.progress import scaled

__all__ = [
    "MOST_PASSES",
    "TOLERANCE",
    "Estimator",
    "InsensEstimate",
    "Sampling",
    "checked_sampling",
    "warn_of_tolerance",
]

TOLERANCE = 0.05
"""The error of a map, relative to its length, unless told otherwise."""

MOST_PASSES = 2048
"""Of one input, unless told otherwise."""

# What is held for a neuron beside passes, in numbers of the network's dtype: what lies inside and
# each group's squares, while a map is made also its numbers and the error's. And in float64: the
# activity, and arrays on the way to the map.
HELD = 1 + GROUPS
HELD_FOR_A_MAP = 1 + GROUPS
HELD_IN_DOUBLE = 1
HELD_IN_DOUBLE_FOR_A_MAP = 6


@dataclass(frozen=True, eq=False)
class InsensEstimate:
    """Insens of a layer as random probes estimate it, and how far off it may be.

    Attributes
    ----------
    omega : numpy.ndarray, shape (n, *input_shape)
        The estimate of Omega (Eq. 8).
    standard_error : numpy.ndarray, shape (n, *input_shape)
        Of each component of omega: about what its standard deviation over seeds is. 0 of a layer
        whose neurons see so little that their norms were computed exactly.
    probes : int
        How many random ones there were, of the input that had most: the error falls with their
        square root.
    seed : int
        What they were drawn from.
    passes : numpy.ndarray of int, shape (n,)
        How many directions of the input were pushed forward and sums of neurons were taken back,
        for this layer and those that were estimated with it; the maps and their errors come on top.
    """

    omega: NDArray[Any]
    standard_error: NDArray[Any]
    probes: int
    seed: int
    passes: NDArray[np.int64]

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it as an npz file (no pickle), whole or not at all.

        The arrays are named as the attributes are.
        """
        names = ("omega", "standard_error", "relative_error", "probes", "seed", "passes")
        save_arrays(path, {name: getattr(self, name) for name in names})

    def _repr_html_(self) -> str:
        shown = zip(self.omega[: inline_html.MOST], self.relative_error)
        figures = [
            inline_html.figure(inline_html.map_picture(omega), f"Ω, off by about {error:.1%}")
            for omega, error in shown
        ]
        return inline_html.drawn(figures) + inline_html.paragraphs(repr(self))

    def __repr__(self) -> str:
        errors = self.relative_error
        return (
            f"InsensEstimate(omega={self.omega.shape}, probes={self.probes}, seed={self.seed}, "
            f"relative_error={errors.min():.2g}..{errors.max():.2g})"
        )


@dataclass(frozen=True)
class Sampling:
    """How much is drawn, and from what: to a tolerance, or a number of probes."""

    tolerance: float
    probes: int | None
    most_passes: int
    seed: int


def checked_sampling(tolerance: Any, probes: Any, most_passes: Any, seed: Any) -> Sampling:
    """Return what is drawn; raise ValueError for what `estimate_insens` does not take."""
    if tolerance is not None and probes is not None:
        raise ValueError(
            f"tolerance={tolerance!r} and probes={probes!r}: expected one of them; tolerance takes "
            "as many probes as it needs, probes takes so many and says the error"
        )
    if tolerance is None:
        tolerance = TOLERANCE
    hint = ": the error of a map relative to its length"
    return Sampling(
        finite_number("tolerance", tolerance, above=0, most=1, hint=hint),
        None if probes is None else whole_number("probes", probes, least=LEAST_PROBES),
        whole_number("most_passes", most_passes, least=LEAST_PROBES),
        whole_number("seed", seed, least=0),
    )


def warn_of_tolerance(
    layers: Sequence[HiddenLayer], estimates: Sequence[InsensEstimate], sampling: Sampling
) -> None:
    """Warn of maps whose errors are larger than what was asked for, with the errors they have."""
    too_large = [
        f"{layer.name!r} {estimate.relative_error.max():.2g}"
        for layer, estimate in zip(layers, estimates)
        if (estimate.relative_error > sampling.tolerance).any()
    ]
    if too_large:
        warnings.warn(
            f"estimate_insens: after most_passes={sampling.most_passes} the error is still above "
            f"tolerance={sampling.tolerance:g} of {'layer' if len(too_large) == 1 else 'layers'} "
            f"{', '.join(too_large)}; allow more most_passes, ask for a larger tolerance, or take "
            "insens, which is exact (plan() says what it takes)",
            RuntimeWarning,
            stacklevel=3,
        )


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
        size = graph.dtype.size

        def held(group: Sequence[HiddenLayer]) -> float:
            neurons = [layer.neurons for layer in group]
            of_all = sum(neurons) * (size * HELD + 8 * HELD_IN_DOUBLE)
            return of_all + max(neurons) * (size * HELD_FOR_A_MAP + 8 * HELD_IN_DOUBLE_FOR_A_MAP)

        # Half of the budget is for passes and the state, an eighth for the basis: itself, and
        # three times while it is extended.
        self._groups = grouped(layers, held, memory_budget * 3 / 8)
        self._passes = [EstimatePasses(graph, group, memory_budget / 2) for group in self._groups]
        of_a_direction = 4 * size * graph.operations[0].size
        self._largest_basis = memory_budget // 8 // of_a_direction

    def __call__(
        self,
        x: NDArray[Any],
        frequencies: Sequence[NDArray[Any] | None],
        state: str,
        sampling: Sampling,
        advance: Callable[[float], None],
    ) -> list[InsensEstimate]:
        """Return the estimate of each layer's Omega.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        frequencies : sequence of numpy.ndarray or None
            m/N, one a layer, of the layer's shape; None: all ones.
        state : {"inactive", "active", "all"}
        sampling : Sampling
            Every input gets the same probes.
        advance : callable
            Called with the number of inputs' worth of work done since.
        """
        found: dict[HiddenLayer, list[LayerEstimate]] = {layer: [] for layer in self._layers}
        frequency_of = dict(zip(self._layers, frequencies))
        for row in range(len(x)):
            for group, passes in zip(self._groups, self._passes):
                estimates = self._of_an_input(
                    group,
                    passes,
                    x[row : row + 1],
                    [frequency_of[layer] for layer in group],
                    state,
                    sampling,
                    scaled(advance, len(group) / len(self._layers)),
                )
                for layer, estimate in zip(group, estimates):
                    found[layer].append(estimate)
        return [
            InsensEstimate(
                np.stack([one.omega for one in found[layer]]),
                np.stack([one.standard_error for one in found[layer]]),
                max(one.probes for one in found[layer]),
                sampling.seed,
                np.array([one.passes for one in found[layer]]),
            )
            for layer in self._layers
        ]

    def _of_an_input(
        self,
        layers: Sequence[HiddenLayer],
        passes: EstimatePasses,
        x: NDArray[Any],
        frequencies: Sequence[NDArray[Any] | None],
        state: str,
        sampling: Sampling,
        advance: Callable[[float], None],
    ) -> list[LayerEstimate]:
        """Return the estimates of some layers for one input, (1, *input_shape)."""
        held, activities = passes.at(x)
        weighted = [
            weighted_activity(activity, frequency, state)[1][0]
            for activity, frequency in zip(activities, frequencies)
        ]

        def check(index: int, activity: NDArray[Any], norms: NDArray[Any]) -> None:
            warn_of_vanished_squares(
                layers[index],
                activity[np.newaxis],
                norms[np.newaxis],
                lambda numbers: passes.maps(held, index, numbers),
            )

        rounds = Rounds(passes, x, held, weighted, sampling.seed, self._largest_basis, check)
        if sampling.probes is not None:
            return rounds.of_probes(sampling.probes, advance)
        return rounds.to_tolerance(sampling.tolerance, sampling.most_passes, advance)
