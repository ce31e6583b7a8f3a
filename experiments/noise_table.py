"""Noise around the digits: accuracy by where it is, as text and Figure 4 of the paper have it.

``python -m experiments.noise_table`` measures on MNIST's test images how well networks classify
digits in noise with the digit's outline left clean, with as many pixels along the frame left clean,
and with none. The paper gives one accuracy each and not the noise. So its form and its standard
deviation are varied; `insens_tf.evaluation.add_noise` says what the forms and places are. The
folder of results has

- ``accuracies.csv``, the accuracies of every network; the form of clean images is ``none``;
- ``closest.csv``, for each form the standard deviation at which the three accuracies are closest to
  the paper's, by the root mean square of the differences; the closest form first;
- ``ranges.csv``, at which standard deviations each part of the paper's claim holds: on average over
  the networks, and for each of them;
- ``noise_table.png``, the curves, and below them by how much one place is above the next, network
  by network.

Spreads are standard deviations over the networks. An image has the same noise wherever it is
placed, at every standard deviation and for every network, but for its scale. With a threshold of 0
all around a digit is 0, so that adding noise and replacing pixels by it are the same: one of them
is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from experiments.data import load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.intervals import mean_interval
from experiments.noise_accuracy import (
    ORDER,
    PAPER_ACCURACIES,
    Accuracies,
    Measurement,
    closest,
    ranges,
    read_accuracies,
)
from experiments.noise_table_drawing import draw
from experiments.paper_claim import Claim, over_networks, over_settings, result_row, result_rows
from experiments.tables import write_csv
from experiments.train import Network
from insens_tf.evaluation import NOISE_FORMS, NoiseForm

__all__ = ["CLAIMS", "draw", "main"]


def compute(
    run: Run,
    count: int,
    forms: tuple[str, ...],
    standard_deviations: tuple[float, ...],
    images: int | None,
    threshold: float,
    width: int,
) -> None:
    """Measure accuracy in noise around digits against its place, form and standard deviation."""
    dataset = run.dataset
    if run.quick:
        count, standard_deviations = 1, standard_deviations[::4]
    networks = [
        Network(dataset, seed, run.settings(dataset)) for seed in range(run.seed, run.seed + count)
    ]
    run.train(networks)
    measurements = [
        Measurement(
            run.store,
            network,
            run.sha256[dataset],
            form,
            tuple(sorted(set(standard_deviations))),
            run.seed,
            images,
            threshold,
            width,
        )
        for network in networks
        for form in _distinct(forms, threshold)
    ]
    run.measure(_measure, measurements, "networks and forms of noise")

    # Clean images are measured with each form, but listed once.
    accuracies = {
        (*condition, measurement.network.seed): float(value)
        for measurement, found in zip(measurements, run.unfinished.parts("accuracies"), strict=True)
        for condition, value in zip(measurement.conditions, found, strict=True)
    }
    path = run.folder / "accuracies.csv"
    write_csv(
        path,
        ("form", "place", "standard_deviation", "seed", "accuracy"),
        [(*one, value) for one, value in accuracies.items()],
    )
    _write_tables(run.folder, read_accuracies(path))


def _distinct(forms: Sequence[str], threshold: float) -> list[str]:
    """Leave out forms that do what one before them does."""
    distinct: dict[NoiseForm, str] = {}
    for name in forms:
        form = NOISE_FORMS[name]
        distinct.setdefault(form if threshold > 0 else replace(form, added=False), name)
    return list(distinct.values())


def _measure(task: Measurement) -> dict[str, NDArray[np.float64]]:
    """Return the accuracies under each of the conditions."""
    data = load_data(task.store.data, task.network.dataset)
    images, labels = scaled(data["x_test"][: task.images]), data["y_test"][: task.images]
    model = task.store.load(task.network, task.data_sha256)
    return {"accuracies": task.accuracies(model, images, labels)}


def _write_tables(folder: Path, accuracies: Accuracies) -> None:
    places = [f"{place}{kind}" for place in PAPER_ACCURACIES for kind in ("", "_spread")]
    _write_rounded(
        folder / "closest.csv",
        ("form", "standard_deviation", "distance", *places),
        closest(accuracies),
    )
    _write_rounded(
        folder / "ranges.csv",
        (
            "form",
            "claim",
            "holds_on_average_at",
            "holds_for_each_network_at",
            "largest_lead",
            "largest_lead_at",
            "smallest_lead",
            "smallest_lead_at",
        ),
        ranges(accuracies),
    )


def _write_rounded(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    rounded = ([round(one, 5) if isinstance(one, float) else one for one in row] for row in rows)
    write_csv(path, head, rounded)


def _accuracy(place: str) -> str:
    """Return the accuracies in the noise that comes closest to the paper's three."""
    deviation = result_row("noise_table", "closest.csv", form="signed")["standard_deviation"]
    wanted = {"form": "signed", "place": place, "standard_deviation": deviation}
    rows = result_rows("noise_table", "accuracies.csv", **wanted)
    accuracy = over_networks(rows, "accuracy")
    return (
        f"{accuracy}, noise around 0 of standard deviation {float(deviation):g}; "
        f"{over_settings(place)} with other settings"
    )


def _lead(claim: str) -> str:
    found = []
    for row in result_rows("noise_table", "ranges.csv", claim=claim):
        deviations = row["holds_for_each_network_at"].split()
        where = f"from {deviations[0]} to {deviations[-1]}" if deviations else "at none"
        found.append(f"{row['form'].replace('_', ' ')} noise {where}")
    seeds = {row["seed"] for row in result_rows("noise_table", "accuracies.csv")}
    where = ", of ".join(found)
    return (
        f"{_paired(*ORDER[claim])}; for each of {len(seeds)} networks at standard deviations of "
        f"{where}"
    )


def _paired(above: str, below: str) -> str:
    """Return by how much each network does better, in the noise that comes closest."""
    deviation = result_row("noise_table", "closest.csv", form="signed")["standard_deviation"]
    accuracies = [
        {
            row["seed"]: 100 * float(row["accuracy"])
            for row in result_rows(
                "noise_table",
                "accuracies.csv",
                form="signed",
                place=place,
                standard_deviation=deviation,
            )
        }
        for place in (above, below)
    ]
    lead = mean_interval([accuracies[0][seed] - accuracies[1][seed] for seed in accuracies[0]])
    return (
        f"{lead.mean:.1f} points (n = {lead.n}, interval {lead.low:.1f} to {lead.high:.1f}) in "
        "the noise that comes closest"
    )


CLAIMS = (
    Claim(
        "accuracy with noise but on the digit and its outline (3)",
        "87 %",
        lambda: _accuracy("bordered"),
        ("noise_table", "open_settings"),
        "Holds within the interval, in the noise in which the three numbers together come closest "
        "to the paper's; neither its form nor its standard deviation is given.",
    ),
    Claim(
        "accuracy with noise but on the digit and as many pixels along the frame (3)",
        "45 %",
        lambda: _accuracy("framed"),
        ("noise_table", "open_settings"),
        "Holds within the interval.",
    ),
    Claim(
        "accuracy with noise but on the digit (3)",
        "32 %",
        lambda: _accuracy("background"),
        ("noise_table", "open_settings"),
        "Cannot be told from three networks, which have 36, 45 and 52 %: 32 % lies within the "
        "interval. What does not hold is its distance to the clean frame, next but one below.",
    ),
    Claim(
        "the outline kept is worth more than as many pixels of the frame (3)",
        "87 % and 45 %",
        lambda: _lead("outline > frame"),
        ("noise_table", "open_settings"),
        "Holds for each network, form of noise and standard deviation, with leads of up to 39 to "
        "71 points, and with each of the other settings.",
    ),
    Claim(
        "the frame kept is worth more than nothing (3)",
        "45 % and 32 %",
        lambda: _lead("frame > none"),
        ("noise_table", "open_settings"),
        "Holds for each network in noise around 0 alone, and by at most 3 points; the paper's 13 "
        "are outside of the interval of that difference, network by network. Of the "
        "other settings 16 and 32 filters lead by 7 points, kernels of 3x3 by none. In other noise "
        "the clean frame is mostly worse than none, by up to 8 points.",
    ),
)


main = Experiment(
    "noise_table",
    compute,
    draw,
    datasets=("mnist",),
    options=(
        click.Option(
            ["--count"],
            default=5,
            show_default=True,
            type=click.IntRange(min=1),
            help="Number of networks.",
        ),
        click.Option(
            ["--form", "forms"],
            multiple=True,
            type=click.Choice(list(NOISE_FORMS)),
            default=tuple(NOISE_FORMS),
            help="Form of the noise; repeat it for several.  [default: all]",
        ),
        click.Option(
            ["--standard-deviation", "standard_deviations"],
            multiple=True,
            type=click.FloatRange(min=0, min_open=True),
            default=(0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
            show_default=True,
            help="Standard deviation of the noise; repeat it for several.",
        ),
        click.Option(
            ["--images"],
            type=click.IntRange(min=1),
            help="How many test images, the first.  [default: all]",
        ),
        click.Option(
            ["--threshold"],
            default=0.0,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Pixels brighter than this are the digit's.",
        ),
        click.Option(
            ["--width"],
            default=3,
            show_default=True,
            type=click.IntRange(min=1),
            help="Width of the digit's outline, in pixels.",
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.noise_table")
