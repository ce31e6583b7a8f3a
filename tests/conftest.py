"""Set-up and fixtures for all tests."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# In the background a shell has processes ignore Ctrl-C, and theirs too; some tests are about it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

with warnings.catch_warnings():
    # Warnings are errors in the tests, but TensorFlow's own at import are not ours to repair.
    warnings.simplefilter("ignore")
    import tensorflow as tf
    from tensorflow import keras

    import insens_tf

from insens_tf import cli, demo, progress
from insens_tf.innvestigate_contract import WHY_MISSING
from tests.architectures import KERAS_2, NAMES, VARIED, build, images, randomise
from tests.demonstration import small_network
from tests.oracle import Oracle, Reference

INPUTS = 3


def slow(*parameters: Any) -> Any:
    """One set of a test's parameters, for the slow suite."""
    return pytest.param(*parameters, marks=pytest.mark.slow)


def halved(values: Iterable[Any]) -> list[Any]:
    """Every second value: the half that this Keras tries, or tries in its fast suite.

    The values, and their order, are to be the same with either Keras.
    """
    return list(values)[int(KERAS_2) :: 2]


def slow_but(values: Iterable[Any], *fast: Any) -> list[Any]:
    """All values of a test's one parameter, slow but for those that are given."""
    return [value if value in fast else slow(value) for value in values]


def some_fast(values: Iterable[Any], fast: Collection[Any]) -> list[Any]:
    """Parameters of a test: what is fast, and half of the others, which are slow.

    The tests of what is read, of projections and of Insens try all architectures in either Keras.
    What further ones bring to light elsewhere is in our own code, the same in either, so that each
    Keras tries its half of them.
    """
    mine = halved(value for value in values if value not in fast)
    return [
        value if value in fast else slow(*(value if isinstance(value, tuple) else (value,)))
        for value in values
        if value in fast or value in mine
    ]


every_architecture = pytest.mark.parametrize("name", slow_but(NAMES, *VARIED))
"""All of them, the varied ones in the fast suite."""

varied_architectures = pytest.mark.parametrize("name", some_fast(NAMES, VARIED))
"""Many of them, a few in the fast suite: for what follows from what each is tested for."""

every_seed = pytest.mark.parametrize(
    ("name", "seed"),
    [(name, 0) if name in VARIED else slow(name, 0) for name in NAMES]
    + [slow(name, 1) for name in VARIED]
    # What other weights bring to light is the same in either Keras, so that each tries its half.
    + [slow(name, 2) for name in halved(NAMES)],
)
"""All architectures with the weights of one to three seeds, the varied ones' first fast."""

with_keras_3 = pytest.mark.skipif(KERAS_2, reason="the same in either Keras; Keras 3 tries it")
with_keras_2 = pytest.mark.skipif(not KERAS_2, reason="the same in either Keras; Keras 2 tries it")

needs_eager_mode_off = pytest.mark.skipif(
    not KERAS_2, reason="Keras 3 does not work with eager mode off"
)

needs_innvestigate = pytest.mark.skipif(
    WHY_MISSING is not None, reason=f"iNNvestigate cannot be imported here: {WHY_MISSING}"
)

# Where iNNvestigate cannot be imported there is nothing to hold against it.
collect_ignore_glob = (
    []
    if WHY_MISSING is None
    else ["test_analyzer_in_innvestigate.py", "test_baselines*.py", "test_innvestigate_page.py"]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all tests of an architecture run in one worker, which then traces its network once."""
    for item in items:
        if not isinstance(item, pytest.Function) or "case" not in item.fixturenames:
            continue
        name = item.callspec.params.get("name") if hasattr(item, "callspec") else None
        if name in NAMES:
            item.add_marker(pytest.mark.xdist_group(name))


def pytest_report_header() -> str:
    """What the tests run with, and what is therefore not collected."""
    left_out = f"not to be imported ({WHY_MISSING}), its tests left out" if WHY_MISSING else "there"
    return f"TensorFlow {tf.__version__}, Keras {2 if KERAS_2 else 3}, iNNvestigate {left_out}"


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


@pytest.fixture(scope="session")
def digit_network() -> insens_tf.SwitchedNetwork:
    """A 2CONV of few neurons for digits; not trained."""
    return insens_tf.SwitchedNetwork(small_network())


@pytest.fixture(scope="session")
def two_digits() -> np.ndarray:
    """Two digits, (2, 28, 28, 1), in 0..1."""
    return demo.digits().x_test[:2]


class Outcome(NamedTuple):
    """How a command ended that was run inside this process."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run a command inside this process, and leave the process as it was."""
    handler = signal.getsignal(signal.SIGTERM)
    # What is printed is not to depend on how fast the machine is.
    monkeypatch.setattr(progress, "PATIENCE_IN_SECONDS", 3600.0)

    def run_here(*arguments: str) -> Outcome:
        capfd.readouterr()
        with warnings.catch_warnings():
            code = cli.main(arguments)
        return Outcome(code, *capfd.readouterr())

    yield run_here
    signal.signal(signal.SIGTERM, handler)
