"""Weights that are NaN or infinite, and numbers that become too large, are named, not analysed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import insens_tf
from insens_tf import SwitchedNetwork, UnreadableModelError
from tests.architectures import build, images
from tests.conftest import slow_but

CALLS: dict[str, Callable[[SwitchedNetwork, np.ndarray], Any]] = {
    "activity": lambda network, x: network.activity(x, -1),
    "project": lambda network, x: network.project(x, -1),
    "iterate_projections": lambda network, x: list(network.iterate_projections(x, -1)),
    "activation_frequency": lambda network, x: network.activation_frequency(x),
    "insens": lambda network, x: network.insens(x, -1),
    "estimate_insens": lambda network, x: network.estimate_insens(x, -1, probes=16),
}


@pytest.mark.parametrize("call", slow_but(CALLS, "project", "insens"))
def test_weights_that_are_not_finite(call: str) -> None:
    """Seen at every call, whichever layer has them: max pooling passes NaN over."""
    model = build("2CONV", dtype="float32")
    network = SwitchedNetwork(model)
    x = images(model, 2)
    CALLS[call](network, x)
    for layer in (model.layers[0], model.layers[2], model.layers[-1]):
        kernel, bias = layer.weights
        for weight, value in ((kernel, np.nan), (kernel, np.inf), (bias, np.nan), (bias, -np.inf)):
            whole = np.array(weight)
            broken = whole.copy()
            broken.flat[-1] = value
            weight.assign(broken)
            with pytest.raises(
                UnreadableModelError, match=rf"'{layer.name}'.*finite weights.*NaN or infinity"
            ):
                CALLS[call](network, x)
            weight.assign(whole)
    CALLS[call](network, x)


@pytest.mark.parametrize("call", ["insens", "estimate_insens"])
def test_squared_norms_that_are_too_large(call: str) -> None:
    """Neurons with such weights were left out of the map, as if their weights were 0."""
    model = build("dense", dtype="float32")
    kernel = model.layers[0].kernel
    kernel.assign(np.array(kernel) * np.float32(1e25))
    network = SwitchedNetwork(model)
    x = images(model, 2)
    assert np.isfinite(network.project(x, 1).centre).all()
    with pytest.raises(ValueError, match=r"'dense.*within float32.*too large.*float64"):
        CALLS[call](network, x)


@pytest.mark.parametrize("call", ["insens", "estimate_insens"])
@pytest.mark.parametrize("scale", [1e-17, 1e-20, 1e-23])
def test_squared_norms_that_vanish(scale: float, call: str) -> None:
    """Neurons with such weights were left out without a word; those with none still are."""
    model = build("dense", dtype="float32")
    kernel = model.layers[0].kernel
    kernel.assign(np.array(kernel) * np.float32(scale))
    network = SwitchedNetwork(model)
    x = images(model, 2)
    with pytest.warns(RuntimeWarning, match=r"'dense.*so small.*lost in float32.*float64"):
        CALLS[call](network, x)
    kernel.assign(np.zeros(kernel.shape))
    CALLS[call](network, x)


@pytest.mark.parametrize("call", CALLS)
def test_activities_that_are_too_large(call: str) -> None:
    model = build("dense", dtype="float32")
    for layer in model.layers:
        layer.kernel.assign(np.ones(layer.kernel.shape) * np.float32(1e20))
    network = SwitchedNetwork(model)
    x = np.full((1, *network.input_shape), 1e15)
    if call == "activation_frequency":
        # Infinite is still more than 0.
        assert (network.activation_frequency(x)[network.layers[-1].name] == 1).all()
        return
    with pytest.raises(ValueError, match=r"'dense.*within float32.*too large"):
        CALLS[call](network, x)


def test_activities_that_are_neither_active_nor_not() -> None:
    """Infinity less infinity is NaN, which a count would take for inactive."""
    model = build("dense", dtype="float32")
    first, second = model.layers[:2]
    first.kernel.assign(np.ones(first.kernel.shape) * np.float32(1e20))
    second.kernel.assign(np.tile([[1.0], [-1.0], [0.0]], (3, second.kernel.shape[1])))
    network = insens_tf.SwitchedNetwork(model)
    with pytest.raises(ValueError, match=rf"'{second.name}'.*too large"):
        network.activation_frequency(np.full((1, *network.input_shape), 1e30))
