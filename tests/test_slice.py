"""Slices: the polygons that linear regions are in a plane, held against explicit half planes.

SplineCam's definition: the polygons that the boundaries of all neurons cut a window into.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection
from tensorflow import keras

from insens_tf import SwitchedNetwork
from insens_tf.regions import Slice
from tests.architectures import build, images
from tests.conftest import CaseOf
from tests.oracle import Oracle, assert_agrees

POOLED = (
    "pools padded, odd sizes",
    pytest.param("hard sigmoids", marks=pytest.mark.slow),
    pytest.param("graph with maxima and minima", marks=pytest.mark.slow),
    pytest.param("pools overlapping", marks=pytest.mark.slow),
)


def small(x: np.ndarray, size: float) -> list[np.ndarray]:
    """Three inputs of which the other two are near to the first one."""
    return [x[0], x[0] + size * (x[1] - x[0]), x[0] + size * (x[2] - x[0])]


def inside(found: Slice, points: np.ndarray) -> np.ndarray:
    """Which polygons points lie in, (regions, points), by the sides that they lie on."""
    result = []
    for polygon in found.polygons:
        edges = np.roll(polygon, -1, axis=0) - polygon
        to_points = points[:, np.newaxis] - polygon
        cross = edges[:, 0] * to_points[..., 1] - edges[:, 1] * to_points[..., 0]
        result.append((cross >= 0).all(axis=1))
    return np.array(result)


def window_area(found: Slice) -> float:
    return float(np.prod(np.ptp(found.window, axis=0)))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_polygons_of_a_dense_network_are_those_of_its_half_planes(seed: int, case: CaseOf) -> None:
    model, network, x, _ = case("dense", seed)
    oracle = Oracle(model)
    found = network.slice(*x, margin=0.2)

    assert len(found) > 20
    assert found.areas.min() > 0
    assert found.areas.sum() == pytest.approx(window_area(found), rel=1e-9)
    low, high = found.window[0], found.window[2]
    sides = [[-1, 0, low[0]], [1, 0, -high[0]], [0, -1, low[1]], [0, 1, -high[1]]]
    states = set()
    axes = found.at([[1, 0], [0, 1]]) - found.inputs[0]
    for centre, area in zip(found.centres, found.areas, strict=True):
        point = found.at(centre[np.newaxis])[0]
        _, sweep = oracle.sweep(point)
        states.add(oracle.state(point).tobytes())
        half_planes = list(sides)
        for hidden in sweep.hidden:
            rates = hidden.matrix @ axes.reshape(2, -1).T
            values = hidden.matrix @ point.reshape(-1) + hidden.offset
            at_corner = values - rates @ centre
            sign = -np.where(values > 0, 1.0, -1.0)[:, np.newaxis]
            half_planes += (sign * np.column_stack([rates, at_corner])).tolist()
        needed = [one for one in half_planes if np.linalg.norm(one[:2]) > 1e-12]
        exact = ConvexHull(HalfspaceIntersection(np.array(needed), centre).intersections)
        assert area == pytest.approx(exact.volume, rel=1e-6)
    assert len(states) == len(found)


@pytest.mark.parametrize("name", POOLED)
def test_points_of_a_polygon_have_its_state(name: str, case: CaseOf) -> None:
    model, network, x, _ = case(name, 0)
    oracle = Oracle(model)
    found = network.slice(*small(x, 0.05))

    assert len(found) > 5
    assert found.areas.sum() == pytest.approx(window_area(found), rel=1e-9)
    random = np.random.default_rng(0)
    points = random.uniform(found.window[0], found.window[2], (40, 2))
    there = inside(found, points)
    np.testing.assert_array_equal(there.sum(axis=0), 1)
    for place, number in enumerate(there.argmax(axis=0)):
        here, centre = found.at([points[place], found.centres[number]])
        np.testing.assert_array_equal(oracle.state(here), oracle.state(centre))
    keys = {network.region(one).key for one in found.at(found.centres[:30])}
    assert len(keys) == min(30, len(found))


def test_outputs_are_affine_on_a_polygon(case: CaseOf) -> None:
    _, network, x, _ = case("hard sigmoids", 0)
    found = network.slice(*small(x, 0.05))
    random = np.random.default_rng(0)
    for number in random.integers(0, len(found), 5):
        weights = random.dirichlet(np.ones(len(found.polygons[number])))
        point = weights @ found.polygons[number]
        value, *rates = found.outputs[number]
        expected = network.activity(found.at(point[np.newaxis]), network.output)[0]
        assert_agrees(value + point[0] * rates[0] + point[1] * rates[1], expected, 1e-8)


@pytest.mark.slow
def test_lines_of_one_layer_are_counted() -> None:
    """Lines in a window: one region more than there are lines, and than they cross in it."""
    model = keras.Sequential(
        [
            keras.Input((2,), dtype="float64"),
            keras.layers.Dense(3, "relu", name="lines", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
    )
    # p = 1/2, q = 1/2 and p + q = 1/2: three lines with three crossings, all within.
    kernel = np.array([[1.0, 0, 1], [0, 1, 1]])
    model.set_weights([kernel, np.array([-0.5, -0.5, -0.5]), np.ones((3, 1)), np.zeros(1)])
    corners = np.array([[0.0, 0], [1, 0], [0, 1]])
    found = SwitchedNetwork(model).slice(*corners)

    # Two of the crossings are on the window's sides.
    np.testing.assert_allclose(np.sort(found.areas), [1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 4])
    assert found.states(range(5))["lines"][0].shape == (5, 3)
    np.testing.assert_allclose(found.coordinates, corners, atol=1e-15)
    assert repr(found) == "Slice(5 regions in a window of 1 x 1)"


def test_elements_that_are_equal_on_the_whole_plane_are_one_region() -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((3, 1), dtype="float64"),
            layers.MaxPooling1D(3, dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(1, dtype="float64"),
        ]
    )
    # The first two elements are equal; the third passes them where p = 1/2.
    a, b, c = (
        np.array(one, np.float64)[:, np.newaxis] for one in ([1, 1, 0], [1, 1, 2], [2, 2, 1])
    )
    found = SwitchedNetwork(model).slice(a, b, c)
    assert len(found) == 2
    np.testing.assert_allclose(found.areas.sum(), window_area(found))


@pytest.mark.slow
def test_a_window_of_two_conv(case: CaseOf) -> None:
    """All polygons of a window, of as many states; the budget changes nothing."""
    model, network, x, _ = case("2CONV", 0)
    found = network.slice(*small(x, 0.02))
    again = SwitchedNetwork(model, memory_budget=2**21).slice(*small(x, 0.02))

    assert len(again) == len(found) > 50
    assert found.areas.sum() == pytest.approx(window_area(found), rel=1e-9)
    np.testing.assert_allclose(np.sort(again.areas), np.sort(found.areas), atol=1e-12)
    assert len({network.region(one).key for one in found.at(found.centres)}) == len(found)


def test_a_slice_is_drawn(case: CaseOf) -> None:
    _, network, x, _ = case("dense", 0)
    found = network.slice(*small(x, 0.3))
    figure = found.plot()
    (axes,) = figure.axes
    (polygons,) = axes.collections
    assert len(polygons.get_paths()) == len(found)
    canvas: Any = figure.canvas
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert pixels[..., :3].std() > 1


def test_what_cannot_be_sliced(case: CaseOf) -> None:
    _, network, x, _ = case("dense", 0)
    calls: list[tuple[Any, str]] = [
        (lambda: network.slice(x, x[1], x[2]), r"a: expected one input of shape .* a\[0\]"),
        (lambda: network.slice(x[0], x[1], x[2] * np.nan), "c: expected finite numbers"),
        (lambda: network.slice(x[0], x[1], 2 * x[1] - x[0]), "expected three inputs that span"),
        (lambda: network.slice(x[0], x[0], x[1]), "expected three inputs that span a plane"),
        (lambda: network.slice(x[0], x[1], x[1]), "expected three inputs that span a plane"),
        (lambda: network.slice(*x, margin=-1), "margin=-1: expected a finite number, at least 0"),
        (lambda: network.slice(*x, margin=np.inf), "margin=inf: expected a finite number"),
        (lambda: network.slice(*x, most_regions=3), "most_regions=3: expected as many regions"),
        (lambda: network.slice(*small(x, 0.1)).at([0, 1]), r"expected an array \(n, 2\)"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_slice_is_of_the_weights_that_were() -> None:
    model = build("dense")
    network = SwitchedNetwork(model)
    found = network.slice(*small(images(model, 3, 0), 0.1))
    model.set_weights([2 * weight for weight in model.get_weights()])
    with pytest.raises(RuntimeError, match="compute it anew"):
        found.states([0])
