"""Insens beside its variants: what each sums over, how like it they are, and the pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from experiments import variants as experiment
from experiments.maps_figure import divided_by_largest_magnitude
from experiments.tables import write_csv
from experiments.variants import MEASURES, VARIANTS, likeness, variants
from insens_tf.two_conv import HIDDEN_LAYERS
from tests.conftest import CaseOf, slow
from tests.oracle import assert_agrees


@pytest.mark.xdist_group("2CONV")
@pytest.mark.parametrize("seed", [0, slow(1), slow(2)])
def test_variants_against_the_oracle(seed: int, case: CaseOf) -> None:
    this = case("2CONV", seed)
    random = np.random.default_rng(seed)
    frequency = {layer.name: random.random(layer.shape) for layer in this.network.layers}

    found = variants(this.network, this.x, frequency)

    assert list(found) == ["insens", *VARIANTS]
    for layer, reference in this.hidden:
        weights = frequency[layer.name]
        expected = {
            "insens": reference.insens(weights),
            "all": reference.insens(weights, "all"),
            "active": reference.insens(weights, "active"),
            "activity": reference.insens(weights, sensitivity="activity"),
            "unweighted": reference.insens(),
        }
        for name, maps in expected.items():
            assert_agrees(found[name][layer.name], maps)
        assert_agrees(expected["insens"] + expected["active"], expected["all"])


@pytest.mark.parametrize("seed", range(3))
def test_likeness_is_of_each_pair(seed: int) -> None:
    maps, others = np.random.default_rng(seed).normal(size=(2, 4, 5, 3, 2))

    found = dict(zip(MEASURES, likeness(maps, others), strict=True))

    for number, (one, other) in enumerate(zip(maps, others, strict=True)):
        a, b = one.ravel(), other.ravel()
        assert found["signed"][number] == pytest.approx(stats.spearmanr(a, b).statistic)
        assert found["absolute"][number] == pytest.approx(
            stats.spearmanr(np.abs(a), np.abs(b)).statistic
        )
        assert found["cosine"][number] == pytest.approx(1 - distance.cosine(a, b))
        assert found["length"][number] == pytest.approx((sum(b**2) / sum(a**2)) ** 0.5)


def test_likeness_where_it_is_not_defined() -> None:
    map_, nothing = np.arange(8.0).reshape(1, 2, 4), np.zeros((1, 2, 4))

    assert np.isnan(likeness(nothing, map_)).all()
    signed, absolute, cosine, length = likeness(map_, nothing)
    assert np.isnan([signed, absolute, cosine]).all()
    assert length == 0
    np.testing.assert_allclose(likeness(map_, -2 * map_)[:, 0], [-1, 1, -1, 2])


def test_shown_images_have_different_labels() -> None:
    labels = np.array([3, 3, 1, 3, 1, 9, 0, 2, 5], np.uint8)

    assert experiment._of_different_labels(labels) == (0, 2, 5)
    assert experiment._of_different_labels(labels[:2]) == (0,)


def test_rows_leave_out_what_is_not_defined() -> None:
    shape = (len(HIDDEN_LAYERS), len(VARIANTS), len(MEASURES), 3)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    values[0, 0, 0, 1] = np.nan
    values[-1, -1, -1] = np.nan

    found = experiment._rows(values)

    assert len(found) == np.prod(shape[:3])
    assert found[0] == ("conv_1", "all", "signed", 1.0, round(2**0.5, 5), 2)
    assert found[1][:3] == ("conv_1", "all", "absolute")
    assert found[1][3:] == pytest.approx((4.0, 1.0, 3), abs=1e-5)
    assert found[-1][:3] == ("dense", "unweighted", "length")
    assert np.isnan(found[-1][3:5]).all()
    assert found[-1][5] == 0


def test_maps_are_kept_by_their_largest_magnitude() -> None:
    maps = np.zeros((3, 2, 2, 1))
    maps[0, :, :, 0] = [[1.0, -4.0], [2.0, 0.0]]
    maps[1, 0, 0] = 1e-12

    found, _ = divided_by_largest_magnitude(maps)

    np.testing.assert_array_equal(found[0, :, :, 0], [[0.25, -1.0], [0.5, 0.0]])
    np.testing.assert_array_equal(found[1, :, :, 0], [[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(found[2], 0)


@pytest.mark.slow
@pytest.mark.parametrize(("datasets", "networks"), [(("mnist",), 1), (("mnist", "cifar10"), 2)])
def test_pictures_of_a_folder(datasets: tuple[str, ...], networks: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for dataset in datasets:
        image = (28, 28, 1) if dataset == "mnist" else (32, 32, 3)
        values = random.uniform(
            -1, 1, (networks, len(HIDDEN_LAYERS), len(VARIANTS), len(MEASURES), 6)
        ).astype(np.float32)
        np.savez_compressed(
            tmp_path / f"{dataset}.npz",
            images=np.arange(6),
            shown=np.array([1, 4]),
            x=random.integers(0, 256, (2, *image), np.uint8),
            maps=random.uniform(-1, 1, (1 + len(VARIANTS), 3, 2, *image)).astype(np.float16),
            likeness=values,
        )
        for seed in range(networks):
            rows += [(dataset, seed, *row) for row in experiment._rows(values[seed])]
    head = "dataset", "seed", "layer", "variant", "measure", "mean", "standard_deviation", "defined"
    write_csv(tmp_path / "likeness.csv", head, rows)
    with (tmp_path / "likeness.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(datasets) * networks * 3 * 4 * 4

    experiment.draw(tmp_path)

    pictures = {"likeness.png", *(f"maps_{dataset}.png" for dataset in datasets)}
    assert {path.name for path in tmp_path.glob("*.png")} == pictures
    assert {path.stem for path in tmp_path.glob("*.pdf")} == {Path(one).stem for one in pictures}
