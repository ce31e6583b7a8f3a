"""What Figure 7's correlations are to be held against: how high and how low they can be at all.

``python -m experiments.figure_7_bounds`` trains pairs of networks as ``experiments.figure_7`` does,
which differ in their seed alone, and correlates the maps of

- a trained network and another trained one: the ceiling. What a method says of an image depends
  that much on the seed;
- a trained network and an untrained one, as Figure 7, of the same networks;
- two untrained networks: what of the maps comes from the image and the architecture alone;
- a trained network of one image and of another: the floor.

It writes ``correlations.npz``, each image's rank correlation; ``summary.csv``, the means over pairs
with 95 % intervals; and ``figure_7_bounds.png``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from experiments.data import load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.figure_7_drawing import read_correlations
from experiments.intervals import mean_interval
from experiments.map_correlations import (
    OF_THE_LAYER,
    TRAINED_TO_FIT,
    compared_maps,
    correlations_of_maps,
    explained_maps,
    forget_networks,
    images_of_seed,
    write_correlations,
    zero_maps_counted,
)
from experiments.method_maps import (
    INSENS_METHODS,
    METHOD_TITLES,
    method_maps,
    method_name,
    predicted,
)
from experiments.network_store import Store
from experiments.paper_claim import Claim, mean_correlation, result_row
from experiments.plots import (
    SMALL,
    TEXT,
    TWO_COLUMNS,
    grouped_bars,
    legend_above,
    letter,
    note_below,
    save,
)
from experiments.tables import write_csv
from experiments.train import Network
from experiments.two_conv_settings import UNTRAINED_SEED, build
from insens_tf.evaluation import CORRELATIONS
from insens_tf.method_table import COMPARED_METHODS
from insens_tf.new_figure import new_figure

__all__ = ["CLAIMS", "COMPARISONS", "main"]

COMPARISONS = {
    "trained, trained": "trained against trained anew",
    "trained, untrained": "trained against untrained",
    "untrained, untrained": "untrained against untrained",
    "trained, another image": "trained, an image against another",
}
"""What is correlated with what, and how it is called in the picture."""

# Added to a pair's number: the second network begins with weights that no other one has.
_SECOND_SEED = 5_000

_EXPLAINED = ("original", "own")

_HEAD = (
    *("comparison", "method", "explained", "correlation"),
    *("mean", "low", "high", "pairs", "defined"),
)

_COLOURS = ("tab:red", "tab:orange", "tab:blue", "0.6")


@dataclass(frozen=True)
class _Pair:
    """Two networks that are trained alike, and the images of their maps."""

    store: Store
    data_sha256: str
    first: Network
    second: Network
    images: tuple[int, ...]


def compute(run: Run, count: int, images: int) -> None:
    """Correlate maps of trained networks, of untrained ones, and of other images."""
    dataset = run.dataset
    settings = run.settings(dataset)
    if run.quick:
        count, images = 1, 4
        settings = replace(settings, epochs=2, train_images=500)
    pairs = [
        _Pair(
            run.store,
            run.sha256[dataset],
            Network(dataset, seed, settings),
            Network(dataset, _SECOND_SEED + seed, settings),
            images_of_seed(len(run.labels(dataset)), images, seed),
        )
        for seed in range(run.seed, run.seed + count)
    ]
    run.train([network for pair in pairs for network in (pair.first, pair.second)])
    run.measure(_correlations, pairs, "pairs of networks")
    correlations = np.stack(list(run.unfinished.parts("correlations")))
    maps = compared_maps(_EXPLAINED)
    write_correlations(run.folder, correlations, COMPARISONS, maps, [one.images for one in pairs])
    write_csv(run.folder / "summary.csv", _HEAD, _summary(correlations, maps))


def _correlations(pair: _Pair) -> dict[str, NDArray[np.float32]]:
    """Return rank correlations, (len(COMPARISONS), maps, len(CORRELATIONS), images)."""
    data = load_data(pair.store.data, pair.first.dataset)
    x = scaled(data["x_test"][list(pair.images)])
    settings = pair.first.settings
    x_train = scaled(data["x_train"][: settings.train_images])
    trained, again = (
        pair.store.load(network, pair.data_sha256) for network in (pair.first, pair.second)
    )
    untrained, untrained_again = (
        build(settings, UNTRAINED_SEED + network.seed) for network in (pair.first, pair.second)
    )

    def of(model: Any, original: NDArray[np.int64]) -> dict[tuple[str, str], NDArray[np.float32]]:
        return explained_maps(model, x, x_train, original, _EXPLAINED)

    with zero_maps_counted():
        classes, untrained_classes = predicted(trained, x), predicted(untrained, x)
        ours = method_maps(trained, x, x_train, classes=classes)
        untrained_maps = method_maps(untrained, x, x_train, classes=untrained_classes)
        of_another_image = {
            (method, explained): np.roll(ours[method], 1, axis=0)
            for method, explained in compared_maps(_EXPLAINED)
        }
        found = [
            correlations_of_maps(ours, of(again, classes)),
            correlations_of_maps(ours, of(untrained, classes)),
            correlations_of_maps(untrained_maps, of(untrained_again, untrained_classes)),
            correlations_of_maps(ours, of_another_image),
        ]
    forget_networks()
    return {"correlations": np.stack(found)}


def _summary(
    correlations: NDArray[np.float32], maps: Sequence[tuple[str, str]]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the table; what is not defined for an image counts in no mean.

    The correlations are of shape (pairs, len(COMPARISONS), maps, len(CORRELATIONS), images).
    """
    for number, comparison in enumerate(COMPARISONS):
        for which, (method, explained) in enumerate(maps):
            for kind, correlation in enumerate(CORRELATIONS):
                values = correlations[:, number, which, kind].astype(np.float64)
                there = np.isfinite(values)
                means = [row[one].mean() for row, one in zip(values, there) if one.any()]
                interval = mean_interval(means) if means else (float("nan"),) * 3
                numbers = (round(float(one), 5) for one in interval[:3])
                share = round(float(there.mean()), 4)
                yield comparison, method, explained, correlation, *numbers, len(means), share


def draw(folder: Path) -> None:
    """Draw the correlations of signed maps and of magnitudes, a group of bars a method."""
    correlations = read_correlations(folder / "correlations.npz")
    shown = [(one, _EXPLAINED[-1]) for one in COMPARED_METHODS]
    shown += [(one, OF_THE_LAYER) for one in INSENS_METHODS.values()]
    figure = new_figure(TWO_COLUMNS, 4.6)
    panels = figure.subplots(2, 1, sharex=True)
    titles = {"signed": "signed maps", "absolute": "magnitudes"}
    for panel, kind in zip(panels, titles, strict=True):
        bars = {
            label: [correlations.bar(comparison, *one, kind) for one in shown]
            for comparison, label in COMPARISONS.items()
        }
        grouped_bars(panel, bars, _COLOURS)
        panel.axhline(0, color="black", linewidth=0.6)
        panel.set_ylabel("Spearman rank correlation", fontsize=TEXT)
        panel.tick_params(labelsize=SMALL)
    letter(panels, list(titles.values()))
    names = [METHOD_TITLES[method] for method, _ in shown]
    panels[-1].set_xticks(range(len(shown)), names, fontsize=TEXT)
    legend_above(figure, panels[0], 2)
    note_below(
        figure,
        f"Each network's own class explained. Bars: means over {len(correlations.means)} pairs of "
        f"networks and {correlations.images} test images for each, where it is defined; dots: the "
        "pairs; lines: standard deviation over pairs.",
    )
    save(figure, folder / "figure_7_bounds.png")


_METHODS = ("gradient", "integrated_gradients", "deep_taylor", *INSENS_METHODS.values())


def _bounds() -> str:
    found = []
    for comparison, title in COMPARISONS.items():
        of_methods = []
        for method in _METHODS:
            explained = OF_THE_LAYER if method in INSENS_METHODS.values() else _EXPLAINED[-1]
            wanted = {"comparison": comparison, "method": method, "explained": explained}
            row = result_row("figure_7_bounds", "summary.csv", correlation="signed", **wanted)
            half = (float(row["high"]) - float(row["low"])) / 2
            of_methods.append(f"{method_name(method)} {mean_correlation(row)} ± {half:.2f}")
        found.append(f"{title}: {', '.join(of_methods)}")
    return f"{'; '.join(found)} (half of the 95 % interval, n = {row['pairs']} pairs)"


CLAIMS = (
    Claim(
        "low correlation says that a method depends on what a network has learned (3, Figure 7)",
        "Figure 7, without a ceiling or a floor",
        _bounds,
        ("figure_7_bounds",),
        "Holds of Gradient and of Insens of l = 5: between two trained networks, which is as much "
        "as there can be, they have 0.34 and 0.41, and with an untrained one 0.05 at most. So "
        "against shuffled labels (above: 0.00 and 0.21) Gradient loses all that it has, and Insens "
        "keeps half. Deep Taylor is as alike in two untrained networks as in two trained ones.",
    ),
)


main = Experiment(
    "figure_7_bounds",
    compute,
    draw,
    datasets=("cifar10",),
    settings=TRAINED_TO_FIT,
    options=(
        click.Option(["--count"], default=5, show_default=True, help="Of pairs of networks."),
        click.Option(
            ["--images"], default=100, show_default=True, help="Test images for each of them."
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_7_bounds")
