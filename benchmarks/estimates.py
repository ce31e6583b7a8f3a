"""What estimates of Insens cost, as multiples of IG64, and whether their errors are those stated.

    python -m benchmarks.estimates --network ResNet50 --size 224 --out FILE
    python -m benchmarks.estimates --model models/mnist/model.keras --data data/mnist.npz --seeds 8

For the last and the middle hidden layer, or with `--layers all` each of them (`every`) or all of
them in one sweep (`all`): passes, time, the error that is stated and the actual one, of the first
image. The actual error is the distance from exact Insens; where that is planned at more than
`--exact` gradients of the network, only some of the layer's neurons are given a frequency, and the
estimate of these is held against their exact sum. IG64 is timed beside, by an eighth of its steps,
in seconds and in processor seconds: where others want the processors too, only the latter are
comparable. Exact Insens is planned, and timed where it is planned at no more than `--exact-timed`
gradients.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import insens_tf
from benchmarks import yardsticks
from benchmarks.architectures import NETWORKS, application, images
from benchmarks.report import publish
from benchmarks.timing import Run, environment, extra_memory
from benchmarks.trained_networks import images_of
from insens_tf.estimate import MOST_PASSES

SAMPLED_NEURONS = 256
TIMED_STEPS = 8
TRACED_PASSES = 90

Frequency = Mapping[str, np.ndarray]


def lengths(maps: np.ndarray) -> np.ndarray:
    """Return the Euclidean length of each map, in float64."""
    return np.sqrt(np.square(maps, dtype=np.float64).reshape(len(maps), -1).sum(axis=1))


def sampled(
    network: insens_tf.SwitchedNetwork, x: np.ndarray, layer: insens_tf.HiddenLayer, seed: int = 0
) -> np.ndarray:
    """Return a frequency that is 1 of some of the layer's inactive neurons, and 0 elsewhere."""
    inactive = np.flatnonzero((network.activity(x, layer) <= 0).all(axis=0))
    count = min(SAMPLED_NEURONS, len(inactive))
    frequency = np.zeros(layer.shape)
    frequency.flat[np.random.default_rng(seed).choice(inactive, count, replace=False)] = 1.0
    return frequency


def errors(
    network: insens_tf.SwitchedNetwork,
    x: np.ndarray,
    layer: insens_tf.HiddenLayer,
    frequency: np.ndarray | None,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Return the stated and the actual error, root mean squares over seeds.

    Returns
    -------
    dict
        "passes": their mean; "stated", "actual": relative to the map's length; "seeds"; "against":
        what it is held against.
    """
    against = "all neurons"
    if network.plan(x.shape, layer, frequency).gradients > arguments.exact * len(x):
        frequency = sampled(network, x, layer)
        against = f"{np.count_nonzero(frequency)} neurons"
    exact = network.insens(x, layer, frequency, progress=False)
    stated, actual, passes = [], [], []
    for seed in range(arguments.seeds):
        estimate = network.estimate_insens(
            x, layer, frequency, tolerance=arguments.tolerance, seed=seed, progress=False
        )
        stated.append(estimate.relative_error)
        passes.append(estimate.passes)
        actual.append(lengths(estimate.omega - exact) / lengths(estimate.omega))
    return {
        "passes": int(np.rint(np.mean(passes))),
        "stated": float(np.sqrt(np.mean(np.square(stated)))),
        "actual": float(np.sqrt(np.mean(np.square(actual)))),
        "seeds": arguments.seeds,
        "against": against,
    }


def cost(
    network: insens_tf.SwitchedNetwork,
    x: np.ndarray,
    layers: list[insens_tf.HiddenLayer],
    frequency: Frequency | None,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Return what an estimate of some layers takes for one image, in units of IG64.

    Returns
    -------
    dict
        "passes", "largest_error": the most of all layers; "seconds", "ratio", "least", "most";
        "processor_ratio": of processor seconds; "memory": bytes, of a first call.
    """
    unit = yardsticks.integrated_gradients(network.model, x, steps=TIMED_STEPS)

    def estimate(tolerance: float, most_passes: int) -> dict[str, insens_tf.InsensEstimate]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return network.estimate_insens(
                x,
                layers,
                frequency,
                tolerance=tolerance,
                most_passes=most_passes,
                progress=False,
            )

    unit()
    # A first call that does a little of all there is traces TensorFlow's functions.
    memory = extra_memory(lambda: estimate(0.005, TRACED_PASSES))
    found: dict[str, insens_tf.InsensEstimate] = {}

    def run() -> None:
        found.update(estimate(arguments.tolerance, MOST_PASSES))

    return {
        **against_unit(run, unit, arguments.rounds),
        "passes": int(max(one.passes.max() for one in found.values())),
        "largest_error": float(max(one.relative_error.max() for one in found.values())),
        "memory": memory,
    }


def against_unit(run: Run, unit: Run, rounds: int) -> dict[str, float]:
    """Time a run, each time between two of a share of IG64's steps, in units of IG64."""
    times = np.array([[_times(unit), _times(run), _times(unit)] for _ in range(rounds)])
    units = (times[:, 0] + times[:, 2]) / 2 * yardsticks.STEPS / TIMED_STEPS
    ratios = times[:, 1] / units
    return {
        "seconds": float(np.median(times[:, 1, 0])),
        "ratio": float(np.median(ratios[:, 0])),
        "least": float(ratios[:, 0].min()),
        "most": float(ratios[:, 0].max()),
        "processor_ratio": float(np.median(ratios[:, 1])),
    }


def _times(run: Run) -> tuple[float, float]:
    """Return the seconds and the processor seconds of a run."""
    start = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def exactly(
    network: insens_tf.SwitchedNetwork,
    x: np.ndarray,
    layers: list[insens_tf.HiddenLayer],
    frequency: Frequency | None,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Return how exact Insens is planned, and what it takes where that is little.

    Returns
    -------
    dict
        "ways"; "planned", gradients of an input; "exact_ratio", in units of IG64, by processor
        seconds, where it was timed.
    """
    plan = network.plan(x, layers, frequency)
    row = {
        "ways": sorted({one.way for one in plan.layers}),
        "planned": plan.gradients / len(x),
    }
    if plan.gradients > arguments.exact_timed * len(x):
        return row

    def run() -> None:
        network.insens(x, layers, frequency, progress=False)

    run()
    unit = yardsticks.integrated_gradients(network.model, x, steps=TIMED_STEPS)
    unit()
    return row | {"exact_ratio": against_unit(run, unit, arguments.rounds)["processor_ratio"]}


def measured(
    network: insens_tf.SwitchedNetwork,
    x: np.ndarray,
    frequency: Frequency | None,
    name: str,
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Return a row for each layer, or one for all of them in a sweep."""
    hidden = list(network.layers)
    if arguments.layers == "all":
        return [
            {
                "network": name,
                "layer": f"all {len(hidden)}",
                **cost(network, x, hidden, frequency, arguments),
                **exactly(network, x, hidden, frequency, arguments),
            }
        ]
    chosen = hidden if arguments.layers == "every" else [hidden[-1], hidden[len(hidden) // 2]]
    rows = []
    for layer in chosen:
        row: dict[str, Any] = {"network": name, "layer": layer.name, "neurons": layer.neurons}
        if arguments.rounds:
            row |= cost(network, x, [layer], frequency, arguments)
            row |= exactly(network, x, [layer], frequency, arguments)
        if arguments.seeds:
            of_layer = None if frequency is None else frequency[layer.name]
            row |= errors(network, x, layer, of_layer, arguments)
        print(row, flush=True)
        rows.append(row)
    return rows


def joined(known: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a file with new ones, which replace what is known of the same layer."""
    by_layer = {(row["network"], row["layer"]): row for row in [*known, *rows]}
    return list(by_layer.values())


def main() -> None:
    """Measure a network, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--network", choices=NETWORKS, help="of keras.applications, random weights")
    what.add_argument("--model", type=Path, help="a trained one, a file of Keras")
    parser.add_argument("--data", help="the .npz of its data set, from data_scripts")
    parser.add_argument("--size", type=int, default=224, help="of the inputs, in pixels; 224")
    parser.add_argument("--inputs", type=int, default=1, help="how many images (1)")
    parser.add_argument("--layers", choices=("two", "every", "all"), default="two")
    parser.add_argument("--tolerance", type=float, default=0.05, help="the error asked for (0.05)")
    parser.add_argument("--seeds", type=int, default=4, help="to measure errors with; 0: none")
    parser.add_argument("--rounds", type=int, default=3, help="to time; 0: none")
    parser.add_argument("--exact", type=float, default=2000.0, help="gradients it may take (2000)")
    parser.add_argument(
        "--exact-timed", type=float, default=300.0, help="gradients that timing it may take (300)"
    )
    parser.add_argument("--out", type=Path, help="a .json file, to add the rows to")
    arguments = parser.parse_args()
    if (arguments.model is None) != (arguments.data is None):
        parser.error("--model and --data go together")
    frequency: Frequency | None = None
    if arguments.model is None:
        model = application(arguments.network, arguments.size)
        x = images(model, arguments.inputs)
        name = f"{arguments.network}, {arguments.size}x{arguments.size}"
        network = insens_tf.SwitchedNetwork(model, prove=False)
    else:
        model = tf.keras.models.load_model(arguments.model, safe_mode=True)
        train = images_of(arguments.data, "x_train", 2000)
        x = images_of(arguments.data, count=arguments.inputs)
        name = f"{arguments.model.stem}, trained"
        network = insens_tf.SwitchedNetwork(model, prove=False)
        frequency = network.activation_frequency(train, progress=False)
    rows = measured(network, x, frequency, name, arguments)
    record = {**environment(), "rounds": max(1, arguments.rounds), "estimates": rows}
    if arguments.out is not None and arguments.out.exists():
        known = json.loads(arguments.out.read_text("utf-8"))["estimates"]
        record["estimates"] = joined(known, rows)
    publish(record, arguments.out)


if __name__ == "__main__":
    main()
