"""Train 2CONV: ``python -m experiments.train --dataset mnist --data DIR --seed 0 --out DIR``.

The folder ``--out`` then holds

- ``model.keras``, the trained network, without its optimizer;
- ``config.json``, everything that decided it;
- ``history.json``, loss and accuracy after each epoch;
- ``run.json``, the two together with the versions and what was measured: the accuracy on the test
  images and the share of active neurons. This is the file to keep, as in ``experiments/results``.

The same command gives the same numbers each time on one machine and number of processor cores.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf
from tabulate import tabulate

import insens_tf
from data_scripts.preparation import Arrays, DataError, read_npz
from experiments.models import SETTINGS, Settings, build
from insens_tf.files import UnusableFileError, results_folder

__all__ = [
    "ActiveShares",
    "active_shares",
    "load_data",
    "main",
    "shuffled",
    "train",
    "training_batches",
]

# Of the neurons of 2CONV for a given MNIST image, on average (the paper, section "Sensitivity").
PAPER_ACTIVE_SHARE = 0.17


@dataclass(frozen=True)
class ActiveShares:
    """Which share of the neurons is active for an image, averaged over images.

    Attributes
    ----------
    layers
        By layer: the share of neurons with positive activity.
    overall
        The same over the neurons of all these layers.
    subnetwork_layers, subnetwork_overall
        The same, but counting as inactive what loses in max pooling: the paper deems those
        neurons inactive regardless of their output.
    """

    layers: dict[str, float]
    overall: float
    subnetwork_layers: dict[str, float]
    subnetwork_overall: float


def load_data(folder: Path, dataset: str, settings: Settings) -> Arrays:
    """Read what a data script wrote.

    Parameters
    ----------
    folder
        Holds ``<dataset>.npz``.
    dataset
        Name of the data set.
    settings
        What its images and labels must be.

    Returns
    -------
    dict
        ``x_train``, ``y_train``, ``x_test`` and ``y_test``, uint8; images of shape
        ``(n, *settings.input_shape)``.

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds something else.
    """
    path = folder / f"{dataset}.npz"
    data = read_npz(path)
    for part in ("train", "test"):
        images, labels = data[f"x_{part}"], data[f"y_{part}"]
        if images.shape[1:] != settings.input_shape or images.dtype != np.uint8:
            raise DataError(
                f"x_{part} in {path} must hold uint8 images of shape {settings.input_shape}, not "
                f"{images.dtype} of shape {images.shape[1:]}"
            )
        if labels.shape != images.shape[:1] or not labels.size or labels.max() >= settings.classes:
            raise DataError(
                f"y_{part} in {path} must hold {len(images)} labels below {settings.classes}"
            )
    return data


def shuffled(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return labels in random order, which cuts what they have to do with the images.

    Parameters
    ----------
    labels
        Array of shape ``(n,)``, left as it is.
    seed
        Decides the order.
    """
    return np.random.default_rng(seed).permutation(labels)


def train(
    model: tf.keras.Sequential,
    images: np.ndarray,
    labels: np.ndarray,
    settings: Settings,
    seed: int,
) -> dict[str, list[float]]:
    """Train a network with Adam on the cross-entropy.

    Parameters
    ----------
    model
        The network, from :func:`experiments.models.build`; it is compiled and trained in place.
    images
        uint8 array of shape ``(n, *settings.input_shape)``.
    labels
        uint8 array of shape ``(n,)``.
    settings
        Epochs, batch size, learning rate and augmentation.
    seed
        Decides the order of the images and their augmentation.

    Returns
    -------
    dict
        ``loss`` and ``accuracy`` on the training images, one value an epoch.
    """
    batches = training_batches(images, labels, settings, seed)
    schedule = tf.keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, decay_steps=settings.epochs * len(batches)
    )
    model.compile(
        tf.keras.optimizers.Adam(schedule),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(batches, epochs=settings.epochs, verbose=2)
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def training_batches(
    images: np.ndarray, labels: np.ndarray, settings: Settings, seed: int
) -> tf.data.Dataset:
    """Return the training images in random order, scaled to 0..1, as the network is given them.

    Parameters
    ----------
    images
        uint8 array of shape ``(n, *settings.input_shape)``.
    labels
        uint8 array of shape ``(n,)``.
    settings
        Batch size and augmentation.
    seed
        Decides the order and the augmentation, both new each time the data set is gone through.

    Returns
    -------
    tf.data.Dataset
        Pairs of a float32 batch of images and a uint8 batch of labels.
    """
    order_seed, augmentation_seed = (
        int(state >> 1) for state in np.random.SeedSequence(seed).generate_state(2)
    )
    examples = tf.data.Dataset.from_tensor_slices((images, labels))
    examples = examples.shuffle(len(images), seed=order_seed)
    if settings.flip or settings.shift:
        # A seed for each image, so that the result does not depend on which thread is faster.
        seeds = tf.data.Dataset.random(seed=augmentation_seed, rerandomize_each_iteration=True)
        examples = tf.data.Dataset.zip((examples, seeds.batch(2))).map(
            lambda example, image_seed: (_augmented(example[0], image_seed, settings), example[1]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    return (
        examples.batch(settings.batch_size)
        .map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, y), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def _augmented(image: tf.Tensor, seed: tf.Tensor, settings: Settings) -> tf.Tensor:
    if settings.flip:
        image = tf.image.stateless_random_flip_left_right(image, seed)
    if settings.shift:
        margin = settings.shift
        padded = tf.pad(image, [[margin, margin], [margin, margin], [0, 0]], mode="REFLECT")
        # Another seed: otherwise an image's shift would depend on whether it was mirrored.
        image = tf.image.stateless_random_crop(padded, settings.input_shape, seed + 1)
    return image


def active_shares(model: tf.keras.Sequential, images: np.ndarray) -> ActiveShares:
    """Measure the share of active neurons.

    Parameters
    ----------
    model
        2CONV.
    images
        Float array of shape ``(n, *input_shape)``.

    Returns
    -------
    ActiveShares
        Averages over the images.
    """
    network = insens_tf.SwitchedNetwork(model)
    frequency = network.activation_frequency(images)
    neurons = {layer.name: layer.neurons for layer in network.layers}
    layers = {name: float(np.mean(frequency[name])) for name in neurons}

    # Of the neurons in a pool that passes on something positive exactly one is in the active
    # subnetwork, its winner; the pools of 2CONV do not overlap.
    pools = {"conv_1": "pool_1", "conv_2": "pool_2"}
    pooling = tf.keras.Model(
        model.inputs[0], [model.get_layer(pool).output for pool in pools.values()]
    )
    winners = dict.fromkeys(pools, 0)
    for start in range(0, len(images), 256):
        for name, passed_on in zip(pools, pooling(images[start : start + 256]), strict=True):
            winners[name] += int(tf.math.count_nonzero(passed_on > 0))
    subnetwork = layers | {
        name: count / (len(images) * neurons[name]) for name, count in winners.items()
    }

    def overall(shares: dict[str, float]) -> float:
        return sum(shares[name] * neurons[name] for name in neurons) / sum(neurons.values())

    return ActiveShares(layers, overall(layers), subnetwork, overall(subnetwork))


def _fingerprint(data: Arrays) -> str:
    """Return a SHA-256 of the arrays, by which a result says what data it is from."""
    digest = hashlib.sha256()
    for name in sorted(data):
        digest.update(f"{name} {data[name].dtype} {data[name].shape}".encode())
        digest.update(np.ascontiguousarray(data[name]).data)
    return digest.hexdigest()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _changed(settings: Settings, **options: Any) -> Settings:
    """Return the settings with those options that were given."""
    return replace(
        settings, **{name: value for name, value in options.items() if value is not None}
    )


@click.command()
@click.option("--dataset", type=click.Choice(list(SETTINGS)), required=True)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of the .npz file that the data set's script in data_scripts wrote.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the results, which must be new or empty.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--shuffle-labels", is_flag=True, help="Train on labels in random order.")
@click.option("--overwrite", is_flag=True, help="Replace earlier results in --out.")
@click.option("--epochs", type=click.IntRange(min=1), help="Default: the data set's.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Default: the data set's.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Default: the data set's.",
)
@click.option(
    "--dropout",
    type=click.FloatRange(min=0, max=1, max_open=True),
    help="Default: the data set's.",
)
@click.option(
    "--augment/--no-augment",
    default=True,
    help="Whether to mirror and shift training images where the data set's settings say so.",
)
def main(
    dataset: str,
    data: Path,
    out: Path,
    seed: int,
    shuffle_labels: bool,
    overwrite: bool,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    dropout: float | None,
    augment: bool,
) -> None:
    """Train 2CONV on a data set and measure accuracy and the share of active neurons."""
    settings = _changed(
        SETTINGS[dataset],
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        **({} if augment else {"flip": False, "shift": 0}),
    )
    try:
        arrays = load_data(data, dataset, settings)
        config = {
            "dataset": dataset,
            "data_sha256": _fingerprint(arrays),
            "seed": seed,
            "labels_shuffled": shuffle_labels,
            **asdict(settings),
        }
        record: dict[str, Any] = {"experiment": "train", "config": config}
        # Opened before the training, so that a folder that cannot be written is found out first.
        with results_folder(out, record, replace=overwrite) as folder:
            _run(folder, record, arrays, settings, seed, shuffle_labels)
    except (DataError, UnusableFileError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"wrote {out}: model.keras, config.json, history.json, run.json")


def _run(
    folder: Path,
    record: dict[str, Any],
    data: Arrays,
    settings: Settings,
    seed: int,
    shuffle_labels: bool,
) -> None:
    """Train, measure, write to the folder, and add what was measured to the record."""
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    model = build(settings, seed)
    labels = shuffled(data["y_train"], seed) if shuffle_labels else data["y_train"]
    history = train(model, data["x_train"], labels, settings, seed)

    x_test = data["x_test"].astype(np.float32) / 255.0
    loss, accuracy = model.evaluate(x_test, data["y_test"], batch_size=256, verbose=0)
    shares = active_shares(model, x_test)
    record["versions"] = {
        "insens_tf": insens_tf.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
    record["test_accuracy"] = round(float(accuracy), 6)
    record["test_loss"] = round(float(loss), 6)
    record["active_shares"] = _rounded(asdict(shares))
    if record["config"]["dataset"] == "mnist":
        record["paper"] = {"test_accuracy": "over 0.99", "active_share": PAPER_ACTIVE_SHARE}

    record["history"] = history

    # A copy that was never compiled, so that the file holds no optimizer.
    trained = build(settings)
    trained.set_weights(model.get_weights())
    trained.save(folder / "model.keras")
    _write_json(folder / "config.json", record["config"])
    _write_json(folder / "history.json", history)

    click.echo(f"test accuracy: {accuracy:.2%}")
    rows = [
        (name, f"{share:.1%}", f"{shares.subnetwork_layers[name]:.1%}")
        for name, share in shares.layers.items()
    ]
    rows.append(("overall", f"{shares.overall:.1%}", f"{shares.subnetwork_overall:.1%}"))
    click.echo(tabulate(rows, headers=["layer", "active", "active and not lost in pooling"]))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return round(value, 6)


if __name__ == "__main__":
    main(prog_name="python -m experiments.train")
