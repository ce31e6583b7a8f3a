"""The two commands of the Makefile: which Python they take, and what they run with it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make on the PATH")


class Machine:
    """A PATH with nothing on it but Pythons that say which version they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, version: str) -> None:
        python = self.folder / name
        python.write_text(f"#!/bin/sh\necho {version}\n")
        python.chmod(0o755)

    def plans(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What `make` would run, one command a line."""
        assert MAKE is not None
        return subprocess.run(
            [MAKE, "--dry-run", *arguments],
            cwd=ROOT,
            env={"PATH": str(self.folder)},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("goal", ["demo", "test"])
def test_whatever_python3_is(goal: str, version: str, machine: Machine) -> None:
    machine.add("python3", version)
    plan = machine.plans(goal)
    assert plan.returncode == 0
    assert plan.stdout.splitlines()[-1].startswith(f".venv/{version}/bin/")
    assert "taking" not in plan.stdout


def test_another_python_where_python3_is_too_old(machine: Machine) -> None:
    machine.add("python3", "3.9")
    machine.add("python3.10", "3.10")
    machine.add("python3.12", "3.12")
    plan = machine.plans("test")
    assert plan.returncode == 0
    first, *_, last = plan.stdout.splitlines()
    assert first == "python3 is none of Python 3.10 3.11 3.12 3.13; taking python3.12."
    assert last.startswith(".venv/3.12/bin/python -m pytest")


def test_a_python_that_is_only_a_shim_is_none(machine: Machine) -> None:
    shim = machine.folder / "python3.13"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    machine.add("python3.11", "3.11")
    plan = machine.plans("demo")
    assert "taking python3.11." in plan.stdout
    assert ".venv/3.11/bin/insens-tf demo" in plan.stdout


@pytest.mark.parametrize("python3", ["3.9", "3.14", None])
def test_no_python_that_will_do(python3: str | None, machine: Machine) -> None:
    if python3 is not None:
        machine.add("python3", python3)
    plan = machine.plans("demo")
    assert "insens_tf needs one of Python 3.10 3.11 3.12 3.13" in plan.stdout
    assert "no python3 or python3.N on the PATH is one" in plan.stdout
    assert "exit 1" in plan.stdout


def test_a_named_python_is_taken_or_refused(machine: Machine) -> None:
    machine.add("python3", "3.11")
    machine.add("python3.13", "3.13")
    machine.add("python3.14", "3.14")
    named = machine.plans("test", "PYTHON=python3.13")
    assert named.stdout.splitlines()[-1].startswith(".venv/3.13/bin/python -m pytest")
    assert "python3.14 is not one" in machine.plans("test", "PYTHON=python3.14").stdout


def test_the_slow_tests_are_those_that_the_fast_suite_leaves_out(machine: Machine) -> None:
    machine.add("python3", "3.11")
    fast, slow = (machine.plans(goal).stdout.splitlines()[-1] for goal in ("test", "test-slow"))
    assert fast.endswith("-m 'not slow'")
    assert slow == fast.replace("'not slow'", "slow")


def test_ci_runs_everything_with_both_pythons() -> None:
    """By the recipe's text: a dry run of it would start make again, in other environments."""
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test-all"
    makefile = (ROOT / "Makefile").read_text()
    assert "\nMATRIX ?= 3.11 3.13\n" in makefile
    recipe = makefile.split("\ntest-all:")[1].split("\n\n")[0]
    assert "$(MAKE) check test TESTS= PYTHON=python$(version)" in recipe


def test_without_a_selection_all_tests_run(machine: Machine) -> None:
    machine.add("python3", "3.11")
    fast, every = (machine.plans("test", *more).stdout for more in ((), ("TESTS=",)))
    assert (
        every.splitlines()[-1].strip()
        == fast.splitlines()[-1].removesuffix("-m 'not slow'").strip()
    )


def test_a_python_of_the_matrix_that_is_missing_is_missed_at_once(machine: Machine) -> None:
    machine.add("python3.11", "3.11")
    plan = machine.plans("test-all")
    assert plan.returncode == 2
    assert "make test-all needs python3.13, and there is none on the PATH" in plan.stderr
    assert "pytest" not in plan.stdout
