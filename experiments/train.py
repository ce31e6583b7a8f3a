"""Train 2CONV: ``python -m experiments.train --dataset mnist --data DIR --seed 0 --out DIR``.

The folder ``--out`` then holds

- ``model.keras``, the trained network, without its optimizer;
- ``config.json``, everything that decided it;
- ``history.json``, loss and accuracy after each epoch;
- ``run.json``, the two together with the versions, the time, and the accuracy on the training and
  the test images.

The same command gives the same numbers each time on one machine and number of processor cores.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf

from data_scripts.preparation import Arrays, DataError
from experiments.data import fingerprint, load_data, scaled
from experiments.paper_claim import Claim, over_networks, result_rows
from experiments.tables import write_json
from experiments.two_conv_settings import SETTINGS, Settings, build
from experiments.versions import versions
from insens_tf.batches import BATCH_SIZE
from insens_tf.files import UnusableFileError, results_folder
from insens_tf.two_conv import fit_with_adam

__all__ = ["CLAIMS", "Network", "main", "shuffled", "train", "train_into", "training_batches"]


@dataclass(frozen=True)
class Network:
    """A 2CONV to be trained: all that decides it, but for the data themselves.

    Attributes
    ----------
    dataset
        Name of the data set.
    seed
        Decides the initial weights, dropout, the order of the images, their augmentation and the
        order of shuffled labels.
    settings
        How it is built and trained.
    labels_shuffled
        Whether it is trained on labels in random order.
    """

    dataset: str
    seed: int
    settings: Settings
    labels_shuffled: bool = False

    def config(self, data_sha256: str) -> dict[str, Any]:
        """Return everything that decides the network, as JSON holds it."""
        return {
            "dataset": self.dataset,
            "data_sha256": data_sha256,
            "seed": self.seed,
            "labels_shuffled": self.labels_shuffled,
            **asdict(self.settings),
        }


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
        Comes from :func:`experiments.two_conv_settings.build`; it is compiled and trained in place.
    images
        uint8 array of shape ``(n, *settings.input_shape)``.
    labels
        uint8 array of shape ``(n,)``.
    settings
        Epochs, batch size, learning rate, augmentation, and when to stop.
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
    return fit_with_adam(
        model,
        batches,
        epochs=settings.epochs,
        learning_rate=schedule,
        callbacks=[] if settings.stop_at is None else [_StopAt(settings.stop_at)],
        verbose=2,
    )


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


class _StopAt(tf.keras.callbacks.Callback):
    """Ends the training once a share of the training images is classified correctly."""

    def __init__(self, accuracy: float) -> None:
        super().__init__()
        self._accuracy = accuracy

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if logs is not None and logs["accuracy"] >= self._accuracy:
            self.model.stop_training = True


def train_into(folder: Path, network: Network, data: Arrays, data_sha256: str) -> dict[str, Any]:
    """Train a network and write it to a folder.

    Parameters
    ----------
    folder
        To be filled with ``model.keras``, ``config.json`` and ``history.json``.
    network
        The network.
    data
        Its data set, from :func:`experiments.data.load_data`.
    data_sha256
        The data's :func:`experiments.data.fingerprint`.

    Returns
    -------
    dict
        The record: configuration, versions, ``seconds`` of the training, ``train_accuracy`` on the
        labels that it was trained on, as it is afterwards, ``test_accuracy``, ``test_loss`` and
        ``history``.
    """
    settings = network.settings
    tf.keras.utils.set_random_seed(network.seed)
    tf.config.experimental.enable_op_determinism()
    model = build(settings, network.seed)
    images = data["x_train"][: settings.train_images]
    labels = data["y_train"][: settings.train_images]
    if network.labels_shuffled:
        labels = shuffled(labels, network.seed)
    started = time.perf_counter()
    history = train(model, images, labels, settings, network.seed)
    seconds = time.perf_counter() - started
    _, train_accuracy = model.evaluate(scaled(images), labels, batch_size=BATCH_SIZE, verbose=0)
    test_loss, test_accuracy = model.evaluate(
        scaled(data["x_test"]), data["y_test"], batch_size=BATCH_SIZE, verbose=0
    )

    # A copy that was never compiled, so that the file holds no optimizer.
    trained = build(settings)
    trained.set_weights(model.get_weights())
    trained.save(folder / "model.keras")
    config = network.config(data_sha256)
    write_json(folder / "config.json", config)
    write_json(folder / "history.json", history)
    return {
        "experiment": "train",
        "config": config,
        "versions": versions(),
        "seconds": round(seconds, 1),
        "train_accuracy": round(float(train_accuracy), 6),
        "test_accuracy": round(float(test_accuracy), 6),
        "test_loss": round(float(test_loss), 6),
        "history": history,
    }


CLAIMS = (
    Claim(
        "2CONV's test accuracy on clean MNIST",
        "over 99 %",
        lambda: over_networks(
            result_rows("noise_table", "accuracies.csv", place="clean"), "accuracy"
        ),
        ("noise_table", "activity"),
        "Holds, after 3 epochs already; after 8 it is 99.4 %.",
    ),
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
@click.option(
    "--train-images", type=click.IntRange(min=1), help="Use so many, the first. Default: all."
)
@click.option(
    "--stop-at",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="End once so large a share of the training images is classified correctly.",
)
def main(
    dataset: str,
    data: Path,
    out: Path,
    seed: int,
    shuffle_labels: bool,
    overwrite: bool,
    augment: bool,
    **options: Any,
) -> None:
    """Train 2CONV on a data set and measure its accuracy."""
    changes = {name: value for name, value in options.items() if value is not None}
    if not augment:
        changes |= {"flip": False, "shift": 0}
    settings = replace(SETTINGS[dataset], **changes)
    network = Network(dataset, seed, settings, shuffle_labels)
    try:
        arrays = load_data(data, dataset)
        record: dict[str, Any] = {}
        # Opened before the training, so that a folder that cannot be written is found out first.
        with results_folder(out, record, replace=overwrite) as folder:
            record |= train_into(folder, network, arrays, fingerprint(arrays))
    except (DataError, UnusableFileError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"train accuracy: {record['train_accuracy']:.2%}, "
        f"test accuracy: {record['test_accuracy']:.2%}"
    )
    click.echo(f"wrote {out}: model.keras, config.json, history.json, run.json")


if __name__ == "__main__":
    main(prog_name="python -m experiments.train")
