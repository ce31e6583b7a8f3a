"""The fuzz command: it runs, goes on where it stopped, and survives what it runs."""

from __future__ import annotations

import json
import os
import threading
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from random import Random

import pytest

from tests import fuzz

# Nothing here imports TensorFlow, which the workers that crash and hang would have to wait for.


@pytest.mark.slow
def test_a_run_and_its_continuation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.jsonl"
    options = ["--seed", "2", "--out", str(out)]
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
    from tests.malformed import MALFORMED
    from tests.properties import Disagreement

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


def crashes_and_hangs(hanging: Path, connection: fuzz.Connection, names: list[str]) -> None:
    for name in names:
        if name == "models:1":
            os.abort()
        if name == "models:2":
            hanging.touch()
            threading.Event().wait()
        connection.send({"case": name, "outcome": "agrees", "kind": ""})


def test_crashes_and_hangs_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And the cases after them still run, on a machine of any speed."""
    hanging = tmp_path / "hanging"
    waited: list[float] = []

    def heard_from(connection: fuzz.Connection, seconds: float) -> bool:
        """Give a worker the time it needs until it says that it hangs."""
        waited.append(seconds)
        while not connection.poll(0.01):
            if hanging.exists():
                hanging.unlink()
                return False
        return True

    monkeypatch.setattr(fuzz, "_heard_from", heard_from)
    monkeypatch.setattr(fuzz, "_work", partial(crashes_and_hangs, hanging))
    results = list(fuzz.run_all([f"models:{number}" for number in range(4)], seconds=10))
    assert [one["outcome"] for one in results] == ["agrees", "crash", "hang", "agrees"]
    assert waited == [10] * 4
    printed = fuzz.summary(results)
    assert "models:1 crash: exit code -6" in printed
    assert "models:2 hang: 10 seconds" in printed


def test_a_worker_is_waited_for_as_long_as_it_may_take() -> None:
    mine, workers = Pipe()
    with mine:
        assert not fuzz._heard_from(mine, 0.01)
        workers.send("a result")
        assert fuzz._heard_from(mine, 0.01)
        assert mine.recv() == "a result"
        workers.close()
        # Its end is news too.
        assert fuzz._heard_from(mine, 0.01)
