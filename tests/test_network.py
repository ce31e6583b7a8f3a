"""Reading a model: its hidden layers, their names, and that the model stays as it is."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from insens_tf.graph import Graph
from tests.architectures import NAMES, VARIED, build, images, randomise
from tests.conftest import CaseOf, every_architecture, halved, needs_eager_mode_off, slow
from tests.oracle import Oracle, assert_agrees


@every_architecture
def test_layers_are_those_before_each_relu(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    assert isinstance(this.network.layers, tuple)
    assert this.network.input_shape == this.model.input_shape[1:]
    for number, (layer, reference) in enumerate(this.hidden):
        assert layer.index == number
        assert layer.shape == reference.shape
        assert layer.neurons == np.prod(reference.shape)
    logits = this.references[-1]
    assert this.network.output.index is None
    assert this.network.output.shape == logits.shape
    assert this.network.output.name == logits.name
    if "shared" not in name:
        assert [layer.name for layer in this.network.layers] == [
            reference.name for reference in this.references[:-1]
        ]


# Few are fast, as projections and Insens are compared for all of them.
@pytest.mark.parametrize(
    ("name", "seed"),
    [
        (name, seed) if seed == 0 and name in VARIED else slow(name, seed)
        for names, seed in ((NAMES, 0), (halved(NAMES), 1))
        for name in names
    ],
)
def test_activity_agrees_with_the_oracle(name: str, seed: int, case: CaseOf) -> None:
    this = case(name, seed)
    for layer, reference in this.hidden:
        expected = reference.activity.reshape(-1, *reference.shape)
        assert_agrees(this.network.activity(this.x, layer), expected)
    logits = this.network.activity(this.x, this.network.output.name)
    assert_agrees(logits, this.references[-1].activity)


def test_activity_of_several_layers(case: CaseOf) -> None:
    this = case("2CONV", 0)
    found = this.network.activity(this.x, [0, this.network.output.name])
    assert list(found) == [this.network.layers[0].name, this.network.output.name]
    assert_agrees(found[this.network.output.name], this.references[-1].activity)
    assert_agrees(
        found[this.network.layers[0].name],
        this.references[0].activity.reshape(-1, *this.references[0].shape),
    )


# --- naming a layer ------------------------------------------------------------------------------


def named_model() -> keras.Sequential:
    """A convolution and a dense layer, each with a ReLU layer of its own."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1), dtype="float64"),
            keras.layers.Conv2D(2, 3, name="edges", dtype="float64"),
            keras.layers.ReLU(name="gate", dtype="float64"),
            keras.layers.MaxPooling2D(2, name="pool", dtype="float64"),
            keras.layers.Flatten(name="flat", dtype="float64"),
            keras.layers.Dense(4, name="penultimate", dtype="float64"),
            keras.layers.Activation("relu", name="second_gate", dtype="float64"),
            keras.layers.Dense(3, name="classes", dtype="float64"),
            keras.layers.Softmax(name="probabilities", dtype="float64"),
        ]
    )
    randomise(model, 0)
    return model


@pytest.fixture(scope="module")
def named() -> insens_tf.SwitchedNetwork:
    return insens_tf.SwitchedNetwork(named_model())


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("edges", 0),
        ("gate", 0),
        (0, 0),
        (-2, 0),
        (np.int64(0), 0),
        ("penultimate", 1),
        ("second_gate", 1),
        (1, 1),
        (-1, 1),
        ("classes", None),
        ("probabilities", None),
    ],
)
def test_a_layer_has_many_names(
    layer: Any, expected: int | None, named: insens_tf.SwitchedNetwork
) -> None:
    x = images(named.model, 1)
    meant = named.output if expected is None else named.layers[expected]
    assert named.project(x, layer, 0).layer == meant
    assert_agrees(named.activity(x, layer), named.activity(x, meant))


@pytest.mark.parametrize(
    ("keras_layer", "expected"),
    [("edges", 0), ("gate", 0), ("penultimate", 1), ("second_gate", 1), ("classes", None)],
)
def test_a_keras_layer_names_it(
    keras_layer: str, expected: int | None, named: insens_tf.SwitchedNetwork
) -> None:
    meant = named.output if expected is None else named.layers[expected]
    found = named.project(images(named.model, 1), named.model.get_layer(keras_layer), 0).layer
    assert found == meant


def test_names_shapes_and_neurons(named: insens_tf.SwitchedNetwork) -> None:
    assert [(layer.index, layer.name, layer.shape, layer.neurons) for layer in named.layers] == [
        (0, "edges", (4, 4, 2), 32),
        (1, "penultimate", (4,), 4),
    ]
    assert (named.output.name, named.output.shape, named.output.neurons) == ("classes", (3,), 3)


def test_layers_of_shared_layers_and_models_inside(case: CaseOf) -> None:
    """Each use of a shared layer is a hidden layer of its own, and has a name of its own."""
    this = case("graph with a shared layer and a model inside", 0)
    names = [layer.name for layer in this.network.layers]
    assert len(set(names)) == 3
    assert names[0] == "shared"
    for name, gate, reference in zip(names, ("gate_once", "gate_twice"), this.references):
        assert_agrees(this.network.activity(this.x, name), reference.activity)
        assert_agrees(this.network.activity(this.x, gate), reference.activity)
    inside = this.model.get_layer("inner").get_layer("inside")
    assert_agrees(this.network.activity(this.x, inside), this.references[2].activity)
    assert_agrees(this.network.activity(this.x, "inner/inside"), this.references[2].activity)


# --- the user's model ----------------------------------------------------------------------------


def snapshot(model: keras.Model, x: np.ndarray) -> dict[str, Any]:
    """All that a user could see of a model, with the identity of what its layers hold."""
    objects = [model, *model.layers]
    return {
        "weights": [weight.copy() for weight in model.get_weights()],
        "outputs": np.asarray(model(x)),
        "outputs in training": np.asarray(model(np.zeros_like(x), training=False)),
        "configuration": repr(model.get_config()),
        "attributes": [sorted(vars(one)) for one in objects],
        "identities": [
            {key: id(value) for key, value in vars(one).items() if not key.startswith("_")}
            for one in objects
        ],
        "activations": [id(getattr(one, "activation", None)) for one in objects],
        "uses": [(len(one._inbound_nodes), len(one._outbound_nodes)) for one in objects],
        "trainable": [one.trainable for one in objects],
        "losses": len(model.losses),
    }


@pytest.mark.parametrize(
    "name",
    [
        "reshape and dropout",
        *(slow(one) for one in ("2CONV", "ReLU as a layer", *NAMES[-3:])),
    ],
)
def test_the_model_is_not_changed(name: str) -> None:
    model = build(name, 0)
    x = images(model, 2)
    model(x)
    before = snapshot(model, x)
    network = insens_tf.SwitchedNetwork(model)
    network.activity(x, 0)
    network.project(x, -1)
    network.project(x, network.output)
    list(network.iterate_projections(x, 0))
    frequency = network.activation_frequency(x)
    network.insens(x, list(network.layers), frequency)
    network.insens(x, 0, way="gradient")
    after = snapshot(model, x)
    for one, other in zip(before.pop("weights"), after.pop("weights"), strict=True):
        np.testing.assert_array_equal(one, other)
    for key in ("outputs", "outputs in training"):
        np.testing.assert_array_equal(before.pop(key), after.pop(key))
    assert after == before


def test_the_inputs_are_not_changed(case: CaseOf) -> None:
    this = case("2CONV", 0)
    x = this.x.copy()
    frequency = {layer.name: np.full(layer.shape, 0.5) for layer in this.network.layers}
    projection = this.network.project(x, 0, [1, 2])
    assert all(len(one) == len(x) for one in (projection.centre, projection.contribution))
    this.network.insens(x, [0, 1, 2], frequency)
    np.testing.assert_array_equal(x, this.x)
    assert all((array == 0.5).all() for array in frequency.values())


def test_later_weights_are_seen() -> None:
    model = build("conv valid", 0)
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 2)
    before = network.insens(x, 1), network.project(x, 0).weights
    randomise(model, 1)
    *hidden, logits = Oracle(model).references(x)
    assert_agrees(network.insens(x, 1), hidden[1].insens())
    assert_agrees(network.project(x, 0).weights, hidden[0].weights)
    assert_agrees(network.project(x, network.output).bias, logits.bias)
    frequency = network.activation_frequency(x)
    np.testing.assert_array_equal(frequency.counts[network.layers[0].name], hidden[0].count)
    assert np.abs(network.insens(x, 1) - before[0]).max() > 1e-3
    assert np.abs(network.project(x, 0).weights - before[1]).max() > 1e-3


def test_later_training_is_seen() -> None:
    model = build("dense", 0)
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 8)
    network.insens(x, 0)
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    model.fit(x, np.arange(8) % 3, epochs=2, verbose=0)
    (reference, *_) = Oracle(model).references(x)
    assert_agrees(network.insens(x, 0), reference.insens())


# --- compiled functions ---------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_is_traced_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of inputs and neurons, and which of them are needed."""
    model = build("2CONV", 0)
    network = insens_tf.SwitchedNetwork(model)
    evaluations: list[int] = []
    evaluate = Graph.values

    def recording(self: Graph, *arguments: Any) -> Any:
        evaluations.append(1)
        return evaluate(self, *arguments)

    monkeypatch.setattr(Graph, "values", recording)

    def everything(x: np.ndarray, count: int) -> None:
        layers = list(network.layers)
        network.insens(x, layers)
        for way in ("crops", "backward", "probes", "gradient"):
            network.insens(x, layers, way=way)
        network.estimate_insens(x, layers, probes=16 + count)
        network.activity(x, layers)
        network.activation_frequency(x, progress=False)
        for neurons in (np.arange(2), np.arange(count)):
            network.project(x, -1, neurons)

    everything(images(model, 3), 6)
    assert evaluations
    evaluations.clear()
    everything(images(model, 5, 1), 7)
    everything(images(model, 1, 2), 5)
    assert not evaluations


def test_compiled_functions_go_with_the_network() -> None:
    model = build("dense", 0)
    network = insens_tf.SwitchedNetwork(model)
    network.insens(images(model, 2), list(network.layers))
    network.project(images(model, 1), 0)
    watched: list[weakref.ref[Any]] = [weakref.ref(network), weakref.ref(network._graph)]
    del network
    gc.collect()
    assert [one() for one in watched] == [None, None]


# --- TensorFlow's state --------------------------------------------------------------------------

WITHOUT_EAGER_MODE = """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf
tf.compat.v1.disable_eager_execution()
import numpy as np
import insens_tf
from tests.architectures import build, images
from tests.oracle import Oracle, assert_agrees

model = build("2CONV", 0)
x = images(model, 2)
network = insens_tf.SwitchedNetwork(model)
*hidden, logits = Oracle(model).references(x)
for layer, reference in zip(network.layers, hidden, strict=True):
    assert_agrees(network.project(x, layer, [0, 5]).centre, reference.centre[:, [0, 5]])
    assert_agrees(network.insens(x, layer), reference.insens())
    frequency = network.activation_frequency(x)
    np.testing.assert_array_equal(frequency.counts[layer.name], reference.count)
assert_agrees(network.activity(x, network.output), logits.activity)
print("agreed")
"""


@pytest.mark.slow
@needs_eager_mode_off
def test_works_with_eager_mode_off() -> None:
    """iNNvestigate asks for it to be turned off; a process of its own, as it cannot go on again."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EAGER_MODE], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "agreed", done.stderr


IMPORT_ALONE = """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import random
    import numpy as np
    import tensorflow as tf
    random.seed(1), np.random.seed(1), tf.random.set_seed(1)
    expected = random.random(), np.random.random()
    random.seed(1), np.random.seed(1)
    before = tf.executing_eagerly(), tf.keras.backend.floatx()
    import insens_tf
assert (random.random(), np.random.random()) == expected
after = tf.executing_eagerly(), tf.keras.backend.floatx()
assert after == before and after[0] is True, (before, after)
print("unchanged")
"""


@pytest.mark.slow
def test_importing_changes_no_global_state() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "unchanged", done.stderr


# --- names of a hidden layer that is normalised ---------------------------------------------------


def normalised_model() -> keras.Model:
    inputs = keras.Input((6, 6, 1))
    value = keras.layers.Conv2D(2, 3, name="conv")(inputs)
    value = keras.layers.BatchNormalization(name="norm")(value)
    first = keras.layers.ReLU(name="gate")(value)
    # Its neurons are those of the sum, which neither convolution has alone.
    value = keras.layers.Conv2D(2, 1, name="branch")(first)
    value = keras.layers.Add(name="sum")(
        [keras.layers.BatchNormalization(name="other")(value), first]
    )
    value = keras.layers.BatchNormalization(name="after_sum")(value)
    value = keras.layers.Flatten()(keras.layers.ReLU(name="sum_gate")(value))
    # The same convolution, seen twice.
    shared = keras.layers.Dense(3, name="shared")(value)
    left = keras.layers.ReLU(name="left_gate")(keras.layers.BatchNormalization(name="left")(shared))
    right = keras.layers.ReLU()(keras.layers.BatchNormalization(name="right")(shared))
    logits = keras.layers.Dense(2, name="logits")(keras.layers.Add()([left, right]))
    model = keras.Model(inputs, keras.layers.Softmax(name="softmax")(logits))
    randomise(model, 0)
    return model


@pytest.fixture(scope="module")
def normalised() -> insens_tf.SwitchedNetwork:
    return insens_tf.SwitchedNetwork(normalised_model())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, "norm") for name in ("conv", "norm", "gate")),
        *((name, "after_sum") for name in ("after_sum", "sum_gate")),
        *((name, "left") for name in ("left", "left_gate")),
    ],
)
def test_convolution_normalisation_and_relu_name_one_layer(
    name: str, expected: str, normalised: insens_tf.SwitchedNetwork
) -> None:
    layer = normalised.model.get_layer(name)
    for one in (name, layer):
        assert normalised.plan(layer=one).layers[0].name == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shared", r"used more than once; name one of '(left|right)', '"),
        ("branch", r"no neurons that a ReLU gates directly"),
        ("sum", r"no neurons that a ReLU gates directly"),
        ("nothing", r"0 'norm' \(4, 4, 2\), or its Conv2D 'conv', or its ReLU 'gate'; 1 'after_"),
    ],
)
def test_names_that_mean_no_layer(
    name: str, words: str, normalised: insens_tf.SwitchedNetwork
) -> None:
    with pytest.raises(ValueError, match=words):
        normalised.plan(layer=name)


def test_every_normalisation_of_a_sum_names_its_layer() -> None:
    inputs = keras.Input((4,))
    value = keras.layers.Dense(3, name="dense")(inputs)
    for name in ("first", "second", "third"):
        value = keras.layers.BatchNormalization(name=name)(value)
    value = keras.layers.ReLU(name="gate")(value)
    network = insens_tf.SwitchedNetwork(keras.Model(inputs, keras.layers.Dense(2)(value)))

    for name in ("dense", "first", "second", "third", "gate"):
        assert network.layer(name).name == "third"
    assert network.layers[0].aliases == ("dense", "first", "second", "gate")


def test_a_convolution_that_is_a_hidden_layer_itself_means_itself() -> None:
    inputs = keras.Input((4,))
    value = keras.layers.Dense(3, name="dense")(inputs)
    gated = keras.layers.ReLU(name="plain")(value)
    other = keras.layers.ReLU(name="gate")(keras.layers.BatchNormalization(name="norm")(value))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Add()([gated, other])))
    network = insens_tf.SwitchedNetwork(model)
    for name, expected in [
        ("dense", "dense"),
        ("plain", "dense"),
        ("norm", "norm"),
        ("gate", "norm"),
    ]:
        assert network.plan(layer=name).layers[0].name == expected
