"""What is refused, and that the message names what is wrong, what came and the way out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import SwitchedNetwork, UnreadableModelError
from insens_tf.innvestigate_contract import NotAnalyzeableModelException
from tests.architectures import KERAS_2, images, randomise

SHAPE = (6, 6, 1)


def around(*middle: keras.layers.Layer) -> keras.Sequential:
    """A model with some layers between a convolution and the output."""
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(2, 3, activation="relu", name="first"),
            *middle,
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="logits"),
        ]
    )


def refused(model: Any, *words: str) -> None:
    """The model is refused with all these words in the message."""
    with pytest.raises(UnreadableModelError) as caught:
        SwitchedNetwork(model)
    for word in words:
        assert word in str(caught.value)


# --- models --------------------------------------------------------------------------------------


def test_the_error_is_one_of_innvestigates() -> None:
    assert issubclass(UnreadableModelError, NotAnalyzeableModelException)
    with pytest.raises(NotAnalyzeableModelException, match="'bent'"):
        SwitchedNetwork(around(keras.layers.Conv2D(2, 3, activation="tanh", name="bent")))


@pytest.mark.parametrize(
    "activation", ["tanh", "sigmoid", "gelu", "elu", "selu", "swish", "softplus", "softmax"]
)
@pytest.mark.parametrize("kind", ["argument", "layer"])
def test_activations_that_are_not_piecewise_linear(activation: str, kind: str) -> None:
    if kind == "argument":
        model = around(keras.layers.Conv2D(2, 3, activation=activation, name="bent"))
    else:
        model = around(keras.layers.Activation(activation, name="bent"))
    # Keras 3 knows swish as silu.
    name = "silu" if activation == "swish" and not KERAS_2 else activation
    refused(model, "'bent'", name, "piecewise linear", "relu", "ReLU")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (keras.layers.ELU(name="bent"), ("ELU, which bends", "ReLU", "retrain")),
        (keras.layers.Softmax(name="bent"), ("softmax", "only looked through at the output")),
        (keras.layers.LayerNormalization(name="bent"), ("LayerNormalization, which divides",)),
        (keras.layers.GroupNormalization(2, name="bent"), ("GroupNormalization, which divides",)),
        (keras.layers.UnitNormalization(name="bent"), ("BatchNormalization", "cut the model")),
    ],
)
def test_layers_that_are_not_piecewise_linear(
    layer: keras.layers.Layer, words: tuple[str, ...]
) -> None:
    refused(around(layer), "'bent'", "piecewise linear", *words)


def test_products_of_activities() -> None:
    inputs = keras.Input(SHAPE)
    squared = keras.layers.Multiply(name="product")([inputs, inputs])
    refused(
        keras.Model(inputs, squared), "'product'", "piecewise linear", "multiplies", "cut the model"
    )


def test_recurrent_layers() -> None:
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.LSTM(4, name="memory")])
    refused(model, "'memory'", "piecewise linear", "LSTM", "cut the model")


def test_an_activation_of_the_users_own() -> None:
    def squared(x: tf.Tensor) -> tf.Tensor:
        return x * x

    refused(around(keras.layers.Conv2D(2, 3, activation=squared, name="bent")), "'bent'", "squared")


def test_an_activation_that_only_looks_like_relu() -> None:
    """Its name says nothing about what it does."""

    def relu(x: tf.Tensor) -> tf.Tensor:
        return x * x

    refused(around(keras.layers.Conv2D(2, 3, activation=relu, name="bent")), "'bent'")


class Doubled(keras.layers.Layer):
    """A layer of the user's own."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return 2.0 * inputs


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (Doubled(name="strange"), "Doubled"),
        (keras.layers.Lambda(abs, name="strange"), "Lambda"),
    ],
)
def test_unknown_kinds_of_layer(layer: keras.layers.Layer, kind: str) -> None:
    refused(around(layer), "'strange'", kind, "Conv2D", "MaxPooling2D")


def test_a_layer_that_is_called_as_for_training() -> None:
    """The model then answers at random, or from the rest of the batch."""
    for kind, arguments in (("Dropout", {"rate": 0.5}), ("BatchNormalization", {})):
        inputs = keras.Input((3,))
        layer = getattr(keras.layers, kind)(**arguments, name="trained")
        model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs, training=True)))
        refused(model, "'trained'", "training=True", "rebuild")


def test_of_several_reasons_the_first_on_the_way_is_told() -> None:
    inputs = keras.Input(SHAPE)
    bent = keras.layers.Activation("tanh", name="bent")(inputs)
    product = keras.layers.Multiply(name="product")([bent, inputs])
    refused(keras.Model(inputs, product), "'bent'", "'tanh' is not piecewise linear", "retrain")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x * x, ("a product of activities",)),
        (lambda x: 1.0 / x, ("a division by activities",)),
        (lambda x: x**2, ("pow", "Keras layers")),
        (lambda x: x[:, 1:], ("get", "item", "Keras layers")),
        (lambda x: x @ np.ones((4, 4), "float32"), ("matmul", "Keras layers")),
        (lambda x: x * np.ones((3, 4), "float32"), ("4 channels", "(3, 4)")),
        (lambda x: x + np.ones((3, 1), "float32"), ("4 channels", "(3, 1)")),
        (lambda x: keras.layers.Dense(1)(x) + np.ones(5, "float32"), ("(3, 5)", "(3, 1)")),
    ],
)
def test_functions_that_cannot_be_read(
    function: Callable[[Any], Any], words: tuple[str, ...]
) -> None:
    inputs = keras.Input((3, 4))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(function(inputs)))
    refused(keras.Model(inputs, outputs), "layer '", "expected", "found", *words)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("Conv2D", {"filters": 2, "kernel_size": 1}),
        ("Conv2DTranspose", {"filters": 2, "kernel_size": 1}),
        ("Cropping2D", {"cropping": ((1, 0), (0, 1))}),
        ("DepthwiseConv2D", {"kernel_size": 1}),
        ("GlobalAveragePooling2D", {}),
        ("AveragePooling2D", {"pool_size": 1}),
        ("GlobalMaxPooling2D", {}),
        ("MaxPooling2D", {"pool_size": 1}),
        ("SeparableConv2D", {"filters": 2, "kernel_size": 1}),
        ("UpSampling2D", {}),
        ("ZeroPadding2D", {}),
    ],
)
def test_channels_first(kind: str, arguments: dict[str, Any]) -> None:
    layer = getattr(keras.layers, kind)(**arguments, data_format="channels_first", name="turned")
    refused(around(layer), "'turned'", "channels_first", "channels_last")


def test_normalisation_along_another_axis() -> None:
    layer = keras.layers.BatchNormalization(axis=1, name="turned")
    refused(around(layer), "'turned'", "last axis", "[1]", "channels last")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        # Keras 3 refuses this itself.
        *(
            [(keras.layers.Conv1D(2, 3), ("1 axes and channels", "(4, 4, 2)", "length 1"))]
            if KERAS_2
            else []
        ),
        (keras.layers.Conv2DTranspose(2, 2, dilation_rate=2), ("dilation_rate=1", "(2, 2)")),
        (keras.layers.UpSampling2D(interpolation="bicubic"), ("nearest", "bilinear", "bicubic")),
        (keras.layers.Resizing(3, 3, "area"), ("nearest", "bilinear", "area", "rebuild")),
        (keras.layers.Resizing(3, 2, crop_to_aspect_ratio=True), ("aspect", "Cropping2D")),
        (keras.layers.Rescaling(np.ones((4, 4, 1))), ("2 channels", "(4, 4, 1)", "before")),
        (
            keras.layers.Normalization(axis=1, mean=np.zeros(4), variance=np.ones(4)),
            ("one number", "2 channels", "(1, 4, 1, 1)"),
        ),
    ],
)
def test_settings_that_cannot_be_read(layer: keras.layers.Layer, words: tuple[str, ...]) -> None:
    refused(around(layer), repr(layer.name), "expected", "found", *words)


def test_strides_over_three_axes_that_leave_too_much_out() -> None:
    """TensorFlow computes another convolution there than its gradient is of."""
    model = keras.Sequential(
        [
            keras.Input((5, 6, 8, 1)),
            keras.layers.Conv3D(2, 1, strides=(2, 2, 4), padding="same", name="sparse"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(UnreadableModelError, match=r"'sparse'.*strides \(2, 2, 4\); use padding"):
        SwitchedNetwork(model)


@pytest.mark.parametrize("kind", ["Add", "Average", "Maximum", "Minimum", "Subtract"])
def test_operands_of_different_shapes(kind: str) -> None:
    inputs = keras.Input((4, 4, 3))
    narrow = keras.layers.Conv2D(1, 1)(inputs)
    joined = getattr(keras.layers, kind)(name="joined")([inputs, narrow])
    refused(keras.Model(inputs, joined), "'joined'", "one shape", "(4, 4, 1)", "(4, 4, 3)")


def test_several_inputs() -> None:
    one, other = keras.Input((3,)), keras.Input((4,))
    joined = keras.layers.Concatenate()([one, other])
    refused(keras.Model([one, other], keras.layers.Dense(2)(joined)), "one input", "2")


@pytest.mark.skipif(KERAS_2, reason="Keras 2 has no other backend")
def test_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    model = around(keras.layers.ReLU())
    package = sys.modules[type(model).__module__.partition(".")[0]]
    monkeypatch.setattr(package.config, "backend", lambda: "jax")
    refused(model, "TensorFlow", "'jax'", "KERAS_BACKEND=tensorflow")


def test_an_unbuilt_model() -> None:
    model = keras.Sequential([keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)])
    refused(model, model.name, "build", "Input")


class Subclassed(keras.Model):
    """A model whose layers are connected by code only."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.dense(inputs)


def test_a_subclassed_model() -> None:
    model = Subclassed()
    model(np.zeros((1, 3)))
    refused(model, "functional")


@pytest.mark.parametrize("thing", [None, "model.keras", keras.layers.Dense(3)])
def test_no_model_at_all(thing: Any) -> None:
    refused(thing, "Keras model", type(thing).__name__)


def test_an_input_of_unknown_size() -> None:
    model = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    refused(model, model.name, "None")


@pytest.mark.parametrize("budget", [0, -1, 1.5, None, "1 GB"])
def test_a_memory_budget_that_is_none(budget: Any) -> None:
    with pytest.raises(ValueError, match=rf"memory_budget={re.escape(repr(budget))}.*bytes"):
        SwitchedNetwork(around(), memory_budget=budget)


# --- inputs --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> SwitchedNetwork:
    model = around(keras.layers.Conv2D(3, 2, activation="relu", name="second"))
    randomise(model, 0)
    return SwitchedNetwork(model)


@pytest.fixture
def x(network: SwitchedNetwork) -> np.ndarray:
    return images(network.model, 3)


CALLS: dict[str, Callable[[SwitchedNetwork, Any], Any]] = {
    "activity": lambda network, x: network.activity(x, "first"),
    "project": lambda network, x: network.project(x, "first"),
    "iterate_projections": lambda network, x: next(network.iterate_projections(x, "first")),
    "activation_frequency": lambda network, x: network.activation_frequency(x),
    "insens": lambda network, x: network.insens(x, "first"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "shape", [(2, 5, 6, 1), (2, 6, 6, 3), (2, 36), (6, 6, 1), (2, 6, 6), (2, 1, 6, 6, 1), (), (0,)]
)
def test_wrong_shapes(shape: tuple[int, ...], call: str, network: SwitchedNetwork) -> None:
    with pytest.raises(ValueError, match=r"expected.*") as caught:
        CALLS[call](network, np.zeros(shape))
    message = str(caught.value)
    assert str(shape) in message
    assert "x:" in message or "data:" in message


@pytest.mark.parametrize("call", ["activity", "project", "insens"])
def test_the_way_out_of_wrong_shapes(call: str, network: SwitchedNetwork) -> None:
    expected = re.escape("(batch, 6, 6, 1)")
    with pytest.raises(ValueError, match=rf"{expected}.*\(6, 6, 1\).*newaxis"):
        CALLS[call](network, np.zeros((6, 6, 1)))
    with pytest.raises(ValueError, match=rf"{expected}.*\(2, 6, 6\).*newaxis"):
        CALLS[call](network, np.zeros((2, 6, 6)))
    with pytest.raises(ValueError, match=rf"{expected}.*\(2, 6, 6, 3\)"):
        CALLS[call](network, np.zeros((2, 6, 6, 3)))


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_batch(call: str, network: SwitchedNetwork) -> None:
    with pytest.raises(ValueError, match=r"expected.*\(0, 6, 6, 1\)"):
        CALLS[call](network, np.zeros((0, 6, 6, 1)))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(value: float, call: str, network: SwitchedNetwork, x: np.ndarray) -> None:
    x[1, 2, 3, 0] = value
    with pytest.raises(ValueError, match=r"(x|data).*finite.*input 1"):
        CALLS[call](network, x)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", ["complex128", "U3", "O"])
def test_no_numbers(dtype: str, call: str, network: SwitchedNetwork) -> None:
    with pytest.raises(ValueError, match="real numbers"):
        CALLS[call](network, np.zeros((2, *SHAPE)).astype(dtype))


def test_numbers_too_large_for_the_model(network: SwitchedNetwork, x: np.ndarray) -> None:
    x[2, 0, 0, 0] = 1e300
    with pytest.raises(ValueError, match=r"finite.*float32.*input 2"):
        network.activity(x, "first")


# --- layers --------------------------------------------------------------------------------------

LAYER_CALLS: dict[str, Callable[[SwitchedNetwork, np.ndarray, Any], Any]] = {
    "activity": lambda network, x, layer: network.activity(x, layer),
    "project": lambda network, x, layer: network.project(x, layer),
    "iterate_projections": lambda network, x, layer: network.iterate_projections(x, layer),
    "activation_frequency": lambda network, x, layer: network.activation_frequency(
        x, layers=[layer]
    ),
    "insens": lambda network, x, layer: network.insens(x, layer),
    "insens of a list": lambda network, x, layer: network.insens(x, ["first", layer]),
}


@pytest.mark.parametrize("call", LAYER_CALLS)
@pytest.mark.parametrize(
    "layer", ["third", "First", 2, -3, None, 0.0, True, keras.layers.Dense(2, name="other")]
)
def test_unknown_layers(layer: Any, call: str, network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="layer=") as caught:
        LAYER_CALLS[call](network, x, layer)
    for word in ("'first'", "'second'", "(4, 4, 2)"):
        assert word in str(caught.value), "those there are, are listed"
    if isinstance(layer, (str, int)):
        assert repr(layer) in str(caught.value)


@pytest.mark.parametrize("call", ["activation_frequency", "insens"])
def test_the_output_layer_is_no_hidden_layer(
    call: str, network: SwitchedNetwork, x: np.ndarray
) -> None:
    for layer in ("logits", network.output, network.model.get_layer("logits")):
        with pytest.raises(ValueError, match=r"logits.*hidden.*'first'|logits.*'first'"):
            LAYER_CALLS[call](network, x, layer)


def test_a_layer_without_neurons(x: np.ndarray) -> None:
    network = SwitchedNetwork(around(keras.layers.MaxPooling2D(2, name="pool")))
    for layer in ("pool", network.model.get_layer("pool")):
        with pytest.raises(ValueError, match=r"'pool'.*'first'"):
            network.insens(x, layer)


def test_a_layer_of_another_network(network: SwitchedNetwork, x: np.ndarray) -> None:
    other = SwitchedNetwork(around())
    with pytest.raises(ValueError, match="'first'"):
        other.insens(x, network.layers[1])
    with pytest.raises(ValueError, match="'first'"):
        other.insens(x, network.model.get_layer("first"))


def test_lists_of_layers(network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least one"):
        network.insens(x, [])
    with pytest.raises(ValueError, match=r"'first'.*twice"):
        network.insens(x, ["first", 0])
    with pytest.raises(ValueError, match="layer"):
        network.project(x, ["first"])  # type: ignore[arg-type]


# --- neurons -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neurons", "named"),
    [
        (32, "32"),
        ([3, 32], "32"),
        (-1, "-1"),
        ([0, -32], "-32"),
        ((4, 0, 0), r"\[4, 0, 0\]"),
        ((0, 0, -1), r"\[0, 0, -1\]"),
        ([(0, 0, 0), (0, 4, 1)], r"\[0, 4, 1\]"),
        (np.array([[3, 3, 2]]), r"\[3, 3, 2\]"),
    ],
)
def test_neurons_out_of_range(
    neurons: Any, named: str, network: SwitchedNetwork, x: np.ndarray
) -> None:
    for call in (network.project, network.iterate_projections):
        with pytest.raises(
            ValueError, match=rf"{named} is out of range.*'first'.*0\.\.31.*\(4, 4, 2\)"
        ):
            call(x, "first", neurons)


@pytest.mark.parametrize(
    "neurons",
    [
        (1, 2),
        (0, 0, 0, 0),
        [(1, 2)],
        [(0, 0, 0), (1, 2)],
        [(0, 0, 0), 5],
        np.zeros((1, 1, 3), int),
        [],
        (),
        [1.5],
        1.0,
        "first",
        [True, False],
        np.ones(32, bool),
        {3},
    ],
)
def test_neurons_of_the_wrong_kind(neurons: Any, network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"(?s)neurons=.*'first'.*multi-ind"):
        network.project(x, "first", neurons)


# --- options of insens ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["Inactive", "off", None, 0, ["inactive"]])
def test_unknown_states(state: Any, network: SwitchedNetwork, x: np.ndarray) -> None:
    named = re.escape(f"state={state!r}")
    with pytest.raises(ValueError, match=rf"{named}.*'inactive', 'active', 'all'"):
        network.insens(x, 0, state=state)


@pytest.mark.parametrize("sensitivity", ["center", "weights", None])
def test_unknown_readings(sensitivity: Any, network: SwitchedNetwork, x: np.ndarray) -> None:
    named = re.escape(f"sensitivity={sensitivity!r}")
    with pytest.raises(ValueError, match=rf"{named}.*'centre', 'activity'"):
        network.insens(x, 0, sensitivity=sensitivity)


def test_an_unknown_way(network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"way='fast'.*'gradient'"):
        network.insens(x, 0, way="fast")


@pytest.mark.parametrize("shape", [(), (32,), (4, 4), (1, 4, 4, 2), (3, 4, 4, 2), (2, 4, 4), (3,)])
def test_frequencies_of_the_wrong_shape(
    shape: tuple[int, ...], network: SwitchedNetwork, x: np.ndarray
) -> None:
    came = re.escape(str(shape))
    for frequency in (np.full(shape, 0.5), {"first": np.full(shape, 0.5)}):
        with pytest.raises(ValueError, match=rf"frequency.*'first'.*\(4, 4, 2\).*{came}"):
            network.insens(x, "first", frequency)


@pytest.mark.parametrize("value", [-0.01, 1.01, 60000.0, np.nan, np.inf])
def test_frequencies_outside_of_0_to_1(
    value: float, network: SwitchedNetwork, x: np.ndarray
) -> None:
    frequency = np.full((4, 4, 2), 0.5)
    frequency[1, 2, 1] = value
    with pytest.raises(ValueError, match=r"frequency.*'first'.*0\.\.1"):
        network.insens(x, "first", frequency)
    with pytest.raises(ValueError, match=r"frequency.*'first'.*0\.\.1"):
        network.insens(x, ["second", "first"], {"first": frequency, "second": np.ones((3, 3, 3))})


def test_frequencies_that_are_missing(network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frequency.*'second'.*first.*activation_frequency"):
        network.insens(x, "second", {"first": np.ones((4, 4, 2))})


@pytest.mark.parametrize("frequency", ["often", [["a"]], object(), np.full((4, 4, 2), 1j)])
def test_frequencies_that_are_no_numbers(
    frequency: Any, network: SwitchedNetwork, x: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"frequency.*'first'.*\(4, 4, 2\)"):
        network.insens(x, "first", frequency)


def test_an_array_for_several_layers(network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frequency.*mapping.*ndarray"):
        network.insens(x, ["first", "second"], np.ones((4, 4, 2)))


# --- data ----------------------------------------------------------------------------------------


def test_data_without_batches(network: SwitchedNetwork) -> None:
    for data in (iter(()), tf.data.Dataset.from_tensor_slices(np.zeros((0, *SHAPE))).batch(2)):
        with pytest.raises(ValueError, match=r"data.*at least one"):
            network.activation_frequency(data)


def test_data_that_is_not_batched(network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"data.*\(6, 6, 1\).*batch"):
        network.activation_frequency(tf.data.Dataset.from_tensor_slices(x))


@pytest.mark.parametrize("data", [None, 3, 1.5])
def test_data_of_another_kind(data: Any, network: SwitchedNetwork) -> None:
    with pytest.raises(ValueError, match=rf"data.*generator.*{type(data).__name__}"):
        network.activation_frequency(data)


def test_inputs_with_their_labels(network: SwitchedNetwork, x: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"data.*labels"):
        network.activation_frequency((x, np.zeros(3)))


@pytest.mark.parametrize(
    ("option", "value"), [("batch_size", 0), ("batch_size", -1), ("steps", 0), ("steps", -2)]
)
def test_batch_size_and_steps(
    option: str, value: int, network: SwitchedNetwork, x: np.ndarray
) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(ValueError, match=f"{option}={value}"):
        network.activation_frequency(x, **options)


def test_nan_in_a_later_batch(network: SwitchedNetwork, x: np.ndarray) -> None:
    bad = x.copy()
    bad[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"data.*finite"):
        network.activation_frequency(batch for batch in (x, bad))


def test_no_model_is_harmed_by_a_refusal(network: SwitchedNetwork, x: np.ndarray) -> None:
    """After all these refusals the network still works."""
    assert network.insens(x, "first").shape == x.shape
    assert insens_tf.SwitchedNetwork(network.model).layers == network.layers
