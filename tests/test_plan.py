"""What `network.plan` says against what `insens` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import insens_tf
from insens_tf.row_norms import WAYS
from tests.architectures import VARIED
from tests.conftest import CaseOf, some_fast


def test_of_one_input_and_all_layers(case: CaseOf) -> None:
    network = case("2CONV", 0).network
    plan = network.plan()
    assert plan.inputs == 1
    assert [one.name for one in plan.layers] == [one.name for one in network.layers]
    for planned, layer in zip(plan.layers, network.layers, strict=True):
        assert (planned.shape, planned.neurons) == (layer.shape, layer.neurons)
        assert planned.needed == layer.neurons / 2
        assert planned.way in WAYS
        assert 0 < planned.gradients <= plan.gradients
        assert 0 < planned.memory <= network.memory_budget
    assert plan.layers[0].way == "stateless"
    assert max(one.memory for one in plan.layers) <= plan.memory <= network.memory_budget


def test_time_grows_with_the_inputs_and_memory_keeps_to_the_budget(case: CaseOf) -> None:
    network = case("2CONV", 0).network
    one, eight, many = (network.plan((count, *network.input_shape)) for count in (1, 8, 10**6))
    assert eight.inputs == 8
    assert eight.gradients == pytest.approx(8 * one.gradients)
    assert one.memory < eight.memory < many.memory <= network.memory_budget


def test_a_sweep_costs_less_than_its_layers_one_by_one(case: CaseOf) -> None:
    network = case("2CONV", 0).network
    plan = network.plan(layer=[1, 2], way="crops")
    assert plan.gradients < sum(one.gradients for one in plan.layers)


@pytest.mark.parametrize("state", ["inactive", "active", "all"])
def test_needed_neurons_are_those_of_the_data(state: str, case: CaseOf) -> None:
    """Over the inputs that a frequency is from, the expectation is the average."""
    this = case("2CONV", 0)
    x = np.random.default_rng(5).normal(size=(64, *this.network.input_shape))
    frequency = this.network.activation_frequency(x, progress=False)
    plan = this.network.plan(None, None, frequency, state=state)
    for planned in plan.layers:
        active = this.network.activity(x, planned.name) > 0
        in_state = {"inactive": ~active, "active": active, "all": np.ones_like(active)}[state]
        needed = in_state & (frequency[planned.name] > 0)
        per_input = needed.reshape(len(x), -1).sum(axis=1)
        assert planned.needed == pytest.approx(per_input.mean(), rel=1e-6)


@pytest.mark.parametrize("name", some_fast(VARIED, VARIED[::4]))
def test_insens_takes_the_ways_that_are_planned(
    name: str, case: CaseOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = case(name, 0)
    network = insens_tf.SwitchedNetwork(this.model)
    taken: dict[int, str] = {}

    def recording(way: str, call: Any) -> Any:
        def __call__(self: Any, *arguments: Any) -> Any:
            if type(self) is WAYS[way]:
                taken.update(dict.fromkeys(self.positions, way))
            return call(self, *arguments)

        return __call__

    for way, implementation in WAYS.items():
        monkeypatch.setattr(implementation, "__call__", recording(way, implementation.__call__))
    network.insens(this.x, list(network.layers))
    # What a first convolution's way uses inside is its own affair.
    for planned, layer in zip(network.plan().layers, network.layers, strict=True):
        if planned.way == "stateless":
            taken[layer.position] = "stateless"
        assert taken[layer.position] == planned.way


def test_the_way_can_be_named(case: CaseOf) -> None:
    network = case("2CONV", 0).network
    for way in ("gradient", "backward", "probes", "crops"):
        assert {one.way for one in network.plan(way=way).layers} == {way}
    with pytest.raises(ValueError, match="way='stateless' cannot be taken for layer"):
        network.plan(way="stateless")


def test_reads_as_a_table(case: CaseOf) -> None:
    network = case("2CONV", 0).network
    text = str(network.plan((2, *network.input_shape)))
    assert repr(network.plan((2, *network.input_shape))) == text
    lines = text.splitlines()
    assert lines[0].split() == ["layer", "neurons", "needed", "way", "gradients", "memory"]
    for line, layer in zip(lines[2:], network.layers, strict=False):
        words = line.split()
        assert words[:2] == [layer.name, f"{layer.neurons / 2:.0f}"]
        assert words[4] in WAYS
    assert lines[-2].startswith("together")
    assert lines[-1].startswith("2 inputs; ")
    alone = str(network.plan(layer=0)).splitlines()
    assert not any(line.startswith("together") for line in alone)


@pytest.mark.parametrize("x_shape", [(28, 28, 1), (0, 12, 12, 2), (), (None, 12, 12, 2), 8, "8"])
def test_refuses_another_shape(x_shape: Any, case: CaseOf) -> None:
    network = case("2CONV", 0).network
    with pytest.raises(ValueError, match=r"x_shape=.*: expected the shape of a batch of inputs"):
        network.plan(x_shape)


def test_refuses_what_insens_refuses(case: CaseOf) -> None:
    network = case("2CONV", 0).network
    with pytest.raises(ValueError, match="way='fast': expected one of"):
        network.plan(way="fast")
    with pytest.raises(ValueError, match="state='off': expected one of"):
        network.plan(state="off")
    with pytest.raises(ValueError, match="layer=7 is out of range"):
        network.plan(layer=7)
    with pytest.raises(ValueError, match="frequency of layer"):
        network.plan(layer=0, frequency=np.ones(3))
