"""The results in the repository, and the tables of experiments/README.md that are made of them."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path

import pytest
from click.testing import CliRunner
from scipy import stats

from experiments import claims, paper_claim
from experiments.two_conv_settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "experiments" / "README.md"
RESULTS = sorted(path.parent for path in claims.RESULTS.glob("*/run.json"))
EXPERIMENTS = {
    *("activity", "detection", "figure_1", "figure_2", "figure_3", "figure_4", "figure_5"),
    *("figure_6", "figure_7", "figure_7_bounds", "further_claims", "linear_regions", "noise_table"),
    *("open_settings", "stability", "variants"),
}


def rows(folder: str, file: str) -> list[dict[str, str]]:
    with (claims.RESULTS / folder / file).open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_every_experiment_has_results() -> None:
    experiments = {
        json.loads((folder / "config.json").read_text())["experiment"] for folder in RESULTS
    }
    assert experiments == EXPERIMENTS
    named = {result for one in claims.CLAIMS for result in one.results}
    assert named <= {folder.name for folder in RESULTS}


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_results_are_small_and_say_how_they_came_about(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())

    assert record["config"] == json.loads((folder / "config.json").read_text())
    assert record["config"]["quick"] is False
    assert record["command"].startswith(f"python -m experiments.{record['config']['experiment']}")
    assert {"python", "tensorflow", "numpy", "insens_tf"} <= record["versions"].keys()
    assert all(0 < network["test_accuracy"] <= 1 for network in record["networks"])
    pictures = {path.stem for path in folder.glob("*.png")}
    assert pictures == {path.stem for path in folder.glob("*.pdf")} != set()
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".csv", ".npz", ".pdf", ".png"}
    assert max(path.stat().st_size for path in folder.iterdir()) < 1e6
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3e6
    assert set(record["config"]["data_sha256"]) <= set(SETTINGS)


def test_the_tables_are_those_of_the_results(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(README.read_text(encoding="utf-8"), encoding="utf-8")

    result = CliRunner().invoke(claims.main, ["--into", str(page)])

    assert result.exit_code == 0, result.output
    assert page.read_text(encoding="utf-8") == README.read_text(encoding="utf-8")


def test_numbers_of_the_table() -> None:
    """Some of them, from the files by other means."""
    table = claims.table()
    clean = [
        100 * float(row["accuracy"])
        for row in rows("noise_table", "accuracies.csv")
        if row["place"] == "clean"
    ]
    mean, spread = statistics.fmean(clean), statistics.stdev(clean)
    half = stats.t.ppf(0.975, len(clean) - 1) * spread / len(clean) ** 0.5
    interval = f"interval {mean - half:.1f} to {min(100, mean + half):.1f}"
    assert f"{mean:.1f} ± {spread:.1f} % (n = {len(clean)}, {interval})" in table
    for row in rows("figure_7", "summary.csv"):
        low = row["method"] not in ("deep_taylor", "lrp.alpha_1_beta_0")
        if row["correlation"] != "signed" or (row["explained"] == "own" and low):
            continue
        shown = f"{float(row['mean']):.2f}".replace("-0.00", "0.00")
        assert f" {shown} ± {float(row['variance_over_networks']) ** 0.5:.2f}" in table
    for row in rows("variants", "likeness.csv"):
        if (row["variant"], row["measure"]) == ("all", "signed"):
            assert f"{float(row['mean']):.2f}" in table


def test_a_claim_without_its_row_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "noise_table"
    folder.mkdir()
    (folder / "accuracies.csv").write_text("form,place,standard_deviation,seed,accuracy\n")
    monkeypatch.setattr(paper_claim, "RESULTS", tmp_path)

    with pytest.raises(ValueError, match=r"noise_table/accuracies\.csv: expected a row with"):
        claims.table([one for one in claims.CLAIMS if "noise_table" in one.results])
