"""Tables for pandas: a row a neuron, an input and neuron, or a layer."""

from __future__ import annotations

import sys
from dataclasses import fields, replace

import numpy as np
import pytest

import insens_tf
from insens_tf.regions import BoundaryMargins, Crossings, StateDifference
from insens_tf.surveys import TopInputs
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


def test_a_plan_is_a_table(case: CaseOf) -> None:
    plan = case("conv valid", 0).network.plan()

    table = plan.to_pandas()

    assert table["name"].tolist() == [layer.name for layer in plan.layers]
    assert table["gradients"].tolist() == [layer.gradients for layer in plan.layers]
    assert {"seconds", "more_memory"}.isdisjoint(table)
    timed = replace(plan, seconds_of_a_gradient=0.5).to_pandas()
    assert timed["seconds"].tolist() == [layer.gradients / 2 for layer in plan.layers]


def test_margins_of_boundaries_are_a_table() -> None:
    random = np.random.default_rng(0)
    neurons = {"conv": random.normal(size=(3, 2, 2, 4)), "dense": random.normal(size=(3, 5))}
    margins = BoundaryMargins(neurons, {"pool": np.abs(random.normal(size=(3, 1, 1, 4)))})

    table = margins.to_pandas()

    assert list(table) == ["input", "layer", "kind", "index", "margin"]
    assert len(table) == 3 * (16 + 5 + 4)
    np.testing.assert_array_equal(
        table["margin"].abs().groupby(table["input"]).min(), margins.nearest()
    )
    for kind, by_layer in (("gate", margins.neurons), ("max pooling", margins.windows)):
        for layer, values in by_layer.items():
            rows = table[(table["layer"] == layer) & (table["kind"] == kind)]
            flat = values.reshape(3, -1)
            assert len(rows) == flat.size
            np.testing.assert_array_equal(rows["margin"], flat[rows["input"], rows["index"]])


@pytest.mark.parametrize("kind", [Crossings, StateDifference])
def test_what_switches_is_a_table(kind: type) -> None:
    columns = {
        "t": np.array([0.25, 0.5]),
        "pair": np.array([0, 2]),
        "layer": np.array(["conv", "pool"]),
        "kind": np.array(["gate", "max pooling"]),
        "index": np.array([7, 1]),
        **{name: np.array([0, 9]) for name in ("before", "after", "first", "second")},
        "same": np.array([False, True, False]),
    }
    own = {one.name: columns[one.name] for one in fields(kind)}

    table = kind(**own).to_pandas()

    # Which pairs are the same is another table than what differs.
    assert list(table) == [name for name in own if name != "same"]
    for name in table:
        assert table[name].tolist() == own[name].tolist()


def test_inputs_that_drive_a_channel_most_are_a_table() -> None:
    activity = np.random.default_rng(0).normal(size=(6, 2, 3, 4)).astype(np.float32)
    top = TopInputs.of(activity, 0, 5)

    table = top.to_pandas()
    of_one = TopInputs._make(values[:, 2] for values in top).to_pandas()

    assert list(table) == ["channel", "rank", "input", "activity", "place"]
    assert len(table) == 4 * 5
    for row in table.itertuples(index=False):
        place = (row.input, *row.place, row.channel)
        assert activity[place] == row.activity
    assert (table.groupby("channel")["activity"].diff().dropna() <= 0).all()
    assert list(of_one) == ["rank", "input", "activity", "place"]
    np.testing.assert_array_equal(
        of_one["activity"], table[table["channel"] == 2]["activity"].to_numpy()
    )


def test_without_pandas_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    frequency = insens_tf.ActivationFrequency({"dense": np.array([2])}, samples=4)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        frequency.to_pandas()
