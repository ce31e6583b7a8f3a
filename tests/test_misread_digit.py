"""The worked reading of README: what its command measures and draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from experiments import misread_digit
from insens_tf import SwitchedNetwork, demo
from tests import demonstration
from tests.oracle import Oracle


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    demonstration.write(folder)
    return folder


@pytest.mark.slow
def test_numbers_and_picture(demonstrated: Path, tmp_path: Path) -> None:
    ended = CliRunner().invoke(
        misread_digit.main, ["--demo", str(demonstrated), "--out", str(tmp_path)]
    )

    assert ended.exit_code == 0, ended.output
    numbers = json.loads((tmp_path / "misread_digit.json").read_text())
    data = demo.digits()
    assert numbers["label"] == data.y_test[numbers["test_digit"]] != numbers["predicted"]
    model = demonstration.small_network()
    x = data.x_test[numbers["test_digit"], np.newaxis]
    references = {reference.name: reference for reference in Oracle(model).references(x)}
    logits, dense = references["logits"], references["dense"]
    for read in numbers["projections"].values():
        neuron = read["class"]
        w, v = logits.weights[0, neuron].ravel(), logits.activity[0, neuron]
        contribution = v * w**2 / (w @ w)
        assert read["activity"] == pytest.approx(v, abs=1e-3)
        assert read["contribution"] == pytest.approx(v, abs=1e-3)
        assert read["bias"] == pytest.approx(logits.bias[0, neuron], abs=1e-3)
        assert read["distance_to_centre"] == pytest.approx(abs(v) / np.sqrt(w @ w), abs=1e-3)
        assert read["contribution_share_of_black_pixels"] == pytest.approx(
            contribution[x.ravel() == 0].sum() / v, abs=1e-3
        )
        assert read["contribution_share_of_upper_half"] == pytest.approx(
            contribution[: 14 * 28].sum() / v, abs=1e-3
        )
    assert numbers["insens"]["dense"]["neurons"] == dense.activity.size
    assert numbers["insens"]["dense"]["inactive"] == (dense.activity <= 0).sum()
    with Image.open(tmp_path / "misread_digit.png") as drawn:
        assert np.asarray(drawn.convert("L")).std() > 0


def test_what_a_step_switches_on_is_counted_of_the_network_itself() -> None:
    model = demonstration.small_network()
    network = SwitchedNetwork(model)
    x = demo.digits().x_test[:1]
    insens = {"dense": network.insens(x, "dense", progress=False)}

    counted = misread_digit.measure(network, x, {"label": 3}, insens)["insens"]["dense"]

    step = insens["dense"] / np.linalg.norm(insens["dense"])
    before, along, against = (
        Oracle(model).references(one)[2].activity > 0 for one in (x, x + step, x - step)
    )
    assert counted["switched_on_along"] == (along & ~before).sum()
    assert counted["switched_on_against"] == (against & ~before).sum()
    assert counted["switched_on_along"] < counted["switched_on_against"]


def test_without_a_demonstration_it_says_how_to_have_one(tmp_path: Path) -> None:
    ended = CliRunner().invoke(misread_digit.main, ["--demo", str(tmp_path / "none")])

    assert ended.exit_code == 1
    assert "make demo writes it" in ended.output
