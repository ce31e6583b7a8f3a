"""Models and analyzers as data, for the tests of the baselines and for their reference process.

Nothing here imports insens_tf: the reference process runs iNNvestigate alone.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from tensorflow import keras

layers = keras.layers

INPUTS = 3

ARGUMENTS: dict[str, dict[str, Any]] = {
    "lrp": {"rule": "Epsilon"},
    "lrp.alpha_beta": {"alpha": 3},
    "lrp.sequential_preset_b_flat_until_idx": {"until_layer_idx": 2},
    "deep_taylor.bounded": {"low": -3.0, "high": 3.0},
    "integrated_gradients": {"steps": 7},
}
"""What some analyzers cannot do without, and few steps to keep the tests short."""

# As iNNvestigate registers them; "smoothgrad" and "random" are not deterministic.
DETERMINISTIC = (
    "input",
    "gradient",
    "gradient.baseline",
    "input_t_gradient",
    "deconvnet",
    "guided_backprop",
    "integrated_gradients",
    "lrp",
    "lrp.z",
    "lrp.epsilon",
    "lrp.w_square",
    "lrp.flat",
    "lrp.alpha_beta",
    "lrp.alpha_2_beta_1",
    "lrp.alpha_2_beta_1_IB",
    "lrp.alpha_1_beta_0",
    "lrp.alpha_1_beta_0_IB",
    "lrp.z_plus",
    "lrp.z_plus_fast",
    "lrp.sequential_preset_a",
    "lrp.sequential_preset_b",
    "lrp.sequential_preset_a_flat",
    "lrp.sequential_preset_b_flat",
    "lrp.sequential_preset_b_flat_until_idx",
    "deep_taylor",
    "deep_taylor.bounded",
)


def two_conv(plain: bool) -> keras.Model:
    """2CONV in small, with dropout; softmax as an argument."""
    del plain
    return _sequential(
        (8, 8, 1),
        layers.Conv2D(3, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(6, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(4, activation="softmax"),
    )


def dense(plain: bool) -> keras.Model:
    """Dense layers, with ReLU and Softmax as layers of their own."""
    return _sequential(
        (7,),
        layers.Dense(9, activation="relu"),
        layers.Dense(6),
        layers.Activation("relu") if plain else layers.ReLU(),
        layers.Dense(4),
        layers.Activation("softmax") if plain else layers.Softmax(),
    )


def batch_normalization(plain: bool) -> keras.Model:
    """Batch normalisation, global average pooling; ReLU and softmax as an Activation."""
    del plain
    return _sequential(
        (6, 6, 2),
        layers.Conv2D(5, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4),
        layers.Activation("softmax"),
    )


def leaky_relu(plain: bool) -> keras.Model:
    """Leaky ReLU as a layer; no softmax."""
    del plain
    return _sequential(
        (6, 6, 1), layers.Conv2D(3, 3), layers.LeakyReLU(0.25), layers.Flatten(), layers.Dense(4)
    )


def branches(plain: bool) -> keras.Model:
    """A functional model with Add, Concatenate and average pooling."""
    del plain
    inputs = keras.Input((6, 6, 1))
    left = layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    right = layers.Conv2D(3, 1, activation="relu")(inputs)
    joined = layers.Concatenate()([layers.Add()([left, right]), right])
    pooled = layers.Flatten()(layers.AveragePooling2D(2)(joined))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(pooled))


def nested(plain: bool) -> keras.Model:
    """A model within a model, and an output of several axes."""
    inner = [layers.Conv2D(3, 3, activation="relu"), layers.Conv2D(2, 2, activation="relu")]
    return _sequential(
        (6, 6, 1),
        *(inner if plain else [keras.Sequential(inner)]),
        layers.Conv2D(4, 2),
        *([layers.Flatten()] if plain else []),
    )


MODELS = {
    kind.__name__: kind
    for kind in (two_conv, dense, batch_normalization, leaky_relu, branches, nested)
}

SELECTIONS: dict[str, dict[str, Any]] = {
    "index": {"neuron_selection": [2, 0, 3]},
    "all": {},
}
"""Arguments of `analyze` in the modes besides "max_activation"."""

Case = tuple[str, str, str]
"""Model, analyzer, neuron selection mode."""

ONE_OF_EACH_KIND = (
    "gradient",
    "guided_backprop",
    "integrated_gradients",
    "lrp.epsilon",
    "lrp.sequential_preset_a_flat",
    "deep_taylor",
)

CASES: list[Case] = [
    (model, name, "max_activation")
    for model in MODELS
    for name in (ONE_OF_EACH_KIND if model in ("branches", "dense", "nested") else DETERMINISTIC)
]
CASES += [("two_conv", name, mode) for mode in SELECTIONS for name in ONE_OF_EACH_KIND]

CASES_WITH_EAGER_MODE_OFF: list[Case] = [
    ("batch_normalization", "lrp.z", "max_activation"),
    ("dense", "lrp.flat", "max_activation"),
    ("two_conv", "integrated_gradients", "index"),
    ("nested", "deep_taylor", "max_activation"),
]

CASES += [case for case in CASES_WITH_EAGER_MODE_OFF if case not in CASES]

FAST: set[Case] = {
    *(("dense", name, "max_activation") for name in ONE_OF_EACH_KIND),
    ("branches", "lrp.epsilon", "max_activation"),
    ("nested", "deep_taylor", "max_activation"),
    ("batch_normalization", "gradient", "max_activation"),
    ("leaky_relu", "lrp.z", "max_activation"),
    ("two_conv", "gradient", "all"),
    ("two_conv", "lrp.epsilon", "index"),
    ("two_conv", "integrated_gradients", "index"),
}
"""What is tested fast: each kind, model and mode. Ours are held against files of all fast."""


def build(name: str, plain: bool = False) -> keras.Model:
    """Build a model, as users write it or in the plain form of the same function.

    The plain form has ReLU and softmax only as an argument or an Activation, no inner models and an
    output of one axis. Weights and biases are a function of the name alone.
    """
    return with_fixed_weights(name, MODELS[name](plain))


def with_fixed_weights(name: str, model: keras.Model) -> keras.Model:
    """Give a model weights and biases that are a function of a name alone, and return it."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    weights = []
    for variable in model.weights:
        values = random.normal(size=variable.shape) / np.sqrt(np.prod(variable.shape[:-1]) or 1)
        # Only of batch normalisation: its moving variance.
        weights.append(np.abs(values) + 0.5 if "variance" in variable.name else values)
    # Or deep Taylor has nothing to decompose: it takes positive outputs only.
    weights[-1] = np.abs(weights[-1]) + 1
    model.set_weights(weights)
    return model


def images(name: str, model: keras.Model, count: int = INPUTS) -> np.ndarray:
    """Return inputs for a model, a function of its name alone."""
    random = np.random.default_rng(zlib.crc32(name.encode()) + 1)
    return random.normal(size=(count, *model.input_shape[1:])).astype(np.float32)


def _sequential(input_shape: tuple[int, ...], *parts: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([layers.InputLayer(input_shape), *parts])
