"""What the paper leaves open of 2CONV and its training: whether it decides MNIST's numbers.

``python -m experiments.open_settings`` trains 2CONV as for the noise table and with one setting
changed at a time, and writes

- ``open_settings.csv``, of every network the accuracy on clean test images, and in the noise of the
  noise table at one standard deviation; and the averages of the share of active neurons;
- ``open_settings.png``, those for which the paper has a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from experiments.activity import PAPER_ACTIVE_SHARE, active_shares
from experiments.data import load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.intervals import sample_deviation
from experiments.noise_accuracy import PAPER_ACCURACIES, PLACE_COLOURS, PLACE_TITLES, Measurement
from experiments.plots import grouped_bars, save
from experiments.tables import read_csv, write_csv
from experiments.train import Network
from insens_tf.evaluation import NOISE_FORMS
from insens_tf.new_figure import new_figure

__all__ = ["TRIED", "main"]

TRIED: Mapping[str, Mapping[str, Any]] = {
    "as in the noise table": {},
    "16 and 32 filters": {"filters": (16, 32)},
    "kernels of 3x3": {"kernel_size": 3},
    "no padding": {"padding": "valid"},
    "128 units": {"units": 128},
    "no dropout": {"dropout": 0.0},
}
"""The settings that are changed, by the title of the change."""

_ACCURACIES = {"clean": "clean", **PLACE_TITLES}
_SHARES = {
    "all": "all hidden neurons",
    "all in subnetwork": "all, losing in max pooling is inactive",
    "mean of layers in subnetwork": "mean of the layers' then",
}
_COLOURS = ("0.6", *PLACE_COLOURS.values())


def draw(folder: Path) -> None:
    """Draw a folder of results as bars, with the paper's numbers as lines."""
    rows = read_csv(folder / "open_settings.csv")
    tried = list(dict.fromkeys(row["setting"] for row in rows))
    figure = new_figure(1.3 * len(tried) + 3.4, 6)
    accuracies, shares = figure.subplots(2, 1, sharex=True)
    for panel, measured in ((accuracies, _ACCURACIES), (shares, _SHARES)):
        bars = {}
        for name, title in measured.items():
            found = [
                [
                    100 * float(row["value"])
                    for row in rows
                    if (row["setting"], row["measured"]) == (one, name)
                ]
                for one in tried
            ]
            bars[title] = [np.mean(one) for one in found], [sample_deviation(one) for one in found]
        grouped_bars(panel, bars, _COLOURS[: len(bars)])
    of_paper = [
        (accuracies, share, PLACE_COLOURS[place]) for place, share in PAPER_ACCURACIES.items()
    ]
    for panel, share, colour in (*of_paper, (shares, PAPER_ACTIVE_SHARE, "tab:red")):
        label = f"paper: {100 * share:.0f} %"
        panel.axhline(100 * share, color=colour, lw=1, ls="--", label=label)
    for panel, title in ((accuracies, "accuracy, %"), (shares, "active neurons, %")):
        panel.set_ylabel(title, fontsize=8)
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
        panel.tick_params(labelsize=8)
    shares.set_xticks(range(len(tried)), tried)
    save(figure, folder / "open_settings.png")


def compute(run: Run, count: int, form: str, standard_deviation: float) -> None:
    """Measure accuracy, in noise too, and active neurons with other sizes and training of 2CONV."""
    dataset = run.dataset
    tried = dict(TRIED)
    if run.quick:
        count, tried = 1, {name: TRIED[name] for name in list(TRIED)[:2]}
    tasks = {
        (name, seed): Measurement(
            run.store,
            Network(dataset, seed, replace(run.settings(dataset), **changes)),
            run.sha256[dataset],
            form,
            (standard_deviation,),
            run.seed,
        )
        for name, changes in tried.items()
        for seed in range(run.seed, run.seed + count)
    }
    run.train([task.network for task in tasks.values()])
    run.measure(_measure, list(tasks.values()), "networks")
    rows = [
        (name, seed, str(measured), float(value))
        for (name, seed), measured_of, values in zip(
            tasks, run.unfinished.parts("measured"), run.unfinished.parts("values"), strict=True
        )
        for measured, value in zip(measured_of, values, strict=True)
    ]
    write_csv(run.folder / "open_settings.csv", ("setting", "seed", "measured", "value"), rows)


def _measure(task: Measurement) -> dict[str, NDArray[Any]]:
    """Return names of what is measured, and the values."""
    data = load_data(task.store.data, task.network.dataset)
    images, labels = scaled(data["x_test"]), data["y_test"]
    model = task.store.load(task.network, task.data_sha256)
    places = [place for _, place, _ in task.conditions]
    found = dict(zip(places, task.accuracies(model, images, labels), strict=True))
    found |= active_shares(model, images).averages
    return {"measured": np.array(list(found)), "values": np.array(list(found.values()))}


main = Experiment(
    "open_settings",
    compute,
    draw,
    datasets=("mnist",),
    settings={"epochs": 3},
    options=(
        click.Option(
            ["--count"],
            default=3,
            show_default=True,
            type=click.IntRange(min=1),
            help="Number of networks of each setting.",
        ),
        click.Option(
            ["--form"], default="signed", show_default=True, type=click.Choice(list(NOISE_FORMS))
        ),
        click.Option(
            ["--standard-deviation"],
            default=1.0,
            show_default=True,
            type=click.FloatRange(min=0, min_open=True),
            help="Standard deviation of the noise.",
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.open_settings")
