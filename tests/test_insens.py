"""Insens, Omega of a layer, against the oracle's sum over neurons."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import insens_tf
from insens_tf.row_norms import WAYS
from tests.architectures import NAMES, VARIED, build, ways_of
from tests.conftest import Case, CaseOf, every_seed, slow, slow_but, some_fast
from tests.oracle import Oracle, assert_agrees


def random_frequencies(this: Case) -> dict[str, np.ndarray]:
    """m/N of every hidden layer: anything between 0 and 1, with zeros and ones among them."""
    random = np.random.default_rng(7)
    return {
        layer.name: np.clip(random.uniform(-0.2, 1.2, layer.shape), 0.0, 1.0)
        for layer in this.network.layers
    }


@every_seed
def test_agrees_with_the_oracle(name: str, seed: int, case: CaseOf) -> None:
    this = case(name, seed)
    layers = list(this.network.layers)
    frequencies = random_frequencies(this)
    plain, weighted = (this.network.insens(this.x, layers, one) for one in (None, frequencies))
    for layer, reference in this.hidden:
        assert_agrees(plain[layer.name], reference.insens())
        assert_agrees(weighted[layer.name], reference.insens(frequencies[layer.name]))


@pytest.mark.parametrize(
    ("state", "sensitivity"),
    list(itertools.product(["inactive", "active", "all"], ["centre", "activity"])),
)
@pytest.mark.parametrize(
    "name", slow_but(("2CONV", "leaky", "saturating", "graph with a sum"), "leaky")
)
def test_states_and_readings(name: str, state: str, sensitivity: str, case: CaseOf) -> None:
    this = case(name, 0)
    frequencies = random_frequencies(this)
    for layer, reference in this.hidden:
        actual = this.network.insens(
            this.x, layer, frequencies, state=state, sensitivity=sensitivity
        )
        assert np.abs(actual).max() > 0.0
        assert_agrees(actual, reference.insens(frequencies[layer.name], state, sensitivity))


@pytest.mark.parametrize("sensitivity", ["centre", "activity"])
@pytest.mark.parametrize("name", slow_but(["conv strided", "pools overlapping", "leaky"], "leaky"))
def test_active_and_inactive_add_up_to_all(name: str, sensitivity: str, case: CaseOf) -> None:
    this = case(name, 1)
    for layer in this.network.layers:
        inactive, active, both = (
            this.network.insens(this.x, layer, state=state, sensitivity=sensitivity)
            for state in ("inactive", "active", "all")
        )
        assert_agrees(inactive + active, both)


@pytest.mark.parametrize("name", some_fast(NAMES, VARIED[::5]))
def test_several_layers_are_each_alone(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    frequencies = random_frequencies(this)
    together = this.network.insens(this.x, list(this.network.layers), frequencies)
    assert list(together) == [layer.name for layer in this.network.layers]
    for layer, reference in this.hidden:
        alone = this.network.insens(this.x, layer.name, frequencies)
        assert_agrees(together[layer.name], alone, 1e-12)
        assert_agrees(together[layer.name], reference.insens(frequencies[layer.name]))
    last = this.network.layers[-1].name
    (only,) = this.network.insens(this.x, [-1]).items()
    assert only[0] == last
    assert_agrees(only[1], this.network.insens(this.x, last), 1e-12)


def test_layers_in_any_order(case: CaseOf) -> None:
    this = case("dense", 0)
    backwards = this.network.insens(this.x, [1, 0])
    assert list(backwards) == [this.network.layers[1].name, this.network.layers[0].name]
    for layer, reference in this.hidden:
        assert_agrees(backwards[layer.name], reference.insens())


@pytest.mark.parametrize("name", [slow("2CONV"), slow("conv grouped"), "dense over an image"])
def test_a_batch_is_its_inputs_one_by_one(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    for layer in this.network.layers:
        together = this.network.insens(this.x, layer)
        for row in range(len(this.x)):
            alone = this.network.insens(this.x[row : row + 1], layer)
            assert_agrees(alone[0], together[row], 1e-12)


def test_frequency_as_a_mapping_or_an_array(case: CaseOf) -> None:
    this = case("2CONV", 0)
    layer, reference = this.hidden[1]
    frequency = this.network.activation_frequency(this.x)
    expected = reference.insens(reference.count / len(this.x))
    assert_agrees(this.network.insens(this.x, layer, frequency), expected)
    assert_agrees(this.network.insens(this.x, layer, dict(frequency)), expected)
    assert_agrees(this.network.insens(this.x, layer, frequency[layer.name]), expected)
    assert_agrees(this.network.insens(this.x, layer, frequency[layer.name].tolist()), expected)
    # In the state of these very inputs the frequency changes the map: it is not ignored.
    assert np.abs(expected - reference.insens()).max() > 1e-3


def test_a_frequency_of_zero_leaves_nothing(case: CaseOf) -> None:
    this = case("conv valid", 0)
    zeros = np.zeros(this.network.layers[0].shape)
    np.testing.assert_array_equal(this.network.insens(this.x, 0, zeros), np.zeros(this.x.shape))


def test_one_inactive_neuron_is_its_distance_to_the_root(case: CaseOf) -> None:
    """With all frequencies but one at zero, Omega is x - c of that neuron."""
    this = case("conv valid", 0)
    layer, reference = this.hidden[1]
    neuron = int(np.flatnonzero(reference.activity[0] <= 0.0)[0])
    frequency = np.zeros(layer.neurons)
    frequency[neuron] = 1.0
    projection = this.network.project(this.x, layer, neuron)
    actual = this.network.insens(this.x[:1], layer, frequency.reshape(layer.shape))
    assert_agrees(actual[0], this.x[0] - projection.centre[0, 0])


@pytest.mark.parametrize(
    "way",
    slow_but(WAYS, "crops"),
)
@pytest.mark.parametrize(
    "name",
    [slow("pools overlapping"), "pools padded, odd sizes", slow("pool of the image itself")],
)
def test_ties_of_pooling(name: str, way: str) -> None:
    """Each way decides a tie as TensorFlow's gradient does."""
    model = build(name, 2, integers=True)
    network = insens_tf.SwitchedNetwork(model)
    shape = network.input_shape
    random = np.random.default_rng(4)
    x = np.stack([np.zeros(shape), np.ones(shape), random.integers(0, 2, shape).astype(float)])
    references = Oracle(model).references(x)
    for index, (layer, reference) in enumerate(zip(network.layers, references, strict=False)):
        if way not in ways_of(name, index):
            continue
        for state in ("inactive", "active"):
            assert_agrees(
                network.insens(x, layer, state=state, way=way), reference.insens(state=state)
            )


def test_short_work_prints_nothing(case: CaseOf, capfd: pytest.CaptureFixture[str]) -> None:
    this = case("dense", 0)
    this.network.insens(this.x, 0)
    this.network.activation_frequency(this.x)
    assert capfd.readouterr() == ("", "")
