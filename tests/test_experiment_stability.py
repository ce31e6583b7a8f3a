"""Steps along Insens: what they are, and what is measured of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.intervals import mean_interval
from experiments.steps import LENGTHS, directions, measured
from tests.conftest import CaseOf
from tests.oracle import Oracle, assert_agrees

pytestmark = pytest.mark.xdist_group("dense")


def test_directions_have_length_1_and_go_along_the_oracles_maps(case: CaseOf) -> None:
    _, network, x, references = case("dense", 0)
    random = np.random.default_rng(0)
    frequency = {layer.name: random.random(layer.shape) for layer in network.layers}

    found = directions(network, x, frequency, seed=1)

    for direction in found.values():
        lengths = np.linalg.norm(direction.reshape(len(x), -1), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-12)
    for layer, reference in zip(network.layers, references, strict=False):
        for name, weights in (
            (layer.name, frequency[layer.name]),
            (f"{layer.name} without m/N", None),
        ):
            omega = reference.insens(weights) if weights is not None else reference.insens()
            expected = omega / np.linalg.norm(omega.reshape(len(x), -1), axis=1)[:, np.newaxis]
            assert_agrees(found[f"+ Insens {name}"], expected.reshape(x.shape))
            assert_agrees(found[f"- Insens {name}"], -expected.reshape(x.shape))


def test_insens_of_all_layers_is_the_mean_over_the_inactive_neurons(case: CaseOf) -> None:
    _, network, x, references = case("dense", 0)
    hidden = references[:-1]
    for state in ("inactive", "active", "all"):
        counts = np.zeros(len(x))
        for reference in hidden:
            counts += {
                "inactive": reference.activity <= 0,
                "active": reference.activity > 0,
                "all": np.isfinite(reference.activity),
            }[state].sum(axis=1)
        expected = sum(reference.insens(state=state) for reference in hidden)
        expected = expected / counts.reshape(-1, *(1,) * (x.ndim - 1))
        assert_agrees(network.insens_of_all_layers(x, state=state), expected)


def test_what_steps_change_is_counted_of_the_model_itself(case: CaseOf) -> None:
    model, network, x, _ = case("dense", 0)
    random = np.random.default_rng(2)
    direction = random.normal(size=x.shape)
    labels = random.integers(0, network.output.neurons, len(x))

    found = measured(network, x, labels, {"a direction": direction, "nowhere": 0.0 * direction})

    before = Oracle(model).references(x)
    for which, length in enumerate(LENGTHS):
        after = Oracle(model).references((x + length * direction).astype(np.float32))
        for layer, (first, second) in enumerate(zip(before[:-1], after, strict=False)):
            v, w = first.activity, second.activity
            inactive = v <= 0
            expected = [
                ((w > 0) & inactive).sum(1) / inactive.sum(1),
                ((w <= 0) & ~inactive).sum(1) / (~inactive).sum(1),
                ((w - v) * inactive).sum(1) / -(v * inactive).sum(1),
            ]
            actual = found["of_layers"][0, which, :, layer]
            np.testing.assert_allclose(actual, np.transpose(expected), rtol=1e-4, atol=1e-6)
        classes = after[-1].activity.argmax(axis=1)
        np.testing.assert_array_equal(found["correct"][0, which], classes == labels)
        others = classes != before[-1].activity.argmax(axis=1)
        np.testing.assert_array_equal(found["another_class"][0, which], others)
    np.testing.assert_allclose(found["of_layers"][1], 0, atol=1e-6)
    np.testing.assert_allclose(found["nearest"][1], 1, rtol=1e-5)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_intervals_are_students(n: int) -> None:
    values = np.random.default_rng(n).normal(3, 2, n)
    mean, low, high, count = mean_interval([*values, np.nan])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([mean, low, high, count], [values.mean(), *expected, n])


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    assert np.isnan(mean_interval([2.0]).half)
    assert mean_interval([2.0]).mean == 2
    with pytest.raises(ValueError, match="expected at least one number"):
        mean_interval([np.nan])
