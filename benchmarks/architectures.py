"""Real architectures with random weights: read, and held against automatic differentiation.

    python -m benchmarks.architectures
    python -m benchmarks.architectures --network ResNet50 --size 64 --out FILE

For each of `keras.applications`' networks that is piecewise linear: its layers, hidden layers and
neurons; how far outputs, switched weights and Insens are from those of the Keras model itself and
`tf.GradientTape`; and which way Insens of the last hidden layer takes, how long, and in how much
memory. Those that cannot be read are there with what they are refused with.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import keras

import insens_tf
from benchmarks.report import printed, write
from benchmarks.timing import environment, extra_memory

NETWORKS = ("VGG16", "ResNet50", "MobileNetV2", "DenseNet121", "EfficientNetB0")
SUMMED = 24
"""How many neurons of the last hidden layer Insens is summed over to be held against gradients."""


def application(name: str, size: int, seed: int = 0, classes: int = 10) -> keras.Model:
    """Build one of Keras' applications with random weights.

    Its batch normalisations' statistics are those of random images, so that about half of the
    neurons of every layer are active, and activities are neither tiny nor huge.

    Parameters
    ----------
    name : str
        A function of `keras.applications`.
    size : int
        The inputs are size x size x 3.
    seed : int
    classes : int
    """
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=classes
    )
    randomise(model, seed)
    return model


def randomise(model: keras.Model, seed: int) -> None:
    """Draw all weights of an image model anew, and set its statistics to those of random images."""
    random = np.random.default_rng(seed)
    normalisations = []
    for layer in model.layers:
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        if isinstance(layer, keras.layers.BatchNormalization):
            normalisations.append(layer)
        for variable in layer.trainable_weights:
            shape = tuple(variable.shape)
            if len(shape) > 1:
                seen = np.prod(shape[:2] if depthwise else shape[:-1])
                values = random.normal(scale=np.sqrt(2 / seen), size=shape)
            elif "gamma" in variable.name:
                values = random.uniform(0.5, 1.5, shape)
            else:
                values = random.normal(scale=0.3, size=shape)
            variable.assign(values)
    momenta = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        layer.momentum = 0.0
    model(images(model, 16, seed), training=True)
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum


def images(model: keras.Model, count: int, seed: int = 0) -> np.ndarray:
    """Return random inputs, (count, *input_shape), of the model's dtype."""
    random = np.random.default_rng([seed, 1])
    return random.normal(size=(count, *model.input_shape[1:])).astype(model.compute_dtype)


class Reference:
    """The activity of one of a model's layers, and gradients of it, without insens_tf.

    Parameters
    ----------
    model : keras.Model
    layer : str
        Its name. An activation that it has as an argument is left out.
    """

    def __init__(self, model: keras.Model, layer: str) -> None:
        found = model.get_layer(layer)
        self._run: Callable[[tf.Tensor], tf.Tensor] = keras.Model(model.input, found.output)
        if getattr(found, "activation", keras.activations.linear) is not keras.activations.linear:
            without = type(found).from_config({**found.get_config(), "activation": None})
            without.build(found.input.shape)
            without.set_weights(found.get_weights())
            below = keras.Model(model.input, found.input)
            self._run = lambda x: without(below(x))

    def activity(self, x: np.ndarray) -> np.ndarray:
        """Return the layer's activity, (n, *shape)."""
        return np.asarray(self._run(tf.constant(x)))

    def weights(self, x: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Return gradients of neurons, flat indices, for one input: (k, *input_shape)."""
        inputs = tf.constant(x[np.newaxis])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            value = tf.reshape(self._run(inputs), [-1])
            chosen = [value[neuron] for neuron in neurons]
        return np.concatenate([np.asarray(tape.gradient(one, inputs)) for one in chosen])

    def insens(self, x: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        """Return Insens for one input, summed over some neurons' gradients one by one."""
        activity = self.activity(x[np.newaxis]).reshape(-1)
        omega = np.zeros(x.shape)
        for neuron, w in zip(neurons, self.weights(x, neurons).astype(np.float64), strict=True):
            if activity[neuron] <= 0 and w.any():
                omega += activity[neuron] * w / np.sum(w**2)
        return omega


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest relative L2 error of rows, of all rows that are not 0."""
    actual, expected = (np.asarray(one, np.float64) for one in (actual, expected))
    rows = expected.reshape(len(expected), -1)
    norms = np.linalg.norm(rows, axis=1)
    errors = np.linalg.norm(actual.reshape(rows.shape) - rows, axis=1)
    return float(np.max(errors / np.where(norms > 0, norms, 1.0)))


def measured(name: str, size: int, seed: int = 0) -> dict[str, Any]:
    """Return a row of the table: what an architecture is read as, and how exactly.

    Returns
    -------
    dict
        "network" and "refused", the message, of what cannot be read. Else "layers", "hidden",
        "neurons"; "output_error", the largest of the probabilities; "weights_error" and
        "insens_error", the largest relative L2; "layer", "way", "milliseconds" and "memory" of
        Insens of the last hidden layer for one input, once its functions are traced.
    """
    model = application(name, size, seed)
    row: dict[str, Any] = {"network": f"{name}, {size}x{size}x3", "layers": len(model.layers)}
    try:
        network = insens_tf.SwitchedNetwork(model)
    except insens_tf.UnreadableModelError as error:
        return {**row, "refused": str(error)}
    x = images(model, 2, seed)
    row["hidden"] = len(network.layers)
    row["neurons"] = sum(layer.neurons for layer in network.layers)
    probabilities = tf.nn.softmax(network.activity(x, network.output))
    row["output_error"] = float(np.abs(probabilities - model(x)).max())
    hidden = network.layers
    chosen = (hidden[0], hidden[len(hidden) // 2], hidden[-2], network.output)
    row["weights_error"] = max(weights_error(model, network, x, one, seed) for one in chosen)
    row["insens_error"] = insens_error(model, network, x, seed)
    last = network.layers[-1]
    row["layer"] = f"{last.name} {last.shape}"
    row["way"] = network.plan((1, *network.input_shape), last).layers[0].way
    row["memory"] = extra_memory(lambda: network.insens(x[:1], last, progress=False))
    start = time.perf_counter()
    network.insens(x[:1], last, progress=False)
    row["milliseconds"] = 1000 * (time.perf_counter() - start)
    return row


def weights_error(
    model: keras.Model,
    network: insens_tf.SwitchedNetwork,
    x: np.ndarray,
    layer: insens_tf.HiddenLayer,
    seed: int = 0,
) -> float:
    """Return how far w of some of a layer's neurons is off, for the first input."""
    neurons = np.random.default_rng(seed).choice(layer.neurons, 4, replace=False)
    weights = network.project(x[:1], layer, neurons.tolist()).weights[0]
    return relative_error(weights, Reference(model, layer.name).weights(x[0], neurons))


def insens_error(
    model: keras.Model, network: insens_tf.SwitchedNetwork, x: np.ndarray, seed: int = 0
) -> float:
    """Return how far Insens of some of the last hidden layer's neurons is off."""
    layer = network.layers[-1]
    neurons = np.random.default_rng(seed).choice(layer.neurons, SUMMED, replace=False)
    frequency = np.zeros(layer.shape)
    frequency.flat[neurons] = 1.0
    actual = network.insens(x[:1], layer, frequency, progress=False)
    expected = Reference(model, layer.name).insens(x[0], neurons)
    return relative_error(actual, expected[np.newaxis])


def main() -> None:
    """Measure the networks, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, action="append", help="default: each")
    parser.add_argument("--size", type=int, default=32, help="of the inputs, in pixels; default 32")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--out", help="a .json file for the results")
    arguments = parser.parse_args()
    record: dict[str, Any] = {**environment(), "rounds": 1, "seed": arguments.seed}
    for name in arguments.network or NETWORKS:
        row = measured(name, arguments.size, arguments.seed)
        record.setdefault("refused" if "refused" in row else "architectures", []).append(row)
        if arguments.out is not None:
            write(record, arguments.out)
    print(printed(record))


if __name__ == "__main__":
    main()
