"""The command line: what it prints, what it writes, how it fails.

Its numbers and pixels are compared with the oracle. Commands are run inside this process but for
what is about processes, as each takes seconds to start TensorFlow.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow import keras

from insens_tf import SwitchedNetwork, __version__, cli, files, wrapped_grid
from insens_tf.analyzer import create_analyzer
from insens_tf.cli import drawing, messages, project_command
from insens_tf.innvestigate_contract import WHY_MISSING
from insens_tf.innvestigate_contract import analyzers as registry
from insens_tf.insens import SENSITIVITIES, STATES
from insens_tf.method_table import METHODS
from tests.architectures import KERAS_2
from tests.conftest import needs_innvestigate
from tests.oracle import Oracle, Reference

SIDE = 8
pytestmark = pytest.mark.xdist_group("command line")  # the trained model is made once


class Trained(NamedTuple):
    """A tiny trained model in a file, images in several, and what the oracle says of them."""

    folder: Path
    images: np.ndarray
    references: dict[str, Reference]
    training_references: dict[str, Reference]

    @property
    def model(self) -> str:
        return str(self.folder / "tiny.keras")

    @property
    def arrays(self) -> str:
        return str(self.folder / "images.npz")

    @property
    def pictures(self) -> str:
        return str(self.folder / "pictures")


def bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright upright or lying bars on a dark, empty ground; uint8."""
    generator = np.random.default_rng(seed)
    images = np.zeros((count, SIDE, SIDE), np.uint8)
    labels = generator.integers(0, 2, count)
    for image, label in zip(images, labels, strict=True):
        at = generator.integers(1, SIDE - 2)
        bar = generator.integers(128, 256, SIDE)
        if label:
            image[at] = bar
        else:
            image[:, at] = bar
    return images, labels


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("command_line")
    layers = keras.layers

    def initializer(seed: int) -> Any:
        return keras.initializers.GlorotUniform(seed=seed)

    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(3, 3, activation="relu", kernel_initializer=initializer(0), name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(6, activation="relu", kernel_initializer=initializer(1), name="dense"),
            layers.Dense(2, activation="softmax", kernel_initializer=initializer(2), name="logits"),
        ]
    )
    training, labels = bars(40, seed=1)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(training[..., np.newaxis] / 255, labels, epochs=3, shuffle=False, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that .h5 is old
        model.save(folder / "tiny.keras")
        model.save(folder / "tiny.h5")
        if KERAS_2:
            # Keras 3 neither writes nor reads SavedModels.
            model.save(folder / "tiny_saved_model")
    images, _ = bars(3, seed=2)
    np.savez(folder / "images.npz", x_train=training, x_test=images)
    (folder / "pictures").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / "pictures" / f"bar_{i}.png")
    oracle = Oracle(model)

    def references(pixels: np.ndarray) -> dict[str, Reference]:
        found = oracle.references(pixels[..., np.newaxis].astype(np.float32) / np.float32(255))
        return {reference.name: reference for reference in found}

    return Trained(folder, images, references(images), references(training))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "insens_tf", *arguments]


def environment() -> dict[str, str]:
    # As on a user's terminal: without the setting by which these tests keep TensorFlow quiet.
    variables = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).absolute().parents[2])}
    variables.pop("TF_CPP_MIN_LOG_LEVEL", None)
    return variables


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def table(text: str) -> list[list[str]]:
    """The rows of the table that a command prints, below its head."""
    lines = text.splitlines()
    rule = next(i for i, line in enumerate(lines) if set(line) == {"-", " "})
    ends = [match.span() for match in re.finditer("-+", lines[rule])]
    rows = [line for line in lines[rule + 1 :] if not line.startswith("Wrote")]
    return [[row[start:end].strip() for start, end in ends] for row in rows]


def pixels(path: Path) -> np.ndarray:
    """A heatmap's pixels, one a pixel of the map: every square must be of one colour."""
    rgb = np.asarray(Image.open(path))
    factor = len(rgb) // SIDE
    assert rgb.shape == (factor * SIDE, factor * SIDE, 3)
    small = rgb[::factor, ::factor]
    assert np.array_equal(small.repeat(factor, axis=0).repeat(factor, axis=1), rgb)
    return small


def frames(rgb: np.ndarray) -> tuple[list[int], list[int]]:
    """Where the pictures of an overview begin: below and to the right of their frames' corners."""
    grey = (rgb == 204).all(axis=-1)
    corners = grey[:-1, :-1] & grey[1:, :-1] & grey[:-1, 1:] & ~grey[1:, 1:]
    tops, lefts = (np.unique(found) + 1 for found in np.nonzero(corners))
    return tops.tolist(), lefts.tolist()


def assert_drawn(path: Path, expected: np.ndarray) -> None:
    """The PNG at `path` is the map `expected`: white at 0, red and blue where the signs are."""
    rgb = pixels(path).astype(int)
    strength = expected / np.abs(expected).max()
    red, green, blue = np.moveaxis(rgb, -1, 0)
    # Where the strength is that of half a step of the 255, either neighbour is right.
    visible = np.abs(strength) > 0.51 / 255
    assert (rgb[expected == 0] == 255).all()
    assert (red[visible & (expected > 0)] == 255).all()
    assert (blue[visible & (expected > 0)] < 255).all()
    assert (blue[visible & (expected < 0)] == 255).all()
    assert (red[visible & (expected < 0)] < 255).all()
    assert np.abs(255 * (1 - np.abs(strength)) - green).max() <= 0.51
    assert green.min() == 0


# --- what works ---------------------------------------------------------------------------------


def test_layers_lists_what_there_is_and_the_share_active(call: Any, trained: Trained) -> None:
    done = call("layers", trained.model, "--data", trained.arrays)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == (
        "Read 3 images of 8 x 8 x 1 from images.npz (x_test): uint8 pixels scaled from 0..255 to "
        "0..1."
    )
    active = {name: np.mean(one.activity > 0) for name, one in trained.references.items()}
    overall = (active["conv"] * 108 + active["dense"] * 6) / 114
    parts, proofs, shares = done.out.split("\n\n")
    found = [row[:4] + row[5:7] for row in table(parts)]
    assert [row for row in found if row[3] in ("hidden layer", "output")] == [
        ["0", "conv", "Conv2D", "hidden layer", "108", "3 x 3"],
        ["1", "dense", "Dense", "hidden layer", "6", "all"],
        ["", "logits", "Dense", "output", "2", "all"],
    ]
    assert found[-1] == ["", "all hidden layers", "", "", "114", ""]
    assert re.findall(r"over (\d+ \w+) inputs: (\S+),", proofs)[1][0] == "3 given"
    assert all(float(one) < 1e-6 for one in re.findall(r"inputs: (\S+),", proofs))
    constant = {
        name: [
            int(
                (one.activity > 0).all(axis=0).sum() if always else (one.activity <= 0).all(0).sum()
            )
            for always in (False, True)
        ]
        for name, one in trained.references.items()
    }
    both = {name: list(map(str, counts)) for name, counts in constant.items()}
    everywhere = [str(sum(constant[name][i] for name in ("conv", "dense"))) for i in (0, 1)]
    assert table(shares) == [
        ["0", "conv", "6 x 6 x 3", "108", f"{active['conv']:.1%}", *both["conv"]],
        ["1", "dense", "6", "6", f"{active['dense']:.1%}", *both["dense"]],
        ["", "all hidden layers", "", "114", f"{overall:.1%}", *everywhere],
    ]


def test_project_prints_and_draws_what_the_oracle_says(
    call: Any, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    done = call(
        *("project", trained.model, trained.pictures, "--layer", "conv"),
        *("--neuron", "0,1,2", "--neuron", "3,4,0", "--out", str(out)),
    )
    assert (done.code, done.err) == (0, "")
    assert os.listdir(tmp_path) == ["results"]
    assert sorted(os.listdir(out)) == ["heatmaps", "overview.png", "projection.npz", "run.json"]
    reference = trained.references["conv"]
    flat = [1 * 3 + 2, (3 * 6 + 4) * 3]
    printed = table(done.out)
    assert [row[:2] for row in printed] == [
        [f"bar_{i}.png", neuron] for i in range(3) for neuron in ("0,1,2", "3,4,0")
    ]
    for row, i, k in zip(printed, [0, 0, 1, 1, 2, 2], flat * 3, strict=True):
        v, b = reference.activity[i, k], reference.bias[i, k]
        assert float(row[2]) == pytest.approx(v, rel=1e-4, abs=1e-6)
        assert float(row[3]) == pytest.approx(b, rel=1e-4, abs=1e-6)
        assert row[4] == ("active" if v > 0 else "inactive")
    assert len(os.listdir(out / "heatmaps")) == 12
    for i in range(3):
        for k, name in zip(flat, ("0-1-2", "3-4-0"), strict=True):
            stem = f"{i}_bar_{i}_conv_{name}"
            weights = reference.weights[i, k, ..., 0]
            # A neuron of the first convolution sees 3 x 3 pixels; all others are white.
            assert np.count_nonzero(weights) <= 9
            assert_drawn(out / "heatmaps" / f"{stem}_weights.png", weights)
            contribution = reference.contribution[i, k, ..., 0]
            assert_drawn(out / "heatmaps" / f"{stem}_contribution.png", contribution)
    # A row an image and neuron: the image, the 3 x 3 pixels that the neuron sees, w, contribution.
    overview = np.asarray(Image.open(out / "overview.png").convert("RGB"))
    tops, lefts = frames(overview)
    assert (len(tops), len(lefts)) == (6, 4)
    factor = 112 // 3
    for top, i, seen in zip(tops, [0, 0, 1, 1, 2, 2], [np.s_[0:3, 1:4], np.s_[3:6, 4:7]] * 3):
        whole = overview[top + 7 : top + 112 : 14, lefts[0] + 7 : lefts[0] + 112 : 14, 0]
        assert np.array_equal(whole, trained.images[i])
        zoomed = overview[top : top + 3 * factor, lefts[1] : lefts[1] + 3 * factor, 0]
        assert np.array_equal(zoomed[18::factor, 18::factor], trained.images[i][seen])
    with np.load(out / "projection.npz", allow_pickle=False) as arrays:
        assert np.allclose(arrays["weights"], reference.weights[:, flat], atol=1e-6)
        assert np.allclose(arrays["activity"], reference.activity[:, flat], atol=1e-6)
        assert np.allclose(arrays["bias"], reference.bias[:, flat], atol=1e-6)
        assert np.allclose(arrays["centre"], reference.centre[:, flat], atol=1e-4)
        assert arrays["names"].tolist() == ["bar_0.png", "bar_1.png", "bar_2.png"]
        assert arrays["neurons"].tolist() == [[0, 1, 2], [3, 4, 0]]


def test_analyze_draws_insens_as_the_oracle_has_it(
    call: Any, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    done = call(
        *("analyze", trained.model, trained.pictures, "--layer", "conv", "--layer", "1"),
        *("--frequency-from", trained.arrays, "--out", str(out)),
    )
    assert (done.code, done.err) == (0, "")
    assert re.search(r"Read 40 images .* \(x_train\)", done.out)
    assert done.out.splitlines()[-1] == (f"Wrote insens.npz, 6 heatmaps and an overview to {out}.")
    assert os.listdir(tmp_path) == ["results"]
    files = ["frequency.npz", "heatmaps", "insens.npz", "overview.png", "run.json"]
    assert sorted(os.listdir(out)) == files
    with np.load(out / "insens.npz", allow_pickle=False) as arrays:
        for layer in ["conv", "dense"]:
            frequency = trained.training_references[layer].count / 40
            expected = trained.references[layer].insens(frequency)
            assert np.abs(expected).max() > 0
            found = arrays[f"insens/{layer}"]
            assert np.allclose(found, expected, atol=1e-5 * np.abs(expected).max())
            for i in range(3):
                # Roundings of float32 may tip a colour; the signs and zeros are the oracle's.
                rgb = pixels(out / "heatmaps" / f"{i}_bar_{i}_{layer}.png").astype(int)
                signed = expected[i, ..., 0]
                strength = signed / np.abs(signed).max()
                assert (rgb[signed == 0] == 255).all()
                assert (rgb[strength > 0.01][:, [0]] == 255).all()
                assert (rgb[strength < -0.01][:, [2]] == 255).all()
                assert np.abs(255 * (1 - np.abs(strength)) - rgb[..., 1]).max() <= 1
    record = json.loads((out / "run.json").read_text())
    assert record["command"] == "analyze"
    assert record["version"] == __version__
    assert record["layers"] == ["conv", "dense"]


@pytest.mark.slow
def test_compare_draws_the_maps_of_the_analyzers(
    call: Any, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    done = call(
        *("compare", trained.model, trained.pictures, "--methods", "gradient,smoothgrad"),
        *("--methods", "insens, lrp.epsilon", "--layer", "conv", "--layer", "-1"),
        *("--frequency-from", trained.arrays, "--out", str(out)),
    )
    assert (done.code, done.err) == (0, "")
    assert re.search(r"Read 40 images .* \(x_train\)", done.out)
    assert done.out.splitlines()[-1] == (f"Wrote maps.npz, 15 heatmaps and an overview to {out}.")
    assert os.listdir(tmp_path) == ["results"]
    files = ["frequency.npz", "heatmaps", "maps.npz", "overview.png", "run.json"]
    assert sorted(os.listdir(out)) == files
    assert len(os.listdir(out / "heatmaps")) == 15
    model = keras.models.load_model(trained.model)
    x = trained.images[..., np.newaxis].astype(np.float32) / np.float32(255)
    expected = {
        "gradient": create_analyzer("gradient", model).analyze(x),
        "smoothgrad": create_analyzer("smoothgrad", model, seed=0).analyze(x),
        "lrp.epsilon": create_analyzer("lrp.epsilon", model).analyze(x),
    }
    file_names = {name: name for name in expected}
    for layer in ["conv", "dense"]:
        frequency = trained.training_references[layer].count / 40
        expected[f"insens/{layer}"] = trained.references[layer].insens(frequency)
        file_names[f"insens/{layer}"] = f"insens_{layer}"
    outputs = model(x).numpy()
    with np.load(out / "maps.npz", allow_pickle=False) as arrays:
        assert {*arrays} - {*expected} == {
            *("names", "x", "outputs", "predicted_class", "probability")
        }
        assert arrays["names"].tolist() == ["bar_0.png", "bar_1.png", "bar_2.png"]
        assert np.array_equal(arrays["x"], x)
        assert np.array_equal(arrays["predicted_class"], outputs.argmax(axis=1))
        assert np.allclose(arrays["probability"], outputs.max(axis=1), atol=1e-6)
        for key, maps in expected.items():
            assert np.allclose(arrays[key], maps, atol=1e-5 * np.abs(maps).max())
            for i in range(3):
                path = out / "heatmaps" / f"{i}_bar_{i}_{file_names[key]}.png"
                assert_drawn(path, arrays[key][i, ..., 0])
    overview = np.asarray(Image.open(out / "overview.png").convert("RGB"))
    rows, columns = frames(overview)
    assert (len(rows), len(columns)) == (3, 6)
    keys = ["gradient", "smoothgrad", "insens/conv", "insens/dense", "lrp.epsilon"]
    factor = 112 // SIDE  # 112 screen pixels are what a picture takes
    for i, top in enumerate(rows):
        for left, key in zip(columns[1:], keys, strict=True):
            small = pixels(out / "heatmaps" / f"{i}_bar_{i}_{file_names[key]}.png")
            shown = overview[top : top + factor * SIDE, left : left + factor * SIDE]
            assert np.array_equal(shown[factor // 2 :: factor, factor // 2 :: factor], small)
    record = json.loads((out / "run.json").read_text())
    assert record["methods"] == ["gradient", "smoothgrad", "insens", "lrp.epsilon"]
    assert record["layers"] == ["conv", "dense"]


def test_compare_draws_the_methods_of_the_paper(
    call: Any, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []

    def keep(_: Path, *titles_and_rows: Any, **__: Any) -> None:
        written.extend(titles_and_rows)

    monkeypatch.setattr(drawing, "write_overviews", keep)
    out = tmp_path / "results"
    done = call("compare", trained.model, trained.pictures, "--out", str(out))
    assert done.code == 0
    assert "every neuron weighs the same" in done.out
    _, row_titles, column_titles = written
    outputs = keras.models.load_model(trained.model)(trained.images[..., np.newaxis] / 255).numpy()
    assert row_titles == [
        f"bar_{i}.png\nclass {row.argmax()}, {row.max():.1%}" for i, row in enumerate(outputs)
    ]
    paper = ["gradient", "integrated_gradients", "deep_taylor", "lrp.epsilon"]
    assert column_titles == ["input", *paper, "Insens dense"]
    with np.load(out / "maps.npz") as arrays:
        found = arrays["insens/dense"]
        assert np.allclose(found, trained.references["dense"].insens(), atol=1e-4)


@pytest.mark.parametrize(
    ("activation", "units", "title"),
    [
        ("softmax", 3, "class 2, 66.5%"),  # of the logits 0, 1, 2
        ("linear", 3, "class 2, 66.5%"),
        ("sigmoid", 3, "class 2, output 0.881"),  # independent classes
        ("linear", 1, "class 0, output 0.5"),
    ],
)
def test_the_probability_is_the_models_or_the_softmax_of_its_logits(
    call: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    activation: str,
    units: int,
    title: str,
) -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(units, activation)]
    )
    bias = np.arange(units, dtype=np.float32) if units > 1 else np.array([0.5], np.float32)
    model.layers[-1].set_weights([np.zeros((16, units), np.float32), bias])
    model.save(tmp_path / "constant.keras")
    np.save(tmp_path / "x.npy", np.ones((2, 4, 4), np.float32))
    titles: list[str] = []
    monkeypatch.setattr(
        drawing, "write_overviews", lambda _, __, rows, *___, **____: titles.extend(rows)
    )
    paths = [str(tmp_path / name) for name in ("constant.keras", "x.npy", "out")]
    assert call("compare", *paths[:2], "--methods", "switched.weights", "--out", paths[2]).code == 0
    assert titles == [f"image {i}\n{title}" for i in range(2)]


@needs_innvestigate
def test_methods_that_cannot_be_used_are_left_out(
    call: Any, mistaken: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    done = call(
        *("compare", str(mistaken.folder / "leaky.keras"), mistaken.arrays),
        *("--methods", "deep_taylor,gradient", "--out", str(out)),
    )
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert re.match(r"insens-tf: left out deep_taylor: .*cannot analyse.*leaky_re_lu", done.err)
    record = json.loads((out / "run.json").read_text())
    assert record["methods"] == ["gradient"]
    assert list(record["left_out_methods"]) == ["deep_taylor"]
    assert len(os.listdir(out / "heatmaps")) == 3
    with np.load(out / "maps.npz") as arrays:
        assert "gradient" in arrays
        assert "deep_taylor" not in arrays
    none = call(
        *("compare", str(mistaken.folder / "leaky.keras"), mistaken.arrays),
        *("--methods", "deep_taylor", "--out", str(tmp_path / "none")),
    )
    assert_refused(none.code, none.err, "none of the methods can be drawn; deep_taylor: .*leaky_re")
    assert os.listdir(tmp_path) == ["results"]


def test_what_the_library_warns_of_is_said_in_one_line(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2, name="logits")]
    )
    model.layers[-1].set_weights([np.zeros((16, 2), np.float32), -np.ones(2, np.float32)])
    model.save(tmp_path / "negative.keras")
    np.save(tmp_path / "x.npy", np.ones((1, 4, 4), np.float32))
    paths = [str(tmp_path / name) for name in ("negative.keras", "x.npy", "out")]
    arguments = ("--methods", "deep_taylor,switched.centre", "--out", paths[2])
    done = call("compare", *paths[:2], *arguments)
    assert done.code == 0
    empty, undefined = done.err.splitlines()
    assert re.match("insens-tf: warning: 'deep_taylor': 1 of 1 maps are all zero", empty)
    assert re.match("insens-tf: warning: 1 of 1 maps are NaN", undefined)
    # What is not defined is not drawn.
    assert os.listdir(tmp_path / "out" / "heatmaps") == ["0_deep_taylor.png"]


def test_methods_lists_every_name_that_create_analyzer_knows(call: Any) -> None:
    done = call("methods")
    assert (done.code, done.err) == (0, "")
    assert set(METHODS) >= set(registry)
    assert WHY_MISSING is not None or set(METHODS) == set(registry)
    said = " ".join(done.out.split())
    for name, method in METHODS.items():
        assert f"\n  {name}" in done.out
        assert f"{name} {method.description}" in said
        assert method.source in said


@pytest.mark.parametrize("name", ["tiny.h5", *(["tiny_saved_model"] if KERAS_2 else [])])
def test_other_formats_of_the_model_do_too(call: Any, trained: Trained, name: str) -> None:
    arguments = ("--layer", "logits", "--neuron", "all")
    here = call("project", str(trained.folder / name), trained.arrays, *arguments)
    assert here.code == 0
    assert here.out == call("project", trained.model, trained.arrays, *arguments).out
    assert len(table(here.out)) == 6


def test_frequencies_are_used_again(call: Any, trained: Trained, tmp_path: Path) -> None:
    first, second, third = (str(tmp_path / name) for name in ("first", "second", "third"))
    images = (trained.model, trained.pictures, "--layer", "dense")
    assert call("analyze", *images, "--frequency-from", trained.arrays, "--out", first).code == 0
    again = f"{first}/frequency.npz"
    done = call("analyze", *images, "--frequency-from", again, "--out", second)
    assert f"over 40 samples from {again}" in done.out
    without = call("analyze", *images, "--out", third)
    assert "every neuron weighs the same" in without.out
    maps = [
        np.load(tmp_path / name / "insens.npz")["insens/dense"]
        for name in ("first", "second", "third")
    ]
    assert np.array_equal(maps[0], maps[1])
    assert np.allclose(maps[2], trained.references["dense"].insens(), atol=1e-4)
    assert not np.allclose(maps[0], maps[2], atol=1e-4)


def test_options_of_insens_reach_the_library(call: Any, trained: Trained, tmp_path: Path) -> None:
    choices = {option.name: option.type for option in cli.command_line.commands["analyze"].params}
    assert set(choices["state"].choices) == set(STATES)  # type: ignore[attr-defined]
    assert set(choices["sensitivity"].choices) == set(SENSITIVITIES)  # type: ignore[attr-defined]
    for state, sensitivity in [("active", "centre"), ("all", "activity")]:
        out = tmp_path / state
        done = call(
            *("analyze", trained.model, trained.arrays, "--layer", "dense", "--first", "2"),
            *("--state", state, "--sensitivity", sensitivity, "--out", str(out)),
        )
        assert done.code == 0
        expected = trained.references["dense"].insens(None, state, sensitivity)[:2]
        found = np.load(out / "insens.npz")["insens/dense"]
        assert np.allclose(found, expected, atol=1e-4)


def test_many_images_continue_on_further_overviews(
    call: Any, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "ROWS_OF_AN_OVERVIEW", 2)
    out = tmp_path / "results"
    arguments = ("--layer", "dense", "--neuron", "0", "--out", str(out))
    assert call("project", trained.model, trained.arrays, *arguments).code == 0
    overviews = sorted(name for name in os.listdir(out) if "overview" in name)
    assert overviews == ["overview_1.png", "overview_2.png"]


def test_a_neuron_without_weights_has_weights_drawn_white_and_no_contribution(
    call: Any, tmp_path: Path
) -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "relu", name="d")]
    )
    kernel = np.zeros((16, 2), np.float32)
    kernel[3, 1] = -1
    model.layers[-1].set_weights([kernel, np.array([0.5, -0.5], np.float32)])
    model.add(keras.layers.Dense(1))
    model.save(tmp_path / "dead.keras")
    np.save(tmp_path / "x.npy", np.ones((1, 4, 4), np.float32))
    out = tmp_path / "results"
    done = call(
        *("project", str(tmp_path / "dead.keras"), str(tmp_path / "x.npy"), "--layer", "d"),
        *("--neuron", "all", "--out", str(out)),
    )
    assert done.code == 0
    assert sorted(os.listdir(out / "heatmaps")) == [
        "0_d_0_weights.png",
        "0_d_1_contribution.png",
        "0_d_1_weights.png",
    ]
    assert (np.asarray(Image.open(out / "heatmaps" / "0_d_0_weights.png")) == 255).all()
    drawn = np.asarray(Image.open(out / "heatmaps" / "0_d_1_weights.png"))
    assert (drawn[:56, 168:] == [0, 0, 255]).all()
    assert (drawn[56:] == 255).all()


def test_earlier_results_are_replaced_only_when_asked(
    call: Any, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    arguments = ("project", trained.model, trained.arrays, "--layer", "0", "--out", str(out))
    assert call(*arguments, "--neuron", "1").code == 0
    refused = call(*arguments, "--neuron", "2")
    assert refused.code == 1
    assert "--overwrite" in refused.err
    assert any("0-0-1" in name for name in os.listdir(out / "heatmaps"))
    assert call(*arguments, "--neuron", "2", "--overwrite").code == 0
    assert all("0-0-2" in name for name in os.listdir(out / "heatmaps"))
    assert os.listdir(tmp_path) == ["results"]


def test_names_from_elsewhere_stay_in_the_folder_of_results(
    call: Any, trained: Trained, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    names = ["x..%2f..%2fup.png", "x ..\\up.png", "-rf $(reboot);`x`.png", "a\nb\x1b[31m.png"]
    for name, image in zip(names, [*trained.images, trained.images[0]], strict=True):
        Image.fromarray(image).save(pictures / name)
    nested = keras.Sequential([keras.Input((SIDE, SIDE, 1)), keras.layers.Flatten()], name="in")
    hidden = keras.layers.Dense(3, activation="relu", name="..up")
    nested.add(hidden)
    model = keras.Sequential([keras.Input((SIDE, SIDE, 1)), nested, keras.layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    out = tmp_path / "deep" / "results"
    before = sorted(os.listdir(tmp_path))
    done = call("analyze", str(tmp_path / "model.keras"), str(pictures), "--out", str(out))
    assert (done.code, done.err) == (0, "")
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "deep"])
    assert os.listdir(tmp_path / "deep") == ["results"]
    heatmaps = os.listdir(out / "heatmaps")
    assert len(heatmaps) == len(names)
    for name in heatmaps:
        assert re.fullmatch(r"\d_[\w.,-]+\.png", name)


# --- help and version ---------------------------------------------------------------------------

NAMES = (
    *("layers", "project", "analyze", "compare", "margins", "path"),
    *("survey", "monitor", "sanity", "methods", "demo"),
)


# What the files say themselves is not to wait for TensorFlow.
CHEAP_MISTAKES = (
    *("no such model", "no model", "no such images", "no such data", "no such key"),
    *("no such layer", "no such layer to compare", "neuron out of range", "no neuron"),
    *("neuron out of range along an axis", "two kinds of neurons", "too few indices"),
    *("wrong shape", "colours", "a damaged picture", "a key of nothing", "no such method"),
    *("a method that needs arguments", "a layer without Insens", "results over other files"),
    *(
        "a damaged frequency",
        "frequency of another network",
        "a folder that cannot be written",
        "a scale that there is not",
    ),
)


def test_help_and_mistakes_answer_without_tensorflow(mistaken: Trained) -> None:
    program = """
import json, sys
from insens_tf.cli import main
for arguments in (["--help"], ["--version"], ["analyze", "--help"], ["methods"]):
    main(arguments)
for arguments in json.loads(sys.argv[1]):
    if main(arguments) == 0 or "tensorflow" in sys.modules:
        sys.exit("not refused without TensorFlow: " + " ".join(arguments))
"""
    names = {
        "model": mistaken.model,
        "arrays": mistaken.arrays,
        "pictures": mistaken.pictures,
        "folder": mistaken.folder,
    }
    mistakes = [[one.format(**names) for one in MISTAKES[name][0]] for name in CHEAP_MISTAKES]
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(mistakes)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"insens-tf {__version__}" in done.stdout
    for name in NAMES:
        assert f"\n  {name} " in done.stdout
    said = done.stderr.splitlines()
    assert len(said) == len(CHEAP_MISTAKES)
    for line, name in zip(said, CHEAP_MISTAKES, strict=True):
        assert re.search(MISTAKES[name][1], line)


def test_the_bare_command_shows_its_help(call: Any) -> None:
    done = call()
    assert (done.code, done.out) == (2, "")
    assert done.err == call("--help").out
    assert "Usage: insens-tf [OPTIONS] COMMAND" in done.err
    assert done.err.count("\n") > 20


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_terminal_sees_that_tensorflow_is_being_loaded(
    call: Any, trained: Trained, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr(messages, "shows_progress", lambda: is_terminal)
    done = call("project", trained.model, trained.arrays, *PROJECT)
    assert done.code == 0
    # It is taken back: carriage return, and the rest of the line erased.
    said = "Loading TensorFlow and the model ...\r\x1b[K"
    assert done.err == (said if is_terminal else "")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(call: Any, name: str) -> None:
    done = call(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"  Examples:\n    insens-tf {name}" in done.out
    for line in done.out.splitlines():
        # What an option does is said for every one of them.
        assert not re.fullmatch(r"  --[a-z-]+( [A-Z|,]+)?", line) or "  " in line.strip()


def test_the_command_is_installed_under_its_name() -> None:
    (script,) = entry_points(group="console_scripts", name="insens-tf")
    assert script.load() is cli.main


# --- what is wrong is said in one line ----------------------------------------------------------


def assert_refused(code: int, err: str, message: str) -> None:
    assert code != 0
    assert err.count("\n") == 1
    assert err.startswith("insens-tf")
    assert "error: " in err
    assert "Traceback" not in err
    assert re.search(message, err)


PROJECT = ("--layer", "dense", "--neuron", "0")

# Arguments, where {model}, {arrays}, {pictures} and {folder} stand for the fixture's; the message.
MISTAKES = {
    "no such model": (["layers", "{folder}/tin.keras"], r"did you mean .*tiny\.keras\?"),
    "no model": (["layers", "{arrays}"], r"ends in '\.npz'; expected a \.keras file"),
    "no such images": (["project", "{model}", "{folder}/no.png", *PROJECT], "do not exist"),
    "no such data": (["layers", "{model}", "--data", "nowhere.npy"], "do not exist"),
    "no such key": (["layers", "{model}", "--data", "{arrays}", "--key", "y"], "no array 'y'"),
    "no such layer": (
        ["project", "{model}", "{arrays}", "--layer", "dens", "--neuron", "0"],
        r"--layer dens: no such layer \(did you mean dense\?\); the model has .*conv, pool",
    ),
    "layer out of range": (
        ["analyze", "{model}", "{arrays}", "--layer", "2", "--out", "{folder}/out"],
        r"--layer 2: no such index; expected one of 0 conv \(6 x 6 x 3\); 1 dense \(6\)",
    ),
    "the output layer is not hidden": (
        ["analyze", "{model}", "{arrays}", "--layer", "logits", "--out", "{folder}/out"],
        "--layer logits is the output layer, which is no hidden layer; expected one of 0 conv",
    ),
    "a layer without neurons": (
        ["analyze", "{model}", "{arrays}", "--layer", "pool", "--out", "{folder}/out"],
        "--layer pool is no hidden layer of this network; expected one of 0 conv",
    ),
    "the same layer twice": (
        [
            *("analyze", "{model}", "{arrays}", "--layer", "dense", "--layer", "1"),
            *("--out", "{folder}/out"),
        ],
        "there twice",
    ),
    "neuron out of range": (
        ["project", "{model}", "{arrays}", "--layer", "dense", "--neuron", "6"],
        r"--neuron 6: the layer dense has 6 neurons; expected 0 to 5",
    ),
    "neuron out of range of a model that says less": (
        ["project", "{folder}/tiny.h5", "{arrays}", "--layer", "dense", "--neuron", "6"],
        r"--neuron 6: the layer dense has 6 neurons; expected 0 to 5",
    ),
    "neuron out of range along an axis": (
        ["project", "{model}", "{arrays}", "--layer", "conv", "--neuron", "0,6,0"],
        r"--neuron 0,6,0: the layer conv has 6 x 6 x 3 .* 0 to 107, or 0,0,0 to 5,5,2",
    ),
    "too few indices": (
        ["project", "{model}", "{arrays}", "--layer", "conv", "--neuron", "0,5"],
        r"--neuron 0,5: the layer conv has 6 x 6 x 3 neurons",
    ),
    "no neuron": (
        ["project", "{model}", "{arrays}", "--layer", "dense", "--neuron", "x"],
        "--neuron x: expected a flat index",
    ),
    "two kinds of neurons": (
        [
            *("project", "{model}", "{arrays}", "--layer", "conv"),
            *("--neuron", "1", "--neuron", "1,1,1"),
        ],
        "flat indices only",
    ),
    "wrong shape": (
        ["project", "{model}", "{folder}/large.png", *PROJECT],
        r"9 x 8 x 1 and the model takes 8 x 8 x 1; --resize",
    ),
    "colours": (["project", "{model}", "{folder}/colours.png", *PROJECT], "--grayscale"),
    "a damaged picture": (["project", "{model}", "{folder}/cut.png", *PROJECT], "cannot be read"),
    "frequency of another network": (
        [
            *("analyze", "{model}", "{arrays}", "--layer", "dense", "--out", "{folder}/out"),
            *("--frequency-from", "{folder}/frequency.npz"),
        ],
        "has the frequency of conv, not of dense; choose with --layer .*, or give the training",
    ),
    "frequency of some layers": (
        [
            *("analyze", "{model}", "{arrays}", "--out", "{folder}/out"),
            *("--frequency-from", "{folder}/frequency.npz"),
        ],
        "has the frequency of conv, not of dense; choose with --layer .*, or give the training",
    ),
    "frequency of a layer of another shape": (
        [
            *("compare", "{model}", "{arrays}", "--methods", "insens", "--layer", "conv"),
            *("--frequency-from", "{folder}/frequency.npz", "--out", "{folder}/out"),
        ],
        "was counted on another network: its layer conv has 3 neurons, and .* has 6 x 6 x 3;",
    ),
    "a damaged frequency": (
        [
            *("analyze", "{model}", "{arrays}", "--layer", "conv", "--out", "{folder}/out"),
            *("--frequency-from", "{folder}/damaged.npz"),
        ],
        r"damaged\.npz.* cannot be read",
    ),
    "a folder that cannot be written": (
        ["analyze", "{model}", "{arrays}", "--out", "{folder}/images.npz/out"],
        "out cannot be written: Not a directory",
    ),
    "a key of nothing": (
        ["analyze", "{model}", "{arrays}", "--frequency-key", "x", "--out", "{folder}/out"],
        "--frequency-from, which is missing",
    ),
    "no such method": (
        ["compare", "{model}", "{arrays}", "--methods", "deeptaylor", "--out", "{folder}/out"],
        r"deeptaylor: no such method \(did you mean deep_taylor\?\); insens-tf methods",
    ),
    "a method that needs arguments": (
        ["compare", "{model}", "{arrays}", "--methods", "lrp", "--out", "{folder}/out"],
        "--methods lrp: it needs rule",
    ),
    "no Insens of this model": (
        [
            *("compare", "{folder}/tanh.keras", "{arrays}", "--methods", "insens"),
            *("--out", "{folder}/out"),
        ],
        "none .* can be drawn; insens: .*tanh.*, or read it as a gate by --smooth-activations",
    ),
    "a layer without Insens": (
        [
            *("compare", "{model}", "{arrays}", "--methods", "gradient"),
            *("--layer", "dense", "--out", "{folder}/out"),
        ],
        "for insens, which is not drawn",
    ),
    "no such layer to compare": (
        [
            *("compare", "{model}", "{arrays}", "--methods", "insens"),
            *("--layer", "dens", "--out", "{folder}/out"),
        ],
        r"--layer dens: no such layer \(did you mean dense\?\)",
    ),
    "a model of two inputs": (
        ["compare", "{folder}/two.keras", "{arrays}", "--out", "{folder}/out"],
        "one input and one output",
    ),
    "results over other files": (
        ["analyze", "{model}", "{arrays}", "--out", "{pictures}", "--overwrite"],
        "holds other files",
    ),
    "a scale that there is not": (
        ["layers", "{model}", "--data", "{arrays}", "--scale", "2"],
        r"'2' is not one of.*see insens-tf layers --help",
    ),
    "an option missing": (["project", "{model}", "{arrays}", "--neuron", "1"], "'--layer'"),
    "no such command": (["projct"], "Did you mean 'project'"),
    "a network that is not piecewise linear": (
        ["layers", "{folder}/tanh.keras"],
        r"tanh\.keras cannot be read, for curved: see above",
    ),
}


@pytest.fixture(scope="session")
def mistaken(trained: Trained) -> Trained:
    """The same folder, with more files in it, in which something is wrong."""
    folder = trained.folder
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "large.png")
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(colours).save(folder / "colours.png")
    whole = (folder / "colours.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    counts: dict[str, Any] = {"counts/conv": np.zeros(3, np.int64), "layers": np.array(["conv"])}
    np.savez(folder / "frequency.npz", samples=np.int64(1), **counts)
    whole = (folder / "frequency.npz").read_bytes()
    at = whole.index(b"\x93NUMPY") + 20
    (folder / "damaged.npz").write_bytes(whole[:at] + b"damage" + whole[at + 6 :])
    layers = keras.layers
    keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            # From a seed, or now and then no neuron is inactive.
            layers.Dense(
                3, "tanh", kernel_initializer=keras.initializers.GlorotUniform(1), name="curved"
            ),
            layers.Dense(2),
        ]
    ).save(folder / "tanh.keras")
    keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(3),
            layers.LeakyReLU(name="leaky_re_lu"),
            layers.Dense(2),
        ]
    ).save(folder / "leaky.keras")
    ends = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    keras.Model(ends, layers.Flatten()(layers.Add()(ends))).save(folder / "two.keras")
    return trained


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_wrong_is_said_in_one_line(call: Any, mistaken: Trained, mistake: str) -> None:
    arguments, message = MISTAKES[mistake]
    names = {
        "model": mistaken.model,
        "arrays": mistaken.arrays,
        "pictures": mistaken.pictures,
        "folder": mistaken.folder,
    }
    before = sorted(mistaken.folder.rglob("*"))
    done = call(*(argument.format(**names) for argument in arguments))
    assert_refused(done.code, done.err, message)
    assert sorted(mistaken.folder.rglob("*")) == before


def test_a_process_fails_with_one_line_and_a_code(mistaken: Trained) -> None:
    arguments, message = MISTAKES["no such images"]
    names = {"model": mistaken.model, "folder": mistaken.folder}
    done = run(*(argument.format(**names) for argument in arguments), cwd=mistaken.folder)
    assert_refused(done.returncode, done.stderr, message)


@pytest.mark.slow  # other tests call the commands in this process
@pytest.mark.parametrize(
    "arguments",
    [
        ("layers", "--data", "{arrays}"),
        ("analyze", "{pictures}", "--frequency-from", "{arrays}", "--out", "out"),
    ],
)
def test_a_process_says_nothing_but_its_results(
    trained: Trained, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    names = {"arrays": trained.arrays, "pictures": trained.pictures}
    name, *others = (argument.format(**names) for argument in arguments)
    done = run(name, trained.model, *others, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Read 3 images")
    assert os.listdir(tmp_path) == (["out"] if "out" in arguments else [])


@pytest.mark.parametrize(
    "command", [("analyze",), ("compare", "--methods", "insens,switched.weights")]
)
def test_results_do_not_appear_by_halves(
    call: Any,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        assert any(name.endswith((".part", ".unfinished")) for name in os.listdir(tmp_path))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawing, "write_overviews", fail)
    arguments = ("--layer", "dense", "--out", str(tmp_path / "results"))
    done = call(*command, trained.model, trained.arrays, *arguments)
    assert_refused(done.code, done.err, "cannot be written: No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_ended_leaves_nothing_behind(
    trained: Trained, tmp_path: Path, number: signal.Signals
) -> None:
    # What analyze keeps when it is ended, tests/test_resuming.py is about.
    arguments = (
        *("project", trained.model, trained.arrays, "--layer", "dense", "--neuron", "all"),
        *("--out", str(tmp_path / "results")),
    )
    process = subprocess.Popen(
        command(*arguments),
        cwd=trained.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 300
    while not os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert os.listdir(tmp_path)
    err = b""
    for _ in range(60):
        # Some modules that are being imported let no exception through, not this one either.
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, err = process.communicate(timeout=1)
            break
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert b"Traceback" not in err
    assert os.listdir(tmp_path) == []


def test_a_reader_that_has_had_enough_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("analyze", "--help"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


# --- what is less usual -------------------------------------------------------------------------


def test_a_refused_layer_is_said_once(call: Any, mistaken: Trained) -> None:
    done = call("layers", str(mistaken.folder / "tanh.keras"))
    assert done.code == 1
    assert done.out.count("retrain with ReLU") == 1
    assert "or read it as a gate by --smooth-activations ratio" in done.out
    assert "SwitchedNetwork" not in done.out + done.err
    assert "retrain" not in done.err


SMOOTH = ("--smooth-activations", "ratio")


@pytest.mark.parametrize(
    "arguments",
    [
        ("layers",),
        ("project", "{arrays}", "--layer", "curved", "--neuron", "0"),
        pytest.param(
            ("compare", "{arrays}", "--methods", "insens,switched.weights", "--out", "{out}"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (
                "sanity",
                "{arrays}",
                "--methods",
                "insens",
                "--check",
                "independent",
                "--out",
                "{out}",
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_command_reads_smooth_activations_when_asked(
    call: Any, mistaken: Trained, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    names = {"arrays": mistaken.arrays, "out": tmp_path / "out"}
    command, *others = (argument.format(**names) for argument in arguments)
    done = call(command, str(mistaken.folder / "tanh.keras"), *others, *SMOOTH)
    assert (done.code, done.err) == (0, "")


def test_analyze_reads_smooth_activations_as_the_library_does(
    call: Any, mistaken: Trained, tmp_path: Path
) -> None:
    path, out = str(mistaken.folder / "tanh.keras"), tmp_path / "results"
    refused = call("analyze", path, mistaken.arrays, "--out", str(out))
    assert_refused(refused.code, refused.err, "as a gate by --smooth-activations ratio")
    assert "SwitchedNetwork" not in refused.err
    assert call("analyze", path, mistaken.arrays, "--out", str(out), *SMOOTH).code == 0
    network = SwitchedNetwork(keras.models.load_model(path), smooth_activations="ratio")
    x = mistaken.images[..., np.newaxis].astype(np.float32) / np.float32(255)
    with np.load(out / "insens.npz") as arrays:
        expected = network.insens(x, "curved", progress=False)
        assert np.abs(expected).max() > 0
        assert np.array_equal(arrays["insens/curved"], expected)


def test_compare_draws_innvestigates_methods_on_every_python(
    call: Any, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    methods = ("--methods", "gradient,deep_taylor,insens")
    done = call("compare", trained.model, trained.pictures, *methods, "--out", str(out))
    assert (done.code, done.err) == (0, "")
    model = keras.models.load_model(trained.model)
    x = tf.constant(trained.images[..., np.newaxis].astype(np.float32) / np.float32(255))
    layers = [layer for layer in model.layers if layer.name != "logits"]
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = x
        for layer in layers:
            value = layer(value)
        logits = value @ model.layers[-1].kernel + model.layers[-1].bias
        largest = tf.reduce_max(logits, axis=1)
    with np.load(out / "maps.npz") as arrays:
        assert np.allclose(arrays["gradient"], tape.gradient(largest, x), atol=1e-6)
        assert "insens/dense" in arrays
        assert arrays["deep_taylor"].any()


def test_projections_of_all_neurons_are_kept_without_pictures_where_there_are_too_many(
    call: Any, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_command, "_MOST_HEATMAPS", 35)
    arguments = ("project", trained.model, trained.arrays, "--layer", "dense", "--neuron", "all")
    done = call(*arguments, "--out", str(tmp_path / "all"))
    assert done.code == 0
    assert done.out.splitlines()[-1].endswith(
        "and no pictures, as 36 heatmaps are more than 35; to see some, name fewer neurons or take "
        "fewer images with --first."
    )
    assert len(table(done.out.rpartition("\n")[0])) == 18
    assert sorted(os.listdir(tmp_path / "all")) == ["projection.npz", "run.json"]
    with np.load(tmp_path / "all" / "projection.npz") as arrays:
        assert arrays["weights"].shape == (3, 6, SIDE, SIDE, 1)
    done = call(*arguments, "--first", "1", "--out", str(tmp_path / "one"))
    assert (tmp_path / "one" / "overview.png").is_file()
    monkeypatch.setattr(project_command, "_MOST_BYTES", 1000)
    for first, way_out in (("2", "fewer neurons or take fewer .*--first"), ("1", "fewer neurons$")):
        done = call(*arguments, "--first", first, "--out", str(tmp_path / "large"))
        assert_refused(done.code, done.err, f"arrays of 6 neurons and {first} .*; name {way_out}")
    assert sorted(os.listdir(tmp_path)) == ["all", "one"]


@pytest.mark.slow
def test_a_table_of_projections_in_parts_is_that_of_the_whole(trained: Trained) -> None:
    model = keras.models.load_model(trained.model)
    pixels = np.random.default_rng(0).uniform(size=(40, SIDE, SIDE)).astype(np.float32)
    inputs = files.fit_to_model(files.Images(pixels, None, "x"), (SIDE, SIDE, 1))
    network = SwitchedNetwork(model, memory_budget=2**20)
    parts = list(network.iterate_projections(inputs[:], "conv"))
    assert len(parts) > 2
    whole = SwitchedNetwork(model).project(inputs[:], "conv")
    found, expected = (
        [
            row[:2] + row[4:]
            for row in table(
                project_command._table(list(map(project_command._numbers, one)), inputs)
            )
        ]
        for one in (parts, [whole])
    )
    assert len(expected) == 40 * 108
    assert found == expected


def test_wide_overviews_go_on_below_and_then_in_further_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrapped_grid, "_WIDTH", 400)  # three pictures of 112 pixels
    monkeypatch.setattr(drawing, "_HEIGHT_OF_AN_OVERVIEW", 250)  # two
    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (2, 8, 4, 4, 3)).astype(np.uint8)
    titles = [f"{i}" for i in range(8)]
    drawing.write_overviews(tmp_path, list(rows), list("ab"), titles)
    # Of each row the input and two maps, below it two more; then the last three.
    found = {f"overview_{i}.png" for i in range(1, 5)}
    assert set(os.listdir(tmp_path)) == found
    for page, (row, maps) in enumerate(itertools.product((0, 1), (range(1, 5), range(5, 8)))):
        overview = np.asarray(Image.open(tmp_path / f"overview_{page + 1}.png").convert("RGB"))
        tops, lefts = frames(overview)
        assert (len(tops), len(lefts)) == (2, 3)
        at = [(0, 0, 0), *((n // 2, 1 + n % 2, column) for n, column in enumerate(maps))]
        for line, place, column in at:
            top, left = tops[line], lefts[place]
            shown = overview[top : top + 112 : 28, left : left + 112 : 28]
            assert np.array_equal(shown, rows[row][column])


@pytest.mark.parametrize("maps", [1, 5, 60])
def test_overviews_of_large_pictures_can_be_drawn(maps: int) -> None:
    for side in (28, 224, 1000, 5000, 20_000):
        high, wide = drawing._pictures_of_an_overview(side, maps)
        across = wrapped_grid.maps_across(side)
        lines = -(-min(wide, maps) // across)
        assert drawing.ROWS_OF_AN_OVERVIEW % high == 0
        assert (1 + across) * max(side, 112) <= max(2000, 2 * side)
        assert high * lines * max(side, 112) <= max(6000, side)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_long_or_no_utf_8_are_drawn(call: Any, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    names = [os.fsdecode(b"\xff\xfe.png"), "数" * 80 + ".png", "a" * 251 + ".png"]
    for name in names:
        Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(tmp_path / "x.png")
        (tmp_path / "x.png").rename(pictures / name)
    layers = keras.layers
    long = ["e" * 240 + "_first", "e" * 240 + "_second", "n" * 250]
    # Of ones, so that no neuron is inactive whatever comes.
    dense = [layers.Dense(3, "relu", kernel_initializer="ones", name=name) for name in long]
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Flatten(), *dense, layers.Dense(2, name="logits")]
    )
    model.save(tmp_path / "model.keras")
    given = (str(tmp_path / "model.keras"), str(pictures))
    out = tmp_path / "analyzed"
    done = call("analyze", *given, "--out", str(out))
    assert (done.code, done.err) == (0, "")
    assert len(os.listdir(out / "heatmaps")) == 9
    with np.load(out / "insens.npz") as arrays:
        assert {f"insens/{name}" for name in long} < set(arrays)
        assert sorted(arrays["names"]) == sorted([*names[1:], "\\udcff\\udcfe.png"])
    assert json.loads((out / "run.json").read_text())["layers"] == long
    out = tmp_path / "projected"
    neurons = ("--layer", long[2], "--neuron", "1", "--neuron", "2")
    done = call("project", *given, *neurons, "--out", str(out))
    assert (done.code, done.err) == (0, "")
    assert len(os.listdir(out / "heatmaps")) == 12
    assert r"\udcff\udcfe.png" in done.out
    bad = str(pictures / os.fsdecode(b"\xfd.png"))
    refused = call("project", given[0], bad, *neurons)
    assert_refused(refused.code, refused.err, r"\\udcfd\.png do not exist")


def test_pictures_of_one_name_are_told_apart(call: Any, trained: Trained, tmp_path: Path) -> None:
    for name, image in zip("ab", trained.images, strict=False):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "0.png")
    out = tmp_path / "results"
    paths = [str(tmp_path / name) for name in "ab"]
    done = call("analyze", trained.model, *paths, "--layer", "dense", "--out", str(out))
    assert done.code == 0
    with np.load(out / "insens.npz") as arrays:
        assert arrays["names"].tolist() == ["a/0.png", "b/0.png"]
    assert sorted(os.listdir(out / "heatmaps")) == ["0_a_0_dense.png", "1_b_0_dense.png"]


def test_what_memory_is_not_enough_for_says_what_helps() -> None:
    for way_out, expected in (("", "enough (x)"), ("take fewer", "enough (x); take fewer")):
        for error in (MemoryError("x"), tf.errors.ResourceExhaustedError(None, None, "x")):
            with (
                pytest.raises(messages.CommandError) as caught,
                messages.said_in_one_line(way_out),
            ):
                raise error
            assert caught.value.message == f"this machine's memory is not {expected}"
    with pytest.raises(KeyError), messages.said_in_one_line():
        raise KeyError("a bug")
