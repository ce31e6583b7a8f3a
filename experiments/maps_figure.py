"""What the figures of maps share: which images they show, and panels of inputs and their maps.

A panel has an input a row, and a column for the inputs and for each method. A figure is some of
them in two columns, as in Figures 4, 5 and 6 of the paper. Each panel's numbers are a file of their
own, whose names are in the order of the panels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from data_scripts.preparation import DataError
from experiments.data import TITLES, class_name
from experiments.experiment import Experiment, Run
from experiments.intervals import sample_deviation
from experiments.map_sheet import Block, sheet
from experiments.method_maps import METHOD_TITLES, method_maps, method_name, predicted
from experiments.paper_claim import mean_correlation, result_rows
from experiments.plots import save
from experiments.tables import write_csv
from insens_tf.evaluation import CORRELATIONS, rank_correlation
from insens_tf.heatmap import heatmap, picture
from insens_tf.method_table import COMPARED_METHODS

__all__ = [
    "SIDE",
    "Panel",
    "cifar10_correlations",
    "divided_by_largest_magnitude",
    "draw_panels",
    "examples",
    "maps_experiment",
    "maps_of_datasets",
    "names_of_inputs",
    "random_images",
    "read_panel",
    "summary",
    "write_panel",
]

SIDE = 140
"""How many dots of print an image may take a side, so that two panels of all methods fit side by
side."""

_COLUMNS_OF_PANELS = 2
_STANDS_FOR = {"fashion_mnist": "smallNORB"}
_NOTE = (
    "{images} test images of each data set, which one network each classifies correctly. Inputs: "
    "black is 0 and white 1. Of colours a map shows the channels' sum."
)


@dataclass(frozen=True, eq=False)
class Panel:
    """Inputs and their maps.

    Attributes
    ----------
    title
        Above the panel.
    images
        The inputs, (n, height, width, channels).
    maps
        By the method's name the maps, shaped as the images.
    names
        What each input is, as :func:`names_of_inputs` has it; results of earlier versions do not
        say it.
    """

    title: str
    images: NDArray[np.floating]
    maps: Mapping[str, NDArray[np.floating]]
    names: Sequence[str] = ()


def examples(
    labels: NDArray[np.integer],
    predicted_classes: NDArray[np.integer],
    count: int,
    generator: np.random.Generator,
) -> NDArray[np.intp]:
    """Choose images to be shown: at random, classified correctly, of as many classes as can be.

    Parameters
    ----------
    labels, predicted_classes
        Of each image, (n,).
    count
        How many are chosen.
    generator
        Draws the random order in which the images are considered.

    Returns
    -------
    numpy.ndarray of int, shape (count,)
        The images' numbers, in the order of their classes. No class is there twice as long as
        another one is missing.

    Raises
    ------
    DataError
        If fewer images are classified correctly.
    """
    order = generator.permutation(np.flatnonzero(labels == predicted_classes))
    if len(order) < count:
        raise DataError(
            f"{count} images are to be shown, and the network classifies {len(order)} correctly; "
            "show fewer, or train it for more epochs"
        )
    earlier: Counter[int] = Counter()
    turns = []
    for label in labels[order].tolist():
        turns.append(earlier[label])
        earlier[label] += 1
    chosen = order[np.argsort(turns, kind="stable")[:count]]
    return chosen[np.argsort(labels[chosen], kind="stable")]


def random_images(
    images: NDArray[np.float32], count: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return so many images at random, or all if there are fewer, as in the paper's evaluation."""
    return images[generator.permutation(len(images))[:count]]


def maps_experiment(name: str, compute: Callable[..., None], side: int = SIDE) -> Experiment:
    """Return an experiment that draws maps of smallNORB and CIFAR-10.

    Parameters
    ----------
    name
        The name of the module and of the picture.
    compute
        Takes a run, how many images a panel shows, and over how many images maps are compared.
    side
        As :func:`draw_panels` has it.
    """
    return Experiment(
        name,
        compute,
        partial(draw_panels, name=f"{name}.png", note=_NOTE, side=side),
        datasets=("smallnorb|fashion_mnist", "cifar10"),
        options=(
            click.Option(
                ["--images"],
                default=5,
                show_default=True,
                help="Number of images shown of each data set.",
            ),
            click.Option(
                ["--count"],
                default=100,
                show_default=True,
                help="Number of test images over which maps are compared.",
            ),
        ),
    )


def maps_of_datasets(
    run: Run,
    shown: int,
    count: int,
    layers: Collection[str],
    baselines: Iterable[str] = COMPARED_METHODS,
) -> None:
    """Fill the folder of a run with a panel a data set, and with how the maps correlate.

    ``correlations.csv`` then holds the mean and the standard deviation, over random test images, of
    the rank correlation of every two methods' maps, and of each with the input itself.

    Parameters
    ----------
    run
        The run, which has the networks, the data sets and the folder.
    shown
        How many images a panel shows.
    count
        Over how many images maps are compared.
    layers, baselines
        As :func:`experiments.method_maps.method_maps` has them.
    """
    count = min(count, 10) if run.quick else count
    rows: list[tuple[Any, ...]] = []
    for number, dataset in enumerate(run.datasets, 1):
        model = run.trained(dataset)
        generator = np.random.default_rng(run.seed)
        x_test = run.images(dataset)
        labels, classes = run.labels(dataset), predicted(model, x_test)
        chosen = examples(labels, classes, shown, generator)
        x = np.concatenate([x_test[chosen], random_images(x_test, count, generator)])
        maps = method_maps(model, x, run.images(dataset, "train"), layers, baselines)
        of_shown = {name: some[:shown] for name, some in maps.items()}
        names = names_of_inputs(dataset, labels[chosen], classes[chosen])
        panel = Panel(_dataset_title(dataset), x[:shown], of_shown, names)
        write_panel(run.folder / f"{number}_{dataset}.npz", panel)
        compared = {name: some[shown:] for name, some in {"input": x, **maps}.items()}
        rows += [
            (dataset, one, other, kind, *summary(rank_correlation(first, second, kind)))
            for (one, first), (other, second) in combinations(compared.items(), 2)
            for kind in CORRELATIONS
        ]
    head = ["dataset", "first", "second", "correlation", "defined", "mean", "standard_deviation"]
    write_csv(run.folder / "correlations.csv", head, rows)


def names_of_inputs(
    dataset: str, labels: NDArray[np.integer], classes: NDArray[np.integer]
) -> list[str]:
    """Return each input's class by its label and, if it is another, by the network.

    Parameters
    ----------
    dataset
        Name of the data set.
    labels, classes
        The labels, and what the network predicts, (n,) each.
    """
    return [
        class_name(dataset, label)
        + ("" if label == found else f" as\N{NO-BREAK SPACE}{class_name(dataset, found)}")
        for label, found in zip(labels.tolist(), classes.tolist(), strict=True)
    ]


def cifar10_correlations(result: str, first: str, others: Iterable[str]) -> str:
    """Return how the maps of a method correlate with those of others on CIFAR-10.

    Parameters
    ----------
    result
        Name of a folder of results that :func:`maps_of_datasets` has filled.
    first, others
        Names of methods; ``"input"`` is the input itself.
    """
    found = []
    for other in others:
        row = next(
            row
            for row in result_rows(
                result, "correlations.csv", dataset="cifar10", correlation="signed"
            )
            if {row["first"], row["second"]} == {first, other}
        )
        found.append(f"{method_name(other)} {mean_correlation(row)}")
    return ", ".join(found)


def summary(values: NDArray[np.floating]) -> tuple[int, float, float]:
    """Return how many values are no NaN, their mean and their standard deviation."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return 0, np.nan, np.nan
    return defined.size, round(float(defined.mean()), 4), round(sample_deviation(defined), 4)


def divided_by_largest_magnitude(
    maps: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return maps (..., height, width, channels) divided by their own largest magnitude, and it.

    A map that is 0 everywhere stays so. The magnitudes are of shape (...).
    """
    largest = np.abs(maps).max(axis=(-3, -2, -1), keepdims=True, initial=0)
    divided = np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)
    return divided, largest[..., 0, 0, 0]


def write_panel(path: Path, panel: Panel) -> None:
    """Write a panel's numbers, each map divided by its own largest magnitude, as it is drawn.

    The file holds ``title``; ``images``, float16; ``names`` of m methods; ``maps``, float16 of
    shape (m, n, height, width, channels); ``largest``, those magnitudes, float32, (m, n); and
    ``inputs``, what the inputs are.
    """
    divided, largest = divided_by_largest_magnitude(np.stack(list(panel.maps.values())))
    np.savez_compressed(
        path,
        title=np.array(panel.title),
        images=panel.images.astype(np.float16),
        names=np.array(list(panel.maps)),
        maps=divided.astype(np.float16),
        largest=largest.astype(np.float32),
        inputs=np.array(panel.names, str),
    )


def read_panel(path: Path) -> Panel:
    """Read what :func:`write_panel` has written, maps as they are drawn."""
    with np.load(path, allow_pickle=False) as stored:
        maps = dict(zip(stored["names"].tolist(), stored["maps"], strict=True))
        names = stored["inputs"].tolist() if "inputs" in stored else ()
        return Panel(str(stored["title"]), stored["images"], maps, names)


def draw_panels(folder: Path, name: str, note: str, side: int = SIDE) -> None:
    """Draw the panels of a folder of results into one picture, two side by side.

    Parameters
    ----------
    folder
        The folder.
    name
        Of the picture.
    note
        What is said below it, with ``{images}`` for how many images each panel shows.
    side
        How many dots of print an image may take a side.
    """
    panels = [read_panel(path) for path in sorted(folder.glob("*.npz"))]
    blocks = [_block(panel) for panel in panels]
    lines = [
        blocks[start : start + _COLUMNS_OF_PANELS]
        for start in range(0, len(blocks), _COLUMNS_OF_PANELS)
    ]
    if panels[0].names:
        note += (
            " Above an input: its class, and as which the network classifies it where it is wrong."
        )
    save(sheet(lines, note.format(images=len(panels[0].images)), side), folder / name)


def _block(panel: Panel) -> Block:
    # Noise leaves 0..1, in which images are: what is darker is black, and what is brighter white.
    inputs = picture(panel.images.astype(np.float64).clip(0, 1))
    pictures = [inputs, *(heatmap(maps) for maps in panel.maps.values())]
    return Block(
        panel.title,
        list(zip(*pictures, strict=True)),
        ["input", *(METHOD_TITLES[name].replace(" (", "\n(") for name in panel.maps)],
        above=[[name, *[""] * len(panel.maps)] for name in panel.names],
    )


def _dataset_title(dataset: str) -> str:
    if dataset in _STANDS_FOR:
        return f"{TITLES[dataset]}, in place of {_STANDS_FOR[dataset]}"
    return TITLES[dataset]
