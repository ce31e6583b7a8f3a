"""Figure 2: switched weights of the same neurons for different digits.

``python -m experiments.figure_2`` writes

- ``figure_2.png``, and its numbers in ``projections.npz``: four digits, and the switched weights,
  activity and switched bias of five neurons of each layer for each of them, in a dotted frame where
  the neuron is inactive;
- ``black_fields.csv``, over all test images: how many neurons of the convolutions see nothing but
  black pixels, and how many of these are active all the same;
- ``similarity.csv``: the cosine similarity of a neuron's switched weights for two digits.

Digits and neurons are chosen at random by the run's seed: digits that are classified correctly, of
different classes; of each layer's neurons whose switched weights are not all 0 for any of these
digits, two that are active for all of them, one for none, and two for some. If the
layer has a neuron that is active for a digit of which it sees only black, one of the neurons that
the picture's are chosen from is such a neuron.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from tensorflow import keras

import insens_tf
from experiments.experiment import Experiment, Run
from experiments.figure_2_drawing import draw
from experiments.maps_figure import examples, random_images, summary
from experiments.method_maps import predicted
from experiments.paper_claim import Claim, result_rows
from experiments.tables import write_csv
from insens_tf.batches import in_batches
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["CLAIMS", "choose_neurons", "cosine_similarities", "draw", "light_seen", "main"]

LAYERS = ("conv_2", "dense")
CONVOLUTIONS = ("conv_1", "conv_2")
KINDS = {"all": 2, "none": 1, "some": 2}
"""How many neurons are shown of those that are active for all, none and some of the inputs."""

_INPUTS = 4
_AT_A_TIME = 64


def choose_neurons(
    active: NDArray[np.bool_],
    sees: NDArray[np.bool_],
    usable: Callable[[NDArray[np.intp]], NDArray[np.bool_]],
    generator: np.random.Generator,
) -> NDArray[np.intp]:
    """Choose neurons of a layer by how many inputs they are active for, as many as ``KINDS`` says.

    Parameters
    ----------
    active
        For each input whether each neuron is active, (n, neurons).
    sees
        Whether it sees a pixel that is not black, (n, neurons). Where there is a neuron that is
        active for an input without, one is chosen: of those active for all inputs, or else for
        some.
    usable
        Returns which of some neurons, (k,), may be chosen.
    generator
        Draws the random order in which the neurons are considered.

    Returns
    -------
    numpy.ndarray of int, shape (at most the sum of KINDS,)
        Fewer where the layer has no such neurons.
    """
    of_kind = {"all": active.all(axis=0), "none": ~active.any(axis=0)}
    of_kind["some"] = ~(of_kind["all"] | of_kind["none"])
    in_the_dark = (active & ~sees).any(axis=0)
    order = generator.permutation(active.shape[1])

    def first(mask: NDArray[np.bool_], count: int) -> list[int]:
        found: list[int] = []
        candidates = order[mask[order]]
        for start in range(0, len(candidates), _AT_A_TIME):
            some = candidates[start : start + _AT_A_TIME]
            found += some[usable(some)].tolist()
            if len(found) >= count:
                break
        return found[:count]

    special = first(of_kind["all"] & in_the_dark, 1) or first(of_kind["some"] & in_the_dark, 1)
    chosen: list[int] = []
    for kind, count in KINDS.items():
        mine = [neuron for neuron in special if of_kind[kind][neuron]]
        others = of_kind[kind].copy()
        others[mine] = False
        chosen += mine + first(others, count - len(mine))
    return np.array(chosen, np.intp)


def light_seen(
    model: keras.Sequential, layers: Sequence[str]
) -> Callable[[NDArray[np.float32]], dict[str, NDArray[np.bool_]]]:
    """Make a function that tells which neurons see a pixel that is not black.

    Parameters
    ----------
    model
        2CONV.
    layers
        Names of its convolutions and dense layers, at least two.

    Returns
    -------
    callable
        Takes images in 0..1, (n, height, width, channels), and returns by the layer's name an array
        of bool, (n, *layer shape). What padding adds is black.
    """
    # With kernels of ones and without biases, what is not black reaches as far as it can.
    spreading = keras.models.clone_model(model)
    for layer in spreading.layers:
        if layer.get_weights():
            kernel, bias = layer.get_weights()
            layer.set_weights([np.ones_like(kernel), np.zeros_like(bias)])
    light = keras.Model(spreading.inputs[0], [spreading.get_layer(one).output for one in layers])

    def seen(x: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
        found = light((x > 0).astype(np.float32), training=False)
        return {one: np.asarray(some) > 0 for one, some in zip(layers, found, strict=True)}

    return seen


def cosine_similarities(weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how alike each neuron's switched weights are for every two inputs.

    Parameters
    ----------
    weights
        (n, neurons, ...).

    Returns
    -------
    numpy.ndarray of float64, shape (n (n - 1) / 2, neurons)
        The cosine of the angle between them; NaN where one of them is 0.
    """
    flat = weights.reshape(*weights.shape[:2], -1).astype(np.float64)
    norms = np.linalg.norm(flat, axis=-1, keepdims=True)
    directions = np.divide(flat, norms, out=np.full_like(flat, np.nan), where=norms > 0)
    first, second = np.triu_indices(len(flat), 1)
    products = np.einsum("mkd,nkd->mnk", directions, directions)
    return products[first, second]


def compute(run: Run, neurons: int, inputs: int) -> None:
    """Draw the switched weights of neurons for different digits (Figure 2)."""
    dataset = run.dataset
    model = run.trained(dataset)
    network = insens_tf.SwitchedNetwork(model)
    generator = np.random.default_rng(run.seed)
    x_test = run.images(dataset)
    chosen = examples(run.labels(dataset), predicted(model, x_test), _INPUTS, generator)
    x = x_test[chosen]
    numbers: dict[str, Any] = {"images": x, "numbers_in_test_set": chosen}
    for layer, sees in light_seen(model, LAYERS)(x).items():
        numbers |= _projections(network, x, layer, sees.reshape(len(x), -1), generator)
    np.savez_compressed(run.folder / "projections.npz", **numbers)

    head = ["layer", "black_fields", "active_in_black_fields", "active"]
    write_csv(run.folder / "black_fields.csv", head, _black_fields(network, x_test))

    rows = []
    compared = random_images(x_test, inputs, generator)
    for one in network.layers:
        some = np.sort(generator.permutation(one.neurons)[:neurons])
        weights = network.project(compared, one, some).weights
        rows.append((one.name, *_spread(cosine_similarities(weights))))
    head = ["layer", "neurons", "mean", "standard_deviation", "percentile_5", "percentile_95"]
    write_csv(run.folder / "similarity.csv", head, rows)


def _projections(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    layer: str,
    sees: NDArray[np.bool_],
    generator: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    def usable(neurons: NDArray[np.intp]) -> NDArray[np.bool_]:
        weights = network.project(x, layer, neurons).weights
        return weights.any(axis=(2, 3, 4)).all(axis=0)

    active = network.activity(x, layer).reshape(len(x), -1) > 0
    neurons = choose_neurons(active, sees, usable, generator)
    projection = network.project(x, layer, neurons)
    return {
        f"{layer}_neurons": projection.neurons,
        f"{layer}_weights": projection.weights.astype(np.float16),
        f"{layer}_activity": projection.activity,
        f"{layer}_bias": projection.bias,
        f"{layer}_sees_light": sees[:, neurons],
    }


def _black_fields(
    network: insens_tf.SwitchedNetwork, images: NDArray[np.float32]
) -> list[tuple[str, float, float, float]]:
    """Return each convolution's shares: of black fields, of these that are active, of active."""
    seen = light_seen(network.model, CONVOLUTIONS)
    neurons, black, active_in_black, active = (Counter[str]() for _ in range(4))
    for x in in_batches(images):
        sees = seen(x)
        for layer, activity in network.activity(x, list(CONVOLUTIONS)).items():
            neurons[layer] += activity.size
            black[layer] += int((~sees[layer]).sum())
            active_in_black[layer] += int((~sees[layer] & (activity > 0)).sum())
            active[layer] += int((activity > 0).sum())
    return [
        (
            layer,
            black[layer] / neurons[layer],
            active_in_black[layer] / black[layer] if black[layer] else np.nan,
            active[layer] / neurons[layer],
        )
        for layer in CONVOLUTIONS
    ]


def _spread(similarities: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the mean and deviation of neurons' means, and percentiles of all similarities."""
    of_neurons = [summary(neuron)[1] for neuron in similarities.T]
    percentiles = np.nanpercentile(similarities, (5, 95)).round(4).tolist()
    return (*summary(np.array(of_neurons)), *percentiles)


def _similarity() -> str:
    similar = {row["layer"]: row for row in result_rows("figure_2", "similarity.csv")}
    return "mean cosine of a neuron's w for two inputs: " + ", ".join(
        f"l = {number}: {float(similar[layer]['mean']):.2f}"
        for layer, number in HIDDEN_LAYERS.items()
    )


def _active_in_black_fields() -> str:
    return "; ".join(
        f"l = {HIDDEN_LAYERS[row['layer']]}: {float(row['active_in_black_fields']):.1%} of those "
        "that see only black are active"
        for row in result_rows("figure_2", "black_fields.csv")
    )


CLAIMS = (
    Claim(
        "a neuron is not sensitive to one pattern for all inputs (2, Figure 2)",
        "by eye",
        _similarity,
        ("figure_2",),
        "Holds: fully connected neurons hardly keep a direction, convolutional ones do in part, "
        "and those of the first layer by construction.",
    ),
    Claim(
        "some neurons that see only black pixels are active (2, Figure 2)",
        "by eye",
        _active_in_black_fields,
        ("figure_2",),
        "Holds: in l = 1 all with a positive bias; rare in l = 3.",
    ),
)


main = Experiment(
    "figure_2",
    compute,
    draw,
    datasets=("mnist",),
    options=(
        click.Option(
            ["--neurons"],
            default=200,
            show_default=True,
            help="Number of neurons of each layer whose weights are compared.",
        ),
        click.Option(
            ["--inputs"],
            default=20,
            show_default=True,
            help="Number of inputs for which they are compared.",
        ),
    ),
).command()


if __name__ == "__main__":
    main(prog_name="python -m experiments.figure_2")
