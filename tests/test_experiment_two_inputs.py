"""Figures 1 and 3, of a network of two inputs, held against what its weights give by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure, SubFigure
from PIL import Image

import insens_tf
from data_scripts.preparation import DataError
from experiments import figure_1, figure_3, two_inputs
from insens_tf.new_figure import new_figure
from tests.commands_here import run_here
from tests.conftest import with_keras_2, with_keras_3

# Those that share a network that is traced once.
pytestmark = pytest.mark.xdist_group("two inputs")

SEED = 0


@pytest.fixture(scope="module")
def network() -> insens_tf.SwitchedNetwork:
    return two_inputs.trained(SEED)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return two_inputs.held_out(SEED)[0]


@pytest.fixture(scope="module")
def subnetwork(network: insens_tf.SwitchedNetwork) -> dict[str, np.ndarray]:
    return figure_1.measured(network, *two_inputs.held_out(SEED))


@pytest.fixture(scope="module")
def centres(network: insens_tf.SwitchedNetwork, points: np.ndarray) -> dict[str, np.ndarray]:
    return figure_3.measured(network, points)


def activities(weights: list[np.ndarray], x: np.ndarray) -> list[np.ndarray]:
    """What each layer computes for inputs (n, 2), from kernels and biases in turn."""
    found = [x @ weights[0] + weights[1]]
    for kernel, bias in zip(weights[2::2], weights[3::2], strict=True):
        found.append(np.where(found[-1] > 0, found[-1], 0) @ kernel + bias)
    return found


def state(weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """Which hidden neurons are active, (n, neurons)."""
    return np.concatenate(activities(weights, x)[:-1], axis=1) > 0


def named(figure: Figure | SubFigure, name: str) -> list[Any]:
    """The artists of a figure that were given a name."""
    return figure.findobj(lambda artist: artist.get_gid() == name)


# --------------------------------------------------------------------------------------------------
# The network


def test_moons_are_two_half_circles() -> None:
    x, labels = two_inputs.moons(40, np.random.default_rng(0), noise=0)
    assert labels.tolist() == [0, 1] * 20
    for label, centre, side in ((0, (0, 0), 1), (1, (1, 0.5), -1)):
        away = x[labels == label] - centre
        np.testing.assert_allclose(np.hypot(*away.T), 1)
        assert (side * away[:, 1] > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_network_tells_moons_apart_and_is_the_same_each_time(seed: int) -> None:
    weights = two_inputs.trained(seed).model.get_weights()
    x, labels = two_inputs.held_out(seed)
    assert ((activities(weights, x)[-1][:, 0] > 0) == labels).mean() > 0.95
    again = two_inputs.trained.__wrapped__(seed).model.get_weights()
    assert all(np.array_equal(*pair) for pair in zip(weights, again, strict=True))


# --------------------------------------------------------------------------------------------------
# Figure 1


def test_the_input_has_the_most_neurons_of_both_states(
    network: insens_tf.SwitchedNetwork, points: np.ndarray, subnetwork: dict[str, np.ndarray]
) -> None:
    def rarer(x: np.ndarray) -> int:
        layers = activities(network.model.get_weights(), x[np.newaxis])[:-1]
        return sum(min(int((v > 0).sum()), int((v <= 0).sum())) for v in layers)

    counts = [rarer(one) for one in points]
    assert rarer(subnetwork["x"]) == max(counts)
    assert np.array_equal(subnetwork["x"], points[counts.index(max(counts))])


def test_figure_1_has_the_network_and_the_neuron_that_it_equals(
    network: insens_tf.SwitchedNetwork, subnetwork: dict[str, np.ndarray]
) -> None:
    weights, x = network.model.get_weights(), subnetwork["x"]
    stored = [subnetwork[f"{name}_{place}"] for place in (1, 2, 3) for name in ("kernel", "bias")]
    for one, other in zip(weights, stored, strict=True):
        np.testing.assert_array_equal(one, other)
    product, bias = np.eye(2), np.zeros(2)
    for place, v in enumerate(activities(weights, x[np.newaxis]), 1):
        np.testing.assert_allclose(subnetwork[f"activity_{place}"], v[0], atol=1e-12)
        product, bias = product @ weights[2 * place - 2], bias @ weights[2 * place - 2]
        bias = bias + weights[2 * place - 1]
        if place < 3:
            product, bias = product * (v[0] > 0), bias * (v[0] > 0)
    np.testing.assert_allclose(subnetwork["w"], product[:, 0], atol=1e-12)
    np.testing.assert_allclose(subnetwork["b"], bias[0], atol=1e-12)
    np.testing.assert_allclose(subnetwork["v"], x @ product[:, 0] + bias[0], atol=1e-12)


def test_the_shaded_region_is_that_of_the_input(
    network: insens_tf.SwitchedNetwork, subnetwork: dict[str, np.ndarray]
) -> None:
    weights, x = network.model.get_weights(), subnetwork["x"]
    regions = two_inputs.regions_of(subnetwork)
    vertices = regions[int(subnetwork["region"])]
    here = state(weights, x[np.newaxis])
    assert (state(weights, x + 0.999 * (vertices - x)) == here).all()
    middles = (vertices + np.roll(vertices, -1, axis=0)) / 2
    beyond = x + 1.001 * (middles - x)
    there = two_inputs.in_window(beyond)
    assert there.any()
    assert (state(weights, beyond[there]) != here).any(axis=1).all()
    # Of no other region is any point in the state of x.
    others = [one.mean(axis=0) for n, one in enumerate(regions) if n != int(subnetwork["region"])]
    assert (state(weights, np.array(others)) != here).any(axis=1).all()


@with_keras_2
def test_the_subnetwork_is_drawn_without_what_is_inactive(
    subnetwork: dict[str, np.ndarray],
) -> None:
    figure = new_figure(*figure_1.SIZE)
    figure_1.draw_on(figure, subnetwork)
    whole, active, neuron, plane = figure.axes
    on = [int((subnetwork[f"activity_{place}"] > 0).sum()) for place in (1, 2)]

    def edges(panel: Any) -> int:
        lines = [one for one in panel.collections if isinstance(one, LineCollection)]
        return sum(len(one.get_segments()) for one in lines)

    assert edges(whole) == 2 * 6 + 6 * 4 + 4
    assert edges(active) == 2 * on[0] + on[0] * on[1] + on[1] < edges(whole)
    assert edges(neuron) == 2
    (regions,) = named(plane.figure, "regions")
    assert len(regions.get_paths()) == len(subnetwork["sizes"])


# --------------------------------------------------------------------------------------------------
# Figure 3


def test_centres_are_the_nearest_points_of_their_lines(
    network: insens_tf.SwitchedNetwork, centres: dict[str, np.ndarray]
) -> None:
    weights = network.model.get_weights()
    for n in range(2):
        x, c, w, b = (centres[name][n] for name in ("x", "centre", "w", "b"))
        assert c @ w + b == pytest.approx(0, abs=1e-12)
        assert np.linalg.norm(x - c) == pytest.approx(abs(x @ w + b) / np.linalg.norm(w))
        there = activities(weights, c[np.newaxis])[-1][0, 0]
        assert centres["v_at_centre"][n] == pytest.approx(there, abs=1e-12)
        assert centres["v"][n] == pytest.approx(activities(weights, x[np.newaxis])[-1][0, 0])
    of_x, of_centre = (state(weights, centres[name]) for name in ("x", "centre"))
    assert (of_x == of_centre).all(axis=1).tolist() == [True, False]
    assert abs(centres["v_at_centre"][0]) < 1e-12 < 0.1 < abs(centres["v_at_centre"][1])


def test_the_curve_is_all_of_where_the_output_is_0(
    network: insens_tf.SwitchedNetwork, centres: dict[str, np.ndarray]
) -> None:
    weights, pieces = network.model.get_weights(), centres["zero"]
    for share in (0, 0.3, 1):
        along = pieces[:, 0] + share * (pieces[:, 1] - pieces[:, 0])
        np.testing.assert_allclose(activities(weights, along)[-1], 0, atol=1e-9)
    # Each end is that of another piece, too, or on the window's edge.
    ends = pieces.reshape(-1, 2)
    low, high = np.array(two_inputs.WINDOW)
    for n, end in enumerate(ends):
        away = np.linalg.norm(np.delete(ends, n, axis=0) - end, axis=1)
        assert away.min() < 1e-9 or np.isclose([*(end - low), *(high - end)], 0).any()


@with_keras_3
def test_what_figure_3_draws_lies_where_it_should(centres: dict[str, np.ndarray]) -> None:
    figure = new_figure(*figure_3.SIZE)
    figure_3.draw_on(figure, centres)
    for n, (line, x, c) in enumerate(
        zip(named(figure, "line"), named(figure, "x"), named(figure, "centre"), strict=True)
    ):
        (drawn_x,), (drawn_c,) = x.get_xydata(), c.get_xydata()
        np.testing.assert_array_equal(drawn_x, centres["x"][n])
        first, second = np.array(line.get_xy1()), np.array(line.get_xy2())
        along = second - first
        across = np.array([-along[1], along[0]])
        assert (drawn_c - first) @ across == pytest.approx(0, abs=1e-9)
        assert (drawn_x - drawn_c) @ along == pytest.approx(0, abs=1e-9)


def test_points_without_such_centres_are_refused(
    network: insens_tf.SwitchedNetwork, centres: dict[str, np.ndarray]
) -> None:
    with pytest.raises(DataError, match=r"with its centre in its own region .* another --seed"):
        figure_3.measured(network, centres["x"][:1])


# --------------------------------------------------------------------------------------------------
# The commands


@pytest.mark.slow
@pytest.mark.parametrize(
    ("figure", "numbers"),
    [
        pytest.param(figure_1, "network.npz", marks=with_keras_2),
        pytest.param(figure_3, "centres.npz", marks=with_keras_3),
    ],
)
def test_the_command_draws_from_its_numbers(figure: Any, numbers: str, tmp_path: Path) -> None:
    out, name = tmp_path / "out", figure.main.name

    ended = run_here(figure.main, "--seed", "1", "--out", out)

    assert ended.exit_code == 0, ended.output
    record = json.loads((out / "run.json").read_text())
    (trained,) = record["networks"]
    assert trained["config"]["seed"] == record["config"]["seed"] == 1
    assert 0.95 < trained["test_accuracy"] <= 1
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "run.json", numbers, f"{name}.png", f"{name}.pdf")
    }
    drawn = {kind: (out / f"{name}.{kind}").read_bytes() for kind in ("png", "pdf")}
    with Image.open(out / f"{name}.png") as image:
        assert np.asarray(image.convert("L")).std() > 0
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)

    redrawn = run_here(figure.main, "--redraw", out)

    assert redrawn.exit_code == 0, redrawn.output
    for kind, before in drawn.items():
        assert (out / f"{name}.{kind}").read_bytes() == before


@with_keras_3
@pytest.mark.parametrize("option", [("--dataset", "mnist"), ("--setting", "epochs=1")])
def test_options_of_data_sets_are_refused(option: tuple[str, str], tmp_path: Path) -> None:
    ended = run_here(figure_1.main, *option, "--out", tmp_path / "out")
    assert ended.exit_code == 2
    assert "figure_1 has a network of its own: expected no --dataset and no" in ended.output
    assert not (tmp_path / "out").exists()
