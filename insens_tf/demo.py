"""The demonstration: 2CONV on real digits, its switched projections checked, and one picture.

`run` needs nothing that is not in the package. It trains the paper's network on the shipped sample
of MNIST, reports its accuracy, how many of its neurons are active and how exact the switched
projections are, and draws digits against the paper's other methods and Insens of each hidden
layer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tabulate import tabulate
from tqdm import tqdm

from insens_tf.analyzer import create_analyzer
from insens_tf.batches import outputs
from insens_tf.heatmap import LEGEND, grid, heatmap, picture
from insens_tf.method_table import PAPER_METHODS
from insens_tf.network import SwitchedNetwork
from insens_tf.two_conv import fit_with_adam, two_conv

__all__ = ["Digits", "digits", "largest_error", "run", "switched_bias_of_parameters", "train"]

PICTURE = "insens_demo.png"
MODEL = "two_conv.keras"
DIGITS = "digits.npz"

_BATCH = 50
_LEARNING_RATE = 1e-3
_NEURONS_TO_CHECK = 100


class Digits(NamedTuple):
    """The shipped sample of MNIST: images (n, 28, 28, 1), float32 in 0..1, and their labels."""

    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


def digits() -> Digits:
    """Read the sample of MNIST that is shipped with the package."""
    with np.load(_sample_file(), allow_pickle=False) as sample:
        arrays = {name: sample[name] for name in sample.files}

    def images(name: str) -> NDArray[np.float32]:
        return arrays[name].reshape(-1, 28, 28, 1).astype(np.float32) / 255

    return Digits(
        images("x_train"),
        arrays["y_train"].astype(np.int64),
        images("x_test"),
        arrays["y_test"].astype(np.int64),
    )


def train(
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    *,
    seed: int = 0,
    epochs: int = 5,
    progress: bool = True,
) -> tf.keras.Sequential:
    """Train 2CONV; the same seed gives the same network, and no global seed is touched.

    Parameters
    ----------
    x : numpy.ndarray, shape (n, height, width, channels)
        Images in 0..1.
    y : numpy.ndarray, shape (n,)
        Their classes, 0..9.
    seed : int
        Decides the initial weights and the order of the images.
    epochs : int
        How many times every image is seen.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    tf.keras.Sequential
    """
    height, width, channels = x.shape[1:]
    model = two_conv((height, width, channels), 10, seed=seed)
    batches = -(-len(x) // _BATCH)

    def in_random_order() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        order = np.random.default_rng(seed)
        for _ in range(epochs):
            for rows in np.array_split(order.permutation(len(x)), batches):
                yield x[rows], y[rows]

    # A log gets a line for every state of the bar, so that a few of them are enough.
    between = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=epochs * batches,
        desc="training 2CONV",
        unit="batch",
        mininterval=between,
        maxinterval=between,
        disable=not progress,
    ) as bar:
        fit_with_adam(
            model,
            tf.data.Dataset.from_generator(
                in_random_order,
                output_signature=(
                    tf.TensorSpec((None, height, width, channels), x.dtype),
                    tf.TensorSpec((None,), y.dtype),
                ),
            ),
            epochs=epochs,
            learning_rate=_LEARNING_RATE,
            steps_per_epoch=batches,
            callbacks=[_Progress(bar, epochs)],
        )
    # A copy that was never compiled, so that a file of it holds no optimizer.
    trained = two_conv((height, width, channels), 10, seed=seed)
    trained.set_weights(model.get_weights())
    return trained


class _Progress(tf.keras.callbacks.Callback):
    """Moves a progress bar on with each batch."""

    def __init__(self, bar: Any, epochs: int) -> None:
        super().__init__()
        self._bar = bar
        self._epochs = epochs

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        state = f"epoch {epoch + 1} of {self._epochs}, loss {loss:.3f}"
        self._bar.set_postfix_str(state, refresh=False)


def switched_bias_of_parameters(
    model: tf.keras.Sequential, layer: str, x: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    r"""Return a layer's activity and its switched bias as the network's own biases make it.

    In a fixed state the activity is linear in the input and in all bias parameters together, so
    that :math:`v = \sum_j x_j \, \partial v / \partial x_j + \sum_p b_p \, \partial v / \partial
    b_p`, and the second sum is the switched bias. Unlike b = v - x w it is computed without v, x
    and w, by one forward-mode pass along the bias parameters, and so can contradict them.

    Parameters
    ----------
    model : tf.keras.Sequential
    layer : str
        A convolution or dense layer.
    x : numpy.ndarray, shape (n, *input_shape)

    Returns
    -------
    activity, bias : numpy.ndarray, shape (n, *layer shape)
    """
    original = model.get_layer(layer)
    # A twin of the layer shows the activity, which the layer itself puts through its ReLU.
    twin = type(original).from_config({**original.get_config(), "activation": "linear"})
    to_activity = tf.keras.Model(model.inputs[0], twin(original.input))
    twin.set_weights(original.get_weights())
    biases = [one.bias for one in to_activity.layers if getattr(one, "bias", None) is not None]
    # A variable of Keras 3 has TensorFlow's in it.
    biases = [one if isinstance(one, tf.Variable) else one.value for one in biases]
    tangents = [tf.convert_to_tensor(bias) for bias in biases]
    with tf.autodiff.ForwardAccumulator(biases, tangents) as accumulator:
        activity = to_activity(tf.constant(x), training=False)
    return activity.numpy(), accumulator.jvp(activity).numpy()


def largest_error(
    network: SwitchedNetwork, layer: str, x: NDArray[np.float32], *, seed: int = 0
) -> tuple[float, float]:
    """Return the largest abs(v - (x w + b)) over a layer's sampled neurons, and largest abs(v).

    v and b come from Keras and the network's parameters (`switched_bias_of_parameters`), w from
    the switched projections, x w is summed in float64: nothing here is true by definition, and
    what is left are the roundings of float32.
    """
    activity, bias = switched_bias_of_parameters(network.model, layer, x)
    activity, bias = activity.reshape(len(x), -1), bias.reshape(len(x), -1)
    count = min(_NEURONS_TO_CHECK, activity.shape[1])
    neurons = np.random.default_rng(seed).choice(activity.shape[1], count, replace=False)
    weights = network.project(x, layer, neurons).weights.reshape(len(x), count, -1)
    product = np.einsum("nkd,nd->nk", weights.astype(np.float64), x.reshape(len(x), -1))
    v = activity[:, neurons]
    return float(np.abs(v - (product + bias[:, neurons])).max()), float(np.abs(v).max())


def run(
    folder: Path, *, seed: int = 0, epochs: int = 5, say: Callable[[str], Any] = print
) -> dict[str, Any]:
    """Train, check and draw; write the picture, the model and the digits to a folder.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.
    seed, epochs : int
        As in `train`.
    say : callable
        Takes the report, text by text.

    Returns
    -------
    dict
        The numbers of the report; what JSON can hold.
    """
    started = time.monotonic()
    data = digits()
    say(
        f"2CONV on {len(data.x_train):,} training and {len(data.x_test):,} test digits of MNIST, "
        f"seed {seed}."
    )
    model = train(data.x_train, data.y_train, seed=seed, epochs=epochs)
    predicted = np.argmax(outputs(model, data.x_test), axis=-1)
    accuracy = float(np.mean(predicted == data.y_test))
    say(f"Test accuracy: {accuracy:.1%} of {len(data.y_test)} digits.")

    network = SwitchedNetwork(model)
    active = network.activation_frequency(data.x_test, progress=False)
    neurons = sum(layer.neurons for layer in network.layers)
    overall = sum(int(count.sum()) for count in active.counts.values()) / (active.samples * neurons)
    chosen = _one_of_each_class(data.y_test)
    results: dict[str, Any] = {"test_accuracy": accuracy, "active": overall, "layers": {}}
    rows: list[list[Any]] = []
    for layer in (*network.layers, network.output):
        error, largest = largest_error(network, layer.name, data.x_test[chosen], seed=seed)
        share = float(active[layer.name].mean()) if layer.index is not None else None
        results["layers"][layer.name] = {
            "active": share,
            "largest_error": error,
            "largest_activity": largest,
        }
        rows.append(
            [
                layer.name,
                layer.neurons,
                "" if share is None else f"{share:.1%}",
                f"{error:.1e}",
                f"{largest:.3g}",
            ]
        )
    rows.insert(-1, ["all hidden layers", neurons, f"{overall:.1%}", "", ""])
    headers = ["layer", "neurons", "active", "largest |v - (x w + b)|", "largest |v|"]
    aligned = ["left", "right", "right", "right", "right"]
    say("\n" + tabulate(rows, headers, colalign=aligned, disable_numparse=True))
    say(
        "active: the share of neurons with v > 0, averaged over the test digits.\n"
        f"|v - (x w + b)|: over up to {_NEURONS_TO_CHECK} neurons of each layer and {len(chosen)} "
        "digits, with v from Keras, w from the\nswitched projection, and b from the network's bias "
        "parameters alone (b = v - x w would make it 0).\n"
    )

    frequency = network.activation_frequency(data.x_train, progress=False)
    x = data.x_test[chosen]
    maps = {title: create_analyzer(name, model).analyze(x) for name, title in PAPER_METHODS.items()}
    layers = [layer.name for layer in network.layers]
    insens = network.insens(x, layers, frequency, progress=sys.stderr.isatty())
    maps |= {f"Insens of\n{name}": insens[name] for name in layers}
    figure = _draw(x, data.y_test[chosen], predicted[chosen], maps, trained_on=len(data.x_train))
    figure.savefig(folder / PICTURE)
    model.save(folder / MODEL)
    (folder / DIGITS).write_bytes(_sample_file().read_bytes())
    results["seconds"] = round(time.monotonic() - started, 1)
    say(f"Done in {results['seconds']:.0f} s.")
    return results


def _draw(
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    maps: dict[str, NDArray[np.float32]],
    trained_on: int,
) -> Any:
    rows = [picture(x), *(heatmap(one) for one in maps.values())]
    column_titles = [
        f"{label}" if label == guess else f"{label}, taken for {guess}"
        for label, guess in zip(labels, predicted, strict=True)
    ]
    return grid(
        rows,
        ["MNIST digit", *maps],
        column_titles,
        title=f"Maps of a network trained on {trained_on:,} digits: Insens explains a hidden "
        f"layer, the others the predicted class.\n{LEGEND}",
    )


def _one_of_each_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([np.flatnonzero(labels == label)[0] for label in np.unique(labels)])


def _sample_file() -> Any:
    return resources.files("insens_tf") / "data" / "mnist_sample.npz"
