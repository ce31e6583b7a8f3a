"""Keras models from files: every form, and nothing of a stranger's that runs or reads more."""

from __future__ import annotations

import io
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
from tensorflow import keras

from insens_tf.files import (
    UnusableFileError,
    arrays,
    begins_with_scaling,
    check_model_path,
    load_model,
)

# Keras 3 neither writes nor reads SavedModels.
KERAS_2 = not getattr(keras, "__version__", "2.").startswith("3.")
keras_2_only = pytest.mark.skipif(not KERAS_2, reason="Keras 3 knows neither form")
FORMS = ["model.keras", "model.h5", *(["saved_model"] if KERAS_2 else [])]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def save_model(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that .h5 is old
        model.save(path)
    return path


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_model_back(model: keras.Model, tmp_path: Path, name: str) -> None:
    loaded = load_model(save_model(model, tmp_path / name))
    assert isinstance(loaded, keras.Model)
    x = np.random.default_rng(0).uniform(size=(3, 6, 6, 1)).astype(np.float32)
    assert np.array_equal(loaded(x), model(x))


@pytest.mark.parametrize("written", ["1.0.0", "2.9.1", "7.1.0"])
def test_a_model_of_another_keras_is_said_to_be_one(
    model: keras.Model, tmp_path: Path, written: str
) -> None:
    whole = save_model(model, tmp_path / "whole.keras")
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(whole) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name.endswith("json"):
                settings = json.loads(content)
                if name == "metadata.json":
                    settings["keras_version"] = written
                else:
                    settings["config"]["layers"][1]["config"]["unheard_of"] = 1
                content = json.dumps(settings).encode()
            after.writestr(name, content)
    said = rf"other\.keras \(written by Keras {re.escape(written)}, and this is \d.*\) cannot be"
    own = written.startswith("2." if KERAS_2 else "3.")
    with pytest.raises(UnusableFileError, match="cannot be loaded" if own else said) as caught:
        load_model(path)
    assert ("written by" in str(caught.value)) == (not own)
    assert ("tf_keras" in str(caught.value)) == (written.startswith("2.") and not own)


def test_paths_that_are_no_model_are_refused(tmp_path: Path) -> None:
    def refuse(name: str, message: str) -> None:
        with pytest.raises(UnusableFileError, match=message):
            check_model_path(tmp_path / name)

    (tmp_path / "text.keras").write_text("not a model")
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "empty.keras").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder").mkdir()
    refuse("tex.keras", r"does not exist.*did you mean .*text\.keras\?")
    refuse("nowhere/model.keras", "there is no folder .*nowhere either")
    refuse("text.keras", "is no saved Keras model")
    refuse("text.h5", "is no saved Keras model")
    refuse("empty.keras", "is no saved Keras model")
    refuse("notes.txt", r"ends in '\.txt'; expected a \.keras file")
    refuse("folder", r"without saved_model\.pb")


def test_damaged_models_are_refused_in_one_line(model: keras.Model, tmp_path: Path) -> None:
    for name in ("model.keras", "model.h5"):
        whole = save_model(model, tmp_path / name).read_bytes()
        damaged = tmp_path / f"damaged_{name}"
        damaged.write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(UnusableFileError, match="damaged_") as caught:
            load_model(damaged)
        assert "\n" not in str(caught.value)


def test_files_that_hold_no_keras_model_are_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    with zipfile.ZipFile(tmp_path / "archive.keras", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(UnusableFileError, match=r"archive without config\.json"):
        load_model(tmp_path / "archive.keras")
    with h5py.File(tmp_path / "only.h5", "w") as file:  # as save_weights writes it
        file["weights"] = np.zeros(3)
    with pytest.raises(UnusableFileError, match="holds weights only"):
        load_model(tmp_path / "only.h5")
    module = tf.Module()
    module.variable = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "module"))
    expected = r"without a Keras model in it.*model\.save" if KERAS_2 else "install tf_keras"
    with pytest.raises(UnusableFileError, match=expected):
        load_model(tmp_path / "module")


# --- models of strangers ------------------------------------------------------------------------

RAN = "A_MODEL_FILE_RAN_CODE"


@pytest.mark.parametrize("name", FORMS)
def test_code_in_a_model_is_not_run(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RAN, raising=False)

    code = keras.layers.Lambda(
        lambda x: (__import__("os").environ.update(A_MODEL_FILE_RAN_CODE="1"), x)[1],
        output_shape=(2,),
    )
    model = keras.Sequential([keras.Input((2,)), code])
    path = save_model(model, tmp_path / name)
    os.environ.pop(RAN, None)
    with pytest.raises(UnusableFileError, match="holds a Lambda"):
        load_model(path)
    assert RAN not in os.environ


def changed(path: Path, change: Callable[[list[Any]], None]) -> Path:
    """Change the configuration of the layers in a `.keras` or `.h5` file."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            change(config["config"]["layers"])
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config["config"]["layers"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else content)
    return path


@pytest.mark.parametrize("form", ["model.keras", "model.h5"])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("antigravity", "Anything"),
        ("os", "system"),
        ("builtins", "exec"),
        ("keras.utils", "get_file"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.models", "load_model"),
        ("keras.layers.evil/../os", "system"),
        ("insens_tf.files", "whole_file"),
        ("tensorflow", "io.write_file"),
    ],
)
def test_nothing_is_looked_up_outside_of_keras(
    model: keras.Model, tmp_path: Path, form: str, module: str, name: str
) -> None:
    function = {"module": module, "class_name": "function", "config": name}
    for number, change in enumerate(
        [
            lambda layers: layers[-1].update(module=module, class_name=name),
            lambda layers: layers[-1]["config"].update(activation=function),
        ]
    ):
        path = save_model(model, tmp_path / f"{number}_{form}")
        with pytest.raises(UnusableFileError, match=f"of the module {re.escape(module)}, which"):
            load_model(changed(path, change))


@pytest.mark.parametrize("form", ["model.keras", "model.h5"])
@pytest.mark.parametrize(
    "kind",
    ["Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "StringLookup", "keras>Lambda"],
)
def test_layers_that_bring_more_than_arithmetic_are_refused(
    model: keras.Model, tmp_path: Path, form: str, kind: str
) -> None:
    path = save_model(model, tmp_path / form)
    layer = {"class_name": kind, "config": {"name": "stranger", "vocabulary": "/etc/hostname"}}
    with pytest.raises(UnusableFileError, match=f"holds a {kind}: .*build the model in Python"):
        load_model(changed(path, lambda layers: layers.append(layer)))


@keras_2_only
def test_functions_of_tensorflow_only_compute(tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs) + 1.0)
    path = save_model(model, tmp_path / "model.h5")
    loaded = load_model(path)
    assert np.array_equal(loaded(np.ones((1, 2))), model(np.ones((1, 2))))
    written = tmp_path / "written"

    def write(layers: list[Any]) -> None:
        (layer,) = [one for one in layers if one["class_name"] == "TFOpLambda"]
        layer["config"]["function"] = "io.write_file"
        # With nothing but constants it would be called, and write, as the model is loaded.
        layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, str(written), {"contents": "text"}]]

    with pytest.raises(UnusableFileError, match=r"calls TensorFlow's io\.write_file"):
        load_model(changed(path, write))
    assert not written.exists()


@keras_2_only
def test_no_graph_of_a_saved_model_is_read(model: keras.Model, tmp_path: Path) -> None:
    path = save_model(model, tmp_path / "saved_model")
    graph = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(graph[: len(graph) // 2])
    x = np.random.default_rng(0).uniform(size=(3, 6, 6, 1)).astype(np.float32)
    assert np.array_equal(load_model(path)(x), model(x))
    (path / "keras_metadata.pb").write_bytes(b"no metadata")
    with pytest.raises(UnusableFileError, match="saved_model cannot be read"):
        load_model(path)


@keras_2_only
def test_a_saved_model_has_all_its_weights_back(tmp_path: Path) -> None:
    layers = keras.layers
    inputs = keras.Input((6, 6, 1))
    once = layers.Conv2D(2, 3, name="once")(inputs)
    branch = layers.Add()([once, layers.BatchNormalization()(once)]) * 2.0
    nested = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Normalization(mean=[1.0, 2.0], variance=[3.0, 4.0]),
            layers.Flatten(),
            layers.Dense(3),
            layers.PReLU(),
        ]
    )
    model = keras.Model(inputs, nested(branch))
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(size=np.shape(one)) for one in model.get_weights()])
    loaded = load_model(save_model(model, tmp_path / "saved_model"))
    x = generator.uniform(size=(3, 6, 6, 1)).astype(np.float32)
    assert np.array_equal(loaded(x), model(x))


def weights_of(path: Path, change: Callable[[Any], None]) -> Path:
    """Change the weights in a `.keras` or `.h5` file."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            change(file)
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        change(file)
    parts["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("form", ["model.keras", "model.h5"])
def test_weights_are_in_the_file_itself(model: keras.Model, tmp_path: Path, form: str) -> None:
    def external_link(file: Any) -> None:
        file["stranger"] = h5py.ExternalLink("/etc/other.h5", "/weights")

    def soft_link(file: Any) -> None:
        file["stranger"] = h5py.SoftLink("/")

    def external_data(file: Any) -> None:
        where = [(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("stranger", (4,), "f4", external=where)

    def virtual_data(file: Any) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("/etc/other.h5", "weights", (4,))
        file.create_virtual_dataset("stranger", layout)

    def bomb(file: Any) -> None:
        file.create_dataset("stranger", (10**6, 10**6), "f4", chunks=(100, 100))

    for number, (change, message) in enumerate(
        [
            (external_link, "refers to another file for its weights stranger"),
            (soft_link, "holds a link, stranger"),
            (external_data, "refers to another file for its weights stranger"),
            (virtual_data, "refers to another file for its weights stranger"),
            (bomb, "to 4,000,000,000,000 bytes, which is taken for a decompression bomb"),
        ]
    ):
        path = save_model(model, tmp_path / f"{number}_{form}")
        with pytest.raises(UnusableFileError, match=message):
            load_model(weights_of(path, change))


def test_members_of_a_keras_file_stay_in_it_and_small(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("../outside.txt", "/outside.txt", "assets/../../outside.txt"):
        path = save_model(model, tmp_path / "model.keras")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "text")
        with pytest.raises(UnusableFileError, match=r"outside\.txt, outside of itself"):
            load_model(path)
    path = save_model(model, tmp_path / "model.keras")
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("assets/bomb", "w", force_zip64=True) as bomb,
    ):
        bomb.write(bytes(2**25))
    monkeypatch.setattr(arrays, "_LARGE", 2**24)  # writing larger ones takes long
    with pytest.raises(UnusableFileError, match="taken for a decompression bomb"):
        load_model(path)


def test_a_model_that_scales_its_inputs_is_known() -> None:
    layers = keras.layers
    scaling = layers.Rescaling(1 / 255)
    inner = keras.Sequential([keras.Input((4, 4, 1)), scaling, layers.Flatten()])
    assert begins_with_scaling(inner)
    assert begins_with_scaling(keras.Sequential([keras.Input((4, 4, 1)), inner]))
    assert not begins_with_scaling(
        keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Rescaling(2.0)])
    )
    assert not begins_with_scaling(keras.Sequential())
