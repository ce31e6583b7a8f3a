"""How the cost of Insens grows with the batch, the input's size, the width and the depth.

    python -m benchmarks.growth
    python -m benchmarks.growth --table size --out FILE

Weights and inputs are random, from a seed. Results are printed, and written, as they come.
docs/performance.md says how to read the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import insens_tf
from benchmarks.insens import ig64, insens
from benchmarks.random_networks import images, vgg_like
from benchmarks.report import printed, write
from benchmarks.timing import compared, environment
from insens_tf.two_conv import two_conv


@dataclass(frozen=True)
class Case:
    """A network and inputs of which Insens is timed.

    Attributes
    ----------
    network : str
        What a table calls it.
    build : callable
        Returns it as a Keras model.
    inputs : int
        How many inputs.
    sweeps : tuple of slice
        The hidden layers whose Insens is computed together, for each row of the table.
    """

    network: str
    build: Callable[[], Any]
    inputs: int
    sweeps: tuple[slice, ...]


EVERY = slice(None)
FIRST_TWO = slice(2)
LAST = slice(-1, None)


def _alone(layers: int) -> tuple[slice, ...]:
    return tuple(slice(layer, layer + 1) for layer in range(layers))


TABLES: dict[str, list[Case]] = {
    "batch": [
        Case("2CONV, 28x28x1", partial(two_conv, (28, 28, 1), 10, seed=0), inputs, (EVERY,))
        for inputs in (1, 4, 16, 64)
    ],
    "size": [
        Case(
            f"(conv, pool) x 4, {size}x{size}x3",
            partial(vgg_like, (size, size, 3), (1, 1, 1, 1)),
            max(1, 128 // size),
            (*_alone(4), FIRST_TWO, EVERY),
        )
        for size in (32, 64, 128, 224)
    ],
    "width": [
        Case(
            f"2CONV, filters {filters} and {2 * filters}, units {units}",
            partial(two_conv, (28, 28, 1), 10, filters=(filters, 2 * filters), units=units, seed=0),
            4,
            (*_alone(3), EVERY),
        )
        for filters, units in ((16, 512), (32, 1024), (64, 2048))
    ],
    "depth": [
        Case(
            ", ".join(["conv " * convolutions + "pool" for convolutions in blocks]),
            partial(vgg_like, (32, 32, 3), blocks),
            2,
            (LAST, EVERY),
        )
        for blocks in ((1, 1), (1, 1, 1), (1, 1, 1, 1), (2,), (2, 2), (2, 2, 2))
    ],
}
"""The cases of each table, in order."""


def measured(case: Case, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a case, as `report` takes them."""
    model = case.build()
    x = images(model.input_shape[1:], case.inputs)
    unit = ig64(model, x)
    names = [layer.name for layer in insens_tf.SwitchedNetwork(model).layers]
    for sweep in case.sweeps:
        work = insens(insens_tf.SwitchedNetwork(model), names[sweep], x)
        row = compared(work, unit, rounds)
        yield {"network": case.network, "inputs": case.inputs, **row}


def main() -> None:
    """Run the benchmark and print, and write, its tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", choices=TABLES, help="which table (all of them)")
    parser.add_argument("--rounds", type=int, default=5, help="how many pairs to time (5)")
    parser.add_argument("--out", help="a .json file to write")
    arguments = parser.parse_args()
    record: dict[str, Any] = {"rounds": arguments.rounds, **environment()}
    for table in TABLES if arguments.table is None else [arguments.table]:
        record[table] = []
        for case in TABLES[table]:
            for row in measured(case, arguments.rounds):
                print(
                    f"{table}: {row['network']}, batch of {row['inputs']}, {row['work']}: "
                    f"{row['ratio']:.3g} IG64",
                    flush=True,
                )
                record[table].append(row)
                if arguments.out:
                    write(record, arguments.out)
    print()
    print(printed(record))


if __name__ == "__main__":
    main()
