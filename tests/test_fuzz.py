"""The fuzz command: it runs, goes on where it stopped, and survives what it runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from random import Random

import pytest

from tests import fuzz
from tests.malformed import MALFORMED
from tests.properties import Disagreement


def test_a_run_and_its_continuation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.jsonl"
    options = ["--seed", "3", "--out", str(out)]
    assert fuzz.main(["--models", "1", "--malformed", "1", *options]) == 0
    printed = capsys.readouterr().out
    assert "1 models: 1 agrees" in printed
    assert "1 malformed: 1 our error" in printed
    # What is cut short, as by an interruption, runs again; what is there does not.
    first, second = out.read_text().splitlines()
    out.write_text(first + "\n" + second[:20])
    assert fuzz.main(["--models", "1", "--malformed", "1", *options]) == 0
    assert [line for line in out.read_text().splitlines() if line == first] == [first]
    assert "1 malformed: 1 our error" in capsys.readouterr().out


def test_one_case_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--case", "malformed:5"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["case"] == "malformed:5"
    assert result["outcome"] == "our error"


def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(random: Random, folder: Path) -> None:
        raise Disagreement("one is two")

    def fails(random: Random, folder: Path) -> None:
        raise KeyError("nobody foresaw this")

    def foreign(random: Random, folder: Path) -> None:
        int("x")

    for number, (function, outcome) in enumerate(
        [(differs, "wrong"), (fails, "foreign exception"), (foreign, "foreign exception")]
    ):
        monkeypatch.setitem(MALFORMED, list(MALFORMED)[number], function)
        result = fuzz.run(f"malformed:{number}")
        assert result["outcome"] == outcome
        assert f"malformed:{number} {outcome}" in fuzz.summary([result])


def crashes_and_hangs(connection: fuzz.Connection, names: list[str]) -> None:
    for name in names:
        if name == "models:1":
            os.abort()
        if name == "models:2":
            time.sleep(60)
        connection.send({"case": name, "outcome": "agrees", "kind": ""})


def test_crashes_and_hangs_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the cases after them still run."""
    monkeypatch.setattr(fuzz, "_work", crashes_and_hangs)
    results = list(fuzz.run_all([f"models:{number}" for number in range(4)], seconds=10))
    assert [one["outcome"] for one in results] == ["agrees", "crash", "hang", "agrees"]
    printed = fuzz.summary(results)
    assert "models:1 crash: exit code -6" in printed
    assert "models:2 hang: 10 seconds" in printed
