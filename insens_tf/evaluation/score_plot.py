"""Curves of scores: what an output is as pixels are taken away, or given back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from insens_tf.evaluation.faithfulness import ScoreCurves
from insens_tf.new_figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_curves"]

_STYLES = ("-", "--", ":", "-.")


def plot_curves(curves: Mapping[str, Mapping[str, ScoreCurves]]) -> Figure:
    """Draw the mean curves of methods, a panel a score.

    Parameters
    ----------
    curves : mapping of str to mapping of str to ScoreCurves
        By the score's name, the curves by the method's.

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas of its own: `figure.savefig("scores.png")`.

    Raises
    ------
    ValueError
        If there is no score.
    """
    if not curves:
        raise ValueError("curves: expected those of at least one score, came none")
    figure = new_figure(4.2 * len(curves) + 1.8, 3.6)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for panel, (score, of_methods) in zip(panels, curves.items(), strict=True):
        for number, (method, found) in enumerate(of_methods.items()):
            style = _STYLES[number // 10 % len(_STYLES)]
            panel.plot(found.shares, found.mean, style, color=f"C{number % 10}", label=method)
        panel.set_title(score, fontsize=9)
        panel.set_xlabel("share of pixels", fontsize=8)
        panel.tick_params(labelsize=7)
    panels[0].set_ylabel("mean output of the explained class", fontsize=8)
    lines, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(lines, labels, loc="outside right upper", fontsize=8, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
