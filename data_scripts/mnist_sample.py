"""The digits in the package: ``python -m data_scripts.mnist_sample --data DIR --out DIR``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from data_scripts.mnist import MNIST
from data_scripts.preparation import Arrays, DataError, read_npz, write_npz

__all__ = ["main", "sample"]


def sample(data: Arrays, per_class: dict[str, int], seed: int) -> Arrays:
    """Choose as many images of each class, at random, in random order.

    Parameters
    ----------
    data
        ``x_train``, ``y_train``, ``x_test`` and ``y_test``.
    per_class
        How many of each class from ``"train"`` and from ``"test"``.
    seed
        Decides which.

    Returns
    -------
    dict
        The same four arrays, shorter.

    Raises
    ------
    ValueError
        If a class has too few images.
    """
    random = np.random.default_rng(seed)
    chosen_data = {}
    for part, count in per_class.items():
        images, labels = data[f"x_{part}"], data[f"y_{part}"]
        chosen = np.concatenate(
            [_chosen_of_class(labels, label, count, random) for label in np.unique(labels)]
        )
        random.shuffle(chosen)
        chosen_data[f"x_{part}"], chosen_data[f"y_{part}"] = images[chosen], labels[chosen]
    return chosen_data


def _chosen_of_class(
    labels: np.ndarray, label: int, count: int, random: np.random.Generator
) -> np.ndarray:
    candidates = np.flatnonzero(labels == label)
    if len(candidates) < count:
        raise ValueError(f"{count} images of class {label} are asked for, of {len(candidates)}")
    return random.choice(candidates, count, replace=False)


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the mnist.npz that data_scripts.mnist wrote.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("insens_tf/data"),
    show_default=True,
    help="Folder to write mnist_sample.npz to.",
)
@click.option("--train-per-class", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--test-per-class", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def main(data: Path, out: Path, train_per_class: int, test_per_class: int, seed: int) -> None:
    """Write mnist_sample.npz, a class-balanced choice of MNIST's digits."""
    source = data / f"{MNIST.name}.npz"
    path = out / "mnist_sample.npz"
    try:
        digits = sample(read_npz(source), {"train": train_per_class, "test": test_per_class}, seed)
        write_npz(path, digits)
    except (DataError, OSError, ValueError) as error:
        raise click.ClickException(f"cannot make the sample from {source}: {error}") from error
    click.echo(f"wrote {path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(prog_name="python -m data_scripts.mnist_sample")
