"""What a model's file says is what Keras makes of it."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tensorflow import keras

from insens_tf.files import UnusableFileError, begins_with_scaling, load_model, stored_model
from tests.architectures import ARCHITECTURES, KERAS_2, build

layers = keras.layers


def save(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that .h5 is old
        model.save(path)
    return path


def shapes_of(model: Any, prefix: str = "") -> dict[str, tuple[int | None, ...]]:
    """The shape of what each layer computes, of those that are used once."""
    shapes: dict[str, tuple[int | None, ...]] = {}
    for layer in model.layers:
        nested = getattr(layer, "layers", None)
        if nested:
            shapes |= shapes_of(layer, f"{prefix}{layer.name}/")
        try:
            shapes[prefix + layer.name] = tuple(layer.output.shape[1:])
        except (AttributeError, ValueError):
            continue  # used several times
    return shapes


def assert_as_keras_has_it(path: Path) -> int:
    """What is said is true; returns of how many layers a shape is known."""
    stored, model = stored_model(path), load_model(path)
    assert stored.input_shape == tuple(model.inputs[0].shape[1:])
    assert stored.begins_with_scaling == begins_with_scaling(model)
    shapes = shapes_of(model)
    names = {layer.name for layer in model.layers if type(layer).__name__ != "InputLayer"}
    assert names <= set(stored.layers)
    known = {name: shape for name, shape in stored.layers.items() if shape is not None}
    for name, shape in known.items():
        assert shape == shapes.get(name, shape), name
    return len(known)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_shapes_names_and_scaling_are_known(tmp_path: Path, ending: str) -> None:
    image = keras.Input((9, 8, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", name="strided")(x)
    x = layers.BatchNormalization(name="normalised")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(5, 2, dilation_rate=2, activation="relu", name="dilated")(x)
    shared = layers.Dense(5, name="shared")
    x = layers.Add()([shared(x), shared(layers.MaxPooling2D(1)(x))])
    inner = keras.Sequential(
        [keras.Input((3, 6, 5)), layers.Conv2D(2, 2, name="conv")], name="inner"
    )
    x = layers.Flatten()(inner(x))
    path = save(keras.Model(image, layers.Dense(2, name="logits")(x)), tmp_path / f"x.{ending}")
    assert_as_keras_has_it(path)
    stored = stored_model(path)
    assert stored.begins_with_scaling
    assert "inner/conv" in stored.layers
    assert stored.with_relu == {"dilated"}
    if ending == "keras":
        expected = {
            "strided": (5, 8, 4),
            "normalised": (5, 8, 4),
            "dilated": (3, 6, 5),
            "shared": None,
            "logits": (2,),
            "relu": None,
        }
        assert {name: stored.layers[name] for name in expected} == expected


@pytest.mark.parametrize("name", sorted(ARCHITECTURES)[::5])
def test_what_is_said_of_architectures_is_true(tmp_path: Path, name: str) -> None:
    assert_as_keras_has_it(save(build(name), tmp_path / "x.keras"))


def test_a_sequential_model_that_begins_with_another(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((4, 4, 1)), layers.Rescaling(2.0), layers.Flatten()])
    path = save(keras.Sequential([inner, layers.Dense(2, name="d")]), tmp_path / "x.keras")
    stored = stored_model(path)
    assert stored.begins_with_scaling
    assert stored.input_shape == (4, 4, 1)


def test_several_inputs_or_unknown_words_are_not_guessed(tmp_path: Path) -> None:
    ends = [keras.Input((4, 4, 1)), keras.Input((4, 4, 1))]
    model = keras.Model(ends, layers.Flatten()(layers.Add()(ends)))
    path = save(model, tmp_path / "two.keras")
    assert stored_model(path).input_shape is None
    with zipfile.ZipFile(path, "r") as before, zipfile.ZipFile(tmp_path / "x.keras", "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"] = ["written otherwise"]
                content = json.dumps(config).encode()
            after.writestr(name, content)
    stored = stored_model(tmp_path / "x.keras")
    assert (stored.input_shape, stored.layers) == (None, {})
    if KERAS_2:
        save(model, tmp_path / "folder")
        assert stored_model(tmp_path / "folder").layers == {}


def test_code_is_refused_before_keras_is_there(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x)])
    with pytest.raises(UnusableFileError, match="holds a Lambda"):
        stored_model(save(model, tmp_path / "x.keras"))
