"""Calls from within what TensorFlow and Keras put around a caller: nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from insens_tf import SwitchedNetwork
from tests.architectures import KERAS_2, build, images
from tests.conftest import halved, slow_but


@contextmanager
def recording_stopped() -> Iterator[None]:
    """A recording of the caller's, interrupted."""
    with tf.GradientTape() as tape, tape.stop_recording():
        yield


def forward_accumulator() -> AbstractContextManager[Any]:
    """A forward derivative of the caller's."""
    return tf.autodiff.ForwardAccumulator(tf.constant(1.0), tf.constant(1.0))


CONTEXTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "init_scope": tf.init_scope,
    "recording stopped": recording_stopped,
    "recording": tf.GradientTape,
    "forward accumulator": forward_accumulator,
    "device": lambda: tf.device("/CPU:0"),
    "name scope": lambda: tf.name_scope("mine"),
    "control dependencies": lambda: tf.control_dependencies([]),
    "strategy": lambda: tf.distribute.get_strategy().scope(),
}
if not KERAS_2:
    CONTEXTS["stateless scope"] = lambda: keras.StatelessScope()

CALLS: dict[str, Callable[[SwitchedNetwork, np.ndarray], Any]] = {
    "activity": lambda network, x: network.activity(x, 0),
    "project": lambda network, x: network.project(x, 0, [0]).weights,
    "project many": lambda network, x: network.project(x, 0).weights,
    "insens": lambda network, x: network.insens(x, -1),
    "insens by gradients": lambda network, x: network.insens(x, -1, way="gradient"),
    "estimate_insens": lambda network, x: network.estimate_insens(x, 0, probes=16).omega,
    "activation_frequency": lambda network, x: network.activation_frequency(x)[
        network.layers[0].name
    ],
}


@pytest.fixture(scope="module")
def expected() -> tuple[keras.Model, np.ndarray, dict[str, Any]]:
    """A model, inputs, and what every call gives outside of everything."""
    model = build("dense")
    x = images(model, 2)
    network = SwitchedNetwork(model)
    return model, x, {name: call(network, x) for name, call in CALLS.items()}


@pytest.mark.parametrize("context", slow_but(CONTEXTS, "init_scope", "recording"))
def test_first_use_within(context: str, expected: tuple[Any, np.ndarray, dict[str, Any]]) -> None:
    """There and afterwards, it gives what it gives elsewhere; maps were 0, for ever."""
    model, x, results = expected
    names = CALLS if context == "init_scope" else ("project", "insens")
    with CONTEXTS[context]():
        network = SwitchedNetwork(model)
        within = {name: CALLS[name](network, x) for name in names}
    for name, result in within.items():
        np.testing.assert_array_equal(result, results[name])
        np.testing.assert_array_equal(CALLS[name](network, x), results[name])


REFUSED: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "a function": lambda call: tf.function(call, autograph=False)(),
    "a function, converted": lambda call: tf.function(call)(),
    "a data set's map": lambda call: list(tf.data.Dataset.range(1).map(lambda _: call())),
    "a graph": lambda call: in_graph(call),
}


def in_graph(call: Callable[[], Any]) -> None:
    """Call where a graph of TensorFlow 1 is built, in a process that has eager mode on."""
    with tf.Graph().as_default():
        call()


@pytest.mark.parametrize("place", slow_but(REFUSED, *halved(REFUSED)[::2]))
def test_no_arrays_where_a_graph_is_built(
    place: str, expected: tuple[Any, np.ndarray, dict[str, Any]]
) -> None:
    """TensorFlow does not compute there; nor can inputs be symbolic."""
    model, x, results = expected
    network = SwitchedNetwork(model)
    calls: list[Callable[[], Any]] = [
        lambda: SwitchedNetwork(model),
        lambda: network.insens(tf.convert_to_tensor(x), 0),
        lambda: network.report(),
        lambda: network.plan(),
        *(lambda call=call: call(network, x) for call in CALLS.values()),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"outside of tf\.function.*pass its arrays on"):
            REFUSED[place](call)
    for name, result in results.items():
        np.testing.assert_array_equal(CALLS[name](network, x), result)


def test_within_init_scope_of_a_function(
    expected: tuple[Any, np.ndarray, dict[str, Any]],
) -> None:
    """There TensorFlow computes at once."""
    model, x, results = expected
    network = SwitchedNetwork(model)
    found = []

    @tf.function(autograph=False)
    def function() -> tf.Tensor:
        with tf.init_scope():
            found.append(network.insens(x, -1))
        return tf.constant(0)

    function()
    np.testing.assert_array_equal(found[0], results["insens"])
    np.testing.assert_array_equal(network.insens(x, -1), results["insens"])
