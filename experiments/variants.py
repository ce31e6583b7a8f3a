"""Insens beside its variants: over other neurons, of Eq. 7's other reading, without m/N.

``python -m experiments.variants`` computes, for test images of each data set and each layer of
2CONV, Insens and four variants of it:

- ``all``, the sum over all neurons: the paper's conclusion has that "inclusion of active neurons
  did not change the visualisations in a significant way";
- ``active``, the sum over the active neurons, which the one above adds to Insens;
- ``activity``, with omega = v w, the other reading of Eq. 7, instead of x - c = v w / (w w);
- ``unweighted``, without m/N.

The folder of results has

- ``likeness.csv``, how like Insens each variant is by the measures that `MEASURES` explains:
  mean and standard deviation over the images;
- ``likeness.png``, the correlations as bars;
- ``<dataset>.npz``, each image's likeness for all networks, and the maps of some images of the
  first network, each divided by its largest magnitude;
- ``maps_<dataset>.png``, these maps with their rank correlation with Insens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import insens_tf
from experiments.data import TITLES, load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.experiment_options import networks_and_images
from experiments.intervals import sample_deviation
from experiments.maps_figure import divided_by_largest_magnitude
from experiments.network_store import Store
from experiments.paper_claim import Claim, mean_correlation, result_row
from experiments.tables import write_csv
from experiments.train import Network
from experiments.variants_drawing import draw
from insens_tf.evaluation import rank_correlation
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["CLAIMS", "MEASURES", "VARIANTS", "draw", "likeness", "main", "variants"]

VARIANTS: dict[str, dict[str, Any]] = {
    "all": {"state": "all"},
    "active": {"state": "active"},
    "activity": {"sensitivity": "activity"},
    "unweighted": {"frequency": None},
}
"""What of Insens each variant changes, as arguments of `SwitchedNetwork.insens`."""

MEASURES = ("signed", "absolute", "cosine", "length")
"""How like Insens a variant is: rank correlation of signed maps and of their magnitudes; the cosine
of the angle between the maps; the variant's length, as a vector, over that of Insens."""

_SHOWN = 3

Maps = Mapping[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class _Task:
    """A network and the test images whose maps are wanted: what a process is given to do."""

    store: Store
    network: Network
    data_sha256: str
    images: tuple[int, ...]
    shown: tuple[int, ...]


def variants(
    network: insens_tf.SwitchedNetwork, x: NDArray[Any], frequency: Mapping[str, NDArray[Any]]
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return Insens and its variants.

    Parameters
    ----------
    network
        Of any model.
    x
        Inputs, (n, *input_shape).
    frequency
        m/N of each layer (Eq. 8), which names the layers.

    Returns
    -------
    dict of str to dict of str to numpy.ndarray
        By ``"insens"`` and each name in `VARIANTS`, and by layer, the maps, shaped as x.
    """
    layers = list(frequency)
    return {
        name: network.insens(x, layers, **({"frequency": frequency} | changes), progress=False)
        for name, changes in {"insens": {}, **VARIANTS}.items()
    }


def likeness(maps: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Return each of the `MEASURES` of how like maps others are.

    Parameters
    ----------
    maps, others
        (n, ...) each.

    Returns
    -------
    numpy.ndarray
        (len(MEASURES), n); NaN where a measure is not defined, as if a map is 0 everywhere.
    """
    first, second = (np.reshape(one, (len(one), -1)).astype(np.float64) for one in (maps, others))
    length, other_length = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (first * second).sum(axis=1) / (length * other_length)
        ratio = np.where(length > 0, other_length / length, np.nan)
    signed, absolute = (rank_correlation(maps, others, kind) for kind in MEASURES[:2])
    return np.stack([signed, absolute, cosine, ratio])


def compute(run: Run, count: int, images: int) -> None:
    """Correlate variants of Insens with it: other neurons, Eq. 7's other reading, without m/N."""
    if run.quick:
        images = min(images, 20)
    tasks = []
    for dataset in run.datasets:
        chosen = run.chosen_images(dataset, images)
        labels = run.labels(dataset)[list(chosen)]
        for seed in range(run.seed, run.seed + count):
            network = Network(dataset, seed, run.settings(dataset))
            shown = _of_different_labels(labels) if seed == run.seed else ()
            tasks.append(
                _Task(
                    run.store,
                    network,
                    run.sha256[dataset],
                    chosen,
                    shown,
                )
            )
    run.train([task.network for task in tasks])
    run.measure(_measure, tasks, "networks")

    found = dict(zip(tasks, run.unfinished.parts("likeness"), strict=True))
    maps = dict(zip(tasks, run.unfinished.parts("maps"), strict=True))
    for dataset in run.datasets:
        of_dataset = [task for task in tasks if task.network.dataset == dataset]
        first = of_dataset[0]
        np.savez_compressed(
            run.folder / f"{dataset}.npz",
            images=np.array(first.images),
            shown=np.array(first.shown),
            x=run.data[dataset]["x_test"][list(first.images)][list(first.shown)],
            maps=maps[first],
            likeness=np.stack([found[task] for task in of_dataset]),
        )
    rows = [
        (task.network.dataset, task.network.seed, *row)
        for task, values in found.items()
        for row in _rows(values)
    ]
    head = "dataset", "seed", "layer", "variant", "measure", "mean", "standard_deviation", "defined"
    write_csv(run.folder / "likeness.csv", head, rows)


def _of_different_labels(labels: NDArray[np.uint8]) -> tuple[int, ...]:
    """Choose which images are shown: the first of some labels, no two alike."""
    _, first = np.unique(labels, return_index=True)
    return tuple(int(one) for one in np.sort(first)[:_SHOWN])


def _measure(task: _Task) -> dict[str, NDArray[Any]]:
    """Return the likeness of all images, and the maps of those that are shown.

    The likeness is of shape (layers, len(VARIANTS), len(MEASURES), images), the maps, Insens' own
    first, of shape (1 + len(VARIANTS), layers, shown, height, width, channels).
    """
    data = load_data(task.store.data, task.network.dataset)
    network = insens_tf.SwitchedNetwork(task.store.load(task.network, task.data_sha256))
    frequency = network.activation_frequency(
        scaled(data["x_train"]), list(HIDDEN_LAYERS), progress=False
    )
    maps = variants(network, scaled(data["x_test"][list(task.images)]), frequency)
    measured = [
        [likeness(maps["insens"][layer], maps[name][layer]) for name in VARIANTS]
        for layer in HIDDEN_LAYERS
    ]
    shown = [
        [divided_by_largest_magnitude(one[layer][list(task.shown)])[0] for layer in HIDDEN_LAYERS]
        for one in maps.values()
    ]
    return {"likeness": np.array(measured, np.float32), "maps": np.array(shown, np.float16)}


def _rows(values: NDArray[np.float32]) -> list[tuple[Any, ...]]:
    """Return layer, variant, measure, the mean and spread over images, and in how many there is."""
    rows = []
    for layer, of_layer in zip(HIDDEN_LAYERS, values, strict=True):
        for variant, of_variant in zip(VARIANTS, of_layer, strict=True):
            for measure, of_images in zip(MEASURES, of_variant, strict=True):
                defined = of_images[np.isfinite(of_images)].astype(np.float64)
                mean, spread = (
                    (defined.mean(), sample_deviation(defined))
                    if defined.size
                    else (float("nan"),) * 2
                )
                row = round(float(mean), 5), round(float(spread), 5), defined.size
                rows.append((layer, variant, measure, *row))
    return rows


def _all_neurons() -> str:
    return "; ".join(
        f"{TITLES[dataset]}: "
        + ", ".join(
            f"l = {number} {mean_correlation(_variant(dataset, layer, 'all'))}"
            for layer, number in HIDDEN_LAYERS.items()
        )
        for dataset in ("mnist", "fashion_mnist", "cifar10")
    )


def _variant(dataset: str, layer: str, variant: str) -> dict[str, str]:
    wanted = {"dataset": dataset, "layer": layer, "variant": variant, "measure": "signed"}
    return result_row("variants", "likeness.csv", **wanted)


CLAIMS = (
    Claim(
        "the sum over all neurons does not change the maps in a significant way (4)",
        "by eye",
        lambda: f"correlation with Insens, {_all_neurons()}",
        ("variants",),
        "Holds for l = 3 and l = 5, at 0.92 and above. At l = 1, in part for MNIST and CIFAR-10, "
        "at 0.85 and 0.88: on CIFAR-10 the active neurons add a frame and tint bright areas.",
    ),
)


main = Experiment(
    "variants",
    compute,
    draw,
    datasets=("mnist", "fashion_mnist", "cifar10"),
    options=networks_and_images(),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.variants")
