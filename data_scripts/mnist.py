"""MNIST: ``python -m data_scripts.mnist --out DIR [--source DIR]``.

LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/. The authors' server no longer hands the
files out; the addresses are two well-known mirrors of them.
"""

from __future__ import annotations

from pathlib import Path

import click

from data_scripts import idx
from data_scripts.preparation import DataSet, command_options, run

__all__ = ["MNIST", "main"]

MNIST = DataSet(
    name="mnist",
    title="MNIST",
    addresses=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files=idx.official_files(
        {
            "x_train": "6bbc9ace898e44ae57da46a324031adb",
            "y_train": "a25bea736e30d166cdddb491f175f624",
            "x_test": "2646ac647ad5339dbf082846283269ea",
            "y_test": "27ae3e4e09519cfbb04c329615203637",
        }
    ),
    parse=idx.parse,
    image_shape=(28, 28, 1),
    classes=10,
    counts={"train": 60_000, "test": 10_000},
)


@click.command()
@command_options
def main(out: Path, source: Path | None, allow_unverified: bool) -> None:
    """Write mnist.npz (x_train, y_train, x_test, y_test) from the official MNIST files."""
    run(MNIST, out, source, allow_unverified)


if __name__ == "__main__":
    main(prog_name="python -m data_scripts.mnist")
