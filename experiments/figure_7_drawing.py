"""How Figure 7 is drawn: as in the paper, and beside it all readings that the paper leaves open.

Bars are means over networks, of their means over images; dots are the networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.method_maps import INSENS_METHODS, METHOD_TITLES, PENULTIMATE
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
from insens_tf.evaluation import EXPLAINED_NEURONS
from insens_tf.new_figure import new_figure

__all__ = ["Correlations", "all_readings", "as_the_paper", "draw", "read_correlations"]

_INSENS_COLOUR, _COLOUR = "tab:red", "0.62"
_EXPLAINED = {
    "original": "the trained network's class",
    "own": "each network's own class",
    "layer": "Insens of layer l",
}
_KINDS = {
    "signed": ("signed maps", "#4c78a8"),
    "absolute": ("magnitudes", "tab:orange"),
    "signed_support": ("signed, common support", "#b5cbe3"),
    "absolute_support": ("magnitudes, common support", "#ffc98a"),
}
_LAYERS = tuple(INSENS_METHODS.values())


@dataclass(frozen=True, eq=False)
class Correlations:
    """Mean correlations of the networks.

    Attributes
    ----------
    against
        What trained networks are compared with.
    maps
        Each method with what it explains: a class of `EXPLAINED_NEURONS`, or a layer.
    kinds
        Of correlations.
    means
        Over images, (networks, against, maps, kinds); NaN where none is defined.
    images
        How many there are for each network.
    """

    against: Sequence[str]
    maps: Sequence[tuple[str, str]]
    kinds: Sequence[str]
    means: NDArray[np.float64]
    images: int

    def bar(self, against: str, method: str, explained: str, kind: str) -> Bar:
        """Return the bar of one correlation."""
        place = self.maps.index((method, explained))
        return bar_of(self.means[:, self.against.index(against), place, self.kinds.index(kind)])

    def methods(self, explained: str) -> list[str]:
        """Return the methods of which there are maps that explain this."""
        return [method for method, one in self.maps if one == explained]


def read_correlations(path: Path) -> Correlations:
    """Read ``correlations.npz`` of a folder of results."""
    with np.load(path, allow_pickle=False) as stored:
        values = stored["correlations"].astype(np.float64)
        names = [one.removesuffix(")").split(" (") for one in stored["maps"].tolist()]
        against, kinds = stored["against"].tolist(), stored["kinds"].tolist()
    defined = np.isfinite(values)
    counts = defined.sum(axis=-1)
    sums = np.where(defined, values, 0).sum(axis=-1)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    maps = [(method, explained) for method, explained in names]
    return Correlations(against, maps, kinds, means, values.shape[-1])


def draw(folder: Path) -> None:
    """Draw both pictures of a folder of results."""
    correlations = read_correlations(folder / "correlations.npz")
    save(as_the_paper(correlations), folder / "figure_7.png")
    save(all_readings(correlations), folder / "figure_7_variants.png")


def as_the_paper(correlations: Correlations) -> Figure:
    """Draw signed maps of the trained network's class: four panels in a row."""
    explained = next(one for one in EXPLAINED_NEURONS if correlations.methods(one))
    compared = [*((one, explained) for one in correlations.methods(explained))]
    compared.append((INSENS_METHODS[PENULTIMATE], "layer"))
    layers = [(one, "layer") for one in _LAYERS]
    shown = [(names, one) for names in (compared, layers) for one in correlations.against[:2]]
    figure = new_figure(TWO_COLUMNS, 2.9)
    panels = figure.subplots(1, 4, sharey=True, width_ratios=(6, 6, 3.4, 3.4))
    for panel, (names, against) in zip(panels, shown, strict=True):
        for number, (method, one) in enumerate(names):
            bars: list[Bar] = [Bar(np.nan, np.nan)] * len(names)
            bars[number] = correlations.bar(against, method, one, "signed")
            colour = _INSENS_COLOUR if method in _LAYERS else _COLOUR
            grouped_bars(panel, {"": bars}, [colour])
        _name_groups(panel, [method for method, _ in names])
    panels[0].set_ylabel("Spearman rank correlation", fontsize=TEXT)
    letter(panels, [f"trained against\n{against}" for _, against in shown])
    note_below(figure, _note(correlations, f"Signed maps, which explain {_EXPLAINED[explained]}."))
    return figure


def all_readings(correlations: Correlations) -> Figure:
    """Draw each kind of correlation and explained class, a row for what is compared with."""
    columns = [one for one in _EXPLAINED if correlations.methods(one)]
    ratios = [0.6 + len(correlations.methods(one)) for one in columns]
    rows = len(correlations.against)
    figure = new_figure(TWO_COLUMNS, 0.9 + 2.1 * rows)
    panels = figure.subplots(
        rows, len(columns), sharex="col", sharey=True, squeeze=False, width_ratios=ratios
    )
    titles = []
    for line, against in zip(panels, correlations.against, strict=True):
        for panel, explained in zip(line, columns, strict=True):
            methods = correlations.methods(explained)
            bars: Mapping[str, list[Bar]] = {
                title: [correlations.bar(against, one, explained, kind) for one in methods]
                for kind, (title, _) in _KINDS.items()
            }
            grouped_bars(panel, bars, [colour for _, colour in _KINDS.values()])
            _name_groups(panel, methods)
            titles.append(f"{_EXPLAINED[explained]},\nagainst {against}")
        line[0].set_ylabel("Spearman rank correlation", fontsize=TEXT)
    letter(panels.flat, titles)
    legend_above(figure, panels[0, 0], 4)
    note_below(figure, _note(correlations))
    return figure


def _name_groups(panel: Axes, methods: Sequence[str]) -> None:
    panel.axhline(0, color="black", linewidth=0.6)
    panel.set_xticks(
        range(len(methods)),
        [METHOD_TITLES[one].replace("Insens\n", "Insens ") for one in methods],
        rotation=55,
        ha="right",
        rotation_mode="anchor",
        fontsize=SMALL,
    )
    panel.tick_params(axis="y", labelsize=SMALL)


def _note(correlations: Correlations, which: str = "") -> str:
    networks = len(correlations.means)
    return (
        f"{which} Bars: means over {networks} networks of each kind and {correlations.images} "
        "test images for each, where it is defined; dots: the networks; lines: standard deviation "
        "over networks."
    ).strip()
