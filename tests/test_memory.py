"""What is held in memory: cut to the budget, and told of where that is not enough."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
import insens_tf.network
import insens_tf.plan
import insens_tf.planning
from insens_tf import memory
from insens_tf.row_norms import WAYS, choose
from insens_tf.row_norms.crops import Crops
from insens_tf.row_norms.crops.tile_sizes import crop_sizes
from insens_tf.two_conv import two_conv
from tests.architectures import VARIED
from tests.conftest import CaseOf, some_fast
from tests.oracle import assert_agrees
from tests.test_row_norms import squared_norms

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "memory.json"


@pytest.fixture(scope="module")
def vgg() -> keras.Model:
    return keras.applications.VGG16(
        weights=None, input_shape=(224, 224, 3), classes=10, include_top=False
    )


@pytest.mark.parametrize("name", some_fast(VARIED, VARIED[::4]))
def test_crops_of_a_single_block_at_a_time(name: str, case: CaseOf) -> None:
    """Under a budget that is too small for anything they are cut down and across."""
    this = case(name, 0)
    graph = this.network._graph
    for layer, reference in this.hidden:
        sizes = crop_sizes(graph, {layer.position: 1.0}, 0)
        if sizes is None:
            continue
        strides = [
            max((rule.layout.spans[axis].stride for rule in sizes.rules if rule.layout), default=1)
            for axis in (0, 1)
        ]
        assert list(sizes.tiling.size) == strides
        needed = {layer.position: np.ones((len(this.x), *layer.shape), bool)}
        norms = Crops(graph, [layer.position], 0)(this.x, needed)
        assert_agrees(norms[layer.position], squared_norms(reference))


def test_crops_are_cut_as_far_as_the_budget_asks() -> None:
    network = insens_tf.SwitchedNetwork(two_conv((32, 32, 3), 4, seed=0))
    position = network.layers[1].position
    taken = []
    for budget in (2**29, 40 * 2**20, 33 * 2**20, 30 * 2**20):
        sizes = crop_sizes(network._graph, {position: 1.0}, budget)
        assert sizes is not None
        assert sizes.cost.memory <= budget
        tiling = sizes.tiling
        covered = [size * count for size, count in zip(tiling.size, tiling.counts, strict=True)]
        assert covered[0] >= 32
        assert covered[1] >= 32
        taken.append((tiling.size, sizes.cost.work))
    assert taken[0][0] == (32, 32)
    # First rows, then columns; and what is done in more goes costs more.
    assert taken == sorted(taken, key=lambda one: (-one[0][0], -one[0][1]))
    assert taken == sorted(taken, key=lambda one: one[1])
    assert taken[-1][0][1] < 32


def test_a_real_layer_of_224_pixels_is_practical_within_the_default_budget(
    vgg: keras.Model,
) -> None:
    """It was planned 250,000 gradients, 100 hours, as the estimate of its crops was too high."""
    network = insens_tf.SwitchedNetwork(vgg)
    for layer in ("block1_conv2", "block2_conv1", "block2_conv2"):
        plan = network.plan(layer=layer)
        assert plan.layers[0].way == "crops"
        assert plan.gradients < 50
        assert plan.memory <= network.memory_budget
        assert plan.faster == []


def test_a_little_more_memory_is_taken_before_far_more_work(vgg: keras.Model) -> None:
    graph = insens_tf.SwitchedNetwork(vgg)._graph
    network = insens_tf.SwitchedNetwork(vgg)
    position = network.layer("block2_conv2").position
    needed = {position: graph.operations[position].size / 2}
    costs = {
        name: cost
        for name, way in WAYS.items()
        if (cost := way.cost(graph, needed, 2**20)).is_possible
    }
    # The crops cannot do with less; all others are dearer.
    crops = costs.pop("crops")
    assert crops.work < min(cost.work for cost in costs.values())
    tight = crops.memory / 1.2
    assert choose(graph, needed, tight).ways[position] == "crops"
    assert choose(graph, needed, crops.memory / 20).ways[position] != "crops"


def test_the_plan_says_what_more_memory_would_bring(vgg: keras.Model) -> None:
    network = insens_tf.SwitchedNetwork(vgg)
    plan = network.plan(layer="block4_conv2")
    more = plan.layers[0].more_memory
    assert more is not None
    roomy = insens_tf.SwitchedNetwork(vgg, memory_budget=more.memory_budget)
    there = roomy.plan(layer="block4_conv2")
    assert there.layers[0].way == more.way
    assert there.gradients == pytest.approx(more.gradients)
    assert there.gradients <= plan.gradients / 2
    assert there.memory <= more.memory_budget
    lines = str(plan).splitlines()
    assert re.fullmatch(r"with memory_budget=[\d.]+ GiB: \w+, [\d,]+ gradients", lines[-2])
    assert lines[-1].startswith("estimate_insens takes about")
    assert plan.gradients_of_estimate < plan.gradients / 10
    # In a sweep it is named which layer is meant, of those that take most.
    of_two = network.plan(layer=["block4_conv1", "block4_conv2"])
    assert any(line.startswith("block4_conv2 with memory_budget=") for line in of_two.faster)


def test_hours_are_told_of_before_they_begin(case: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    this = case("2CONV", 0)
    monkeypatch.setattr(insens_tf.planning, "MANY_GRADIENTS", 1.0)
    monkeypatch.setattr(insens_tf.plan, "MANY_GRADIENTS", 1.0)
    network = insens_tf.SwitchedNetwork(this.model)
    with pytest.warns(RuntimeWarning, match=r"as long as [\d,]+ gradients of the network"):
        network.insens(this.x[:1], 1, way="gradient")


def test_given_inputs_are_counted(case: CaseOf) -> None:
    this = case("2CONV", 0)
    network = this.network
    x = this.x.copy()
    frequency = {layer.name: np.zeros(layer.shape) for layer in network.layers}
    for values in frequency.values():
        values.flat[::3] = 0.5
    plan, expected = network.plan(x, None, frequency), network.plan(x.shape, None, frequency)
    assert plan.inputs == len(x)
    assert [one.way for one in plan.layers] == [one.way for one in expected.layers]
    for planned in plan.layers:
        needed = (network.activity(x, planned.name) <= 0) & (frequency[planned.name] > 0)
        assert planned.needed == pytest.approx(needed.sum() / len(x))
    assert [one.needed for one in plan.layers] != [one.needed for one in expected.layers]
    with pytest.raises(ValueError, match="x_shape: expected shape"):
        network.plan(x[:, 1:])


def test_few_needed_neurons_are_few_gradients() -> None:
    """However few there are: the choice, not the plan, takes them in steps of a layer."""
    network = insens_tf.SwitchedNetwork(two_conv((16, 16, 1), 4, seed=0))
    layer = network.layers[1]
    frequency = np.zeros(layer.shape)
    frequency.flat[0] = 1.0
    alone = network.plan(None, layer, frequency, state="all", way="gradient").gradients
    frequency.flat[1] = 1.0
    two = network.plan(None, layer, frequency, state="all", way="gradient").gradients
    assert alone < two < 2 * alone
    assert two < 6


def test_seconds_are_given_when_asked_for(case: CaseOf) -> None:
    network = case("2CONV", 0).network
    assert network.plan().seconds is None
    plan = network.plan(timed=True)
    assert plan.seconds is not None
    assert plan.seconds_of_a_gradient == network.plan(timed=True).seconds_of_a_gradient
    header, _, first, *_ = str(plan).splitlines()
    assert header.split()[-2:] == ["time", "memory"]
    assert first.split()[0] == network.layers[0].name
    assert "and one takes" in str(plan)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.012 s"), (90.0, "90 s"), (600.0, "10 min"), (9000.0, "2.5 h"), (1e6, "12 days")],
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert insens_tf.plan._readable_time(seconds) == text


def test_what_is_held_of_a_chain() -> None:
    """By hand: a dense layer of 3 after one of 5 after 4 inputs, in float32."""
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(3),
        ]
    )
    graph = insens_tf.SwitchedNetwork(model)._graph
    # Both of a step, 5 and 5.
    assert memory.evaluation(graph, [3]) == pytest.approx(1.3 * 4 * 10)
    # The result, the kept ReLU, and the step through the matrix: 3 + 5 + 3 + 5.
    assert memory.gradient(graph, [3]) == pytest.approx(1.1 * 4 * 16)
    # The slopes and an evaluation; a neuron's gradient at the ReLU and behind it.
    assert memory.backward(graph, 3) == pytest.approx((4 * 15, 1.3 * 4 * 10))
    # The ReLU's operand and an evaluation; a change on both sides of the ReLU.
    assert memory.pushed(graph, [3]) == pytest.approx((4 * 15, 1.3 * 4 * 10))


def test_measured_memory_is_about_what_is_planned() -> None:
    """As `benchmarks.memory` found it, in a run of its own."""
    rows = [row for row in json.loads(RESULTS.read_text())["memory"] if "left_out" not in row]
    assert len({(row["network"], row["layer"]) for row in rows}) >= 6
    assert {row["way"] for row in rows} == set(WAYS)
    for row in rows:
        assert 0.7 <= row["measured_memory"] / row["planned_memory"] <= 1.3, row
        assert row["warned"] or row["measured_memory"] <= row["budget"] * 2**20, row
