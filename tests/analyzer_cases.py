"""What the tests of our analyzers share: networks, analyzers of them, and their maps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from insens_tf import analyzer as analyzers
from insens_tf.analyzer import create_analyzer
from tests import innvestigate_networks as networks

OURS = {
    "insens": analyzers.InsensAnalyzer,
    "switched.weights": analyzers.SwitchedWeightsAnalyzer,
    "switched.centre": analyzers.SwitchedCentreAnalyzer,
    "switched.contribution": analyzers.SwitchedContributionAnalyzer,
}

INPUTS = 3

SAMPLES = 10

NEEDS_HIDDEN = "insens"

MADE_OF_ALL = ("insens", "switched.contribution")
"""Analyzers whose maps need all that those of the others do."""

unfitted = pytest.mark.filterwarnings("ignore::insens_tf.analyzer.UnfittedWarning")


@cache
def dry_run(network: str, name: str) -> tuple[Any, np.ndarray]:
    """An analyzer of a network, as iNNvestigate creates it, and its maps."""
    analyzer = create_analyzer(name, networks.build(network))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", analyzers.UnfittedWarning)
        maps = analyzer.analyze(networks.inputs(network, INPUTS))
    return analyzer, maps


# Of those left out, one is like a kept one but for sizes or for how its softmax is written.
VARIED = (
    "a skip connection of one neuron",
    "no weights",
    "convolutions that lead nowhere",
    "two convolutions",
    "softmax and ReLU as layers",
    "sum, concatenation, averages, normalisation",
)
"""Networks with which each analyzer is tested fast."""


def each_network() -> list[Any]:
    """Each network as a parameter of a test; slow are those that are like one of the others."""
    return [
        network if network in VARIED else pytest.param(network, marks=pytest.mark.slow)
        for network in networks.NETWORKS
    ]


def pairs(*names: str, varied: Sequence[str] = VARIED) -> list[Any]:
    """Each network with each analyzer that can analyse it, as parameters of a test.

    Slow are networks that are none of the varied ones, and, but for one network, the analyzers of
    whose maps others are made.
    """
    found = []
    for network, settings in networks.NETWORKS.items():
        for name in names:
            fast = network == VARIED[-1] or (network in varied and name in MADE_OF_ALL)
            if settings.hidden or name != NEEDS_HIDDEN:
                marks = () if fast else pytest.mark.slow
                found.append(pytest.param(network, name, marks=marks))
    return found


def small_model(hidden: int = 5, outputs: int = 3, inputs: int = 4) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(hidden, "relu", name="hidden"),
            keras.layers.Dense(outputs, "softmax", name="logits"),
        ]
    )
    random = np.random.default_rng(3)
    model.set_weights([random.normal(size=array.shape) for array in model.get_weights()])
    return model


def small_inputs(count: int, inputs: int = 4) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, inputs)).astype(np.float32)


class Batches(keras.utils.Sequence):
    """A Keras Sequence of inputs and labels."""

    def __init__(self, x: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        self.pairs = [
            (x[start : start + 4], labels[start : start + 4]) for start in range(0, len(x), 4)
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pairs[index]


def counts(network: str) -> dict[str, np.ndarray]:
    """How often neurons were active, as `fit` counts it over each kind of data."""
    x = networks.inputs(network, SAMPLES)
    labels = np.zeros(SAMPLES)
    dataset = tf.data.Dataset.from_tensor_slices(x)
    data: dict[str, Any] = {
        "array": x,
        "list of one array": [x],
        "data set": dataset.batch(4),
        "data set with labels": tf.data.Dataset.from_tensor_slices((x, labels)).batch(3),
        "generator": (x[start : start + 4] for start in range(0, SAMPLES, 4)),
        "generator with labels": ((x[start : start + 5], labels[:5]) for start in (0, 5)),
        "Keras Sequence": Batches(x, labels),
    }
    model = networks.build(network)
    analyzer = create_analyzer("insens", model, layer=[0, -1])
    found = {}
    for kind, batches in data.items():
        assert analyzer.fit(batches) is analyzer
        assert analyzer.frequency_.samples == SAMPLES
        for layer, count in analyzer.frequency_.counts.items():
            found[f"{kind}/{layer}"] = count
    endless = dataset.batch(5).repeat()
    analyzer.fit(endless, steps=2)
    for layer, count in analyzer.frequency_.counts.items():
        found[f"endless data set/{layer}"] = count
    try:
        analyzer.fit(endless)
    except ValueError as error:
        assert "repeats without end" in str(error)  # noqa: PT017
    else:
        raise AssertionError("an endless data set was taken without steps")
    return found
