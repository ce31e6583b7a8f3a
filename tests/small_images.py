"""The smallest network of images that commands are tried on."""

from __future__ import annotations

import numpy as np
from tensorflow import keras

__all__ = ["SIDE", "small_convolutional"]

SIDE = 8
"""Height and width of its images, of one channel."""


def small_convolutional(outputs: int) -> keras.Model:
    """Return a convolution, a pooling and two dense layers, with random weights."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(6, activation="relu", name="dense"),
            layers.Dense(outputs, activation="softmax", name="logits"),
        ]
    )
    generator = np.random.default_rng(0)
    model.set_weights([generator.standard_normal(w.shape) / 2 for w in model.get_weights()])
    return model
