"""Rank correlations, against scipy's own image by image and against cases made by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from insens_tf.evaluation import CORRELATIONS, rank_correlation

SEEDS = range(4)
ROUNDING = 1e-12


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 2:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of constant input
        return float(stats.spearmanr(first, second).statistic)


def expected(maps: np.ndarray, others: np.ndarray, kind: str) -> list[float]:
    found = []
    for one, other in zip(maps, others, strict=True):
        first, second = one.ravel(), other.ravel()
        if kind.endswith("support"):
            both = [i for i in range(first.size) if first[i] != 0 and second[i] != 0]
            first, second = first[both], second[both]
        if kind.startswith("absolute"):
            first, second = np.abs(first), np.abs(second)
        found.append(spearman(first, second))
    return found


@pytest.mark.parametrize("kind", CORRELATIONS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_it_is_scipys_image_by_image(kind: str, seed: int, decimals: int) -> None:
    # Few decimals make many ties and many zeros.
    generator = np.random.default_rng(seed)
    maps = generator.standard_normal((7, 6, 5, 3)).round(decimals)
    others = (maps + generator.standard_normal(maps.shape)).round(decimals)
    maps[0, :3], others[0, 2:], maps[1], others[2] = 0, 0, 0, 4
    found = rank_correlation(maps, others, kind)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected(maps, others, kind), rtol=0, atol=ROUNDING)
    assert np.isnan(found[1:3]).all()


@pytest.mark.parametrize("kind", CORRELATIONS)
def test_float32_has_the_ranks_of_float64(kind: str) -> None:
    maps, others = np.random.default_rng(0).standard_normal((2, 4, 50)).astype(np.float32)
    wide = rank_correlation(maps.astype(np.float64), others.astype(np.float64), kind)
    assert np.array_equal(rank_correlation(maps, others, kind), wide)


def test_by_hand() -> None:
    # Ranks 1 2 3 4 and 1 2 4 3: 1 - 6 (0 + 0 + 1 + 1) / (4 (16 - 1)) = 0.8.
    assert rank_correlation([[1, 2, 3, 9]], [[-5, 0, 7, 1]])[0] == pytest.approx(0.8)
    # Magnitudes 1 2 3 9 and 5 0 7 1, so ranks 1 2 3 4 and 3 1 4 2: 1 - 6 (4 + 1 + 1 + 4) / 60 = 0.
    assert rank_correlation([[1, 2, 3, 9]], [[-5, 0, 7, 1]], "absolute")[0] == pytest.approx(0)
    # Without the second component: ranks 1 2 3 and 1 3 2, 1 - 6 (0 + 1 + 1) / (3 (9 - 1)) = 0.5;
    # of magnitudes 1 2 3 and 2 3 1, 1 - 6 (1 + 1 + 4) / 24 = -0.5.
    pair = [[1, 2, 3, 9]], [[-5, 0, 7, 1]]
    assert rank_correlation(*pair, "signed_support")[0] == pytest.approx(0.5)
    assert rank_correlation(*pair, "absolute_support")[0] == pytest.approx(-0.5)
    # Ties have the mean of their ranks: 1.5 1.5 3 and 1 2 3.
    assert rank_correlation([[4, 4, 5]], [[1, 2, 3]])[0] == pytest.approx(1.5 / np.sqrt(1.5 * 2))


def test_shared_zeros_inflate_absolute_correlations_and_not_those_over_the_support() -> None:
    generator = np.random.default_rng(1)
    maps, others = generator.standard_normal((2, 20, 400))
    maps[:, 100:], others[:, 100:] = 0, 0
    assert rank_correlation(maps, others, "absolute").min() > 0.8
    assert abs(rank_correlation(maps, others, "absolute_support").mean()) < 0.1


@pytest.mark.parametrize("kind", CORRELATIONS)
def test_only_ranks_count(kind: str) -> None:
    maps, others = np.random.default_rng(2).standard_normal((2, 5, 40))
    found = rank_correlation(maps, others, kind)
    assert np.array_equal(rank_correlation(maps**3, np.sign(others) * others**2, kind), found)
    assert np.array_equal(rank_correlation(others, maps, kind), found)
    assert rank_correlation(maps, maps * 1e-30, kind).tolist() == [1] * 5
    turned = 1 if kind.startswith("absolute") else -1
    assert rank_correlation(maps, -maps, kind).tolist() == [turned] * 5


@pytest.mark.parametrize("kind", CORRELATIONS)
def test_what_is_not_defined_is_nan_and_leaves_the_others_alone(kind: str) -> None:
    maps, others = np.random.default_rng(3).standard_normal((2, 5, 6))
    before = rank_correlation(maps, others, kind)
    maps[0, 2], others[1, 0], maps[2], others[3] = np.nan, np.inf, 0.1, 0
    found = rank_correlation(maps, others, kind)
    assert np.isnan(found[:4]).all()
    assert found[4] == before[4]
    disjoint = np.array([[1.0, 2, 0, 0], [1, 0, 0, 0]]), np.array([[0, 0, 1.0, 2], [3, 1, 0, 0]])
    assert np.isnan(rank_correlation(*disjoint, kind)).all() == kind.endswith("support")


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (0, 3)])
def test_no_maps_have_no_correlations(shape: tuple[int, ...]) -> None:
    assert rank_correlation(np.zeros(shape), np.zeros(shape)).shape == (0,)
    assert np.isnan(rank_correlation(np.zeros((2, 0)), np.zeros((2, 0)))).all()


def test_what_does_not_fit_is_refused() -> None:
    maps = np.zeros((2, 3, 3))
    with pytest.raises(ValueError, match=r"others: .*\(2, 3, 3\), came \(2, 9\)"):
        rank_correlation(maps, maps.reshape(2, 9))
    with pytest.raises(ValueError, match=r"maps: .*\(3,\); a single map is maps\[numpy\.newaxis\]"):
        rank_correlation(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"others: expected real numbers .*came complex128"):
        rank_correlation(maps, maps * 1j)
    with pytest.raises(ValueError, match="kind='sign': expected one of 'signed', 'absolute'"):
        rank_correlation(maps, maps, "sign")
