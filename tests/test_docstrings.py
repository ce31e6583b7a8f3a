"""The examples in docstrings, run as their readers would."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import insens_tf
from insens_tf import demo
from insens_tf.two_conv import two_conv
from tests.conftest import with_keras_3

DIGITS = 40


PACKAGE = Path(insens_tf.__file__).parent
WITH_EXAMPLES = [
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in sorted(PACKAGE.rglob("*.py"))
    if ">>>" in file.read_text(encoding="utf-8")
]
# What they are given is made once.
pytestmark = [with_keras_3, pytest.mark.slow, pytest.mark.xdist_group("docstrings")]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Give what examples have beside the names of their module, as README makes it."""
    data = demo.digits()
    model = two_conv((28, 28, 1), 10, seed=0, filters=(3, 4))
    model.compile("adam", "sparse_categorical_crossentropy")
    network = insens_tf.SwitchedNetwork(model)
    folder = tmp_path_factory.mktemp("examples")
    names = {
        "np": np,
        "tf": tf,
        "insens_tf": insens_tf,
        "model": model,
        "network": network,
        **{name: getattr(data, name)[:DIGITS] for name in data._fields},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        what = ("frequency", "top", "margins", "insens")
        insens_tf.survey(model, names["x_test"][:8], "survey", what=what, progress=False)
        yield names


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(name: str, given: dict[str, Any]) -> None:
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(verbose=False)
    report: list[str] = []

    for test in finder.find(module, name, extraglobs=given):
        if test.examples:
            runner.run(test, out=report.append)

    assert runner.summarize(verbose=False).failed == 0, "".join(report)
    assert runner.tries > 0
