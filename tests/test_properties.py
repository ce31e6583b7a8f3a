"""What holds of every network and input, of random ones that hypothesis draws and shrinks."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from tensorflow import keras

import insens_tf
from insens_tf.row_norms import WAYS
from tests.architectures import KERAS_2, randomise
from tests.conftest import slow
from tests.oracle import Oracle, assert_agrees
from tests.properties import Disagreement, Undecided, check
from tests.random_models import random_model

# A model takes about a second, most of it TensorFlow's tracing; the fuzz run tries thousands.
settings.register_profile(
    "models",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=6,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
MODELS = settings.get_profile("models")

# Keras 3 means well: a softmax of one output is always 1.
pytestmark = pytest.mark.filterwarnings("ignore:.*You are using a softmax over axis")

sources = st.randoms(use_true_random=False)


def agrees(random: Random) -> None:
    """Of any model: Keras, the oracle and the identities of Eq. 1 to 8 agree with the network."""
    try:
        check(random_model(random), thorough=False)
    except Undecided:
        assume(False)
    finally:
        keras.backend.clear_session()


@pytest.mark.slow
@seed(2 if KERAS_2 else 3)
@settings(MODELS, derandomize=False, max_examples=20)
@given(sources)
def test_random_models(random: Random) -> None:
    """Each Keras tries others."""
    agrees(random)


@pytest.mark.slow
def test_random_models_in_everything() -> None:
    """And also every way to the row norms, other budgets, frequency and estimate."""
    compared: set[str] = set()

    @settings(MODELS, max_examples=3)
    @given(sources)
    def in_everything(random: Random) -> None:
        try:
            compared.update(check(random_model(random, largest_depth=2), thorough=True))
        except Undecided:
            assume(False)
        finally:
            keras.backend.clear_session()

    in_everything()
    # Of the dense layers that are drawn, few have more units than open ones before them.
    compared.update(check(random_model(Random(10), largest_depth=2), thorough=True))
    assert compared == set(WAYS)


@pytest.mark.parametrize("number", range(3))
def test_a_wrong_map_is_found(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What checks all this is no mere formality: one map that is a little off, and it says so."""
    right = insens_tf.SwitchedNetwork.insens

    def wrong(self: insens_tf.SwitchedNetwork, *arguments: object, **options: object) -> object:
        omega = right(self, *arguments, **options)  # type: ignore[call-overload]
        return omega + 1e-2 * (np.abs(omega).max() + 1)

    monkeypatch.setattr(insens_tf.SwitchedNetwork, "insens", wrong)
    with pytest.raises(Disagreement, match="insens of"):
        check(random_model(Random(number)), thorough=False)


# --- what the fuzz run has found ------------------------------------------------------------------


@pytest.mark.parametrize(
    "between",
    [
        keras.layers.BatchNormalization(dtype="float64"),
        slow(keras.layers.LeakyReLU(0.5, dtype="float64")),
        slow(keras.layers.Rescaling(0.5, 0.25, dtype="float64")),
    ],
    ids=["batch normalisation", "leaky ReLU", "rescaling"],
)
def test_crops_after_a_gate_and_something_else(between: keras.layers.Layer) -> None:
    """A unit that a ReLU stopped was looked for behind the layer after it, and another taken."""
    model = keras.Sequential(
        [
            keras.Input((12,), dtype="float64"),
            keras.layers.Dense(7, activation="relu", dtype="float64"),
            between,
            keras.layers.Dense(6, activation="relu", dtype="float64"),
            keras.layers.Dense(2, dtype="float64"),
        ]
    )
    randomise(model, 1)
    network = insens_tf.SwitchedNetwork(model)
    x = np.random.default_rng(0).normal(size=(3, 12))
    expected = Oracle(model).references(x)[len(network.layers) - 1].insens()
    for way in ("crops", "backward", "probes", "gradient"):
        assert_agrees(network.insens(x, network.layers[-1], way=way), expected)


@pytest.mark.parametrize("kind", ["MaxPooling1D", "MaxPooling2D", "MaxPooling3D"])
def test_pooling_of_single_values(kind: str) -> None:
    """Compiled, TensorFlow's second derivative of such a pooling is 0: it is not to be used."""
    axes = int(kind[-2])
    model = keras.Sequential(
        [
            keras.Input((*[3] * axes, 2), dtype="float32"),
            getattr(keras.layers, kind)(1, 1, dtype="float32"),
            keras.layers.ReLU(dtype="float32"),
            keras.layers.Flatten(dtype="float32"),
            keras.layers.Dense(2, dtype="float32"),
        ]
    )
    network = insens_tf.SwitchedNetwork(model)
    x = np.random.default_rng(0).normal(size=(2, *network.input_shape)).astype(np.float32)
    # Every neuron is an input value: its centre is 0 there, and x - c what it is.
    for way in ("probes", "gradient"):
        assert_agrees(network.insens(x, 0, state="all", way=way), x, 1e-6)
