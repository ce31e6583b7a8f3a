"""iNNvestigate's methods on our graph against its own, timed in pairs in one run.

    python -m benchmarks.attribution --out attribution.json

Of 2CONV with random weights on inputs of MNIST's and CIFAR-10's size, 8 and 100 at a time. Where
iNNvestigate cannot be imported there is nothing to hold against.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

import insens_tf
from benchmarks.random_networks import images
from benchmarks.timing import Run, compared, environment, timed
from experiments.tables import write_json
from insens_tf.two_conv import two_conv

METHODS = (
    "gradient",
    "guided_backprop",
    "integrated_gradients",
    "smoothgrad",
    "lrp.epsilon",
    "lrp.alpha_2_beta_1",
    "lrp.sequential_preset_a_flat",
    "deep_taylor",
)
SHAPES = {"MNIST": (28, 28, 1), "CIFAR-10": (32, 32, 3)}
COUNTS = (8, 100)


def _compared(data_set: str, method: str, count: int, rounds: int) -> dict[str, Any]:
    model = two_conv(SHAPES[data_set], 10, seed=0)
    x = images(SHAPES[data_set], count)
    native, own = (
        timed(source, _analyzed(method, model, x, source)) for source in ("native", "innvestigate")
    )
    with warnings.catch_warnings():
        # Of what a map is like; here it is about what it costs.
        warnings.simplefilter("ignore", UserWarning)
        found = compared(native, own, rounds)
    return {"data_set": data_set, "method": method, "inputs": count, **found}


def _analyzed(method: str, model: Any, x: Any, source: str) -> Run:
    analyzer = insens_tf.create_analyzer(method, model, source=source)
    return lambda: analyzer.analyze(x, progress=False)


@click.command()
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(min=1))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path))
def main(rounds: int, out: Path | None) -> None:
    """Time native methods against iNNvestigate's, and print their ratios."""
    rows = [
        _compared(data_set, method, count, rounds)
        for data_set in SHAPES
        for method in METHODS
        for count in COUNTS
    ]
    table = [
        (
            row["data_set"],
            row["method"],
            row["inputs"],
            f"{row['milliseconds']:.3g}",
            f"{row['ratio']:.2f}",
            f"{row['least']:.2f} to {row['most']:.2f}",
        )
        for row in rows
    ]
    headers = ("data", "method", "inputs", "ms", "native / iNNvestigate", "range")
    click.echo(tabulate(table, headers, disable_numparse=True))
    if out is not None:
        write_json(out, {"environment": environment(), "rows": rows})


if __name__ == "__main__":
    main()
