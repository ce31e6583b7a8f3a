"""What Insens costs, against integrated gradients and against one gradient a neuron.

    python -m benchmarks.insens
    python -m benchmarks.insens --model models/mnist/model.keras --data data/mnist.npz --out FILE

Without --model, 2CONV is trained on the digits that come with the package, as `insens-tf demo`
does. docs/performance.md says how to read the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

import insens_tf
from benchmarks import yardsticks
from benchmarks.report import publish
from benchmarks.timing import Work, compared, timed, together
from benchmarks.trained_networks import images_of, measured_on
from insens_tf import demo
from insens_tf.batches import BATCH_SIZE
from insens_tf.method_table import COMPARED_METHODS

ANALYZERS = tuple(COMPARED_METHODS)
"""iNNvestigate's that the paper compares with."""

SAMPLED_NEURONS = 20
# More at a time, up to a layer's whole Jacobian, take longer a neuron, and gigabytes.
JACOBIAN_ROWS = 128
PROJECTED_NEURONS = 100
FREQUENCY_SAMPLES = 10000
PREDICTED_SAMPLES = 2000
CHECKED_INPUTS = 3


def ig64(model: Any, x: np.ndarray) -> Work:
    """Return the unit of all tables."""
    return timed("IG64", yardsticks.integrated_gradients(model, x), inputs=len(x))


def insens(
    network: insens_tf.SwitchedNetwork,
    layers: list[str],
    x: np.ndarray,
    frequency: Mapping[str, np.ndarray] | None = None,
) -> Work:
    """Return Insens of some layers in one sweep."""
    every = len(layers) > 1 and len(layers) == len(network.layers)
    name = "all hidden layers" if every else ", ".join(layers)
    return timed(
        f"Insens of {name}",
        lambda: network.insens(x, layers, frequency, progress=False),
        inputs=len(x),
    )


def benchmark(model: Any, x: np.ndarray, x_train: np.ndarray, rounds: int) -> dict[str, Any]:
    """Return every table of this benchmark by its name, as `report` takes them.

    Parameters
    ----------
    model : Keras model
    x : numpy.ndarray, shape (n, *input_shape)
        What Insens is computed of.
    x_train : numpy.ndarray, shape (N, *input_shape)
        What the activation frequency is counted over.
    rounds : int
        How many pairs are timed.
    """
    network = insens_tf.SwitchedNetwork(model)
    frequency = network.activation_frequency(x_train[:FREQUENCY_SAMPLES], progress=False)
    names = [layer.name for layer in network.layers]
    sets = [[name] for name in names] + [names]
    # A network for each, so that each traces what it needs.
    ours = [insens(insens_tf.SwitchedNetwork(model), layers, x, frequency) for layers in sets]
    unit = ig64(model, x)
    gradient = timed("one gradient", yardsticks.gradient(model, x), inputs=len(x))
    unit_at_once = timed(
        "IG64, all steps in one batch",
        yardsticks.integrated_gradients(model, x, at_a_time=yardsticks.STEPS),
        inputs=len(x),
    )
    parts = [yardsticks.activity_model(model, name) for name in names]
    neuron_by_neuron = {
        mode: each_and_together(
            f"one {mode} gradient a neuron",
            [gradient_a_neuron(mode, part, layer, x) for layer, part in zip(network.layers, parts)],
        )
        for mode in ("eager", "compiled")
    }
    jacobians = each_and_together(
        "batch_jacobian", [jacobian(part, layer, x) for layer, part in zip(network.layers, parts)]
    )
    analyzers = [
        timed(f"iNNvestigate's {name}", yardsticks.analysis(name, model, x), inputs=len(x))
        for name in ANALYZERS
    ]
    against_unit = [
        *ours,
        gradient,
        unit_at_once,
        *analyzers,
        *jacobians,
        *neuron_by_neuron["compiled"],
        *neuron_by_neuron["eager"],
    ]
    data = x_train[:PREDICTED_SAMPLES]
    counting = timed(
        "activation_frequency",
        lambda: network.activation_frequency(data, progress=False),
        inputs=len(data),
    )
    predicting = timed(
        "predict", lambda: model.predict(data, batch_size=BATCH_SIZE, verbose=0), inputs=len(data)
    )
    pairs = [
        *((work, unit) for work in against_unit),
        *zip(neuron_by_neuron["eager"], ours),
        (counting, predicting),
        *(projection(network, part, layer, x) for layer, part in zip(network.layers, parts)),
    ]
    rows = [compared(*pair, rounds) for pair in tqdm(pairs, desc="timing", unit="pair")]
    works, others = rows[: len(against_unit)], rows[len(against_unit) :]
    of_gradient = next(row["ratio"] for row in works if row["work"] == gradient.name)
    return {
        "works": works,
        "other_yardsticks": others,
        "plan": [
            {
                **plan,
                "measured_gradients": row["ratio"] / of_gradient,
                "first_call_memory": row["first_call_memory"],
                "later_call_memory": row["later_call_memory"],
            }
            for plan, row in zip(planned(network, x, frequency), works)
        ],
        "exactness": [
            {
                "layer": name,
                "inputs": len(x[:CHECKED_INPUTS]),
                "largest_relative_error": largest_error(network, x[:CHECKED_INPUTS], name),
            }
            for name in tqdm(names, desc="checking", unit="layer")
        ],
    }


def largest_error(network: insens_tf.SwitchedNetwork, x: np.ndarray, layer: str) -> float:
    """Return how far Insens is from the same sum in float64, relative to the map's norm.

    Summed neuron by neuron from each one's switched weights, with the state that TensorFlow's
    gradient saw; the largest over the inputs.
    """
    omegas = network.insens(x, layer, progress=False)
    errors = []
    for image, omega in zip(x, omegas):
        inactive = np.flatnonzero(network.activity(image[np.newaxis], layer) <= 0)
        total = np.zeros(network.input_shape)
        for part in network.iterate_projections(image[np.newaxis], layer, inactive):
            weights = part.weights[0].astype(np.float64)
            flat = weights.reshape(len(weights), -1)
            norms = np.einsum("kd,kd->k", flat, flat)
            activity = part.activity[0].astype(np.float64)
            scale = np.divide(activity, norms, out=np.zeros_like(norms), where=norms > 0)
            total += np.tensordot(scale, weights, axes=1)
        errors.append(np.linalg.norm(omega - total) / np.linalg.norm(total))
    return float(max(errors))


def each_and_together(name: str, works: list[Work]) -> list[Work]:
    """Return a work for each layer, which `works` are named after, and one for all of them."""
    return [
        *(Work(f"{name}, {work.name}", work.seconds) for work in works),
        together(f"{name}, all hidden layers", works),
    ]


def gradient_a_neuron(mode: str, part: Any, layer: Any, x: np.ndarray) -> Work:
    """Return a gradient for each of a layer's neurons, extrapolated from a sample of them."""
    neurons = sample(layer, SAMPLED_NEURONS)
    run = yardsticks.neuron_gradients(part, x, neurons, compiled=mode == "compiled")
    return timed(layer.name, run, share=len(neurons) / layer.neurons)


def jacobian(part: Any, layer: Any, x: np.ndarray) -> Work:
    """Return the whole Jacobian of a layer, extrapolated from some of its rows."""
    neurons = sample(layer, JACOBIAN_ROWS)
    run = yardsticks.jacobian_rows(part, x[:1], neurons)
    return timed(layer.name, run, share=len(neurons) / layer.neurons)


def projection(
    network: insens_tf.SwitchedNetwork, part: Any, layer: Any, x: np.ndarray
) -> tuple[Work, Work]:
    """Return the projection of some neurons for one input, and the gradients of as many."""
    neurons = sample(layer, PROJECTED_NEURONS)
    sampled = neurons[:SAMPLED_NEURONS]
    gradients = timed(
        f"{len(neurons)} eager gradients",
        yardsticks.neuron_gradients(part, x[:1], sampled),
        share=len(sampled) / len(neurons),
    )
    project = timed(
        f"project of {len(neurons)} neurons, {layer.name}",
        lambda: network.project(x[:1], layer, neurons),
    )
    return project, gradients


def sample(layer: Any, count: int) -> np.ndarray:
    """Return some of a layer's neurons, all if there are no more, always the same."""
    random = np.random.default_rng(0)
    return random.choice(layer.neurons, min(count, layer.neurons), replace=False)


def planned(
    network: insens_tf.SwitchedNetwork, x: np.ndarray, frequency: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Return what the plan says of each layer by itself, and of all in one sweep."""
    plan = network.plan(x.shape, frequency=frequency)
    return [
        *(
            {
                "layer": layer.name,
                "neurons": layer.neurons,
                "needed": layer.needed,
                "way": layer.way,
                "planned_gradients": layer.gradients / len(x),
                "planned_memory": layer.memory,
            }
            for layer in plan.layers
        ),
        {
            "layer": "all in one sweep",
            "neurons": sum(layer.neurons for layer in plan.layers),
            "needed": sum(layer.needed for layer in plan.layers),
            "way": "",
            "planned_gradients": plan.gradients / len(x),
            "planned_memory": plan.memory,
        },
    ]


def main() -> None:
    """Run the benchmark and print, and write, its tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="a 2CONV as experiments.train writes it; none: train one")
    parser.add_argument("--data", help="the .npz of its data set, from data_scripts")
    parser.add_argument("--inputs", type=int, default=8, help="how many test images (8)")
    parser.add_argument("--rounds", type=int, default=7, help="how many pairs to time (7)")
    parser.add_argument("--out", help="a .json file to write")
    arguments = parser.parse_args()
    if (arguments.model is None) != (arguments.data is None):
        parser.error("--model and --data go together")
    if arguments.model is None:
        digits = demo.digits()
        x_train, x_test = digits.x_train, digits.x_test
        model = demo.train(digits.x_train, digits.y_train)
    else:
        model = tf.keras.models.load_model(arguments.model, safe_mode=True)
        x_train, x_test = (images_of(arguments.data, part) for part in ("x_train", "x_test"))
    x = x_test[: arguments.inputs]
    record = measured_on(arguments.data, x, arguments.rounds)
    publish(record | benchmark(model, x, x_train, arguments.rounds), arguments.out)


if __name__ == "__main__":
    main()
