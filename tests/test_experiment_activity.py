"""The share of active neurons, against counts by going through outputs and pools."""

from __future__ import annotations

import numpy as np
import pytest
from tensorflow import keras

from experiments.activity import active_shares
from experiments.two_conv_settings import Settings, build

SMALL = Settings(input_shape=(8, 8, 1), classes=3, filters=(4, 5), kernel_size=3, units=16)


def test_active_shares_are_those_of_the_layers_outputs() -> None:
    model = build(SMALL, seed=3)
    # Biases away from 0, so that the share is not by symmetry about a half.
    random = np.random.default_rng(0)
    model.set_weights(
        [weights + random.normal(0, 0.05, weights.shape) for weights in model.get_weights()]
    )
    x = random.random((7, 8, 8, 1)).astype(np.float32)
    outputs = keras.Model(
        model.inputs[0], [model.get_layer(name).output for name in ("conv_1", "conv_2", "dense")]
    )
    conv_1, conv_2, dense = (output.numpy() for output in outputs(x))

    shares = active_shares(model, x)

    def winning(output: np.ndarray) -> float:
        """Count the largest of each 2 x 2 pool, where it is above 0, by going through the pools."""
        images, height, width, channels = output.shape
        wins = 0
        for image in range(images):
            for channel in range(channels):
                for row in range(0, height, 2):
                    for column in range(0, width, 2):
                        wins += output[image, row : row + 2, column : column + 2, channel].max() > 0
        return wins / output.size

    assert shares.layers == pytest.approx(
        {
            "conv_1": (conv_1 > 0).mean(),
            "conv_2": (conv_2 > 0).mean(),
            "dense": (dense > 0).mean(),
        }
    )
    assert shares.subnetwork_layers == pytest.approx(
        {
            "conv_1": winning(conv_1),
            "conv_2": winning(conv_2),
            "dense": (dense > 0).mean(),
        }
    )
    everything = np.concatenate([output.reshape(7, -1) for output in (conv_1, conv_2, dense)], 1)
    assert shares.overall == pytest.approx((everything > 0).mean())
    assert shares.subnetwork_overall < shares.overall
