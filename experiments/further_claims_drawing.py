"""How what an untrained network has of Insens, too, is drawn."""

from __future__ import annotations

from pathlib import Path

from experiments.data import SHIPPED_SAMPLE, TITLES
from experiments.method_maps import PENULTIMATE
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
from experiments.tables import read_csv
from insens_tf.new_figure import new_figure
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["COLOURS", "DIGITS", "draw"]

DIGITS = ("mnist", SHIPPED_SAMPLE)
"""The data sets in which there is a digit and its outline."""

COLOURS = {"trained": "tab:red", "untrained": "0.62"}
"""The kinds of networks, and how they are drawn."""

_GROUP_TITLES = {
    **{("with the input", layer): f"l = {number}" for layer, number in HIDDEN_LAYERS.items()},
    ("positive on the digit", PENULTIMATE): "Insens\nl = 5 +",
    ("positive on the digit", "gradient"): "Gradient\n+",
    ("negative on the outline", PENULTIMATE): "Insens\nl = 5 -",
    ("negative on the outline", "gradient"): "Gradient\n-",
}


def draw(folder: Path) -> None:
    """Draw what of Insens an untrained network has, too."""
    rows = read_csv(folder / "numbers.csv")
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    digits = [dataset for dataset in datasets if dataset in DIGITS]
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
        bars = {kind: [_bar(rows, dataset, kind, *group) for group in groups] for kind in COLOURS}
        grouped_bars(panel, bars, list(COLOURS.values()))
        panel.axhline(0, color="black", linewidth=0.6)
        panel.tick_params(labelsize=SMALL)
        names = [_GROUP_TITLES[group] for group in groups]
        panel.set_xticks(range(len(groups)), names, fontsize=SMALL)
    letter(
        panels,
        [
            *(TITLES[dataset] for dataset in datasets),
            *(f"{TITLES[dataset]}, signs" for dataset in digits),
        ],
        TEXT,
    )
    panels[0].set_ylabel("Spearman rank correlation,\nor share of magnitude", fontsize=TEXT)
    legend_above(figure, panels[0], 2)
    note_below(
        figure,
        "How Insens of layers correlates with the image itself; and which share of a map's "
        "magnitude is positive on the digit (+) and negative on its outline (-). Bars: means over "
        f"{len({row['seed'] for row in rows})} networks of each kind; dots: the networks; lines: "
        "standard deviation over networks.",
    )
    save(figure, folder / "further_claims.png")


def _bar(rows: list[dict[str, str]], dataset: str, kind: str, measured: str, layer: str) -> Bar:
    wanted = {"dataset": dataset, "network": kind, "measured": measured, "layer": layer}
    chosen = [row for row in rows if all(row[name] == one for name, one in wanted.items())]
    return bar_of([float(row["value"]) for row in chosen])
