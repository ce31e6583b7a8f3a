"""What becomes of a model after it was read is seen, or said to be another network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import SwitchedNetwork, UnreadableModelError
from tests.architectures import KERAS_2, images, randomise
from tests.conftest import halved, slow, slow_but
from tests.oracle import Oracle, assert_agrees

layers = keras.layers

needs_keras_3 = pytest.mark.skipif(KERAS_2, reason="Keras 2 has no such layers")


def network_of(*first: Any) -> SwitchedNetwork:
    """A small network in float32, some layers first of all, that has been used."""
    model = keras.Sequential(
        [
            keras.Input((6, 2)),
            *first,
            layers.Conv1D(3, 2, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(4, "relu", name="dense"),
            layers.Dense(2, name="logits"),
        ]
    )
    randomise(model, 3)
    for layer in first:
        if isinstance(layer, layers.Normalization):
            layer.adapt(statistics(0))
    network = SwitchedNetwork(model)
    compute_everything(network)
    return network


def compute_everything(network: SwitchedNetwork) -> None:
    """Trace what `assert_is_the_model` is going to ask for."""
    x = images(network.model, 2, 4)
    network.project(x, network.output)
    network.activation_frequency(x)
    network.insens(x, -1)


def assert_is_the_model(network: SwitchedNetwork) -> None:
    """The logits are those of the model as it is now, v = x w + b of them, and so are maps."""
    x = images(network.model, 3, 5).astype(np.float32)
    expected = np.asarray(network.model(x)).reshape(3, -1)
    projection = network.project(x, network.output)
    assert_agrees(projection.activity, expected, 1e-5)
    other = SwitchedNetwork(network.model)
    assert_agrees(projection.weights, other.project(x, other.output).weights, 1e-5)
    assert_agrees(network.insens(x, -1), other.insens(x, -1), 1e-5)
    (name, counts), *_ = network.activation_frequency(x).counts.items()
    np.testing.assert_array_equal(counts, np.sum(other.activity(x, name) > 0, axis=0))


def statistics(seed: int) -> np.ndarray:
    """Data to adapt a normalisation to."""
    return np.random.default_rng(seed).normal(seed, 1 + seed, size=(20, 6, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("later", "invert"),
    [
        ("adapt", False),
        slow("adapt", True),
        slow("set_weights", False),
        slow("load_weights", False),
    ],
)
def test_a_normalisation(later: str, invert: bool, tmp_path: Path) -> None:
    normalisation = layers.Normalization(invert=invert)
    network = network_of(normalisation)
    before = network.activity(images(network.model, 3, 5), 0)
    if later == "adapt":
        normalisation.adapt(statistics(2))
    elif later == "set_weights":
        weights = [np.array(weight) for weight in network.model.get_weights()]
        network.model.set_weights([np.abs(weight) + 1 for weight in weights])
        # Keras 3 computes with the statistics from before until it is told.
        normalisation.finalize_state()
    else:
        path = tmp_path / "model.weights.h5"
        normalisation.adapt(statistics(2))
        network.model.save_weights(path)
        normalisation.adapt(statistics(1))
        network.model.load_weights(path)
    assert_is_the_model(network)
    assert np.abs(network.activity(images(network.model, 3, 5), 0) - before).max() > 0.1


def test_normalisation_against_the_oracle() -> None:
    normalisation = layers.Normalization(dtype="float64")
    normalisation.adapt(statistics(0))
    model = keras.Sequential(
        [
            keras.Input((6, 2), dtype="float64"),
            normalisation,
            layers.Conv1D(3, 2, activation="relu", dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(2, dtype="float64"),
        ]
    )
    network = SwitchedNetwork(model)
    x = images(model, 2)
    network.insens(x, 0)
    normalisation.adapt(statistics(2))
    assert_agrees(network.insens(x, 0), Oracle(model).references(x)[0].insens(), 1e-6)


def test_weights_that_are_not_finite_in_a_normalisation() -> None:
    normalisation = layers.Normalization(name="statistics")
    network = network_of(normalisation)
    with np.errstate(all="ignore"):
        normalisation.adapt(np.full((2, 6, 2), np.nan, np.float32))
    with pytest.raises(UnreadableModelError, match=r"'statistics'.*NaN or infinity"):
        network.insens(images(network.model, 2), 0)


@pytest.mark.slow
@needs_keras_3
@pytest.mark.parametrize("name", ["conv", "dense"])
def test_lora(name: str) -> None:
    """Enabled before the network is read, and after; with its values changed."""
    after = network_of()
    layer = after.model.get_layer(name)
    layer.enable_lora(2)
    before = SwitchedNetwork(after.model)
    compute_everything(before)
    for seed in range(2):
        for variable in (layer.lora_kernel_a, layer.lora_kernel_b):
            values = np.random.default_rng(seed).normal(size=variable.shape)
            variable.assign(values)
        assert_is_the_model(after)
        assert_is_the_model(before)


@needs_keras_3
@pytest.mark.parametrize("mode", slow_but(["int8", "int4", "float8"], "int8"))
def test_quantised_weights(mode: str) -> None:
    """What enters such a layer is rounded, too: it is not linear."""
    network = network_of()
    network.model.get_layer("dense").quantize(mode)
    for call in (
        lambda: network.insens(images(network.model, 2), 0),
        lambda: SwitchedNetwork(network.model),
    ):
        with pytest.raises(UnreadableModelError, match=rf"'dense'.*not quantised.*'{mode}'"):
            call()


CONSTANTS: dict[str, Callable[[Any, Any], Any]] = {
    "x + c": lambda x, c: x + c,
    "c - x": lambda x, c: (tf if KERAS_2 else keras.ops).subtract(c, x),
    "x - c": lambda x, c: x - c,
    "x * c": lambda x, c: x * c,
    "x / c": lambda x, c: x / c,
}


def with_constant(function: Callable[[Any, Any], Any], constant: Any) -> keras.Model:
    """A model in which a function has a constant."""
    x = keras.Input((5, 3))
    y = layers.Dense(3, "relu")(function(x, constant))
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))


@pytest.mark.parametrize("name", slow_but(CONSTANTS, *halved(CONSTANTS)[::2]))
@pytest.mark.parametrize("shape", [slow(()), (3,)])
def test_constants_that_are_variables(name: str, shape: tuple[int, ...]) -> None:
    """Keras 2 copies some of them itself: what the model computes with is right."""
    make = tf.Variable if KERAS_2 else keras.Variable
    constant = make(np.full(shape, 2.0, np.float32))
    model = with_constant(CONSTANTS[name], constant)
    randomise(model, 1)
    constant.assign(np.full(shape, 2.0))
    network = SwitchedNetwork(model)
    compute_everything(network)
    constant.assign(np.random.default_rng(0).uniform(1, 3, shape))
    assert_is_the_model(network)
    constant.assign(np.full(shape, np.nan))
    if np.isnan(np.asarray(model(images(model, 2)))).any():
        with pytest.raises(UnreadableModelError, match="NaN or infinity"):
            network.insens(images(model, 2), 0)
    else:
        assert KERAS_2
        assert name in ("x + c", "c - x")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_that_are_not_finite(name: str, value: float) -> None:
    if name == "x / c" and not np.isnan(value):
        value = 0.0
    model = with_constant(CONSTANTS[name], np.array([1.0, value, 2.0], np.float32))
    with pytest.raises(UnreadableModelError, match=r"layer '\S+': expected constants that are fin"):
        SwitchedNetwork(model)


def test_a_factor_that_is_not_finite() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Rescaling(np.nan), layers.Dense(2, "relu")])
    with pytest.raises(UnreadableModelError, match=r"'rescaling.*finite in float32.*NaN"):
        SwitchedNetwork(model)


def test_another_activation() -> None:
    network = network_of()
    network.model.get_layer("dense").activation = tf.nn.relu6
    network.model.get_layer("conv").kernel.assign(
        10 * np.array(network.model.get_layer("conv").kernel)
    )
    assert_is_the_model(network)


def test_a_factor_changed_in_place() -> None:
    rescaling = layers.Rescaling(np.array([1.0, 2.0]), np.zeros(2))
    network = network_of(rescaling)
    rescaling.scale = np.array([3.0, -1.0])
    assert_is_the_model(network)


def test_another_network() -> None:
    network = network_of()
    network.model.get_layer("dense").activation = keras.activations.linear
    with pytest.raises(
        UnreadableModelError, match=r"had when it was read.*'dense'.*another Switch"
    ):
        network.insens(images(network.model, 2), 0)


def test_what_is_not_changed_is_not_compiled_again() -> None:
    """Neither by training, nor by new values: they are read when they are used."""
    network = network_of()
    compiled = dict(network._compiled)
    model = network.model
    model.compile("sgd", "mse")
    model.fit(images(model, 8), np.zeros((8, 2)), verbose=0)
    model.predict(images(model, 2), verbose=0)
    randomise(model, 7)
    compute_everything(network)
    assert network._compiled == compiled
    assert_is_the_model(network)
    assert isinstance(network, insens_tf.SwitchedNetwork)
