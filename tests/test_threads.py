"""Results are the same, bit for bit: in threads as in one after the other, and in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from insens_tf.execution import Compiled
from tests.conftest import with_keras_3

THREADS = 4

# The networks that are used by one thread at a time are traced once.
pytestmark = pytest.mark.xdist_group("threads")


def small_model(seed: int) -> keras.Model:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(7, activation="relu", name="dense"),
            layers.Dense(3, activation="softmax", name="logits"),
        ]
    )
    generator = np.random.default_rng(seed)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


@cache
def alone(seed: int) -> insens_tf.SwitchedNetwork:
    """A network that is used by one thread at a time."""
    return insens_tf.SwitchedNetwork(small_model(seed))


def images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(9, 8, 8, 1)).astype(np.float32)


def everything(network: insens_tf.SwitchedNetwork, x: np.ndarray) -> dict[str, np.ndarray]:
    """All that a network computes of some inputs, by name."""
    frequency = network.activation_frequency(x, progress=False)
    maps = network.insens(x, ["conv", "dense"], frequency, progress=False)
    active = network.insens(x, "dense", state="active", progress=False)
    estimate = network.estimate_insens(x, "dense", frequency, probes=16, progress=False)
    projection = network.project(x, "dense", [1, 5])
    return {
        "activity": network.activity(x, "logits"),
        "frequency": frequency["conv"],
        "insens of conv": maps["conv"],
        "insens of dense": maps["dense"],
        "of active neurons": active,
        "estimate": estimate.omega,
        "weights": projection.weights,
        "centre": projection.centre,
    }


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all works at the same moment, each in a thread of its own."""
    barrier = threading.Barrier(len(works))

    def started(work: Callable[[], Any]) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(started, works))


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, values in expected.items():
        assert np.array_equal(found[name], values, equal_nan=True), name


@pytest.mark.parametrize("networks", [1, 2])
@pytest.mark.slow
def test_threads_find_what_one_after_the_other_does(networks: int) -> None:
    inputs = [images(seed) for seed in range(THREADS)]
    expected = [everything(alone(i % networks), x) for i, x in enumerate(inputs)]
    # Fresh ones, so that the threads also trace what they need.
    shared = [insens_tf.SwitchedNetwork(small_model(seed)) for seed in range(networks)]

    def work(number: int) -> Callable[[], dict[str, np.ndarray]]:
        return lambda: everything(shared[number % networks], inputs[number])

    for found, serial in zip(at_once([work(i) for i in range(THREADS)]), expected, strict=True):
        assert_same(found, serial)


@pytest.mark.slow
def test_threads_read_one_model_into_networks_of_their_own() -> None:
    model, x = small_model(0), images(0)
    expected = everything(alone(0), x)
    works = [lambda: everything(insens_tf.SwitchedNetwork(model), x)] * 2
    for found in at_once(works):
        assert_same(found, expected)


def test_what_threads_share_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = insens_tf.SwitchedNetwork(small_model(0)), images(0)
    made: list[Compiled] = []
    traced: list[int] = []
    original = Compiled.__init__

    def counting(self: Compiled, function: Callable[..., Any], signature: Any) -> None:
        def counted(*arguments: Any) -> Any:
            traced.append(id(self))
            return function(*arguments)

        made.append(self)
        original(self, counted, signature)

    monkeypatch.setattr(Compiled, "__init__", counting)
    at_once([lambda: network.activity(x, "dense")] * THREADS)
    assert len(made) == len(traced) == 1


PROGRAM = """
import sys
from tests.test_threads import digest
print(digest())
"""


def digest() -> str:
    """What stands for all results, to the last bit."""
    found = everything(alone(1), images(4))
    content = b"".join(np.ascontiguousarray(found[name]).tobytes() for name in sorted(found))
    return hashlib.sha256(content).hexdigest()


@with_keras_3
@pytest.mark.slow
def test_every_process_finds_the_same_bytes() -> None:
    root = Path(insens_tf.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == digest()
