"""What Insens is compared with. Each function returns a run that computes what it is named after.

Where a work would take minutes, it is a sample of it: the caller chooses which neurons.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import tensorflow as tf

import insens_tf
from benchmarks.timing import Run

__all__ = [
    "STEPS",
    "activity_model",
    "analysis",
    "gradient",
    "integrated_gradients",
    "jacobian_rows",
    "neuron_gradients",
]

STEPS = 64


def integrated_gradients(
    model: Any, x: np.ndarray, *, at_a_time: int = 8, steps: int = STEPS
) -> Run:
    """Return IG64, the unit: integrated gradients of each input's predicted class, in 64 steps.

    One compiled function, called for one input after the other (Sundararajan et al., 2017,
    arXiv:1703.01365; from a reference of 0, by the midpoint rule).

    Parameters
    ----------
    model : Keras model
    x : numpy.ndarray, shape (n, *input_shape)
    at_a_time : int
        How many steps are a batch; the unit's are eight.
    steps : int
        How many steps there are; the unit's are 64, fewer are a sample of it.
    """
    shares = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    batches = shares.reshape(-1, at_a_time, *(1,) * (x.ndim - 1))

    @tf.function
    def attribute(image: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        total = tf.zeros_like(image)
        for batch in batches:
            between = image * batch
            with tf.GradientTape() as tape:
                tape.watch(between)
                score = tf.gather(model(between), label, axis=1)
            total += tf.reduce_sum(tape.gradient(score, between), axis=0, keepdims=True)
        return image * total / steps

    images, labels = _one_by_one(x), [tf.constant(label) for label in _predicted(model, x)]
    return lambda: np.concatenate(
        [attribute(image, label).numpy() for image, label in zip(images, labels)]
    )


def gradient(model: Any, x: np.ndarray) -> Run:
    """Return the gradient of each input's predicted class, all in one compiled call."""
    images, labels = tf.constant(x), tf.constant(_predicted(model, x))

    @tf.function
    def derive(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = tf.gather(model(images), labels, axis=1, batch_dims=1)
        return tape.gradient(scores, images)

    return lambda: derive(images).numpy()


def activity_model(model: Any, layer: str) -> tf.keras.Model:
    """Return the model up to what a layer's neurons compute before their ReLU."""
    original = model.get_layer(layer)
    twin = type(original).from_config({**original.get_config(), "activation": "linear"})
    part = tf.keras.Model(model.inputs[0], twin(original.input))
    twin.set_weights(original.get_weights())
    return part


def neuron_gradients(
    part: tf.keras.Model, x: np.ndarray, neurons: np.ndarray, *, compiled: bool = False
) -> Run:
    """Return a gradient for each of some neurons, one call after the other.

    Parameters
    ----------
    part : tf.keras.Model
        As `activity_model` returns it.
    x : numpy.ndarray, shape (n, *input_shape)
        The first neuron is differentiated at the first input, and so on in turn.
    neurons : numpy.ndarray of int
        Flat indices.
    compiled : bool
        Whether a call is one `tf.function`, or eager.
    """

    def derive(image: tf.Tensor, neuron: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(image)
            activity = tf.reshape(part(image), [-1])[neuron]
        return tape.gradient(activity, image)

    function = tf.function(derive) if compiled else derive
    images = _one_by_one(x)
    calls = [
        (images[number % len(images)], tf.constant(neuron)) for number, neuron in enumerate(neurons)
    ]
    return lambda: np.concatenate([function(image, neuron).numpy() for image, neuron in calls])


def jacobian_rows(part: tf.keras.Model, x: np.ndarray, neurons: np.ndarray) -> Run:
    """Return some neurons' rows of the Jacobian by one compiled `GradientTape.batch_jacobian`.

    Parameters
    ----------
    part : tf.keras.Model
        As `activity_model` returns it.
    x : numpy.ndarray, shape (n, *input_shape)
    neurons : numpy.ndarray of int
        Flat indices.
    """

    @tf.function
    def derive(images: tf.Tensor, neurons: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            activity = tf.reshape(part(images), [len(x), -1])
            chosen = tf.gather(activity, neurons, axis=1)
        return tape.batch_jacobian(chosen, images)

    images, chosen = tf.constant(x), tf.constant(neurons)
    return lambda: derive(images, chosen).numpy()


def analysis(name: str, model: Any, x: np.ndarray) -> Run:
    """Return what one of iNNvestigate's analyzers gives."""
    analyzer = insens_tf.create_analyzer(name, model, source="innvestigate")

    def analyze() -> np.ndarray:
        with warnings.catch_warnings():
            # Of what a map is like; here it is about what it costs.
            warnings.simplefilter("ignore", UserWarning)
            return analyzer.analyze(x, progress=False)

    return analyze


def _predicted(model: Any, x: np.ndarray) -> np.ndarray:
    return model(x).numpy().argmax(axis=1)


def _one_by_one(x: np.ndarray) -> list[tf.Tensor]:
    return [tf.constant(x[row : row + 1]) for row in range(len(x))]
