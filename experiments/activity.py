"""Appendix B.1: how many of the neurons are active, trained and untrained.

``python -m experiments.activity`` writes ``shares.csv``, and ``shares.png`` and ``shares.pdf``.

The paper says that 17 % of 2CONV's neurons are active for an MNIST input, "on average", and not
over which neurons. So there are several averages: of each layer; over all hidden neurons; over all
hidden neurons, where losing in max pooling counts as inactive, as the paper deems those neurons
"inactive regardless of the output they produce"; and the mean of the layers' shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import insens_tf
from experiments.data import SHIPPED_SAMPLE, TITLES
from experiments.experiment import Experiment, Run
from experiments.paper_claim import Claim, over_networks, over_settings, result_rows
from experiments.plots import (
    ONE_COLUMN,
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
from experiments.two_conv_settings import POOLED, UNTRAINED_SEED, build
from insens_tf.batches import in_batches
from insens_tf.new_figure import new_figure
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["CLAIMS", "COUNTED", "PAPER_ACTIVE_SHARE", "ActiveShares", "active_shares", "main"]

PAPER_ACTIVE_SHARE = 0.17
"""The share of 2CONV's neurons that are active for an MNIST image (section "Sensitivity")."""

COUNTED = {
    **{layer: f"{layer} (l = {number})" for layer, number in HIDDEN_LAYERS.items()},
    "all": "all hidden neurons",
    "mean of layers": "mean of the layers'",
    "conv_1 in subnetwork": "conv_1*",
    "conv_2 in subnetwork": "conv_2*",
    "all in subnetwork": "all hidden neurons*",
    "mean of layers in subnetwork": "mean of the layers'*",
}
"""What is counted, and how pictures call it; *: losing in max pooling is inactive."""


_COLOURS = {"trained": "tab:blue", "untrained": "0.7"}
_OF_THE_PAPER = ("mnist", SHIPPED_SAMPLE)
_HEAD = ("dataset", "network", "seed", "counted", "share")


@dataclass(frozen=True)
class ActiveShares:
    """Which share of the neurons is active for an image, averaged over images.

    Attributes
    ----------
    layers
        By layer: the share of neurons with positive activity.
    overall
        The same over the neurons of all these layers.
    subnetwork_layers, subnetwork_overall
        The same, but counting as inactive what loses in max pooling: the paper deems those
        neurons inactive regardless of their output.
    """

    layers: dict[str, float]
    overall: float
    subnetwork_layers: dict[str, float]
    subnetwork_overall: float

    @property
    def averages(self) -> dict[str, float]:
        """Every layer's share and every average, by what is counted."""
        return {
            **self.layers,
            "all": self.overall,
            **{f"{name} in subnetwork": self.subnetwork_layers[name] for name in POOLED},
            "all in subnetwork": self.subnetwork_overall,
            "mean of layers": float(np.mean(list(self.layers.values()))),
            "mean of layers in subnetwork": float(np.mean(list(self.subnetwork_layers.values()))),
        }


def active_shares(model: tf.keras.Sequential, images: NDArray[np.float32]) -> ActiveShares:
    """Measure the share of active neurons.

    Parameters
    ----------
    model
        2CONV.
    images
        Float array of shape ``(n, *input_shape)``.

    Returns
    -------
    ActiveShares
        Averages over the images.
    """
    network = insens_tf.SwitchedNetwork(model)
    frequency = network.activation_frequency(images)
    neurons = {layer.name: layer.neurons for layer in network.layers}
    layers = {name: float(np.mean(frequency[name])) for name in neurons}

    # If a pool passes on something positive, exactly one of its neurons, the winner, is in the
    # active subnetwork; the pools of 2CONV do not overlap.
    pooling = tf.keras.Model(
        model.inputs[0], [model.get_layer(pool).output for pool in POOLED.values()]
    )
    winners = dict.fromkeys(POOLED, 0)
    for batch in in_batches(images):
        for name, passed_on in zip(POOLED, pooling(batch), strict=True):
            winners[name] += int(tf.math.count_nonzero(passed_on > 0))
    subnetwork = layers | {
        name: count / (len(images) * neurons[name]) for name, count in winners.items()
    }

    def overall(shares: dict[str, float]) -> float:
        return sum(shares[name] * neurons[name] for name in neurons) / sum(neurons.values())

    return ActiveShares(layers, overall(layers), subnetwork, overall(subnetwork))


def draw(folder: Path) -> None:
    """Draw the shares of a folder of results as bars, a panel a data set."""
    rows = read_csv(folder / "shares.csv")
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    width = ONE_COLUMN if len(datasets) == 1 else TWO_COLUMNS
    figure = new_figure(width, 3.2)
    panels = figure.subplots(1, len(datasets), sharex=True, sharey=True, squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        mine = [row for row in rows if row["dataset"] == dataset]
        bars = {
            kind: [
                bar_of(
                    [
                        100 * float(row["share"])
                        for row in mine
                        if (row["network"], row["counted"]) == (kind, counted)
                    ]
                )
                for counted in COUNTED
            ]
            for kind in _COLOURS
        }
        grouped_bars(panel, bars, list(_COLOURS.values()), across=True)
        if dataset in _OF_THE_PAPER:
            paper = 100 * PAPER_ACTIVE_SHARE
            label = f"paper: {paper:.0f} %"
            panel.axvline(paper, color="tab:red", linewidth=1, linestyle="--", label=label)
        panel.set_xlabel("active neurons, %", fontsize=TEXT)
        panel.tick_params(labelsize=SMALL)
    panels[0].set_yticks(range(len(COUNTED)), list(COUNTED.values()), fontsize=TEXT)
    letter(panels, [TITLES[one] for one in datasets])
    legend_above(figure, panels[0], 3)
    note_below(figure, _note(len(bars["trained"][0].networks)))
    save(figure, folder / "shares.png")


def _note(networks: int) -> str:
    of_several = (
        f"Means over {networks} networks of each kind, which are the dots; lines: standard "
        "deviation. "
        if networks > 1
        else "One network of each kind and data set. "
    )
    return f"{of_several}Over all test images. *: losing in max pooling is inactive."


def compute(run: Run, count: int) -> None:
    """Measure the share of active neurons of each layer and overall (Appendix B.1)."""
    networks = [
        Network(dataset, seed, run.settings(dataset))
        for dataset in run.datasets
        for seed in range(run.seed, run.seed + count)
    ]
    # All networks are asked for at once, so that several are trained at the same time.
    run.train(networks)
    images = {dataset: run.images(dataset) for dataset in run.datasets}
    rows: list[tuple[Any, ...]] = []
    for network in networks:
        dataset, seed = network.dataset, network.seed
        models = {
            "trained": run.load(network),
            "untrained": build(network.settings, UNTRAINED_SEED + seed),
        }
        for kind, model in models.items():
            averages = active_shares(model, images[dataset]).averages
            rows += [(dataset, kind, seed, *row) for row in averages.items()]
    write_csv(run.folder / "shares.csv", _HEAD, rows)


def _share(counted: str) -> str:
    wanted = {"dataset": "mnist", "network": "trained", "counted": counted}
    return over_networks(result_rows("activity_mnist", "shares.csv", **wanted), "share")


def _active() -> str:
    averages = {
        "all": "of all hidden neurons",
        "all in subnetwork": "where losing in max pooling is inactive",
        "mean of layers in subnetwork": "is the mean of the layers' then",
    }
    layers = ", ".join(
        f"{_share(layer)} of l = {number}" for layer, number in HIDDEN_LAYERS.items()
    )
    over_all = "; ".join(
        f"{_share(counted)} {said}, {over_settings(counted)} with other settings"
        for counted, said in averages.items()
    )
    return f"{layers}; {over_all}"


CLAIMS = (
    Claim(
        "neurons that are active for an MNIST input, on average (2, B.1)",
        "17 %",
        _active,
        ("activity_mnist", "activity", "open_settings"),
        "Most neurons are inactive, as the paper says. 17 % is between two averages in which what "
        "loses in max pooling is inactive, as the paper deems it: over all neurons, and of layers "
        "that weigh the same; the latter is 17.4 % in a network trained for 8 epochs.",
    ),
)


main = Experiment(
    "activity",
    compute,
    draw,
    datasets=("mnist", "fashion_mnist", "cifar10"),
    options=(
        click.Option(
            ["--count"],
            default=1,
            show_default=True,
            help="Number of trained networks, and of untrained ones.",
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.activity")
