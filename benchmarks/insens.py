"""What Insens costs, against integrated gradients and against one gradient a neuron.

    python -m benchmarks.insens
    python -m benchmarks.insens --model models/mnist/model.keras --data data/mnist.npz --out FILE

Without --model, 2CONV is trained on the digits that come with the package, as `insens-tf demo`
does. Each figure is a ratio of two works that were timed in turn, median and range over the rounds:
absolute times depend on the machine and what else it does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tabulate import tabulate

import insens_tf
from insens_tf import demo
from insens_tf.files import whole_file

Work = Callable[[], Any]

STEPS = 64
STEPS_AT_A_TIME = 8
SAMPLED_NEURONS = 20


def integrated_gradients(model: Any, x: np.ndarray) -> Work:
    """Return the yardstick: integrated gradients of each input's predicted class, in 64 steps.

    One compiled function, eight steps at a time (Sundararajan et al., 2017; reference 0).
    """
    shares = tf.reshape((tf.range(STEPS, dtype=tf.float32) + 0.5) / STEPS, (-1, 1, 1, 1))
    classes = model(x).numpy().argmax(axis=1)

    @tf.function
    def attribute(image: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        total = tf.zeros_like(image)
        for begin in range(0, STEPS, STEPS_AT_A_TIME):
            steps = image * shares[begin : begin + STEPS_AT_A_TIME]
            with tf.GradientTape() as tape:
                tape.watch(steps)
                score = tf.gather(model(steps), label, axis=1)
            total += tf.reduce_sum(tape.gradient(score, steps), axis=0, keepdims=True)
        return image * total / STEPS

    images = [tf.constant(image[np.newaxis]) for image in x]
    labels = [tf.constant(label) for label in classes]
    return lambda: [attribute(image, label).numpy() for image, label in zip(images, labels)]


def a_gradient_a_neuron(model: Any, layer: Any, x: np.ndarray) -> tuple[Work, float]:
    """Return eager gradients of some neurons, and how many times as many the layer has."""
    part = tf.keras.Model(model.inputs, model.get_layer(layer.name).output)
    image = tf.constant(x[:1])
    chosen = np.random.default_rng(0).choice(layer.neurons, SAMPLED_NEURONS, replace=False)

    def gradients() -> None:
        for neuron in chosen:
            with tf.GradientTape() as tape:
                tape.watch(image)
                activity = tf.reshape(part(image), [-1])[neuron]
            tape.gradient(activity, image)

    return gradients, layer.neurons / SAMPLED_NEURONS


def seconds(work: Work) -> float:
    """Return how long one round of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compared(work: Work, yardstick: Work, rounds: int, scale: float = 1.0) -> dict[str, float]:
    """Return the ratio of two works' times, times `scale`, timed in turn after a first round."""
    work(), yardstick()
    pairs = [(seconds(work), seconds(yardstick)) for _ in range(rounds)]
    ratios = [scale * mine / other for mine, other in pairs]
    return {
        "ratio": float(np.median(ratios)),
        "least": min(ratios),
        "most": max(ratios),
        "milliseconds": 1000 * float(np.median([mine for mine, _ in pairs])),
        "yardstick_milliseconds": 1000 * float(np.median([other for _, other in pairs])),
    }


def measured(
    model: Any, x: np.ndarray, x_train: np.ndarray, rounds: int
) -> dict[str, dict[str, float]]:
    """Return every ratio by its name."""
    network = insens_tf.SwitchedNetwork(model)
    frequency = network.activation_frequency(x_train, progress=False)
    yardstick = integrated_gradients(model, x)
    names = [layer.name for layer in network.layers]

    def insens(layers: list[str], inputs: np.ndarray = x) -> Work:
        return lambda: network.insens(inputs, layers, frequency, progress=False)

    results = {
        f"Insens of {name} / IG64": compared(insens([name]), yardstick, rounds) for name in names
    }
    results["Insens of all hidden layers / IG64"] = compared(insens(names), yardstick, rounds)
    for layer in network.layers:
        naive, scale = a_gradient_a_neuron(model, layer, x)
        results[f"one gradient a neuron / Insens, {layer.name}"] = compared(
            naive, insens([layer.name], x[:1]), rounds, scale
        )
    data = x_train[:2000]
    results["activation_frequency / predict"] = compared(
        lambda: network.activation_frequency(data, progress=False),
        lambda: model.predict(data, batch_size=256, verbose=0),
        rounds,
    )
    layer = network.layers[-1]
    naive, _ = a_gradient_a_neuron(model, layer, x)
    neurons = np.arange(min(100, layer.neurons))
    results[f"project of {len(neurons)} neurons / as many gradients, {layer.name}"] = compared(
        lambda: network.project(x[:1], layer, neurons),
        naive,
        rounds,
        SAMPLED_NEURONS / len(neurons),
    )
    return results


def largest_error(network: insens_tf.SwitchedNetwork, x: np.ndarray, layer: Any) -> float:
    """Return how far Insens is from the same sum in float64, relative to the map's norm.

    Summed neuron by neuron from each one's switched weights, with the state that TensorFlow's
    gradient saw.
    """
    total = np.zeros(network.input_shape)
    for part in network.iterate_projections(x[:1], layer):
        weights = part.weights[0].astype(np.float64)
        flat = weights.reshape(len(weights), -1)
        norms = np.einsum("kd,kd->k", flat, flat)
        activity = part.activity[0].astype(np.float64)
        chosen = (activity <= 0) & (norms > 0)
        scale = np.divide(activity, norms, out=np.zeros_like(norms), where=chosen)
        total += np.tensordot(scale, weights, axes=1)
    omega = network.insens(x[:1], [layer], progress=False)[layer.name][0]
    return float(np.linalg.norm(omega - total) / np.linalg.norm(total))


def main() -> None:
    """Run the benchmark and print, and write, its table."""
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
        with np.load(arguments.data, allow_pickle=False) as file:
            x_train, x_test = (
                (file[name] / np.float32(255)).astype(np.float32) for name in ("x_train", "x_test")
            )
    x = x_test[: arguments.inputs]
    results = measured(model, x, x_train[:10000], arguments.rounds)
    network = insens_tf.SwitchedNetwork(model)
    errors = {layer.name: largest_error(network, x, layer) for layer in network.layers}
    rows = [
        (name, f"{one['ratio']:.3g}", f"{one['least']:.3g} to {one['most']:.3g}")
        for name, one in results.items()
    ]
    print(tabulate(rows, ["work", "ratio", "range"], disable_numparse=True))
    print()
    print(tabulate([(k, f"{v:.1e}") for k, v in errors.items()], ["layer", "error, relative L2"]))
    if arguments.out:
        record = {
            "inputs": len(x),
            "input_shape": list(x.shape[1:]),
            "rounds": arguments.rounds,
            "cores": os.cpu_count(),
            "versions": {
                "insens_tf": insens_tf.__version__,
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "numpy": np.__version__,
            },
            "ratios": results,
            "relative_errors": errors,
        }
        with whole_file(Path(arguments.out)) as partial:
            partial.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
