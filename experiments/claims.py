"""The table of the paper's claims, made from the results in ``experiments/results``.

``python -m experiments.claims`` prints it, and ``--into experiments/README.md`` puts it there. Each
experiment's module states its claims in ``CLAIMS``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from experiments import (
    activity,
    figure_2,
    figure_4,
    figure_5,
    figure_6,
    figure_7,
    figure_7_bounds,
    further_claims,
    noise_table,
    stability,
    train,
    variants,
)
from experiments.paper_claim import RESULTS, Claim
from experiments.tables import inserted
from insens_tf.files import whole_file

__all__ = ["CLAIMS", "RESULTS", "commands", "main", "table"]

CLAIMS: tuple[Claim, ...] = (
    *train.CLAIMS,
    *activity.CLAIMS,
    *noise_table.CLAIMS,
    *figure_2.CLAIMS,
    *figure_4.CLAIMS,
    *figure_5.CLAIMS,
    *figure_6.CLAIMS,
    *figure_7.CLAIMS,
    *figure_7_bounds.CLAIMS,
    *variants.CLAIMS,
    *further_claims.CLAIMS,
    *stability.CLAIMS,
)
"""Every claim, in the order of the table."""


def table(claims: Sequence[Claim] = CLAIMS) -> str:
    """Return the table of claims in Markdown."""
    rows = [
        (one.claim, one.paper, one.ours(), ", ".join(map(_link, one.results)), one.verdict)
        for one in claims
    ]
    head = ("claim (section)", "paper", "here", "results", "does it hold?")
    return _markdown(head, rows)


def commands() -> str:
    """Return the table of the commands that made the results, and how long they took."""
    rows = []
    for path in sorted(RESULTS.glob("*/run.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        networks = record.get("networks", [])
        training = sum(network["seconds"] or 0 for network in networks)
        rows.append(
            (
                _link(path.parent.name),
                f"`{record['command']}`",
                str(len(networks)),
                _duration(record["seconds"]),
                _duration(training) if training else "",
            )
        )
    head = ("results", "command", "networks", "time", "training before it")
    return _markdown(head, rows)


def _link(result: str) -> str:
    return f"[{result}](results/{result})"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # Not padded: sentences in cells would make every line as long as the longest of them.
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@click.command()
@click.option("--into", type=click.Path(dir_okay=False, exists=True, path_type=Path))
def main(into: Path | None) -> None:
    """Print the tables of claims and of commands, or put them into a page."""
    tables = {"claims": table(), "commands": commands()}
    if into is None:
        click.echo("\n\n".join(tables.values()))
        return
    page = into.read_text(encoding="utf-8")
    for name, text in tables.items():
        page = inserted(page, name, text)
    with whole_file(into) as partial:
        partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(prog_name="python -m experiments.claims")
