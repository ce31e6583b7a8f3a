"""Propositions 1 and 2 against what TensorFlow's tape says of a Keras model itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import insens_tf

__all__ = ["projection_errors"]


def projection_errors(
    model: tf.keras.Model, x: NDArray[np.float32], layer: str, neurons: NDArray[np.int64]
) -> tuple[float, float]:
    """Return how far Propositions 1 and 2 are from what TensorFlow's tape says of a model.

    Parameters
    ----------
    model
        2CONV.
    x
        Images, (n, height, width, channels).
    layer
        The name of a hidden layer.
    neurons
        Flat numbers of some of its neurons.

    Returns
    -------
    of_v : float
        The largest abs(v - (x w + b)), where b is the sum of the biases times the derivatives of v
        by them, in units of the layer's largest abs(v).
    of_contributions : float
        The largest abs(v - the sum of the contributions), in the same units.
    """
    found = insens_tf.SwitchedNetwork(model).project(x, layer, neurons)
    of_v, of_contributions, largest = 0.0, 0.0, 0.0
    layers = list(model.layers)
    last = [one.name for one in layers].index(layer)
    biases = [one.bias for one in layers[: last + 1] if getattr(one, "bias", None) is not None]
    for number, image in enumerate(x):
        with tf.GradientTape(persistent=True) as tape:
            values = tf.convert_to_tensor(image[np.newaxis])
            for one in layers[:last]:
                values = one(values, training=False)
            activity = tf.reshape(_before_activation(layers[last], values), [-1])
            chosen = [activity[int(neuron)] for neuron in neurons]
        largest = max(largest, float(tf.reduce_max(tf.abs(activity))))
        for place, v in enumerate(chosen):
            derivatives = tape.gradient(v, biases)
            bias = sum(
                float(np.vdot(np.asarray(b, np.float64), np.asarray(derivative, np.float64)))
                for b, derivative in zip(biases, derivatives, strict=True)
                if derivative is not None
            )
            weights = found.weights[number, place].astype(np.float64)
            of_v = max(of_v, abs(float(v) - (float((image * weights).sum()) + bias)))
            if (weights != 0).any():
                total = found.contribution[number, place].sum(dtype=np.float64)
                of_contributions = max(of_contributions, abs(float(v) - float(total)))
    return of_v / largest, of_contributions / largest


def _before_activation(layer: Any, values: tf.Tensor) -> tf.Tensor:
    """Return what a layer gives before its activation function."""
    activation = layer.activation
    layer.activation = tf.identity
    try:
        return layer(values, training=False)
    finally:
        layer.activation = activation
