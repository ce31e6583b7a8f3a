"""Surveys hold what the network says, whatever the source, the workers, and what ends them."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow import keras

from insens_tf import ActivationFrequency, Survey, SwitchedNetwork, survey
from insens_tf.cli import analyze_command, survey_command
from insens_tf.files import UnusableFileError
from insens_tf.parallel import Engine
from insens_tf.surveys import MarginHistogram, TopInputs, survey_run, survey_work
from tests.conftest import slow, with_keras_3
from tests.oracle import Oracle
from tests.small_images import SIDE, small_convolutional

pytestmark = pytest.mark.xdist_group("survey")  # one network for all

ROOT = Path(__file__).resolve().parents[1]
INPUTS, SHARD = 11, 4
LAYERS = ("conv", "dense")
SHAPES = {"conv": (6, 6, 3), "dense": (6,)}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let shards be computed in this process."""
    monkeypatch.setattr(survey_run, "Engine", lambda *_, **__: Engine())


class Given(NamedTuple):
    """A model, its network, and images: as they are stored, and as the model takes them."""

    model: keras.Model
    network: SwitchedNetwork
    pixels: np.ndarray
    x: np.ndarray


@pytest.fixture(scope="module")
def given() -> Given:
    model = small_convolutional(outputs=3)
    pixels = np.random.default_rng(1).integers(0, 256, (INPUTS, SIDE, SIDE), np.uint8)
    x = pixels[..., np.newaxis].astype(np.float32) / np.float32(255)
    return Given(model, SwitchedNetwork(model), pixels, x)


@pytest.fixture(scope="module")
def whole(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """A survey of everything, from an array."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_run, "Engine", lambda *_, **__: Engine())
        out = tmp_path_factory.mktemp("survey") / "whole"
        return survey(given.model, given.x, out, shard=SHARD, top=3, progress=False)


def contents(folder: Path) -> dict[str, bytes]:
    """All numbers of a store, to the bit: HDF5 may lay out its chunks in any order."""
    found: dict[str, bytes] = {}
    for path in folder.iterdir():
        if path.suffix == ".h5":
            with h5py.File(path, "r") as file:
                file.visititems(partial(_note, found, path.name))
        else:
            found[path.name] = path.read_bytes()
    return found


def _note(found: dict[str, bytes], file: str, name: str, thing: Any) -> None:
    if isinstance(thing, h5py.Dataset):
        found[f"{file}/{name}"] = f"{thing.dtype} {thing.shape}".encode() + thing[()].tobytes()


def activities(given: Given) -> dict[str, np.ndarray]:
    """By the oracle, (n, *layer shape)."""
    *hidden, _ = Oracle(given.model).references(given.x)
    return {
        name: one.activity.reshape(-1, *SHAPES[name])
        for name, one in zip(LAYERS, hidden, strict=True)
    }


# --- what it holds ------------------------------------------------------------------------------


def test_states_are_those_of_the_oracle(given: Given, whole: Survey) -> None:
    assert len(whole) == INPUTS
    assert [layer.name for layer in whole.layers] == list(LAYERS)
    table = whole.inputs()
    assert table["input"].tolist() == list(range(INPUTS))
    expected = given.network.activation_frequency(given.x)
    assert whole.frequency.largest_input == expected.largest_input
    for name, activity in activities(given).items():
        active = activity > 0
        np.testing.assert_array_equal(whole.frequency.counts[name], active.sum(axis=0))
        np.testing.assert_array_equal(whole.frequency.counts[name], expected.counts[name])
        np.testing.assert_array_equal(whole.dead()[name].mask, ~active.any(axis=0))
        np.testing.assert_array_equal(whole.always_active()[name].mask, active.all(axis=0))
        per_input = active.reshape(INPUTS, -1).sum(axis=1)
        np.testing.assert_array_equal(table[f"{name}/active"], per_input)


def test_the_images_that_drive_a_channel_most(given: Given, whole: Survey) -> None:
    for name, activity in activities(given).items():
        for channel in range(activity.shape[-1]):
            of_channel = activity[..., channel].reshape(INPUTS, -1)
            order = np.argsort(-of_channel.max(axis=1), kind="stable")[:3]
            found = whole.top(name, channel)
            assert found.inputs.tolist() == order.tolist()
            np.testing.assert_allclose(found.activity, of_channel.max(axis=1)[order], rtol=1e-4)
            for place, best in zip(found.place, order, strict=True):
                where = (best, *place, channel)
                assert activity[where] == of_channel[best].max()
    assert whole.top("conv").place.shape == (3, 3, 2)
    assert whole.top("dense").place.shape == (3, 6, 0)


def test_margins_and_maps_are_those_of_the_network(given: Given, whole: Survey) -> None:
    margins = given.network.margins(given.x, list(LAYERS))
    omegas = given.network.insens(given.x, list(LAYERS), whole.frequency)
    table = whole.inputs()
    for name in LAYERS:
        sizes = np.abs(margins[name])
        histogram = whole.margins[name]
        assert histogram.counts.sum() == sizes.size
        assert histogram.counts[1].sum() == (margins[name] > 0).sum()
        for share in (0.1, 0.5, 0.9):
            exact = np.quantile(sizes, share, method="inverted_cdf")
            error = 1.01 * histogram.relative_error
            assert histogram.quantile(share) == pytest.approx(exact, rel=error)
        least = sizes.reshape(INPUTS, -1).min(axis=1)
        np.testing.assert_allclose(table[f"{name}/least_margin"], least, rtol=1e-5)
        maps = whole.maps[name]
        assert (len(maps), maps.shape) == (INPUTS, (INPUTS, SIDE, SIDE, 1))
        np.testing.assert_allclose(maps[:], omegas[name], atol=1e-6)
        np.testing.assert_allclose(maps[3:9], omegas[name][3:9], atol=1e-6)
        np.testing.assert_allclose(maps[-1], omegas[name][-1], atol=1e-6)
        assert maps[5:5].shape == (0, SIDE, SIDE, 1)


def test_what_is_not_there_is_said(whole: Survey, given: Given, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"layer='dence': .*did you mean dense"):
        whole.top("dence")
    with pytest.raises(ValueError, match="channel=6: layer 'dense' has 6 channels"):
        whole.top("dense", 6)
    with pytest.raises(IndexError, match="expected one of 11 inputs"):
        whole.maps["conv"][11]
    with pytest.raises(ValueError, match="slice without steps"):
        whole.maps["conv"][::2]
    part = survey(
        given.model, given.x, tmp_path / "part", ["top"], layers=["dense"], progress=False
    )
    assert part.what == ("top",)
    with pytest.raises(ValueError, match=r"frequency: this survey has top; make another one"):
        part.dead()
    with pytest.raises(UnusableFileError, match="expected a finished survey, there is none"):
        Survey.open(tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part"]


def test_a_table_for_pandas(whole: Survey) -> None:
    pandas = pytest.importorskip("pandas")
    frame = whole.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(whole.inputs())


# --- merging ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_parts_are_merged_the_same_in_any_order(seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Few values, so that many are equal.
    activity = generator.integers(0, 4, (20, 2, 3, 5)).astype(np.float32)
    whole = TopInputs.of(activity, 0, 6)
    cuts = [0, *sorted(generator.choice(np.arange(1, 20), 3, replace=False)), 20]
    parts = [TopInputs.of(activity[a:b], a, 6) for a, b in itertools.pairwise(cuts)]
    generator.shuffle(parts)
    merged = TopInputs.merged((TopInputs._make(one) for one in parts), 6)
    for found, expected in zip(merged, whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_histogram_of_extreme_margins() -> None:
    margins = np.array([0.0, -1e-30, 1e-3, -2.0, 1e20, -np.inf])
    found = MarginHistogram.of(margins[:2]) + MarginHistogram.of(margins[2:])
    np.testing.assert_array_equal(found.counts, MarginHistogram.of(margins).counts)
    assert found.counts.sum(axis=1).tolist() == [4, 2]
    assert found.quantile(0.0) == found.quantile(0.3) == 0
    assert found.quantile(0.5) == pytest.approx(1e-3, rel=0.02)
    assert found.quantile(0.6) == pytest.approx(2, rel=0.02)
    assert found.quantile(1.0) == np.inf
    assert found.relative_error < 0.02
    with pytest.raises(
        ValueError, match=r"share=50: expected a finite number, at least 0 and at most 1"
    ):
        found.quantile(50)


# --- sources ------------------------------------------------------------------------------------


def as_folder(given: Given, folder: Path) -> Path:
    (folder / "pictures").mkdir()
    for number, image in enumerate(given.pixels):
        Image.fromarray(image).save(folder / "pictures" / f"{number}.png")
    return folder / "pictures"


def as_hdf5(given: Given, folder: Path) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file["x"] = given.pixels
        file["y"] = np.arange(3)
    return folder / "x.h5"


def as_npz(given: Given, folder: Path) -> Path:
    np.savez_compressed(folder / "x.npz", x_test=given.pixels, y_test=np.arange(3))
    return folder / "x.npz"


def as_npy(given: Given, folder: Path) -> Path:
    np.save(folder / "x.npy", given.pixels)
    return folder / "x.npy"


def as_dataset(given: Given, folder: Path) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((given.x, np.arange(INPUTS))).batch(3)


@pytest.mark.parametrize(
    "source", [as_folder, slow(as_hdf5), as_npz, slow(as_npy), slow(as_dataset)]
)
@with_keras_3
def test_every_source_gives_the_same(
    source: Callable[[Given, Path], Any], given: Given, whole: Survey, tmp_path: Path
) -> None:
    data = source(given, tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    what = ("frequency", "top")
    found = survey(given.model, data, tmp_path / "out", what, shard=5, top=3, progress=False)
    for name in LAYERS:
        np.testing.assert_array_equal(found.frequency.counts[name], whole.frequency.counts[name])
        np.testing.assert_array_equal(found.top(name).inputs, whole.top(name).inputs)
    if source is as_folder:
        assert found.inputs()["input"].tolist() == [f"{number}.png" for number in range(INPUTS)]
    # Copies for the workers are cleared away.
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "out"])


# --- ended and continued ------------------------------------------------------------------------


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """End the work after so many shards, while the list has a number."""
    left: list[int] = []
    compute = survey_work.compute_shard

    def counted(task: Any) -> None:
        if left:
            if left[0] == 0:
                raise SystemExit(143)
            left[0] -= 1
        compute(task)

    monkeypatch.setattr(survey_run, "compute_shard", counted)
    return left


@pytest.mark.parametrize("done", [1, 4])
@pytest.mark.slow
@with_keras_3
def test_ended_work_goes_on_to_the_same(
    given: Given, whole: Survey, tmp_path: Path, ends: list[int], done: int
) -> None:
    arguments: dict[str, Any] = {"shard": SHARD, "top": 3, "progress": False}
    ends.append(done)
    with pytest.raises(SystemExit):
        survey(given.model, given.x, tmp_path / "out", **arguments)
    with pytest.raises(UnusableFileError, match=r"its work is not finished, see .*out.unfinished"):
        Survey.open(tmp_path / "out")
    # Of the six shards as many as are missing are computed.
    ends[0] = 6 - done
    survey(given.model, given.x, tmp_path / "out", **arguments)
    assert ends == [0]
    assert contents(tmp_path / "out") == contents(whole.folder)
    assert os.listdir(tmp_path) == ["out"]


@with_keras_3
def test_what_has_changed_is_refused_by_its_name(
    given: Given, tmp_path: Path, ends: list[int]
) -> None:
    pictures = as_folder(given, tmp_path)
    arguments: dict[str, Any] = {"what": ["top"], "shard": SHARD, "progress": False}
    ends.append(1)
    with pytest.raises(SystemExit):
        survey(given.model, pictures, tmp_path / "out", **arguments)
    other = small_convolutional(outputs=3)
    other.set_weights([w + 1 for w in given.model.get_weights()])
    begun = r"unfinished work that was begun differently: "
    with pytest.raises(UnusableFileError, match=f"{begun}the model has changed"):
        survey(other, pictures, tmp_path / "out", **arguments)
    with pytest.raises(UnusableFileError, match=f"{begun}top was 9 and is 2"):
        survey(given.model, pictures, tmp_path / "out", top=2, **arguments)
    Image.fromarray(given.pixels[0]).save(pictures / "7.png")
    with pytest.raises(UnusableFileError, match=rf"{begun}image .*7\.png has changed"):
        survey(given.model, pictures, tmp_path / "out", **arguments)
    ends.clear()
    found = survey(given.model, pictures, tmp_path / "out", restart=True, **arguments)
    assert found.what == ("top",)


@with_keras_3
def test_bad_input_is_named(given: Given, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"what='maps': expected one of .*'insens'"):
        survey(given.model, given.x, out, ["maps"])
    with pytest.raises(ValueError, match=r"what='top': expected some of 'frequency'"):
        survey(given.model, given.x, out, "top")
    with pytest.raises(ValueError, match="jobs=0: expected a whole number"):
        survey(given.model, given.x, out, jobs=0)
    with pytest.raises(ValueError, match=r"source: expected shape .* came \(11, 8, 8\)"):
        survey(given.model, given.x[..., 0], out)
    with pytest.raises(ValueError, match="key and first are for files"):
        survey(given.model, given.x, out, first=3)
    with pytest.raises(UnusableFileError, match="do not exist"):
        survey(given.model, tmp_path / "no.npz", out)
    bad = given.x.copy()
    bad[6, 0, 0] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    with pytest.raises(UnusableFileError, match=r"bad.npy holds NaN .* first in image 2"):
        survey(given.model, tmp_path / "bad.npy", out, ["top"], shard=SHARD, progress=False)
    with pytest.raises(ValueError, match="frequency: expected an entry for layer 'conv'"):
        survey(given.model, given.x, out, frequency=ActivationFrequency({}, 1))
    # The first shard was good, so that there is work to go on with.
    left = sorted(path.name.partition("-")[0] for path in tmp_path.iterdir())
    assert left == ["bad.npy", "out.model", "out.unfinished"]


# --- the command --------------------------------------------------------------------------------


def test_the_command_writes_a_survey(
    call: Any, given: Given, whole: Survey, tmp_path: Path
) -> None:
    given.model.save(tmp_path / "model.keras")
    images = str(as_npz(given, tmp_path))
    words = ("survey", str(tmp_path / "model.keras"), images, "--out", str(tmp_path / "out"))
    done = call(*words, "--what", "frequency,margins", "--layer", "1", "--jobs", "1")
    assert (done.code, done.err) == (0, "")
    found = Survey.open(tmp_path / "out")
    np.testing.assert_array_equal(found.frequency["dense"], whole.frequency["dense"])
    share, dead = whole.frequency["dense"].mean(), len(whole.dead()["dense"])
    always = len(whole.always_active()["dense"])
    median = f"{whole.margins['dense'].quantile(0.5):.3g}"
    assert re.search(rf"dense +6 +{share:.1%} +{dead} +{always} +{median}", done.out)
    # Said without TensorFlow.
    assert survey_command._WHAT == survey_run.WHAT
    again = call(*words)
    assert again.code == 1
    assert "--overwrite replaces" in again.err
    assert "expected some of frequency, top, margins, insens" in call(*words, "--what", "a").err


# --- workers ------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
import numpy as np
import insens_tf
from distributed import Client, LocalCluster
from tests.small_images import small_convolutional

def lose_a_worker(address, folder, seen):
    # One that has a shard at hand: the first one is written, and there are more.
    while not list(folder.glob("states_*.h5")):
        time.sleep(0.02)
    with Client(address) as client:
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        seen.append(len(pids))

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    x = np.random.default_rng(1).random((40, 8, 8, 1), np.float32)
    model = small_convolutional(3)
    insens_tf.survey(model, x, folder / "one", jobs=1, shard=4)
    seen = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        results = folder / "dask.unfinished" / "results"
        thread = threading.Thread(target=lose_a_worker, args=(address, results, seen))
        thread.start()
        insens_tf.survey(model, x, folder / "dask", scheduler=address, shard=4)
        thread.join()
    print(seen)
"""


@pytest.mark.slow
@with_keras_3
def test_workers_give_the_same_to_the_bit(tmp_path: Path) -> None:
    """One process, and a Dask cluster that loses one of its two workers."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[2]\n"), done.stderr
    one, dask = (contents(tmp_path / name) for name in ("one", "dask"))
    assert one == dask
    assert len({name.partition("/")[0] for name in one if ".h5" in name}) == 21


@pytest.mark.slow
@with_keras_3
def test_analyze_gives_the_same_by_workers(call: Any, given: Given, tmp_path: Path) -> None:
    given.model.save(tmp_path / "model.keras")
    words = ("analyze", str(tmp_path / "model.keras"), str(as_folder(given, tmp_path)))
    # Blocks of one image each.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analyze_command, "ROWS_OF_AN_OVERVIEW", 1)
        patch.setattr(analyze_command, "_IMAGES_OF_A_BLOCK", 1)
        for jobs in ("1", "2"):
            done = call(*words, "--out", str(tmp_path / jobs), "--jobs", jobs)
            assert done.code == 0, done.err
    alone, workers = (
        sorted(path.relative_to(folder) for path in folder.rglob("*"))
        for folder in (tmp_path / "1", tmp_path / "2")
    )
    assert alone == workers
    with np.load(tmp_path / "1" / "insens.npz") as one, np.load(tmp_path / "2/insens.npz") as two:
        for name in LAYERS:
            np.testing.assert_allclose(two[f"insens/{name}"], one[f"insens/{name}"], atol=1e-6)
        assert one["names"].tolist() == two["names"].tolist()
