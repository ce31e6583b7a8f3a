"""Figure 7: the sanity checks of Adebayo et al., over independently trained networks.

``python -m experiments.figure_7`` compares the maps of a trained network with those of an untrained
one, and with those of one that was trained on the same images with their labels shuffled, for each
of several such triples. It writes

- ``correlations.npz``, each image's rank correlation;
- ``summary.csv``, their mean over networks and images, and the variance of either;
- ``figure_7.png``, drawn as the paper draws it, and ``figure_7_variants.png``, all that the paper
  leaves open.

What the paper leaves open are options and columns: the correlation is of signed maps and of their
magnitudes, over all components and over the maps' common support; the explained class is the one
that the trained network predicts, or each network's own. Trained networks and those with shuffled
labels are trained alike, both until they fit their labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from experiments.data import load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.figure_7_drawing import draw
from experiments.intervals import sample_deviation
from experiments.map_correlations import (
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
    PENULTIMATE,
    method_maps,
    method_name,
    predicted,
)
from experiments.network_store import Store
from experiments.paper_claim import Claim, mean_correlation, result_row
from experiments.tables import write_csv
from experiments.train import Network
from experiments.two_conv_settings import UNTRAINED_SEED, build
from insens_tf.evaluation import CORRELATIONS, EXPLAINED_NEURONS

__all__ = ["CLAIMS", "draw", "main"]

AGAINST = ("untrained", "shuffled labels")
"""What a trained network is compared with."""

# Added to a network's number: the two kinds do not begin with the same weights.
_SHUFFLED_SEED = 1_000

_HEAD = (
    "against",
    "method",
    "explained",
    "correlation",
    "networks",
    "defined",
    "mean",
    "variance_over_networks",
    "variance_over_images",
)


@dataclass(frozen=True)
class _Triple:
    """A trained network and the two that it is compared with."""

    store: Store
    data_sha256: str
    trained: Network
    shuffled: Network
    images: tuple[int, ...]
    explained: tuple[str, ...]

    @property
    def untrained_seed(self) -> int:
        return UNTRAINED_SEED + self.trained.seed


def compute(run: Run, count: int, images: int, explained: tuple[str, ...]) -> None:
    """Correlate maps of trained with those of untrained networks and of shuffled labels."""
    dataset = run.dataset
    settings = run.settings(dataset)
    if run.quick:
        count, images = 1, 4
        settings = replace(settings, epochs=2, train_images=500)
    triples = [
        _Triple(
            run.store,
            run.sha256[dataset],
            Network(dataset, seed, settings),
            Network(dataset, _SHUFFLED_SEED + seed, settings, labels_shuffled=True),
            images_of_seed(len(run.labels(dataset)), images, seed),
            explained,
        )
        for seed in range(run.seed, run.seed + count)
    ]
    # Pair by pair, so that what is there of it when it is interrupted is of both kinds.
    run.train([network for one in triples for network in (one.trained, one.shuffled)])
    _say_what_does_not_fit(run.record["networks"])

    run.measure(_correlations, triples, "triples of networks")
    maps = compared_maps(explained)
    correlations = np.stack(list(run.unfinished.parts("correlations")))
    write_correlations(run.folder, correlations, AGAINST, maps, [one.images for one in triples])
    write_csv(run.folder / "summary.csv", _HEAD, _summary(correlations, maps))


def _correlations(triple: _Triple) -> dict[str, NDArray[np.float32]]:
    """Return rank correlations, (len(AGAINST), maps, len(CORRELATIONS), images)."""
    data = load_data(triple.store.data, triple.trained.dataset)
    x = scaled(data["x_test"][list(triple.images)])
    x_train = scaled(data["x_train"][: triple.trained.settings.train_images])
    trained, shuffled = (
        triple.store.load(network, triple.data_sha256)
        for network in (triple.trained, triple.shuffled)
    )
    untrained = build(triple.trained.settings, triple.untrained_seed)
    original = predicted(trained, x)
    with zero_maps_counted():
        ours = method_maps(trained, x, x_train, classes=original)
        found = [
            correlations_of_maps(
                ours, explained_maps(model, x, x_train, original, triple.explained)
            )
            for model in (untrained, shuffled)
        ]
    forget_networks()
    return {"correlations": np.stack(found)}


def _summary(
    correlations: NDArray[np.float32], maps: Sequence[tuple[str, str]]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the table; what is not defined for an image counts in no mean.

    The correlations are of shape (networks, len(AGAINST), maps, len(CORRELATIONS), images).
    """
    for against, name in enumerate(AGAINST):
        for number, (method, explained) in enumerate(maps):
            for kind, correlation in enumerate(CORRELATIONS):
                values = correlations[:, against, number, kind].astype(np.float64)
                defined = np.isfinite(values)
                networks = [row[there].mean() for row, there in zip(values, defined) if any(there)]
                if not networks:
                    statistics = (float("nan"),) * 3
                else:
                    statistics = (
                        np.mean(networks),
                        sample_deviation(networks) ** 2,
                        sample_deviation(values[defined]) ** 2,
                    )
                yield (
                    name,
                    method,
                    explained,
                    correlation,
                    len(values),
                    round(float(defined.mean()), 4),
                    *(round(float(one), 5) for one in statistics),
                )


def _say_what_does_not_fit(networks: Sequence[Mapping[str, Any]]) -> None:
    for network in networks:
        config, accuracy = network["config"], network["train_accuracy"]
        if accuracy < config["stop_at"]:
            kind = "shuffled" if config["labels_shuffled"] else "true"
            click.echo(
                f"network {config['seed']} ({kind} labels) fits {accuracy:.1%} of its labels, "
                f"not {config['stop_at']:.0%}, after {config['epochs']} epochs",
                err=True,
            )


_LOW = ("gradient", "integrated_gradients", "lrp.epsilon", INSENS_METHODS[PENULTIMATE])
_HIGH = ("deep_taylor", "lrp.alpha_1_beta_0")
_LAYERS = tuple(INSENS_METHODS.values())
_UNTRAINED, _SHUFFLED = AGAINST


def _checked(
    against: str, methods: Sequence[str], explained: str = "original", kind: str = "signed"
) -> str:
    found = []
    for method in methods:
        of = "layer" if method in _LAYERS else explained
        wanted = {"against": against, "explained": of, "correlation": kind}
        row = result_row("figure_7", "summary.csv", method=method, **wanted)
        spread = float(row["variance_over_networks"]) ** 0.5
        found.append(f"{method_name(method)} {mean_correlation(row)} ± {spread:.2f}")
    return f"{', '.join(found)} (n = {row['networks']})"


def _checked_penultimate(against: str) -> str:
    signed, absolute = (_checked(against, _LOW, kind=kind) for kind in ("signed", "absolute"))
    return f"{signed}; of magnitudes {absolute}"


CLAIMS = (
    Claim(
        "Insens of the penultimate layer correlates as little as Gradient and Integrated "
        "gradients, trained against untrained (3, Figure 7)",
        "Figure 7, first",
        lambda: _checked_penultimate(_UNTRAINED),
        ("figure_7",),
        "Holds in practice: Insens is near 0 as the three are. It is not the same: above Gradient "
        "by 0.05 in each of the 20 networks, and of magnitudes by 0.008 in 19 of them. The two "
        "that are multiplied by the input are, of magnitudes, above both.",
    ),
    Claim(
        "so it does against shuffled labels (3, Figure 7)",
        "Figure 7, second",
        lambda: _checked_penultimate(_SHUFFLED),
        ("figure_7",),
        "Does not hold of signed maps, of which it is clearly above the three, which are at 0; of "
        "magnitudes it is between Gradient and the others. Both kinds were trained until they fit, "
        "on 2,500 images.",
    ),
    Claim(
        "Deep Taylor correlates very highly (3, Figure 7)",
        "Figure 7, first and second",
        lambda: (
            f"untrained: {_checked(_UNTRAINED, _HIGH)}; shuffled: {_checked(_SHUFFLED, _HIGH)}; "
            f"each network's own class explained, untrained: {_checked(_UNTRAINED, _HIGH, 'own')}; "
            f"shuffled: {_checked(_SHUFFLED, _HIGH, 'own')}"
        ),
        ("figure_7",),
        "Holds, and for LRP (alpha 1, beta 0) where each network explains its own class: its sign "
        "is that of the explained output, which for another network's class may be negative.",
    ),
    Claim(
        "Insens correlates more the closer the layer is to the input (3, Figure 7)",
        "Figure 7, third and fourth",
        lambda: (
            f"untrained: {_checked(_UNTRAINED, _LAYERS)}; shuffled: {_checked(_SHUFFLED, _LAYERS)}"
        ),
        ("figure_7",),
        "Holds against both.",
    ),
)


main = Experiment(
    "figure_7",
    compute,
    draw,
    datasets=("cifar10",),
    settings=TRAINED_TO_FIT,
    options=(
        click.Option(["--count"], default=20, show_default=True, help="Of networks of each kind."),
        click.Option(
            ["--images"], default=100, show_default=True, help="Test images for each of them."
        ),
        click.Option(
            ["--explain", "explained"],
            multiple=True,
            type=click.Choice(EXPLAINED_NEURONS),
            default=EXPLAINED_NEURONS[:1],
            show_default=True,
            help="Which class: the trained (original) network's, each network's own; repeat it for "
            "both.",
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_7")
