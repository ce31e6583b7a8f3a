"""Steps from images along maps, and what they change in a network's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import insens_tf

__all__ = [
    "IMAGES_OF_MARGINS",
    "LENGTHS",
    "LENGTH_OF_MARGINS",
    "MEASURES",
    "RANDOM",
    "directions",
    "measured",
]

LENGTHS = (0.01, 0.1, 0.5, 1.0, 2.0, 4.0)
"""Of the steps, in L2, for images in 0 to 1."""

RANDOM = "random"
"""The direction that differences are to."""

LENGTH_OF_MARGINS = 2.0
"""Of the steps after which margins are computed, which cost much more than activities."""

IMAGES_OF_MARGINS = 20
"""The first so many images alone have margins, for the same reason."""

MEASURES = {
    "switched on": "share of the inactive neurons that become active",
    "switched off": "share of the active neurons that become inactive",
    "inactive v": "change of the mean v of the inactive neurons, in units of its magnitude",
}
"""What is measured of each layer.

In the summary there are also "any", the share of the images of which any neuron of the layer
switches; of the whole network "accuracy", and "another class", the share of the images whose class
is not that of before the step; and "nearest": how far a layer's nearest neuron is from switching
after a step, over how far it was; the median over the images, as some lie next to a boundary."""


def directions(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    frequency: Mapping[str, NDArray[Any]],
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Return the directions of steps from inputs, of length 1; 0 where a map is 0 everywhere.

    Parameters
    ----------
    network
        Of any model that ends in logits.
    x
        The inputs, (n, *input_shape).
    frequency
        m/N of each layer, which names the layers.
    seed
        Decides the random direction.

    Returns
    -------
    dict of str to numpy.ndarray
        By their names, shaped as x.
    """
    layers = list(frequency)
    maps = {
        f"Insens {name}": one
        for name, one in network.insens(x, layers, frequency, progress=False).items()
    }
    maps |= {
        f"Insens {name} without m/N": one
        for name, one in network.insens(x, layers, progress=False).items()
    }
    maps["Insens of all layers"] = network.insens_of_all_layers(x, progress=False)
    maps["gradient"] = _gradients(network, x)
    both = {f"{sign} {name}": one for name, one in maps.items() for sign in "+-"}
    noise = np.random.default_rng(seed).normal(size=x.shape)
    found = {**both, "+ image": x, RANDOM: noise}
    return {name: _unit(one) * (-1 if name.startswith("-") else 1) for name, one in found.items()}


def _gradients(network: insens_tf.SwitchedNetwork, x: NDArray[np.float32]) -> NDArray[Any]:
    classes = network.activity(x, network.output).argmax(axis=1)
    return np.stack(
        [
            network.project(one[np.newaxis], network.output, int(label)).weights[0, 0]
            for one, label in zip(x, classes, strict=True)
        ]
    )


def _unit(maps: NDArray[Any]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(maps.reshape(len(maps), -1).astype(np.float64), axis=1)
    lengths[lengths == 0] = 1
    return maps / lengths.reshape(-1, *(1,) * (maps.ndim - 1))


def measured(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    labels: NDArray[np.integer],
    steps: Mapping[str, NDArray[np.float64]],
) -> dict[str, NDArray[Any]]:
    """Return what steps of all lengths change.

    Parameters
    ----------
    network
        Of any model that ends in logits.
    x
        The inputs, (n, *input_shape).
    labels
        Their classes, (n,).
    steps
        Directions of length 1 by their names, shaped as x.

    Returns
    -------
    of_layers : numpy.ndarray of float32, shape (directions, lengths, n, layers, measures)
        Each of the `MEASURES`; NaN where there is no such neuron.
    correct : numpy.ndarray of bool, shape (directions, lengths, n)
        Whether the class is the label.
    another_class : numpy.ndarray of bool, shape (directions, lengths, n)
        Whether the class is not that of before the step.
    nearest : numpy.ndarray of float32, shape (directions, at most IMAGES_OF_MARGINS, layers)
        After steps of `LENGTH_OF_MARGINS`.
    """
    names = [layer.name for layer in network.layers]
    first = slice(IMAGES_OF_MARGINS)
    before = network.activity(x, [*names, network.output.name])
    class_before = before[network.output.name].argmax(axis=1)
    near = _nearest(network, x[first], names)
    shape = len(steps), len(LENGTHS), len(x)
    found = {
        "of_layers": np.empty((*shape, len(names), len(MEASURES)), np.float32),
        "correct": np.empty(shape, np.bool_),
        "another_class": np.empty(shape, np.bool_),
        "nearest": np.empty((len(steps), *near.shape), np.float32),
    }
    for number, direction in enumerate(steps.values()):
        for which, length in enumerate(LENGTHS):
            moved = (x + length * direction).astype(np.float32)
            after = network.activity(moved, [*names, network.output.name])
            for layer, name in enumerate(names):
                found["of_layers"][number, which, :, layer] = _changes(before[name], after[name])
            classes = after[network.output.name].argmax(axis=1)
            found["correct"][number, which] = classes == labels
            found["another_class"][number, which] = classes != class_before
        moved = (x + LENGTH_OF_MARGINS * direction)[first].astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            found["nearest"][number] = _nearest(network, moved, names) / near
    return found


def _changes(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
    """Return the shares that switch on and off, and how v of the inactive changes, (n, 3)."""
    first, second = (one.reshape(len(one), -1).astype(np.float64) for one in (before, after))
    inactive = first <= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        on = ((second > 0) & inactive).sum(axis=1) / inactive.sum(axis=1)
        off = ((second <= 0) & ~inactive).sum(axis=1) / (~inactive).sum(axis=1)
        change = np.where(inactive, second - first, 0).sum(axis=1)
        change /= np.abs(np.where(inactive, first, 0)).sum(axis=1)
    return np.stack([on, off, change], axis=1)


def _nearest(
    network: insens_tf.SwitchedNetwork, x: NDArray[np.float32], names: list[str]
) -> NDArray[np.float64]:
    """Return how far the nearest neuron of each layer is from switching, (n, layers)."""
    margins = network.margins(x, names, progress=False)
    return np.stack([np.abs(one).reshape(len(x), -1).min(axis=1) for one in margins.values()], 1)
