"""Whether wrong, foreign and adversarial inputs lie nearer to the boundaries of regions.

``python -m experiments.detection`` takes, of each trained network, test images that it gets right,
and inputs of three other kinds:

- ``wrong``: test images that it gets wrong;
- ``foreign``: images of the other data set of the same size, MNIST against Fashion-MNIST;
- ``adversarial``: the right ones after one step along the sign of the loss' gradient (FGSM;
  I. Goodfellow and others, 2015), of a length in each component that `STEPS` gives; those whose
  class changes by it.

What tells them from the right ones, by the area under the ROC curve, is tried with the distance to
the nearest boundary of each layer's neurons, the median of their distances, and what is to be
beaten: the confidence, which is the largest softmax output, and the logit margin, the difference
of the two largest logits. An area of 0.5 is a guess; below it, the order is the other way round.

The folder has ``areas.csv``, each network's areas; ``summary.csv``, their means with 95 %
intervals; and ``detection.png``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import stats

import insens_tf
from data_scripts.preparation import DataError
from experiments.data import TITLES, load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.experiment_options import networks_and_images
from experiments.intervals import interval_rows
from experiments.method_maps import predicted
from experiments.network_store import Store
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    bar_of,
    grouped_bars,
    legend_above,
    letter,
    note_below,
    save,
)
from experiments.tables import read_csv, write_csv
from experiments.train import Network
from insens_tf.new_figure import new_figure
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["adversarial", "area", "main", "scores"]

STEPS = {"mnist": 0.1, "fashion_mnist": 0.05, "cifar10": 0.01}
"""Of FGSM in each component, for images in 0 to 1; 0.1 for data sets that are not here."""

_FOREIGN = {"mnist": "fashion_mnist", "fashion_mnist": "mnist"}

_COLOURS = {"wrong": "tab:red", "foreign": "tab:blue", "adversarial": "tab:orange"}

_HEAD = ("dataset", "seed", "kind", "score", "area", "right", "others")
_SUMMARY_HEAD = ("dataset", "kind", "score", "mean", "low", "high", "networks")

_LEAST = 2
"""So many inputs of a kind there are to be, for an area."""


@dataclass(frozen=True)
class _Task:
    """A network, and what is to be told apart."""

    store: Store
    network: Network
    data_sha256: str
    images: int
    foreign: str | None


def area(right: NDArray[Any], others: NDArray[Any]) -> float:
    """Return the area under the ROC curve with which a score tells right inputs from others.

    The share of pairs of which the right one has the higher score; of equal ones a half.

    Parameters
    ----------
    right, others
        Scores, (n,) and (m,).
    """
    u = stats.mannwhitneyu(right, others).statistic
    return float(u / (len(right) * len(others)))


def scores(
    network: insens_tf.SwitchedNetwork, x: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Return each score of inputs, (n,): high ones are to speak for a right output.

    Parameters
    ----------
    network
        Of a model whose last layer's activities are logits.
    x
        (n, *input_shape).
    """
    logits = network.activity(x, network.output).astype(np.float64)
    largest = np.sort(logits, axis=1)
    layers = [layer.name for layer in network.layers]
    found = {
        "confidence": 1 / np.exp(logits - largest[:, -1:]).sum(axis=1),
        "logit margin": largest[:, -1] - largest[:, -2],
    }
    margins = network.margins(x, layers, progress=False)
    for layer, of_layer in margins.items():
        distances = np.abs(of_layer).reshape(len(x), -1)
        found[f"nearest of {layer}"] = distances.min(axis=1)
        found[f"median of {layer}"] = np.median(distances, axis=1)
    return found


def adversarial(
    model: tf.keras.Model, x: NDArray[np.float32], labels: NDArray[np.integer], step: float
) -> NDArray[np.float32]:
    """Return images after one step of FGSM, kept within 0 to 1.

    Parameters
    ----------
    model
        A classifier whose outputs are probabilities.
    x
        Images, (n, *input_shape).
    labels
        Their classes, (n,).
    step
        In each component.
    """
    images = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=False)
        chosen = tf.gather(outputs, np.asarray(labels, np.int64), axis=1, batch_dims=1)
        # Where it is 1 in float32, the others say more of the same.
        loss = tf.reduce_sum(tf.math.log(tf.reduce_sum(outputs, axis=1) - chosen + 1e-30))
    moved: NDArray[np.float32] = x + step * np.sign(tape.gradient(loss, images).numpy())
    return moved.clip(0, 1)


def _measure(task: _Task) -> dict[str, NDArray[Any]]:
    dataset = task.network.dataset
    data = load_data(task.store.data, dataset)
    model = task.store.load(task.network, task.data_sha256)
    network = insens_tf.SwitchedNetwork(model)
    x, labels = scaled(data["x_test"]), data["y_test"]
    correct = predicted(model, x) == labels
    order = np.random.default_rng(task.network.seed).permutation(len(x))
    right, wrong = (order[kind[order]][: task.images] for kind in (correct, ~correct))
    moved = adversarial(model, x[right], labels[right], STEPS.get(dataset, 0.1))
    others = {"wrong": x[wrong], "adversarial": moved[predicted(model, moved) != labels[right]]}
    if task.foreign is not None:
        others["foreign"] = scaled(load_data(task.store.data, task.foreign)["x_test"][right])
    of_right = scores(network, x[right])
    rows = [
        (kind, score, area(of_right[score], values), len(right), len(images))
        for kind, images in others.items()
        if len(images) >= _LEAST
        for score, values in scores(network, images).items()
    ]
    if not rows:
        raise DataError(
            f"{dataset}, network {task.network.seed}: expected at least {_LEAST} test images that "
            "it gets wrong, before or after a step, came fewer; train it on fewer images"
        )
    kinds, names, *numbers = zip(*rows, strict=True)
    return {"kinds": np.array(kinds), "scores": np.array(names), "numbers": np.array(numbers)}


def compute(run: Run, count: int, images: int) -> None:
    """Tell wrong, foreign and adversarial inputs from right ones, by distances to boundaries."""
    if run.quick:
        images = min(images, 10)
    tasks = [
        _Task(
            run.store,
            Network(dataset, seed, run.settings(dataset)),
            run.sha256[dataset],
            images,
            _FOREIGN[dataset] if _FOREIGN.get(dataset) in run.datasets else None,
        )
        for dataset in run.datasets
        for seed in range(run.seed, run.seed + count)
    ]
    run.train([task.network for task in tasks])
    run.measure(_measure, tasks, "networks")
    parts = [run.unfinished.parts(name) for name in ("kinds", "scores", "numbers")]
    rows = [
        (task.network.dataset, task.network.seed, str(kind), str(score), float(one), int(n), int(m))
        for task, kinds, names, numbers in zip(tasks, *parts, strict=True)
        for kind, score, one, n, m in zip(kinds, names, *numbers, strict=True)
    ]
    write_csv(run.folder / "areas.csv", _HEAD, rows)
    areas = (((dataset, kind, score), one) for dataset, _, kind, score, one, _, _ in rows)
    write_csv(run.folder / "summary.csv", _SUMMARY_HEAD, interval_rows(areas))


def draw(folder: Path) -> None:
    """Draw the areas of each score, a panel a data set."""
    rows = read_csv(folder / "areas.csv")
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    names = list(dict.fromkeys(row["score"] for row in rows))
    figure = new_figure(TWO_COLUMNS, 3.2)
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        mine = [row for row in rows if row["dataset"] == dataset]
        bars = {
            kind: [
                bar_of([float(row["area"]) for row in mine if _is(row, kind, name)])
                for name in names
            ]
            for kind in _COLOURS
        }
        grouped_bars(panel, bars, list(_COLOURS.values()), across=True)
        panel.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
        panel.set_xlim(0, 1)
        panel.set_yticks(range(len(names)), [_titled(name) for name in names], fontsize=SMALL)
        panel.tick_params(axis="x", labelsize=SMALL)
        panel.set_xlabel("area under the ROC curve", fontsize=TEXT)
    letter(panels, [TITLES[dataset] for dataset in datasets])
    legend_above(figure, panels[0], len(_COLOURS))
    networks, right = len({row["seed"] for row in rows}), rows[0]["right"]
    note_below(
        figure,
        f"How a score tells {right} test images that a network gets right from others; nearest and "
        f"median: of the distances of a layer's neurons to where they switch. Bars: means over "
        f"{networks} networks; dots: the networks; lines: standard deviation over networks; "
        "dotted: a guess.",
    )
    save(figure, folder / "detection.png")


def _is(row: Mapping[str, str], kind: str, score: str) -> bool:
    return (row["kind"], row["score"]) == (kind, score)


def _titled(score: str) -> str:
    which, _, layer = score.partition(" of ")
    return f"{which}, l = {HIDDEN_LAYERS[layer]}" if layer in HIDDEN_LAYERS else score


main = Experiment(
    "detection",
    compute,
    draw,
    datasets=("mnist", "fashion_mnist", "cifar10"),
    options=networks_and_images(),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.detection")
