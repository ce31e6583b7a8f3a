"""What the paper says without a number or a figure, measured.

``python -m experiments.further_claims`` takes, of trained networks and, as a control, of untrained
ones, whose maps can only echo the image:

- ``error of v``, ``error of the sum of contributions``: Propositions 1 and 2. Switched weights and
  contributions are the library's; v and the switched bias, the sum of all biases times v's
  derivatives by them, are what TensorFlow's tape says of the Keras model. The largest difference,
  in units of the layer's largest magnitude of v;
- ``with the input``: the rank correlation of a layer's Insens with the image itself. If the order
  of the layers were the images' alone, the untrained networks' would be alike;
- ``positive on the digit``, ``negative on the outline``: the contrast of Figure 4, MNIST alone;
- ``active with ...``: the rank correlation of the same sum over a layer's *active* neurons with the
  maps of other methods;
- ``readings``: the rank correlation with Insens of what it is where neurons that lose in max
  pooling count as inactive, too ("losers"), and of the whole network's, without m/N ("all layers").

``numbers.csv`` has a row a network, the mean over its images; ``summary.csv`` the means over
networks with 95 % intervals; ``further_claims.png`` shows the control.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import insens_tf
from experiments.data import SHIPPED_SAMPLE, TITLES, load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.experiment_options import networks_and_images
from experiments.figure_4 import share_of_sign
from experiments.intervals import mean_interval
from experiments.map_correlations import zero_maps_counted
from experiments.method_maps import PENULTIMATE, baseline_maps
from experiments.network_store import Store
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    Bar,
    bar_of,
    grouped_bars,
    legend_above,
    letter,
    note_below,
    save,
)
from experiments.pooling_losers import with_losers_inactive
from experiments.propositions import projection_errors
from experiments.tables import read_csv, write_csv
from experiments.train import Network
from experiments.two_conv_settings import UNTRAINED_SEED, build
from insens_tf.evaluation import digit_mask, outline_mask, rank_correlation
from insens_tf.new_figure import new_figure
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["main", "numbers"]

_COLOURS = {"trained": "tab:red", "untrained": "0.62"}
"""The kinds of networks, and how they are drawn."""

_GROUP_TITLES = {
    **{("with the input", layer): f"l = {number}" for layer, number in HIDDEN_LAYERS.items()},
    ("positive on the digit", PENULTIMATE): "Insens\nl = 5 +",
    ("positive on the digit", "gradient"): "Gradient\n+",
    ("negative on the outline", PENULTIMATE): "Insens\nl = 5 -",
    ("negative on the outline", "gradient"): "Gradient\n-",
}

CHECKED_IMAGES, CHECKED_NEURONS = 5, 10
"""Of which Propositions 1 and 2 are tried, in each layer and network."""

LOSERS_IMAGES = 20
"""Of which a map with the losers is computed, one image at a time."""

_HEAD = ("dataset", "network", "seed", "measured", "layer", "value")
_SUMMARY_HEAD = (*("dataset", "network", "measured", "layer"), *("mean", "low", "high", "networks"))

_DIGITS = ("mnist", SHIPPED_SAMPLE)

Maps = Mapping[str, NDArray[np.floating[Any]]]
Number = tuple[str, str, float]
"""What is measured, of which layer, and its value."""


@dataclass(frozen=True)
class _Task:
    """A network, its seed's untrained one, and the test images of their maps."""

    store: Store
    network: Network
    data_sha256: str
    images: tuple[int, ...]


def numbers(
    model: tf.keras.Model, x: NDArray[np.float32], x_train: NDArray[np.float32], digits: bool
) -> list[Number]:
    """Return what is measured of a network.

    Parameters
    ----------
    model
        2CONV.
    x
        Images, (n, height, width, channels).
    x_train
        Those of which m/N is counted.
    digits
        Whether there is a digit and an outline to be seen.
    """
    network = insens_tf.SwitchedNetwork(model)
    layers = list(HIDDEN_LAYERS)
    frequency = network.activation_frequency(x_train, progress=False)
    maps = network.insens(x, layers, frequency, progress=False)
    active = network.insens(x, layers, frequency, state="active", progress=False)
    with zero_maps_counted():
        others = baseline_maps(model, x)
    found = list(_errors(model, x))
    for layer in layers:
        found.append(("with the input", layer, _correlation(maps[layer], x)))
        found += [
            (f"active with {method}", layer, _correlation(active[layer], other))
            for method, other in others.items()
        ]
    found += _readings(network, x, maps, frequency)
    if digits:
        shown = {layer: maps[layer] for layer in layers} | {"gradient": others["gradient"]}
        digit = digit_mask(x)
        for name, some in shown.items():
            positive = share_of_sign(some, digit, 1)
            negative = share_of_sign(some, outline_mask(digit), -1)
            found.append(("positive on the digit", name, _mean(positive)))
            found.append(("negative on the outline", name, _mean(negative)))
    return found


def _errors(model: tf.keras.Model, x: NDArray[np.float32]) -> Iterator[Number]:
    random = np.random.default_rng(0)
    for layer in HIDDEN_LAYERS:
        size = int(np.prod(model.get_layer(layer).output.shape[1:]))
        neurons = random.choice(size, min(CHECKED_NEURONS, size), replace=False)
        of_v, of_contributions = projection_errors(model, x[:CHECKED_IMAGES], layer, neurons)
        yield "error of v", layer, of_v
        yield "error of the sum of contributions", layer, of_contributions


def _readings(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    maps: Maps,
    frequency: Maps,
) -> Iterator[Number]:
    of_all = network.insens_of_all_layers(x, progress=False)
    few = slice(LOSERS_IMAGES)
    for layer in HIDDEN_LAYERS:
        yield "all layers with Insens", layer, _correlation(of_all, maps[layer])
        if layer != PENULTIMATE:
            losers = with_losers_inactive(network, x[few], layer, frequency[layer])
            yield "losers with Insens", layer, _correlation(losers, maps[layer][few])


def _correlation(maps: NDArray[Any], others: NDArray[Any]) -> float:
    return _mean(rank_correlation(maps, others))


def _mean(values: NDArray[Any]) -> float:
    """Return the mean of what is defined; NaN if nothing is."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _measure(task: _Task) -> dict[str, NDArray[Any]]:
    data = load_data(task.store.data, task.network.dataset)
    x = scaled(data["x_test"][list(task.images)])
    settings = task.network.settings
    x_train = scaled(data["x_train"][: settings.train_images])
    models = (
        task.store.load(task.network, task.data_sha256),
        build(settings, UNTRAINED_SEED + task.network.seed),
    )
    digits = task.network.dataset in _DIGITS
    rows = [
        (kind, *number)
        for kind, model in zip(_COLOURS, models, strict=True)
        for number in numbers(model, x, x_train, digits)
    ]
    *names, values = zip(*rows, strict=True)
    return {
        **{f"names {number}": np.array(one) for number, one in enumerate(names)},
        "values": np.array(values),
    }


def compute(run: Run, count: int, images: int) -> None:
    """Measure what the paper says without a number: Proposition 1, the layers' order, and more."""
    if run.quick:
        images = min(images, 4)
    tasks = [
        _Task(
            run.store,
            Network(dataset, seed, run.settings(dataset)),
            run.sha256[dataset],
            run.chosen_images(dataset, images),
        )
        for dataset in run.datasets
        for seed in range(run.seed, run.seed + count)
    ]
    run.train([task.network for task in tasks])
    run.measure(_measure, tasks, "networks")
    columns = [run.unfinished.parts(name) for name in ("names 0", "names 1", "names 2", "values")]
    rows = [
        (task.network.dataset, str(kind), task.network.seed, str(measured), str(layer), float(one))
        for task, *found in zip(tasks, *columns, strict=True)
        for kind, measured, layer, one in zip(*found, strict=True)
    ]
    write_csv(run.folder / "numbers.csv", _HEAD, rows)
    write_csv(run.folder / "summary.csv", _SUMMARY_HEAD, _summary(rows))


def _summary(rows: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield each number's interval over networks."""
    values: dict[tuple[str, ...], list[float]] = {}
    for dataset, kind, _, measured, layer, value in rows:
        values.setdefault((dataset, kind, measured, layer), []).append(value)
    for names, some in values.items():
        if np.isfinite(some).any():
            interval = mean_interval(some)
            yield (*names, *(float(f"{one:.4g}") for one in interval[:3]), interval.n)


def draw(folder: Path) -> None:
    """Draw what of Insens an untrained network has, too."""
    rows = read_csv(folder / "numbers.csv")
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    digits = [dataset for dataset in datasets if dataset in _DIGITS]
    figure = new_figure(TWO_COLUMNS, 2.5)
    panels = figure.subplots(1, len(datasets) + len(digits), sharey=True, squeeze=False)[0]
    layers = [("with the input", layer) for layer in HIDDEN_LAYERS]
    signs = [
        (measured, name)
        for measured in ("positive on the digit", "negative on the outline")
        for name in (PENULTIMATE, "gradient")
    ]
    shown = [(dataset, layers) for dataset in datasets] + [(dataset, signs) for dataset in digits]
    for panel, (dataset, groups) in zip(panels, shown, strict=True):
        bars = {kind: [_bar(rows, dataset, kind, *group) for group in groups] for kind in _COLOURS}
        grouped_bars(panel, bars, list(_COLOURS.values()))
        panel.axhline(0, color="black", linewidth=0.6)
        panel.tick_params(labelsize=SMALL)
        names = [_GROUP_TITLES[group] for group in groups]
        panel.set_xticks(range(len(groups)), names, fontsize=SMALL)
    letter(
        panels,
        [
            *(f"{TITLES[dataset]}, with the image" for dataset in datasets),
            *(f"{TITLES[dataset]}, signs" for dataset in digits),
        ],
        TEXT,
    )
    panels[0].set_ylabel("Spearman rank correlation,\nor share of magnitude", fontsize=TEXT)
    legend_above(figure, panels[0], 2)
    note_below(
        figure,
        f"Bars: means over {len({row['seed'] for row in rows})} networks of each kind, of Insens "
        "of a layer with the image itself; and which share of a map's magnitude is positive on the "
        "digit (+) and negative on its outline (-). Dots: the networks; lines: standard deviation "
        "over networks.",
    )
    save(figure, folder / "further_claims.png")


def _bar(rows: list[dict[str, str]], dataset: str, kind: str, measured: str, layer: str) -> Bar:
    wanted = {"dataset": dataset, "network": kind, "measured": measured, "layer": layer}
    chosen = [row for row in rows if all(row[name] == one for name, one in wanted.items())]
    return bar_of([float(row["value"]) for row in chosen])


main = Experiment(
    "further_claims",
    compute,
    draw,
    datasets=("mnist", "fashion_mnist", "cifar10"),
    options=networks_and_images(),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.further_claims")
