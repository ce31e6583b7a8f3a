"""The page on iNNvestigate, tried literally."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "innvestigate.md"

BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def programs() -> list[str]:
    """The page's programs: a block that begins with an import, and those that follow it."""
    found: list[str] = []
    for block in BLOCKS:
        if block.startswith("import "):
            found.append(block)
        else:
            found[-1] += block
    return found


# Each is a process of its own, and repeats what tests of the analyzers try one by one.
@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(programs())))
def test_the_page_prints_what_it_says(number: int, tmp_path: Path) -> None:
    program = programs()[number]
    expected = re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert len(expected) == program.count("print(") > 0
    root = str(PAGE.parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:__main__", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected


def test_two_lines_change() -> None:
    before, after = (block.splitlines() for block in BLOCKS[:2])
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert changes == [
        "+ import insens_tf",
        '- analyzer = innvestigate.create_analyzer("gradient", without_softmax)',
        '+ analyzer = innvestigate.create_analyzer("insens", without_softmax).fit(x_train)',
    ]


def test_all_blocks_are_tried() -> None:
    assert len(BLOCKS) == PAGE.read_text("utf-8").count("```python")
    assert len(BLOCKS) == PAGE.read_text("utf-8").count("```") // 2
