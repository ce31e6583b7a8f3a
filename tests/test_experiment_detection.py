"""What tells right inputs from others, and how well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments import detection
from experiments.intervals import interval_rows
from experiments.two_conv_settings import Settings, build
from tests.conftest import CaseOf
from tests.oracle import Oracle

pytestmark = pytest.mark.xdist_group("dense")

TINY = Settings(input_shape=(6, 6, 1), classes=3, filters=(2, 3), kernel_size=3, units=5)


@pytest.mark.parametrize("seed", range(3))
def test_the_area_is_the_share_of_pairs_in_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    right, others = random.integers(0, 5, 7), random.integers(0, 4, 5)
    pairs = [(one > other) + (one == other) / 2 for one in right for other in others]
    assert detection.area(right, others) == pytest.approx(np.mean(pairs))


def test_scores_are_those_of_the_oracle(case: CaseOf) -> None:
    _, network, x, references = case("dense", 0)

    found = detection.scores(network, x.astype(np.float32))

    *hidden, output = references
    for number, logits in enumerate(output.activity):
        second, first = np.sort(logits)[-2:]
        assert found["logit margin"][number] == pytest.approx(first - second, rel=1e-5)
        shares = np.exp(logits) / np.exp(logits).sum()
        assert found["confidence"][number] == pytest.approx(shares.max(), rel=1e-5)
    for layer, reference in zip(network.layers, hidden, strict=True):
        lengths = np.linalg.norm(reference.weights.reshape(*reference.activity.shape, -1), axis=2)
        with np.errstate(divide="ignore"):
            distances = np.abs(reference.activity) / lengths
        np.testing.assert_allclose(
            found[f"nearest of {layer.name}"], distances.min(axis=1), rtol=1e-4
        )
        np.testing.assert_allclose(
            found[f"median of {layer.name}"], np.median(distances, axis=1), rtol=1e-4
        )


def test_a_step_against_the_label_goes_along_the_oracles_signs() -> None:
    model: Any = build(TINY, 1)
    x = np.random.default_rng(0).uniform(0.3, 0.7, (3, *TINY.input_shape)).astype(np.float32)
    labels = np.array([0, 2, 1], np.uint8)

    moved = detection.adversarial(model, x, labels, 0.1)

    output = Oracle(model).references(x)[-1]
    for number, label in enumerate(labels):
        logits, weights = output.activity[number], output.weights[number]
        shares = np.exp(logits) / np.exp(logits).sum()
        # Of the log of a share: the label's w less the mean of all, by their shares.
        slope = weights[label] - np.tensordot(shares, weights, 1)
        clear = np.abs(slope) > 1e-4 * np.abs(slope).max()
        step = (moved - x)[number]
        np.testing.assert_allclose(step[clear], -0.1 * np.sign(slope[clear]), atol=1e-6)
    assert detection.adversarial(model, np.ones_like(x), labels, 0.1).max() <= 1


def test_the_table_is_over_networks() -> None:
    names = ("mnist", "wrong", "confidence")
    (row,) = interval_rows((names, value) for value in (0.8, 0.9))
    assert row[:4] == ("mnist", "wrong", "confidence", 0.85)
    assert row[-1] == 2
