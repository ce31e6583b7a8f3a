"""What the experiment on linear regions measures, on a network that the oracle can follow."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from experiments.linear_regions import STEPS, measured, other_ends
from experiments.paper_claim import RESULTS
from experiments.tables import read_csv
from tests.conftest import CaseOf
from tests.oracle import Oracle

PAGE = Path(__file__).parents[1] / "docs" / "regions.md"


def test_other_ends_are_the_next_of_the_class_and_of_another() -> None:
    labels = np.array([3, 1, 3, 3, 1], np.uint8)
    assert [other_ends(labels, image) for image in range(5)] == [
        (2, 1),
        (4, 2),
        (3, 4),
        (0, 4),
        (1, 0),
    ]


@pytest.mark.filterwarnings("error")
def test_measures_are_those_of_the_network(case: CaseOf) -> None:
    model, network, x, _ = case("dense", 0)
    oracle = Oracle(model)

    found = measured(network, x[0], {"black": np.zeros_like(x[0]), "other": x[1]})

    line = network.path(x[1], x[0])
    assert found["other/regions"] == len(line.breakpoints) + 1
    assert found["other/crossings"] == len(line.crossings)
    shares = {name: found[name] for name in found if name.startswith("other/share of")}
    assert sum(shares.values()) == pytest.approx(1)
    assert found["image/radius"] == network.region(x[0]).radius()
    # Integrated gradients of steps, and by the middles of many parts, from the oracle's w.
    neuron = int(oracle.sweep(x[0])[0].value.argmax())

    def mean(places: np.ndarray) -> np.ndarray:
        return np.mean([oracle.sweep(t * x[0])[0].matrix[neuron] for t in places], axis=0)

    exact = network.path(np.zeros_like(x[0]), x[0]).integrated_gradients(neurons=neuron)[0]
    length = np.linalg.norm(exact)
    of_steps = mean(np.arange(STEPS[0]) / STEPS[0]) * x[0].reshape(-1)
    error = np.linalg.norm(of_steps - exact.reshape(-1)) / length
    assert found[f"black/error of {STEPS[0]} steps"] == pytest.approx(error, rel=1e-6)
    errors = [found[f"black/error of {steps} steps"] for steps in STEPS]
    assert errors == sorted(errors, reverse=True)


def test_the_table_of_the_page_is_that_of_the_results() -> None:
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]
    found = {cell for row in cells for cell in row[1:]}
    rows = read_csv(RESULTS / "linear_regions" / "summary.csv")
    assert {row["n"] for row in rows} <= set(re.findall(r"n = (\d+) images", cells[0][0]))
    for row in rows:
        mean, spread = float(row["mean"]), float(row["std"])
        if row["measure"] == "regions":
            assert f"{mean:,.0f} ± {spread:,.0f}" in found
        elif row["measure"].startswith("error of"):
            assert f"{100 * mean:.2f} ± {100 * spread:.2f} %" in found
        elif row["measure"].startswith("radius") and mean:
            assert f"{mean:.1e} ± {spread:.1e}" in found
