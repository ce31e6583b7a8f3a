"""Fashion-MNIST: ``python -m data_scripts.fashion_mnist --out DIR [--source DIR]``.

Xiao, Rasul and Vollgraf, https://github.com/zalandoresearch/fashion-mnist, in MNIST's file format.
"""

from __future__ import annotations

from pathlib import Path

import click

from data_scripts import idx
from data_scripts.preparation import DataSet, command_options, run

__all__ = ["FASHION_MNIST", "main"]

FASHION_MNIST = DataSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    # Served without encryption; the checksums are what makes that safe.
    addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    files=idx.official_files(
        {
            "x_train": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "y_train": "9018921c3c673c538a1fc5bad174d6f9",
            "x_test": "8181f5470baa50b63fa0f6fddb340f0a",
            "y_test": "15d484375f8d13e6eb1aabb0c3f46965",
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
    """Write fashion_mnist.npz (x_train, y_train, x_test, y_test) from the official files."""
    run(FASHION_MNIST, out, source, allow_unverified)


if __name__ == "__main__":
    main(prog_name="python -m data_scripts.fashion_mnist")
