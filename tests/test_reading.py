"""Layer kinds as they are read, beyond what all architectures are tested for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf.row_norms import WAYS
from tests.architectures import build, images, randomise, ways_of
from tests.conftest import CaseOf, halved, slow, slow_but
from tests.oracle import SMOOTH, Oracle, Reference, assert_agrees

SELECTIONS = ("one axis", "global maxima", "graph with maxima and minima")

LOCAL = (
    "depthwise and separable",
    "depthwise and separable over one axis",
    "rescaled, normalised and cropped",
    "graph with differences and means",
)
"""Architectures of which every hidden layer sees a part of the input, by layers of these kinds."""


def assert_in_every_way(
    network: insens_tf.SwitchedNetwork,
    x: np.ndarray,
    references: list[Reference],
    tolerance: float = 1e-10,
    *,
    stateless: int = 1,
    crops: int = 0,
) -> None:
    """The projections, and Insens in every way that there must be.

    ``stateless`` and ``crops`` are how many hidden layers, from the first, these ways must be able
    to do, and no others; all other ways but "narrow" can do all layers.
    """
    assert_projections(network, x, references, tolerance)
    for index, (layer, reference) in enumerate(zip(network.layers, references, strict=False)):
        expected = {"backward", "probes", "gradient"}
        expected |= {
            way for way, count in (("stateless", stateless), ("crops", crops)) if index < count
        }
        costs = {
            way: one.cost(network._graph, {layer.position: 1.0}, 2**29) for way, one in WAYS.items()
        }
        possible = {way for way, cost in costs.items() if cost.is_possible}
        # Which layers are behind narrow places is said in tests/architectures.py.
        assert possible - {"narrow"} == expected
        for way in sorted(possible):
            for state in ("inactive", "active"):
                actual = network.insens(x, layer, state=state, way=way)
                assert_agrees(actual, reference.insens(state=state), tolerance)


def assert_projections(
    network: insens_tf.SwitchedNetwork,
    x: np.ndarray,
    references: list[Reference],
    tolerance: float = 1e-10,
) -> None:
    """The projections of all hidden layers, and Insens in the way that is chosen."""
    for layer, reference in zip(network.layers, references[:-1], strict=True):
        projection = network.project(x, layer)
        assert_agrees(projection.weights, reference.weights, tolerance)
        assert_agrees(projection.bias, reference.bias, tolerance)
        assert_agrees(network.insens(x, layer), reference.insens(), tolerance)


# --- selections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", slow_but(SELECTIONS, "global maxima"))
def test_the_first_of_equals_wins_in_every_way(name: str) -> None:
    # Whole numbers: equal sums are equal to the last bit, whatever the order of adding up.
    model = build(name, 2, integers=True)
    network = insens_tf.SwitchedNetwork(model)
    shape = network.input_shape
    random = np.random.default_rng(4)
    x = np.stack([np.zeros(shape), np.ones(shape), random.integers(0, 2, shape).astype(float)])
    ways = [ways_of(name, index) for index in range(len(network.layers))]
    stateless, crops = (sum(way in one for one in ways) for way in ("stateless", "crops"))
    assert_in_every_way(network, x, Oracle(model).references(x), stateless=stateless, crops=crops)


def test_equal_operands_are_decided_as_in_tensorflow() -> None:
    model = build("graph with maxima and minima", 0, integers=True)
    network = insens_tf.SwitchedNetwork(model)
    random = np.random.default_rng(1)
    x = random.integers(0, 2, (8, *network.input_shape)).astype(float)
    with tf.GradientTape(persistent=True) as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        outputs = model(inputs)
    gradient = tape.batch_jacobian(outputs, inputs, experimental_use_pfor=False)
    projection = network.project(x, network.output)
    np.testing.assert_array_equal(projection.activity, outputs)
    np.testing.assert_array_equal(projection.weights, gradient)


@pytest.mark.parametrize("name", SELECTIONS)
def test_what_follows_a_selection_depends_on_the_state(name: str, case: CaseOf) -> None:
    network = case(name, 0).network
    for layer in [*network.layers[1:], network.output]:
        assert not WAYS["stateless"].cost(network._graph, {layer.position: 1.0}, 2**29).is_possible


@pytest.mark.parametrize("kind", ["GlobalMaxPooling2D", slow("Maximum"), slow("Minimum")])
def test_a_selection_alone_depends_on_the_state(kind: str) -> None:
    inputs = keras.Input((4, 3, 2), dtype="float64")
    operands: Any = inputs
    if kind != "GlobalMaxPooling2D":
        operands = [keras.layers.Conv2D(2, 1, dtype="float64")(inputs) for _ in range(2)]
    values = getattr(keras.layers, kind)(dtype="float64")(operands)
    flat = keras.layers.Flatten(dtype="float64")(values)
    hidden = keras.layers.Dense(5, activation="relu", dtype="float64")(flat)
    model = keras.Model(inputs, keras.layers.Dense(2, dtype="float64")(hidden))
    randomise(model, 0)
    x = images(model, 3)
    network = insens_tf.SwitchedNetwork(model)
    assert_in_every_way(network, x, Oracle(model).references(x), stateless=0)


# --- pooling over three axes, which TensorFlow has in float32 only --------------------------------


def pooled_over_three_axes(integers: bool) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((5, 6, 5, 1)),
            keras.layers.Conv3D(2, 2),
            keras.layers.ReLU(),
            keras.layers.MaxPooling3D((2, 2, 3), strides=(2, 1, 2), padding="same"),
            keras.layers.Conv3D(3, (1, 2, 2), padding="same"),
            keras.layers.ReLU(),
            keras.layers.AveragePooling3D((2, 3, 1), strides=1, padding="same"),
            keras.layers.Conv3D(2, (2, 1, 2)),
            keras.layers.ReLU(),
            keras.layers.MaxPooling3D((1, 2, 1)),
            keras.layers.GlobalMaxPooling3D(),
            keras.layers.Dense(2),
        ]
    )
    randomise(model, 1, integers)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("integers", [False, True])
def test_pooling_over_three_axes(integers: bool) -> None:
    """With whole numbers there are ties, and the first of them wins."""
    model = pooled_over_three_axes(integers)
    network = insens_tf.SwitchedNetwork(model)
    random = np.random.default_rng(4)
    x = random.normal(size=(2, *network.input_shape)).astype(np.float32)
    if integers:
        x = random.integers(0, 2, x.shape).astype(np.float32)
    references = Oracle(model).references(x)
    assert_in_every_way(network, x, references, 1e-5)
    assert_agrees(network.activity(x, network.output), model(x), 1e-5)
    for layer in network.layers:
        assert network._graph.receptive_field(layer.position).windows is not None


# --- what a neuron sees --------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCAL)
def test_probes_are_shared_by_what_sees_a_part(name: str, case: CaseOf) -> None:
    """So the comparison of the probes with the oracle tests what these layers say they see."""
    network = case(name, 0).network
    axes = len(network.input_shape) - 1
    for layer in network.layers:
        windows = network._graph.receptive_field(layer.position).windows
        assert windows is not None
        assert len(windows) == axes
    (*_, last) = network.layers
    reached = np.zeros(network.input_shape, bool)
    neuron = tuple(size // 2 for size in last.shape)
    this = case(name, 0)
    projection = this.network.project(this.x, last, neuron)
    reached |= (projection.weights[:, 0] != 0).any(axis=0)
    windows = network._graph.receptive_field(last.position).windows or ()
    for axis, (window, position) in enumerate(zip(windows, neuron, strict=False)):
        others = tuple(other for other in range(reached.ndim) if other != axis)
        seen = np.flatnonzero(reached.any(axis=others))
        first = position * window.stride - window.padding
        assert first <= seen.min()
        assert seen.max() < first + window.size


@pytest.mark.parametrize("name", ["one axis", "three axes"])
def test_what_is_pooled_globally_sees_everything(name: str, case: CaseOf) -> None:
    network = case(name, 0).network
    for layer in network.layers:
        assert network._graph.receptive_field(layer.position).windows is not None
    assert network._graph.receptive_field(network.output.position).windows is None


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        slow("Cropping2D", {"cropping": 1}),
        slow("GlobalAveragePooling2D", {"keepdims": True}),
        ("GlobalMaxPooling2D", {"keepdims": True}),
        ("Permute", {"dims": (3, 1, 2)}),
        slow("UpSampling2D", {"size": 2}),
        slow("ZeroPadding2D", {"padding": 1}),
    ],
)
def test_positions_that_are_gated_where_they_come_to(kind: str, arguments: dict[str, Any]) -> None:
    """The probes lost their shape behind a zero padding."""
    model = keras.Sequential(
        [
            keras.Input((5, 5, 2), dtype="float64"),
            keras.layers.Conv2D(2, 2, dtype="float64"),
            getattr(keras.layers, kind)(**arguments, dtype="float64"),
            keras.layers.ReLU(dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
            keras.layers.Dense(2, dtype="float64"),
        ]
    )
    randomise(model, 0)
    x = images(model, 2)
    assert_in_every_way(
        insens_tf.SwitchedNetwork(model),
        x,
        Oracle(model).references(x),
        stateless=int(kind != "GlobalMaxPooling2D"),
        crops=int(kind == "ZeroPadding2D"),
    )


# --- activations as arguments --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((6, 2), keras.layers.Conv1D(3, 2, activation="relu")),
        slow((3, 4, 3, 1), keras.layers.Conv3D(2, 2, activation="relu")),
        slow((6, 2), keras.layers.DepthwiseConv1D(2, activation="relu")),
        ((5, 4, 2), keras.layers.DepthwiseConv2D(2, activation="relu6")),
        ((6, 2), keras.layers.SeparableConv1D(3, 2, activation="relu", use_bias=False)),
        slow((5, 4, 2), keras.layers.SeparableConv2D(3, 2, activation="relu")),
        slow((4, 2), keras.layers.Conv1DTranspose(3, 2, activation="relu", use_bias=False)),
        ((3, 4, 2), keras.layers.Conv2DTranspose(3, 2, activation="relu")),
        slow((2, 2, 2, 1), keras.layers.Conv3DTranspose(2, 2, activation="relu")),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "name") else None,
)
@pytest.mark.parametrize("dtype", [slow("float32"), "float64"])
def test_convolutions_with_their_activation(
    shape: tuple[int, ...], layer: keras.layers.Layer, dtype: str
) -> None:
    layer = type(layer).from_config({**layer.get_config(), "dtype": dtype})
    model = keras.Sequential(
        [
            keras.Input(shape, dtype=dtype),
            layer,
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dense(2, dtype=dtype),
        ]
    )
    randomise(model, 0)
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 2).astype(dtype)
    references = Oracle(model).references(x)
    assert [one.name for one in network.layers] == [layer.name]
    for one, reference in zip([*network.layers, network.output], references, strict=True):
        tolerance = 1e-10 if dtype == "float64" else 1e-5
        projection = network.project(x, one)
        assert_agrees(projection.activity, reference.activity, tolerance)
        assert_agrees(projection.weights, reference.weights, tolerance)
    assert_agrees(network.activity(x, network.output), np.asarray(model(x)), 1e-5)


# --- interpolation -------------------------------------------------------------------------------


def resized(layer: dict[str, Any], kind: str, dtype: str) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4, 5, 2), dtype=dtype),
            keras.layers.Conv2D(2, 2, activation="relu", dtype=dtype),
            getattr(keras.layers, kind)(**layer, dtype=dtype),
            keras.layers.Conv2D(3, 2, activation="relu", dtype=dtype),
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dense(2, dtype=dtype),
        ]
    )
    randomise(model, 0)
    return model


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        slow("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}),
        slow("Resizing", {"height": 2, "width": 7}),
        ("Resizing", {"height": 5, "width": 2, "interpolation": "nearest"}),
    ],
)
def test_interpolation(kind: str, layer: dict[str, Any]) -> None:
    model = resized(layer, kind, "float64")
    x = images(model, 2)
    network = insens_tf.SwitchedNetwork(model)
    assert_in_every_way(network, x, Oracle(model).references(x), crops=1)
    # TensorFlow itself interpolates in float32.
    model = resized(layer, kind, "float32")
    network = insens_tf.SwitchedNetwork(model)
    assert_agrees(network.activity(x, network.output), model(x.astype("float32")), 1e-5)


@pytest.mark.parametrize("length", [3, *(slow(n) for n in (1, 2, 5, 8))])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_interpolation_of_any_size_is_tensorflows(interpolation: str, length: int) -> None:
    x = np.random.default_rng(length).normal(size=(1, length, 1, 1)).astype(np.float32)
    for size in (1, 2, 3, 4, 7, 13):
        layer = keras.layers.Resizing(size, 1, interpolation)
        model = keras.Sequential([keras.Input((length, 1, 1)), layer])
        network = insens_tf.SwitchedNetwork(model)
        assert_agrees(network.activity(x, network.output), layer(x), 1e-5)


# --- scales --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_difference_of_equals_is_exactly_zero(dtype: str) -> None:
    inputs = keras.Input((50,), dtype=dtype)
    difference = keras.layers.Subtract(dtype=dtype)([inputs, inputs])
    model = keras.Model(inputs, difference)
    network = insens_tf.SwitchedNetwork(model)
    x = np.random.default_rng(0).normal(size=(20, 50))
    assert not network.activity(x, network.output).any()
    assert not network.project(x, network.output).weights.any()


@pytest.mark.parametrize("axis", [-1, slow(None)])
@pytest.mark.parametrize("invert", [False, True])
def test_adapted_normalisation(axis: int | None, invert: bool) -> None:
    random = np.random.default_rng(0)
    layer = keras.layers.Normalization(axis=axis, invert=invert, dtype="float64")
    layer.adapt(random.normal(2.0, [0.5, 3.0, 1.0], (100, 4, 5, 3)))
    model = keras.Sequential(
        [
            keras.Input((4, 5, 3), dtype="float64"),
            layer,
            keras.layers.Conv2D(3, 2, activation="relu", dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
            keras.layers.Dense(2, dtype="float64"),
        ]
    )
    x = random.normal(2.0, 1.0, (2, 4, 5, 3))
    network = insens_tf.SwitchedNetwork(model)
    assert_in_every_way(network, x, Oracle(model).references(x), crops=1)
    assert_agrees(network.activity(x, network.output), model(x))


# --- functions instead of layers -----------------------------------------------------------------


def twins(
    by_function: Callable[[Any, Any], Any], by_layers: Callable[[Any, Any], Any]
) -> list[keras.Model]:
    """Two models with the same weights, the first made with functions, the other with layers."""
    models = []
    for between in (by_function, by_layers):
        inputs = keras.Input((3, 4), dtype="float64")
        one = keras.layers.Dense(4, dtype="float64")(inputs)
        other = keras.layers.Dense(4, dtype="float64")(one)
        flat = keras.layers.Flatten(dtype="float64")(between(one, other))
        hidden = keras.layers.Dense(5, activation="relu", dtype="float64")(flat)
        models.append(keras.Model(inputs, keras.layers.Dense(3, dtype="float64")(hidden)))
    randomise(models[0], 0)
    one, other = (
        [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        for model in models
    )
    for source, target in zip(one, other, strict=True):
        target.set_weights(source.get_weights())
    return models


def layer(kind: str, **arguments: Any) -> Any:
    return getattr(keras.layers, kind)(dtype="float64", **arguments)


def leaky(slope: float) -> Any:
    argument = "negative_slope" if hasattr(keras, "ops") else "alpha"
    return layer("LeakyReLU", **{argument: slope})


def mirrored() -> Any:
    """A PReLU that is the absolute value."""
    return layer("PReLU", alpha_initializer=keras.initializers.Constant(-1.0))


FUNCTIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "x + y": (lambda x, y: x + y, lambda x, y: layer("Add")([x, y])),
    "x + x": (lambda x, y: x + x, lambda x, y: layer("Add")([x, x])),
    "x - y": (lambda x, y: x - y, lambda x, y: layer("Subtract")([x, y])),
    "x + 2": (lambda x, y: x + 2.0, lambda x, y: layer("Rescaling", scale=1.0, offset=2.0)(x)),
    "x - 2": (lambda x, y: x - 2.0, lambda x, y: layer("Rescaling", scale=1.0, offset=-2.0)(x)),
    "2 - x": (lambda x, y: 2.0 - x, lambda x, y: layer("Rescaling", scale=-1.0, offset=2.0)(x)),
    "3 x": (lambda x, y: 3.0 * x, lambda x, y: layer("Rescaling", scale=3.0)(x)),
    "x / 4": (lambda x, y: x / 4.0, lambda x, y: layer("Rescaling", scale=0.25)(x)),
    "-x": (lambda x, y: -x, lambda x, y: layer("Rescaling", scale=-1.0)(x)),
    "channel by channel": (
        lambda x, y: x * np.arange(4.0),
        lambda x, y: layer("Rescaling", scale=np.arange(4.0))(x),
    ),
    "abs": (lambda x, y: abs(x), lambda x, y: mirrored()(x)),
    "relu": (lambda x, y: keras.activations.relu(x), lambda x, y: layer("ReLU")(x)),
}

if hasattr(keras, "ops"):
    FUNCTIONS |= {
        "ops.relu": (lambda x, y: keras.ops.relu(x), lambda x, y: layer("ReLU")(x)),
        "ops.relu6": (lambda x, y: keras.ops.relu6(x), lambda x, y: layer("ReLU", max_value=6)(x)),
        "leaky": (
            lambda x, y: keras.ops.leaky_relu(x, negative_slope=0.25),
            lambda x, y: leaky(0.25)(x),
        ),
        "threshold": (
            lambda x, y: keras.activations.relu(x, threshold=0.5),
            lambda x, y: layer("ReLU", threshold=0.5)(x),
        ),
        "hard sigmoid": (
            lambda x, y: keras.ops.hard_sigmoid(x),
            lambda x, y: layer("Activation", activation="hard_sigmoid")(x),
        ),
        "hard tanh": (
            lambda x, y: keras.ops.hard_tanh(x),
            lambda x, y: layer("Activation", activation="hard_tanh")(x),
        ),
        "reshape": (
            lambda x, y: keras.ops.reshape(x, (-1, 2, 6)),
            lambda x, y: layer("Reshape", target_shape=(2, 6))(x),
        ),
    }
else:
    FUNCTIONS |= {
        "tf.nn.relu": (lambda x, y: tf.nn.relu(x), lambda x, y: layer("ReLU")(x)),
        "tf.nn.relu6": (lambda x, y: tf.nn.relu6(x), lambda x, y: layer("ReLU", max_value=6)(x)),
        "leaky": (
            lambda x, y: tf.nn.leaky_relu(x, alpha=0.25),
            lambda x, y: leaky(0.25)(x),
        ),
        "arguments by name": (
            lambda x, y: tf.subtract(y=x, x=y),
            lambda x, y: layer("Subtract")([y, x]),
        ),
        "reshape": (
            lambda x, y: tf.reshape(x, (-1, 2, 6)),
            lambda x, y: layer("Reshape", target_shape=(2, 6))(x),
        ),
    }


@pytest.mark.parametrize("name", slow_but(FUNCTIONS, *halved(FUNCTIONS)[::2]))
def test_functions_are_read_as_layers_are(name: str) -> None:
    model, by_layers = twins(*FUNCTIONS[name])
    x = images(model, 3)
    network = insens_tf.SwitchedNetwork(model)
    assert_projections(network, x, Oracle(by_layers).references(x))
    assert_agrees(network.activity(x, network.output), model(x))


@pytest.mark.parametrize("name", slow_but(halved(FUNCTIONS), "relu"))
def test_functions_go_the_ways_that_layers_do(name: str) -> None:
    model, by_layers = twins(*FUNCTIONS[name])
    x = images(model, 3)
    assert_in_every_way(insens_tf.SwitchedNetwork(model), x, Oracle(by_layers).references(x))


@pytest.mark.slow
def test_the_absolute_value_as_an_activation() -> None:
    absolute = keras.ops.absolute if hasattr(keras, "ops") else tf.abs
    model, by_layers = twins(
        lambda x, y: layer("Activation", activation=absolute)(x),
        lambda x, y: mirrored()(x),
    )
    x = images(model, 3)
    network = insens_tf.SwitchedNetwork(model)
    assert_in_every_way(network, x, Oracle(by_layers).references(x))
    assert_agrees(network.activity(x, network.output), model(x))


# --- several outputs -----------------------------------------------------------------------------


def with_two_outputs(dtype: str = "float64") -> keras.Model:
    inputs = keras.Input((6,), dtype=dtype)
    stem = keras.layers.Dense(7, activation="relu", dtype=dtype, name="stem")(inputs)
    left = keras.layers.Dense(5, activation="relu", dtype=dtype, name="left")(stem)
    classes = keras.layers.Dense(3, activation="softmax", dtype=dtype, name="classes")(left)
    right = keras.layers.Dense(4, activation="relu", dtype=dtype, name="right")(stem)
    amount = keras.layers.Dense(1, dtype=dtype, name="amount")(right)
    model = keras.Model(inputs, [classes, amount])
    randomise(model, 0)
    return model


def test_several_outputs() -> None:
    model = with_two_outputs()
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 3)
    assert [one.name for one in network.outputs] == ["classes", "amount"]
    assert {one.name for one in network.layers} == {"stem", "left", "right"}
    assert "classes(3,), amount(1,)" in repr(network)
    for output, hidden in (("classes", ["stem", "left"]), ("amount", ["stem", "right"])):
        one = keras.Model(model.input, model.get_layer(output).output)
        references = Oracle(one).references(x)
        for name, reference in zip([*hidden, output], references, strict=True):
            projection = network.project(x, name)
            assert_agrees(projection.activity, reference.activity)
            assert_agrees(projection.weights, reference.weights)
            if name != output:
                assert_agrees(network.insens(x, name), reference.insens())
    found = network.activity(x, ["classes", network.outputs[1]])
    assert list(found) == ["classes", "amount"]
    assert len(network.plan().layers) == 3


def test_several_outputs_are_not_the_output() -> None:
    model = with_two_outputs()
    network = insens_tf.SwitchedNetwork(model)
    way_out = r"2 outputs, 'classes' \(3,\), 'amount' \(1,\).*name one"
    with pytest.raises(ValueError, match=way_out):
        _ = network.output
    with pytest.raises(ValueError, match=way_out):
        insens_tf.create_analyzer("switched.weights", model)
    weights = insens_tf.create_analyzer("switched.weights", model, layer="amount")
    x = images(model, 2)
    assert_agrees(weights.analyze(x), network.project(x, "amount").weights[:, 0])


def test_a_hidden_layer_that_is_an_output_too() -> None:
    inputs = keras.Input((4,), dtype="float64")
    features = keras.layers.Dense(5, activation="relu", dtype="float64", name="features")(inputs)
    logits = keras.layers.Dense(3, dtype="float64", name="logits")(features)
    network = insens_tf.SwitchedNetwork(keras.Model(inputs, [features, logits, features]))
    assert [one.name for one in network.outputs] == ["features", "logits"]
    assert [one.name for one in network.layers] == ["features"]
    x = np.random.default_rng(0).normal(size=(2, 4))
    (hidden,), (output, _) = network.layers, network.outputs
    assert_agrees(network.activity(x, hidden), network.activity(x, output))


# --- mixed precision -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_read_in_float32(policy: str) -> None:
    def built(dtype: Any) -> keras.Model:
        inputs = keras.Input((6, 5, 2))
        value = keras.layers.Rescaling(0.5, dtype=dtype)(inputs)
        value = keras.layers.Conv2D(3, 3, dtype=dtype)(value)
        value = keras.layers.BatchNormalization(dtype=dtype)(value)
        value = keras.layers.PReLU(dtype=dtype)(value)
        value = keras.layers.DepthwiseConv2D(2, activation="relu", dtype=dtype)(value)
        value = keras.layers.Dense(4, activation="relu", dtype=dtype)(
            keras.layers.Flatten(dtype=dtype)(value)
        )
        value = keras.layers.Dense(3, dtype=dtype)(value)
        model = keras.Model(inputs, keras.layers.Activation("softmax", dtype="float32")(value))
        randomise(model, 0)
        return model

    mixed, plain = (insens_tf.SwitchedNetwork(built(dtype)) for dtype in (policy, "float32"))
    assert mixed.dtype == np.float32
    x = images(plain.model, 2)
    for one, other in zip(mixed.layers, plain.layers, strict=True):
        assert_agrees(mixed.project(x, one).weights, plain.project(x, other).weights, 1e-6)
        assert_agrees(mixed.insens(x, one), plain.insens(x, other), 1e-6)
    logits = mixed.activity(x, mixed.output)
    assert_agrees(logits, plain.activity(x, plain.output), 1e-6)


# --- smooth activations as gates -----------------------------------------------------------------


def smooth(activation: Any) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((6, 5, 2), dtype="float64"),
            keras.layers.Conv2D(3, 3, activation=activation, dtype="float64", name="bent"),
            keras.layers.MaxPooling2D(2, dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
            keras.layers.Dense(5, activation=activation, dtype="float64"),
            keras.layers.Dense(3, activation="softmax", dtype="float64"),
        ]
    )
    randomise(model, 0)
    return model


@pytest.mark.parametrize("name", slow_but(SMOOTH, "gelu"))
def test_smooth_activations_as_gates(name: str) -> None:
    model = smooth(name)
    network = insens_tf.SwitchedNetwork(model, smooth_activations="ratio")
    x = images(model, 2)
    # TensorFlow's own gelu has the root of 2 in float32.
    tolerance = 1e-7 if name == "gelu" else 1e-10
    assert_in_every_way(network, x, Oracle(model).references(x), tolerance, crops=2)
    assert_agrees(tf.nn.softmax(network.activity(x, network.output)), model(x))


@pytest.mark.parametrize("name", slow_but(SMOOTH, "gelu"))
def test_smooth_activations_at_exactly_zero(name: str) -> None:
    model = smooth(name)
    model.get_layer("bent").bias.assign(np.zeros(3))
    network = insens_tf.SwitchedNetwork(model, smooth_activations="ratio")
    x = np.zeros((1, 6, 5, 2))
    assert not network.activity(x, "bent").any()
    assert_projections(network, x, Oracle(model).references(x), 1e-6)


def test_activations_that_are_no_gates() -> None:
    """They are not 0 at 0, or nobody knows what they are."""

    def tanh(x: Any) -> Any:
        return x

    for activation in ("sigmoid", "softplus", tanh):
        with pytest.raises(insens_tf.UnreadableModelError, match=r"'bent'.*cut the model"):
            insens_tf.SwitchedNetwork(smooth(activation), smooth_activations="ratio")
    with pytest.raises(insens_tf.UnreadableModelError, match="smooth_activations='ratio'"):
        insens_tf.SwitchedNetwork(smooth("tanh"))
    with pytest.raises(ValueError, match=r"smooth_activations='fixed': expected one of 'ratio'"):
        insens_tf.SwitchedNetwork(smooth("tanh"), smooth_activations="fixed")
