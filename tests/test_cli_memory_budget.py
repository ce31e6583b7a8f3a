"""`--memory-budget` of the commands that compute maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tensorflow import keras

from insens_tf.cli import command_line
from insens_tf.network import SwitchedNetwork
from tests.conftest import slow, slow_but

COMMANDS = {
    "project": ["--layer", "hidden", "--neuron", "0"],
    "analyze": [],
    "compare": ["--methods", "insens"],
    "sanity": ["--methods", "insens"],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("memory_budget")
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="relu", name="hidden"),
            keras.layers.Dense(2, name="outputs"),
        ]
    )
    model.save(folder / "model.keras")
    np.save(folder / "images.npy", np.random.default_rng(0).random((3, 4, 4, 1)))
    return [str(folder / "model.keras"), str(folder / "images.npy")]


@pytest.mark.parametrize(("option", "mebibytes"), [slow([], 512), (["--memory-budget", "64"], 64)])
@pytest.mark.parametrize("command", slow_but(COMMANDS, "project", "analyze"))
def test_the_network_has_the_budget(
    command: str,
    option: list[str],
    mebibytes: int,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budgets: list[int] = []
    made = SwitchedNetwork.__init__

    def noted(self: SwitchedNetwork, *arguments: Any, **settings: Any) -> None:
        made(self, *arguments, **settings)
        budgets.append(self.memory_budget)

    monkeypatch.setattr(SwitchedNetwork, "__init__", noted)
    out = ["--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command_line, [command, *files, *COMMANDS[command], *option, *out])
    assert result.exit_code == 0, result.output
    assert set(budgets) == {mebibytes * 2**20}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("budget", ["0", "-1", "1.5", "much"])
def test_no_other_budget(command: str, budget: str, files: list[str]) -> None:
    result = CliRunner().invoke(command_line, [command, *files, "--memory-budget", budget])
    assert result.exit_code == 2
    assert "--memory-budget" in result.output


@pytest.mark.parametrize("command", ["analyze", "compare", "sanity"])
def test_a_budget_that_is_too_small_is_told_of_in_the_options_words(
    command: str, files: list[str], tmp_path: Path, call: Any
) -> None:
    """`analyze` once swallowed all that the library warns of."""
    out = ["--out", str(tmp_path / "out")]
    done = call(command, *files, *COMMANDS[command], "--memory-budget", "4", *out)
    assert done.code == 0
    (warning,) = [line for line in done.err.splitlines() if "warning" in line]
    assert warning.startswith("insens-tf: warning: Insens takes about")
    assert "Give a larger --memory-budget" in warning
    assert "SwitchedNetwork" not in warning
