"""Figure 1: a network, its active subnetwork for an input, and the single neuron that both are.

The paper draws it by hand. ``python -m experiments.figure_1`` trains a ReLU network of two inputs
on two moons (:mod:`experiments.two_inputs`) and draws it from its numbers, which it writes to
``network.npz``: ``figure_1.png`` and, as vectors, ``figure_1.pdf`` have

- (a) the network, in each neuron what it computes for x, its activity v; the inactive are white;
- (b) the same without them: the active subnetwork;
- (c) the one neuron, of switched weights and bias, that both are equal to for x;
- (d) the plane of all inputs, cut into linear regions: in that of x, the neuron stays the same.

x is one of the points that the network was not trained on: that with the most neurons of each
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

import insens_tf
from experiments import two_inputs
from experiments.experiment import Experiment, Run
from experiments.plane_drawing import (
    ACTIVE,
    NEGATIVE,
    POSITIVE,
    draw_moons,
    draw_point,
    draw_regions,
)
from experiments.plots import draw_for_print, number

__all__ = ["SIZE", "draw", "draw_network", "draw_on", "layers_at", "main", "measured", "most_mixed"]

SIZE = (7.2, 5.8)
"""In inches."""

Numbers = Mapping[str, NDArray[Any]]

_NODE = 430.0  # square points
_SPACING = 1.0
_MINUS_LOWEST = 3.1


def most_mixed(
    network: insens_tf.SwitchedNetwork, points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the point at which the layers have the most neurons of the rarer state; the first."""
    fewest = np.zeros(len(points), np.int64)
    for layer in network.layers:
        active = (network.activity(points, layer) > 0).sum(axis=1)
        fewest += np.minimum(active, layer.neurons - active)
    return points[fewest.argmax()]


def layers_at(
    network: insens_tf.SwitchedNetwork, x: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Return a network of dense layers, and what its neurons compute for an input.

    Returns
    -------
    dict of str to numpy.ndarray
        ``x``, and of layer l ``kernel_l``, ``bias_l`` and ``activity_l``; the last is the output.
    """
    found = {"x": x}
    for place, layer in enumerate((*network.layers, network.output), 1):
        kernel, bias = network.model.get_layer(layer.name).get_weights()
        found |= {f"kernel_{place}": kernel, f"bias_{place}": bias}
        found[f"activity_{place}"] = network.activity(x[np.newaxis], layer)[0]
    return found


def measured(
    network: insens_tf.SwitchedNetwork,
    points: NDArray[np.float64],
    labels: NDArray[np.integer],
) -> dict[str, NDArray[Any]]:
    """Choose the input, and return all that the figure shows.

    Parameters
    ----------
    network
        Of two inputs and one logit.
    points, labels
        To choose from, (n, 2), and which moon each is of, (n,).

    Returns
    -------
    dict of str to numpy.ndarray
        What `layers_at` and `two_inputs.stored_regions` return; ``v``, ``w`` and ``b`` of the
        output's switched projection; ``region``, the number of that of x; ``points``, ``labels``.
    """
    x = most_mixed(network, points)
    p = network.project(x[np.newaxis], network.output)
    cut = two_inputs.plane(network)
    return {
        **layers_at(network, x),
        "v": p.activity[0, 0],
        "w": p.weights[0, 0],
        "b": p.bias[0, 0],
        **two_inputs.stored_regions(cut),
        "region": np.array(two_inputs.region_of(network, x, cut)),
        "points": points,
        "labels": labels,
    }


def draw_network(panel: Axes, numbers: Numbers, *, subnetwork: bool = False) -> None:
    """Draw a network with what each neuron computes, the active grey and the inactive white.

    Parameters
    ----------
    panel
        To draw on.
    numbers
        What `layers_at` returns.
    subnetwork
        Whether to leave out what goes to inactive neurons and comes from them.
    """
    kernels = _layers(numbers, "kernel")
    values = [numbers["x"], *_layers(numbers, "activity")]
    # Inputs and outputs have no ReLU.
    on = [np.ones(2, bool), *(v > 0 for v in values[1:-1]), np.ones(len(values[-1]), bool)]
    largest = max(np.abs(kernel).max() for kernel in kernels)
    places = [_column(column, len(value)) for column, value in enumerate(values)]
    for (left, right), (left_on, right_on), kernel in zip(
        pairwise(places), pairwise(on), kernels, strict=True
    ):
        drawn = left_on[:, np.newaxis] & right_on if subnetwork else np.ones(kernel.shape, bool)
        _draw_edges(panel, left, right, kernel / largest, drawn)
    for place, value, active in zip(places, values, on, strict=True):
        left_out = subnetwork & ~active
        _draw_nodes(panel, place, value, active, left_out)
    titles = ["x", *(f"layer {one}" for one in range(1, len(kernels))), "output"]
    for column, title in enumerate(titles):
        panel.text(column, _MINUS_LOWEST, title, ha="center", va="center", fontsize=8)
    _frame(panel, len(values))


def draw_on(figure: Figure, numbers: Numbers) -> None:
    """Draw all four panels on an empty figure."""
    panels = figure.subplots(2, 2).reshape(-1)
    draw_network(panels[0], numbers)
    draw_network(panels[1], numbers, subnetwork=True)
    _draw_neuron(panels[2], numbers)
    draw_regions(panels[3], two_inputs.regions_of(numbers), [int(numbers["region"])])
    draw_moons(panels[3], numbers["points"], numbers["labels"])
    draw_point(panels[3], numbers["x"], "x")
    titles = (
        "(a) the network, for one input x",
        "(b) its active subnetwork",
        "(c) the single neuron that both are",
        "(d) for which inputs: the region of x",
    )
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, fontsize=9)


def draw(folder: Path) -> None:
    """Draw the figure of a folder of results, as pixels and as vectors."""
    draw_for_print(draw_on, SIZE, folder / "network.npz", folder / "figure_1.png")


def compute(run: Run) -> None:
    """Draw a network of two inputs, its active subnetwork and the neuron it equals (Figure 1)."""
    network = two_inputs.record(run)
    numbers = measured(network, *two_inputs.held_out(run.seed))
    np.savez_compressed(run.folder / "network.npz", **numbers)


def _layers(numbers: Numbers, name: str) -> list[NDArray[Any]]:
    found = [one for one in numbers if one.startswith(f"{name}_")]
    return [numbers[f"{name}_{place}"] for place in range(1, len(found) + 1)]


def _column(column: int, neurons: int) -> NDArray[np.float64]:
    """Return the places of a layer's neurons, the first at the top, (neurons, 2)."""
    heights = _SPACING * ((neurons - 1) / 2 - np.arange(neurons))
    return np.column_stack([np.full(neurons, float(column)), heights])


def _draw_edges(
    panel: Axes,
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    strengths: NDArray[np.floating],
    drawn: NDArray[np.bool_],
) -> None:
    first, second = np.nonzero(drawn)
    of_drawn = strengths[first, second]
    panel.add_collection(
        LineCollection(
            np.stack([left[first], right[second]], axis=1),
            colors=np.where(of_drawn > 0, POSITIVE, NEGATIVE).tolist(),
            linewidths=(0.3 + 2.2 * np.abs(of_drawn)).tolist(),
            zorder=1,
        )
    )


def _draw_nodes(
    panel: Axes,
    places: NDArray[np.float64],
    values: NDArray[np.floating],
    active: NDArray[np.bool_],
    left_out: NDArray[np.bool_],
) -> None:
    for place, value, is_active, is_left_out in zip(places, values, active, left_out, strict=True):
        across, down = place
        panel.scatter(
            across,
            down,
            s=_NODE,
            facecolor=ACTIVE if is_active else "white",
            edgecolor="0.6" if is_left_out else "black",
            linestyle=":" if is_left_out else "-",
            linewidth=0.8,
            zorder=2,
        )
        colour = "0.6" if is_left_out else "black"
        text = number(float(value))
        panel.text(
            across, down, text, ha="center", va="center", fontsize=6.5, color=colour, zorder=3
        )


def _draw_neuron(panel: Axes, numbers: Numbers) -> None:
    """Draw the switched projection as a neuron of two weights and a bias."""
    x, w = numbers["x"], numbers["w"]
    v, b = float(numbers["v"]), float(numbers["b"])
    inputs, output = _column(0, 2) * (1, 2), np.array([[2.0, 0.0]])
    everything = np.ones((2, 1), bool)
    _draw_edges(panel, inputs, output, w[:, np.newaxis] / np.abs(w).max(), everything)
    for place, weight, index in zip(inputs, w, "₁₂", strict=True):
        middle = (place + output[0]) / 2
        side = np.sign(place[1])
        text = f"w{index} = {number(float(weight))}"
        panel.text(middle[0], middle[1] + 0.5 * side, text, ha="center", va="center", fontsize=8)
    _draw_nodes(panel, inputs, x, np.ones(2, bool), np.zeros(2, bool))
    _draw_nodes(panel, output, np.array([v]), np.ones(1, bool), np.zeros(1, bool))
    panel.text(2, 0.62, f"b = {number(b)}", ha="center", va="center", fontsize=8)
    for column, title in ((0, "x"), (2, "output")):
        panel.text(column, _MINUS_LOWEST, title, ha="center", va="center", fontsize=8)
    terms = " + ".join(
        f"{number(float(one))} · {_in_brackets(float(weight))}"
        for one, weight in zip(x, w, strict=True)
    )
    said = f"v = x w + b = {terms} + {_in_brackets(b)} = {number(v)}"
    panel.text(1, -2.6, said, ha="center", va="center", fontsize=8)
    _frame(panel, 3)


def _in_brackets(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def _frame(panel: Axes, columns: int) -> None:
    panel.set(xlim=(-0.45, columns - 0.55), ylim=(-_MINUS_LOWEST - 0.3, _MINUS_LOWEST + 0.3))
    panel.set_axis_off()


main = Experiment("figure_1", compute, draw, datasets=()).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_1")
