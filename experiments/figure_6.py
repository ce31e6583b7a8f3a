"""Figure 6: Insens of each layer on smallNORB and CIFAR-10.

``python -m experiments.figure_6`` writes ``figure_6.png``, of the images of Figure 5, the numbers
of its panels, and ``correlations.csv``: how much Insens of each layer is like that of the others
and like the input itself, over random test images. Where smallNORB's file is missing, Fashion-MNIST
takes its place.
"""

from __future__ import annotations

from experiments.experiment import Run
from experiments.maps_figure import cifar10_correlations, maps_experiment, maps_of_datasets
from experiments.method_maps import INSENS_METHODS
from experiments.paper_claim import Claim
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["CLAIMS", "main"]


def compute(run: Run, images: int, count: int) -> None:
    """Draw Insens of the layers l = 1, 3 and 5 (Figure 6)."""
    maps_of_datasets(run, images, count, layers=list(HIDDEN_LAYERS), baselines=())


CLAIMS = (
    Claim(
        "Insens of earlier layers shows more of the input (3, Figure 6)",
        "by eye",
        lambda: (
            "correlation with the input: "
            + cifar10_correlations("figure_6", "input", tuple(INSENS_METHODS.values()))
        ),
        ("figure_6",),
        "Holds, by eye too: from a drawing of edges at l = 1 to speckle at l = 5.",
    ),
)

# Of four columns; both data sets' images fill it.
_SIDE = 224

main = maps_experiment("figure_6", compute, _SIDE).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_6")
