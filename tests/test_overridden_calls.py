"""Models and layers that compute something else than their class or their connections say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import UnreadableModelError

SHAPE = (6, 6, 2)


def doubled(*_: Any) -> tf.Tensor:
    raise AssertionError("nothing of the model is called by reading it")


class DoubledModel(keras.Model):
    """A functional model with a call of its own."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return 2 * super().call(inputs)


class DoubledSequential(keras.Sequential):
    """The same as a Sequential model."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return 2 * super().call(inputs)


class Inherited(DoubledModel):
    """Its call is that of its base."""


class Trained(keras.Model):
    """A functional model that is trained in its own way, and called as any other."""

    def __init__(self) -> None:
        inputs = keras.Input(SHAPE)
        hidden = keras.layers.Conv2D(2, 3, activation="relu", name="hidden")(inputs)
        super().__init__(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(hidden)))

    def train_step(self, data: Any) -> dict[str, Any]:
        return {}


def functional(kind: type) -> Any:
    inputs = keras.Input(SHAPE)
    return kind(inputs, keras.layers.Conv2D(2, 3, activation="relu")(inputs), name="own")


MODELS: dict[str, Callable[[], Any]] = {
    "functional": lambda: functional(DoubledModel),
    "inherited": lambda: functional(Inherited),
    "sequential": lambda: DoubledSequential(
        [keras.Input(SHAPE), keras.layers.Conv2D(2, 3, activation="relu")], name="own"
    ),
    "one object": lambda: functional(keras.Model),
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_a_call_of_its_own(name: str, nested: bool) -> None:
    own = MODELS[name]()
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, keras.layers.Flatten()(own(inputs))) if nested else own
    if name == "one object":
        own.call = doubled
    with pytest.raises(UnreadableModelError, match=r"model 'own': expected .* its own call; rew"):
        insens_tf.SwitchedNetwork(model)


def test_a_model_that_is_only_trained_in_its_own_way() -> None:
    model = Trained()
    network = insens_tf.SwitchedNetwork(model)
    assert [layer.name for layer in network.layers] == ["hidden"]
    x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(network.activity(x, network.output), model(x), atol=1e-5)


class Conv2D(keras.layers.Conv2D):
    """A convolution with the name of Keras' own, and another call."""

    def call(self, inputs: Any) -> Any:
        return 2 * super().call(inputs)


class Rebuilt(keras.layers.Conv2D):
    """A convolution that makes other weights."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)


class ReLU(keras.layers.ReLU):
    """An activation layer with the name of Keras' own, and another call."""

    def call(self, inputs: Any) -> Any:
        return inputs * inputs


def around(layer: keras.layers.Layer) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layer,
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )


@pytest.mark.parametrize("kind", [Conv2D, Rebuilt])
def test_a_subclass_of_a_layer_that_is_read(kind: type[keras.layers.Layer]) -> None:
    model = around(kind(2, 3, name="own"))
    words = f"layer 'own': expected Keras' own Conv2D, found .*{kind.__name__}, a subclass .*build"
    with pytest.raises(UnreadableModelError, match=words):
        insens_tf.SwitchedNetwork(model)


def test_a_subclass_as_an_activation() -> None:
    model = around(keras.layers.Conv2D(2, 3, activation=ReLU(), name="bent"))
    with pytest.raises(UnreadableModelError, match=r"layer 'bent': the activation .*\.ReLU' is"):
        insens_tf.SwitchedNetwork(model)


@pytest.mark.parametrize("method", ["call", "convolution_op"])
def test_a_method_of_one_object(method: str) -> None:
    layer = keras.layers.Conv2D(2, 3, name="own")
    model = around(layer)
    setattr(layer, method, doubled)
    words = f"layer 'own': expected Keras' own Conv2D, found one .* its own {method}; build"
    with pytest.raises(UnreadableModelError, match=words):
        insens_tf.SwitchedNetwork(model)
