"""A network that is trained with another of Keras 3's backends, in files.

    KERAS_BACKEND=jax python tests/backend_models.py

writes `tests/data/trained_with_jax.keras`, as Keras saves it, and `trained_with_jax.npz`: inputs,
the outputs that the backend itself computes of them, and what made them; with KERAS_BACKEND=torch
likewise. It needs Keras 3, the backend and NumPy, in an environment of their own: no TensorFlow.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import keras  # type: ignore[import-untyped]
import numpy as np

SIDE = 8
DATA = Path(__file__).parent / "data"


def network() -> keras.Model:
    """Return convolutions with normalisations and a skip connection, and a dense layer."""
    layers = keras.layers
    x = keras.Input((SIDE, SIDE, 1), name="image")
    first = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv_1")(x)
    first = layers.ReLU(name="relu_1")(layers.BatchNormalization(name="norm_1")(first))
    second = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv_2")(first)
    second = layers.BatchNormalization(name="norm_2")(second)
    joined = layers.ReLU(name="relu_2")(layers.Add(name="skip")([first, second]))
    flat = layers.Flatten(name="flatten")(layers.MaxPooling2D(2, name="pool")(joined))
    hidden = layers.Dense(6, activation="relu", name="dense")(flat)
    return keras.Model(x, layers.Dense(2, activation="softmax", name="logits")(hidden))


def bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bright upright or lying bars on noise, (count, 8, 8, 1) in 0..1, and their labels."""
    generator = np.random.default_rng(seed)
    images = generator.uniform(0, 0.3, (count, SIDE, SIDE, 1)).astype(np.float32)
    labels = generator.integers(0, 2, count)
    for image, label, at in zip(images, labels, generator.integers(0, SIDE, count), strict=True):
        image[(at, slice(None)) if label else (slice(None), at)] += 0.7
    return images, labels


def main() -> None:
    """Train the network, and write it and what it says."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        sys.exit("KERAS_BACKEND is tensorflow; expected another one, such as jax or torch")
    keras.utils.set_random_seed(0)
    model = network()
    # No optimizer with a memory: it would be saved, too.
    model.compile(
        keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(*bars(400, seed=1), epochs=2, batch_size=20, verbose=2)
    x, _ = bars(4, seed=2)
    outputs = keras.ops.convert_to_numpy(model(x, training=False))
    made_with = {
        "python": platform.python_version(),
        **{name: version(name) for name in ("keras", backend, "numpy")},
    }
    DATA.mkdir(exist_ok=True)
    model.save(DATA / f"trained_with_{backend}.keras")
    np.savez_compressed(
        DATA / f"trained_with_{backend}.npz", x=x, outputs=outputs, made_with=json.dumps(made_with)
    )


if __name__ == "__main__":
    main()
