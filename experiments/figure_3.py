"""Figure 3: a neuron's centre in the plane of two inputs.

The paper draws it by hand. ``python -m experiments.figure_3`` draws it of the output of a network
of two inputs (:mod:`experiments.two_inputs`), for two inputs x, from the numbers that it writes to
``centres.npz``. ``figure_3.png`` and, as vectors, ``figure_3.pdf`` have for each of them its linear
region, the line on which the output would be 0 were the region's state to hold everywhere, the
centre, which is the point of that line nearest to x, and the curve, bent where the state switches,
on which the output is 0 indeed:

- (a) of the inputs with a centre in their own region, the one that is farthest from it;
- (b) of those with a centre beyond, the one whose output at the centre is farthest from 0.

Both are of the points that the network was not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

import insens_tf
from data_scripts.preparation import DataError
from experiments import two_inputs
from experiments.experiment import Experiment, Run
from experiments.plane_drawing import draw_arrow, draw_line, draw_point, draw_regions
from experiments.plots import draw_for_print, number
from insens_tf.regions import Slice

__all__ = ["SIZE", "draw", "draw_on", "main", "measured", "zero_curve"]

SIZE = (7.2, 3.3)
"""In inches."""

Floats = NDArray[np.float64]


def zero_curve(cut: Slice) -> Floats:
    """Return where the one output of a network is 0: a straight piece in each region that has one.

    Parameters
    ----------
    cut
        A plane of a network of two inputs.

    Returns
    -------
    numpy.ndarray of float64, shape (pieces, 2, 2)
        The ends of each piece, as inputs.
    """
    pieces = []
    for polygon, (value, *rates) in zip(cut.polygons, cut.outputs[..., 0], strict=True):
        here = value + polygon @ np.array(rates)
        after, end = np.roll(here, -1), np.roll(polygon, -1, axis=0)
        crossed = (here > 0) != (after > 0)
        if crossed.any():
            share = (here / np.where(crossed, here - after, 1))[:, np.newaxis]
            pieces.append(cut.at((polygon + share * (end - polygon))[crossed]))
    return np.array(pieces).reshape(-1, 2, 2)


def measured(network: insens_tf.SwitchedNetwork, points: Floats) -> dict[str, NDArray[Any]]:
    """Choose the two inputs, and return all that the figure shows.

    Parameters
    ----------
    network
        Of two inputs and one logit.
    points
        To choose from, (n, 2).

    Returns
    -------
    dict of str to numpy.ndarray
        ``x``, ``centre`` and ``w``, (2, 2), ``v``, ``b`` and ``v_at_centre``, what the network
        gives there, (2,), of both inputs; ``region``, the numbers of theirs, (2,), among all that
        `two_inputs.stored_regions` gives; and ``zero``, the pieces of the curve on which the
        output is 0.

    Raises
    ------
    DataError
        If the points have no two such inputs.
    """
    # Where the output has no weights it has no centre.
    points = points[network.project(points, network.output).weights.any(axis=(1, 2))]
    p = network.project(points, network.output)
    centres = p.centre[:, 0]
    inside = network.same_region(points, centres).same
    drawn = two_inputs.in_window(centres)
    inside, beyond = inside & drawn, ~inside & drawn
    if not inside.any() or not beyond.any():
        raise DataError(
            "expected a point with its centre in its own region and one with it beyond; this "
            "network has none; take another --seed"
        )
    at_centres = network.activity(centres, network.output)[:, 0]
    away = np.linalg.norm(points - centres, axis=1)
    chosen = [
        int(np.where(inside, away, -1).argmax()),
        int(np.where(beyond, np.abs(at_centres), -1).argmax()),
    ]
    cut = two_inputs.plane(network)
    return {
        "x": points[chosen],
        "centre": centres[chosen],
        "w": p.weights[chosen, 0],
        "v": p.activity[chosen, 0],
        "b": p.bias[chosen, 0],
        "v_at_centre": at_centres[chosen],
        "region": np.array([two_inputs.region_of(network, x, cut) for x in points[chosen]]),
        **two_inputs.stored_regions(cut),
        "zero": zero_curve(cut),
    }


def draw_on(figure: Figure, numbers: Mapping[str, NDArray[Any]]) -> None:
    """Draw both panels on an empty figure."""
    titles = ("(a) the centre lies in the region of x", "(b) the centre lies beyond it")
    regions = two_inputs.regions_of(numbers)
    panels = figure.subplots(1, 2, sharey=True)
    for n, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        draw_regions(panel, regions, [int(numbers["region"][n])])
        panel.add_collection(
            LineCollection(list(numbers["zero"]), colors="0.45", linewidths=2.2, gid="zero")
        )
        _draw_centre(panel, {name: numbers[name][n] for name in ("x", "centre", "w", "b")})
        here, there = (number(float(numbers[name][n])) for name in ("v", "v_at_centre"))
        panel.set_title(f"{title}\nv at x: {here}; the network at c: {there}", fontsize=9)
    panels[1].set_ylabel("")
    figure.legend(
        [panels[0].lines[0], panels[0].collections[1]],
        ["x w + b = 0, by the state of x (yellow region)", "where the network's output is 0"],
        loc="outside lower center",
        ncols=2,
        fontsize=8,
        frameon=False,
    )


def _draw_centre(panel: Axes, one: Mapping[str, NDArray[Any]]) -> None:
    """Draw a neuron's line, its centre, and the step from there to x, along w."""
    x, centre, w = one["x"], one["centre"], one["w"]
    draw_line(panel, w, float(one["b"]), color="black", linewidth=1, linestyle="--", gid="line")
    draw_arrow(panel, centre, x)
    # Names stand on the far sides of the arrow.
    side = np.sign(x - centre)
    draw_point(panel, x, "x", tuple(5 * side), gid="x")
    draw_point(panel, centre, "c", tuple(-5 * side), gid="centre", markerfacecolor="white")


def draw(folder: Path) -> None:
    """Draw the figure of a folder of results, as pixels and as vectors."""
    draw_for_print(draw_on, SIZE, folder / "centres.npz", folder / "figure_3.png")


def compute(run: Run) -> None:
    """Draw the centre of a neuron in the plane of two inputs (Figure 3)."""
    network = two_inputs.record(run)
    points, _ = two_inputs.held_out(run.seed)
    np.savez_compressed(run.folder / "centres.npz", **measured(network, points))


main = Experiment("figure_3", compute, draw, datasets=()).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_3")
