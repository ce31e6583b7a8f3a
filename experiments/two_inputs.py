"""A ReLU network of two inputs, whose input space can be drawn; it tells two moons apart.

For Figures 1 and 3, and the drawings of the documentation. It is trained in NumPy, within a second,
so that it is the same network, to the rounding, whatever the version of TensorFlow.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow import keras

import insens_tf
from experiments.experiment import Run
from insens_tf.regions import Slice

__all__ = [
    "HIDDEN",
    "WINDOW",
    "held_out",
    "in_window",
    "moons",
    "plane",
    "record",
    "region_of",
    "regions_of",
    "stored_regions",
    "trained",
]

HIDDEN = (6, 4)
"""How many neurons each hidden layer has: few enough to be drawn one by one."""

WINDOW = ((-1.7, -1.2), (2.7, 1.7))
"""The part of the plane that is drawn: its lower left and its upper right corner."""

_POINTS = 200
_NOISE = 0.12
_STEPS = 2000
_RATE = 0.1
_MOMENTUM = 0.9
_DECAY = 0.003  # of kernels: keeps the numbers small that are drawn

Floats = NDArray[np.float64]


def moons(
    count: int, random: np.random.Generator, noise: float = _NOISE
) -> tuple[Floats, NDArray[np.int64]]:
    """Draw points of two half circles that reach into each other, and which of both each is of.

    Returns
    -------
    x : numpy.ndarray of float64, shape (count, 2)
    labels : numpy.ndarray of int, shape (count,)
        0 of the upper half circle, around (0, 0), and 1 of the lower one, around (1, 0.5).
    """
    labels = np.arange(count) % 2
    angles = random.uniform(0, np.pi, count)
    upper = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lower = np.array([1.0, 0.5]) - upper
    x = np.where(labels[:, np.newaxis] == 0, upper, lower)
    return x + random.normal(scale=noise, size=x.shape), labels


def held_out(seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Return points, and their moons, that the network of this seed was not trained on."""
    return moons(_POINTS, np.random.default_rng([seed, 1]))


@lru_cache(maxsize=2)
def trained(seed: int = 0) -> insens_tf.SwitchedNetwork:
    """Return the network of a seed: two inputs, two hidden layers, one logit, in float64."""
    random = np.random.default_rng([seed, 0])
    x, labels = moons(_POINTS, random)
    layers = keras.layers
    model = keras.Sequential([keras.Input((2,), dtype="float64", name="x")], name="two_inputs")
    for number, units in enumerate(HIDDEN, 1):
        model.add(layers.Dense(units, "relu", name=f"hidden_{number}", dtype="float64"))
    model.add(layers.Dense(1, "sigmoid", name="output", dtype="float64"))
    model.set_weights(_fitted(x, labels, random))
    return insens_tf.SwitchedNetwork(model)


def plane(network: insens_tf.SwitchedNetwork) -> Slice:
    """Return `WINDOW`, cut into the linear regions of a network of two inputs."""
    (left, bottom), (right, top) = WINDOW
    corners = np.array([(left, bottom), (right, bottom), (left, top)])
    return network.slice(*corners, progress=False)


def region_of(network: insens_tf.SwitchedNetwork, x: Floats, cut: Slice) -> int:
    """Return the number, among those of the plane, of the region that an input lies in."""
    return int(np.argmax(network.region(x).contains(cut.at(cut.centres))))


def stored_regions(cut: Slice) -> dict[str, NDArray[Any]]:
    """Return the regions of a plane as arrays that a file can hold.

    Returns
    -------
    dict of str to numpy.ndarray
        ``vertices``, as inputs, of one region after the other, and ``sizes``, how many each has.
    """
    return {
        "vertices": np.concatenate([cut.at(one) for one in cut.polygons]),
        "sizes": np.array([len(one) for one in cut.polygons]),
    }


def regions_of(numbers: Mapping[str, NDArray[Any]]) -> list[Floats]:
    """Return the vertices of each region, (n, 2), of what `stored_regions` gave."""
    return np.split(numbers["vertices"], np.cumsum(numbers["sizes"])[:-1])


def in_window(points: Floats) -> NDArray[np.bool_]:
    """Tell which of some points, (n, 2), lie in `WINDOW`."""
    low, high = np.array(WINDOW)
    return ((points > low) & (points < high)).all(axis=1)


def record(run: Run) -> insens_tf.SwitchedNetwork:
    """Train the network of a run's seed, and note in the run's record how good it is."""
    started = time.perf_counter()
    network = trained(run.seed)
    seconds = round(time.perf_counter() - started, 1)
    of_parts = {
        "train": moons(_POINTS, np.random.default_rng([run.seed, 0])),
        "test": held_out(run.seed),
    }
    accuracies = {
        f"{part}_accuracy": float(
            ((network.activity(x, network.output)[:, 0] > 0) == labels).mean()
        )
        for part, (x, labels) in of_parts.items()
    }
    config = {
        "data": "two moons",
        "seed": run.seed,
        "hidden": list(HIDDEN),
        "train_points": _POINTS,
        "noise": _NOISE,
        "steps": _STEPS,
        "learning_rate": _RATE,
        "momentum": _MOMENTUM,
        "weight_decay": _DECAY,
    }
    run.record["networks"] = [{"config": config, "seconds": seconds, **accuracies}]
    return network


def _fitted(
    x: Floats, labels: NDArray[np.int64], random: np.random.Generator
) -> list[NDArray[Any]]:
    """Return kernels and biases, in turn, after gradient descent with momentum and decay."""
    parameters: list[Floats] = []
    for inputs, units in pairwise((2, *HIDDEN, 1)):
        kernel = random.normal(scale=np.sqrt(2 / inputs), size=(inputs, units))
        parameters += [kernel, np.zeros(units)]
    velocities = [np.zeros_like(one) for one in parameters]
    for _ in range(_STEPS):
        gradients = _gradients(parameters, x, labels)
        for parameter, velocity, gradient in zip(parameters, velocities, gradients, strict=True):
            velocity *= _MOMENTUM
            velocity -= _RATE * gradient
            parameter += velocity
    return parameters


def _gradients(parameters: list[Floats], x: Floats, labels: NDArray[np.int64]) -> list[Floats]:
    """Return the gradients of the loss in the parameters, in their order."""
    kernels, biases = parameters[::2], parameters[1::2]
    values = [x]
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        values.append(np.maximum(values[-1] @ kernel + bias, 0))
    logits = values[-1] @ kernels[-1] + biases[-1]
    error = (1 / (1 + np.exp(-logits)) - labels[:, np.newaxis]) / len(x)
    gradients = []
    for kernel, value in zip(reversed(kernels), reversed(values), strict=True):
        gradients += [error.sum(axis=0), value.T @ error + _DECAY * kernel]
        error = (error @ kernel.T) * (value > 0)
    return gradients[::-1]
