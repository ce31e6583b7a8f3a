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
from experiments.method_maps import PENULTIMATE
from experiments.network_store import Store
from experiments.paper_claim import Claim, result_row
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    legend_above,
    letter,
    note_below,
    save,
)
from experiments.steps import LENGTH_OF_MARGINS, LENGTHS, MEASURES, RANDOM, directions, measured
from experiments.tables import read_csv, write_csv
from experiments.train import Network
from insens_tf.new_figure import new_figure
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["CLAIMS", "main"]

_DATASETS = ("mnist", "fashion_mnist", "cifar10")

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


def _percent(
    dataset: str, direction: str, length: float, measure: str, layer: str = PENULTIMATE
) -> str:
    wanted = {"dataset": dataset, "direction": direction, "measure": measure, "layer": layer}
    row = result_row("stability", "summary.csv", length=str(length), **wanted)
    mean, low, high = (100 * float(row[one]) for one in ("mean", "low", "high"))
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"


def _of_steps(measure: str, layer: str = PENULTIMATE) -> str:
    directions_shown = {
        "along": f"+ Insens {PENULTIMATE}",
        "against": f"- Insens {PENULTIMATE}",
        "at random": RANDOM,
    }
    return "; ".join(
        f"{TITLES[dataset]}: "
        + ", ".join(
            f"{name} {_percent(dataset, direction, LENGTH_OF_MARGINS, measure, layer)}"
            for name, direction in directions_shown.items()
        )
        for dataset in _DATASETS
    )


def _stable() -> str:
    return (
        f"steps of length {LENGTH_OF_MARGINS:g}, %. Change of v of the inactive neurons of l = 5: "
        f"{_of_steps('inactive v')}. Of them switch on: {_of_steps('switched on')}"
    )


def _small() -> str:
    return "; ".join(
        f"{TITLES[dataset]}, at random, %: "
        + ", ".join(
            f"length {length:g}: state of l = 1 of "
            f"{_percent(dataset, RANDOM, length, 'any', 'conv_1')} and of l = 5 of "
            f"{_percent(dataset, RANDOM, length, 'any')}, class of "
            f"{_percent(dataset, RANDOM, length, 'another class', '')}"
            for length in LENGTHS[:2]
        )
        for dataset in _DATASETS
    )


def _of_layers() -> str:
    longest = LENGTHS[-1]
    return "; ".join(
        f"{TITLES[dataset]}: "
        + ", ".join(
            f"l = {number} {_percent(dataset, f'- Insens {layer}', longest, 'another class', '')}"
            for layer, number in HIDDEN_LAYERS.items()
        )
        + f", at random {_percent(dataset, RANDOM, longest, 'another class', '')}"
        for dataset in _DATASETS
    )


CLAIMS = (
    Claim(
        "lightening where Insens is red and darkening where it is blue makes the state more stable "
        "(2, 3)",
        "no number",
        _stable,
        ("stability",),
        "In part. Along it the v of the inactive neurons fall by about a third, and against it "
        "they rise, in each network. But no fewer of them switch on than at random, on MNIST and "
        "CIFAR-10 more; steps of 4 switch on a fifth to a third fewer on Fashion-MNIST and "
        "CIFAR-10. More active ones switch off. Against it three to ten times as many switch on. "
        "What keeps the state is to brighten the image: of l = 5, 0.1 to 0.4 % switch on.",
    ),
    Claim(
        "the state changes even after small perturbations, often with the same class (2)",
        "no number",
        _small,
        ("stability",),
        "Holds: a step of 0.01, of images whose length is about 9 to 29, changes the state of "
        "l = 1 for each image, and no class.",
    ),
    Claim(
        "the last hidden layer provides most information on the decision (3)",
        "by reasoning",
        lambda: (
            f"% of the images of another class after a step of {LENGTHS[-1]:g} against Insens: "
            + _of_layers()
        ),
        ("stability",),
        "Holds by this measure: against Insens of the last hidden layer two to three times as many "
        "images change their class as against that of the others.",
    ),
)


main = Experiment(
    "stability",
    compute,
    draw,
    datasets=_DATASETS,
    options=networks_and_images(),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.stability")
