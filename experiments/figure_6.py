"""Figure 6: Insens of each layer on smallNORB and CIFAR-10.

``python -m experiments.figure_6`` writes ``figure_6.png``, of the images of Figure 5, the numbers
of its panels, and ``correlations.csv``: how much Insens of each layer is like that of the others
and like the input itself, over random test images. Where smallNORB's file is missing, Fashion-MNIST
takes its place.
"""

from __future__ import annotations

from functools import partial

import click

from experiments.experiment import Run, experiment
from experiments.maps_figure import draw_panels, maps_of_datasets
from experiments.methods import INSENS_LAYERS

__all__ = ["draw", "main"]

draw = partial(draw_panels, name="figure_6.png")


@experiment("figure_6", datasets=("smallnorb|fashion_mnist", "cifar10"), draw=draw)
@click.option("--images", default=5, show_default=True, help="Shown of each data set.")
@click.option(
    "--count", default=100, show_default=True, help="Of test images over which maps are compared."
)
def main(run: Run, images: int, count: int) -> None:
    """Draw Insens of the layers l = 1, 3 and 5 (Figure 6)."""
    maps_of_datasets(run, images, count, layers=list(INSENS_LAYERS), baselines=())


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_6")
