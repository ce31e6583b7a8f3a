"""The switched network is held against the model when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import UnreadableModelError
from insens_tf.first_use import FirstUse
from tests.architectures import ARCHITECTURES, VARIED, images, randomise
from tests.conftest import CaseOf, slow_but


def small(last: str | None = "softmax", **arguments: Any) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1), **arguments),
            keras.layers.Conv2D(3, 2, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="relu", name="dense"),
            keras.layers.Dense(3, activation=last, name="logits"),
        ]
    )
    randomise(model, 0)
    return model


CALLS: dict[str, Callable[[insens_tf.SwitchedNetwork, np.ndarray], Any]] = {
    "activity": lambda network, x: network.activity(x, "dense"),
    "project": lambda network, x: network.project(x, "dense", 0),
    "iterate_projections": lambda network, x: network.iterate_projections(x, "dense", 0),
    "insens": lambda network, x: network.insens(x, "dense"),
    "estimate_insens": lambda network, x: network.estimate_insens(x, "dense", probes=16),
    "activation_frequency": lambda network, x: network.activation_frequency([x, x][0]),
}


@pytest.mark.parametrize("call", slow_but(CALLS, "project", "insens"))
@pytest.mark.parametrize("last", ["softmax", None])
def test_what_computes_otherwise_is_found(
    call: str, last: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(last)
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 3).astype(np.float32)
    before = np.asarray(model(x))[:2]
    original = keras.layers.Conv2D.call
    monkeypatch.setattr(keras.layers.Conv2D, "call", lambda self, x: 1.5 * original(self, x))
    difference = np.abs(np.asarray(model(x))[:2] - before).max()
    assert difference > 1e-2
    for _ in range(2):
        with pytest.raises(UnreadableModelError) as caught:
            CALLS[call](network, x)
        for word in (model.name, f"by up to {difference:.2g} on 2", "examine", "prove=False"):
            assert word in str(caught.value)
    monkeypatch.undo()
    CALLS[call](network, x)


def test_it_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    monkeypatch.setattr(FirstUse, "__call__", lambda *_: pytest.fail("proven"))
    network = insens_tf.SwitchedNetwork(model, prove=False)
    for call in CALLS.values():
        call(network, images(model, 3))


def test_once_for_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 3)
    times: list[int] = []
    monkeypatch.setattr(FirstUse, "_compare", lambda *_: times.append(1))
    for call in CALLS.values():
        call(network, x)
    assert len(times) == 1
    randomise(model, 1)
    for call in CALLS.values():
        call(network, x)
    assert len(times) == 2
    model.compile("sgd", "mse")
    model.fit(x, np.ones((3, 3)), verbose=0)
    network.insens(x, "dense")
    assert len(times) == 3


@pytest.mark.parametrize("name", slow_but(ARCHITECTURES, *VARIED))
def test_no_false_alarm(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    network = insens_tf.SwitchedNetwork(this.model)
    for scale in (1e-3, 1.0, 1e3):
        x = np.asarray(this.x * scale, network.dtype)
        FirstUse(this.model, network._reading, 2**28)(x, np.zeros(0))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float32"])
def test_no_false_alarm_in_deep_networks(policy: str) -> None:
    inputs = keras.Input((8, 8, 3))
    value: Any = inputs
    for _ in range(8):
        branch = keras.layers.Conv2D(16, 3, padding="same", dtype=policy)(value)
        branch = keras.layers.BatchNormalization(dtype=policy)(branch)
        branch = keras.layers.ReLU(dtype=policy)(branch)
        value = branch if value is inputs else keras.layers.Add(dtype=policy)([branch, value])
    pooled = keras.layers.GlobalAveragePooling2D(dtype=policy)(value)
    model = keras.Model(inputs, keras.layers.Dense(1, dtype=policy)(pooled))
    for seed in range(2):
        randomise(model, seed)
        reading = insens_tf.SwitchedNetwork(model)._reading
        FirstUse(model, reading, 2**28)(images(model, 2, seed).astype(np.float32), np.zeros(0))


def test_results_that_cancel_out() -> None:
    """The errors of a small difference of large numbers are none of the reading."""
    inputs = keras.Input((50,))
    hidden = keras.layers.Dense(400, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    randomise(model, 0)
    x = images(model, 1).astype(np.float32)
    model.layers[-1].bias.assign(model.layers[-1].bias - model(x)[0])
    assert abs(float(model(x)[0, 0])) < 1e-5
    insens_tf.SwitchedNetwork(model).insens(x, 0)


def test_models_for_a_fixed_number_of_inputs() -> None:
    model = small(batch_size=3)
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 5)
    assert network.insens(x, "dense").shape == x.shape
    assert network.insens(x[:1], "dense").shape == (1, 4, 4, 1)
    assert all(one.largest_difference < 1e-5 for one in network.report(x).proofs)


def test_whole_numbers() -> None:
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Dense(3, activation="relu", name="hidden"),
            keras.layers.Dense(2),
        ]
    )
    network = insens_tf.SwitchedNetwork(model)
    assert all(one.largest_difference < 1e-5 for one in network.report().proofs)
    assert network.insens(np.array([[0, 7, 100, 255]]), "hidden").shape == (1, 4)
    for value in (0.5, -1.0, 256.0):
        with pytest.raises(ValueError, match=f"whole numbers that uint8 has.*, came {value:g}; "):
            network.insens(np.array([[0, 7, value, 255]]), "hidden")


def test_the_model_and_the_random_state_are_as_before() -> None:
    model = small()
    before, state = dict(vars(model)), tf.random.get_global_generator().state.numpy()
    reading = insens_tf.SwitchedNetwork(model)._reading
    FirstUse(model, reading, 2**28)(images(model, 2).astype(np.float32), np.zeros(0))
    assert vars(model).keys() == before.keys()
    np.testing.assert_array_equal(tf.random.get_global_generator().state.numpy(), state)
