"""What is pushed forward with the state held, of every operation, against the oracle's matrices.

It was once the derivative of a gradient in its seed. TensorFlow's own, of max pooling, is wrong
where the result has the operand's shape: 0 where one pooling followed another operation, and off by
a factor, another one in each call, in branches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf.execution import Compiled
from insens_tf.row_norms.probes import pushed_squares
from tests.architectures import KERAS_2, images, randomise
from tests.conftest import halved, slow
from tests.oracle import Oracle, assert_agrees

layers = keras.layers


LENGTHS = {1: (9,), 2: (5, 6), 3: (3, 4, 3)}
"""The inputs' axes, by their number; the channels are 2."""


def of_axes(kind: str, axes: int) -> Any:
    """A class of layers that has one for each number of axes."""
    return getattr(layers, kind.replace("ND", f"{axes}D"))


def max_pooling(size: Any, strides: Any, padding: str) -> Callable[[int], Any]:
    """Max pooling over any number of axes."""
    return lambda axes: of_axes("MaxPoolingND", axes)(size, strides, padding)


POOLINGS: dict[str, Callable[[int], Any]] = {
    "2, stride 1, same": max_pooling(2, 1, "same"),
    "3, stride 1, same": max_pooling(3, 1, "same"),
    "7, stride 1, same": max_pooling(7, 1, "same"),
    "1, stride 1": max_pooling(1, 1, "valid"),
    "1, stride 2": max_pooling(1, 2, "valid"),
    "2, stride 2, same": max_pooling(2, 2, "same"),
    "3, stride 2": max_pooling(3, 2, "valid"),
}

OTHERS: dict[str, tuple[tuple[int, ...], Callable[[int], Any]]] = {
    "average pooling, stride 1, same": (
        (1, 2, 3),
        lambda axes: of_axes("AveragePoolingND", axes)(3, 1, "same"),
    ),
    "average pooling": ((1, 2, 3), lambda axes: of_axes("AveragePoolingND", axes)(2)),
    "convolution, same": ((1, 2, 3), lambda axes: of_axes("ConvND", axes)(3, 3, padding="same")),
    "convolution, strided": ((1, 2, 3), lambda axes: of_axes("ConvND", axes)(2, 2, strides=2)),
    "convolution, dilated": (
        (1, 2),
        lambda axes: of_axes("ConvND", axes)(2, 2, dilation_rate=2, padding="same"),
    ),
    "convolution, causal": ((1,), lambda axes: layers.Conv1D(2, 3, padding="causal")),
    "convolution, grouped": (
        (1, 2),
        lambda axes: of_axes("ConvND", axes)(6, 2, groups=3, padding="same"),
    ),
    "depthwise": (
        (1, 2),
        lambda axes: of_axes("DepthwiseConvND", axes)(2, depth_multiplier=2, padding="same"),
    ),
    "separable": ((1, 2), lambda axes: of_axes("SeparableConvND", axes)(3, 2, padding="same")),
    "transposed": (
        (1, 2, 3),
        lambda axes: of_axes("ConvNDTranspose".replace("ND", f"{axes}D"), axes)(2, 2, strides=2),
    ),
    "dense along the channels": ((1, 2, 3), lambda axes: layers.Dense(4)),
    "zeros around": ((1, 2, 3), lambda axes: of_axes("ZeroPaddingND", axes)(1)),
    "borders cut off": ((1, 2, 3), lambda axes: of_axes("CroppingND", axes)(1)),
    "repeated": ((1, 2, 3), lambda axes: of_axes("UpSamplingND", axes)(2)),
    "interpolated": ((2,), lambda axes: layers.UpSampling2D(2, interpolation="bilinear")),
    "permuted": ((1, 2, 3), lambda axes: layers.Permute((axes, *range(1, axes), axes + 1))),
    "normalised": ((1, 2, 3), lambda axes: layers.BatchNormalization()),
    "rescaled, a channel upside down": (
        (1,),
        lambda axes: layers.Rescaling([2.0, -0.7, 1.5], -0.3),
    ),
    "parametric ReLU": ((1, 2), lambda axes: layers.PReLU()),
    "ReLU with a ceiling": ((1, 2), lambda axes: layers.ReLU(1.0, 0.1)),
    "ReLU with a threshold": ((1,), lambda axes: layers.ReLU(threshold=0.25)),
    "all maxima": ((1, 2, 3), lambda axes: of_axes("GlobalMaxPoolingND", axes)()),
    "all means": ((1, 2, 3), lambda axes: of_axes("GlobalAveragePoolingND", axes)()),
    **(
        {"locally connected": ((1, 2), lambda axes: of_axes("LocallyConnectedND", axes)(2, 2))}
        if KERAS_2
        else {}
    ),
}
"""Operations besides: the numbers of axes that they are tried with, and the layer."""


def alone(make: Callable[[int], Any], axes: int, lengths: tuple[int, ...]) -> keras.Model:
    """A model in which the layer follows neurons, and neurons follow it."""
    x = keras.Input((*lengths, 2))
    y = of_axes("ConvND", axes)(3, 2, padding="same", activation="relu")(x)
    y = layers.Flatten()(make(axes)(y))
    return keras.Model(x, layers.Dense(3)(layers.Dense(6, "relu")(y)))


def in_branches(make: Callable[[int], Any], axes: int, lengths: tuple[int, ...]) -> keras.Model:
    """A model that has the layer twice on the same neurons, and these themselves beside it."""
    x = keras.Input((*lengths, 2))
    y = of_axes("ConvND", axes)(3, 2, padding="same", activation="relu")(x)
    one, other = make(axes)(y), make(axes)(y)
    joined = layers.Add()([one, layers.ReLU()(other)])
    y = layers.Concatenate()([layers.Flatten()(part) for part in (joined, one, y)])
    return keras.Model(x, layers.Dense(3)(layers.Dense(6, "relu")(y)))


def built(
    build: Callable[..., keras.Model], make: Callable[[int], Any], axes: int, lengths: Any = None
) -> keras.Model:
    """A model in float64, but for three axes, over which TensorFlow does not pool in it."""
    dtype = "float32" if axes == 3 else "float64"
    before, policy = keras.backend.floatx(), keras.mixed_precision.global_policy()
    keras.backend.set_floatx(dtype)
    keras.mixed_precision.set_global_policy(dtype)
    model = build(make, axes, lengths or LENGTHS[axes])
    keras.backend.set_floatx(before)
    keras.mixed_precision.set_global_policy(policy)
    randomise(model, 1)
    return model


def assert_pushed_right(model: keras.Model) -> None:
    """Basis images and random ones, of 2 and 3 inputs, twice the same."""
    network = insens_tf.SwitchedNetwork(model)
    tolerance = 1e-10 if network.dtype == np.float64 else 1e-4
    x = images(model, 3, 1)
    *references, _ = Oracle(model).references(x)
    image = tf.TensorSpec((None, *network.input_shape), network.dtype)
    positions = [layer.position for layer in network.layers]
    compiled = Compiled(partial(pushed_squares, network._graph, positions), [image, image])
    basis = np.eye(x[0].size).reshape(-1, *x.shape[1:])
    random = np.random.default_rng(0).normal(size=(5, *x.shape[1:]))
    for probes in (basis, random):
        for count in (2, 3):
            first, second = (compiled(x[:count], probes) for _ in range(2))
            for reference, one, other in zip(references, first, second, strict=True):
                weights = reference.weights[:count].reshape(count, one[0].size, -1)
                pushed = weights.astype(float) @ probes.reshape(len(probes), -1).T
                expected = np.square(pushed).sum(axis=-1).reshape(one.shape)
                assert_agrees(one, expected, tolerance)
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("build", [slow(alone), in_branches])
@pytest.mark.parametrize("axes", [slow(1), 2, slow(3)])
@pytest.mark.parametrize("name", POOLINGS)
def test_max_pooling(name: str, axes: int, build: Callable[..., keras.Model]) -> None:
    assert_pushed_right(built(build, POOLINGS[name], axes))


@pytest.mark.parametrize("build", [slow(alone), in_branches])
@pytest.mark.parametrize("axes", LENGTHS)
@pytest.mark.parametrize("strides", [1, slow(2)])
def test_max_pooling_of_a_single_position(
    strides: int, axes: int, build: Callable[..., keras.Model]
) -> None:
    """Then any window and any stride give the operand's shape."""
    assert_pushed_right(built(build, max_pooling(2, strides, "same"), axes, (1,) * axes))


@pytest.mark.parametrize(
    ("name", "axes", "build"),
    [
        (name, axes, build)
        if axes == tried[-1] and build is in_branches and name in halved(OTHERS)[::2]
        else slow(name, axes, build)
        for name, (tried, _) in OTHERS.items()
        for axes in tried
        for build in (alone, in_branches)
        if build is in_branches or axes == tried[0]
    ],
)
def test_other_operations(name: str, axes: int, build: Callable[..., keras.Model]) -> None:
    assert_pushed_right(built(build, OTHERS[name][1], axes))


def test_a_recording_with_pooling_of_stride_1() -> None:
    """The way that a network of one axis goes by default, and its estimate; both were all 0."""
    model = keras.Sequential(
        [
            keras.Input((64, 1), dtype="float64"),
            layers.Conv1D(4, 3, activation="relu", dtype="float64"),
            layers.MaxPooling1D(3, 1, "same", dtype="float64"),
            layers.Conv1D(4, 3, activation="relu", dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(2, dtype="float64"),
        ]
    )
    randomise(model, 0)
    network = insens_tf.SwitchedNetwork(model)
    assert network.plan(layer=1).layers[0].way == "probes"
    x = images(model, 2, 0)
    expected = Oracle(model).references(x)[1].insens()
    assert_agrees(network.insens(x, 1), expected)
    np.testing.assert_array_equal(network.insens(x, 1), network.insens(x, 1))
    one, other = (network.estimate_insens(x, 1, probes=256) for _ in range(2))
    np.testing.assert_array_equal(one.omega, other.omega)
    assert np.linalg.norm(one.omega - expected) < 2 * np.linalg.norm(one.standard_error)
