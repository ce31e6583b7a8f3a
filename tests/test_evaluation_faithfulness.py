"""Scores of faithfulness, held against what they are by hand on linear models."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

from insens_tf.evaluation import (
    BASELINE_MAPS,
    ScoreCurves,
    baseline_maps,
    deletion,
    insertion,
    mu_fidelity,
    noise_accuracy,
)
from insens_tf.evaluation.faithfulness import fidelity_to_sets
from tests.conftest import with_keras_3
from tests.small_images import small_convolutional

SIDE, CHANNELS, CLASSES, INPUTS = 3, 2, 4, 5
PIXELS = SIDE * SIDE


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, CHANNELS)),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )
    generator = np.random.default_rng(0)
    model.set_weights([generator.standard_normal(w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).random((INPUTS, SIDE, SIDE, CHANNELS), np.float32)


def weights_and_bias(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Weights (pixels, channels, classes), and the bias, in float64."""
    kernel, bias = (values.astype(np.float64) for values in model.get_weights())
    return kernel.reshape(PIXELS, CHANNELS, CLASSES), bias


def contributions(
    model: keras.Model, x: np.ndarray, targets: np.ndarray, baseline: float = 0.0
) -> np.ndarray:
    """What each pixel adds to the target's output, against the baseline: (n, pixels)."""
    weights, _ = weights_and_bias(model)
    pixels = x.reshape(INPUTS, PIXELS, CHANNELS).astype(np.float64) - baseline
    return np.stack([(p * weights[..., t]).sum(-1) for p, t in zip(pixels, targets, strict=True)])


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_curves_of_a_linear_model(model: keras.Model, x: np.ndarray, baseline: float) -> None:
    targets = np.array([0, 1, 2, 3, 0])
    parts = contributions(model, x, targets, baseline)
    weights, bias = weights_and_bias(model)
    empty = baseline * weights.sum(axis=(0, 1))[targets] + bias[targets]
    # The map is the contribution, so that its largest values are taken first.
    ordered = -np.sort(-parts, axis=1)
    sums = np.concatenate([np.zeros((INPUTS, 1)), np.cumsum(ordered, axis=1)], axis=1)
    maps = parts.reshape(INPUTS, SIDE, SIDE)
    back = insertion(model, x, maps, targets, steps=PIXELS, baseline=baseline)
    away = deletion(model, x, maps, targets, steps=PIXELS, baseline=baseline)
    full = empty + parts.sum(axis=1)
    np.testing.assert_allclose(back.shares, np.arange(PIXELS + 1) / PIXELS)
    np.testing.assert_allclose(back.values, empty[:, np.newaxis] + sums, atol=1e-5)
    np.testing.assert_allclose(away.values, full[:, np.newaxis] - sums, atol=1e-5)
    middles = (back.values[:, 1:] + back.values[:, :-1]) / 2
    np.testing.assert_allclose(back.area, middles.mean(axis=1))
    # Nothing does better than the contributions of a linear model.
    for name in BASELINE_MAPS:
        other = baseline_maps(x, name)
        worse = insertion(model, x, other, targets, steps=PIXELS, baseline=baseline)
        assert (worse.area <= back.area + 1e-5).all()


def test_steps_of_several_pixels(model: keras.Model, x: np.ndarray) -> None:
    maps = np.arange(PIXELS, 0, -1.0).reshape(1, SIDE, SIDE).repeat(INPUTS, axis=0)
    found = deletion(model, x, maps, steps=2)
    changed = x.copy().reshape(INPUTS, PIXELS, CHANNELS)
    changed[:, :4] = 0
    outputs = np.asarray(model(changed.reshape(x.shape)))
    targets = np.asarray(model(x)).argmax(axis=1)
    np.testing.assert_allclose(found.values[:, 1], outputs[np.arange(INPUTS), targets], rtol=1e-5)
    np.testing.assert_allclose(found.shares, [0, 4 / 9, 1])
    np.testing.assert_allclose(found.mean, found.values.mean(axis=0))


def test_equal_pixels_are_taken_in_their_order(model: keras.Model, x: np.ndarray) -> None:
    flat = np.zeros((INPUTS, SIDE, SIDE))
    ordered = np.arange(PIXELS, 0, -1.0).reshape(1, SIDE, SIDE).repeat(INPUTS, axis=0)
    np.testing.assert_array_equal(
        deletion(model, x, flat).values, deletion(model, x, ordered).values
    )


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_mu_fidelity_of_a_linear_model(model: keras.Model, x: np.ndarray, correlation: str) -> None:
    targets = np.array([3, 2, 1, 0, 1])
    parts = contributions(model, x, targets)
    maps = parts.reshape(INPUTS, SIDE, SIDE)
    right = mu_fidelity(model, x, maps, targets, samples=20, correlation=correlation)
    np.testing.assert_allclose(right, 1, atol=1e-3)
    wrong = mu_fidelity(model, x, -maps, targets, samples=20, correlation=correlation)
    np.testing.assert_allclose(wrong, -right, atol=1e-6)
    # Of channels, a map is summed; a map of one value says nothing.
    by_channel = np.stack([maps - 1, np.ones_like(maps)], axis=-1)
    same = mu_fidelity(model, x, by_channel, targets, samples=20, correlation=correlation)
    np.testing.assert_allclose(same, right, atol=1e-6)
    assert np.isnan(mu_fidelity(model, x, np.ones_like(maps), targets, samples=9)).all()


def test_mu_fidelity_by_hand(model: keras.Model, x: np.ndarray) -> None:
    maps = np.random.default_rng(3).random((INPUTS, SIDE, SIDE))
    found = mu_fidelity(model, x, maps, [0] * INPUTS, samples=4, share=0.3, seed=5)
    generator = np.random.default_rng(5)
    sets = np.argsort(generator.random((4, PIXELS)), axis=1)[:, :3]
    parts = contributions(model, x, np.zeros(INPUTS, int))
    for row in range(INPUTS):
        lost = [parts[row, one].sum() for one in sets]
        said = [maps[row].reshape(-1)[one].sum() for one in sets]
        assert found[row] == pytest.approx(np.corrcoef(lost, said)[0, 1], abs=1e-4)


def test_noise_where_a_map_is_smallest(model: keras.Model, x: np.ndarray) -> None:
    labels = np.asarray(model(x)).argmax(axis=1)
    maps = np.zeros((INPUTS, SIDE, SIDE))
    maps[:, 1, 1] = 1
    # All but the middle pixel; then every pixel.
    shares = [0, 8 / 9, 1]
    found = noise_accuracy(model, x, maps, labels, 2.0, shares=shares, seed=4)
    noise = 2 * np.random.default_rng(4).standard_normal(x.shape, np.float32)
    kept = noise.copy()
    kept[:, 1, 1] = x[:, 1, 1]
    for share, images in zip(found, (x, kept, noise), strict=True):
        right = np.asarray(model(images)).argmax(axis=1) == labels
        assert share == right.mean()


def test_baselines(x: np.ndarray) -> None:
    images = np.zeros((2, 7, 7, 1))
    images[0, 2:5, 2:5] = 1
    edges = baseline_maps(images, "edges")
    assert edges[0, 3, 3] == edges[0, 0, 0] == 0
    assert edges[0, 2, 3] > 0
    distance = baseline_maps(images, "distance")
    assert (distance[0, 2:5, 2:5] == 0).all()
    assert distance[0, 3, 0] == -2
    assert not distance[1].any()
    first, again, other = (baseline_maps(x, "random", seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"maps": np.ones((INPUTS, 2, 2))}, r"maps: expected a value for each pixel, \(5, 3, 3\)"),
    ({"maps": np.full((INPUTS, SIDE, SIDE), np.nan)}, "maps: expected finite numbers"),
    ({"targets": [0, 1]}, "targets: expected 5 whole numbers"),
    ({"targets": [4] * INPUTS}, "targets: expected 0 to 3, came 4 to 4"),
    ({"x": np.ones((2, 3))}, r"x: expected images \(n, height, width, channels\)"),
    ({"steps": 0}, "steps=0: expected a whole number"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED)
def test_bad_input_is_named(
    model: keras.Model, x: np.ndarray, changed: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"x": x, "maps": np.ones((INPUTS, SIDE, SIDE)), **changed}
    with pytest.raises(ValueError, match=message):
        deletion(model, **arguments)


def test_bad_shares_are_named(model: keras.Model, x: np.ndarray) -> None:
    maps = np.ones((INPUTS, SIDE, SIDE))
    with pytest.raises(ValueError, match=r"share=0\.01: .* at least one of 9 pixels"):
        mu_fidelity(model, x, maps, share=0.01)
    with pytest.raises(ValueError, match=r"shares=\[2\]: expected numbers in 0\.\.1"):
        noise_accuracy(model, x, maps, [0] * INPUTS, 1.0, shares=[2])
    with pytest.raises(ValueError, match=r"name='edge': .*did you mean edges"):
        baseline_maps(x, "edge")
    assert ScoreCurves(np.array([0, 1]), np.array([[1.0, 3.0]])).area.tolist() == [2]


@pytest.mark.slow
@with_keras_3
def test_compare_scores_its_maps(call: Any, tmp_path: Path) -> None:
    model = small_convolutional(outputs=3)
    model.save(tmp_path / "model.keras")
    pixels = np.random.default_rng(1).integers(0, 256, (3, 8, 8), np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    out = tmp_path / "out"
    words = ("compare", str(tmp_path / "model.keras"), str(tmp_path / "x.npy"), "--out", str(out))
    done = call(*words, "--methods", "insens", "--score", "deletion,mu_fidelity")
    assert (done.code, done.err) == (0, "")
    with (out / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    methods = ["Insens dense", *(f"({name})" for name in BASELINE_MAPS)]
    assert [row["maps"] for row in rows[::3]] == 2 * methods
    images = pixels[..., np.newaxis].astype(np.float32) / np.float32(255)
    with np.load(out / "maps.npz") as arrays:
        maps = {"Insens dense": arrays["insens/dense"]}
    maps["(edges)"] = baseline_maps(images, "edges")
    for method, values in maps.items():
        expected = {
            "deletion": deletion(model, images, values).area,
            "mu_fidelity": mu_fidelity(model, images, values),
        }
        for score, of_images in expected.items():
            found = [
                float(row["value"])
                for row in rows
                if (row["maps"], row["score"]) == (method, score)
            ]
            np.testing.assert_allclose(found, of_images, rtol=1e-4, atol=1e-5)
            assert f" {np.mean(found):.4f}" in done.out
    assert (out / "scores.png").stat().st_size > 1000
    done = call(*words, "--score", "insertions")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "--score insertions: expected some of deletion, insertion, mu_fidelity" in done.err


def test_scores_are_those_of_xplique() -> None:
    """Xplique 2.0.2 cannot share our environment: its numbers, of the same model, are kept."""
    kept = json.loads((Path(__file__).parent / "xplique_scores.json").read_text("utf-8"))
    side, channels, inputs, steps = 6, 2, 4, 9
    generator = np.random.default_rng(7)
    shapes = [(side * side * channels, 12), (12,), (12, 3), (3,)]
    weights = [generator.standard_normal(shape) for shape in shapes]
    images = generator.random((inputs, side, side, channels)).astype(np.float32)
    maps = generator.standard_normal((inputs, side, side))
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((side, side, channels)),
            layers.Flatten(),
            layers.Dense(12, "relu"),
            layers.Dense(3),
        ]
    )
    model.set_weights(weights)
    targets = np.array([0, 1, 2, 1])
    for name, function in (("deletion", deletion), ("insertion", insertion)):
        found = function(model, images, maps, targets, steps=steps, baseline=0.25)
        np.testing.assert_allclose(found.mean, kept[name]["curve"], atol=1e-5)
        assert found.area.mean() == pytest.approx(kept[name]["area"], abs=1e-5)
    # It draws sets of pixels of any size, others for each two inputs.
    sets = np.array([[digit == "1" for digit in one] for one in kept["mu_fidelity"]["sets"]])
    correlations = [
        fidelity_to_sets(
            model,
            images[rows],
            maps[rows].reshape(2, -1),
            targets[rows],
            half,
            baseline=0.25,
            correlation="spearman",
        )
        for rows, half in zip((slice(0, 2), slice(2, 4)), np.split(sets, 2), strict=True)
    ]
    assert np.mean(correlations) == pytest.approx(kept["mu_fidelity"]["mean"], abs=1e-5)
