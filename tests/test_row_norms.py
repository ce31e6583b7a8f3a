"""Every way to the squared row norms against the oracle's matrix."""

from __future__ import annotations

import numpy as np
import pytest

from insens_tf import HiddenLayer
from insens_tf.row_norms import WAYS, choose
from tests.architectures import NAMES
from tests.conftest import Case, CaseOf
from tests.oracle import Reference, assert_agrees


def squared_norms(reference: Reference) -> np.ndarray:
    """w w of every neuron: (batch, *layer shape)."""
    squares = np.sum(
        reference.weights.reshape(*reference.activity.shape, -1) ** 2, axis=-1, dtype=np.float64
    )
    return squares.reshape(-1, *reference.shape)


def possible(this: Case, way: str) -> list[tuple[HiddenLayer, Reference]]:
    """The hidden layers that a way is able to do, as its cost says."""
    return [
        (layer, reference)
        for layer, reference in this.hidden
        if np.isfinite(WAYS[way].cost(this.network._graph, [layer.position]))
    ]


# The gradients themselves are compared with the oracle in test_projections.py for every name.
FEW = (
    "dense",
    "conv strided",
    "pools padded, odd sizes",
    "graph with a shared layer and a model inside",
)


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name in NAMES for way in WAYS if way != "gradient" or name in FEW],
)
def test_norms_of_all_layers_at_once(name: str, way: str, case: CaseOf) -> None:
    this = case(name, 1)
    layers = possible(this, way)
    if not layers:
        return
    norms = WAYS[way](this.network._graph, [layer.position for layer, _ in layers], 2**29)(
        this.x, {layer.position: np.ones((len(this.x), *layer.shape), bool) for layer, _ in layers}
    )
    for layer, reference in layers:
        assert_agrees(norms[layer.position], squared_norms(reference))


@pytest.mark.parametrize("way", WAYS)
def test_only_what_is_needed_has_to_be_right(way: str, case: CaseOf) -> None:
    """Under the smallest memory budget, and with the progress that is told on the way."""
    this = case("2CONV", 0)
    for layer, reference in possible(this, way):
        needed = np.random.default_rng(0).random((len(this.x), *layer.shape)) < 0.3
        done: list[float] = []
        norms = WAYS[way](this.network._graph, [layer.position], 2**20)(
            this.x, {layer.position: needed}, done.append
        )
        assert sum(done) == pytest.approx(1.0)
        assert_agrees(norms[layer.position][needed], squared_norms(reference)[needed])


@pytest.mark.parametrize("name", NAMES)
def test_the_plain_way_and_the_probes_can_do_everything(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    for way in ("gradient", "probes"):
        assert len(possible(this, way)) == len(this.network.layers)


@pytest.mark.parametrize("name", NAMES)
def test_the_choice_covers_every_layer_once(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    positions = [layer.position for layer in this.network.layers]
    for wanted in (None, "gradient"):
        ways = choose(this.network._graph, positions, 2**29, wanted)
        covered = [position for way in ways for position in way.positions]
        assert sorted(covered) == sorted(positions)
