"""Randomisation checks as curves: how fast maps change as layers are randomised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from insens_tf.evaluation.randomisation import RandomisationCheck
from insens_tf.new_figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_checks"]

_PANEL_WIDTH = 3.4  # inches
_PANEL_HEIGHT = 2.8
_LEGEND_WIDTH = 1.6
_INCHES_A_LAYER = 0.32
_MARKERS = "osD^vP*X<>"
_TITLES = {
    "signed": "signed",
    "absolute": "absolute",
    "signed_support": "signed, common support",
    "absolute_support": "absolute, common support",
}


def plot_checks(checks: Mapping[str, Sequence[RandomisationCheck]]) -> Figure:
    """Draw the mean correlations of methods over the layers that were randomised.

    Parameters
    ----------
    checks : mapping of str to sequence of RandomisationCheck
        The checks of each method, by the name that the legend has it under. All methods have the
        same kinds of checks, each of the same layers and kinds of correlation.

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas of its own: `figure.savefig("checks.png")`. A row a check, a column a kind of
        correlation; from left to right the layers from the output to the input; the bars are one
        standard deviation over the inputs to either side.

    Raises
    ------
    ValueError
        If there is no check, or the methods' checks differ in what they are of.
    """
    of_each = [[_subject(check) for check in found] for found in checks.values()]
    if not of_each or not of_each[0]:
        raise ValueError("checks: expected at least one, came none")
    if any(subjects != of_each[0] for subjects in of_each):
        raise ValueError(
            "checks: expected for each method the same checks, of the same layers and kinds of "
            f"correlation, came {dict(zip(checks, of_each))}"
        )
    rows = of_each[0]
    layers = max(len(names) for _, names, _ in rows)
    columns = max(len(kinds) for _, _, kinds in rows)
    panel_width = max(_PANEL_WIDTH, _INCHES_A_LAYER * layers)
    figure = new_figure(columns * panel_width + _LEGEND_WIDTH, len(rows) * _PANEL_HEIGHT)
    panels = figure.subplots(len(rows), columns, sharey=True, squeeze=False)
    for row, (check, names, kinds) in enumerate(rows):
        for column, kind in enumerate(kinds):
            panel = panels[row][column]
            panel.set_title(f"{check}: {_TITLES[kind]}", fontsize=9)
            _draw(panel, {name: found[row] for name, found in checks.items()}, kind)
            panel.set_xticks(
                range(len(names)), names, rotation=45, ha="right", fontsize=7, parse_math=False
            )
        panels[row][0].set_ylabel("mean rank correlation", fontsize=8)
    lines, labels = panels[0][0].get_legend_handles_labels()
    legend = figure.legend(lines, labels, loc="outside right upper", fontsize=8, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw(panel: Axes, checks: Mapping[str, RandomisationCheck], kind: str) -> None:
    panel.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    for number, (name, check) in enumerate(checks.items()):
        # Side by side, or the bars of one method would hide those of another.
        shift = (number - (len(checks) - 1) / 2) * 0.5 / len(checks)
        panel.errorbar(
            np.arange(len(check.layers)) + shift,
            check.mean(kind),
            np.sqrt(check.variance(kind)),
            label=name,
            color=f"C{number % 10}",
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            linewidth=1.2,
            elinewidth=0.7,
        )
    panel.set_ylim(-1.05, 1.05)
    panel.tick_params(labelsize=7)


def _subject(check: RandomisationCheck) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return check.check, check.layers, tuple(check.correlations)
