"""What the figures of maps share: which images they show, and panels of inputs and their maps.

A panel is a grid with an input a row, and a column for the inputs and for each method. A figure is
up to four of them in two columns, as in Figures 4, 5 and 6 of the paper. Each panel's numbers are a
file of their own, whose names are in the order of the panels.
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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from data_scripts.preparation import DataError
from experiments.data import TITLES
from experiments.experiment import Experiment, Run
from experiments.intervals import sample_deviation
from experiments.method_maps import METHOD_TITLES, method_maps, method_name, predicted
from experiments.paper_claim import mean_correlation, result_rows
from experiments.plots import save
from experiments.tables import write_csv
from insens_tf.evaluation import CORRELATIONS, rank_correlation
from insens_tf.heatmap import grid, heatmap, picture
from insens_tf.method_table import COMPARED_METHODS

__all__ = [
    "Panel",
    "cifar10_correlations",
    "divided_by_largest_magnitude",
    "draw_panels",
    "examples",
    "maps_experiment",
    "maps_of_datasets",
    "random_images",
    "read_panel",
    "summary",
    "write_panel",
]

_COLUMNS_OF_PANELS = 2
_STANDS_FOR = {"fashion_mnist": "smallNORB"}
# In percent of an input's values: noise beyond them is drawn black and white.
_DARKEST, _BRIGHTEST = 10, 90


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
    """

    title: str
    images: NDArray[np.floating]
    maps: Mapping[str, NDArray[np.floating]]


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


def maps_experiment(name: str, compute: Callable[..., None]) -> Experiment:
    """Return an experiment that draws maps of smallNORB and CIFAR-10.

    Parameters
    ----------
    name
        The name of the module and of the picture.
    compute
        Takes a run, how many images a panel shows, and over how many images maps are compared.
    """
    return Experiment(
        name,
        compute,
        partial(draw_panels, name=f"{name}.png"),
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
        chosen = examples(run.labels(dataset), predicted(model, x_test), shown, generator)
        x = np.concatenate([x_test[chosen], random_images(x_test, count, generator)])
        maps = method_maps(model, x, run.images(dataset, "train"), layers, baselines)
        of_shown = {name: some[:shown] for name, some in maps.items()}
        panel = Panel(_dataset_title(dataset), x[:shown], of_shown)
        write_panel(run.folder / f"{number}_{dataset}.npz", panel)
        compared = {name: some[shown:] for name, some in {"input": x, **maps}.items()}
        rows += [
            (dataset, one, other, kind, *summary(rank_correlation(first, second, kind)))
            for (one, first), (other, second) in combinations(compared.items(), 2)
            for kind in CORRELATIONS
        ]
    head = ["dataset", "first", "second", "correlation", "defined", "mean", "standard_deviation"]
    write_csv(run.folder / "correlations.csv", head, rows)


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
    shape (m, n, height, width, channels); and ``largest``, those magnitudes, float32, (m, n).
    """
    divided, largest = divided_by_largest_magnitude(np.stack(list(panel.maps.values())))
    np.savez_compressed(
        path,
        title=np.array(panel.title),
        images=panel.images.astype(np.float16),
        names=np.array(list(panel.maps)),
        maps=divided.astype(np.float16),
        largest=largest.astype(np.float32),
    )


def read_panel(path: Path) -> Panel:
    """Read what :func:`write_panel` has written, maps as they are drawn."""
    with np.load(path, allow_pickle=False) as stored:
        maps = dict(zip(stored["names"].tolist(), stored["maps"], strict=True))
        return Panel(str(stored["title"]), stored["images"], maps)


def draw_panels(folder: Path, name: str) -> None:
    """Draw the panels of a folder of results into one picture, two side by side."""
    figures = [_panel_figure(read_panel(path)) for path in sorted(folder.glob("*.npz"))]
    save(_in_columns(figures), folder / name)


def _panel_figure(panel: Panel) -> Figure:
    columns = [_shown(panel.images), *(heatmap(maps) for maps in panel.maps.values())]
    titles = ["input", *(METHOD_TITLES[name] for name in panel.maps)]
    return grid(zip(*columns, strict=True), column_titles=titles, title=panel.title)


def _shown(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Make pictures of inputs, of which noise may leave 0..1: the strongest tenths are cut off."""
    values = images.astype(np.float64)
    darkest = min(0.0, float(np.percentile(values, _DARKEST)))
    brightest = max(1.0, float(np.percentile(values, _BRIGHTEST)))
    return picture(((values - darkest) / (brightest - darkest)).clip(0, 1))


def _in_columns(figures: Sequence[Figure]) -> Figure:
    """Set figures of equal resolution into a figure, pixel by pixel, in two columns."""
    pictures = []
    for one in figures:
        canvas = FigureCanvasAgg(one)
        canvas.draw()
        pictures.append(np.asarray(canvas.buffer_rgba()))
    rows = [
        pictures[start : start + _COLUMNS_OF_PANELS]
        for start in range(0, len(pictures), _COLUMNS_OF_PANELS)
    ]
    widths = [max(row[c].shape[1] for row in rows if c < len(row)) for c in range(len(rows[0]))]
    heights = [max(one.shape[0] for one in row) for row in rows]
    dots = figures[0].dpi
    together = Figure(figsize=(sum(widths) / dots, sum(heights) / dots), dpi=dots)
    FigureCanvasAgg(together)
    for r, row in enumerate(rows):
        top = sum(heights) - sum(heights[:r])
        for c, pixels in enumerate(row):
            together.figimage(pixels, sum(widths[:c]), top - pixels.shape[0], origin="upper")
    return together


def _dataset_title(dataset: str) -> str:
    if dataset in _STANDS_FOR:
        return f"{TITLES[dataset]}, in place of {_STANDS_FOR[dataset]}"
    return TITLES[dataset]
