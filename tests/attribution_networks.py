"""Networks on which iNNvestigate's methods are held against ours: more than the baselines' tests.

Nothing here imports insens_tf; `build` and `images` are those of `tests.baselines_cases`.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorflow import keras

from tests import baselines_cases
from tests.baselines_cases import with_fixed_weights

__all__ = ["NETWORKS", "build"]

layers = keras.layers

BIAS = 0.05


def dropout(_: bool = False) -> keras.Model:
    """Dense layers with dropout between them; softmax as an argument."""
    return keras.Sequential(
        [
            layers.InputLayer((9,)),
            layers.Dense(12, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(4, activation="softmax"),
        ]
    )


def normalized_after_relu(_: bool = False) -> keras.Model:
    """Batch normalisation after ReLU, of a convolution and of a dense layer."""
    return keras.Sequential(
        [
            layers.InputLayer((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.BatchNormalization(scale=False),
            layers.Dense(4, activation="softmax"),
        ]
    )


def strides_and_paddings(_: bool = False) -> keras.Model:
    """Strides and paddings of each kind, zeros around and an uneven kernel."""
    return keras.Sequential(
        [
            layers.InputLayer((11, 10, 2)),
            layers.Conv2D(3, 3, strides=2, padding="same", activation="relu"),
            layers.ZeroPadding2D((1, 2)),
            layers.Conv2D(4, (3, 2), strides=(1, 2), padding="valid", activation="relu"),
            layers.Conv2D(3, 2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def overlapping_pooling(_: bool = False) -> keras.Model:
    """Windows of pooling that overlap, the largest and the mean, padded and not."""
    return keras.Sequential(
        [
            layers.InputLayer((10, 10, 1)),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(3, strides=2, padding="same"),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(3, strides=1),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def no_bias(_: bool = False) -> keras.Model:
    """No bias anywhere."""
    return keras.Sequential(
        [
            layers.InputLayer((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", use_bias=False),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(6, activation="relu", use_bias=False),
            layers.Dense(4, activation="softmax", use_bias=False),
        ]
    )


NETWORKS: dict[str, Callable[[bool], keras.Model]] = {
    **baselines_cases.MODELS,
    **{
        kind.__name__: kind
        for kind in (
            dropout,
            normalized_after_relu,
            strides_and_paddings,
            overlapping_pooling,
            no_bias,
        )
    },
}
"""By name what makes a network, without its weights."""


def build(name: str) -> keras.Model:
    """Make a network, whose weights are a function of its name alone."""
    model = with_fixed_weights(name, NETWORKS[name](False))
    if name not in baselines_cases.MODELS:
        # Small biases: iNNvestigate adds the whole of one to the negative parts of a sum too, and
        # where that comes near to 0 there are no digits left to compare.
        for layer in model.layers:
            weights = layer.get_weights()
            if getattr(layer, "use_bias", False):
                layer.set_weights([*weights[:-1], BIAS * weights[-1]])
    return model
