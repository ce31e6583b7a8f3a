"""Networks that people really have: those of keras.applications, and what is built on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from benchmarks.architectures import (
    Reference,
    application,
    images,
    insens_error,
    randomise,
    weights_error,
)
from insens_tf import SwitchedNetwork, UnreadableModelError
from tests.conftest import with_keras_2, with_keras_3
from tests.oracle import assert_agrees

TOLERANCE = 1e-9
HIDDEN = {"DenseNet121": 121, "MobileNetV2": 35, "ResNet50": 49, "VGG16": 15}


@contextmanager
def in_float64() -> Iterator[None]:
    """Have Keras build layers in float64, which its applications have no argument for."""
    policy, dtype = keras.mixed_precision.global_policy(), keras.backend.floatx()
    keras.backend.set_floatx("float64")
    keras.mixed_precision.set_global_policy("float64")
    try:
        yield
    finally:
        keras.backend.set_floatx(dtype)
        keras.mixed_precision.set_global_policy(policy)


# A part of one is tested below in the fast suite, too.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    # They are as large in either Keras, and read alike: a part of one is tested in both below.
    [
        pytest.param("DenseNet121", marks=with_keras_3),
        pytest.param("MobileNetV2", marks=with_keras_3),
        pytest.param("ResNet50", marks=with_keras_2),
        pytest.param("VGG16", marks=with_keras_2),
    ],
)
def test_applications(name: str) -> None:
    """Outputs, switched weights in the middle and of the output, and Insens of the last layer."""
    with in_float64():
        model = application(name, 32)
    # What is compiled for some 400 operations in float64 takes more than the usual budget.
    network = SwitchedNetwork(model, memory_budget=2**30)
    assert network.dtype == np.float64
    assert len(network.layers) == HIDDEN[name]
    x = images(model, 2)
    logits = network.activity(x, network.output)
    assert logits.std() > 0.1
    assert_agrees(tf.nn.softmax(logits), model(x), TOLERANCE)
    for layer in (network.layers[len(network.layers) // 2], network.output):
        assert weights_error(model, network, x, layer) < TOLERANCE
    assert insens_error(model, network, x) < TOLERANCE


@pytest.mark.slow
def test_many_neurons_of_an_application_are_off() -> None:
    """Otherwise the comparison would say little."""
    model = application("MobileNetV2", 32)
    network = SwitchedNetwork(model)
    for activity in network.activity(images(model, 4), list(network.layers)).values():
        assert 0.2 < (activity > 0).mean() < 0.8


def test_efficient_net_is_refused_for_its_activation() -> None:
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=10)
    with pytest.raises(UnreadableModelError, match=r"'(swish|silu)' is not piecewise.*retrain"):
        SwitchedNetwork(model)


# --- transfer learning ---------------------------------------------------------------------------


def scaled_by_a_layer(inputs: Any) -> Any:
    # A power of two: Keras itself has the scale in float32.
    return keras.layers.Rescaling(1 / 128, offset=-1.0)(inputs)


def scaled_by_operators(inputs: Any) -> Any:
    return keras.applications.mobilenet_v2.preprocess_input(inputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preprocessing", "divisor"),
    [
        pytest.param(scaled_by_a_layer, 128, marks=with_keras_2),
        pytest.param(scaled_by_operators, 127.5, marks=with_keras_3),
    ],
)
def test_a_backbone_with_a_head_of_its_own(
    preprocessing: Callable[[Any], Any], divisor: float
) -> None:
    with in_float64():
        backbone = keras.applications.MobileNetV2(
            weights=None, input_shape=(32, 32, 3), include_top=False, alpha=0.35
        )
        randomise(backbone, 0)
        inputs = keras.Input((32, 32, 3))
        features = backbone(preprocessing(inputs), training=False)
        features = keras.layers.GlobalAveragePooling2D()(features)
        features = keras.layers.Dropout(0.5)(features)
        outputs = keras.layers.Dense(4, activation="softmax", name="classes")(features)
        model = keras.Model(inputs, outputs)
    network = SwitchedNetwork(model)
    names = [layer.name for layer in network.layers]
    assert f"{backbone.name}/Conv_1_bn" in names
    x = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float64)
    logits = network.activity(x, "classes")
    assert_agrees(tf.nn.softmax(logits), model(x), TOLERANCE)
    neurons = np.arange(4)
    expected = Reference(model, "classes").weights(x[0], neurons)
    assert_agrees(network.project(x[:1], "classes").weights[0], expected, TOLERANCE)
    # The backbone alone sees what has been scaled; the network sees the pixels.
    inner = SwitchedNetwork(backbone).activity(x / divisor - 1, "Conv_1_bn")
    assert_agrees(network.activity(x, f"{backbone.name}/Conv_1_bn"), inner, TOLERANCE)


@pytest.mark.slow
def test_a_part_of_a_backbone() -> None:
    with in_float64():
        backbone = application("ResNet50", 32)
    part = keras.Model(backbone.input, backbone.get_layer("conv2_block2_out").output)
    network = SwitchedNetwork(part)
    # Its output's own ReLU is looked through.
    assert network.output.name == "conv2_block2_add"
    x = images(backbone, 2)
    assert_agrees(np.maximum(network.activity(x, network.output), 0), part(x), TOLERANCE)
    layer = network.layers[-1]
    weights = network.project(x[:1], layer, [0, 9]).weights[0]
    expected = Reference(backbone, layer.name).weights(x[0], np.array([0, 9]))
    assert_agrees(weights, expected, TOLERANCE)
