"""Figure 7's ceilings and floor: what is held against what, and their table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from data_scripts.preparation import write_npz
from experiments import figure_7_bounds as bounds
from experiments.map_correlations import compared_maps
from experiments.network_store import Store
from experiments.train import Network
from experiments.two_conv_settings import SETTINGS, UNTRAINED_SEED, Settings, build
from insens_tf.evaluation import CORRELATIONS
from tests.conftest import with_keras_3
from tests.oracle import Oracle

TINY = Settings(
    input_shape=(8, 8, 1), classes=3, filters=(3, 4), kernel_size=3, units=12, train_images=20
)
IMAGES = (4, 1, 17)


@dataclass(frozen=True)
class Given(Store):
    """Gives networks by their seed that nobody has trained."""

    weights: Mapping[int, Any] = field(default_factory=dict)

    def load(self, network: Network, data_sha256: str) -> Any:
        model = build(TINY)
        model.set_weights(self.weights[network.seed])
        return model


def gradients(model: Any, x: np.ndarray) -> np.ndarray:
    reference = Oracle(model).references(x)[-1]
    return np.stack([w[v.argmax()] for v, w in zip(reference.activity, reference.weights)])


# Of what has not been trained many outputs are negative.
@with_keras_3
@pytest.mark.slow
def test_what_is_held_against_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "mnist", TINY)
    random = np.random.default_rng(0)
    arrays = {
        f"{kind}_{part}": random.integers(0, high, (30, *shape), dtype=np.uint8)
        for kind, high, shape in (("x", 256, TINY.input_shape), ("y", 3, ()))
        for part in ("train", "test")
    }
    write_npz(tmp_path / "mnist.npz", arrays)
    first, second = Network("mnist", 0, TINY), Network("mnist", bounds._SECOND_SEED, TINY)
    weights = {one.seed: build(TINY, 50 + one.seed).get_weights() for one in (first, second)}
    pair = bounds._Pair(Given(tmp_path, tmp_path, weights), "", first, second, IMAGES)

    found = bounds._correlations(pair)["correlations"]

    maps = compared_maps(("original", "own"))
    assert found.shape == (len(bounds.COMPARISONS), len(maps), len(CORRELATIONS), len(IMAGES))
    x = (arrays["x_test"][list(IMAGES)] / 255).astype(np.float32)
    ours, again = (gradients(pair.store.load(one, ""), x) for one in (first, second))
    untrained, untrained_again = (
        gradients(build(TINY, UNTRAINED_SEED + one.seed), x) for one in (first, second)
    )
    expected = {
        "trained, trained": (ours, again),
        "trained, untrained": (ours, untrained),
        "untrained, untrained": (untrained, untrained_again),
        "trained, another image": (ours, ours[[2, 0, 1]]),
    }
    assert list(expected) == list(bounds.COMPARISONS)
    place = maps.index(("gradient", "own"))
    for number, (one, other) in enumerate(expected.values()):
        for image in range(3):
            rank = stats.spearmanr(one[image].ravel(), other[image].ravel()).statistic
            assert found[number, place, 0, image] == pytest.approx(rank, abs=2e-3)


def test_the_table_is_over_pairs() -> None:
    random = np.random.default_rng(1)
    maps = compared_maps(("own",))
    values = random.uniform(-1, 1, (3, len(bounds.COMPARISONS), len(maps), len(CORRELATIONS), 4))
    values[0, 0, 0, 0] = np.nan  # nothing is defined of one pair
    values[1, 0, 0, 0, 2] = np.nan

    rows = list(bounds._summary(values.astype(np.float32), maps))

    assert len(rows) == values[0, ..., 0].size
    *names, mean, low, high, pairs, defined = rows[0]
    assert names == ["trained, trained", "gradient", "own", "signed"]
    kept = [statistics.fmean(values[1, 0, 0, 0, [0, 1, 3]]), statistics.fmean(values[2, 0, 0, 0])]
    expected = stats.ttest_1samp(kept, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((statistics.fmean(kept), *expected), abs=1e-4)
    assert (pairs, defined) == (2, round(7 / 12, 4))
