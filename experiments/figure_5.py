"""Figure 5: the methods on smallNORB and CIFAR-10.

``python -m experiments.figure_5`` writes ``figure_5.png``, the numbers of its panels, and
``correlations.csv``: how much the methods' maps are alike, over random test images. Where
smallNORB's file is missing, Fashion-MNIST takes its place.
"""

from __future__ import annotations

from experiments.experiment import Run
from experiments.maps_figure import cifar10_correlations, maps_experiment, maps_of_datasets
from experiments.method_maps import INSENS_METHODS, PENULTIMATE
from experiments.paper_claim import Claim
from insens_tf.method_table import COMPARED_METHODS

__all__ = ["CLAIMS", "main"]


def compute(run: Run, images: int, count: int) -> None:
    """Draw the paper's methods and Insens of the penultimate layer (Figure 5)."""
    maps_of_datasets(run, images, count, layers=[PENULTIMATE])


CLAIMS = (
    Claim(
        "Insens of the penultimate layer might not seem all that different from others on "
        "CIFAR-10 (3, Figure 5)",
        "by eye",
        lambda: (
            "correlation with Insens: "
            + cifar10_correlations("figure_5", INSENS_METHODS[PENULTIMATE], tuple(COMPARED_METHODS))
        ),
        ("figure_5",),
        "Holds by eye for the methods with signs; the correlation is moderate.",
    ),
)

main = maps_experiment("figure_5", compute).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_5")
