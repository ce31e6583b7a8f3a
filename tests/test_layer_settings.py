"""Every argument of every layer that is read: it is used, has no effect, or is refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import UnreadableModelError
from insens_tf.reading.layer_rules import RULES
from insens_tf.reading.layer_settings import USED, has_no_effect
from tests.architectures import KERAS_2, randomise
from tests.conftest import slow
from tests.oracle import assert_agrees

KINDS = [kind for kind in sorted(RULES) if hasattr(keras.layers, kind)]

LEAST: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "relu"},
    "AlphaDropout": {"rate": 0.5},
    "Conv": {"filters": 2, "kernel_size": 2},
    "Cropping": {"cropping": 1},
    "Dense": {"units": 2},
    "DepthwiseConv": {"kernel_size": 2},
    "Dropout": {"rate": 0.5},
    "GaussianDropout": {"rate": 0.5},
    "GaussianNoise": {"stddev": 0.5},
    "LocallyConnected": {"filters": 2, "kernel_size": 2},
    "MaxPooling": {"pool_size": 2},
    "AveragePooling": {"pool_size": 2},
    "Normalization": {"mean": 0.25, "variance": 2.0},
    "Permute": {"dims": (1, 2, 3)},
    "RepeatVector": {"n": 2},
    "Rescaling": {"scale": 2.0},
    "Reshape": {"target_shape": (-1,)},
    "Resizing": {"height": 3, "width": 3},
    "SpatialDropout": {"rate": 0.5},
}
"""What a layer is made with at least, by its kind, with or without its number of axes."""

OTHERWISE: dict[str, list[Any]] = {
    "activation": ["relu", "tanh"],
    "activity_regularizer": ["l2"],
    "adjustment": [lambda shape: (2.0, 1.0)],
    "alpha": [0.5],
    "antialias": [True],
    "autocast": [False],
    "axis": [1, -2, 0],
    "bounding_box_format": ["xyxy"],
    "center": [False],
    "crop_to_aspect_ratio": [True],
    "cropping": [2],
    "data_format": ["channels_first"],
    "depth_multiplier": [2],
    "dilation_rate": [2],
    "dims": [(3, 1, 2)],
    "dtype": ["float64", "int32"],
    "dynamic": [True],
    "epsilon": [0.5],
    "factor": [0.5],
    "fill_mode": ["constant"],
    "fill_value": [3.0],
    "filters": [4],
    "force_generator": [True],
    "fused": [False],
    "groups": [2],
    "height": [2],
    "implementation": [2],
    "interpolation": ["nearest", "bilinear", "area"],
    "invert": [True],
    "keepdims": [True],
    "kernel_size": [3],
    "l1": [0.5],
    "l2": [0.5],
    "lora_alpha": [3],
    "lora_rank": [1],
    "max_value": [0.5],
    "mean": [0.5],
    "momentum": [0.5],
    "n": [3],
    "name": ["renamed"],
    "negative_slope": [0.5],
    "noise_shape": [(1, 1, 1, 1)],
    "offset": [0.5],
    "output_padding": [0, 1],
    "pad_to_aspect_ratio": [True],
    "padding": ["same", "causal", 2],
    "pool_size": [3],
    "quantization_config": [],
    "rate": [0.9],
    "renorm": [True],
    "renorm_clipping": [{"rmax": 2.0}],
    "renorm_momentum": [0.5],
    "rng_type": ["stateless"],
    "scale": [False, 0.5],
    "seed": [5],
    "shared_axes": [[1, 2]],
    "size": [3],
    "stddev": [0.9],
    "strides": [1, 2],
    "synchronized": [True],
    "target_shape": [(2, -1)],
    "theta": [0.5],
    "threshold": [0.5],
    "trainable": [False],
    "units": [3],
    "use_bias": [False],
    "variance": [0.5],
    "virtual_batch_size": [2],
    "width": [4],
}
"""Other values of each argument that any layer takes. A later Keras may need new ones."""

WITH: dict[str, dict[str, Any]] = {
    "lora_alpha": {"lora_rank": 1},
    "output_padding": {"strides": 2, "kernel_size": 3},
    "renorm_clipping": {"renorm": True},
    "renorm_momentum": {"renorm": True},
}
"""What an argument is given with."""

NOT_KERAS = (
    AssertionError,
    AttributeError,
    NotImplementedError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)
"""How Keras takes a value, or an argument, that it does not have."""

NOT_THE_USERS = {"conv_op", "pool_dimensions", "pool_function", "pool_mode", "rank"}
"""Arguments of base classes, which their layers give them; or which Keras takes and never uses."""


def stem(kind: str) -> str:
    return kind[:-2] if kind[-2:] in ("1D", "2D", "3D") else kind.removesuffix("Transpose")[:-2]


def least(kind: str) -> dict[str, Any]:
    one = LEAST.get(kind, LEAST.get(stem(kind), {}))
    if not one and "Conv" in kind:
        one = LEAST["Conv"]
    if kind == "LeakyReLU":
        return {"alpha" if KERAS_2 else "negative_slope": 0.25}
    return dict(one)


def shape_for(kind: str) -> tuple[int, ...]:
    if kind == "RepeatVector":
        return (4,)
    axes = next((int(one) for one in "123" if f"{one}D" in kind), 2)
    return (*((7, 6) if axes < 3 else (5, 6, 5))[:axes], 2)


def arguments(kind: str) -> dict[str, Any]:
    """All arguments of the constructors of a layer and its bases, and their defaults."""
    found: dict[str, Any] = {}
    for base in getattr(keras.layers, kind).__mro__:
        if "__init__" in vars(base) and base is not object:
            for name, one in inspect.signature(base.__init__).parameters.items():
                if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL) and name != "self":
                    found.setdefault(name, one.default)
    return {name: value for name, value in found.items() if name not in NOT_THE_USERS}


def others(kind: str) -> Iterator[tuple[str, Any]]:
    """Each argument of a layer with each other value."""
    for name, default in arguments(kind).items():
        if not name.endswith(("_initializer", "_regularizer", "_constraint")):
            for value in OTHERWISE[name]:
                if repr(value) != repr(default):
                    yield name, value


def model_with(kind: str, settings: dict[str, Any]) -> keras.Model:
    inputs = keras.Input(shape_for(kind))
    layer = getattr(keras.layers, kind)(**settings)
    operands: Any = inputs
    if kind in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Subtract"):
        operands = [inputs, keras.layers.Rescaling(-0.5)(inputs)]
    model = keras.Model(inputs, layer(operands))
    randomise(model, 1)
    return model


def outcome(model: keras.Model) -> np.ndarray:
    """What the switched network computes, which has to be what the model does."""
    network = insens_tf.SwitchedNetwork(model)
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(2, *network.input_shape)), network.dtype)
    # As it is read: what is compiled is tested elsewhere, and takes longer.
    (values,) = network._graph.values(x, network._reading.results)
    assert_agrees(values, np.asarray(model(x, training=False)), 1e-5)
    return np.asarray(values)


def refusal(model: keras.Model) -> str | None:
    try:
        insens_tf.SwitchedNetwork(model)
    except UnreadableModelError as error:
        return str(error)
    return None


def test_the_table_has_every_layer_that_is_read() -> None:
    assert set(USED) == set(RULES)


FAST = (
    *("BatchNormalization", "Conv2D", "Dense", "Flatten", "LeakyReLU", "MaxPooling2D"),
    *("Normalization", "ReLU", "Rescaling", "Resizing", "SeparableConv2D", "UpSampling2D"),
)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in FAST else slow(kind) for kind in KINDS],
)
def test_each_argument_is_accounted_for(kind: str) -> None:
    shown: dict[str, bool] = {}
    for name, value in others(kind):
        settings = {**least(kind), **WITH.get(name, {})}
        try:
            model = model_with(kind, {**settings, name: value})
            model(np.zeros((2, *model.input_shape[1:]), np.float32))
        except NOT_KERAS:
            continue
        message = refusal(model)
        if message is not None:
            assert repr(model.layers[-1].name) in message or name == "dtype"
            assert {"virtual_batch_size": "axis"}.get(name, name) in message
            continue
        after = outcome(model)
        before = outcome(model_with(kind, settings))
        if has_no_effect(kind, name):
            assert_agrees(after, before, 1e-6)
        else:
            assert name in USED[kind]
            differs = before.shape != after.shape or not np.array_equal(before, after)
            shown[name] = shown.get(name, False) or differs
    if kind == "Dense":
        # Keras 3 takes it, and goes by the rank alone.
        shown.pop("lora_alpha", None)
    assert all(shown.values()), shown


def refused(model: keras.Model, *words: str) -> None:
    message = refusal(model) or ""
    for word in words:
        assert word in message


@pytest.mark.skipif(KERAS_2, reason="Keras 3 has them")
@pytest.mark.parametrize(
    ("setting", "way_out"),
    [("antialias", "resize without"), ("pad_to_aspect_ratio", "pad by a ZeroPadding2D layer")],
)
def test_the_way_out_of_resizing(setting: str, way_out: str) -> None:
    model = model_with("Resizing", {"height": 3, "width": 2, "name": "small", setting: True})
    refused(model, f"layer 'small': expected {setting}=False, found {setting}=True; {way_out}")


class Later(keras.layers.Dense):
    """Dense, as a later Keras could have it."""

    def __init__(self, units: int, later: Any = 1, **arguments: Any) -> None:
        super().__init__(units, **arguments)
        self.later = (later, later)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "later": self.later}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Later:
        pair = config.pop("later", (1, 1))
        return cls(**config, later=pair[0])


class Squared:
    """An activation that Keras cannot write down."""

    def __call__(self, value: tf.Tensor) -> tf.Tensor:
        return value * value


Later.__name__, Later.__module__ = "Dense", keras.layers.Dense.__module__


@pytest.mark.parametrize("activation", [None, lambda value: value * value, Squared()])
def test_a_setting_of_a_later_keras(activation: Any) -> None:
    """At its default, as it is written then, all is as it was; else nobody knows."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="relu")(inputs)
    outcome(keras.Model(inputs, Later(2, activation=activation)(hidden)))
    model = keras.Model(inputs, Later(2, later=3, activation=activation, name="new")(hidden))
    refused(model, "layer 'new': expected later=(1, 1), found later=(3, 3); rebuild the layer")


# --- what a layer is called with ------------------------------------------------------------------


def test_a_mask() -> None:
    inputs = keras.Input((4, 2))
    mask = tf.constant([[True, True, False, True]])
    pooled = keras.layers.GlobalAveragePooling1D(name="masked")(inputs, mask=mask)
    refused(keras.Model(inputs, pooled), "layer 'masked': expected a layer that is called without")


@pytest.mark.skipif(not KERAS_2, reason="Keras 3 refuses this itself")
def test_training_by_position() -> None:
    inputs = keras.Input((4,))
    outputs = keras.layers.BatchNormalization(name="batch")(inputs, True)
    refused(keras.Model(inputs, outputs), "layer 'batch'", "as for inference", "training=True")


# --- whole numbers --------------------------------------------------------------------------------

WHOLE: dict[str, Callable[[Any], Any]] = {
    "moved": lambda x: keras.layers.Rescaling(0.5)(
        keras.layers.ZeroPadding2D(1)(keras.layers.MaxPooling2D(2)(keras.layers.Dropout(0.5)(x)))
    ),
    "Rescaling": lambda x: keras.layers.Rescaling(1 / 255, offset=-0.5)(x),
    "Normalization": lambda x: keras.layers.Normalization(mean=0.5, variance=2.0)(x),
    "Dense": lambda x: keras.layers.Dense(3)(x),
    "LeakyReLU": lambda x: keras.layers.LeakyReLU(0.3)(x),
    "Average": lambda x: keras.layers.Average()([x, x]),
    "GlobalAveragePooling2D": lambda x: keras.layers.GlobalAveragePooling2D()(x),
    "Resizing": lambda x: keras.layers.Resizing(3, 3)(x),
    "UpSampling2D": lambda x: keras.layers.UpSampling2D(2, interpolation="bilinear")(x),
    "Add": lambda x: keras.layers.Add()([x, x]),
    "Subtract": lambda x: keras.layers.Subtract()([x, keras.layers.Reshape((4, 5, 2))(x)]),
    "plus one": lambda x: x + 100,
}


@pytest.mark.parametrize("name", WHOLE)
def test_layers_of_whole_numbers(name: str) -> None:
    """They are read as they are, or refused where Keras rounds or runs over."""
    inputs = keras.Input((4, 5, 2), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Rescaling(0.5)(WHOLE[name](inputs)))
    randomise(model, 1)
    x = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 2))
    message = refusal(model)
    if message is not None:
        assert "rounded to whole numbers" in message
        assert name not in ("moved", "Rescaling", "Normalization", "Dense")
        return
    network = insens_tf.SwitchedNetwork(model)
    (values,) = network._graph.values(tf.constant(x, tf.float32), network._reading.results)
    assert_agrees(values, np.asarray(model(x.astype(np.uint8), training=False)), 1e-5)


# --- functions ------------------------------------------------------------------------------------


@pytest.mark.skipif(not KERAS_2, reason="Keras 3 has no such arguments")
def test_arguments_of_functions() -> None:
    inputs = keras.Input((3, 4))

    def read(activity: Any) -> insens_tf.SwitchedNetwork:
        model = keras.Model(inputs, keras.layers.Dense(2)(activity))
        return insens_tf.SwitchedNetwork(model, smooth_activations="ratio")

    assert len(read(tf.nn.silu(inputs)).layers) == 1
    with pytest.raises(UnreadableModelError, match="'silu' is not piecewise linear"):
        read(tf.nn.silu(inputs, beta=2.0))
