"""A claim of the paper, and how its numbers are read from ``experiments/results``.

Each experiment states its claims beside its own code; ``experiments.claims`` makes a table of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.intervals import mean_interval, sample_deviation
from experiments.tables import read_csv

__all__ = [
    "RESULTS",
    "Claim",
    "mean_correlation",
    "over_networks",
    "over_settings",
    "result_row",
    "result_rows",
]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and what became of it.

    Attributes
    ----------
    claim
        In short.
    paper
        Its number, or where it stands if it has none.
    ours
        Reads our number from the folders of results.
    results
        Names of the folders that it is from.
    verdict
        Says whether the claim holds; someone who looked at the results wrote it.
    """

    claim: str
    paper: str
    ours: Callable[[], str]
    results: tuple[str, ...]
    verdict: str


def result_rows(result: str, file: str, **wanted: str) -> list[dict[str, str]]:
    """Return the rows of a table of results that hold these values, at least one."""
    rows = [
        row
        for row in read_csv(RESULTS / result / file)
        if all(row[column] == value for column, value in wanted.items())
    ]
    if not rows:
        raise ValueError(f"{result}/{file}: expected a row with {wanted}, found none")
    return rows


def result_row(result: str, file: str, **wanted: str) -> dict[str, str]:
    """Return the one row of a table of results that holds these values."""
    (row,) = result_rows(result, file, **wanted)
    return row


def over_networks(rows: Sequence[Mapping[str, str]], column: str) -> str:
    """Return the mean and the standard deviation over networks of a share, in percent.

    With Student's 95 % interval of the mean.
    """
    values = [100 * float(row[column]) for row in rows]
    found = mean_interval(values)
    if found.n == 1:
        return f"{found.mean:.1f} % (n = 1)"
    # A share is at most 100 %, whatever so few networks leave open.
    low, high = max(0.0, found.low), min(100.0, found.high)
    return (
        f"{found.mean:.1f} ± {sample_deviation(values):.1f} % "
        f"(n = {found.n}, interval {low:.1f} to {high:.1f})"
    )


def over_settings(measured: str) -> str:
    """Return the least and the most that other settings of building and training 2CONV give."""
    found: dict[str, list[float]] = {}
    for row in result_rows("open_settings", "open_settings.csv", measured=measured):
        found.setdefault(row["setting"], []).append(100 * float(row["value"]))
    means = [float(np.mean(values)) for values in found.values()]
    return f"{min(means):.1f} to {max(means):.1f} %"


def mean_correlation(row: Mapping[str, str]) -> str:
    """Return the mean of a row of correlations, with two digits."""
    # Adding 0 takes the sign from the negative zero that rounding may leave.
    return f"{round(float(row['mean']), 2) + 0.0:.2f}"
