"""2CONV as it is trained on each data set, and what the paper leaves open, as settings."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from insens_tf.two_conv import two_conv

__all__ = ["POOLED", "SETTINGS", "UNTRAINED_SEED", "Settings", "build"]

# Added to a network's number, so that no untrained network has the weights from which a trained one
# began.
UNTRAINED_SEED = 2_000

POOLED = {"conv_1": "pool_1", "conv_2": "pool_2"}
"""Each layer that is pooled, and its pooling."""


@dataclass(frozen=True)
class Settings:
    """How 2CONV is built and trained on one data set.

    The layers and their order are the paper's. What it does not say is an attribute here.

    Attributes
    ----------
    input_shape
        Height, width and channels of an image.
    classes
        Number of labels.
    filters
        Number of filters of the two convolutions.
    kernel_size
        Height and width of their kernels.
    pool_size
        Height, width and stride of the max poolings.
    units
        Number of neurons of the fully connected hidden layer.
    padding
        Padding of the convolutions.
    dropout
        Share of the fully connected layer's neurons dropped in training.
    epochs
        Passes through the training images.
    batch_size
        Images in one step of the optimizer, Adam.
    learning_rate
        The first step's; it falls to 0 along half a cosine by the last step.
    flip
        Whether training images are mirrored left to right, at random.
    shift
        By how many pixels at most they are shifted along each axis, at random.
    train_images
        How many of the training images are used, the first; None: all.
    stop_at
        Training ends after the first epoch in which so large a share of the training images was
        classified correctly, and after `epochs` in any case. None: not before.
    """

    input_shape: tuple[int, int, int]
    classes: int
    filters: tuple[int, int] = (32, 64)
    kernel_size: int = 5
    pool_size: int = 2
    units: int = 1024
    padding: str = "same"
    dropout: float = 0.5
    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 1e-3
    flip: bool = False
    shift: int = 0
    train_images: int | None = None
    stop_at: float | None = None


SETTINGS: dict[str, Settings] = {
    "mnist": Settings(input_shape=(28, 28, 1), classes=10),
    "fashion_mnist": Settings(input_shape=(28, 28, 1), classes=10, epochs=6, flip=True),
    "cifar10": Settings(input_shape=(32, 32, 3), classes=10, epochs=10, flip=True, shift=3),
    # Every photograph by itself, as data_scripts.smallnorb writes them unless told otherwise.
    "smallnorb": Settings(input_shape=(96, 96, 1), classes=5),
    "mnist_sample": Settings(input_shape=(28, 28, 1), classes=10, epochs=4, batch_size=50),
}


def build(settings: Settings, seed: int | None = None) -> tf.keras.Sequential:
    """Build 2CONV, untrained.

    Parameters
    ----------
    settings
        Its sizes.
    seed
        Makes the initial weights and the dropout the same each time.

    Returns
    -------
    tf.keras.Sequential
        See :func:`insens_tf.two_conv.two_conv`.
    """
    return two_conv(
        settings.input_shape,
        settings.classes,
        filters=settings.filters,
        kernel_size=settings.kernel_size,
        pool_size=settings.pool_size,
        units=settings.units,
        padding=settings.padding,
        dropout=settings.dropout,
        seed=seed,
    )
