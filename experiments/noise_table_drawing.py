"""How the noise table is drawn: accuracies over the standard deviation, and their differences.

A column is a form of noise. Its first panel has the accuracies, the next ones, for each part of the
paper's claim, by how much each network is better in the one place than in the other.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.intervals import LEVEL, mean_interval, sample_deviation
from experiments.noise_accuracy import (
    FORM_TITLES,
    ORDER,
    PAPER_ACCURACIES,
    PLACE_COLOURS,
    PLACE_TITLES,
    Accuracies,
    accuracies_of_clean_images,
    closest,
    forms_of,
    read_accuracies,
    standard_deviations_of,
)
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    legend_above,
    letter,
    note_below,
    save,
)
from insens_tf.new_figure import new_figure

__all__ = ["draw", "drawn"]

_NARROWEST = 1.25  # inches a form,
_LETTERS = 19  # and letters on a line of its title
_LEAD_COLOURS = {"outline > frame": "tab:blue", "frame > none": "tab:orange"}


def draw(folder: Path) -> None:
    """Draw the accuracies of a folder of results and their differences."""
    save(drawn(read_accuracies(folder / "accuracies.csv")), folder / "noise_table.png")


def drawn(accuracies: Accuracies) -> Figure:
    """Draw accuracies and their differences, a column a form, the places' lead below each other."""
    forms = forms_of(accuracies)
    figure = new_figure(max(TWO_COLUMNS, _NARROWEST * len(forms)), 5.4)
    panels = figure.subplots(
        1 + len(ORDER),
        len(forms),
        sharex="col",
        sharey="row",
        squeeze=False,
        height_ratios=(1.5, *(1 for _ in ORDER)),
    )
    distances = {form: (at, distance) for form, at, distance, *_ in closest(accuracies)}
    titles = []
    for column, form in zip(panels.T, forms, strict=True):
        at, distance = distances[form]
        _draw_accuracies(column[0], accuracies, form)
        for panel, claim in zip(column[1:], ORDER, strict=True):
            _draw_lead(panel, accuracies, form, claim)
        for panel in column:
            panel.axvline(at, color="0.88", lw=4, zorder=0, label="closest to the paper")
        _set_axis(column, standard_deviations_of(accuracies, form))
        title = textwrap.fill(FORM_TITLES[form], _LETTERS)
        titles.append(f"{title}\n{100 * distance:.1f} points off at {at:g}")
    _name_rows(panels[:, 0])
    figure.align_ylabels(panels[:, 0])
    letter(panels.flat, titles + [""] * (panels.size - len(forms)), TEXT)
    legend_above(figure, panels[0, 0], 4)
    note_below(figure, _note(len(accuracies_of_clean_images(accuracies))))
    return figure


def _draw_accuracies(panel: Axes, accuracies: Accuracies, form: str) -> None:
    x = standard_deviations_of(accuracies, form)
    for place, colour in PLACE_COLOURS.items():
        values = 100 * np.array([accuracies[form, place, one] for one in x])
        mean = values.mean(axis=1)
        spread = np.array([sample_deviation(one) for one in values])
        panel.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.25, lw=0)
        panel.plot(x, mean, ".-", color=colour, lw=1, ms=4, label=PLACE_TITLES[place])
        paper = 100 * PAPER_ACCURACIES[place]
        panel.axhline(paper, color=colour, lw=0.8, ls="--", label=f"paper: {paper:.0f} %")
    clean = 100 * accuracies_of_clean_images(accuracies).mean()
    panel.axhline(clean, color="0.5", lw=0.8, ls=":", label=f"no noise: {clean:.1f} %")
    panel.set_ylim(0, 102)


def _draw_lead(panel: Axes, accuracies: Accuracies, form: str, claim: str) -> None:
    """Draw the difference of two places for each network, its mean and the mean's interval."""
    x = standard_deviations_of(accuracies, form)
    above, below = ORDER[claim]
    colour = _LEAD_COLOURS[claim]
    leads = [100 * (accuracies[form, above, one] - accuracies[form, below, one]) for one in x]
    intervals = [mean_interval(lead) for lead in leads]
    panel.axhline(0, color="black", lw=0.6)
    paper = 100 * (PAPER_ACCURACIES[above] - PAPER_ACCURACIES[below])
    panel.axhline(paper, color=colour, lw=0.8, ls="--")
    panel.errorbar(
        x,
        [one.mean for one in intervals],
        [one.half for one in intervals],
        color=colour,
        lw=1,
        elinewidth=0.8,
        capsize=1.5,
    )
    for one, lead in zip(x, leads, strict=True):
        panel.plot([one] * len(lead), lead, "o", color="black", ms=1.8, mew=0, alpha=0.75, zorder=3)


def _set_axis(column: NDArray[Any], x: Sequence[float]) -> None:
    for panel in column:
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.tick_params(labelsize=SMALL)
    column[-1].set_xticks(x, [f"{one:g}" for one in x], fontsize=SMALL, rotation=90)
    column[-1].set_xlabel("standard deviation", fontsize=TEXT)


def _name_rows(first: Iterable[Axes]) -> None:
    names = ["accuracy, %"]
    for above, below in ORDER.values():
        names.append(f"{PLACE_TITLES[above]}\nminus {PLACE_TITLES[below]},\npoints")
    for panel, name in zip(first, names, strict=True):
        panel.set_ylabel(name, fontsize=TEXT)


def _note(networks: int) -> str:
    several = f"{networks} networks" if networks > 1 else "One network"
    interval = f"{100 * LEVEL:.0f} % interval"
    return (
        f"{several}; above each column the form of noise, clipped: to 0..1. First row: means over "
        "networks, and shaded their standard deviation; points off: how far the three accuracies "
        "are from the paper's, root mean square. Other rows: differences of accuracies, network by "
        f"network; dots: the networks; lines: their mean, with its {interval}; dashed: the paper's."
    )
