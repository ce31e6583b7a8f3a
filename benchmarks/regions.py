"""What linear regions cost, as multiples of IG64: paths, exact integrated gradients, margins.

    python -m benchmarks.regions --model models/mnist/model.keras --data data/mnist.npz --out FILE

The path is the line between the first two test images; margins and Insens are of all hidden layers
and of the first images.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import tensorflow as tf

import insens_tf
from benchmarks import yardsticks
from benchmarks.report import publish
from benchmarks.timing import Work, compared, timed
from benchmarks.trained_networks import images_of, measured_on

INPUTS = 8


def works(model: Any, x: np.ndarray) -> tuple[list[Work], list[Work], Work]:
    """Return what is held against IG64, margins, and what they are held against.

    Parameters
    ----------
    model : Keras model
    x : numpy.ndarray, shape (n, *input_shape)
        The line is between the first two.
    """
    network = insens_tf.SwitchedNetwork(model)
    names = [layer.name for layer in network.layers]
    a, b = x[:2]
    walked = network.path(a, b, progress=False)

    def exact() -> None:
        network.path(a, b, progress=False).integrated_gradients(progress=False)

    paths = [
        timed("path of two images", lambda: network.path(a, b, progress=False)),
        timed(
            "its exact integrated gradients", lambda: walked.integrated_gradients(progress=False)
        ),
        timed("both", exact),
    ]
    margins = [
        timed(
            "margins of all hidden layers",
            lambda: network.margins(x, names, progress=False),
            inputs=len(x),
        ),
        timed(
            "margins of every boundary, windows too",
            lambda: network.boundary_margins(x, progress=False),
            inputs=len(x),
        ),
    ]
    insens = timed(
        "Insens of all hidden layers, all neurons",
        lambda: network.insens(x, names, state="all", progress=False),
        inputs=len(x),
    )
    return paths, margins, insens


def benchmark(model: Any, x: np.ndarray, rounds: int) -> dict[str, Any]:
    """Return every table of this benchmark by its name, as `report` takes them."""
    paths, margins, insens = works(model, x)
    unit = timed("IG64", yardsticks.integrated_gradients(model, x[1:2]))
    return {
        "works": [compared(work, unit, rounds) for work in (*paths, *margins)],
        "other_yardsticks": [compared(work, insens, rounds) for work in margins],
    }


def main() -> None:
    """Run the benchmark and print, and write, its tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="a model as experiments.train writes it")
    parser.add_argument("--data", required=True, help="the .npz of its data set, from data_scripts")
    parser.add_argument("--rounds", type=int, default=5, help="how many pairs to time (5)")
    parser.add_argument("--out", help="a .json file to write")
    arguments = parser.parse_args()
    model = tf.keras.models.load_model(arguments.model, safe_mode=True)
    x = images_of(arguments.data, count=INPUTS)
    record = measured_on(arguments.data, x, arguments.rounds)
    publish(record | benchmark(model, x, arguments.rounds), arguments.out)


if __name__ == "__main__":
    main()
