"""Propositions 1 and 2 on a Keras model, losers of max pooling, and the numbers of a network."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy import stats

import insens_tf
from experiments import further_claims
from experiments.intervals import interval_rows
from experiments.pooling_losers import losers_in_pooling, with_losers_inactive
from experiments.propositions import projection_errors
from experiments.two_conv_settings import POOLED, Settings, build
from tests.oracle import Oracle, assert_agrees

TINY = Settings(input_shape=(7, 6, 1), classes=3, filters=(2, 3), kernel_size=3, units=12)
LAYERS = ("conv_1", "conv_2", "dense")


@pytest.fixture(scope="module")
def model() -> Any:
    found = build(TINY, 0)
    random = np.random.default_rng(0)
    found.set_weights([one + random.normal(0, 0.1, one.shape) for one in found.get_weights()])
    return found


@pytest.fixture(scope="module")
def x() -> NDArray[np.float32]:
    return np.random.default_rng(1).random((3, *TINY.input_shape), np.float32)


def test_propositions_hold_and_what_is_wrong_is_seen(
    model: Any, x: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    for layer in LAYERS:
        errors = projection_errors(model, x, layer, np.arange(12))
        assert max(errors) < 1e-6
        assert min(errors) >= 0
    assert model.get_layer("dense").activation is not tf.identity

    project = insens_tf.SwitchedNetwork.project

    def wrong(*arguments: Any) -> insens_tf.Projection:
        found = project(*arguments)
        found.weights[:] *= 1.01
        return found

    monkeypatch.setattr(insens_tf.SwitchedNetwork, "project", wrong)
    of_v, _ = projection_errors(model, x, "dense", np.arange(12))
    assert of_v > 1e-4


@pytest.mark.parametrize(
    ("shape", "pool"), [((2, 6, 4, 3), (2, 2)), ((1, 7, 5, 2), (2, 2)), ((1, 6, 6, 1), (3, 2))]
)
def test_losers_are_what_max_pooling_does_not_pass_on(
    shape: tuple[int, ...], pool: tuple[int, int]
) -> None:
    outputs = np.random.default_rng(shape[1]).integers(0, 3, shape).astype(np.float32)
    places = tf.nn.max_pool_with_argmax(
        outputs, pool, pool, "VALID", include_batch_in_index=True
    ).argmax
    expected = np.ones(outputs.size, bool)
    expected[np.ravel(places)] = False
    np.testing.assert_array_equal(losers_in_pooling(outputs, pool).ravel(), expected)


@pytest.mark.parametrize("layer", list(POOLED))
def test_insens_with_losers_against_the_oracle(
    layer: str, model: Any, x: NDArray[np.float32]
) -> None:
    network = insens_tf.SwitchedNetwork(model)
    (reference,) = [one for one in Oracle(model).references(x) if one.name == layer]
    frequency = np.random.default_rng(2).random(reference.shape)

    found = with_losers_inactive(network, x, layer, frequency)

    outputs = np.maximum(reference.activity, 0).reshape(-1, *reference.shape)
    expected = reference.insens(frequency)
    for number, losers in enumerate(losers_in_pooling(outputs, (2, 2))):
        weights = np.where(losers, frequency, 0)
        expected[number] += reference.insens(weights, "active")[number]
    assert_agrees(found, expected, 2e-6)


# Of what has not been trained outputs may be negative, and differences small.
@pytest.mark.filterwarnings("ignore:'(deep_taylor|integrated_gradients)'")
@pytest.mark.slow
def test_numbers_of_a_network(model: Any, x: NDArray[np.float32]) -> None:
    x_train = np.random.default_rng(3).normal(size=(12, *TINY.input_shape)).astype(np.float32)
    image = np.zeros_like(x)
    image[:, 1:4, 2:4] = x[:, 1:4, 2:4]

    with np.errstate(all="raise", under="ignore"):
        rows = further_claims.numbers(model, image, x_train, digits=True)
    found = {(measured, layer): value for measured, layer, value in rows}

    assert len(found) == len(rows)
    references = Oracle(model).references(image)
    frequencies = {
        one.name: one.count.reshape(one.shape) / len(x_train)
        for one in Oracle(model).references(x_train)
    }
    for layer, reference in zip(LAYERS, references, strict=False):
        weights = frequencies[layer]
        expected = _mean_rank_correlation(reference.insens(weights), image)
        assert found["with the input", layer] == pytest.approx(expected, abs=2e-3)
        gradients = np.stack([_gradient(model, one) for one in image])
        expected = _mean_rank_correlation(reference.insens(weights, "active"), gradients)
        assert found["active with gradient", layer] == pytest.approx(expected, abs=2e-3)
        assert 0 <= found["positive on the digit", layer] <= 1


def _mean_rank_correlation(maps: NDArray[Any], others: NDArray[Any]) -> float:
    """Of the pairs of which it is defined."""
    return statistics.fmean(
        stats.spearmanr(one.ravel(), other.ravel()).statistic
        for one, other in zip(maps, others, strict=True)
        if np.ptp(one) and np.ptp(other)
    )


def _gradient(model: Any, image: NDArray[np.float32]) -> NDArray[Any]:
    """Of the output that is largest, before the softmax."""
    reference = Oracle(model).references(image[np.newaxis])[-1]
    return reference.weights[0, reference.activity[0].argmax()]


def test_the_table_is_over_networks() -> None:
    names = ("mnist", "trained", "with the input", "dense")
    values = [(names, value) for value in (0.1, 0.2, 0.6)]
    values += [(("mnist", "trained", "positive on the digit", "dense"), float("nan"))]

    (row,) = interval_rows(values)

    low, high = stats.ttest_1samp([0.1, 0.2, 0.6], 0).confidence_interval(0.95)
    assert row[:4] == ("mnist", "trained", "with the input", "dense")
    assert row[4:] == pytest.approx((0.3, low, high, 3), rel=1e-3)
