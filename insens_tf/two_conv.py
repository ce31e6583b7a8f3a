"""2CONV, the network of the paper's experiments (Appendix B), and its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf.arguments import one_of, whole_number
from insens_tf.interruption import interrupted_after_a_batch

__all__ = ["HIDDEN_LAYERS", "fit_with_adam", "two_conv"]

HIDDEN_LAYERS = {"conv_1": 1, "conv_2": 3, "dense": 5}
"""The hidden layers, and their number l in the paper, which counts poolings too."""


def two_conv(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    filters: tuple[int, int] = (32, 64),
    kernel_size: int = 5,
    pool_size: int = 2,
    units: int = 1024,
    padding: str = "same",
    dropout: float = 0.0,
    kernel_initializer: str = "GlorotUniform",
    seed: int | None = None,
) -> tf.keras.Sequential:
    """Build 2CONV: two convolutions with max pooling, one fully connected layer, softmax.

    In the paper's count of layers, ``conv_1`` is l = 1, ``pool_1`` l = 2, ``conv_2`` l = 3,
    ``pool_2`` l = 4 and ``dense``, the penultimate layer, l = 5.

    Parameters
    ----------
    input_shape
        Height, width and channels of one image.
    classes
        Number of outputs.
    filters
        Number of filters of the first and of the second convolution.
    kernel_size
        Height and width of every convolution's kernel.
    pool_size
        Height, width and stride of both max poolings.
    units
        Number of neurons of the fully connected hidden layer.
    padding
        ``"same"`` or ``"valid"``, of the convolutions. The poolings are not padded.
    dropout
        Share of the fully connected layer's neurons dropped in training; 0 adds no layer.
    kernel_initializer
        Name of a class of :mod:`tf.keras.initializers` that takes a seed.
    seed
        Makes the initial weights and the dropout the same each time. None draws them from
        TensorFlow's global state, which is read but never seeded here.

    Returns
    -------
    tf.keras.Sequential
        The network, not compiled. Its layers are named ``conv_1``, ``pool_1``, ``conv_2``,
        ``pool_2``, ``flatten``, ``dense``, ``dropout`` (if any) and ``logits``; inputs are float
        arrays of shape ``(n, *input_shape)``, outputs probabilities of shape ``(n, classes)``.

    Raises
    ------
    ValueError
        For an input shape that is not three positive integers, or is too small for the pooling,
        and for any other argument out of its range.

    Notes
    -----
    The paper states the kinds of layers and their order; sizes that it leaves open are arguments,
    whose defaults are the usual ones of this network.
    """
    _check_arguments(input_shape, classes, filters, kernel_size, pool_size, units, padding, dropout)
    _check_pooling(input_shape, kernel_size, pool_size, padding)
    layers = tf.keras.layers
    seeds = _layer_seeds(seed, count=5)
    convolution = {"kernel_size": kernel_size, "padding": padding, "activation": "relu"}

    def initializer(layer: int) -> tf.keras.initializers.Initializer:
        return tf.keras.initializers.get(
            {"class_name": kernel_initializer, "config": {"seed": seeds[layer]}}
        )

    hidden = [
        layers.Conv2D(filters[0], kernel_initializer=initializer(0), name="conv_1", **convolution),
        layers.MaxPooling2D(pool_size, name="pool_1"),
        layers.Conv2D(filters[1], kernel_initializer=initializer(1), name="conv_2", **convolution),
        layers.MaxPooling2D(pool_size, name="pool_2"),
        layers.Flatten(name="flatten"),
        layers.Dense(units, activation="relu", kernel_initializer=initializer(2), name="dense"),
    ]
    if dropout:
        hidden.append(layers.Dropout(dropout, seed=seeds[4], name="dropout"))
    # The softmax is the last layer's activation rather than a layer of its own because
    # iNNvestigate's model_wo_softmax only knows how to strip the former.
    logits = layers.Dense(
        classes, activation="softmax", kernel_initializer=initializer(3), name="logits"
    )
    return tf.keras.Sequential(
        [tf.keras.Input(input_shape, name="image"), *hidden, logits], name="two_conv"
    )


def fit_with_adam(
    model: tf.keras.Sequential,
    batches: tf.data.Dataset,
    *,
    epochs: int,
    learning_rate: float | tf.keras.optimizers.schedules.LearningRateSchedule,
    steps_per_epoch: int | None = None,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    verbose: int = 0,
) -> dict[str, list[float]]:
    """Train 2CONV with Adam on the cross-entropy.

    Parameters
    ----------
    model
        Is compiled and trained in place.
    batches
        Pairs of a batch of images and a batch of labels, in the order of the training.
    epochs
        Number of epochs.
    learning_rate
        Of Adam.
    steps_per_epoch
        Number of batches in an epoch. None: those that `batches` gives before it ends.
    callbacks
        As Keras has them.
    verbose
        How much Keras prints.

    Returns
    -------
    dict
        ``loss`` and ``accuracy`` on the training images, one value an epoch.

    Raises
    ------
    KeyboardInterrupt
        Between two batches, after Ctrl-C.
    """
    model.compile(
        tf.keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    with interrupted_after_a_batch() as interruption:
        # The batches are in random order already, and Keras 3 warns where it is asked for another.
        history: dict[str, list[Any]] = model.fit(
            batches,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            verbose=verbose,
            callbacks=[*callbacks, interruption],
        ).history
    return {name: [float(value) for value in values] for name, values in history.items()}


def _layer_seeds(seed: int | None, count: int) -> list[int | None]:
    """Return independent seeds, so that no two layers start from the same random numbers."""
    if seed is None:
        return [None] * count
    states = np.random.SeedSequence(whole_number("seed", seed, least=0)).generate_state(count)
    # TensorFlow's seeds are signed 32-bit numbers.
    return [int(state >> 1) for state in states]


def _check_arguments(
    input_shape: tuple[int, int, int],
    classes: int,
    filters: tuple[int, int],
    kernel_size: int,
    pool_size: int,
    units: int,
    padding: str,
    dropout: float,
) -> None:
    """Raise ValueError for the first argument that makes no network."""
    if len(input_shape) != 3:
        raise ValueError(
            f"input_shape={input_shape!r}: expected height, width and channels; a grey image of "
            "28 x 28 pixels has (28, 28, 1)"
        )
    if len(filters) != 2:
        raise ValueError(
            f"filters={filters!r}: expected two numbers, those of the first and of the second "
            "convolution's filters"
        )
    sizes = {
        "classes": classes,
        "kernel_size": kernel_size,
        "pool_size": pool_size,
        "units": units,
        **{f"input_shape[{axis}]": size for axis, size in enumerate(input_shape)},
        **{f"filters[{position}]": number for position, number in enumerate(filters)},
    }
    for name, size in sizes.items():
        whole_number(name, size, least=1)
    one_of("padding", padding, ("same", "valid"))
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout!r}: expected a share of at least 0 and below 1")


def _check_pooling(
    input_shape: tuple[int, int, int], kernel_size: int, pool_size: int, padding: str
) -> None:
    """Raise ValueError when nothing would be left of the image after the second pooling."""
    for name, length in zip(("height", "width"), input_shape[:2], strict=True):
        for _ in range(2):
            length = (length - kernel_size + 1 if padding == "valid" else length) // pool_size
        if length < 1:
            raise ValueError(
                f"the {name} of input_shape {input_shape!r} is too small for two convolutions "
                f"(kernel_size {kernel_size}, padding {padding!r}) and two poolings (pool_size "
                f"{pool_size}): nothing is left of the image; use larger images, smaller kernels "
                "or padding='same'"
            )
