"""Figure 5: the methods on smallNORB and CIFAR-10.

``python -m experiments.figure_5`` writes ``figure_5.png``, the numbers of its panels, and
``correlations.csv``: how much the methods' maps are alike, over random test images. Where
smallNORB's file is missing, Fashion-MNIST takes its place.
"""

from __future__ import annotations

from functools import partial

import click

from experiments.experiment import Run, experiment
from experiments.maps_figure import draw_panels, maps_of_datasets
from experiments.methods import PENULTIMATE

__all__ = ["draw", "main"]

draw = partial(draw_panels, name="figure_5.png")


@experiment("figure_5", datasets=("smallnorb|fashion_mnist", "cifar10"), draw=draw)
@click.option("--images", default=5, show_default=True, help="Shown of each data set.")
@click.option(
    "--count", default=100, show_default=True, help="Of test images over which maps are compared."
)
def main(run: Run, images: int, count: int) -> None:
    """Draw the paper's methods and Insens of the penultimate layer (Figure 5)."""
    maps_of_datasets(run, images, count, layers=[PENULTIMATE])


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_5")
