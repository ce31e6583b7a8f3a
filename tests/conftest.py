"""Set-up and fixtures for all tests."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# In the background a shell has processes ignore Ctrl-C, and theirs too; some tests are about it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

with warnings.catch_warnings():
    # Warnings are errors in the tests, but TensorFlow's own at import are not ours to repair.
    warnings.simplefilter("ignore")
    from tensorflow import keras

    import insens_tf

from tests.architectures import build, images, randomise
from tests.oracle import Oracle, Reference

INPUTS = 3


class Case(NamedTuple):
    """A model, the library's network of it, inputs, and what the oracle says.

    ``references`` has an entry for each hidden layer, in order, and last the logits.
    """

    model: keras.Model
    network: insens_tf.SwitchedNetwork
    x: np.ndarray
    references: list[Reference]

    @property
    def hidden(self) -> list[tuple[insens_tf.HiddenLayer, Reference]]:
        """Each hidden layer of the library with what the oracle says about it."""
        return list(zip(self.network.layers, self.references[:-1], strict=True))


@cache
def _network(name: str) -> tuple[keras.Model, insens_tf.SwitchedNetwork]:
    model = build(name)
    return model, insens_tf.SwitchedNetwork(model)


@cache
def _inputs_and_references(name: str, seed: int) -> tuple[np.ndarray, list[Reference]]:
    model, _ = _network(name)
    randomise(model, seed)
    x = images(model, INPUTS, seed)
    return x, Oracle(model).references(x)


CaseOf = Callable[[str, int], Case]
"""What the fixture `case` is: of an architecture's name and a seed."""


@pytest.fixture(scope="session")
def case() -> CaseOf:
    """An architecture with the weights of a seed.

    The model and its network are made once for all tests and seeds, because tracing them takes
    longer than the tests do; ask for one seed of an architecture at a time.
    """

    def of(name: str, seed: int) -> Case:
        x, references = _inputs_and_references(name, seed)
        model, network = _network(name)
        randomise(model, seed)
        return Case(model, network, x, references)

    return of
