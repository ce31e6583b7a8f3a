"""iNNvestigate's methods on our graph against its own, timed in pairs in one run.

    python -m benchmarks.attribution --out attribution.json
    python -m benchmarks.attribution --network models/mnist/model.keras data/mnist.npz
    python -m benchmarks.attribution --memory
    python -m benchmarks.attribution --growth 100

Without --network of 2CONV with random weights, on inputs of MNIST's and CIFAR-10's size; 8 and 100
inputs at a time. Where iNNvestigate cannot be imported there is nothing to hold against. Memory is
the most that is resident beyond what model and inputs take, each case in a process of its own;
growth is what is resident more after further analyzers than after the first forty, by when the
allocator has what it keeps, all used once and dropped.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
import tensorflow as tf
from tabulate import tabulate

import insens_tf
from benchmarks.random_networks import images
from benchmarks.timing import (
    Run,
    compared,
    environment,
    extra_memory,
    give_freed_memory_back,
    resident_memory,
    timed,
)
from benchmarks.trained_networks import images_of
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
BEFORE_GROWTH = 40

Case = str | Sequence[str]
"""A name in `SHAPES`, or the files of a network and of its data set."""


def _network(case: Case, count: int) -> tuple[Any, Any]:
    """Return a model and some inputs."""
    if isinstance(case, str):
        return two_conv(SHAPES[case], 10, seed=0), images(SHAPES[case], count)
    model, data = case
    return tf.keras.models.load_model(model, safe_mode=True), images_of(data, count=count)


def _title(case: Case) -> str:
    return case if isinstance(case, str) else f"{Path(case[1]).stem}, trained"


def _compared(case: Case, method: str, count: int, rounds: int) -> dict[str, Any]:
    model, x = _network(case, count)
    native, own = (
        timed(source, _analyzed(method, model, x, source)) for source in ("native", "innvestigate")
    )
    with warnings.catch_warnings():
        # Of what a map is like; here it is about what it costs.
        warnings.simplefilter("ignore", UserWarning)
        found = compared(native, own, rounds)
    return {"data_set": _title(case), "method": method, "inputs": count, **found}


def _analyzed(method: str, model: Any, x: Any, source: str) -> Run:
    analyzer = insens_tf.create_analyzer(method, model, source=source)
    return lambda: analyzer.analyze(x, progress=False)


def _memory(case: Case, method: str, count: int, source: str) -> int:
    """Return the bytes that an analyzer takes at its peak, in this process."""
    model, x = _network(case, count)
    model.predict(x[:1], verbose=0)
    return extra_memory(lambda: _analyzed(method, model, x, source)()) or 0


def _elsewhere(*arguments: Any) -> int:
    """Return what `_memory` does in a process of its own."""
    program = (
        "import json, sys, warnings; warnings.simplefilter('ignore', UserWarning); "
        "from benchmarks.attribution import _memory; print(_memory(*json.loads(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, json.dumps(arguments)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _growth(method: str, analyzers: int) -> int:
    """Return how many bytes more are resident after so many analyzers than before them."""
    model, x = _network("MNIST", 1)

    def resident_after(count: int) -> int:
        for _ in range(count):
            _analyzed(method, model, x, "native")()
        gc.collect()
        give_freed_memory_back()
        return resident_memory()

    before = resident_after(BEFORE_GROWTH)
    return resident_after(analyzers) - before


@click.command()
@click.option(
    "--network",
    "networks",
    multiple=True,
    nargs=2,
    metavar="MODEL DATA",
    type=click.Path(exists=True, dir_okay=False),
    help="A 2CONV as experiments.train writes it, and the .npz of its data set.",
)
@click.option("--memory", is_flag=True, help="Measure memory instead of time.")
@click.option("--growth", type=click.IntRange(min=1), help="Create and drop as many analyzers.")
@click.option("--inputs", "counts", multiple=True, type=int, default=COUNTS, show_default=True)
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(min=1))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path))
def main(
    networks: tuple[tuple[str, str], ...],
    memory: bool,
    growth: int | None,
    counts: tuple[int, ...],
    rounds: int,
    out: Path | None,
) -> None:
    """Time native methods against iNNvestigate's, and print their ratios."""
    cases: list[Case] = [*networks] or [*SHAPES]
    if growth is not None:
        for method in ("gradient", "deep_taylor"):
            more = _growth(method, growth) / 2**20
            click.echo(f"{method}: {more:.1f} MiB more after {growth} further analyzers")
        return
    if memory:
        found = []
        for case, method, count in product(cases, METHODS, counts):
            both = (
                _elsewhere(case, method, count, source) / 2**20
                for source in ("native", "innvestigate")
            )
            found.append((_title(case), method, count, *both))
            click.echo(found[-1], err=True)
        columns = ("data", "method", "inputs", "native MiB", "iNNvestigate MiB")
        click.echo(tabulate(found, columns, floatfmt=".0f"))
        return
    rows = []
    for case, method, count in product(cases, METHODS, counts):
        rows.append(_compared(case, method, count, rounds))
        click.echo(f"{_title(case)}, {method}, {count}: {rows[-1]['ratio']:.2f}", err=True)
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
