"""Every way to the squared row norms against the oracle's matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from insens_tf import HiddenLayer
from insens_tf.accumulation import ABSOLUTE_VALUES, LARGEST_VALUE
from insens_tf.row_norms import WAYS, choose
from insens_tf.two_conv import two_conv
from tests.architectures import NAMES, VARIED, images, randomise, ways_of
from tests.conftest import Case, CaseOf, every_architecture, halved, slow, slow_but, some_fast
from tests.oracle import Oracle, Reference, assert_agrees

BUDGET = 2**29


def squared_norms(reference: Reference) -> np.ndarray:
    """w w of every neuron: (batch, *layer shape)."""
    squares = np.sum(
        reference.weights.reshape(*reference.activity.shape, -1) ** 2, axis=-1, dtype=np.float64
    )
    return squares.reshape(-1, *reference.shape)


def possible(this: Case, name: str, way: str) -> list[tuple[HiddenLayer, Reference]]:
    """The hidden layers of an architecture that a way must be able to do."""
    return [
        (layer, reference)
        for index, (layer, reference) in enumerate(this.hidden)
        if way in ways_of(name, index)
    ]


@every_architecture
def test_each_layer_goes_the_ways_that_it_is_said_to(name: str, case: CaseOf) -> None:
    """All other tests of a way try it where it is said to be possible, and nowhere else."""
    this = case(name, 0)
    for index, layer in enumerate(this.network.layers):
        needed = {layer.position: 1.0}
        costs = {way: one.cost(this.network._graph, needed, BUDGET) for way, one in WAYS.items()}
        assert {way for way, cost in costs.items() if cost.is_possible} == ways_of(name, index)


# The gradients themselves are compared with the oracle in test_projections.py for every name.
FEW = (
    "dense",
    "conv strided",
    "pools padded, odd sizes",
    "graph with a shared layer and a model inside",
)


@pytest.mark.parametrize(
    ("name", "way"),
    # Each layer's own way is compared for all of them, as Insens is.
    some_fast(
        [(name, way) for name in NAMES for way in WAYS if way != "gradient" or name in FEW],
        [(name, way) for name in VARIED[::4] for way in WAYS],
    ),
)
def test_norms_of_all_layers_at_once(name: str, way: str, case: CaseOf) -> None:
    this = case(name, 1)
    layers = possible(this, name, way)
    if not layers:
        return  # as the test above asserts
    norms = WAYS[way](this.network._graph, [layer.position for layer, _ in layers], BUDGET)(
        this.x, {layer.position: np.ones((len(this.x), *layer.shape), bool) for layer, _ in layers}
    )
    for layer, reference in layers:
        assert_agrees(norms[layer.position], squared_norms(reference))


@pytest.mark.parametrize(
    ("name", "way"),
    some_fast(
        [(name, way) for name in VARIED for way, one in WAYS.items() if one.holds_weights],
        [
            ("dense", "stateless"),
            ("hard sigmoids", "crops"),
        ],
    ),
)
def test_other_norms_of_what_holds_the_weights(name: str, way: str, case: CaseOf) -> None:
    this = case(name, 1)
    layers = possible(this, name, way)
    if not layers:
        return
    positions = [layer.position for layer, _ in layers]
    needed = {layer.position: np.ones((len(this.x), *layer.shape), bool) for layer, _ in layers}
    for accumulation, order in ((ABSOLUTE_VALUES, 1), (LARGEST_VALUE, np.inf)):
        norms = WAYS[way](this.network._graph, positions, BUDGET, accumulation)(this.x, needed)
        for layer, reference in layers:
            rows = reference.weights.reshape(*reference.activity.shape, -1)
            expected = np.linalg.norm(rows, order, axis=-1)
            assert_agrees(norms[layer.position], expected.reshape(-1, *reference.shape))


def test_squares_alone_are_not_chosen_for_other_norms() -> None:
    graph = insens_tf.SwitchedNetwork(a_bottleneck())._graph
    position = insens_tf.SwitchedNetwork(a_bottleneck()).layers[-1].position
    ways = [
        choose(graph, {position: 1.0}, BUDGET, accumulation=one).ways[position]
        for one in (ABSOLUTE_VALUES, LARGEST_VALUE)
    ]
    assert "narrow" not in ways
    with pytest.raises(ValueError, match="way='narrow' cannot be taken"):
        choose(graph, {position: 1.0}, BUDGET, "narrow", ABSOLUTE_VALUES)


@pytest.mark.parametrize("way", slow_but(WAYS, "backward", "crops"))
def test_only_what_is_needed_has_to_be_right(way: str, case: CaseOf) -> None:
    """Under the smallest memory budget, and with the progress that is told on the way."""
    name = "pools overlapping"
    this = case(name, 0)
    for layer, reference in possible(this, name, way):
        needed = np.random.default_rng(0).random((len(this.x), *layer.shape)) < 0.3
        done: list[float] = []
        norms = WAYS[way](this.network._graph, [layer.position], 2**20)(
            this.x, {layer.position: needed}, done.append
        )
        assert sum(done) == pytest.approx(1.0)
        assert_agrees(norms[layer.position][needed], squared_norms(reference)[needed])


@every_architecture
def test_the_choice_covers_every_layer(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    needed = {layer.position: layer.neurons / 2 for layer in this.network.layers}
    for wanted in (None, "gradient"):
        choice = choose(this.network._graph, needed, BUDGET, wanted)
        assert list(choice.ways) == list(needed)
        assert sorted(one for group in choice.groups.values() for one in group) == sorted(needed)
        assert wanted is None or set(choice.ways.values()) == {wanted}


@every_architecture
def test_no_layer_could_go_another_way_for_less(name: str, case: CaseOf) -> None:
    graph, layers = case(name, 0).network._graph, case(name, 0).network.layers

    def work(ways: dict[int, str]) -> float:
        return sum(
            WAYS[way].cost(graph, {p: needed[p] for p in ways if ways[p] == way}, BUDGET).work
            for way in set(ways.values())
        )

    for share in (0.01, 0.5, 1.0):
        needed = {layer.position: share * layer.neurons for layer in layers}
        choice = choose(graph, needed, BUDGET)
        assert choice.together.work == pytest.approx(work(choice.ways))
        for position in needed:
            for way in WAYS:
                assert choice.together.work <= work(choice.ways | {position: way}) * (1 + 1e-9)


def a_convolution_over_borders() -> keras.Model:
    """Without a gate between, the first convolution's crops are not 0 beyond the borders."""
    return keras.Sequential(
        [
            keras.Input((6, 7, 2)),
            keras.layers.Conv2D(3, 3, padding="same"),
            keras.layers.Conv2D(2, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(2),
        ]
    )


def a_gate_that_is_an_activity() -> keras.Model:
    """Max pooling alone sees the gate's result on the way to the last layer; so does a gate."""
    inputs = keras.Input((6, 6, 1))
    gated = keras.layers.Conv2D(3, 3, activation="relu")(inputs)
    pooled = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(gated))
    saturated = keras.layers.Flatten()(keras.layers.ReLU(1.0)(gated))
    last = keras.layers.Dense(4, activation="relu")(pooled)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()([last, saturated])))


def a_flattened_input() -> keras.Model:
    """The neurons of the first layer are the input's own components, in another shape."""
    return keras.Sequential(
        [
            keras.Input((4, 5, 2)),
            keras.layers.Flatten(),
            keras.layers.ReLU(),
            keras.layers.Dense(3, activation="relu"),
            keras.layers.Dense(2),
        ]
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "build",
    [slow(a_convolution_over_borders), slow(a_gate_that_is_an_activity), a_flattened_input],
)
def test_every_way_that_is_possible_is_right(build: Callable[[], keras.Model], way: str) -> None:
    """Each layer alone, and all of them that can go this way together."""
    model = build()
    randomise(model, 0)
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 2, 0)
    *references, _ = Oracle(model).references(x)
    expected = {
        layer.position: next(
            squared_norms(one)
            for one in references
            if one.shape == layer.shape and np.allclose(one.activity, flat, atol=1e-4)
        )
        for layer in network.layers
        for flat in [network.activity(x, layer).reshape(len(x), -1)]
    }
    possible = [
        position
        for position in expected
        if WAYS[way].cost(network._graph, {position: 1.0}, BUDGET).is_possible
    ]
    for positions in [[one] for one in possible] + ([possible] if len(possible) > 1 else []):
        needed = {one: np.ones(expected[one].shape, bool) for one in positions}
        if not WAYS[way].cost(network._graph, dict.fromkeys(positions, 1.0), BUDGET).is_possible:
            continue
        norms = WAYS[way](network._graph, positions, BUDGET)(x, needed)
        for one in positions:
            assert_agrees(norms[one], expected[one], 1e-5)


def test_few_needed_neurons_go_backward_and_many_forward() -> None:
    """A dense layer over an image: each neuron sees all of it, and each needed one is a pass."""
    model = two_conv((16, 16, 1), 4, filters=(8, 16), units=256, seed=0)
    network = insens_tf.SwitchedNetwork(model)
    dense = network.layers[-1]
    ways = [
        choose(network._graph, {dense.position: count}, BUDGET).ways[dense.position]
        for count in (1, 3, 128, 256)
    ]
    assert ways == ["backward", "backward", "crops", "crops"]


def a_bottleneck(dtype: str = "float64") -> keras.Model:
    """As MobileNetV2 has them: few channels without a gate, from which many are made."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2), dtype=dtype),
            keras.layers.Conv2D(8, 3, activation="relu", dtype=dtype),
            keras.layers.Conv2D(3, 1, dtype=dtype, name="bottleneck"),
            keras.layers.Conv2D(18, 1, activation="relu", dtype=dtype, name="expansion"),
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dense(2, dtype=dtype),
        ]
    )


def test_rows_that_cancel_out_behind_a_narrow_place_are_right() -> None:
    """Their Gram matrix knows such a row's square only up to the rounding of its large parts."""
    model = a_bottleneck()
    randomise(model, 0)
    bottleneck, expansion = (model.get_layer(one) for one in ("bottleneck", "expansion"))
    kernel, bias = bottleneck.get_weights()
    kernel[..., 1] = kernel[..., 0] * (1 + 1e-7)
    kernel[..., 2] = kernel[..., 0]
    bottleneck.set_weights([kernel, bias])
    kernel, bias = expansion.get_weights()
    kernel[0, 0, :, 0] = 1.0, -1.0, 0.0  # all but cancels
    kernel[0, 0, :, 1] = 1.0, 0.0, -1.0  # cancels
    expansion.set_weights([kernel, bias])
    network = insens_tf.SwitchedNetwork(model)
    layer, x = network.layers[-1], images(model, 2, 0)
    needed = {layer.position: np.ones((2, *layer.shape), bool)}
    norms = WAYS["narrow"](network._graph, [layer.position], BUDGET)(x, needed)[layer.position]
    expected = squared_norms(Oracle(model).references(x)[1])
    assert (norms[..., 1] == 0).all()
    np.testing.assert_allclose(norms[..., 0], expected[..., 0], rtol=1e-6)
    assert_agrees(norms, expected)


def test_expansions_go_through_their_narrow_place() -> None:
    """By its cost, where there is more than a little to save."""
    network = insens_tf.SwitchedNetwork(a_bottleneck("float32"))
    expansion = network.layers[-1]
    for share, way in ((0.5, "narrow"), (0.01, "backward")):
        needed = {expansion.position: share * expansion.neurons}
        costs = {
            name: WAYS[name].cost(network._graph, needed, BUDGET).work
            for name in ("narrow", "backward")
        }
        assert min(costs, key=lambda name: costs[name]) == way


@pytest.mark.filterwarnings("ignore:Insens takes about:RuntimeWarning")
@pytest.mark.parametrize("budget", halved([2**20, 2**22, 2**24, 2**29]))
@pytest.mark.slow
def test_the_budget_changes_nothing_but_the_chunks(budget: int) -> None:
    model = two_conv((20, 22, 2), 4, filters=(6, 8), units=40, seed=1)
    roomy, tight = (insens_tf.SwitchedNetwork(model, memory_budget=one) for one in (2**31, budget))
    x = np.random.default_rng(0).random((2, 20, 22, 2))
    layers = list(roomy.layers)
    expected, actual = roomy.insens(x, layers), tight.insens(x, [layer.name for layer in layers])
    for layer in layers:
        assert_agrees(actual[layer.name], expected[layer.name], 1e-5)


def test_a_budget_that_is_too_small_is_told_of() -> None:
    network = insens_tf.SwitchedNetwork(two_conv((32, 32, 3), 4, seed=0), memory_budget=2**20)
    x = np.zeros((1, 32, 32, 3))
    assert network.plan(layer="conv_2").memory > 2**20
    with pytest.warns(RuntimeWarning, match=r"about [\d.]+ MiB at a time.*budget of 1.0 MiB"):
        network.insens(x, "conv_2", np.zeros(network.layers[1].shape))
