"""The methods that the paper compares, and their maps of one network."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import insens_tf
from insens_tf.batches import outputs
from insens_tf.method_table import COMPARED_METHODS
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = [
    "INSENS_METHODS",
    "METHOD_TITLES",
    "PENULTIMATE",
    "baseline_maps",
    "insens_maps",
    "method_maps",
    "method_name",
    "predicted",
]

PENULTIMATE = "dense"

INSENS_METHODS = {layer: f"insens/{layer}" for layer in HIDDEN_LAYERS}
"""By layer the name of its Insens among the methods."""

METHOD_TITLES = {
    name: title[:1].upper() + title[1:] for name, title in COMPARED_METHODS.items()
} | {INSENS_METHODS[layer]: f"Insens\nl = {number}" for layer, number in HIDDEN_LAYERS.items()}
"""How a column of a method's maps is titled."""


def method_name(method: str) -> str:
    """Return a method's title in one line."""
    return METHOD_TITLES[method].replace("\n", " ")


def predicted(model: Any, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the class that a network predicts for each image, (n,)."""
    return outputs(model, x).argmax(axis=1)


def baseline_maps(
    model: Any,
    x: NDArray[np.float32],
    classes: NDArray[np.int64] | None = None,
    names: Iterable[str] = COMPARED_METHODS,
) -> dict[str, NDArray[np.float32]]:
    """Return the maps of iNNvestigate's methods.

    Parameters
    ----------
    model
        2CONV.
    x
        Images, (n, height, width, channels).
    classes
        Which output, before the softmax, is explained for each image, (n,); None: the one that the
        network predicts.
    names
        The methods' names.

    Returns
    -------
    dict
        By the method's name the maps, shaped as x.
    """
    if classes is None:
        classes = predicted(model, x)
    return {
        name: insens_tf.create_analyzer(name, model, neuron_selection_mode="index").analyze(
            x, classes, progress=False
        )
        for name in names
    }


def insens_maps(
    model: Any,
    x: NDArray[np.float32],
    x_train: NDArray[np.float32],
    layers: Collection[str] = tuple(HIDDEN_LAYERS),
) -> dict[str, NDArray[np.float32]]:
    """Return Insens of hidden layers, weighted by their activation frequency m/N (Eq. 8).

    Parameters
    ----------
    model
        2CONV.
    x
        Images, (n, height, width, channels).
    x_train
        The N images over which it is counted how often each neuron is active.
    layers
        Names of the layers.

    Returns
    -------
    dict
        By the name in `INSENS_METHODS` the maps, shaped as x.
    """
    network = insens_tf.SwitchedNetwork(model)
    frequency = network.activation_frequency(x_train, progress=False)
    found = network.insens(x, list(layers), frequency, progress=False)
    return {INSENS_METHODS[layer]: maps for layer, maps in found.items()}


def method_maps(
    model: Any,
    x: NDArray[np.float32],
    x_train: NDArray[np.float32],
    layers: Collection[str] = tuple(HIDDEN_LAYERS),
    baselines: Iterable[str] = COMPARED_METHODS,
    classes: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Return the maps of iNNvestigate's methods and of Insens.

    Parameters
    ----------
    model, x
        As both have them.
    x_train, layers
        As :func:`insens_maps` has them.
    baselines, classes
        As :func:`baseline_maps` has them.

    Returns
    -------
    dict
        By the method's name the maps, shaped as x.
    """
    return baseline_maps(model, x, classes, baselines) | insens_maps(model, x, x_train, layers)
