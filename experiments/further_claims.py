"""What the paper says without a number or a figure, measured.

``python -m experiments.further_claims`` takes, of trained networks and, as a control, of untrained
ones, whose maps can only echo the image:

- ``error of v``, ``error of the sum of contributions``: Propositions 1 and 2. Switched weights and
  contributions are the library's; v and the switched bias, the sum of all biases times v's
  derivatives by them, are what TensorFlow's tape says of the Keras model. The largest difference,
  in units of the layer's largest magnitude of v;
- ``with the input``: the rank correlation of a layer's Insens with the image itself. If the order
  of the layers were the images' alone, the untrained networks' would be alike;
- ``positive on the digit``, ``negative on the outline``: the contrast of Figure 4, MNIST alone;
- ``active with ...``: the rank correlation of the same sum over a layer's *active* neurons with the
  maps of other methods;
- ``readings``: the rank correlation with Insens of what it is where neurons that lose in max
  pooling count as inactive, too ("losers"), and of the whole network's, without m/N ("all layers").

``numbers.csv`` has a row a network, the mean over its images; ``summary.csv`` the means over
networks with 95 % intervals; ``further_claims.png`` shows the control.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import insens_tf
from experiments.data import TITLES, load_data, scaled
from experiments.experiment import Experiment, Run
from experiments.experiment_options import networks_and_images
from experiments.figure_4 import share_of_sign
from experiments.further_claims_drawing import COLOURS, DIGITS, draw
from experiments.intervals import interval_rows
from experiments.map_correlations import zero_maps_counted
from experiments.method_maps import METHOD_TITLES, PENULTIMATE, baseline_maps
from experiments.network_store import Store
from experiments.paper_claim import Claim, result_row, result_rows
from experiments.pooling_losers import with_losers_inactive
from experiments.propositions import projection_errors
from experiments.tables import write_csv
from experiments.train import Network
from experiments.two_conv_settings import POOLED, UNTRAINED_SEED, build
from insens_tf.evaluation import digit_mask, outline_mask, rank_correlation
from insens_tf.method_table import PAPER_METHODS
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["CLAIMS", "main", "numbers"]

CHECKED_IMAGES, CHECKED_NEURONS = 5, 10
"""Of which Propositions 1 and 2 are tried, in each layer and network."""

LOSERS_IMAGES = 20
"""Of which a map with the losers is computed, one image at a time."""

_HEAD = ("dataset", "network", "seed", "measured", "layer", "value")
_SUMMARY_HEAD = (*("dataset", "network", "measured", "layer"), *("mean", "low", "high", "networks"))

Maps = Mapping[str, NDArray[np.floating[Any]]]
Number = tuple[str, str, float]
"""What is measured, of which layer, and its value."""


@dataclass(frozen=True)
class _Task:
    """A network, its seed's untrained one, and the test images of their maps."""

    store: Store
    network: Network
    data_sha256: str
    images: tuple[int, ...]


def numbers(
    model: tf.keras.Model, x: NDArray[np.float32], x_train: NDArray[np.float32], digits: bool
) -> list[Number]:
    """Return what is measured of a network.

    Parameters
    ----------
    model
        2CONV.
    x
        Images, (n, height, width, channels).
    x_train
        Those of which m/N is counted.
    digits
        Whether there is a digit and an outline to be seen.
    """
    network = insens_tf.SwitchedNetwork(model)
    layers = list(HIDDEN_LAYERS)
    frequency = network.activation_frequency(x_train, progress=False)
    maps = network.insens(x, layers, frequency, progress=False)
    active = network.insens(x, layers, frequency, state="active", progress=False)
    with zero_maps_counted():
        others = baseline_maps(model, x)
    found = list(_errors(model, x))
    for layer in layers:
        found.append(("with the input", layer, _correlation(maps[layer], x)))
        found += [
            (f"active with {method}", layer, _correlation(active[layer], other))
            for method, other in others.items()
        ]
    found += _readings(network, x, maps, frequency)
    if digits:
        shown = {layer: maps[layer] for layer in layers} | {"gradient": others["gradient"]}
        digit = digit_mask(x)
        for name, some in shown.items():
            positive = share_of_sign(some, digit, 1)
            negative = share_of_sign(some, outline_mask(digit), -1)
            found.append(("positive on the digit", name, _mean(positive)))
            found.append(("negative on the outline", name, _mean(negative)))
    return found


def _errors(model: tf.keras.Model, x: NDArray[np.float32]) -> Iterator[Number]:
    random = np.random.default_rng(0)
    for layer in HIDDEN_LAYERS:
        size = int(np.prod(model.get_layer(layer).output.shape[1:]))
        neurons = random.choice(size, min(CHECKED_NEURONS, size), replace=False)
        of_v, of_contributions = projection_errors(model, x[:CHECKED_IMAGES], layer, neurons)
        yield "error of v", layer, of_v
        yield "error of the sum of contributions", layer, of_contributions


def _readings(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    maps: Maps,
    frequency: Maps,
) -> Iterator[Number]:
    of_all = network.insens_of_all_layers(x, progress=False)
    few = slice(LOSERS_IMAGES)
    for layer in HIDDEN_LAYERS:
        yield "all layers with Insens", layer, _correlation(of_all, maps[layer])
        if layer != PENULTIMATE:
            losers = with_losers_inactive(network, x[few], layer, frequency[layer])
            yield "losers with Insens", layer, _correlation(losers, maps[layer][few])


def _correlation(maps: NDArray[Any], others: NDArray[Any]) -> float:
    return _mean(rank_correlation(maps, others))


def _mean(values: NDArray[Any]) -> float:
    """Return the mean of what is defined; NaN if nothing is."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _measure(task: _Task) -> dict[str, NDArray[Any]]:
    data = load_data(task.store.data, task.network.dataset)
    x = scaled(data["x_test"][list(task.images)])
    settings = task.network.settings
    x_train = scaled(data["x_train"][: settings.train_images])
    models = (
        task.store.load(task.network, task.data_sha256),
        build(settings, UNTRAINED_SEED + task.network.seed),
    )
    digits = task.network.dataset in DIGITS
    rows = [
        (kind, *number)
        for kind, model in zip(COLOURS, models, strict=True)
        for number in numbers(model, x, x_train, digits)
    ]
    *names, values = zip(*rows, strict=True)
    return {
        **{f"names {number}": np.array(one) for number, one in enumerate(names)},
        "values": np.array(values),
    }


def compute(run: Run, count: int, images: int) -> None:
    """Measure what the paper says without a number: Proposition 1, the layers' order, and more."""
    if run.quick:
        images = min(images, 4)
    tasks = [
        _Task(
            run.store,
            Network(dataset, seed, run.settings(dataset)),
            run.sha256[dataset],
            run.chosen_images(dataset, images),
        )
        for dataset in run.datasets
        for seed in range(run.seed, run.seed + count)
    ]
    run.train([task.network for task in tasks])
    run.measure(_measure, tasks, "networks")
    columns = [run.unfinished.parts(name) for name in ("names 0", "names 1", "names 2", "values")]
    rows = [
        (task.network.dataset, str(kind), task.network.seed, str(measured), str(layer), float(one))
        for task, *found in zip(tasks, *columns, strict=True)
        for kind, measured, layer, one in zip(*found, strict=True)
    ]
    write_csv(run.folder / "numbers.csv", _HEAD, rows)
    values = (((dataset, kind, *names), one) for dataset, kind, _, *names, one in rows)
    write_csv(run.folder / "summary.csv", _SUMMARY_HEAD, interval_rows(values))


def _interval(row: Mapping[str, str]) -> str:
    mean, low, high = (round(float(row[one]), 2) + 0.0 for one in ("mean", "low", "high"))
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _of(dataset: str, measured: str, layer: str, network: str = "trained") -> str:
    wanted = {"dataset": dataset, "network": network, "measured": measured, "layer": layer}
    return _interval(result_row("further_claims", "summary.csv", **wanted))


def _largest_errors() -> str:
    rows = result_rows("further_claims", "numbers.csv")
    networks = {(row["dataset"], row["network"], row["seed"]) for row in rows}

    def largest(measured: str) -> str:
        return f"{max(float(row['value']) for row in rows if row['measured'] == measured):.1e}"

    return (
        f"v - (x w + b) {largest('error of v')}, the sum of contributions "
        f"{largest('error of the sum of contributions')}, largest of {len(networks)} networks"
    )


def _with_the_input() -> str:
    return "; ".join(
        f"{TITLES[dataset]}: "
        + ", ".join(
            f"l = {number} {_of(dataset, 'with the input', layer)}, untrained "
            f"{_of(dataset, 'with the input', layer, 'untrained')}"
            for layer, number in HIDDEN_LAYERS.items()
        )
        for dataset in ("mnist", "fashion_mnist", "cifar10")
    )


def _echo() -> str:
    return "; ".join(
        f"{measured}: trained {_of('mnist', measured, PENULTIMATE)}, untrained "
        f"{_of('mnist', measured, PENULTIMATE, 'untrained')}"
        for measured in ("positive on the digit", "negative on the outline")
    )


def _of_active() -> str:
    return "; ".join(
        f"{TITLES[dataset]}: "
        + ", ".join(
            f"{METHOD_TITLES[method]} {_of(dataset, f'active with {method}', PENULTIMATE)}".replace(
                "\n", " "
            )
            for method in PAPER_METHODS
        )
        for dataset in ("mnist", "fashion_mnist", "cifar10")
    )


def _of_readings() -> str:
    losers = ", ".join(
        f"{TITLES[dataset]} l = {HIDDEN_LAYERS[layer]} {_of(dataset, 'losers with Insens', layer)}"
        for dataset in ("mnist", "fashion_mnist", "cifar10")
        for layer in POOLED
    )
    of_all = ", ".join(
        f"l = {number} {_of('cifar10', 'all layers with Insens', layer)}"
        for layer, number in HIDDEN_LAYERS.items()
    )
    return f"losers inactive, too: {losers}; the whole network's, CIFAR-10: {of_all}"


CLAIMS = (
    Claim(
        "every neuron is one projection, v = x w + b, and its contributions add up to v (2, "
        "Propositions 1 and 2)",
        "proved",
        _largest_errors,
        ("further_claims",),
        "Holds to the last digits of float32, in units of each layer's largest magnitude of v.",
    ),
    Claim(
        "that Insens shows more of the input in earlier layers is filtering, not an artefact (3)",
        "no number",
        _with_the_input,
        ("further_claims",),
        "Not shown: networks that have learned nothing, and so filter nothing by it, have the same "
        "order of layers, and nearly the same correlations.",
    ),
    Claim(
        "the contrast of a digit and its outline is the network's, not an echo (3, Figure 4)",
        "no number",
        _echo,
        ("further_claims",),
        "Does not hold for the most part: Insens of an untrained network shows nearly as much of "
        "it. Of the gradient an untrained network's shows next to none, 0.59 and 0.51.",
    ),
    Claim(
        "decompositions of active neurons do not offer anything more than existing methods (2)",
        "no number",
        _of_active,
        ("further_claims",),
        "Holds as far as likeness goes: the same sum over the active neurons of l = 5 is like the "
        "gradient above all.",
    ),
    Claim(
        "what loses in max pooling is inactive (2); Eq. 8 of the first version is of the whole "
        "network, without m/N",
        "two readings",
        _of_readings,
        ("further_claims",),
        "The losers change Insens of l = 1 in part, most on CIFAR-10, and of l = 3 little; the map "
        "of the whole network is most like Insens of l = 3.",
    ),
)


main = Experiment(
    "further_claims",
    compute,
    draw,
    datasets=("mnist", "fashion_mnist", "cifar10"),
    options=networks_and_images(),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.further_claims")
