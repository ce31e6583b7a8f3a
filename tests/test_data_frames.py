"""Tables for pandas: a row a neuron, an input and neuron, or a layer."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import insens_tf
from tests.conftest import CaseOf

pandas = pytest.importorskip("pandas")


def test_a_projection_is_a_table(case: CaseOf) -> None:
    this = case("conv valid", 0)
    layer = this.network.layers[0]
    p = this.network.project(this.x, layer, [3, 0])

    table = p.to_pandas()

    assert table["input"].tolist() == np.repeat(range(len(this.x)), 2).tolist()
    assert set(table["layer"]) == {layer.name}
    row = table.iloc[3]
    assert row["neuron"] == (0, 0, 0)
    assert row["activity"] == p.activity[1, 1]
    assert row["bias"] == p.bias[1, 1]
    distance = np.linalg.norm(this.x[1] - p.centre[1, 1])
    assert row["distance"] == pytest.approx(distance, rel=1e-4)
    of_a_difference = this.network.project(this.x, layer, difference=(3, 0)).to_pandas()
    assert of_a_difference["subtracted"].tolist() == [(0, 0, 0)] * len(this.x)


def test_a_frequency_is_a_table() -> None:
    frequency = insens_tf.ActivationFrequency(
        {"conv": np.array([[0, 4], [3, 1]]), "dense": np.array([2])}, samples=4
    )

    table = frequency.to_pandas()

    assert table["layer"].tolist() == ["conv"] * 4 + ["dense"]
    assert table["neuron"].tolist() == [0, 1, 2, 3, 0]
    assert table["count"].tolist() == [0, 4, 3, 1, 2]
    assert table["frequency"].tolist() == [0, 1, 0.75, 0.25, 0.5]


def test_a_report_is_a_table(case: CaseOf) -> None:
    report = case("conv valid", 0).network.report()

    table = report.to_pandas()

    assert table["name"].tolist() == [layer.name for layer in report.layers]
    assert table["shape"].tolist() == [layer.shape for layer in report.layers]


def test_without_pandas_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    frequency = insens_tf.ActivationFrequency({"dense": np.array([2])}, samples=4)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        frequency.to_pandas()
