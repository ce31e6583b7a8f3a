"""What training does to the state: the callback, the command, and neurons of one state only."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from insens_tf import SwitchedNetwork, callbacks
from insens_tf.callbacks import StateMonitor
from insens_tf.monitoring import LayerState, StateMeasurement, StateWatch, draw_states
from tests.conftest import with_keras_3
from tests.oracle import Oracle
from tests.small_images import SIDE, small_convolutional

pytestmark = pytest.mark.xdist_group("state monitor")  # one network for all

INPUTS = 9
LAYERS = ("conv", "dense")
DEAD, ALWAYS = 2, 4
"""Neurons of the dense layer whose bias leaves them one state."""


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).random((INPUTS, SIDE, SIDE, 1), np.float32)


@pytest.fixture(scope="module")
def network() -> SwitchedNetwork:
    return SwitchedNetwork(small_convolutional(outputs=3))


@pytest.fixture(autouse=True)
def planted(network: SwitchedNetwork) -> None:
    """Give the network its first weights, with a dead and an always active neuron."""
    model = network.model
    model.set_weights(small_convolutional(outputs=3).get_weights())
    kernel, bias = model.get_layer("dense").get_weights()
    bias[[DEAD, ALWAYS]] = -100, 100
    model.get_layer("dense").set_weights([kernel, bias])


def states_of(model: keras.Model, x: np.ndarray) -> dict[str, np.ndarray]:
    """Which neurons are active, by the oracle."""
    *hidden, _ = Oracle(model).references(x)
    shapes = {"conv": (6, 6, 3), "dense": (6,)}
    return {
        name: (one.activity > 0).reshape(-1, *shapes[name])
        for name, one in zip(LAYERS, hidden, strict=True)
    }


def train(
    model: keras.Model, x: np.ndarray, *monitors: Any, epochs: int = 2, rate: float = 1e-3
) -> keras.callbacks.History:
    """Train by plain gradient descent, with batches in a random order; no global seed is set."""
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    data = tf.data.Dataset.from_tensor_slices((x, np.arange(len(x)) % 3))
    batches = data.shuffle(len(x), seed=3).batch(4)
    # Keras 3 warns where it is asked for another order.
    return model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=list(monitors))


# --- neurons of one state -----------------------------------------------------------------------


def test_dead_and_always_active_neurons_are_named(network: SwitchedNetwork, x: np.ndarray) -> None:
    frequency = network.activation_frequency(x)
    dead, always = network.dead_neurons(frequency), network.always_active(frequency)
    for name, active in states_of(network.model, x).items():
        np.testing.assert_array_equal(dead[name].mask, ~active.any(axis=0))
        np.testing.assert_array_equal(always[name].mask, active.all(axis=0))
        assert len(dead[name]) == (~active.any(axis=0)).sum()
    assert [DEAD] in dead["dense"].indices.tolist()
    assert [ALWAYS] in always["dense"].indices.tolist()
    assert DEAD in dead["dense"].channels
    assert repr(dead["dense"]) == f"ConstantNeurons({len(dead['dense'])} of 6 of 'dense')"


def test_channels_that_are_dead_as_a_whole(network: SwitchedNetwork) -> None:
    frequency = np.full((6, 6, 3), 0.5)
    frequency[..., 1] = 0
    frequency[2, 3, 2] = 0
    dead = network.dead_neurons({"conv": frequency})
    assert list(dead) == ["conv"]
    assert dead["conv"].by_channel.tolist() == [0, 36, 1]
    assert dead["conv"].channels.tolist() == [1]
    assert [2, 3, 2] in dead["conv"].indices.tolist()
    assert not len(network.always_active({"conv": frequency})["conv"])


def test_a_frequency_that_is_none_is_refused(network: SwitchedNetwork) -> None:
    with pytest.raises(ValueError, match=r"expected a mapping from each layer's name .* NoneType"):
        network.dead_neurons(None)
    with pytest.raises(ValueError, match=r"'conv': expected shape \(6, 6, 3\), came \(2,\)"):
        network.always_active({"conv": np.ones(2)})
    with pytest.raises(ValueError, match="'conv_7' is not known"):
        network.dead_neurons({"conv_7": np.ones(2)})
    assert network.dead_neurons({}) == {}


# --- the watch ----------------------------------------------------------------------------------


def assert_measured(
    measured: StateMeasurement, now: dict[str, np.ndarray], before: dict[str, np.ndarray] | None
) -> None:
    for state in measured.layers:
        active = now[state.layer]
        assert state.neurons == active[0].size
        assert state.active == pytest.approx(active.mean())
        assert state.dead == (~active.any(axis=0)).sum()
        assert state.always_active == active.all(axis=0).sum()
        if before is None:
            assert np.isnan(state.changed)
        else:
            assert state.changed == pytest.approx((active != before[state.layer]).mean())


def test_what_is_measured_is_what_the_oracle_says(network: SwitchedNetwork, x: np.ndarray) -> None:
    dataset = tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x)))).batch(4)
    watch = StateWatch(dataset, margin_inputs=2)
    before = None
    generator = np.random.default_rng(0)
    for step in (0, 3):
        now = states_of(network.model, x)
        measured = watch.measure(network, step)
        assert measured.step == step
        assert_measured(measured, now, before)
        counts = network.activation_frequency(x).counts
        for name, count in measured.frequency.counts.items():
            np.testing.assert_array_equal(count, counts[name])
        margins = network.margins(x[:2], list(LAYERS))
        for state in measured.layers:
            assert state.margin == pytest.approx(np.median(np.abs(margins[state.layer])))
        before = now
        weights = network.model.get_weights()
        network.model.set_weights([w + generator.standard_normal(w.shape) / 9 for w in weights])


def test_since_when_a_neuron_is_dead(network: SwitchedNetwork, x: np.ndarray) -> None:
    watch = StateWatch(x, ["dense"], margin_inputs=0)
    layer = network.model.get_layer("dense")
    kernel, bias = layer.get_weights()
    found = []
    # Neuron 0 dies, comes back, and dies once more; the planted one is dead from the start.
    for step, of_0 in enumerate([1000, -1000, -1000, 1000, -1000, -1000]):
        bias[0] = of_0
        layer.set_weights([kernel, bias])
        measured = watch.measure(network, 10 * step)
        found.append(measured.dead_since["dense"][[0, DEAD, ALWAYS]].tolist())
        assert np.isnan(measured.layers[0].margin)
    assert [row[0] for row in found] == [-1, 10, 10, -1, 40, 40]
    assert [row[1:] for row in found] == [[0, -1]] * 6


# --- the callback -------------------------------------------------------------------------------


@pytest.fixture
def trained(network: SwitchedNetwork, x: np.ndarray) -> tuple[StateMonitor, Any, dict[str, Any]]:
    """A training with a monitor, and the states by the oracle before it and after it."""
    monitor = StateMonitor(x, margin_inputs=1)
    before = states_of(network.model, x)
    history = train(network.model, x, monitor, epochs=1)
    return monitor, history, {"before": before, "after": states_of(network.model, x)}


def test_an_epoch_is_measured_and_logged(trained: Any, x: np.ndarray) -> None:
    monitor, history, states = trained
    first, last = monitor.measurements
    assert (first.step, last.step) == (0, 1)
    assert_measured(first, states["before"], None)
    assert_measured(last, states["after"], states["before"])
    for state in last.layers:
        for name in ("active", "dead", "always_active", "changed", "margin"):
            logged = history.history[f"{state.layer}/{name}"]
            assert logged == [pytest.approx(getattr(state, name))]
    assert last.dead_since["dense"][DEAD] == 0
    assert len(monitor.plot().axes) == 5


def test_measurements_are_a_table(trained: Any) -> None:
    pytest.importorskip("pandas")
    monitor, _, _ = trained
    table = monitor.to_pandas()
    assert list(table) == ["step", *LayerState._fields]
    expected = [(one.step, *state) for one in monitor.measurements for state in one.layers]
    found = [tuple(row) for row in table.itertuples(index=False)]
    for row, states in zip(found, expected, strict=True):
        np.testing.assert_equal(row, states)


def with_dropout() -> keras.Model:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Flatten(),
            layers.Dropout(0.3, seed=1),
            layers.Dense(6, "relu", name="dense"),
            layers.Dense(3, "softmax", name="logits"),
        ]
    )
    generator = np.random.default_rng(0)
    model.set_weights([generator.standard_normal(w.shape) / 8 for w in model.get_weights()])
    return model


@pytest.mark.slow
def test_training_is_the_same_to_the_bit(
    x: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that the monitor can do, every second epoch, and without TensorBoard."""
    monkeypatch.setattr(callbacks, "find_spec", lambda name: None)
    alone, watched = with_dropout(), with_dropout()
    train(alone, x)
    monitor = StateMonitor(x, ["dense"], every=2, images=2, log_dir=tmp_path, margin_inputs=1)
    table = tmp_path / "table.csv"
    history = train(watched, x, monitor, keras.callbacks.CSVLogger(str(table))).history
    assert not np.array_equal(alone.get_weights()[0], with_dropout().get_weights()[0])
    for found, expected in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [one.step for one in monitor.measurements] == [0, 2]
    last = monitor.measurements[-1].layers[0]
    assert [np.isnan(one) for one in history["dense/active"]] == [True, False]
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == ["insens_0000.png", "insens_0002.png"]
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["dense/active"]) == pytest.approx(last.active)


def test_a_training_that_diverges_goes_on(network: SwitchedNetwork, x: np.ndarray) -> None:
    monitor = StateMonitor(x, margin_inputs=0)
    with pytest.warns(RuntimeWarning, match="after epoch 1 was not measured: .*NaN or infinity"):
        history = train(network.model, x, monitor, epochs=1, rate=np.inf)
    assert np.isnan(history.history["dense/active"][0])
    assert len(monitor.measurements) == 1


@pytest.mark.skipif(callbacks.find_spec("tensorboard") is None, reason="TensorBoard is not there")
def test_pictures_are_summaries_where_tensorboard_is(
    network: SwitchedNetwork, x: np.ndarray, tmp_path: Path
) -> None:
    train(network.model, x, StateMonitor(x, images=1, log_dir=tmp_path, margin_inputs=0), epochs=1)
    found = [
        value.tag
        for path in sorted((tmp_path / "insens").iterdir())
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert found == ["insens/conv", "insens/dense"] * 2


def test_what_is_wrong_is_said_before_the_training(network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="every=0: expected a whole number of epochs"):
        StateMonitor(x, every=0)
    with pytest.raises(ValueError, match="images=3: expected a log_dir"):
        StateMonitor(x, images=3)
    with pytest.raises(ValueError, match="repeats without end"):
        StateMonitor(tf.data.Dataset.from_tensor_slices(x).batch(4).repeat())
    with pytest.raises(ValueError, match=r"expected shape .batch, 8, 8, 1., came .9, 4, 4, 1."):
        train(network.model, x, StateMonitor(x[:, :4, :4]))
    with pytest.raises(ValueError, match="'no_layer' is not known"):
        train(network.model, x, StateMonitor(x, ["no_layer"]))
    with pytest.raises(ValueError, match="at least one, came none"):
        draw_states([])


# --- the command --------------------------------------------------------------------------------


@with_keras_3
def test_checkpoints_are_followed(
    call: Any, network: SwitchedNetwork, x: np.ndarray, tmp_path: Path
) -> None:
    pixels = np.rint(255 * x).astype(np.uint8)
    np.savez(tmp_path / "test.npz", x_test=pixels)
    scaled = pixels.astype(np.float32) / np.float32(255)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    states = []
    # Names in natural order, not in that of the alphabet.
    for number in (2, 10):
        network.model.save(folder / f"epoch_{number}.keras")
        states.append(states_of(network.model, scaled))
        network.model.set_weights([w - 0.1 for w in network.model.get_weights()])
    out = tmp_path / "states"
    done = call(
        *("monitor", str(folder), "--data", str(tmp_path / "test.npz"), "--margins", "1"),
        *("--out", str(out)),
    )
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == [
        *("dead_since.npz", "run.json", "states.csv", "states.png"),
    ]
    with (out / "states.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    places = [(row["checkpoint"], row["layer"]) for row in rows]
    assert places == [(f"epoch_{n}", name) for n in (2, 10) for name in LAYERS]
    for number, row in enumerate(rows):
        active = states[number // 2][row["layer"]]
        assert float(row["active"]) == pytest.approx(active.mean())
        assert int(row["dead"]) == (~active.any(axis=0)).sum()
        assert re.search(rf"{row['layer']} +{active[0].size} +{active.mean():.1%} ", done.out)
        if number >= 2:
            changed = (active != states[0][row["layer"]]).mean()
            assert float(row["changed"]) == pytest.approx(changed)
    with np.load(out / "dead_since.npz") as arrays:
        assert arrays["dead_since/dense"][DEAD] == 0


@with_keras_3
def test_checkpoints_that_are_none_are_refused(
    call: Any, network: SwitchedNetwork, x: np.ndarray, tmp_path: Path
) -> None:
    data = str(tmp_path / "test.npy")
    np.save(data, x)
    done = call("monitor", str(tmp_path), "--data", data)
    assert done.code == 1
    assert "expected models (.keras or .h5 files, or SavedModel folders), found none" in done.err
    done = call("monitor", data, "--data", data)
    assert "expected a folder with the models" in done.err
    network.model.save(tmp_path / "a.keras")
    with_dropout().save(tmp_path / "b.keras")
    done = call("monitor", str(tmp_path), "--data", data)
    assert done.code == 1
    assert re.search(r"checkpoint .*b\.keras: expected the layers that were measured", done.err)
