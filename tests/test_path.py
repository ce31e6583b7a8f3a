"""Paths: where the state changes on the line between two inputs, and exact integrals along it.

The oracle knows the state at a point, and the affine map that the network is there. A region is
convex, so that a part of a line at whose two ends the state is the same lies in one region.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

from insens_tf import SwitchedNetwork
from insens_tf.regions import Path
from tests.architectures import NAMES, VARIED, build, images, randomise
from tests.conftest import CaseOf, slow, some_fast
from tests.oracle import Oracle

MOST = 12
"""At so many breakpoints the oracle is asked; it takes its time."""

# Not a rounding's width, and far below the distance between two breakpoints.
NEAR = 1e-9

FAST = ("conv strided same, asymmetric padding", "pools padded, odd sizes", "hard sigmoids")

varied = pytest.mark.parametrize("name", some_fast(VARIED, FAST))

many_architectures = pytest.mark.parametrize("name", some_fast(NAMES, FAST))


JUMPS = ("thresholds", "locally connected")
"""Architectures with an activation that jumps, which is no integral of its derivative."""


def some(path: Path) -> np.ndarray:
    """Some parts of a path: their numbers, the first and the last among them."""
    parts = len(path.breakpoints) + 1
    return np.unique(np.linspace(0, parts - 1, MOST).astype(int))


def bounds(path: Path) -> np.ndarray:
    return np.concatenate([[0.0], path.breakpoints, [1.0]])


def at(path: Path, t: float) -> np.ndarray:
    return path.start + t * (path.end - path.start)


def assert_parts_are_regions(path: Path, oracle: Oracle) -> None:
    """Check that some parts of a path are each in one region, and their neighbours in others."""
    ends = bounds(path)
    for part in some(path):
        start, end = ends[part : part + 2]
        near = min(NEAR, (end - start) / 4)
        state = oracle.state(at(path, start + near))
        np.testing.assert_array_equal(oracle.state(at(path, end - near)), state)
        if part < len(path.breakpoints):
            beyond = end + min(NEAR, (ends[part + 2] - end) / 4)
            assert (oracle.state(at(path, beyond)) != state).any()


@many_architectures
def test_a_part_is_one_region_and_its_neighbour_another(name: str, case: CaseOf) -> None:
    model, network, x, _ = case(name, 0)
    path = network.path(x[0], x[1])

    assert_parts_are_regions(path, Oracle(model))


@varied
def test_the_network_is_affine_between_breakpoints(name: str, case: CaseOf) -> None:
    _, network, x, _ = case(name, 1)
    path = network.path(x[0], x[1])

    ends = bounds(path)
    start, width = ends[some(path)], np.diff(ends)[some(path)]
    for layer in (*network.layers, *network.outputs):
        low, middle, high = (
            path.activity(start + share * width, layer) for share in (0.1, 0.5, 0.9)
        )
        np.testing.assert_allclose(low + high, 2 * middle, rtol=0, atol=1e-10 * np.abs(high).max())


def integral(oracle: Oracle, path: Path, layer: int, neuron: int) -> np.ndarray:
    """The oracle's switched weights in the middle of each part, times its width."""
    total = np.zeros(path.start.size)
    ends = bounds(path)
    for start, end in itertools.pairwise(ends):
        logits, sweep = oracle.sweep(at(path, (start + end) / 2))
        total += (end - start) * [*sweep.hidden, logits][layer].matrix[neuron]
    return total.reshape(path.start.shape) * (path.end - path.start)


@pytest.mark.parametrize("name", ["conv strided same, asymmetric padding", slow("2CONV")])
def test_integrals_are_those_of_one_backward_pass_a_part(name: str, case: CaseOf) -> None:
    """The plain way: switched weights in the middle of each part, times its width."""
    _, network, x, _ = case(name, 0)
    path = network.path(x[0], x[0] + 0.3 * (x[1] - x[0]))
    ends = bounds(path)
    middles = np.stack([at(path, t) for t in (ends[1:] + ends[:-1]) / 2])

    weights = network.project(middles, network.output, neurons=[1]).weights[:, 0]

    expected = np.tensordot(np.diff(ends), weights, axes=1) * (path.end - path.start)
    (found,) = path.integrated_gradients(neurons=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


SMALL = (
    "dense",
    "hard sigmoids",
    "graph with a sum",
    "graph with maxima and minima",
    "pools overlapping",
    "averages, normalisation, zero padding",
)


@pytest.mark.parametrize("name", some_fast(SMALL, SMALL[:1]))
def test_integrated_gradients_are_the_integral(name: str, case: CaseOf) -> None:
    model, network, x, _ = case(name, 2)
    oracle = Oracle(model)
    # A shorter path has fewer regions: the oracle goes through them one by one.
    path = network.path(x[0], x[1] if name == "dense" else x[0] + 0.2 * (x[1] - x[0]))
    assert len(path.breakpoints)

    for layer in (network.output, network.layers[-1]):
        found = path.integrated_gradients(layer, neurons=[0, 2])
        for neuron, one in zip((0, 2), found, strict=True):
            expected = integral(oracle, path, -1 if layer.index is None else layer.index, neuron)
            np.testing.assert_allclose(one, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@varied
def test_integrated_gradients_are_complete(name: str, case: CaseOf) -> None:
    _, network, x, _ = case(name, 0)
    if name in JUMPS:
        pytest.skip("an activation that jumps is no integral of its derivative")
    path = network.path(x[0], x[1])

    for layer in (network.output, network.layers[-1]):
        found = path.integrated_gradients(layer, neurons=[0, 1])
        change = np.diff(path.activity([0.0, 1.0], layer).reshape(2, -1)[:, :2], axis=0)[0]
        sums = found.reshape(2, -1).sum(axis=1)
        np.testing.assert_allclose(sums, change, rtol=0, atol=1e-10 * np.abs(found).sum())


@varied
def test_what_is_effective_changes_the_weights_of_an_output(name: str, case: CaseOf) -> None:
    model, network, x, _ = case(name, 0)
    oracle = Oracle(model)
    path = network.path(x[0], x[1])

    ends = bounds(path)
    for part in some(path)[:-1]:
        here, there = (
            oracle.sweep(at(path, (ends[one] + ends[one + 1]) / 2))[0].matrix
            for one in (part, part + 1)
        )
        changed = np.abs(here - there).max() > 1e-12 * np.abs(here).max()
        crossings = path.crossings.t == ends[part + 1]
        assert crossings.any()
        assert path.effective[crossings].any() == changed


def test_crossings_say_what_switches(case: CaseOf) -> None:
    _, network, x, _ = case("hard sigmoids", 0)
    path = network.path(x[0], x[1])

    crossings = path.crossings
    gates = crossings.kind == "gate"
    assert gates.any()
    assert not gates.all()
    for layer in network.layers:
        chosen = np.flatnonzero(gates & (crossings.layer == layer.name))
        activity = path.activity(crossings.t[chosen], layer).reshape(len(chosen), -1)
        there = activity[np.arange(len(chosen)), crossings.index[chosen]]
        # A hard sigmoid's pieces, measured from where the first begins.
        from_the_first = np.minimum(np.abs(there), np.abs(there - np.abs(there).max()))
        assert (from_the_first < 1e-9).all()
        assert (np.abs(crossings.after[chosen] - crossings.before[chosen]) == 1).all()
    counts = path.state_changes()
    assert sum(counts.values()) == len(crossings)
    assert counts[network.layers[0].name] == (crossings.layer == network.layers[0].name).sum()
    assert path.state_changes(by="kind") == {
        "gate": int(gates.sum()),
        "max pooling": int((~gates).sum()),
    }
    effective = path.state_changes(effective=True)
    assert sum(effective.values()) == path.effective.sum() < len(crossings)


def test_the_budget_changes_nothing(case: CaseOf) -> None:
    model, network, x, _ = case("2CONV", 0)
    small = SwitchedNetwork(model, memory_budget=2**20)

    path, in_small_steps = (one.path(x[0], x[1]) for one in (network, small))

    np.testing.assert_allclose(in_small_steps.breakpoints, path.breakpoints, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(in_small_steps.crossings.index, path.crossings.index)
    np.testing.assert_array_equal(in_small_steps.effective, path.effective)
    one, other = (each.integrated_gradients() for each in (path, in_small_steps))
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-12 * np.abs(one).max())


def test_float32_weights_are_computed_in_float64() -> None:
    model = build("pools padded, odd sizes", dtype="float32")
    randomise(model, 0)
    x = images(model, 2, 0)
    path = SwitchedNetwork(model).path(x[0], x[1])

    assert path.start.dtype == np.float64
    assert_parts_are_regions(path, Oracle(model))


# --------------------------------------------------------------------------------------------------
# Ties and ends


def network_of(*layers: Any, shape: tuple[int, ...]) -> SwitchedNetwork:
    model = keras.Sequential([keras.Input(shape, dtype="float64"), *layers])
    return SwitchedNetwork(model)


def dense(kernel: Any, bias: Any, activation: str | None = None) -> Any:
    kernel, bias = np.asarray(kernel, np.float64), np.asarray(bias, np.float64)
    layer = keras.layers.Dense(len(bias), activation=activation, dtype="float64")
    layer.build((None, len(kernel)))
    layer.set_weights([kernel, bias])
    return layer


def test_a_path_by_hand() -> None:
    """Two neurons that switch at 1/4 and 1/2, of a line from 0 to 1."""
    network = network_of(dense([[1, 1]], [-0.25, -0.5], "relu"), dense([[1], [2]], [0]), shape=(1,))
    path = network.path(np.zeros(1), np.ones(1))

    np.testing.assert_allclose(path.breakpoints, [0.25, 0.5], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(path.crossings.index, [0, 1])
    np.testing.assert_array_equal(path.crossings.before, [0, 0])
    np.testing.assert_array_equal(path.crossings.after, [1, 1])
    # 1 from 1/4 on, 2 more from 1/2 on.
    np.testing.assert_allclose(path.integrated_gradients(), [[0.75 + 1.0]], atol=1e-15)
    assert repr(path).startswith("Path(2 breakpoints, 2 crossings")


def test_a_point_and_a_region_have_no_breakpoints(case: CaseOf) -> None:
    _, network, x, _ = case("dense", 0)
    for end in (x[0], x[0] + 1e-9 * (x[1] - x[0])):
        path = network.path(x[0], end)
        assert len(path.breakpoints) == len(path.crossings) == len(path.effective) == 0
        assert sum(path.state_changes().values()) == 0
        weights = network.project(x[:1], network.output, neurons=[1]).weights[0]
        expected = weights * (np.asarray(end, np.float64) - x[0])
        found = path.integrated_gradients(neurons=1)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(weights).max())


def test_along_a_boundary_nothing_switches() -> None:
    """A neuron that is exactly 0 all along the line is inactive all along."""
    network = network_of(
        dense([[1, 1], [1, 0]], [0, -0.5], "relu"), dense([[1], [1]], [0]), shape=(2,)
    )
    path = network.path(np.array([1.0, -1.0]), np.array([-1.0, 1.0]))

    np.testing.assert_array_equal(path.crossings.index, [1])
    np.testing.assert_allclose(path.breakpoints, [0.25], rtol=0, atol=1e-15)


def test_the_first_of_equals_wins_all_along() -> None:
    """Two elements of a window that are equal on the whole line: no change between them."""
    pool = keras.layers.MaxPooling1D(3, dtype="float64")
    network = network_of(
        pool, keras.layers.Flatten(dtype="float64"), dense([[1]], [0]), shape=(3, 1)
    )
    path = network.path(np.array([[1.0], [1.0], [0.0]]), np.array([[2.0], [2.0], [4.0]]))

    np.testing.assert_allclose(path.breakpoints, [1 / 3], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(path.crossings.before, [0])
    np.testing.assert_array_equal(path.crossings.after, [2])
    np.testing.assert_allclose(
        path.integrated_gradients()[0, :, 0], [1 / 3, 0, 2 / 3 * 4], rtol=0, atol=1e-14
    )


def test_three_lines_of_a_window_overtake_in_turn() -> None:
    pool = keras.layers.MaxPooling1D(3, dtype="float64")
    network = network_of(
        pool, keras.layers.Flatten(dtype="float64"), dense([[1]], [0]), shape=(3, 1)
    )
    path = network.path(np.array([[3.0], [2.0], [0.0]]), np.array([[3.0], [4.0], [6.0]]))

    # 3, 2 + 2 t and 6 t: all three meet where t = 1/2.
    np.testing.assert_allclose(path.breakpoints, [0.5], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(path.crossings.after, [2])


# --------------------------------------------------------------------------------------------------
# What cannot be


def test_bad_inputs(case: CaseOf) -> None:
    _, network, x, _ = case("dense", 0)
    with pytest.raises(ValueError, match=r"a: expected one input of shape .* a\[0\]"):
        network.path(x, x[1])
    with pytest.raises(ValueError, match="b: expected finite numbers"):
        network.path(x[0], x[1] * np.nan)
    path = network.path(x[0], x[1])
    with pytest.raises(ValueError, match="by='time': expected"):
        path.state_changes(by="time")
    with pytest.raises(ValueError, match=r"t=1.5: expected a place on the path in 0..1"):
        path.activity(1.5, network.output)
    with pytest.raises(ValueError, match="is out of range"):
        path.integrated_gradients(neurons=10**6)
    with pytest.raises(ValueError, match="is not known"):
        path.integrated_gradients("nothing")


def test_smooth_activations_have_no_regions() -> None:
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", name="bent"),
            keras.layers.Dense(2),
        ]
    )
    network = SwitchedNetwork(model, smooth_activations="ratio")
    with pytest.raises(ValueError, match=r"layer 'bent': expected piecewise linear .* no regions"):
        network.path(np.zeros(3), np.ones(3))


def test_a_path_is_of_the_weights_that_were() -> None:
    model = build("dense")
    network = SwitchedNetwork(model)
    x = images(model, 2, 0)
    path = network.path(x[0], x[1])
    model.set_weights([2 * weight for weight in model.get_weights()])
    with pytest.raises(RuntimeError, match="compute it anew"):
        path.integrated_gradients()
