"""How the variants of Insens are drawn: bars of how like it they are, and sheets of their maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.data import TITLES
from experiments.map_sheet import Block, sheet
from experiments.plots import (
    ONE_COLUMN,
    SMALL,
    TEXT,
    TWO_COLUMNS,
    Bar,
    grouped_bars,
    legend_above,
    letter,
    note_below,
    number,
    save,
)
from experiments.tables import read_csv
from insens_tf.heatmap import heatmap, picture
from insens_tf.new_figure import new_figure
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["draw"]

_VARIANT_TITLES = {
    "all": "all neurons",
    "active": "active neurons",
    "activity": "omega =\N{NO-BREAK SPACE}v\N{NO-BREAK SPACE}w",
    "unweighted": "without m/N",
}
_MEASURE_TITLES = {
    "signed": "Spearman\nrank correlation",
    "absolute": "Spearman rank\ncorrelation of magnitudes",
    "cosine": "cosine",
}
_COLOURS = ("0.75", "tab:blue", "tab:red")
_SIDE = 140  # dots of print an image may take


def draw(folder: Path) -> None:
    """Draw the bars and the maps of a folder of results."""
    rows = read_csv(folder / "likeness.csv")
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    _draw_bars(rows, datasets, folder / "likeness.png")
    for dataset in datasets:
        with np.load(folder / f"{dataset}.npz") as arrays:
            _draw_maps(arrays, dataset, measures, folder / f"maps_{dataset}.png")


def _draw_bars(rows: list[dict[str, str]], datasets: list[str], path: Path) -> None:
    figure = new_figure(max(ONE_COLUMN, TWO_COLUMNS * len(datasets) / 3), 5.2)
    panels = figure.subplots(
        len(_MEASURE_TITLES), len(datasets), sharex=True, sharey="row", squeeze=False
    )
    for row_of_panels, (measure, title) in zip(panels, _MEASURE_TITLES.items(), strict=True):
        for panel, dataset in zip(row_of_panels, datasets, strict=True):
            mine = [row for row in rows if (row["dataset"], row["measure"]) == (dataset, measure)]
            bars = {
                f"l = {place}": [_bar(mine, layer, variant) for variant in _VARIANT_TITLES]
                for layer, place in HIDDEN_LAYERS.items()
            }
            grouped_bars(panel, bars, _COLOURS)
            panel.axhline(0, color="black", linewidth=0.6)
            panel.tick_params(labelsize=SMALL)
            panel.set_xticks(range(len(_VARIANT_TITLES)), list(_VARIANT_TITLES.values()))
            panel.tick_params(axis="x", labelrotation=30)
        row_of_panels[0].set_ylabel(title, fontsize=TEXT)
    letter(panels.flat, [TITLES[one] for one in datasets] * len(_MEASURE_TITLES))
    figure.align_ylabels(panels[:, 0])
    legend_above(figure, panels[0, 0], len(HIDDEN_LAYERS))
    networks = len({row["seed"] for row in rows})
    several = f"{networks} networks, which are the dots," if networks > 1 else "one network"
    images = max(int(row["defined"]) for row in rows)
    note_below(
        figure,
        f"Each variant's maps against those of Insens. Means over {images} test images of "
        f"{several} of each data set; lines: standard deviation over images.",
    )
    save(figure, path)


def _bar(rows: list[dict[str, str]], layer: str, variant: str) -> Bar:
    """Return the mean over networks of the means and of the spreads over images."""
    mine = [row for row in rows if (row["layer"], row["variant"]) == (layer, variant)]
    means, spreads = (
        np.array([float(row[column]) for row in mine]) for column in ("mean", "standard_deviation")
    )
    return Bar(float(means.mean()), float(spreads.mean()), means)


def _draw_maps(
    arrays: Mapping[str, NDArray[Any]], dataset: str, measures: list[str], path: Path
) -> None:
    """Draw maps of each layer and variant, a block a layer."""
    inputs = picture(arrays["x"])
    lines = []
    for layer_number, paper_number in enumerate(HIDDEN_LAYERS.values()):
        # (1 + variants, shown, ...) and (variants, shown) of the first network.
        maps = arrays["maps"][:, layer_number].astype(np.float64)
        likenesses = arrays["likeness"][0, layer_number, :, measures.index("signed")]
        block = Block(
            f"l = {paper_number}",
            list(zip(inputs, *(heatmap(of_variant) for of_variant in maps), strict=True)),
            ["input", "Insens", *_VARIANT_TITLES.values()],
            above=[
                ["", "", *(number(one) for one in likenesses[:, image])]
                for image in arrays["shown"]
            ],
        )
        lines.append([block])
    note = (
        f"{TITLES[dataset]}, one network, {len(inputs)} test images. Above a map: its Spearman "
        "rank correlation with Insens."
    )
    if arrays["x"].shape[-1] > 1:
        note += " Of colours a map shows the channels' sum."
    save(sheet(lines, note, _SIDE), path)
