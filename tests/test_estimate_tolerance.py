"""Insens to a tolerance: the formulas and rounds on explicit matrices, and networks' estimates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import insens_tf
from insens_tf import estimate_passes, estimate_rounds, norm_estimator
from insens_tf.estimate_passes import grouped
from insens_tf.estimate_rounds import LEAST_PROBES, Rounds
from insens_tf.graph import Graph
from insens_tf.layer_estimate import GROUPS, LayerEstimate
from tests.architectures import build
from tests.conftest import CaseOf, needs_eager_mode_off
from tests.oracle import assert_agrees

SLOW = pytest.mark.slow

SIZE = 60
"""Of the inputs of explicit matrices."""


class MatrixPasses:
    """What `EstimatePasses` does, of layers that are matrices, (neurons, SIZE)."""

    def __init__(self, layers: Sequence[np.ndarray], rows: int = 64, colours: int = 10**6) -> None:
        self.layers = layers
        self.shapes = [(len(layer),) for layer in layers]
        self.rows = rows
        self.colours_of_each = colours

    def depth(self, wanted: Sequence[int]) -> int:
        return 1 + max(wanted)

    def work(self, wanted: Sequence[int]) -> float:
        return float(self.depth(wanted))

    def rows_forward(self, depth: int) -> int:
        return self.rows

    def rows_back(self, depth: int) -> int:
        return self.rows

    def outside(self, basis: np.ndarray, rows: np.ndarray) -> np.ndarray:
        basis = np.asarray(basis)
        return rows - rows @ basis.T @ basis

    def extended_basis(self, basis: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return extended(basis, rows)

    def squares(
        self, state: Any, directions: np.ndarray, groups: np.ndarray, depth: int
    ) -> list[np.ndarray]:
        assert len(directions) <= self.rows
        assert groups[0] == 0
        of_groups = np.eye(groups[-1] + 1)[groups].T
        return [of_groups @ np.square(directions @ layer.T) for layer in self.layers[:depth]]

    def sums(
        self, state: Any, sizes: Sequence[np.ndarray], signs: Sequence[np.ndarray]
    ) -> np.ndarray:
        assert all(len(one) <= self.rows for one in signs)
        numbers = [
            np.where(plus, 1, -1) * np.asarray(size)
            for size, plus in zip(sizes, signs, strict=True)
        ]
        return np.sum([one @ layer for one, layer in zip(numbers, self.layers)], axis=0)

    def maps(self, state: Any, layer: int, numbers: np.ndarray) -> np.ndarray:
        return numbers @ self.layers[layer]

    def colours(self, wanted: Sequence[int]) -> int:
        return self.colours_of_each

    def coloured(self, wanted: Sequence[int], chosen: slice) -> np.ndarray:
        return np.eye(SIZE)[chosen]


def extended(basis: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray(norm_estimator.extended_basis(tf.constant(basis), tf.constant(rows)))


def matrix(decay: float, seed: int = 0, neurons: int = 80, rank: int = SIZE) -> np.ndarray:
    """Rows whose singular values fall as a power of their number, each row of another length."""
    random = np.random.default_rng(seed)
    left = random.normal(size=(neurons, rank))
    right = np.linalg.qr(random.normal(size=(SIZE, rank)))[0].T
    return (
        random.uniform(0.2, 3.0, (neurons, 1)) * left * np.arange(1, rank + 1) ** -decay
    ) @ right


def activity(weights: np.ndarray, seed: int = 0) -> np.ndarray:
    """A number a neuron, some of them 0, of one sign as those of inactive neurons are."""
    random = np.random.default_rng([seed, 2])
    lengths = np.linalg.norm(weights, axis=1)
    return -lengths * random.uniform(0, 1, len(weights)) * (random.uniform(size=len(weights)) < 0.7)


def lengths(maps: np.ndarray) -> np.ndarray:
    """The Euclidean length of each map."""
    return np.linalg.norm(maps.reshape(len(maps), -1), axis=1)


def exact(weights: np.ndarray, terms: np.ndarray) -> np.ndarray:
    return (terms / np.square(weights).sum(axis=1)) @ weights


def rounds(passes: Any, seed: int = 0, largest_basis: int = SIZE) -> Rounds:
    weighted = [activity(layer, number) for number, layer in enumerate(passes.layers)]
    x = np.zeros((1, SIZE))
    return Rounds(passes, x, {}, weighted, seed, largest_basis, lambda *checked: None)


def estimated(passes: Any, tolerance: float, **options: Any) -> list[LayerEstimate]:
    most = options.pop("most_passes", 4000)
    return rounds(passes, **options).to_tolerance(tolerance, most, lambda share: None)


# --- the formulas --------------------------------------------------------------------------------


def test_what_is_inside_and_outside_of_a_basis_adds_up() -> None:
    """Over all directions of the input, whatever the basis: so no probe is off on average."""
    weights, random = matrix(1.0), np.random.default_rng(1)
    for rows in (0, 1, 13, SIZE):
        basis = extended(np.empty((0, SIZE)), random.normal(size=(rows, SIZE)))
        inside = np.square(weights @ basis.T).sum(axis=1)
        directions = np.asarray(norm_estimator.outside(basis, np.eye(SIZE)))
        rest = 7 * np.square(directions @ weights.T).sum(axis=0)
        norms = norm_estimator.squared_norms(inside, rest, 7)
        np.testing.assert_allclose(norms, np.square(weights).sum(axis=1), rtol=1e-12)


def test_a_basis_stays_orthonormal_and_spans_what_is_given() -> None:
    random = np.random.default_rng(0)
    first = extended(np.empty((0, SIZE)), random.normal(size=(5, SIZE)))
    dependent = np.concatenate(
        [first[:2], 1e-9 * random.normal(size=(3, SIZE)), np.zeros((2, SIZE))]
    )
    basis = extended(first, dependent)
    np.testing.assert_allclose(basis @ basis.T, np.eye(8), atol=1e-12)
    np.testing.assert_allclose(norm_estimator.outside(basis, first), 0, atol=1e-12)
    np.testing.assert_allclose(norm_estimator.outside(basis, 1e9 * dependent[2:5]), 0, atol=1e-9)


@pytest.mark.parametrize("inside", [0.0, 0.3, 0.9, 1.0])
def test_the_mean_of_an_inverse_is_nearly_without_bias(inside: float) -> None:
    """Without the correction it would be 2 / k of the square of the share that is estimated."""
    probes, draws = 16, 200_000
    random = np.random.default_rng(0)
    squares = (1 - inside) * random.chisquare(probes / GROUPS, (GROUPS, draws))
    sizes = [probes // GROUPS] * GROUPS
    ones = np.ones(draws)
    numbers = norm_estimator.map_and_error_numbers(ones, inside * ones, squares, sizes)
    assert numbers[0].mean() == pytest.approx(1.0, abs=0.01)
    spread, stated = numbers[0].std(), np.sqrt(np.square(numbers[1:]).sum(axis=0).mean())
    assert stated == pytest.approx(spread, rel=0.12, abs=1e-12)


def test_a_neuron_that_nothing_is_known_of_adds_nothing() -> None:
    numbers = norm_estimator.map_and_error_numbers(
        np.ones(2), np.array([0.0, 2.0]), np.zeros((2, 2)), (8, 8)
    )
    np.testing.assert_array_equal(numbers, [[0.0, 0.5], [0.0, 0.0], [0.0, 0.0]])
    weights = norm_estimator.importance(np.array([-1.0, -1.0, 2.0]), np.array([0.0, np.nan, 4.0]))
    np.testing.assert_array_equal(weights, [0.0, 0.0, 0.5])


# --- the rounds ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decay", [0.7, pytest.param(0.0, marks=SLOW), pytest.param(1.5, marks=SLOW)]
)
def test_stated_errors_are_the_actual_ones(decay: float) -> None:
    """Root mean squares over seeds, where the spectrum is flat and where it falls."""
    weights = matrix(decay)
    terms = activity(weights)
    for tolerance in (0.1, 0.03):
        stated, actual = [], []
        for seed in range(40):
            (found,) = estimated(MatrixPasses([weights]), tolerance, seed=seed)
            assert found.error <= tolerance
            assert found.error == pytest.approx(
                np.linalg.norm(found.standard_error) / np.linalg.norm(found.omega)
            )
            stated.append(found.error)
            actual.append(np.linalg.norm(found.omega - exact(weights, terms)))
        actual = np.array(actual) / np.linalg.norm(exact(weights, terms))
        ratio = np.sqrt(np.mean(np.square(actual)) / np.mean(np.square(stated)))
        assert 0.7 < ratio < 1.4


def test_few_passes_where_few_directions_matter() -> None:
    """And not many more than of random probes where all matter alike."""

    def probes(weights: np.ndarray, tolerance: float) -> int:
        error = np.mean(
            [
                rounds(MatrixPasses([weights]), seed).of_probes(64, print)[0].error
                for seed in range(8)
            ]
        )
        return norm_estimator.probes_for(tolerance, float(error), 64)

    steep, flat = matrix(2.0), matrix(0.0, neurons=400)
    (found,) = estimated(MatrixPasses([steep]), 0.01)
    assert found.passes < probes(steep, 0.01) / 3
    (found,) = estimated(MatrixPasses([flat]), 0.03, largest_basis=32)
    assert found.passes < 1.5 * probes(flat, 0.03)


def test_exact_once_the_basis_spans_all_rows() -> None:
    weights = matrix(0.5, rank=12)
    (found,) = estimated(MatrixPasses([weights]), 1e-6)
    assert found.passes < 150
    np.testing.assert_allclose(found.omega, exact(weights, activity(weights)), rtol=1e-9)
    few = matrix(0.5, neurons=9)
    (found,) = estimated(MatrixPasses([few]), 1e-6)
    np.testing.assert_allclose(found.omega, exact(few, activity(few)), rtol=1e-9)


def test_exact_where_coloured_probes_are_fewer() -> None:
    weights = matrix(0.0)
    (found,) = estimated(MatrixPasses([weights], rows=7, colours=SIZE), 0.01)
    assert found.passes == LEAST_PROBES + SIZE
    assert found.error == 0.0
    np.testing.assert_allclose(found.omega, exact(weights, activity(weights)), rtol=1e-12)


def test_layers_share_passes() -> None:
    layers = [matrix(1.0, seed) for seed in range(3)]
    together = estimated(MatrixPasses(layers), 0.03)
    assert max(one.error for one in together) <= 0.03
    alone = [estimated(MatrixPasses([layer]), 0.03)[0].passes for layer in layers]
    assert max(one.passes for one in together) < sum(alone)


def test_the_same_in_blocks_of_any_size() -> None:
    layers = [matrix(1.0, 0), matrix(0.5, 1)]
    expected = estimated(MatrixPasses(layers), 0.03, seed=4)
    other = estimated(MatrixPasses(layers), 0.03, seed=5)
    again = estimated(MatrixPasses(layers, rows=3), 0.03, seed=4)
    for one, same, another in zip(expected, again, other, strict=True):
        assert (one.passes, one.probes) == (same.passes, same.probes)
        np.testing.assert_allclose(same.omega, one.omega, rtol=1e-9)
        np.testing.assert_allclose(same.error, one.error, rtol=1e-7)
        assert np.abs(another.omega - one.omega).max() > 1e-6


def test_no_more_passes_than_allowed() -> None:
    weights = matrix(0.0)
    for most in (16, 17, 50, 111):
        (found,) = estimated(MatrixPasses([weights]), 1e-3, most_passes=most, largest_basis=20)
        assert found.passes == most
        assert 1e-3 < found.error < 1


def test_progress_goes_to_one() -> None:
    for most in (16, 300, 4000):
        told: list[float] = []
        rounds(MatrixPasses([matrix(0.5)])).to_tolerance(0.01, most, told.append)
        assert min(told) >= 0
        assert sum(told) == pytest.approx(1.0)


def test_a_few_sums_of_groups_have_the_error_of_all() -> None:
    """On average over groups that are alike and add up to 0, whatever each is."""
    random = np.random.default_rng(0)
    groups = random.normal(size=(GROUPS, 40_000)) * random.uniform(0, 2, 40_000)
    groups -= groups.mean(axis=0)
    few = norm_estimator.few_error_numbers(groups)
    assert len(few) < GROUPS / 2
    assert np.square(few).sum() == pytest.approx(np.square(groups).sum(), rel=0.03)
    assert abs(np.sum(few[0] * few[1])) < 0.02 * np.square(few).sum()


class CountedPasses(MatrixPasses):
    """Counts the maps that are made of each layer, and whether the whole error is."""

    def __init__(self, layers: Sequence[np.ndarray]) -> None:
        super().__init__(layers)
        self.mapped: list[tuple[int, int]] = []

    def maps(self, state: Any, layer: int, numbers: np.ndarray) -> np.ndarray:
        self.mapped.append((layer, len(numbers)))
        return super().maps(state, layer, numbers)


def test_looks_at_what_decides_and_maps_what_is_done() -> None:
    # Of flat spectra errors are like the shares that a basis leaves outside.
    passes = CountedPasses([matrix(0.0, seed) for seed in range(6)])
    this = rounds(passes)
    this._push_probes(64, lambda count: None)
    this._look(0.01, of=6)
    # Of the first three by all groups; of the others two sums of the groups tell them roughly.
    assert passes.mapped == [*((layer, 1 + GROUPS) for layer in range(3)), (3, 3), (4, 3), (5, 3)]
    first = [one.error for one in this._layers]
    for layer, error in enumerate(first):
        this._update_maps([layer])
        assert error == pytest.approx(this._layers[layer].error, rel=0.5)

    by_error = np.argsort(first)
    for one, error in zip(by_error, (0.02, 0.03, 0.1, 0.5, 0.6, 0.7), strict=True):
        this._layers[one].error = error
    passes.mapped.clear()
    this._taken += 1
    # Of the first three errors become about 0.15, a fourth: of the others they are said to.
    this._look(0.022, expected=0.9)
    deciding, others = [int(one) for one in by_error[:2:-1]], by_error[:3]
    assert passes.mapped[:3] == [(one, 1 + GROUPS) for one in deciding]
    assert passes.mapped[3:] == [(int(others[0]), 1 + GROUPS)]
    assert this._layers[others[0]].passes == this._taken
    assert [this._layers[one].error for one in others[1:]] == pytest.approx([0.027, 0.09])


def test_no_end_by_luck_where_few_directions_hold_much() -> None:
    """Probes that miss these directions say of no error that it is.

    Ends by luck made it 1.28 times as large as was said.
    """
    weights = matrix(1.5)
    expected = exact(weights, activity(weights))
    stated, actual = [], []
    for seed in range(150):
        (layer,) = rounds(MatrixPasses([weights]), seed).to_tolerance(0.2, 2000, lambda done: None)
        assert layer.passes >= estimate_rounds.PROBES_WITHOUT_A_BASIS
        stated.append(layer.error)
        actual.append(np.linalg.norm(layer.omega - expected) / np.linalg.norm(layer.omega))
    assert np.sqrt(np.mean(np.square(actual)) / np.mean(np.square(stated))) < 1.23


def test_what_is_predicted_falls_as_what_decides_does() -> None:
    passes = CountedPasses([matrix(0.0, seed) for seed in range(5)])
    this = rounds(passes)
    this._push_probes(64, lambda count: None)
    for one, layer in enumerate(this._layers):
        layer.error = 10.0 - one
    this._look(1e-3)
    change = max(this._layers[one].error / (10.0 - one) for one in range(3))
    assert change < 0.1
    assert [one.error for one in this._layers[3:]] == pytest.approx([7 * change, 6 * change])


@pytest.mark.parametrize(
    ("errors", "colours", "left", "expected"),
    [
        # The last one needs all probes anyhow: exactness of the others comes on top.
        ((0.1, 0.1, 0.5), (10, 20, 3000), 5000, 0),
        ((0.5, 0.1, 0.06), (10, 300, 900), 5000, 1),
        ((0.5, 0.4, 0.06), (10, 300, 2000), 5000, 2),
        ((0.5, 0.4, 0.4), (10, 20, 30), 5000, 3),
        # There are no passes for it.
        ((0.5, 0.4, 0.06), (10, 300, 2000), 299, 0),
        ((0.5, 0.4, 0.4), (10, 20, 30), 9, 0),
    ],
)
def test_as_many_first_layers_are_exact_as_spare_most(
    errors: tuple[float, ...], colours: tuple[int, ...], left: int, expected: int
) -> None:
    """Of all numbers of them, by the work of what is pushed for these and for the others."""

    class Passes(MatrixPasses):
        def colours(self, wanted: Sequence[int]) -> int:
            return colours[max(wanted)]

    this = rounds(Passes([matrix(0.0, seed) for seed in range(3)]))
    this._push_probes(16, lambda count: None)
    for layer, error in zip(this._layers, errors, strict=True):
        layer.error = error

    def work(exact: int) -> float:
        needed = [1.1 * 16 * (error / 0.05) ** 2 - 16 for error in errors[exact:]]
        pushed = 3 * min(max([*needed, 0.0]), left)
        return pushed + (exact * colours[exact - 1] if exact else 0)

    possible = [one for one in range(4) if one == 0 or colours[one - 1] <= left]
    assert min(possible, key=work) == expected
    assert this._cheaper_exactly(0.05, left) == list(range(expected))


# --- of networks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["dense", pytest.param("2CONV", marks=SLOW), pytest.param("graph with a sum", marks=SLOW)],
)
def test_of_a_network(name: str, case: CaseOf) -> None:
    """All layers in one sweep are as near as they say."""
    this = case(name, 0)
    for tolerance in (0.1, 1e-9):
        estimates = this.network.estimate_insens(
            this.x, list(this.network.layers), tolerance=tolerance, seed=1
        )
        for layer, reference in this.hidden:
            estimate = estimates[layer.name]
            assert estimate.passes.shape == (len(this.x),)
            assert (estimate.relative_error <= tolerance).all()
            difference = lengths(estimate.omega - reference.insens())
            assert (difference <= 5 * tolerance * lengths(reference.insens())).all()


@pytest.mark.parametrize(
    "name",
    [
        "dense",
        "graph with a sum",
        pytest.param("conv strided", marks=SLOW),
        pytest.param("2CONV", marks=SLOW),
        pytest.param("graph with a shared layer and a model inside", marks=SLOW),
    ],
)
def test_sums_over_several_layers(name: str, case: CaseOf) -> None:
    """Taken back all at once they are those of each layer by itself, from the oracle's weights."""
    this = case(name, 0)
    random = np.random.default_rng(0)
    positions = [layer.position for layer in this.network.layers]
    numbers = [random.normal(size=(3, *layer.shape)) for layer in this.network.layers]
    graph = this.network._graph
    setting = graph.setting_state(positions)
    state = dict(zip(setting, graph.values(tf.constant(this.x[:1]), setting), strict=True))
    actual = graph.taken_back(state, positions, [tf.constant(one) for one in numbers])
    expected = sum(
        one.reshape(3, -1) @ reference.weights[0].reshape(one[0].size, -1)
        for one, (_, reference) in zip(numbers, this.hidden, strict=True)
    )
    assert_agrees(np.asarray(actual).reshape(3, -1), expected)


@pytest.mark.parametrize(
    "name",
    [
        "dense",
        "graph with a sum",
        pytest.param("2CONV", marks=SLOW),
        pytest.param("graph with a concatenation", marks=SLOW),
        pytest.param("graph with a shared layer and a model inside", marks=SLOW),
    ],
)
def test_maps_station_by_station(name: str, case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are on the way, they are those of the oracle's weights."""
    monkeypatch.setattr(estimate_passes, "OPERATIONS_BETWEEN_STATIONS", 1)
    this = case(name, 0)
    graph, layers = this.network._graph, this.network.layers
    passes = estimate_passes.EstimatePasses(graph, layers, 2**29)
    state, _ = passes.at(this.x[:1])
    random = np.random.default_rng(0)
    for index, (layer, reference) in enumerate(this.hidden):
        numbers = random.normal(size=(3, *layer.shape))
        expected = numbers.reshape(3, -1) @ reference.weights[0].reshape(layer.neurons, -1)
        assert_agrees(passes.maps(state, index, numbers).reshape(3, -1), expected)
    on_the_way = [
        step.to_layer for step in passes._steps_back.values() if step.to_layer is not None
    ]
    # The branches that are concatenated begin before the first hidden layer.
    assert bool(on_the_way) == (name != "graph with a concatenation")


@pytest.mark.parametrize("seed", range(5))
def test_the_last_on_every_way_is_what_cuts_all_of_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    operands: list[tuple[int, ...]] = [()]
    for position in range(1, 15):
        before = random.choice(position, min(position, int(random.integers(1, 3))), replace=False)
        operands.append(tuple(int(one) for one in before))
    graph = Graph(
        [SimpleNamespace(operands=one, shape=(1,), size=1) for one in operands],  # type: ignore[misc]
        tf.float32,
    )

    def reaches(position: int, without: int) -> bool:
        if position == without:
            return False
        return position == 0 or any(reaches(one, without) for one in operands[position])

    for position in range(1, 15):
        candidates = random.choice(15, 8, replace=False).tolist()
        cutting = [one for one in candidates if 0 < one < position and not reaches(position, one)]
        assert graph.last_on_every_way(position, candidates) == max(cutting, default=0)


def test_the_same_in_any_batch(case: CaseOf) -> None:
    this = case("dense", 0)
    layers = list(this.network.layers)
    together = this.network.estimate_insens(this.x, layers, tolerance=0.1, seed=3)
    alone = this.network.estimate_insens(this.x[1:], layers, tolerance=0.1, seed=3)
    for layer in layers:
        assert_agrees(alone[layer.name].omega[0], together[layer.name].omega[1], 1e-9)
        assert alone[layer.name].passes[0] == together[layer.name].passes[1]


def test_layers_that_do_not_fit_the_budget_share_no_passes(case: CaseOf) -> None:
    this = case("2CONV", 0)
    layers = [this.network.layers[number] for number in (2, 0, 1)]
    assert [[one.index for one in group] for group in grouped(layers, len, 2)] == [[0, 1], [2]]
    assert [[one.index for one in group] for group in grouped(layers, len, 0)] == [[0], [1], [2]]


@SLOW
def test_layers_of_a_sweep_keep_their_order(case: CaseOf) -> None:
    this = case("2CONV", 0)
    network = insens_tf.SwitchedNetwork(this.model, memory_budget=2**20)
    layers = [network.layers[2], network.layers[0], network.layers[1]]
    estimates = network.estimate_insens(this.x, layers, tolerance=1e-8)
    assert list(estimates) == [layer.name for layer in layers]
    for layer, reference in this.hidden:
        assert_agrees(estimates[layer.name].omega, reference.insens(), 1e-7)


def test_says_where_the_tolerance_is_not_reached(case: CaseOf) -> None:
    this = case("conv valid", 0)
    words = (
        r"after most_passes=20 the error is still above tolerance=0.001 of layer "
        rf"'{re.escape(this.network.layers[-1].name)}' 0\.\d+; allow more most_passes"
    )
    with pytest.warns(RuntimeWarning, match=words):
        estimate = this.network.estimate_insens(this.x, -1, tolerance=0.001, most_passes=20)
    assert (estimate.relative_error > 0.001).all()
    assert (estimate.passes == 20).all()


@SLOW
@needs_eager_mode_off
def test_with_eager_mode_off(case: CaseOf) -> None:
    this = case("graph with a sum", 0)
    expected = this.network.estimate_insens(this.x, 1, tolerance=0.01)
    weights = this.model.get_weights()
    with tf.Graph().as_default(), tf.compat.v1.Session():
        model = build("graph with a sum")
        model.set_weights(weights)
        actual = insens_tf.SwitchedNetwork(model).estimate_insens(this.x, 1, tolerance=0.01)
    # Keras marks its classes, so that no model of eager mode can be called until one is built.
    build("graph with a sum")
    assert_agrees(actual.omega, expected.omega)


@pytest.mark.parametrize("tolerance", [0, -0.1, 1.5, np.nan, np.inf, "0.1", True, [0.1]])
def test_refuses_wrong_tolerances(tolerance: Any, case: CaseOf) -> None:
    this = case("dense", 0)
    with pytest.raises(
        ValueError, match=r"tolerance=.*: expected a finite number, above 0 and at most 1"
    ):
        this.network.estimate_insens(this.x, 0, tolerance=tolerance)


@pytest.mark.parametrize("most_passes", [15, 0, -1, 100.0, "100", True, None])
def test_refuses_wrong_numbers_of_passes(most_passes: Any, case: CaseOf) -> None:
    this = case("dense", 0)
    with pytest.raises(ValueError, match=r"most_passes=.*: expected a whole number, at least 16"):
        this.network.estimate_insens(this.x, 0, most_passes=most_passes)


def test_refuses_a_tolerance_together_with_probes(case: CaseOf) -> None:
    this = case("dense", 0)
    with pytest.raises(ValueError, match=r"tolerance=0.1 and probes=64: expected one of them"):
        this.network.estimate_insens(this.x, 0, tolerance=0.1, probes=64)
