"""The oracle itself, against TensorFlow: the user's own model and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from tests.architectures import ARCHITECTURES, GRAPHS, VARIED, build, images
from tests.conftest import CaseOf, every_architecture, every_seed, slow_but
from tests.oracle import Oracle, padding_before

MOST_NEURONS = 20
GATES = {
    "LeakyReLU": "relu",
    "PReLU": "relu",
    "ReLU": "relu",
    "Softmax": "softmax",
    "ThresholdedReLU": "relu",
}
SWITCHES_AT = {"hard_sigmoid": -3.0 if hasattr(keras, "ops") else -2.5, "hard_tanh": -1.0}
ARGUMENTS = ("Conv2D", "Dense", "LocallyConnected1D", "LocallyConnected2D")


def activities(model: keras.Sequential, inputs: tf.Tensor) -> list[tf.Tensor]:
    """What enters every ReLU, and the logits, by calling the model's own layers in turn."""
    values, found = inputs, []
    for layer in model.layers:
        with_argument = type(layer).__name__ in ARGUMENTS
        if with_argument or isinstance(layer, keras.layers.Activation):
            name = keras.activations.serialize(layer.activation)
        else:
            name = GATES.get(type(layer).__name__, "linear")
        threshold = getattr(layer, "threshold", getattr(layer, "theta", SWITCHES_AT.get(name, 0.0)))
        if name != "linear" and with_argument:
            # The weighted sums of a layer with an argument: a twin of it without the argument.
            twin = type(layer).from_config({**layer.get_config(), "activation": None})
            twin.build(values.shape)
            twin.set_weights(layer.get_weights())
            found.append(twin(values) - threshold)
        elif name != "linear":
            found.append(values - threshold)
        values = layer(values)
    return found if name != "linear" else [*found, values]


@pytest.mark.parametrize("name", slow_but(ARCHITECTURES, *VARIED))
def test_every_layer_agrees_with_tensorflow(name: str) -> None:
    model = build(name, seed=3)
    x = images(model, 1, seed=3)
    references = Oracle(model).references(x)
    with tf.GradientTape(persistent=True) as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        flat = [tf.reshape(value, (-1,)) for value in activities(model, inputs)]
        random = np.random.default_rng(0)
        chosen = [random.permutation(len(value))[:MOST_NEURONS] for value in flat]
        # One after another on the tape, because a gradient of each is asked for.
        scalars = [
            [value[neuron] for neuron in neurons]
            for value, neurons in zip(flat, chosen, strict=True)
        ]
    assert len(references) == len(flat)
    for reference, value, neurons, ones in zip(references, flat, chosen, scalars, strict=True):
        np.testing.assert_allclose(reference.activity[0], value, rtol=1e-11, atol=1e-11)
        gradients = np.concatenate([tape.gradient(one, inputs) for one in ones])
        np.testing.assert_allclose(reference.weights[0, neurons], gradients, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", slow_but(GRAPHS, *VARIED))
def test_the_output_of_graphs_agrees_with_tensorflow(name: str) -> None:
    model = build(name, seed=3)
    x = images(model, 1, seed=3)
    # Keras' own softmax is undone by the logarithm, but for one number for all logits.
    softmax = getattr(model.layers[-1], "activation", None) is keras.activations.softmax
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        outputs = tf.math.log(model(inputs)) if softmax else model(inputs)
        outputs -= tf.reduce_mean(outputs, axis=-1, keepdims=True)
    expected = np.asarray(tape.jacobian(outputs, inputs))[0, :, 0]
    logits = Oracle(model).references(x)[-1]
    np.testing.assert_allclose(
        logits.activity - logits.activity.mean(axis=-1, keepdims=True),
        outputs,
        rtol=1e-11,
        atol=1e-11,
    )
    np.testing.assert_allclose(
        logits.weights[0] - logits.weights[0].mean(axis=0), expected, rtol=1e-11, atol=1e-11
    )


@every_seed
def test_matrix_and_offset_give_the_values(name: str, seed: int, case: CaseOf) -> None:
    this = case(name, seed)
    x = this.x.reshape(len(this.x), -1)
    for reference in this.references:
        recomputed = np.einsum(
            "bni,bi->bn", reference.weights.reshape(*reference.activity.shape, -1), x
        )
        np.testing.assert_allclose(
            recomputed + reference.bias, reference.activity, rtol=1e-11, atol=1e-11
        )


@every_architecture
def test_architectures_have_active_and_inactive_neurons(name: str, case: CaseOf) -> None:
    """An architecture whose neurons are all in one state would test little."""
    layers = zip(*(case(name, seed).references[:-1] for seed in (0, 1, 2)), strict=True)
    for references in layers:
        share = np.mean([reference.activity > 0.0 for reference in references])
        assert 0.1 < share < 0.9


def test_unknown_settings_are_refused() -> None:
    broken = {"typo": {**ARCHITECTURES["dense"], "input_shap": (3,)}}
    with pytest.raises(ValueError, match="input_shap"):
        build("typo", architectures=broken)


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "expected"),
    [
        (5, 3, 1, "valid", (3, 0)),
        (6, 3, 2, "valid", (2, 0)),
        (5, 3, 1, "same", (5, 1)),
        (6, 2, 1, "same", (6, 0)),
        (6, 3, 2, "same", (3, 0)),
        (7, 3, 2, "same", (4, 1)),
        (4, 1, 3, "same", (2, 0)),
    ],
)
def test_padding_by_hand(
    size: int, window: int, stride: int, padding: str, expected: tuple[int, int]
) -> None:
    assert padding_before(size, window, stride, padding) == expected


def test_centre_and_insens_by_hand() -> None:
    """One neuron, v = 3 - 5 = -2 with w = (0.6, 0.8): two away from its root."""
    model = keras.Sequential(
        [
            keras.Input((2,), dtype="float64"),
            keras.layers.Dense(1, activation="relu", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
    )
    model.layers[0].set_weights([np.array([[0.6], [0.8]]), np.array([-5.0])])
    (hidden, _) = Oracle(model).references(np.array([[1.0, 3.0]]))
    np.testing.assert_allclose(hidden.activity, [[-2.0]], rtol=1e-15)
    np.testing.assert_allclose(hidden.bias, [[-5.0]])
    np.testing.assert_allclose(hidden.centre, [[[1.0 + 1.2, 3.0 + 1.6]]])
    np.testing.assert_allclose(hidden.contribution, [[[-0.72, -1.28]]])
    np.testing.assert_allclose(hidden.insens(), [[-1.2, -1.6]])
    np.testing.assert_allclose(hidden.insens(frequency=np.array([0.25])), [[-0.3, -0.4]])
    np.testing.assert_allclose(hidden.insens(sensitivity="activity"), [[-1.2, -1.6]])
    np.testing.assert_allclose(hidden.insens(state="active"), [[0.0, 0.0]])
    np.testing.assert_allclose(hidden.insens(state="all"), [[-1.2, -1.6]])
    np.testing.assert_array_equal(hidden.count, [0])


def test_the_first_maximum_wins_and_padding_never_does() -> None:
    model = keras.Sequential(
        [
            keras.Input((3, 3, 1), dtype="float64"),
            keras.layers.MaxPooling2D(2, padding="same", dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
        ]
    )
    _, sweep = Oracle(model).sweep(np.full((3, 3, 1), -1.0))
    np.testing.assert_array_equal(sweep.state[0], [0, 2, 6, 8])
