"""Faithfulness of maps to a class: what an output does when pixels are taken away, or given back.

Pixels are what a map has one value of: over channels a map is summed first. They are ranked by
the map's values, the largest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from insens_tf.arguments import one_of, whole_number
from insens_tf.batches import BATCH_SIZE, outputs
from insens_tf.evaluation.noise_masks import NoiseForm, noise_on

__all__ = [
    "ScoreCurves",
    "deletion",
    "insertion",
    "mu_fidelity",
    "noise_accuracy",
]

STEPS = 20


@dataclass(frozen=True)
class ScoreCurves:
    """What an output is as more and more pixels are taken away or given back.

    Attributes
    ----------
    shares : numpy.ndarray of float64, shape (steps + 1,)
        The share of pixels, from 0 to 1.
    values : numpy.ndarray of float64, shape (n, steps + 1)
        The explained output of each input.
    """

    shares: NDArray[np.float64]
    values: NDArray[np.float64]

    @property
    def area(self) -> NDArray[np.float64]:
        """The area under each curve, by trapezoids, (n,)."""
        widths = np.diff(self.shares)
        return ((self.values[:, 1:] + self.values[:, :-1]) / 2 * widths).sum(axis=1)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean curve, (steps + 1,)."""
        return self.values.mean(axis=0)


def deletion(
    model: Any,
    x: ArrayLike,
    maps: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    steps: int = STEPS,
    baseline: float = 0.0,
) -> ScoreCurves:
    """Take pixels away, the most important first: a small area is good.

    Parameters
    ----------
    model : Keras model
        With one output, of one axis.
    x : array, shape (n, height, width, channels)
        The inputs.
    maps : array, shape (n, height, width) or (n, height, width, channels)
        Of any method; the larger, the more important.
    targets : array of int, shape (n,), optional
        Which output is explained of each input; None: the largest.
    steps : int
        In how many steps all pixels are taken away.
    baseline : float
        What stands where a pixel was taken away.

    Returns
    -------
    ScoreCurves

    Raises
    ------
    ValueError
        If the shapes do not go together, a map is not finite, or an argument is out of range.

    References
    ----------
    V. Petsiuk, A. Das and K. Saenko, "RISE: Randomized input sampling for explanation of black-box
    models", BMVC 2018, arXiv:1806.07421.
    """
    images, importance, explained = _checked(model, x, maps, targets)
    gone = np.full_like(images, baseline)
    return _curves(model, images, gone, importance, explained, steps)


def insertion(
    model: Any,
    x: ArrayLike,
    maps: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    steps: int = STEPS,
    baseline: float = 0.0,
) -> ScoreCurves:
    """Give pixels back to an empty image, the most important first: a large area is good.

    Parameters, results, errors and reference are those of `deletion`.
    """
    images, importance, explained = _checked(model, x, maps, targets)
    gone = np.full_like(images, baseline)
    return _curves(model, gone, images, importance, explained, steps)


def mu_fidelity(
    model: Any,
    x: ArrayLike,
    maps: ArrayLike,
    targets: ArrayLike | None = None,
    *,
    share: float = 0.2,
    samples: int = 200,
    baseline: float = 0.0,
    correlation: str = "pearson",
    seed: int = 0,
) -> NDArray[np.float64]:
    """Correlate what a map says of random sets of pixels with what the output loses without them.

    Parameters
    ----------
    model, x, maps, targets, baseline
        As `deletion` has them.
    share : float
        Of the pixels, how many a set has, above 0 and below 1.
    samples : int
        How many sets, at least 2; the same for every input.
    correlation : {"pearson", "spearman"}
        The published one; that of ranks.
    seed : int
        Decides the sets.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        In -1..1, 1 the best; NaN where the output or the map's sums are the same for all sets.

    Raises
    ------
    ValueError
        As `deletion`.

    References
    ----------
    U. Bhatt, A. Weller and J. M. F. Moura, "Evaluating and aggregating feature-based model
    explanations", IJCAI 2020, arXiv:2005.00631.
    """
    images, importance, explained = _checked(model, x, maps, targets)
    whole_number("samples", samples, least=2, of="sets")
    one_of("correlation", correlation, ("pearson", "spearman"))
    pixels = importance.shape[1]
    size = round(share * pixels)
    if not 0 < share < 1 or not size:
        raise ValueError(
            f"share={share!r}: expected one above 0 and below 1, of at least one of {pixels} pixels"
        )
    generator = np.random.default_rng(whole_number("seed", seed, least=0))
    # The places of the smallest of as many random numbers are a random set.
    sets = np.argsort(np.argsort(generator.random((samples, pixels)), axis=1), axis=1) < size
    return fidelity_to_sets(
        model, images, importance, explained, sets, baseline=baseline, correlation=correlation
    )


def fidelity_to_sets(
    model: Any,
    images: NDArray[np.floating],
    importance: NDArray[np.float64],
    explained: NDArray[np.int64],
    sets: NDArray[np.bool_],
    *,
    baseline: float,
    correlation: str,
) -> NDArray[np.float64]:
    """Return `mu_fidelity` for given sets of pixels, (sets, pixels), of checked arguments."""
    lost = _output(model, images, explained)[:, np.newaxis] - _without(
        model, images, explained, sets, baseline
    )
    sums = importance @ sets.T.astype(np.float64)
    return np.array([_correlation(*pair, correlation) for pair in zip(sums, lost)])


def noise_accuracy(
    model: Any,
    x: ArrayLike,
    maps: ArrayLike,
    labels: ArrayLike,
    standard_deviation: float,
    *,
    shares: ArrayLike = (0.0, 0.25, 0.5, 0.75),
    form: str | NoiseForm = "signed",
    seed: int = 0,
) -> NDArray[np.float64]:
    """Put noise on the pixels that a map has the smallest values of: a high accuracy is good.

    Parameters
    ----------
    model, x, maps
        As `deletion` has them.
    labels : array of int, shape (n,)
        The right classes.
    standard_deviation : float
        Of the noise, before its form is applied.
    shares : sequence of float
        The shares of pixels that get noise, in 0..1.
    form : str or NoiseForm
        As `add_noise` has it.
    seed : int
        Of the noise: the same whatever the maps and the share.

    Returns
    -------
    numpy.ndarray of float64, shape (shares,)
        The share of inputs that are classified right.

    Raises
    ------
    ValueError
        As `deletion`, and if there are no shares.
    """
    whole_number("seed", seed, least=0)
    images, importance, right = _checked(model, x, maps, labels)
    wanted = np.atleast_1d(np.asarray(shares, np.float64))
    if not wanted.size or not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError(f"shares={shares!r}: expected numbers in 0..1")
    ranks = _ranks(importance)
    found = []
    for share in wanted:
        count = round(share * importance.shape[1])
        mask = ranks >= importance.shape[1] - count
        noisy = noise_on(
            images,
            mask.reshape(images.shape[:3]),
            standard_deviation,
            np.random.default_rng(seed),
            form=form,
        )
        found.append((outputs(model, noisy).argmax(axis=1) == right).mean())
    return np.array(found)


def _checked(
    model: Any, x: ArrayLike, maps: ArrayLike, targets: ArrayLike | None
) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.int64]]:
    """Return the inputs, the importance of their pixels (n, pixels), and the explained outputs."""
    images = np.asarray(x)
    if images.ndim != 4 or not images.size or images.dtype.kind not in "biuf":
        raise ValueError(
            f"x: expected images (n, height, width, channels), came {images.dtype} of shape "
            f"{images.shape}"
        )
    images = images.astype(np.result_type(images.dtype, np.float32), copy=False)
    values = np.asarray(maps, np.float64)
    if values.ndim == 4:
        values = values.sum(axis=-1)
    if values.shape != images.shape[:3]:
        raise ValueError(
            f"maps: expected a value for each pixel, {images.shape[:3]}, or for each of its "
            f"channels, {images.shape}, came {np.shape(maps)}"
        )
    if not np.isfinite(values).all():
        raise ValueError("maps: expected finite numbers, came NaN or infinity")
    return images, values.reshape(len(images), -1), _explained(model, images, targets)


def _explained(
    model: Any, images: NDArray[np.floating], targets: ArrayLike | None
) -> NDArray[np.int64]:
    found = outputs(model, images)
    if found.ndim != 2:
        raise ValueError(
            f"model: expected one output a class, (n, classes), found shape {found.shape}"
        )
    if targets is None:
        return found.argmax(axis=1)
    chosen = np.asarray(targets)
    if chosen.shape != (len(images),) or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"targets: expected {len(images)} whole numbers, one an input, came {chosen.dtype} of "
            f"shape {chosen.shape}"
        )
    if chosen.min() < 0 or chosen.max() >= found.shape[1]:
        raise ValueError(
            f"targets: expected 0 to {found.shape[1] - 1}, came {chosen.min()} to {chosen.max()}"
        )
    return chosen.astype(np.int64)


def _ranks(importance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rank of each pixel, 0 the most important; equal ones in their order."""
    order = np.argsort(-importance, axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable")


def _curves(
    model: Any,
    start: NDArray[np.floating],
    end: NDArray[np.floating],
    importance: NDArray[np.float64],
    explained: NDArray[np.int64],
    steps: int,
) -> ScoreCurves:
    """Go from one image to another, the most important pixels first."""
    pixels = importance.shape[1]
    whole_number("steps", steps, least=1)
    counts = np.linspace(0, pixels, steps + 1).astype(np.int64)
    ranks = _ranks(importance).reshape(start.shape[:3])[..., np.newaxis]
    values = np.empty((len(start), steps + 1))
    for step, count in enumerate(counts):
        values[:, step] = _output(model, np.where(ranks < count, end, start), explained)
    return ScoreCurves(counts / pixels, values)


def _output(
    model: Any, images: NDArray[np.floating], explained: NDArray[np.int64]
) -> NDArray[np.float64]:
    found = outputs(model, images)
    return found[np.arange(len(found)), explained].astype(np.float64)


def _without(
    model: Any,
    images: NDArray[np.floating],
    explained: NDArray[np.int64],
    sets: NDArray[np.bool_],
    baseline: float,
) -> NDArray[np.float64]:
    """Return the explained outputs of images without each set of pixels, (n, sets)."""
    found = np.empty((len(images), len(sets)))
    # Few images go through the model with several sets at a time.
    together = max(1, BATCH_SIZE // len(images))
    for start in range(0, len(sets), together):
        part = sets[start : start + together]
        gone = part.reshape(len(part), 1, *images.shape[1:3], 1)
        changed = np.where(gone, images.dtype.type(baseline), images)
        values = _output(
            model, changed.reshape(-1, *images.shape[1:]), np.tile(explained, len(part))
        )
        found[:, start : start + together] = values.reshape(len(part), -1).T
    return found


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64], kind: str) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    function = stats.pearsonr if kind == "pearson" else stats.spearmanr
    return float(function(first, second)[0])
