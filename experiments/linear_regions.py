"""How small linear regions are, how many lie between two images, and what steps miss of them.

``python -m experiments.linear_regions`` asks, for test images of each data set and 2CONV trained on
it: the radius of the region that an image lies in, with and without the boundaries that it lies
on; what switches on the lines to it from black, to the next image of its class and to the next of
another; and how far integrated gradients of 8, 64 and 512 steps from black, of the strongest
output, are from exact ones. The folder of results has

- ``summary.csv``, each measure's mean, standard deviation, least and most over the images;
- ``<dataset>.npz``, the numbers of each image;
- ``linear_regions.png``, what switches by layer, and the errors of steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

import insens_tf
from experiments.data import TITLES, load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.intervals import sample_deviation
from experiments.network_store import Store
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    Bar,
    grouped_bars,
    legend_above,
    letter,
    note_below,
    save,
)
from experiments.tables import read_csv, write_csv
from experiments.train import Network
from insens_tf.new_figure import new_figure
from insens_tf.regions import Path as Line

__all__ = ["LINES", "STEPS", "main", "measured", "other_ends"]

STEPS = (8, 64, 512)
"""Of the integrated gradients that are held against exact ones."""

LINES = {"black": "from black", "class": "to its class", "other": "to another class"}
"""The lines of each image, and how they are called in pictures."""

_HEAD = ("dataset", "line", "measure", "mean", "std", "least", "most", "n")
_COLOURS = ("0.45", "tab:blue", "tab:red")


@dataclass(frozen=True)
class _Task:
    """A network and a test image: what a process is given to do."""

    store: Store
    network: Network
    data_sha256: str
    image: int


def other_ends(labels: NDArray[np.integer], image: int) -> tuple[int, int]:
    """Return the next images of an image's class and of another; after the last comes the first."""
    order = np.roll(np.arange(len(labels)), -image - 1)[:-1]
    same = labels[order] == labels[image]
    return int(order[same.argmax()]), int(order[(~same).argmax()])


def measured(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    ends: Mapping[str, NDArray[np.float32]],
) -> dict[str, float]:
    """Return all measures of an image.

    Parameters
    ----------
    network
        Of any model.
    x
        The image, (*input_shape).
    ends
        The other ends of lines to it, by the lines' names; of "black" there is more.

    Returns
    -------
    dict of str to float
        By ``line/measure``; the line of what is of the image itself is "image".
    """
    region = network.region(x)
    found = {
        "image/radius": region.radius(),
        "image/radius without ties": region.radius(ties=False),
        "image/effective radius without ties": region.radius(effective=True, ties=False),
        "image/boundaries it lies on": region.ties,
    }
    for name, end in ends.items():
        line = network.path(end, x, progress=False)
        found |= {f"{name}/{measure}": value for measure, value in _of_line(line)}
        if name == "black":
            found |= {
                f"{name}/{measure}": value
                for measure, value in _of_line_from_black(network, line, x)
            }
    return {name: float(value) for name, value in found.items()}


def _of_line(line: Line) -> Iterator[tuple[str, float]]:
    yield "regions", len(line.breakpoints) + 1
    yield "crossings", len(line.crossings)
    for layer, count in line.state_changes().items():
        yield f"share of {layer}", count / max(1, len(line.crossings))


def _of_line_from_black(
    network: insens_tf.SwitchedNetwork, line: Line, x: NDArray[np.float32]
) -> Iterator[tuple[str, float]]:
    """Yield also which share is effective, and how far steps are off, relative to exact."""
    yield "effective share", line.effective.mean() if len(line.crossings) else 0.0
    neuron = int(line.activity(1.0, network.output).argmax())
    exact = line.integrated_gradients(neurons=neuron, progress=False)[0]
    for steps in STEPS:
        analyzer = _of_steps(network.model, steps)
        with warnings.catch_warnings():
            # That steps leave a gap is what is measured.
            warnings.simplefilter("ignore", UserWarning)
            found = analyzer.analyze(x[np.newaxis], neuron, progress=False)[0]
        yield (
            f"error of {steps} steps",
            float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
        )


@lru_cache(maxsize=len(STEPS))
def _of_steps(model: Any, steps: int) -> Any:
    """Return what integrates gradients by steps, compiled once for all images of a network."""
    return insens_tf.create_analyzer(
        "integrated_gradients",
        model,
        source="native",
        steps=steps,
        neuron_selection_mode="index",
    )


@lru_cache(maxsize=1)
def _opened(
    store: Store, network: Network, data_sha256: str
) -> tuple[insens_tf.SwitchedNetwork, NDArray[np.float32], NDArray[np.uint8]]:
    """Return a trained network, and its data set's test images and labels."""
    data = load_data(store.data, network.dataset)
    model = store.load(network, data_sha256)
    return insens_tf.SwitchedNetwork(model), scaled(data["x_test"]), data["y_test"]


def _measure(task: _Task) -> dict[str, NDArray[Any]]:
    network, images, labels = _opened(task.store, task.network, task.data_sha256)
    x = images[task.image]
    same, other = other_ends(labels, task.image)
    ends = {"black": np.zeros_like(x), "class": images[same], "other": images[other]}
    found = measured(network, x, ends)
    return {"names": np.array(list(found)), "values": np.array(list(found.values()))}


def draw(folder: Path) -> None:
    """Draw shares by layer and errors of steps from a folder of results, a row a data set."""
    rows = read_csv(folder / "summary.csv")
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    figure = new_figure(TWO_COLUMNS, 0.8 + 2 * len(datasets))
    panels = figure.subplots(len(datasets), 2, squeeze=False)
    titles = []
    for (shares, errors), dataset in zip(panels, datasets, strict=True):
        mine = [row for row in rows if row["dataset"] == dataset]
        _draw_shares(shares, mine)
        _draw_errors(errors, mine)
        images = f"{TITLES[dataset]}, n = {mine[0]['n']} images"
        titles += [f"{images}: what switches", f"{images}: error of steps"]
    letter(panels.flat, titles)
    legend_above(figure, panels[0, 0], len(LINES))
    note_below(
        figure,
        "One network of each data set. Left, of the neurons and pooling windows that switch on the "
        "line from black to the image, or between two images; lines: standard deviation over "
        "images. Right, integrated gradients from black by steps, off exact ones by the norm of "
        "the difference over that of the exact map: mean and standard deviation over images; "
        "shaded: from the least to the most.",
    )
    save(figure, folder / "linear_regions.png")


def _draw_shares(panel: Axes, rows: Sequence[Mapping[str, str]]) -> None:
    """Draw which share of what switches on each line is in each layer."""
    shares = [row for row in rows if row["measure"].startswith("share of ")]
    bars = {
        title: [
            Bar(100 * float(row["mean"]), 100 * float(row["std"]))
            for row in shares
            if row["line"] == line
        ]
        for line, title in LINES.items()
    }
    grouped_bars(panel, bars, _COLOURS)
    layers = dict.fromkeys(row["measure"].removeprefix("share of ") for row in shares)
    panel.set_xticks(range(len(layers)), list(layers))
    panel.set_ylabel("share of what switches, %", fontsize=TEXT)
    panel.tick_params(labelsize=SMALL)


def _draw_errors(panel: Axes, rows: Sequence[Mapping[str, str]]) -> None:
    """Draw how far integrated gradients by steps are off exact ones."""
    of_steps = [row for row in rows if row["measure"].startswith("error of ")]
    mean, spread, least, most = (
        np.array([100 * float(row[column]) for row in of_steps])
        for column in ("mean", "std", "least", "most")
    )
    look: dict[str, Any] = {"marker": "o", "markersize": 3, "capsize": 2.5, "linewidth": 1}
    panel.errorbar(STEPS, mean, spread, color="tab:red", **look)
    panel.fill_between(STEPS, least, most, color="tab:red", alpha=0.15, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_xticks(STEPS, map(str, STEPS))
    panel.set_xlabel("steps", fontsize=TEXT)
    panel.set_ylabel("off the exact map, %", fontsize=TEXT)
    panel.tick_params(labelsize=SMALL)


def compute(run: Run, count: int) -> None:
    """Measure linear regions, the lines between images, and integrated gradients by steps."""
    networks = [Network(one, run.seed, run.settings(one)) for one in run.datasets]
    run.train(networks)
    count = min(count, 2) if run.quick else count
    tasks = [
        _Task(run.store, network, run.sha256[network.dataset], image)
        for network in networks
        for image in range(min(count, len(run.labels(network.dataset))))
    ]
    run.measure(_measure, tasks, "images")
    names, *_ = run.unfinished.parts("names")
    of_images = np.stack(list(run.unfinished.parts("values")))
    rows: list[tuple[Any, ...]] = []
    for dataset in run.datasets:
        mine = [task.network.dataset == dataset for task in tasks]
        values = dict(zip(names.tolist(), of_images[mine].T, strict=True))
        np.savez_compressed(run.folder / f"{dataset}.npz", **values)
        for name, found in values.items():
            line, measure = name.split("/")
            spread = found.mean(), sample_deviation(found), found.min(), found.max(), len(found)
            rows.append((dataset, line, measure, *spread))
    write_csv(run.folder / "summary.csv", _HEAD, rows)


main = Experiment(
    "linear_regions",
    compute,
    draw,
    datasets=("mnist", "cifar10"),
    options=(
        click.Option(
            ["--count"],
            default=100,
            show_default=True,
            type=click.IntRange(min=1),
            help="How many test images of each data set, the first.",
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.linear_regions")
