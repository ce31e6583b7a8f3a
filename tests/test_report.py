"""What a model was read as, the reasons of what was not, and the proof."""

from __future__ import annotations

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from insens_tf.report import proof
from tests.architectures import build, images, randomise
from tests.conftest import CaseOf, slow_but, varied_architectures

LAYERS = keras.layers


def mixed(activation: str, last: str = "softmax") -> keras.Model:
    """A model in which a layer has each part; the activation is that of one in the middle."""
    image = keras.Input((12, 10, 3), name="image")
    scaled = LAYERS.Rescaling(1 / 255, name="scaled")(image)
    conv = LAYERS.Conv2D(4, 3, padding="same", name="conv")(scaled)
    normalised = LAYERS.BatchNormalization(name="normalised")(conv)
    gate = LAYERS.ReLU(6.0, name="gate")(normalised)
    branch = LAYERS.Conv2D(4, 3, padding="same", activation=activation, name="branch")(gate)
    joined = LAYERS.Add(name="joined")([gate, branch])
    pooled = LAYERS.MaxPooling2D(name="pooled")(joined)
    inner = keras.Sequential(
        [
            keras.Input((6, 5, 4)),
            LAYERS.Flatten(name="flat"),
            LAYERS.Dense(7, "relu", name="dense"),
            LAYERS.Dropout(0.5, name="dropped"),
        ],
        name="inner",
    )
    logits = LAYERS.Dense(3, name="logits")(inner(pooled))
    model = keras.Model(image, LAYERS.Activation(last, name="end")(logits), name="mixed")
    randomise(model, 1)
    return model


def test_each_layer_is_said_what_it_was_read_as() -> None:
    report = insens_tf.SwitchedNetwork(mixed("relu")).report()
    assert [(layer.name, layer.part) for layer in report.layers] == [
        ("scaled", "linear"),
        ("conv", "linear"),
        ("normalised", "hidden layer"),
        ("gate", "gate"),
        ("branch", "hidden layer"),
        ("joined", "linear"),
        ("pooled", "selection"),
        ("inner/flat", "linear"),
        ("inner/dense", "hidden layer"),
        ("inner/dropped", "nothing"),
        ("logits", "output"),
        ("end", "looked through"),
    ]
    by_name = {layer.name: layer for layer in report.layers}
    assert [by_name[name].index for name in ("normalised", "branch", "inner/dense")] == [0, 1, 2]
    assert [by_name[name].neurons for name in ("branch", "inner/dense", "logits")] == [480, 7, 3]
    assert by_name["normalised"].receptive_field == (3, 3)
    # Two convolutions of three, joined with what sees less, and windows of two: 5 + 1.
    assert by_name["pooled"].receptive_field == (6, 6)
    assert by_name["inner/dense"].receptive_field is None
    assert report.refused == ()
    assert "all hidden layers" in str(report)


def test_all_that_cannot_be_read_is_named_with_the_way_out() -> None:
    model = mixed("tanh")
    product = LAYERS.Multiply(name="product")([model.output, model.output])
    model = keras.Model(model.input, LAYERS.Dense(2, "relu", name="after")(product))
    report = insens_tf.examine(model)
    assert [layer.name for layer in report.refused] == ["branch", "end", "product"]
    assert [layer.part for layer in report.refused] == ["refused"] * 3
    assert report.proofs == ()
    assert [layer.name for layer in report.layers if layer.part == "hidden layer"] == [
        "normalised",
        "inner/dense",
    ]
    for layer, words in zip(report.refused, ("'tanh'", "'softmax'", "multiplies activities")):
        assert words in (layer.refusal or "")
        assert str(layer.refusal) in str(report)
    with pytest.raises(
        insens_tf.UnreadableModelError, match=r"'branch': .*Nor can be read: 'end', 'product'; .*ex"
    ):
        insens_tf.SwitchedNetwork(model)


def test_a_model_that_cannot_be_read_as_a_whole_is_refused() -> None:
    with pytest.raises(insens_tf.UnreadableModelError, match="expected a built"):
        insens_tf.examine(keras.Sequential([LAYERS.Dense(2)]))


def test_a_ratio_is_said_to_be_one() -> None:
    report = insens_tf.examine(mixed("tanh"), smooth_activations="ratio")
    (layer,) = (layer for layer in report.layers if layer.name == "branch")
    assert (layer.part, layer.rule.startswith("by the ratio")) == ("hidden layer", True)
    assert report.proofs[0].largest_difference < 1e-6


@pytest.mark.parametrize("name", ["2CONV", "graph with a shared layer and a model inside"])
def test_a_use_of_a_layer_has_neurons_of_its_own(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    report = this.network.report()
    found = [(layer.name, layer.index, layer.neurons) for layer in report.layers]
    assert [one for one in found if one[1] is not None] == sorted(
        ((layer.name, layer.index, layer.neurons) for layer in this.network.layers),
        key=lambda one: [name for name, _, _ in found].index(one[0]),
    )


@varied_architectures
def test_the_model_is_what_it_was_read_as(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    for one in this.network.report(this.x).proofs:
        tolerance = 1e-12 if this.network.dtype == np.float64 else 1e-5
        assert one.largest_difference <= tolerance * max(1.0, one.largest_value)


@pytest.mark.parametrize(
    "last", slow_but(["softmax", "sigmoid", "tanh", "relu"], "softmax", "relu")
)
def test_a_difference_is_found(last: str) -> None:
    model, other = mixed("relu", last), mixed("relu", last)
    other.set_weights([1.5 * weight for weight in model.get_weights()])
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 5, 0).astype(np.float32)
    expected = np.abs(np.asarray(other(x)) - np.asarray(model(x))).max()
    found = proof(other, network._reading, x, "given", 2)
    assert expected > 1e-3
    assert found.largest_difference == pytest.approx(expected, rel=1e-5)
    assert found.count == 5
    same = network.report(x).proofs[1]
    assert (same.inputs, same.count) == ("given", 5)
    assert same.largest_difference < 1e-6
    assert same.largest_value == pytest.approx(np.abs(np.asarray(model(x))).max())


def test_inputs_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(batch, 7\), came \(2, 5\)"):
        insens_tf.SwitchedNetwork(build("dense")).report(np.zeros((2, 5)))
