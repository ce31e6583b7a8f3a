"""What the paper leaves open of 2CONV and its training: whether it decides MNIST's numbers.

``python -m experiments.open_settings`` trains 2CONV as for the noise table and with one setting
changed at a time, and writes

- ``open_settings.csv``, of every network the accuracy on clean test images, and in the noise of the
  noise table at one standard deviation; and the averages of the share of active neurons;
- ``open_settings.png``, those for which the paper has a number.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.activity import COUNTED, PAPER_ACTIVE_SHARE, active_shares
from experiments.data import load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.noise_accuracy import (
    FORM_TITLES,
    PAPER_ACCURACIES,
    PLACE_COLOURS,
    PLACE_TITLES,
    Measurement,
)
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    bar_of,
    grouped_bars,
    letter,
    note_below,
    save,
)
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

_ACCURACIES = {**PLACE_TITLES, "clean": "no noise"}
_SHARES = {
    one: COUNTED[one] for one in ("all", "all in subnetwork", "mean of layers in subnetwork")
}
_LABEL = 13  # letters on a line
_ACCURACY_COLOURS = (*PLACE_COLOURS.values(), "0.6")
_SHARE_COLOURS = ("0.6", "tab:purple", "tab:pink")


def draw(folder: Path) -> None:
    """Draw a folder of results as bars, with the paper's numbers as lines."""
    rows = read_csv(folder / "open_settings.csv")
    tried = list(dict.fromkeys(row["setting"] for row in rows))
    figure = new_figure(TWO_COLUMNS, 4.2)
    panels = figure.subplots(1, 2, sharey=True)
    drawn = (_ACCURACIES, _ACCURACY_COLOURS, "test images"), (_SHARES, _SHARE_COLOURS, "neurons")
    for panel, (measured, colours, what) in zip(panels, drawn, strict=True):
        bars = {
            title: [bar_of(_percents(rows, setting, one)) for setting in tried]
            for one, title in measured.items()
        }
        grouped_bars(panel, bars, colours, across=True)
        panel.set_xlabel(f"of the {what}, %", fontsize=TEXT)
        panel.tick_params(labelsize=SMALL)
    of_paper = [
        (panels[0], share, PLACE_COLOURS[place]) for place, share in PAPER_ACCURACIES.items()
    ]
    for panel, share, colour in (*of_paper, (panels[1], PAPER_ACTIVE_SHARE, "tab:red")):
        label = f"paper: {100 * share:.0f} %"
        panel.axvline(100 * share, color=colour, lw=1, ls="--", label=label)
    for panel in panels:
        _legend_below(panel)
    broken = [textwrap.fill(one, _LABEL) for one in tried]
    panels[0].set_yticks(range(len(tried)), broken, fontsize=TEXT)
    letter(panels, ["accuracy without noise, and in noise", "active neurons"])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    note_below(figure, _note(config, len({row["seed"] for row in rows})))
    save(figure, folder / "open_settings.png")


def _legend_below(panel: Axes) -> None:
    """Explain bars, and beside them the paper's numbers, which are lines."""
    handles, labels = panel.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda number: labels[number].startswith("paper"))
    panel.legend(
        [handles[number] for number in order],
        [labels[number] for number in order],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
        ncols=2,
        fontsize=TEXT,
        frameon=False,
    )


def _note(config: Mapping[str, Any], networks: int) -> str:
    of_several = (
        f"Bars: means over {networks} networks for each setting; dots: the networks; lines: their "
        "standard deviation."
        if networks > 1
        else "One network for each setting."
    )
    return (
        f"{of_several} Noise: {FORM_TITLES[config['form']]}, of standard deviation "
        f"{config['standard_deviation']:g}. *: losing in max pooling is inactive."
    )


def _percents(rows: Sequence[Mapping[str, str]], setting: str, measured: str) -> list[float]:
    return [
        100 * float(row["value"])
        for row in rows
        if (row["setting"], row["measured"]) == (setting, measured)
    ]


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
