"""Figure 7's correlations and their table, against scipy, GradientTape and counts one by one."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy import stats

import insens_tf
from data_scripts.preparation import write_npz
from experiments import figure_7, figure_7_drawing
from experiments.map_correlations import compared_maps, images_of_seed
from experiments.network_store import Store
from experiments.tables import read_csv
from experiments.train import Network
from experiments.two_conv_settings import SETTINGS, Settings, build
from insens_tf.evaluation import CORRELATIONS
from insens_tf.method_table import COMPARED_METHODS
from insens_tf.two_conv import HIDDEN_LAYERS
from tests.architectures import KERAS_2
from tests.commands_here import run_here
from tests.conftest import with_keras_2

TINY = Settings(
    input_shape=(8, 8, 1), classes=3, filters=(3, 4), kernel_size=3, units=12, train_images=20
)


@dataclass(frozen=True)
class Untrained(Store):
    """Gives networks that were not trained, but have biases."""

    models: Mapping[Network, Any] = field(default_factory=dict)

    def load(self, network: Network, data_sha256: str) -> Any:
        return self.models[network]


def with_biases(seed: int) -> Any:
    model = build(TINY, seed)
    random = np.random.default_rng(seed)
    model.set_weights([w + random.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model


def gradient_of_logit(model: Any, x: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    last = model.layers[-1]
    inner = tf.keras.Model(model.inputs[0], model.layers[-2].output)
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = inner(inputs, training=False) @ last.kernel + last.bias
        chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
    return tape.gradient(chosen, inputs).numpy()


@with_keras_2
@pytest.mark.slow
@pytest.mark.parametrize("seed", [5 if KERAS_2 else 0])
def test_correlations_of_a_triple(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SETTINGS, "mnist", TINY)
    random = np.random.default_rng(seed)
    arrays = {
        f"{kind}_{part}": random.integers(0, high, (30, *shape), dtype=np.uint8)
        for kind, high, shape in (("x", 256, TINY.input_shape), ("y", 3, ()))
        for part in ("train", "test")
    }
    write_npz(tmp_path / "mnist.npz", arrays)
    trained, shuffled = Network("mnist", seed, TINY), Network("mnist", 1000 + seed, TINY, True)
    models = {trained: with_biases(seed), shuffled: with_biases(seed + 100)}
    weights = {network: model.get_weights() for network, model in models.items()}
    triple = figure_7._Triple(
        Untrained(tmp_path, tmp_path, models),
        "",
        trained,
        shuffled,
        images=(4, 1, 17),
        explained=("original", "own"),
    )

    found = figure_7._correlations(triple)["correlations"]

    assert found.shape == (2, 2 * 5 + 3, len(CORRELATIONS), 3)
    # Keras forgot the networks.
    models = {network: build(TINY) for network in weights}
    for network, model in models.items():
        model.set_weights(weights[network])
    x = (arrays["x_test"][[4, 1, 17]] / 255).astype(np.float32)
    x_train = (arrays["x_train"][:20] / 255).astype(np.float32)
    original = models[trained].predict(x, verbose=0).argmax(axis=1)
    methods = compared_maps(("original", "own"))
    others = [build(TINY, 2000 + seed), models[shuffled]]
    for against, other in enumerate(others):
        for explained in ("original", "own"):
            classes = (
                original if explained == "original" else other.predict(x, verbose=0).argmax(axis=1)
            )
            maps = gradient_of_logit(models[trained], x, original)
            other_maps = gradient_of_logit(other, x, classes)
            row = found[against, methods.index(("gradient", explained))]
            for image in range(3):
                one, two = maps[image].ravel(), other_maps[image].ravel()
                expected = [
                    stats.spearmanr(one, two)[0],
                    stats.spearmanr(np.abs(one), np.abs(two))[0],
                ]
                np.testing.assert_allclose(row[:2, image], expected, atol=2e-3)
        networks = [insens_tf.SwitchedNetwork(model) for model in (models[trained], other)]
        maps, other_maps = (
            network.insens(x, "conv_2", network.activation_frequency(x_train)["conv_2"])
            for network in networks
        )
        row = found[against, methods.index(("insens/conv_2", "layer"))]
        for image in range(3):
            expected = stats.spearmanr(maps[image].ravel(), other_maps[image].ravel())[0]
            assert row[0, image] == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From small trained networks to pictures, of correlations that are made up."""
    triples: list[figure_7._Triple] = []

    def made_up(triple: figure_7._Triple) -> dict[str, NDArray[np.float32]]:
        triples.append(triple)
        for network in (triple.trained, triple.shuffled):
            assert triple.store.load(network, triple.data_sha256).output_shape == (None, 10)
        shape = len(figure_7.AGAINST), 5 + 3, len(CORRELATIONS), len(triple.images)
        return {"correlations": np.full(shape, 0.25, np.float32)}

    monkeypatch.setattr(figure_7, "_correlations", made_up)
    small = ("filters=[3,4]", "units=12", "learning_rate=0.01")
    settings = [word for one in small for word in ("--setting", one)]
    folders = [f"--{name}={tmp_path / name}" for name in ("networks", "out")]

    ended = run_here(figure_7.main, "--quick", *folders, *settings)

    assert ended.exit_code == 0, ended.output
    (triple,) = triples
    assert len(set(triple.images)) == 4
    assert (triple.trained.seed, triple.trained.labels_shuffled) == (0, False)
    assert (triple.shuffled.seed, triple.shuffled.labels_shuffled) == (1000, True)
    rows = read_csv(tmp_path / "out" / "summary.csv")
    assert len(rows) == 2 * (5 + 3) * len(CORRELATIONS)
    assert {float(row["mean"]) for row in rows} == {0.25}
    for picture in ("figure_7", "figure_7_variants"):
        for kind in ("png", "pdf"):
            assert (tmp_path / "out" / f"{picture}.{kind}").exists()


def test_images_differ_between_networks_and_are_the_same_each_time() -> None:
    chosen = [images_of_seed(1000, 100, seed) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 100
    assert set(chosen[0]) <= set(range(1000))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_table_of_correlations(seed: int) -> None:
    random = np.random.default_rng(seed)
    maps = compared_maps(("original",))
    correlations = random.uniform(-1, 1, (4, 2, len(maps), len(CORRELATIONS), 6))
    correlations[random.random(correlations.shape) < 0.2] = np.nan
    correlations[1, 0, 2, 0] = np.nan  # nothing is defined in one network,
    correlations[:, 1, 3, 1] = np.nan  # nor here in any
    rows = list(figure_7._summary(correlations.astype(np.float32), maps))

    assert len(rows) == 2 * len(maps) * len(CORRELATIONS)
    for against, method, explained, kind, networks, defined, *numbers in rows:
        values = correlations[
            :,
            figure_7.AGAINST.index(against),
            maps.index((method, explained)),
            CORRELATIONS.index(kind),
        ].tolist()
        kept = [[value for value in row if value == value] for row in values]
        assert networks == 4
        assert defined == pytest.approx(sum(map(len, kept)) / 24, abs=1e-4)
        if not any(kept):
            assert np.isnan(numbers).all()
            continue
        means = [statistics.fmean(row) for row in kept if row]
        expected = [
            statistics.fmean(means),
            statistics.variance(means),
            statistics.variance([value for row in kept for value in row]),
        ]
        assert numbers == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("explained", [("original",), ("original", "own")])
def test_bars_are_means_and_dots_the_networks(explained: tuple[str, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    maps = compared_maps(explained)
    correlations = random.uniform(-1, 1, (3, 2, len(maps), len(CORRELATIONS), 4))
    correlations[0, 0, 0, 0, 1] = np.nan  # one image,
    correlations[1, 0, 1, 0] = np.nan  # and one network
    np.savez(
        tmp_path / "correlations.npz",
        correlations=correlations.astype(np.float32),
        against=np.array(figure_7.AGAINST),
        maps=np.array([f"{method} ({neuron})" for method, neuron in maps]),
        kinds=np.array(CORRELATIONS),
    )
    read = figure_7_drawing.read_correlations(tmp_path / "correlations.npz")

    of_paper = figure_7_drawing.as_the_paper(read)
    all_readings = figure_7_drawing.all_readings(read)

    titles = [panel.get_title().replace("\n", " ") for panel in of_paper.axes]
    assert titles == [
        "(a) trained against untrained",
        "(b) trained against shuffled labels",
        "(c) trained against untrained",
        "(d) trained against shuffled labels",
    ]
    assert len(all_readings.axes) == 2 * (1 + len(explained))
    shown = [maps.index((method, "original")) for method in COMPARED_METHODS]
    layers = [maps.index((f"insens/{layer}", "layer")) for layer in HIDDEN_LAYERS]
    for panel, against, of_panel in zip(
        of_paper.axes, (0, 1, 0, 1), [[*shown, layers[-1]]] * 2 + [layers] * 2
    ):
        dots = [line for line in panel.lines if line.get_marker() == "o"]
        bars = [bar.get_height() for bar in panel.findobj(Rectangle) if bar is not panel.patch]
        heights = [height for height in bars if np.isfinite(height)]
        assert len(dots) == len(heights) == len(of_panel)
        for line, height, which in zip(dots, heights, of_panel):
            values = correlations[:, against, which, 0].tolist()
            kept = [[one for one in row if one == one] for row in values]
            expected = [statistics.fmean(row) for row in kept if row]
            assert line.get_ydata() == pytest.approx(expected, abs=1e-6)
            assert height == pytest.approx(statistics.fmean(expected), abs=1e-6)


def test_networks_that_do_not_fit_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    def network(seed: int, accuracy: float, shuffled: bool) -> dict[str, Any]:
        config = {"seed": seed, "labels_shuffled": shuffled, "stop_at": 0.95, "epochs": 60}
        return {"config": config, "train_accuracy": accuracy}

    figure_7._say_what_does_not_fit([network(0, 0.97, False), network(1000, 0.5, True)])

    said = capsys.readouterr().err
    assert said.splitlines() == [
        "network 1000 (shuffled labels) fits 50.0% of its labels, not 95%, after 60 epochs"
    ]
