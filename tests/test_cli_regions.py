"""`insens-tf margins` and `insens-tf path`: what they write is the library's, how they fail."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from tensorflow import keras

from insens_tf import SwitchedNetwork, create_analyzer
from insens_tf.cli import region_pictures
from tests.conftest import halved, slow
from tests.small_images import SIDE, small_convolutional

pytestmark = pytest.mark.xdist_group("regions on the command line")  # one network for all


class Given(NamedTuple):
    """A model and images, in files and as they are read from them."""

    folder: Path
    network: SwitchedNetwork
    x: np.ndarray

    @property
    def model(self) -> str:
        return str(self.folder / "model.keras")

    @property
    def images(self) -> str:
        return str(self.folder / "images.npz")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("regions")
    model = small_convolutional(outputs=3)
    model.save(folder / "model.keras")
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (3, SIDE, SIDE), np.uint8)
    # Equal pixels tie in the pooling.
    images[1, :5] = 0
    np.savez(folder / "images.npz", x=images, large=np.zeros((1, 9, 8), np.uint8))
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"image_{number}.png")
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(folder / "dark.png")
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "large.png")
    x = images[..., np.newaxis].astype(np.float32) / np.float32(255)
    return Given(folder, SwitchedNetwork(model), x)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_picture(path: Path) -> bool:
    rgb = np.asarray(Image.open(path).convert("RGB"))
    return min(rgb.shape[:2]) > 100 and rgb.std() > 1


# --- margins ------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", halved(["l2", "linf"]))
@pytest.mark.slow
def test_margins_are_those_of_the_library(
    call: Any, given: Given, tmp_path: Path, norm: str
) -> None:
    out = tmp_path / "results"
    done = call(
        *("margins", given.model, given.images, "--key", "x", "--norm", norm),
        *("--nearest", "2", "--out", str(out)),
    )
    assert (done.code, done.err) == (0, "")
    files = ["layers.csv", "margins.npz", "margins.png", "nearest.csv", "run.json"]
    assert sorted(os.listdir(out)) == files
    assert is_picture(out / "margins.png")
    record = json.loads((out / "run.json").read_text())
    assert (record["command"], record["norm"], record["nearest"]) == ("margins", norm, 2)
    expected = given.network.margins(given.x, ["conv", "dense"], norm, progress=False)
    regions = [given.network.region(one) for one in given.x]
    nearest = [region.nearest(2, norm, ties=False) for region in regions]
    with np.load(out / "margins.npz") as arrays:
        assert np.array_equal(arrays["x"], given.x)
        for name, values in expected.items():
            np.testing.assert_allclose(arrays[f"margins/{name}"], values, rtol=1e-5, atol=1e-6)
        ties = arrays["ties"].tolist()
        for i, found in enumerate(nearest):
            distances = [one.distance for one in found]
            np.testing.assert_allclose(arrays["nearest_distance"][i], distances)
            np.testing.assert_allclose(arrays["nearest_point"][i], [one.point for one in found])
    # Of a pooling's window of equal elements all but the winner tie.
    assert ties[1] > 0
    assert [ties[0], ties[2]] == [0, 0]
    layers = rows_of(out / "layers.csv")
    for row, (name, values) in zip(layers, expected.items(), strict=True):
        assert (row["name"], row["neurons"]) == (name, str(values[0].size))
        assert float(row["active"]) == pytest.approx((values > 0).mean())
        assert float(row["median"]) == pytest.approx(np.median(np.abs(values)), rel=1e-5)
        assert float(row["least"]) == pytest.approx(np.abs(values).min(), rel=1e-4)
        assert re.search(rf"{name} +{values[0].size} +{(values > 0).mean():.1%} ", done.out)
    rows = rows_of(out / "nearest.csv")
    boundaries = [(i, one) for i, found in enumerate(nearest) for one in found]
    for row, (i, boundary) in zip(rows, boundaries, strict=True):
        assert (row["image"], row["lies_on"]) == (f"image {i}", str(ties[i]))
        assert (row["nearest_in"], row["kind"]) == (boundary.layer, boundary.kind)
        assert row["index"] == ",".join(map(str, boundary.index))
        assert row["wins_beyond"] == ",".join(map(str, boundary.other or ()))
        assert float(row["distance"]) == pytest.approx(boundary.distance)
        assert f"{boundary.distance:.4g}" in done.out


@pytest.mark.slow
def test_ties_are_counted_where_the_radius_is_0(given: Given) -> None:
    region = given.network.region(given.x[1])
    every = region.nearest(10_000)
    assert region.ties == sum(one.distance == 0 for one in every) > 0
    assert region.radius() == 0
    assert region.radius(ties=False) > 0


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["black", slow("images.npz:1")])
def test_a_path_is_that_of_the_library(
    call: Any, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    drawn: list[Any] = []

    def draw(*shown: Any) -> Any:
        drawn.append(shown)
        return region_pictures.draw_crossings(*shown)

    monkeypatch.setattr("insens_tf.cli.path_command.draw_crossings", draw)
    out = tmp_path / "results"
    a = start if start == "black" else str(given.folder / start)
    b = f"{given.images}:2"
    done = call("path", given.model, a, b, "--key", "x", "--out", str(out))
    assert (done.code, done.err) == (0, "")
    names = ["crossings.png", "integrated_gradients.png", "layers.csv", "path.npz", "run.json"]
    assert sorted(os.listdir(out)) == names
    assert is_picture(out / "crossings.png")
    assert is_picture(out / "integrated_gradients.png")
    first = np.zeros_like(given.x[0]) if start == "black" else given.x[1]
    line = given.network.path(first, given.x[2], progress=False)
    exact = line.integrated_gradients(progress=False)[0]
    neuron = int(line.activity(1.0, "logits").argmax())
    analyzer = create_analyzer(
        *("integrated_gradients", given.network.model),
        source="native",
        steps=64,
        reference_inputs=first[np.newaxis],
        neuron_selection_mode="index",
    )
    steps = analyzer.analyze(given.x[2:], neuron)[0]
    with np.load(out / "path.npz") as arrays:
        for name in ("t", "layer", "kind", "index", "before", "after"):
            assert np.array_equal(arrays[name], getattr(line.crossings, name))
        assert np.array_equal(arrays["breakpoints"], line.breakpoints)
        assert np.array_equal(arrays["effective"], line.effective)
        assert np.array_equal(arrays["start"], first)
        assert np.array_equal(arrays["end"], given.x[2])
        assert arrays["output"] == neuron
        np.testing.assert_allclose(arrays["exact"], exact, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(arrays["steps"], steps, rtol=1e-4, atol=1e-6)
    difference = np.abs(steps - exact).sum() / np.abs(exact).sum()
    said = re.search(r"output (\d), .*: 64 steps are (\S+)% off", done.out)
    assert said is not None
    assert int(said[1]) == neuron
    assert float(said[2]) == pytest.approx(100 * difference, abs=0.006)
    assert f"{len(line.crossings)} crossings at {len(line.breakpoints)} breakpoints" in done.out
    every, effective = line.state_changes(), line.state_changes(effective=True)
    rows = rows_of(out / "layers.csv")
    assert {row["layer"]: int(row["crossings"]) for row in rows} == every
    assert {row["layer"]: int(row["effective"]) for row in rows} == effective
    assert re.search(rf"all +{sum(every.values())} +{sum(effective.values())}\n", done.out)
    ((counts, t, outputs, _, _),) = drawn
    for name, (of_outputs, others) in counts.items():
        assert of_outputs.sum() == effective[name]
        assert of_outputs.sum() + others.sum() == every[name]
    np.testing.assert_allclose(outputs, line.activity(t, "logits"))


@pytest.mark.slow
def test_without_out_nothing_is_written(
    call: Any, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = str(given.folder / "image_0.png")
    for arguments in (("margins", given.model, picture), ("path", given.model, "black", picture)):
        done = call(*arguments)
        assert (done.code, done.err) == (0, "")
        assert "Wrote" not in done.out
    assert os.listdir(tmp_path) == []


# --- what is wrong ------------------------------------------------------------------------------

# Arguments, where {0} stands for the folder; the message.
MISTAKES = {
    "no such A": (["path", "{0}/image.png", "{0}/image_1.png"], "do not exist"),
    "black is no B": (["path", "{0}/image_1.png", "black"], "do not exist"),
    "several images": (
        ["path", "black", "{0}/images.npz", "--key", "x"],
        r"B .*images\.npz: expected one image, came 3; name one, from .*:0 to .*:2",
    ),
    "no such image": (
        ["path", "black", "{0}/images.npz:3", "--key", "x"],
        "no such image; .* holds 3, from 0 on",
    ),
    "an image of another size": (
        ["path", "{0}/image_0.png", "{0}/large.png"],
        "large.png has the shape 9 x 8 x 1 and the model takes 8 x 8 x 1; --resize",
    ),
    "one image twice": (
        ["path", "black", "{0}/dark.png"],
        "A black and B .*dark.png are the same image; expected two different ones",
    ),
    "a path over other files": (
        ["path", "black", "{0}/image_0.png", "--out", "{0}"],
        "holds other files",
    ),
    "no such images": (["margins", "{0}/nothing.png"], "do not exist"),
    "margins over other files": (
        ["margins", "{0}/image_0.png", "--out", "{0}"],
        "holds other files",
    ),
    "no such norm": (["margins", "{0}/image_0.png", "--norm", "l3"], "'l3' is not one of"),
    "no nearest": (["margins", "{0}/image_0.png", "--nearest", "0"], "0 is not in the range"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_said_in_one_line_before_the_model_is_loaded(
    call: Any, given: Given, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    def load(_: Any) -> None:
        raise AssertionError("the model is loaded")

    monkeypatch.setattr("insens_tf.files.load_model", load)
    (command, *others), message = MISTAKES[mistake]
    before = sorted(given.folder.rglob("*"))
    done = call(command, given.model, *(one.format(given.folder) for one in others))
    assert done.code != 0
    assert done.err.count("\n") == 1
    assert re.search(message, done.err)
    assert sorted(given.folder.rglob("*")) == before


@pytest.mark.parametrize("command", ["margins", "path"])
def test_a_network_without_regions_is_refused(call: Any, tmp_path: Path, command: str) -> None:
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "tanh")]
    keras.Sequential([*layers, keras.layers.Dense(2)]).save(tmp_path / "smooth.keras")
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "image.png")
    ends = ("black",) if command == "path" else ()
    smooth = ("--smooth-activations", "ratio")
    image = str(tmp_path / "image.png")
    done = call(command, str(tmp_path / "smooth.keras"), *ends, image, *smooth)
    assert done.code == 1
    assert re.search("read with --smooth-activations ratio; such a network has no reg", done.err)


def test_results_do_not_appear_by_halves(
    call: Any, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("insens_tf.cli.margins_command._check_size", fail)
    picture = str(given.folder / "image_0.png")
    done = call("margins", given.model, picture, "--out", str(tmp_path / "results"))
    assert done.code == 1
    assert "cannot be written: No space left on device" in done.err
    assert os.listdir(tmp_path) == []


def test_pictures_can_be_drawn_of_layers_that_never_switch() -> None:
    margins = {
        "constant": np.full((2, 4), -np.inf),
        "on the boundary": np.zeros((2, 3)),
        "usual": np.array([[1e-5, -0.3, 2.0]]),
    }
    assert region_pictures.draw_margins(margins, "l1", 2).get_axes()
    nothing = np.zeros(region_pictures.PARTS, np.int64)
    t = np.linspace(0, 1, 3)
    outputs = np.arange(60.0).reshape(3, 20)
    figure = region_pictures.draw_crossings(
        {"dense": (nothing, nothing)}, t, outputs, list(map(str, range(20))), "$title"
    )
    assert len(figure.get_axes()) == 2
