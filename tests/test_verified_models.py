"""The table of verified models: what it says of models, and that the page has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorflow import keras

from benchmarks import verified_models
from benchmarks.verified_models import APPLICATIONS, complete, filled, verified
from tests.architectures import NAMES, build
from tests.conftest import with_keras_2, with_keras_3

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads((DOCS / "verified_models.json").read_text("utf-8"))


def test_the_page_has_the_results(record: dict[str, Any]) -> None:
    page = (DOCS / "verified_models.md").read_text("utf-8")
    assert filled(page, record) == page


@with_keras_3
def test_every_model_is_there(record: dict[str, Any]) -> None:
    assert {row["model"] for row in record["applications"]} == set(APPLICATIONS)
    assert {row["model"] for row in record["kinds"]} == set(NAMES)
    for row in (*record["applications"], *record["kinds"]):
        if "refused" in row:
            assert row["layer"] in row["reason"]
        else:
            assert row["largest_difference"] < 1e-4 * max(1, row["largest_value"])


@with_keras_3
def test_a_model_that_is_read() -> None:
    row = verified("dense", build("dense", dtype="float32"))
    assert row.pop("largest_difference") < 1e-5
    assert 0 < row.pop("largest_value") <= 1
    assert row == {"model": "dense", "input": "7", "hidden": 2, "neurons": 9 + 6, "inputs": 8}


@with_keras_2
def test_a_model_that_is_refused() -> None:
    layers = [keras.layers.Dense(2, "tanh", name="bent"), keras.layers.Dense(1)]
    row = verified("bent", keras.Sequential([keras.Input((3,)), *layers]))
    assert "bent" in row.pop("reason")
    assert row == {"model": "bent", "input": "3", "layers": 2, "refused": 1, "layer": "bent"}


def test_what_is_there_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_models, "verified", lambda name, model: {"model": name + model})
    monkeypatch.setattr(keras.backend, "clear_session", lambda: None)
    record: dict[str, Any] = {"kinds": [{"model": "a"}]}

    added = list(complete(record, {"kinds": {"a": lambda: "!", "b": lambda: ""}}))

    assert added == ["b"]
    assert record == {"kinds": [{"model": "a"}, {"model": "b"}]}
