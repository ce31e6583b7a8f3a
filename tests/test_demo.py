"""The demonstration: real digits, reproducible training, and a check that could fail."""

from __future__ import annotations

import json
import random
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from insens_tf import SwitchedNetwork, cli, demo
from insens_tf.analyzer import create_analyzer
from insens_tf.files import load_model, results_folder
from insens_tf.heatmap import heatmap, picture
from insens_tf.two_conv import two_conv
from tests.oracle import Oracle

SIZES: dict[str, Any] = {"filters": (3, 4), "units": 24}


@pytest.fixture
def _small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demonstration train a 2CONV of few neurons, which takes little time."""

    def small(input_shape: tuple[int, int, int], classes: int, *, seed: int) -> Any:
        return two_conv(input_shape, classes, seed=seed, **SIZES)

    monkeypatch.setattr(demo, "two_conv", small)


@pytest.fixture(scope="module")
def network() -> SwitchedNetwork:
    """An untrained 2CONV of few neurons, with biases that are not 0."""
    model = two_conv((28, 28, 1), 10, seed=0, **SIZES)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, generator.normal(size=bias.shape) * 0.1])
    return SwitchedNetwork(model)


def test_the_shipped_digits_are_real_ones() -> None:
    data = demo.digits()
    assert data.x_train.shape == (2000, 28, 28, 1)
    assert data.x_test.shape == (200, 28, 28, 1)
    for images, labels in [(data.x_train, data.y_train), (data.x_test, data.y_test)]:
        assert images.dtype == np.float32
        assert (images.min(), images.max()) == (0, 1)
        assert len(labels) == len(images)
        assert sorted(np.unique(labels)) == list(range(10))
        # Digits are bright strokes in the middle of a dark ground.
        assert images[:, :2].mean() < 0.01 < images[:, 8:20, 8:20].mean()


@pytest.mark.usefixtures("_small_network")
@pytest.mark.slow
def test_training_depends_on_the_seed_and_nothing_else() -> None:
    data = demo.digits()
    x, y = data.x_train[:120], data.y_train[:120]

    def weights(seed: int) -> list[np.ndarray]:
        trained = demo.train(x, y, seed=seed, epochs=1, progress=False).get_weights()
        return [np.asarray(array) for array in trained]

    def global_states() -> tuple[str, str]:
        return repr(np.random.get_state()), repr(random.getstate())  # noqa: NPY002

    before = global_states()
    first = weights(0)
    assert global_states() == before
    np.random.random()  # noqa: NPY002
    tf.random.uniform(())
    again, other = weights(0), weights(1)
    for one, same, different in zip(first, again, other, strict=True):
        assert np.array_equal(one, same)
        assert not np.array_equal(one, different)


def test_the_bias_of_the_parameters_is_the_oracles(network: SwitchedNetwork) -> None:
    x = demo.digits().x_test[:2]
    for reference in Oracle(network.model).references(x):
        activity, bias = demo.switched_bias_of_parameters(network.model, reference.name, x)
        assert np.allclose(activity.reshape(2, -1), reference.activity, atol=1e-5)
        assert np.allclose(bias.reshape(2, -1), reference.bias, atol=1e-5)


def test_the_error_is_that_of_roundings_and_shows_wrong_weights(
    network: SwitchedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = demo.digits().x_test[:3]
    names = [layer.name for layer in (*network.layers, network.output)]
    assert names == ["conv_1", "conv_2", "dense", "logits"]
    for name in names:
        error, largest = demo.largest_error(network, name, x)
        assert 0 < error < 1e-5 * largest

    right = network.project

    class Wrong:
        """Projections whose weights are a thousandth too large."""

        def __init__(self, *arguments: Any) -> None:
            self.weights = right(*arguments).weights * 1.001

    monkeypatch.setattr(network, "project", Wrong)
    for name in names:
        error, largest = demo.largest_error(network, name, x)
        assert error > 1e-5 * largest


@pytest.fixture
def _signals_as_before() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.slow
@pytest.mark.usefixtures("_small_network", "_signals_as_before")
def test_the_demonstration_reports_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = demo.digits()
    fewer = data._replace(x_train=data.x_train[:1000], y_train=data.y_train[:1000])
    monkeypatch.setattr(demo, "digits", lambda: fewer)
    out = tmp_path / "shown"
    with results_folder(out, {}) as earlier:  # an earlier demonstration is replaced
        (earlier / "earlier.txt").touch()
    with warnings.catch_warnings():
        assert cli.main(["demo", "--out", str(out), "--epochs", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count("Test accuracy: ") == 1
    assert said.count("largest |v - (x w + b)|") == 1
    assert "l =" not in said
    assert f"insens-tf layers {out / demo.MODEL} --data {out / demo.DIGITS}" in said

    files = {demo.PICTURE, demo.MODEL, demo.DIGITS, "run.json"}
    assert {path.name for path in out.iterdir()} == files
    assert [path.name for path in tmp_path.iterdir()] == ["shown"]
    results = json.loads((out / "run.json").read_text())["results"]
    predicted = load_model(out / demo.MODEL)(data.x_test).numpy().argmax(axis=-1)
    assert results["test_accuracy"] == pytest.approx(np.mean(predicted == data.y_test))
    assert results["test_accuracy"] > 0.15  # after one epoch, better than guessing
    assert set(results["layers"]) == {"conv_1", "conv_2", "dense", "logits"}
    for name, numbers in results["layers"].items():
        assert numbers["largest_error"] < 1e-4
        assert (numbers["active"] is None) == (name == "logits")
    assert 0 < results["active"] < 1

    drawn = np.asarray(Image.open(out / demo.PICTURE).convert("RGB"))
    for label in range(10):
        digit = picture(data.x_test[data.y_test == label][0]).repeat(4, axis=0).repeat(4, axis=1)
        assert holds(drawn, digit)
    chosen = [np.flatnonzero(data.y_test == label)[0] for label in range(10)]
    model = load_model(out / demo.MODEL)
    others = ["gradient", "integrated_gradients", "deep_taylor", "lrp.epsilon"]
    for name in others:
        analyzer = create_analyzer(name, model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an epoch may leave a negative output
            maps = analyzer.analyze(data.x_test[chosen])
        for one in heatmap(maps):
            assert holds(drawn, one.repeat(4, axis=0).repeat(4, axis=1)), name
    reds = (drawn[..., 0] == 255) & (drawn[..., 1] == 0)
    blues = (drawn[..., 2] == 255) & (drawn[..., 1] == 0)
    # Each map's strongest pixel is 16 pixels on the screen, in one of the two colours.
    assert reds.sum() + blues.sum() >= 16 * 10 * (len(others) + 3)


def holds(canvas: np.ndarray, block: np.ndarray) -> bool:
    """Say whether a digit is somewhere in the picture, each pixel a square of 4."""
    canvas, block = coded(canvas), coded(block)
    height, width = block.shape
    pixels = block[::4, ::4]
    _, numbers, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    # The rarest colours first, which are in few places: most of the picture is white.
    order = np.argsort(counts[numbers.reshape(pixels.shape)], axis=None, kind="stable")
    places = 4 * np.stack(np.unravel_index(order, pixels.shape), axis=1)
    y, x = places[0]
    corners = canvas[y : y + canvas.shape[0] - height + 1, x : x + canvas.shape[1] - width + 1]
    found = np.argwhere(corners == block[y, x])
    for y, x in places[1:]:
        found = found[canvas[found[:, 0] + y, found[:, 1] + x] == block[y, x]]
    return len(found) > 0


def coded(rgb: np.ndarray) -> np.ndarray:
    """Give each colour a number."""
    return rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def test_a_digit_is_found_where_it_is_and_not_where_it_differs() -> None:
    canvas = np.full((300, 200, 3), 255, np.uint8)
    digit = picture(demo.digits().x_test[0]).repeat(4, axis=0).repeat(4, axis=1)
    canvas[300 - 112 :, 7 : 7 + 112] = digit
    assert holds(canvas, digit)
    canvas[300 - 56 : 300 - 52, 7 + 56 : 7 + 60] += 1
    assert not holds(canvas, digit)
