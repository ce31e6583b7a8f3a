"""Networks with random weights, and random inputs, both from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

__all__ = ["images", "vgg_like"]


def images(input_shape: Sequence[int], count: int, *, seed: int = 0) -> np.ndarray:
    """Return inputs that are uniform noise in 0..1, float32, (count, *input_shape)."""
    return np.random.default_rng(seed).random((count, *input_shape), np.float32)


def vgg_like(
    input_shape: Sequence[int], convolutions: Sequence[int], *, seed: int = 0
) -> tf.keras.Sequential:
    """Build blocks of convolutions 3x3 with ReLU, each block ending in max pooling 2; 10 outputs.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width and channels.
    convolutions : sequence of int
        How many convolutions each block has. The network's first one has 32 filters, every other
        64; they are named conv_1, conv_2 and so on.
    seed : int
        Of the weights, Glorot's uniform. Biases are 0.
    """
    layers = tf.keras.layers
    seeds = iter(np.random.SeedSequence(seed).generate_state(sum(convolutions) + 1).tolist())
    model = tf.keras.Sequential([layers.Input(tuple(input_shape))])
    number = 0
    for block in convolutions:
        for _ in range(block):
            number += 1
            model.add(
                layers.Conv2D(
                    32 if number == 1 else 64,
                    3,
                    padding="same",
                    activation="relu",
                    kernel_initializer=tf.keras.initializers.GlorotUniform(next(seeds)),
                    name=f"conv_{number}",
                )
            )
        model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
    model.add(layers.Dense(10, kernel_initializer=tf.keras.initializers.GlorotUniform(next(seeds))))
    return model
