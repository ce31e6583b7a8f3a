"""Insens from random probes, and its error, against the oracle's exact maps."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import insens_tf
from insens_tf.estimate import InsensEstimate
from insens_tf.files import read_npz
from insens_tf.layer_estimate import GROUPS
from insens_tf.norm_estimator import map_and_error_numbers
from tests.architectures import build, images
from tests.conftest import Case, CaseOf, needs_eager_mode_off, slow, slow_but
from tests.oracle import Reference, assert_agrees

SEVERAL = ("dense", "conv 1x1 and a colour image", "2CONV", "graph with a sum")

# Pushing probes and seeds through every architecture is tested in test_row_norms.py and
# test_insens.py.
KINDS = (
    *SEVERAL,
    "conv strided",
    "pools padded, odd sizes",
    "averages, normalisation, zero padding",
    "leaky",
    "saturating",
    "graph with a shared layer and a model inside",
)


def lengths(maps: np.ndarray) -> np.ndarray:
    """The Euclidean length of each map."""
    return np.linalg.norm(maps.reshape(len(maps), -1), axis=1)


def sizes_of_groups(probes: int) -> list[int]:
    """As many probes in each group as there are, the first ones having one more."""
    return [len(group) for group in np.array_split(np.arange(probes), GROUPS)]


def map_and_error(
    terms: np.ndarray, inside: np.ndarray, squares: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Omega and its standard error, of the squares of probes, group by group, (probes, n, k)."""
    sizes = sizes_of_groups(len(squares))
    groups = np.stack([part.sum(axis=0) for part in np.array_split(squares, GROUPS)])
    numbers = map_and_error_numbers(terms, inside, groups, sizes)
    maps = np.einsum("gin,ind->gid", numbers, weights)
    return maps[0], np.sqrt(np.square(maps[1:]).sum(axis=0))


def estimated(
    reference: Reference, terms: np.ndarray, probes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Omega and its standard error, of probes that NumPy pushes through the oracle's weights."""
    weights = reference.weights.reshape(*terms.shape, -1)
    drawn = np.random.default_rng(seed).standard_normal((probes, weights.shape[-1]))
    squares = np.square(np.einsum("pd,ind->pin", drawn, weights))
    maps = map_and_error(terms, np.zeros(terms.shape), squares, weights)
    omega, standard_error = (one.reshape(reference.x.shape) for one in maps)
    return omega, standard_error


def errors_over_seeds(this: Case, probes: int, seeds: range) -> list[tuple[np.ndarray, np.ndarray]]:
    """Actual errors and standard errors of each layer: (seeds, n, *input_shape) both."""
    found = []
    for _, reference in this.hidden:
        terms = np.minimum(reference.activity, 0.0)
        runs = [estimated(reference, terms, probes, seed) for seed in seeds]
        omega, standard_error = (np.stack(one) for one in zip(*runs, strict=True))
        found.append((omega - reference.insens(), standard_error))
    return found


# --- against the exact maps ----------------------------------------------------------------------


@pytest.mark.parametrize("name", slow_but(KINDS, "2CONV", "pools padded, odd sizes", "leaky"))
def test_of_a_network(name: str, case: CaseOf) -> None:
    """It is what NumPy makes of the same probes, and within six of its errors of the exact map.

    With 8 groups the error of a map of one neuron is a t variable of about 7 degrees.
    """
    this = case(name, 0)
    random = np.random.default_rng(7)
    frequencies = {
        layer.name: np.clip(random.uniform(-0.2, 1.2, layer.shape), 0.0, 1.0)
        for layer in this.network.layers
    }
    for state, probes in (("inactive", 64), ("active", 67)):
        estimates = this.network.estimate_insens(
            this.x, list(this.network.layers), frequencies, state=state, probes=probes, seed=1
        )
        assert list(estimates) == [layer.name for layer in this.network.layers]
        for layer, reference in this.hidden:
            exact = reference.insens(frequencies[layer.name], state)
            estimate = estimates[layer.name]
            assert estimate.omega.shape == estimate.standard_error.shape == this.x.shape
            assert estimate.relative_error.shape == (len(this.x),)
            assert (estimate.relative_error < 0.6).all()
            actual = lengths(estimate.omega - exact)
            assert (actual <= 6.0 * lengths(estimate.standard_error)).all()

            counted = reference.activity <= 0 if state == "inactive" else reference.activity > 0
            terms = counted * reference.activity * frequencies[layer.name].ravel()
            omega, standard_error = estimated(reference, terms, probes, seed=1)
            assert_agrees(estimate.omega, omega, 1e-8)
            assert_agrees(estimate.standard_error, standard_error, 1e-8)


# --- calibration ---------------------------------------------------------------------------------
# Of the squares that NumPy makes, as a network's estimate has been found to be that of the same.


@pytest.mark.parametrize("probes", [16, 67])
@pytest.mark.parametrize("name", SEVERAL)
def test_errors_are_calibrated(name: str, probes: int, case: CaseOf) -> None:
    """Over seeds the mean square of the actual error is that of the standard error.

    67 probes do not divide into groups of one size.
    """
    this = case(name, 0)
    for actual, standard in errors_over_seeds(this, probes, range(30)):
        assert actual.any()
        assert np.sqrt(np.mean(actual**2) / np.mean(standard**2)) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("name", ["2CONV", "conv 1x1 and a colour image"])
def test_components_are_covered_and_without_bias(name: str, case: CaseOf) -> None:
    """Two standard errors cover what a t variable of 7 degrees has there: 0.91."""
    this = case(name, 0)
    seeds = range(40)
    for actual, standard in errors_over_seeds(this, 32, seeds):
        seen = standard > 0
        assert 0.87 < np.mean(np.abs(actual[seen]) < 2.0 * standard[seen]) < 0.95
        mean = actual.mean(axis=0)
        expected = np.sqrt(np.mean(standard**2) / len(seeds))
        assert np.sqrt(np.mean(mean**2)) < 1.4 * expected


@pytest.mark.xdist_group("conv valid")
def test_error_falls_with_the_square_root_of_the_probes(case: CaseOf) -> None:
    this = case("conv valid", 0)
    root_mean_squares = {
        probes: [
            np.sqrt(np.mean(maps**2)) for maps in errors_over_seeds(this, probes, range(24))[1]
        ]
        for probes in (16, 64, 256)
    }
    for fewer, more in ((16, 64), (64, 256)):
        # The variance of 1 / chi^2_k goes with 1 / (k - 4).
        expected = np.sqrt((more - 4) / (fewer - 4))
        for before, after in zip(root_mean_squares[fewer], root_mean_squares[more]):
            assert before / after == pytest.approx(expected, rel=0.2)


# --- the jackknife -------------------------------------------------------------------------------


def test_map_and_error_of_a_case_by_hand() -> None:
    """Three neurons, the last with w = 0; groups of 2, 2 and 3 probes; in loops."""
    random = np.random.default_rng(3)
    weights = random.normal(size=(3, 4))
    weights[2] = 0.0
    terms = random.normal(size=3)
    pushed = [weights @ random.normal(size=(4, size)) for size in (2, 2, 3)]
    squares = [(part**2).sum(axis=1) for part in pushed]

    omega, variance = np.zeros(4), np.zeros(4)
    for neuron in (0, 1):
        omega += 5.0 * terms[neuron] / sum(squares)[neuron] * weights[neuron]
    for size, part in zip((2, 2, 3), squares):
        change = np.zeros(4)
        for neuron in (0, 1):
            total = sum(squares)[neuron]
            change += (
                5.0 * terms[neuron] / total * (part[neuron] / total - size / 7) * weights[neuron]
            )
        variance += change**2
    variance *= 9 / 5 / (1 - (4 + 4 + 9) / 49)

    numbers = map_and_error_numbers(terms, np.zeros(3), np.stack(squares), (2, 2, 3))
    maps = numbers @ weights
    assert_agrees(maps[0], omega)
    assert_agrees(np.sqrt(np.square(maps[1:]).sum(axis=0)), np.sqrt(variance))


@pytest.mark.parametrize("sizes", [(2,) * 8, (8,) * 8, (7, 7, 7, 6, 6, 6, 6, 6)])
def test_of_one_neuron_mean_and_variance_are_exact(sizes: tuple[int, ...]) -> None:
    """Of w = 1 the estimate's mean is 1 and its variance 2 / (k - 4), as the squared error says."""
    draws = 200_000
    random = np.random.default_rng(5)
    squares = np.stack([random.chisquare(size, (draws, 1)) for size in sizes])
    numbers = map_and_error_numbers(np.ones((draws, 1)), np.zeros((draws, 1)), squares, sizes)
    estimates, errors = numbers[0], np.sqrt(np.square(numbers[1:]).sum(axis=0))
    variance = 2.0 / (sum(sizes) - 4)
    assert estimates.mean() == pytest.approx(1.0, abs=0.01)
    assert estimates.var() == pytest.approx(variance, rel=0.05)
    assert np.mean(errors**2) == pytest.approx(variance, rel=0.02)


# --- what a neuron, a map or a network may be ----------------------------------------------------


def test_nothing_comes_from_neurons_without_weights() -> None:
    """The second of two dense layers behind a dead one has w = 0, and v <= 0."""
    model = build("dense", 0)
    first, second = model.layers[:2]
    first.set_weights([np.zeros((7, 9)), np.full(9, -1.0)])
    second.set_weights([np.ones((9, 6)), np.full(6, -1.0)])
    x = images(model, 2)
    estimates = insens_tf.SwitchedNetwork(model).estimate_insens(x, [0, 1])
    for estimate in estimates.values():
        np.testing.assert_array_equal(estimate.omega, np.zeros(x.shape))
        np.testing.assert_array_equal(estimate.standard_error, np.zeros(x.shape))
        np.testing.assert_array_equal(estimate.relative_error, np.zeros(2))


@pytest.mark.xdist_group("conv valid")
def test_a_frequency_of_zero_leaves_nothing(case: CaseOf) -> None:
    this = case("conv valid", 0)
    zeros = np.zeros(this.network.layers[0].shape)
    estimate = this.network.estimate_insens(this.x, 0, zeros)
    np.testing.assert_array_equal(estimate.omega, np.zeros(this.x.shape))
    np.testing.assert_array_equal(estimate.relative_error, np.zeros(len(this.x)))


@pytest.mark.xdist_group("2CONV")
def test_float32_has_the_probes_of_float64(case: CaseOf) -> None:
    this = case("2CONV", 0)
    network = insens_tf.SwitchedNetwork(build("2CONV", 0, "float32"))
    double = this.network.estimate_insens(this.x, [0, 1, 2], probes=64)
    single = network.estimate_insens(this.x, [0, 1, 2], probes=64)
    for expected, actual in zip(double.values(), single.values(), strict=True):
        assert actual.omega.dtype == actual.standard_error.dtype == np.float32
        assert_agrees(actual.omega, expected.omega, 1e-4)
        assert_agrees(actual.standard_error, expected.standard_error, 1e-4)


@needs_eager_mode_off
def test_with_eager_mode_off(case: CaseOf) -> None:
    this = case("graph with a sum", 0)
    expected = this.network.estimate_insens(this.x, 1, probes=20)
    weights = this.model.get_weights()
    with tf.Graph().as_default(), tf.compat.v1.Session():
        model = build("graph with a sum")
        model.set_weights(weights)
        actual = insens_tf.SwitchedNetwork(model).estimate_insens(this.x, 1, probes=20)
    # Keras marks its classes, so that no model of eager mode can be called until one is built.
    build("graph with a sum")
    assert_agrees(actual.omega, expected.omega)
    assert_agrees(actual.standard_error, expected.standard_error)


# --- seeds, batches, budgets ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["2CONV", slow("graph with a shared layer and a model inside")])
def test_same_seed_same_estimate(name: str, case: CaseOf) -> None:
    """In any batch, with other layers or none, and in chunks of any size."""
    this = case(name, 0)
    x = images(this.model, 7, 3)
    layers = list(this.network.layers)
    together = this.network.estimate_insens(x, layers, probes=37, seed=5)
    other = this.network.estimate_insens(x, layers, probes=37, seed=6)
    small = insens_tf.SwitchedNetwork(this.model, memory_budget=2**20)
    again = small.estimate_insens(np.repeat(x, 5, axis=0), layers, probes=37, seed=5)
    alone = this.network.estimate_insens(x[4:5], -1, probes=37, seed=5)
    for kind in ("omega", "standard_error", "relative_error"):
        for layer in layers:
            expected = getattr(together[layer.name], kind)
            assert_agrees(getattr(again[layer.name], kind)[::5], expected, 1e-12)
            assert np.abs(getattr(other[layer.name], kind) - expected).max() > 1e-3
        assert_agrees(getattr(alone, kind)[0], expected[4], 1e-12)


@pytest.mark.xdist_group("2CONV")
def test_arrays_stay_within_the_memory_budget(case: CaseOf) -> None:
    """What NumPy holds, which tracemalloc sees, of 50 inputs: not a number a neuron and probe."""
    this = case("2CONV", 0)
    budget = 2**20
    network = insens_tf.SwitchedNetwork(this.model, memory_budget=budget)
    x = images(this.model, 50)
    network.estimate_insens(x[:1], 0, probes=16)
    tracemalloc.start()
    try:
        estimate = network.estimate_insens(x, 0, probes=16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - estimate.omega.nbytes - estimate.standard_error.nbytes < budget


def test_seeds_of_numpy_are_left_alone(case: CaseOf) -> None:
    this = case("dense", 0)
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    this.network.estimate_insens(this.x, 0)
    assert np.random.random() == expected  # noqa: NPY002


# --- the result, and wrong arguments -------------------------------------------------------------


def test_relative_error_and_what_is_shown_and_saved(tmp_path: Path) -> None:
    omega = np.array([[3.0, 4.0], [0.0, 0.0], [1e30, 0.0]], np.float32)
    error = np.array([[0.3, 0.4], [0.0, 0.0], [0.0, 2e29]], np.float32)
    estimate = InsensEstimate(omega, error, probes=64, seed=3, passes=np.full(3, 64))
    np.testing.assert_allclose(estimate.relative_error, [0.1, 0.0, 0.2], rtol=1e-6)
    assert repr(estimate) == (
        "InsensEstimate(omega=(3, 2), probes=64, seed=3, relative_error=0..0.2)"
    )
    estimate.save(tmp_path / "estimate.npz")
    arrays = read_npz(tmp_path / "estimate.npz")
    names = {"omega", "standard_error", "relative_error", "probes", "seed", "passes"}
    assert set(arrays) == names
    for name in names:
        np.testing.assert_array_equal(arrays[name], getattr(estimate, name))


@pytest.mark.parametrize("probes", [2 * GROUPS - 1, 0, -64, 64.0, "64", True])
def test_refuses_wrong_probes(probes: Any, case: CaseOf) -> None:
    this = case("dense", 0)
    with pytest.raises(ValueError, match=r"probes=.*: expected a whole number, at least 16"):
        this.network.estimate_insens(this.x, 0, probes=probes)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", False, None, [1]])
def test_refuses_wrong_seeds(seed: Any, case: CaseOf) -> None:
    this = case("dense", 0)
    with pytest.raises(ValueError, match=r"seed=.*: expected a whole number, at least 0"):
        this.network.estimate_insens(this.x, 0, seed=seed)


def test_refuses_what_insens_refuses(case: CaseOf) -> None:
    this = case("dense", 0)
    with pytest.raises(ValueError, match=r"state='off': expected one of 'inactive'"):
        this.network.estimate_insens(this.x, 0, state="off")
    with pytest.raises(ValueError, match="frequency"):
        this.network.estimate_insens(this.x, [0, 1], np.ones(9))
    with pytest.raises(ValueError, match="layer=9 is out of range"):
        this.network.estimate_insens(this.x, 9)
    with pytest.raises(ValueError, match="x: expected shape"):
        this.network.estimate_insens(this.x[0], 0)


def test_takes_numpy_integers_and_the_fewest_probes(case: CaseOf) -> None:
    this = case("dense", 0)
    sampling: dict[str, Any] = {"probes": np.int64(16), "seed": np.uint8(2)}
    actual = this.network.estimate_insens(this.x, 0, **sampling)
    expected = this.network.estimate_insens(this.x, 0, probes=16, seed=2)
    assert_agrees(actual.omega, expected.omega, 1e-12)
    assert repr(actual) == repr(expected)


def test_short_work_prints_nothing(case: CaseOf, capfd: pytest.CaptureFixture[str]) -> None:
    this = case("dense", 0)
    this.network.estimate_insens(this.x, 0)
    assert capfd.readouterr() == ("", "")
