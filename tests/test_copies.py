"""Copies of networks, networks in other processes, and how much a network keeps."""

from __future__ import annotations

import copy
import gc
import itertools
import multiprocessing
import os
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from insens_tf import SwitchedNetwork
from insens_tf.read_network import KEPT, KEPT_A_LAYER
from tests.architectures import build, images


class Mine(SwitchedNetwork):
    """A user's own kind."""


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("copy", SwitchedNetwork),
        ("deepcopy", SwitchedNetwork),
        ("pickle", SwitchedNetwork),
        ("pickle", Mine),
    ],
)
def test_copies(way: str, kind: type[SwitchedNetwork]) -> None:
    model = build("graph with a shared layer and a model inside")
    network = kind(model, memory_budget=2**28, smooth_activations="ratio", prove=False)
    x = images(model, 2)
    before = network.project(x, 0).weights
    copied: Any = {
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
        "pickle": lambda network: pickle.loads(pickle.dumps(network)),
    }[way](network)
    assert type(copied) is kind
    assert (copied.model is model) == (way == "copy")
    assert copied.layers == network.layers
    assert (copied.memory_budget, copied.smooth_activations) == (2**28, "ratio")
    np.testing.assert_array_equal(copied.project(x, network.layers[0]).weights, before)
    for weight in copied.model.weights:
        weight.assign(np.zeros(weight.shape))
    assert network.project(x, 0).weights.any() == (way != "copy")


@pytest.mark.slow
def test_in_a_process_of_its_own() -> None:
    """A new process begins by importing TensorFlow."""
    network = SwitchedNetwork(build("dense"))
    x = images(network.model, 2)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(network.insens, (x, 0))
    np.testing.assert_array_equal(found, network.insens(x, 0))


def test_in_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's functions hang there, for ever."""
    network = SwitchedNetwork(build("dense"))
    x = images(network.model, 2)
    network.insens(x, 0)
    here = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: here + 1)
    with pytest.raises(RuntimeError, match=r"forked.*'spawn'"):
        network.insens(x, 0)
    monkeypatch.undo()
    network.insens(x, 0)


def many_layers() -> SwitchedNetwork:
    """A network of six hidden layers."""
    hidden = [keras.layers.Dense(3, "relu") for _ in range(6)]
    return SwitchedNetwork(keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(2)]))


def test_what_is_compiled_does_not_grow_for_ever() -> None:
    network = many_layers()
    x = np.zeros((1, 4))
    limit = KEPT + KEPT_A_LAYER * len(network.layers)
    combinations = [
        list(one) for count in (1, 2, 3, 4) for one in itertools.combinations(range(6), count)
    ]
    first = weakref.ref(
        network.plan(layer=combinations[0]) and next(iter(network._compiled.values()))
    )
    for layers in combinations:
        network.plan(layer=layers)
        network.plan(layer=layers, state="all", way="gradient")
        assert len(network._compiled) <= limit
    gc.collect()
    assert first() is None
    assert len(network._compiled) == limit
    network.activity(x, [0, 1])
    kept = list(network._compiled)
    network.activity(x, [0, 1])
    assert list(network._compiled) == kept


def test_layers_in_turn_are_compiled_once() -> None:
    network = many_layers()
    x = np.zeros((1, 4))
    found: dict[Any, Any] = {}
    for _ in range(2):
        for layer in network.layers[:3]:
            network.activity(x, layer)
            network.project(x, layer, 0)
            network.insens(x, layer)
        if not found:
            found = dict(network._compiled)
    assert all(network._compiled[key] is value for key, value in found.items())


MASKED = np.ma.masked_less(np.array([[1.0, -1.0, 2.0, 3.0]]), 0)


def test_masks() -> None:
    """NumPy has numbers under a mask; they were taken for the inputs'."""
    network = many_layers()
    neurons, shares = np.ma.masked_less([0, 1], 1), np.ma.masked_less([0.0, 0.5, 1.0], 0.2)
    calls: dict[str, Any] = {
        "x": lambda: network.insens(MASKED, 0),
        "neurons": lambda: network.project(MASKED.data, 0, neurons),
        "frequency": lambda: network.insens(MASKED.data, 0, shares),
    }
    for argument, call in calls.items():
        with pytest.raises(ValueError, match=rf"{argument}: expected numbers.*1 masked el.*filled"):
            call()
    with pytest.raises(ValueError, match=r"x: expected numbers.*masked"):
        network.activity([MASKED[0]], 0)
    unmasked: np.ndarray = np.ma.masked_array(MASKED.data, mask=False)
    np.testing.assert_array_equal(network.insens(unmasked, 0), network.insens(MASKED.data, 0))
    assert insens_tf.examine(network.model, unmasked).proofs
