"""Linear regions: their keys, radii and boundaries, margins, and what differs between inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

from insens_tf import SwitchedNetwork
from tests.architectures import NAMES, VARIED, build, images
from tests.conftest import CaseOf, slow, slow_but, some_fast
from tests.oracle import Oracle, assert_agrees

NORMS = {"l2": 2, "linf": np.inf, "l1": 1}
DUALS = {"l2": 2, "linf": 1, "l1": np.inf}

WITH_MAXIMA = ("one axis", "global maxima", "graph with maxima and minima", "hard sigmoids")

FAST = ("dense", "pools padded, odd sizes")

varied = pytest.mark.parametrize("name", some_fast(VARIED, FAST))

varied_in_norms = pytest.mark.parametrize(
    ("name", "norm"),
    some_fast(
        [(name, norm) for name in VARIED for norm in (NORMS if name in FAST else ("l2",))],
        [("dense", "l2")],
    ),
)


def size(step: np.ndarray, norm: float) -> float:
    return float(np.linalg.norm(step.reshape(-1), norm))


def of_length(step: np.ndarray, norm: float) -> np.ndarray:
    return step / size(step, norm)


# --------------------------------------------------------------------------------------------------
# Margins


@pytest.mark.parametrize("name", some_fast(NAMES, FAST))
def test_margins_are_those_of_explicit_matrices(name: str, case: CaseOf) -> None:
    _, network, x, references = case(name, 0)
    layers = list(network.layers)
    thresholds = network._thresholds()

    found = network.margins(x, layers)

    for layer, reference in zip(layers, references[:-1], strict=True):
        norms = np.linalg.norm(reference.weights.reshape(*reference.activity.shape, -1), axis=-1)
        beyond = np.min(
            [np.abs(reference.activity - one) for one in thresholds[layer.position]], axis=0
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = np.where(norms > 0, beyond / norms, np.inf)
        expected *= np.where(reference.activity > 0, 1, -1)
        flat = found[layer.name].reshape(len(x), -1)
        assert_agrees(np.where(norms > 0, flat, 0), np.where(norms > 0, expected, 0), 1e-8)
        assert np.isinf(flat[norms == 0]).all()


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("name", ["dense", slow("hard sigmoids")])
def test_margins_in_other_norms(name: str, norm: str, case: CaseOf) -> None:
    _, network, x, references = case(name, 0)
    for layer, reference in zip(network.layers, references[:-1], strict=True):
        weights = reference.weights.reshape(*reference.activity.shape, -1)
        norms = np.linalg.norm(weights, DUALS[norm], axis=-1)
        thresholds = network._thresholds()[layer.position]
        beyond = np.min([np.abs(reference.activity - one) for one in thresholds], axis=0)
        found = np.abs(network.margins(x, layer, norm)).reshape(norms.shape)
        seen = norms > 0
        assert_agrees(found[seen] * norms[seen], beyond[seen], 1e-9)
        assert np.isinf(found[~seen]).all()


def test_squares_that_are_lost_are_warned_of() -> None:
    """Weights of 1e-25 have squares of 0 in float32, and a neuron with w = 0 does not switch."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, "relu", name="tiny"), keras.layers.Dense(1)]
    )
    tiny = np.array([[1e-25, 0.0], [0.0, 0.0], [0.0, 0.0]])
    model.set_weights([tiny, np.zeros(2), np.ones((2, 1)), np.zeros(1)])
    network = SwitchedNetwork(model)
    x = np.ones((1, 3), np.float32)

    with pytest.warns(RuntimeWarning, match=r"layer 'tiny': .* and so are their margins; rebuild"):
        network.margins(x, "tiny")
    np.testing.assert_allclose(network.margins(x, "tiny", "linf"), [[1, -np.inf]], rtol=1e-6)


@pytest.mark.slow
def test_one_layer_is_as_in_a_list(case: CaseOf) -> None:
    _, network, x, _ = case("2CONV", 0)
    together = network.margins(x, [layer.name for layer in network.layers])
    for layer in network.layers:
        np.testing.assert_allclose(network.margins(x, layer), together[layer.name], rtol=1e-10)


def windows_of(pool: keras.layers.Layer, height: int, width: int) -> Iterator[list[int]]:
    """Yield the flat positions that each window of a pooling layer sees, by TensorFlow's rule."""
    (high, wide), (down, right) = pool.pool_size, pool.strides
    starts = []
    for length, size, stride in ((height, high, down), (width, wide, right)):
        if pool.padding == "same":
            count = -(-length // stride)
            before = max(0, (count - 1) * stride + size - length) // 2
        else:
            count, before = (length - size) // stride + 1, 0
        starts.append([number * stride - before for number in range(count)])
    for top, left in itertools.product(*starts):
        yield [
            row * width + column
            for row in range(max(0, top), min(height, top + high))
            for column in range(max(0, left), min(width, left + wide))
        ]


@pytest.mark.parametrize("norm", slow_but(NORMS, "l2"))
@pytest.mark.parametrize(
    "name", ["pools padded, odd sizes", slow("pools overlapping"), slow("2CONV")]
)
def test_margins_of_windows_are_those_of_explicit_matrices(
    name: str, norm: str, case: CaseOf
) -> None:
    model, network, x, references = case(name, 0)
    pools = [one for one in model.layers if isinstance(one, keras.layers.MaxPooling2D)]

    found = network.boundary_margins(x, norm)

    assert list(found.windows) == [pool.name for pool in pools]
    # Each of these pools what a ReLU makes of a convolution.
    for pool, reference in zip(pools, references, strict=False):
        height, width, channels = reference.shape
        active = reference.activity > 0
        values = np.where(active, reference.activity, 0).reshape(len(x), -1, channels)
        rows = (reference.weights.reshape(*active.shape, -1) * active[..., np.newaxis]).reshape(
            len(x), height * width, channels, -1
        )
        expected = []
        for seen in windows_of(pool, height, width):
            winner = values[:, seen].argmax(axis=1)[:, np.newaxis]
            lead = np.take_along_axis(values[:, seen], winner, 1) - values[:, seen]
            of_winner = np.take_along_axis(rows[:, seen], winner[..., np.newaxis], 1)
            sizes = np.linalg.norm(of_winner - rows[:, seen], DUALS[norm], axis=-1)
            with np.errstate(divide="ignore", invalid="ignore"):
                expected.append(np.where(sizes > 0, lead / sizes, np.inf).min(axis=1))
        actual = found.windows[pool.name].reshape(len(x), -1, channels)
        expected = np.stack(expected, axis=1)
        np.testing.assert_array_equal(np.isinf(actual), np.isinf(expected))
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "name", [slow("dense"), "pools padded, odd sizes", *map(slow, WITH_MAXIMA)]
)
def test_the_nearest_boundary_is_as_far_as_the_radius(name: str, case: CaseOf) -> None:
    _, network, x, _ = case(name, 0)
    found = network.boundary_margins(x)
    margins = network.margins(x, list(network.layers))
    for layer in network.layers:
        np.testing.assert_allclose(found.neurons[layer.name], margins[layer.name], rtol=1e-10)
    radii = [network.region(one).radius() for one in x]
    np.testing.assert_allclose(found.nearest(), radii, rtol=1e-9)


def test_a_pooling_that_is_used_twice_has_two_names() -> None:
    inputs = keras.Input((4, 4, 1))
    pool = keras.layers.MaxPooling2D(2, name="pool")
    other = keras.layers.ReLU(name="gate")(keras.layers.Conv2D(1, 1, name="conv")(inputs))
    both = keras.layers.Add()([pool(inputs), pool(other)])
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(both))
    network = SwitchedNetwork(keras.Model(inputs, outputs))
    found = network.boundary_margins(np.random.default_rng(0).random((2, 4, 4, 1)))
    assert list(found.windows) == ["pool", "pool:2"]
    assert not np.array_equal(found.windows["pool"], found.windows["pool:2"])


# --------------------------------------------------------------------------------------------------
# Regions


@varied_in_norms
def test_nothing_switches_within_the_radius(name: str, norm: str, case: CaseOf) -> None:
    _, network, x, _ = case(name, 0)
    region = network.region(x[0])
    radius = region.radius(norm)
    random = np.random.default_rng(0)
    steps = random.normal(size=(1000, *x[0].shape))
    lengths = np.linalg.norm(steps.reshape(1000, -1), NORMS[norm], axis=1)
    steps /= lengths.reshape(-1, *(1,) * x[0].ndim)

    assert 0 < radius < np.inf
    assert np.all(region.contains(x[0] + 0.999 * radius * steps))


@varied_in_norms
def test_just_outside_the_nearest_boundary_is_crossed(name: str, norm: str, case: CaseOf) -> None:
    """That one and no other, in the oracle's eyes too."""
    model, network, x, _ = case(name, 1)
    oracle = Oracle(model)
    region = network.region(x[0])
    nearest, second = region.nearest(2, norm)
    step = nearest.point - x[0]

    assert nearest.distance == region.radius(norm)
    assert size(step, NORMS[norm]) == pytest.approx(nearest.distance, rel=1e-9)
    beyond = 1 + min(1e-3, (second.distance / nearest.distance - 1) / 2)
    inside, outside = x[0] + step * (2 - beyond), x[0] + step * beyond
    state = oracle.state(x[0])
    np.testing.assert_array_equal(oracle.state(inside), state)
    assert (oracle.state(outside) != state).sum() in (1, 2)
    assert region.contains(inside)
    difference = network.same_region(x[:1], outside[np.newaxis])
    assert not difference.same[0]
    assert len(difference) == 1
    assert difference.layer[0] == nearest.layer
    assert difference.kind[0] == nearest.kind
    shape = (
        network.layer(nearest.layer).shape
        if nearest.kind == "gate"
        else model.get_layer(nearest.layer).output.shape[1:]
    )
    assert np.ravel_multi_index(nearest.index, shape) == difference.index[0]


@varied
def test_what_is_effective_changes_an_output(name: str, case: CaseOf) -> None:
    """Up to the radius no output depends on anything else, whatever switches; then one does."""
    model, network, x, _ = case(name, 0)
    oracle = Oracle(model)
    region = network.region(x[0])
    (nearest,) = region.nearest(1, effective=True)
    step = nearest.point - x[0]
    here = oracle.sweep(x[0])[0].matrix
    scale = np.abs(here).max()

    assert nearest.distance == region.radius(effective=True) >= region.radius()
    random = np.random.default_rng(0)
    for direction in (step, *random.normal(size=(5, *x[0].shape))):
        inside = x[0] + 0.999 * nearest.distance * of_length(direction, 2)
        assert np.abs(oracle.sweep(inside)[0].matrix - here).max() <= 1e-12 * scale
    beyond = oracle.sweep(x[0] + 1.001 * step)[0].matrix
    assert np.abs(beyond - here).max() > 1e-12 * scale


@varied
def test_equal_keys_are_equal_states(name: str, case: CaseOf) -> None:
    model, network, x, _ = case(name, 2)
    oracle = Oracle(model)
    region = network.region(x[0])
    radius = region.radius()
    random = np.random.default_rng(1)
    for length in (0.5, 1.5, 4, 50):
        z = x[0] + length * radius * of_length(random.normal(size=x[0].shape), 2)
        same = bool((oracle.state(z) == oracle.state(x[0])).all())
        assert (network.region(z).key == region.key) == same
        assert region.contains(z) == same
        assert network.same_region(x[:1], z[np.newaxis]).same[0] == same


@varied
def test_the_affine_map_is_the_network(name: str, case: CaseOf) -> None:
    _, network, x, references = case(name, 0)
    region = network.region(x[0])
    for layer, reference in zip((*network.layers, network.output), references, strict=True):
        neurons = np.unique(np.linspace(0, layer.neurons - 1, 4).astype(int))
        weights, bias = region.affine(layer, neurons)
        assert_agrees(weights, reference.weights[0, neurons], 1e-9)
        assert_agrees(bias, reference.bias[0, neurons], 1e-8)


def test_a_tie_of_all_that_are_off_is_effective() -> None:
    """A window of zeros passes on whichever neuron is the first to be active."""
    first = keras.layers.Dense(2, activation="relu", dtype="float64")
    last = keras.layers.Dense(1, dtype="float64")
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="float64"),
            first,
            keras.layers.Reshape((2, 1), dtype="float64"),
            keras.layers.MaxPooling1D(2, dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
            last,
        ]
    )
    first.set_weights([np.array([[1.0, 1.0]]), np.array([-3.0, -2.0])])
    last.set_weights([np.ones((1, 1)), np.zeros(1)])
    region = SwitchedNetwork(model).region(np.zeros(1))

    assert region.radius() == region.radius(effective=True) == 2
    (nearest,) = region.nearest(1, effective=True)
    assert (nearest.kind, nearest.index) == ("gate", (1,))
    np.testing.assert_allclose(nearest.point, [2.0])


def test_an_input_that_lies_on_a_boundary() -> None:
    """Equal pixels tie in max pooling: the region ends right there, unless ties are left out."""
    last = keras.layers.Dense(1, dtype="float64")
    model = keras.Sequential(
        [
            keras.Input((4, 1), dtype="float64"),
            keras.layers.MaxPooling1D(2, dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
            last,
        ]
    )
    last.set_weights([np.array([[1.0], [2.0]]), np.zeros(1)])
    network = SwitchedNetwork(model)
    x = np.array([[3.0], [3.0], [5.0], [1.0]])
    region = network.region(x)

    assert region.radius() == 0
    assert region.radius(ties=False) == pytest.approx(4 / np.sqrt(2))
    tie, loser = region.nearest()
    assert (tie.index, tie.other, tie.distance) == ((0, 0), (1, 0), 0)
    assert (loser.index, loser.other) == ((1, 0), (3, 0))
    np.testing.assert_allclose(loser.point[:, 0], [3, 3, 3, 3])
    assert [one.index for one in region.nearest(ties=False)] == [(1, 0)]
    assert network.certified_radius(x[np.newaxis])[0] == 0
    pytest.importorskip("pandas")
    table = region.to_pandas()
    assert list(table) == ["layer", "kind", "index", "other", "distance"]
    assert table["layer"].tolist() == [tie.layer, loser.layer]
    assert table["other"].tolist() == [(1, 0), (3, 0)]
    assert table["distance"].tolist() == [0, loser.distance]
    assert region.to_pandas(1, ties=False)["index"].tolist() == [(1, 0)]


def test_a_network_without_boundaries_is_one_region() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    network = SwitchedNetwork(model)
    region = network.region(np.zeros(3))
    assert region.radius() == np.inf
    assert region.nearest() == []
    assert np.all(region.contains(np.ones((4, 3))))
    path = network.path(np.zeros(3), np.ones(3))
    assert not len(path.breakpoints)
    assert path.integrated_gradients().shape == (1, 3)


# --------------------------------------------------------------------------------------------------
# The certified radius


@pytest.mark.parametrize("norm", NORMS)
def test_neither_state_nor_class_changes_within_the_certified_radius(
    norm: str, case: CaseOf
) -> None:
    model, network, x, references = case("dense", 0)
    found = network.certified_radius(x, norm)

    for one, radius, logits, weights in zip(
        x, found, references[-1].activity, references[-1].weights, strict=True
    ):
        order = logits.argsort()[::-1]
        margins = [
            (logits[order[0]] - logits[other])
            / size(weights[order[0]] - weights[other], DUALS[norm])
            for other in order[1:]
        ]
        expected = min(network.region(one).radius(norm), *margins)
        assert radius == pytest.approx(expected, rel=1e-9)
        random = np.random.default_rng(0)
        steps = random.normal(size=(200, *one.shape))
        near = np.stack([one + 0.999 * radius * of_length(step, NORMS[norm]) for step in steps])
        assert np.all(network.region(one).contains(near))
        assert (np.asarray(model(near)).argmax(axis=1) == order[0]).all()


# --------------------------------------------------------------------------------------------------
# What cannot be


def test_bad_inputs(case: CaseOf) -> None:
    _, network, x, _ = case("dense", 0)
    region = network.region(x[0])
    calls: list[tuple[Any, str]] = [
        (lambda: network.region(x), r"x: expected one input of shape .* x\[0\]"),
        (lambda: network.region(x[0] * np.inf), "x: expected finite numbers"),
        (lambda: network.margins(x, 0, "l3"), "norm='l3': expected"),
        (lambda: network.margins(x, network.output), "is not a layer of this network|output"),
        (lambda: network.same_region(x, x[:1]), "b: expected as many inputs as a has, 3, came 1"),
        (lambda: region.radius("max"), "norm='max': expected"),
        (lambda: region.nearest(0), "count=0: expected a whole number, at least 1"),
        (lambda: region.contains(x[0][:-1]), "z: expected shape"),
        (lambda: region.affine("nothing"), "is not known"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_smooth_activations_have_no_regions() -> None:
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", name="bent"),
            keras.layers.Dense(2),
        ]
    )
    network = SwitchedNetwork(model, smooth_activations="ratio")
    x = np.zeros((1, 3))
    for call in (
        lambda: network.region(x[0]),
        lambda: network.margins(x, 0),
        lambda: network.same_region(x, x),
        lambda: network.certified_radius(x),
        lambda: network.slice(*np.eye(3)),
    ):
        with pytest.raises(ValueError, match=r"layer 'bent': expected piecewise linear"):
            call()


def test_a_region_is_of_the_weights_that_were() -> None:
    model = build("dense")
    network = SwitchedNetwork(model)
    x = images(model, 1, 0)
    region = network.region(x[0])
    model.set_weights([2 * weight for weight in model.get_weights()])
    for call in (region.radius, region.affine, lambda: region.contains(x)):
        with pytest.raises(RuntimeError, match="compute it anew"):
            call()


def test_an_affine_map_too_large_for_the_budget(case: CaseOf) -> None:
    model, _, x, _ = case("2CONV", 0)
    network = SwitchedNetwork(model, memory_budget=2**20)
    layer = network.layers[0]
    with pytest.raises(ValueError, match=r"more than the memory budget of 1\.0 MiB; choose fewer"):
        network.region(x[0]).affine(layer, np.tile(np.arange(layer.neurons), 4))
