"""Does a step along Insens keep a network's state as it is? The paper's central claim, measured.

Insens says what in an input keeps its neurons inactive: brighter where it is red, darker where it
is blue. ``python -m experiments.stability`` takes steps of some lengths (L2) from test images along
directions of length 1, and looks at what becomes of the network's state. The directions are

- Insens of each layer, weighted with m/N and without, and of the whole network (the form of the
  paper's first version), each forward, ``+``, and backward, ``-``;
- the gradient of the predicted class, forward and backward;
- the image itself, which makes it brighter, and a random direction: what any method must beat.

Images are not kept within 0 to 1, so that all steps have the same length. The folder of results has

- ``summary.csv``: each measure's mean over networks, and that of its paired difference to the
  random direction, with 95 % intervals;
- ``<dataset>.npz``, the numbers of each network and image, with the names of their axes;
- ``stability.png``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import insens_tf
from experiments.data import TITLES, load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.experiment_options import networks_and_images
from experiments.intervals import mean_interval
from experiments.network_store import Store
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    legend_above,
    letter,
    note_below,
    save,
)
from experiments.tables import read_csv, write_csv
from experiments.train import Network
from insens_tf.new_figure import new_figure
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["LENGTHS", "MEASURES", "RANDOM", "directions", "main", "measured"]

LENGTHS = (0.01, 0.1, 0.5, 1.0, 2.0, 4.0)
"""Of the steps, in L2, for images in 0 to 1."""

RANDOM = "random"
"""The direction that differences are to."""

LENGTH_OF_MARGINS = 2.0
"""Of the steps after which margins are computed, which cost much more than activities."""

IMAGES_OF_MARGINS = 20
"""The first so many images alone have margins, for the same reason."""

MEASURES = {
    "switched on": "share of the inactive neurons that become active",
    "switched off": "share of the active neurons that become inactive",
    "inactive v": "change of the mean v of the inactive neurons, in units of its magnitude",
}
"""What is measured of each layer.

In the summary there are also "any", the share of the images of which any neuron of the layer
switches; of the whole network "accuracy", and "another class", the share of the images whose class
is not that of before the step; and "nearest": how far a layer's nearest neuron is from switching
after a step, over how far it was; the median over the images, as some lie next to a boundary."""

_HEAD = (
    *("dataset", "direction", "length", "layer", "measure"),
    *("mean", "low", "high", "to_random", "to_random_low", "to_random_high", "networks"),
)

AXES = {
    "of_layers": "network direction length image layer measure",
    "correct": "network direction length image",
    "another_class": "network direction length image",
    "nearest": "network direction image layer",
}
"""What the axes of the arrays in the results are."""

_SHOWN = {
    "+ Insens dense": ("tab:red", "-"),
    "- Insens dense": ("tab:blue", "-"),
    "+ Insens of all layers": ("tab:red", ":"),
    "- Insens of all layers": ("tab:blue", ":"),
    "+ gradient": ("tab:orange", "-"),
    "- gradient": ("tab:green", "-"),
    "+ image": ("0.6", "-"),
    RANDOM: ("black", "--"),
}


@dataclass(frozen=True)
class _Task:
    """A network and the test images from which steps are taken: what a process is given to do."""

    store: Store
    network: Network
    data_sha256: str
    images: tuple[int, ...]
    seed: int


def directions(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    frequency: Mapping[str, NDArray[Any]],
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Return the directions of steps from inputs, of length 1; 0 where a map is 0 everywhere.

    Parameters
    ----------
    network
        Of any model that ends in logits.
    x
        The inputs, (n, *input_shape).
    frequency
        m/N of each layer, which names the layers.
    seed
        Decides the random direction.

    Returns
    -------
    dict of str to numpy.ndarray
        By their names, shaped as x.
    """
    layers = list(frequency)
    maps = {
        f"Insens {name}": one
        for name, one in network.insens(x, layers, frequency, progress=False).items()
    }
    maps |= {
        f"Insens {name} without m/N": one
        for name, one in network.insens(x, layers, progress=False).items()
    }
    maps["Insens of all layers"] = network.insens_of_all_layers(x, progress=False)
    maps["gradient"] = _gradients(network, x)
    both = {f"{sign} {name}": one for name, one in maps.items() for sign in "+-"}
    noise = np.random.default_rng(seed).normal(size=x.shape)
    found = {**both, "+ image": x, RANDOM: noise}
    return {name: _unit(one) * (-1 if name.startswith("-") else 1) for name, one in found.items()}


def _gradients(network: insens_tf.SwitchedNetwork, x: NDArray[np.float32]) -> NDArray[Any]:
    classes = network.activity(x, network.output).argmax(axis=1)
    return np.stack(
        [
            network.project(one[np.newaxis], network.output, int(label)).weights[0, 0]
            for one, label in zip(x, classes, strict=True)
        ]
    )


def _unit(maps: NDArray[Any]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(maps.reshape(len(maps), -1).astype(np.float64), axis=1)
    lengths[lengths == 0] = 1
    return maps / lengths.reshape(-1, *(1,) * (maps.ndim - 1))


def measured(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    labels: NDArray[np.integer],
    steps: Mapping[str, NDArray[np.float64]],
) -> dict[str, NDArray[Any]]:
    """Return what steps of all lengths change.

    Parameters
    ----------
    network
        Of any model that ends in logits.
    x
        The inputs, (n, *input_shape).
    labels
        Their classes, (n,).
    steps
        Directions of length 1 by their names, shaped as x.

    Returns
    -------
    of_layers : numpy.ndarray of float32, shape (directions, lengths, n, layers, measures)
        Each of the `MEASURES`; NaN where there is no such neuron.
    correct : numpy.ndarray of bool, shape (directions, lengths, n)
        Whether the class is the label.
    another_class : numpy.ndarray of bool, shape (directions, lengths, n)
        Whether the class is not that of before the step.
    nearest : numpy.ndarray of float32, shape (directions, at most IMAGES_OF_MARGINS, layers)
        After steps of `LENGTH_OF_MARGINS`.
    """
    names = [layer.name for layer in network.layers]
    first = slice(IMAGES_OF_MARGINS)
    before = network.activity(x, [*names, network.output.name])
    class_before = before[network.output.name].argmax(axis=1)
    near = _nearest(network, x[first], names)
    shape = len(steps), len(LENGTHS), len(x)
    found = {
        "of_layers": np.empty((*shape, len(names), len(MEASURES)), np.float32),
        "correct": np.empty(shape, np.bool_),
        "another_class": np.empty(shape, np.bool_),
        "nearest": np.empty((len(steps), *near.shape), np.float32),
    }
    for number, direction in enumerate(steps.values()):
        for which, length in enumerate(LENGTHS):
            moved = (x + length * direction).astype(np.float32)
            after = network.activity(moved, [*names, network.output.name])
            for layer, name in enumerate(names):
                found["of_layers"][number, which, :, layer] = _changes(before[name], after[name])
            classes = after[network.output.name].argmax(axis=1)
            found["correct"][number, which] = classes == labels
            found["another_class"][number, which] = classes != class_before
        moved = (x + LENGTH_OF_MARGINS * direction)[first].astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            found["nearest"][number] = _nearest(network, moved, names) / near
    return found


def _changes(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
    """Return the shares that switch on and off, and how v of the inactive changes, (n, 3)."""
    first, second = (one.reshape(len(one), -1).astype(np.float64) for one in (before, after))
    inactive = first <= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        on = ((second > 0) & inactive).sum(axis=1) / inactive.sum(axis=1)
        off = ((second <= 0) & ~inactive).sum(axis=1) / (~inactive).sum(axis=1)
        change = np.where(inactive, second - first, 0).sum(axis=1)
        change /= np.abs(np.where(inactive, first, 0)).sum(axis=1)
    return np.stack([on, off, change], axis=1)


def _nearest(
    network: insens_tf.SwitchedNetwork, x: NDArray[np.float32], names: list[str]
) -> NDArray[np.float64]:
    """Return how far the nearest neuron of each layer is from switching, (n, layers)."""
    margins = network.margins(x, names, progress=False)
    return np.stack([np.abs(one).reshape(len(x), -1).min(axis=1) for one in margins.values()], 1)


def _measure(task: _Task) -> dict[str, NDArray[Any]]:
    data = load_data(task.store.data, task.network.dataset)
    network = insens_tf.SwitchedNetwork(task.store.load(task.network, task.data_sha256))
    x_train = scaled(data["x_train"][: task.network.settings.train_images])
    frequency = network.activation_frequency(x_train, progress=False)
    chosen = list(task.images)
    x, labels = scaled(data["x_test"][chosen]), data["y_test"][chosen]
    steps = directions(network, x, frequency, task.seed)
    return {"names": np.array(list(steps)), **measured(network, x, labels, steps)}


def compute(run: Run, count: int, images: int) -> None:
    """Measure what steps along Insens and along other directions change in a network's state."""
    if run.quick:
        images = min(images, 4)
    tasks = []
    for dataset in run.datasets:
        chosen = run.chosen_images(dataset, images)
        for seed in range(run.seed, run.seed + count):
            network = Network(dataset, seed, run.settings(dataset))
            tasks.append(_Task(run.store, network, run.sha256[dataset], chosen, seed))
    run.train([task.network for task in tasks])
    run.measure(_measure, tasks, "networks")
    names = [str(one) for one in next(iter(run.unfinished.parts("names")))]
    parts = {name: list(run.unfinished.parts(name)) for name in AXES}
    rows: list[tuple[Any, ...]] = []
    for dataset in run.datasets:
        mine = [number for number, task in enumerate(tasks) if task.network.dataset == dataset]
        found = {name: np.stack([of_all[one] for one in mine]) for name, of_all in parts.items()}
        np.savez_compressed(
            run.folder / f"{dataset}.npz",
            of_layers=found["of_layers"].astype(np.float16),
            nearest=found["nearest"].astype(np.float16),
            correct=found["correct"],
            another_class=found["another_class"],
            **{f"axes of {name}": np.array(axes.split()) for name, axes in AXES.items()},
            directions=np.array(names),
            lengths=np.array(LENGTHS),
            images=np.array(tasks[mine[0]].images),
            layers=np.array(list(HIDDEN_LAYERS)),
            measures=np.array(list(MEASURES)),
        )
        rows += [(dataset, *row) for row in _summary(names, found)]
    write_csv(run.folder / "summary.csv", _HEAD, rows)


def _summary(names: list[str], found: Mapping[str, NDArray[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield, of each direction, length and measure, its interval and that to random steps'."""
    columns: dict[tuple[float, str, str], NDArray[np.float64]] = {}
    with np.errstate(invalid="ignore"):
        of_layers = np.nanmean(found["of_layers"].astype(np.float64), axis=3)
        nearest = np.nanmedian(found["nearest"].astype(np.float64), axis=2)
    for which, length in enumerate(LENGTHS):
        for number, layer in enumerate(HIDDEN_LAYERS):
            for place, measure in enumerate(MEASURES):
                columns[length, layer, measure] = of_layers[:, :, which, number, place]
            switched = (found["of_layers"][:, :, which, :, number, :2] > 0).any(axis=3)
            columns[length, layer, "any"] = switched.mean(axis=2)
        columns[length, "", "accuracy"] = found["correct"][:, :, which].mean(axis=2)
        columns[length, "", "another class"] = found["another_class"][:, :, which].mean(axis=2)
    for number, layer in enumerate(HIDDEN_LAYERS):
        columns[LENGTH_OF_MARGINS, layer, "nearest"] = nearest[:, :, number]
    for number, direction in enumerate(names):
        # (networks, directions) each
        for (length, layer, measure), values in columns.items():
            mean = mean_interval(values[:, number])
            random = values[:, names.index(RANDOM)]
            numbers = (*_numbers(mean), *_numbers(mean_interval(values[:, number] - random)))
            yield (direction, length, layer, measure, *numbers, mean.n)


def _numbers(interval: Any) -> list[float]:
    return [float(f"{one:.6g}") for one in interval[:3]]


def draw(folder: Path) -> None:
    """Draw, a row a data set, what steps change in the dense layer, and the accuracy."""
    rows = read_csv(folder / "summary.csv")
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    panels_of = {
        "switched on": "inactive neurons of\ndense that switch on",
        "inactive v": "change of the v\nof inactive neurons",
        "switched off": "active neurons of\ndense that switch off",
        "accuracy": "accuracy",
    }
    figure = new_figure(TWO_COLUMNS, 1.6 * len(datasets) + 1.2)
    panels = figure.subplots(len(datasets), len(panels_of), sharex=True, squeeze=False)
    for line, dataset in zip(panels, datasets, strict=True):
        for panel, measure in zip(line, panels_of, strict=True):
            for direction, (colour, style) in _SHOWN.items():
                mine = [
                    row
                    for row in rows
                    if (row["dataset"], row["direction"], row["measure"])
                    == (dataset, direction, measure)
                    and row["layer"] in ("", "dense")
                ]
                lengths = [float(row["length"]) for row in mine]
                mean, low, high = (
                    100 * np.array([float(row[column]) for row in mine])
                    for column in ("mean", "low", "high")
                )
                panel.plot(lengths, mean, style, color=colour, label=direction, linewidth=1.1)
                panel.fill_between(lengths, low, high, color=colour, alpha=0.15, linewidth=0)
            panel.set_xscale("log")
            panel.tick_params(labelsize=SMALL)
        line[0].set_ylabel(f"{TITLES[dataset]}, %", fontsize=TEXT)
    letter(panels.flat, [*panels_of.values(), *[""] * (panels.size - len(panels_of))], TEXT)
    for panel in panels[-1]:
        panel.set_xlabel("length of the step (L2)", fontsize=TEXT)
    legend_above(figure, panels[0, 0], 4)
    note_below(
        figure,
        f"Means over {mine[0]['networks']} networks of each data set; shaded: 95 % intervals. "
        "Insens is weighted with m/N, that of all layers is not.",
    )
    save(figure, folder / "stability.png")


main = Experiment(
    "stability",
    compute,
    draw,
    datasets=("mnist", "fashion_mnist", "cifar10"),
    options=networks_and_images(),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.stability")
