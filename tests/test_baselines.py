"""The baselines' maps, against those of iNNvestigate alone in a process with eager mode off."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import innvestigate
import numpy as np
import pytest

from insens_tf.baselines import METHODS, create_baseline
from tests.baselines_cases import (
    ARGUMENTS,
    CASES,
    CASES_WITH_EAGER_MODE_OFF,
    DETERMINISTIC,
    FAST,
    MODELS,
    ONE_OF_EACH_KIND,
    SELECTIONS,
    Case,
    build,
    images,
)
from tests.baselines_reference import file_name

# Those that ask one reference process.
pytestmark = pytest.mark.xdist_group("baselines")

TOLERANCE = 1e-6
"""Of the largest absolute value of the reference map."""


class Reference:
    """The reference process, at work on some cases while the tests are."""

    def __init__(self, directory: Path, cases: Iterable[Case]) -> None:
        self.directory = directory
        self.log = directory / "log.txt"
        command = [sys.executable, "-W", "ignore", "-m", "tests.baselines_reference"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, str(directory), *(file_name(case) for case in cases)],
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[1],
            )

    def result(self, name: str) -> dict[str, np.ndarray]:
        """Wait for a case's file and return what is in it."""
        path = self.directory / name
        while not path.exists():
            ended = self.process.poll() is not None
            if ended and not path.exists():
                pytest.fail(f"the reference process ended early:\n{self.log.read_text()}")
            time.sleep(0.05)
        with np.load(path) as file:
            return dict(file)


@pytest.fixture(scope="module")
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reference]:
    # Of the tests that are run: without the slow ones these are few.
    cases: set[Any] = {
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and "case" in item.fixturenames
    }
    started = Reference(tmp_path_factory.mktemp("baselines"), cases)
    yield started
    started.process.kill()
    started.process.wait()


def parameters(cases: Iterable[Case]) -> list[Any]:
    """Cases as parameters of a test, by their names."""
    return [
        pytest.param(case, id="-".join(case), marks=() if case in FAST else pytest.mark.slow)
        for case in cases
    ]


def assert_equal_maps(maps: np.ndarray, expected: np.ndarray) -> None:
    assert maps.shape == expected.shape
    assert maps.dtype == np.float32
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(maps, expected, rtol=0, atol=TOLERANCE * scale)


# Pitfalls that the cases happen to have: seven steps of integrated gradients, negative outputs.
@pytest.mark.filterwarnings("ignore:'(integrated_gradients|deep_taylor)'")
@pytest.mark.parametrize("case", parameters(CASES))
def test_equal_to_a_process_with_eager_mode_off(case: Case, reference: Reference) -> None:
    name, analyzer, mode = case
    model = build(name)
    before = model.get_weights()
    arguments = {"neuron_selection_mode": mode, **ARGUMENTS.get(analyzer, {})}
    maps, refusal = None, ""
    try:
        with create_baseline(analyzer, model, **arguments) as baseline:
            maps = baseline.analyze(images(name, model), **SELECTIONS.get(mode, {}))
    except innvestigate.NotAnalyzeableModelException as error:
        refusal = str(error)
    expected = reference.result(file_name(case))
    if "error" not in expected:
        assert not refusal
        assert maps is not None
        assert_equal_maps(maps, expected["map"])
    else:
        kind, _, message = str(expected["error"]).partition(": ")
        assert f"{analyzer!r} cannot analyse model {model.name!r}" in refusal
        # What iNNvestigate says, and the layers that it is about where it says nothing.
        assert message.partition("\n")[0] in refusal
        assert kind == "TypeError" or "'leaky_re_lu" in refusal
    for weights, weights_before in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, weights_before)


@pytest.mark.parametrize("case", parameters(CASES_WITH_EAGER_MODE_OFF))
def test_works_in_a_process_with_eager_mode_off(case: Case, reference: Reference) -> None:
    expected = reference.result(file_name(case))
    result = reference.result(f"ours-{file_name(case)}")
    assert "error" not in result, result["error"]
    assert_equal_maps(result["map"], expected["map"])


def test_every_kind_of_analyzer_model_and_mode_is_tested_fast() -> None:
    assert set(CASES) >= FAST
    models, names, modes = map(set, zip(*FAST, strict=True))
    assert models == set(MODELS)
    assert modes == {"max_activation", *SELECTIONS}
    assert names >= set(ONE_OF_EACH_KIND)
    assert FAST & set(CASES_WITH_EAGER_MODE_OFF)


def test_every_registered_name_is_described_and_tested() -> None:
    ours = ("insens", "switched.")
    registered = {name for name in innvestigate.analyzer.analyzers if not name.startswith(ours)}
    assert set(METHODS) == registered
    assert {*DETERMINISTIC, "random", "smoothgrad"} == registered
    for method in METHODS.values():
        assert method.description
        assert "\n" not in method.description
