"""Long work that is ended, at any moment and in any way, goes on to the same results."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorflow import keras

from insens_tf import cli, files
from insens_tf.cli import analyze_command, drawing
from insens_tf.files import UnfinishedResults, UnusableFileError, resumable_results
from tests.oracle import Oracle

# --- folders of results -------------------------------------------------------------------------

ROWS, BLOCK = 7, 3
SETTINGS = {"state": '"inactive"', "image a.png": "sha256:0"}


def block(rows: slice) -> np.ndarray:
    return np.arange(ROWS, dtype=np.float32)[rows, np.newaxis] * [[1, -1]]


def work(
    path: Path, *, end_after: int = ROWS, error: BaseException | None = None, **options: Any
) -> int:
    """Write results in blocks, and say how many were written; raise `error` after `end_after`."""
    written = 0
    settings = options.pop("settings", SETTINGS)
    with resumable_results(path, {"command": "test"}, settings, **options) as unfinished:
        for rows in unfinished.remaining(ROWS, BLOCK):
            if written == end_after and error is not None:
                raise error
            (unfinished.folder / f"drawn_{rows.start}").write_text("drawn")
            unfinished.keep(rows, {"maps/one": block(rows)})
            written += 1
        parts = files.Parts((ROWS, 2), np.float32, unfinished.parts("maps/one"))
        files.write_npz(unfinished.folder / "maps.npz", {"maps/one": parts})
    return written


def assert_whole(path: Path) -> None:
    assert os.listdir(path.parent) == [path.name]
    drawn = [f"drawn_{start}" for start in range(0, ROWS, BLOCK)]
    assert sorted(os.listdir(path)) == [*drawn, "maps.npz", "run.json"]
    with np.load(path / "maps.npz") as arrays:
        assert np.array_equal(arrays["maps/one"], block(slice(None)))
        assert arrays["maps/one"].dtype == np.float32
    assert json.loads((path / "run.json").read_text()) == {"command": "test"}


def test_uninterrupted_work_is_a_folder_of_results(tmp_path: Path) -> None:
    assert work(tmp_path / "new" / "results") == 3
    assert_whole(tmp_path / "new" / "results")


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "interrupted; what is done is kept in .*the same command continues"),
        (OSError(28, "No space left on device"), "results.unfinished cannot be written: No space"),
        (UnusableFileError("image x.png"), "image x.png; what is done is kept in"),
        (SystemExit(143), "143"),
    ],
)
def test_ended_work_goes_on(tmp_path: Path, done: int, error: BaseException, message: str) -> None:
    expected = UnusableFileError if isinstance(error, Exception) else type(error)
    with pytest.raises(expected, match=message):
        work(tmp_path / "results", end_after=done, error=error)
    assert os.listdir(tmp_path) == ["results.unfinished"]
    assert work(tmp_path / "results") == 3 - done
    assert_whole(tmp_path / "results")


def test_work_of_which_nothing_is_done_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnusableFileError, match=r"^image x\.png$"):
        work(tmp_path / "new" / "results", end_after=0, error=UnusableFileError("image x.png"))
    assert os.listdir(tmp_path) == []


def test_a_block_that_could_not_be_written_whole_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = np.savez
    saved: list[Any] = []

    def full(file: Any, **arrays: Any) -> None:
        if saved:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        saved.append(arrays)
        save(file, **arrays)

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.raises(
            UnusableFileError, match=r"3\.npz cannot be written: No space left.*kept"
        ):
            work(tmp_path / "results")
    kept = tmp_path / "results.unfinished" / "blocks"
    assert os.listdir(kept) == ["0.npz"]
    # As SIGKILL would have left it, in the middle of a block.
    (kept / ".3.npz.0123abcd.part").write_bytes(b"half")
    (tmp_path / "results.unfinished" / "results" / "drawn_3").write_text("hal")
    assert work(tmp_path / "results") == 2
    assert_whole(tmp_path / "results")


def begin(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        work(path, end_after=1, error=KeyboardInterrupt())


def test_other_settings_are_named_and_restart_begins_anew(tmp_path: Path) -> None:
    begin(tmp_path / "results")
    others = {
        r"state was \"inactive\" and is \"all\"; --restart begins": {"state": '"all"'},
        "image a.png has changed; --restart": {"image a.png": "sha256:1"},
        "image b.png is new; --restart begins anew, or name another": {"image b.png": "sha256:1"},
        "one is new; two is new; three is new; 2 more": dict.fromkeys(
            ("one", "two", "three", "four", "five"), "1"
        ),
    }
    for message, changed in others.items():
        with pytest.raises(UnusableFileError, match=message):
            work(tmp_path / "results", settings=SETTINGS | changed)
    with pytest.raises(UnusableFileError, match=r"image a\.png is gone"):
        work(tmp_path / "results", settings={"state": '"inactive"'})
    assert work(tmp_path / "results", settings={"state": '"all"'}, restart=True) == 3
    assert_whole(tmp_path / "results")


def test_earlier_results_stay_until_the_new_ones_are_whole(tmp_path: Path) -> None:
    work(tmp_path / "results")
    with pytest.raises(UnusableFileError, match="--overwrite"):
        work(tmp_path / "results")
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "results", end_after=1, error=KeyboardInterrupt(), replace=True)
    assert sorted(os.listdir(tmp_path)) == ["results", "results.unfinished"]
    assert work(tmp_path / "results", replace=True) == 2
    assert_whole(tmp_path / "results")


def test_what_a_finished_run_did_not_clear_away_is_cleared(tmp_path: Path) -> None:
    begin(tmp_path / "results")
    # Ended between the two: the results are in place, and their blocks are still there.
    (tmp_path / "results.unfinished" / "results").rename(tmp_path / "results")
    (tmp_path / "results" / "run.json").write_text("{}")
    with pytest.raises(UnusableFileError, match="holds earlier results"):
        work(tmp_path / "results")
    assert os.listdir(tmp_path) == ["results"]


def test_two_processes_do_not_do_the_same_work(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with resumable_results(tmp_path / "results", {}, SETTINGS):
        for restart in (False, True):
            with pytest.raises(UnusableFileError, match="worked on by another process"):
                work(tmp_path / "results", restart=restart)


def test_a_folder_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    mine = tmp_path / "results.unfinished"
    mine.mkdir()
    (mine / "mine.txt").write_text("mine")
    for restart in (False, True):
        with pytest.raises(UnusableFileError, match="is there already"):
            work(tmp_path / "results", restart=restart)
    assert os.listdir(mine) == ["mine.txt"]


def test_a_damaged_block_is_named(tmp_path: Path) -> None:
    begin(tmp_path / "results")
    kept = tmp_path / "results.unfinished" / "blocks" / "0.npz"
    kept.write_bytes(kept.read_bytes()[:-30])
    with pytest.raises(UnusableFileError, match=r"unfinished results .*0\.npz cannot be read"):
        work(tmp_path / "results")


def test_fingerprints_tell_contents_apart(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").write_text("ab")
    (tmp_path / "one" / "b").write_text("")
    first = files.fingerprints("model", tmp_path / "one")
    assert list(first) == [f"model {tmp_path / 'one'}"]
    assert files.fingerprints("model", tmp_path / "one") == first
    (tmp_path / "one" / "a").write_text("a")
    (tmp_path / "one" / "b").write_text("b")
    assert files.fingerprints("model", tmp_path / "one") != first
    with pytest.raises(UnusableFileError, match=r"model .*two cannot be read"):
        files.fingerprints("model", tmp_path / "two")


# --- insens-tf analyze --------------------------------------------------------------------------

SIDE, IMAGES, IMAGES_OF_A_BLOCK = 5, 30, 20
of_one_folder = pytest.mark.xdist_group("resuming")  # making it takes a second or two


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, images and training images in files."""
    folder = tmp_path_factory.mktemp("resuming")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(2, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(4, activation="relu", name="dense"),
            layers.Dense(2, name="logits"),
        ]
    )
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    model.save(folder / "model.keras")
    images = generator.integers(0, 256, (IMAGES, SIDE, SIDE), dtype=np.uint8)
    training = generator.integers(0, 256, (60, SIDE, SIDE), dtype=np.uint8)
    np.savez(folder / "images.npz", x_test=images, x_train=training)
    return folder


def arguments(folder: Path, out: Path, *more: str) -> list[str]:
    data = str(folder / "images.npz")
    model = str(folder / "model.keras")
    return ["analyze", model, data, "--frequency-from", data, "--out", str(out), *more]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run a command inside this process: its exit code, its output and its errors."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(drawing, "write_overviews", lambda *_, **__: None)  # they take long
    monkeypatch.setattr(analyze_command, "_IMAGES_OF_A_BLOCK", IMAGES_OF_A_BLOCK)

    def run_here(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with warnings.catch_warnings():
            code = cli.main(words)
        return code, *capfd.readouterr()

    yield run_here
    signal.signal(signal.SIGTERM, handler)


def arrays_of(out: Path) -> dict[str, np.ndarray]:
    with np.load(out / "insens.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def assert_same_results(found: Path, expected: Path) -> None:
    """Two folders hold the same, byte for byte, but for what overviews there are."""
    first, second = arrays_of(found), arrays_of(expected)
    assert list(first) == list(second) == ["names", "x", "insens/conv", "insens/dense"]
    for name, values in first.items():
        assert values.dtype == second[name].dtype
        assert values.tobytes() == second[name].tobytes()
    heatmaps = sorted(os.listdir(found / "heatmaps"))
    assert heatmaps == sorted(os.listdir(expected / "heatmaps"))
    assert len(heatmaps) == 2 * IMAGES
    for path in ("insens.npz", *(f"heatmaps/{name}" for name in heatmaps)):
        assert (found / path).read_bytes() == (expected / path).read_bytes()


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that was not interrupted."""
    out = tmp_path_factory.mktemp("whole") / "results"
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        patched.setattr(drawing, "write_overviews", lambda *_, **__: None)
        patched.setattr(analyze_command, "_IMAGES_OF_A_BLOCK", IMAGES_OF_A_BLOCK)
        assert cli.main(arguments(folder, out)) == 0
    signal.signal(signal.SIGTERM, handler)
    return out


@of_one_folder
def test_blocks_give_what_the_oracle_has(folder: Path, whole: Path) -> None:
    arrays = arrays_of(whole)
    model = keras.models.load_model(folder / "model.keras")
    with np.load(folder / "images.npz") as stored:
        images, training = (stored[name][..., np.newaxis] for name in ("x_test", "x_train"))
    chosen = [0, 19, 20, 29]  # at the edges of the blocks
    x = images.astype(np.float32) / np.float32(255)
    assert np.array_equal(arrays["x"], x)
    oracle = Oracle(model)
    counted = oracle.references(training.astype(np.float32) / np.float32(255))
    for reference, count in zip(oracle.references(x[chosen]), counted, strict=True):
        if f"insens/{reference.name}" in arrays:
            expected = reference.insens(count.count / 60)
            found = arrays[f"insens/{reference.name}"][chosen]
            assert np.allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert arrays["names"].tolist() == [f"image {i}" for i in range(IMAGES)]


PROGRAM = f"""
import sys
from insens_tf.cli import analyze_command, main
analyze_command._IMAGES_OF_A_BLOCK = {IMAGES_OF_A_BLOCK}
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow  # test_work_ends_wherever_and_goes_on does it without a process
@of_one_folder
def test_a_killed_process_is_continued(
    call: Any, folder: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments(folder, out)],
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).absolute().parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    blocks = tmp_path / "results.unfinished" / "blocks"
    deadline = time.monotonic() + 300
    while not (blocks / "0.npz").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    code, said, _ = call(*arguments(folder, out))
    assert code == 0
    assert "The activation frequency over 60 samples was known already." in said
    assert f"Continuing: {IMAGES_OF_A_BLOCK} of {IMAGES} images were done before." in said
    assert os.listdir(tmp_path) == ["results"]
    assert_same_results(out, whole)


@of_one_folder
def test_work_ends_wherever_and_goes_on(
    call: Any, folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a block's pictures, after a block, and in writing the arrays."""
    out = tmp_path / "results"

    def end(what: Any, name: str, calls: int, error: BaseException) -> tuple[int, str]:
        original, made = getattr(what, name), []

        def ended(*given: Any, **named: Any) -> Any:
            made.append(1)
            if len(made) > calls:
                raise error
            return original(*given, **named)

        with monkeypatch.context() as patched:
            patched.setattr(what, name, ended)
            code, _, err = call(*arguments(folder, out))
        assert err.strip().count("\n") == 0
        assert not out.exists()
        return code, err

    full = OSError(28, "No space left on device")
    code, err = end(drawing, "write_heatmap", 30, full)
    assert code == 1
    assert "cannot be written: No space left on device; what is done is kept" in err
    code, err = end(UnfinishedResults, "keep", 1, KeyboardInterrupt())
    assert code == 130
    assert "insens-tf: error: interrupted; what is done is kept" in err
    code, err = end(files, "write_npz", 0, full)
    assert code == 1
    code, said, err = call(*arguments(folder, out))
    assert (code, err) == (0, "")
    assert f"Continuing: {IMAGES} of {IMAGES} images" in said
    assert_same_results(out, whole)


@of_one_folder
def test_a_rerun_that_differs_says_in_what(
    call: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results"
    with monkeypatch.context() as patched:
        patched.setattr(files, "write_npz", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        assert call(*arguments(folder, out, "--first", "20"))[0] == 130
    for more, message in [
        (("--first", "21"), "first was 20 and is 21"),
        (("--first", "20", "--state", "all"), 'state was "inactive" and is "all"'),
        (("--first", "20", "--layer", "conv"), 'layers was ["conv", "dense"] and is ["conv"]'),
    ]:
        code, _, err = call(*arguments(folder, out, *more))
        assert code == 1
        assert message in err
        assert "--restart begins anew, or name another folder" in err
    changed = tmp_path / "changed"
    changed.mkdir()
    model = keras.models.load_model(folder / "model.keras")
    model.layers[-1].bias.assign([1.0, 2.0])
    (folder / "model.keras").rename(folder / "kept.keras")
    try:
        model.save(folder / "model.keras")
        code, _, err = call(*arguments(folder, out, "--first", "20"))
        assert (code, "model.keras has changed" in err) == (1, True)
    finally:
        (folder / "kept.keras").replace(folder / "model.keras")
    code, said, _ = call(*arguments(folder, out, "--first", "3", "--restart"))
    assert (code, "Continuing" in said) == (0, False)
    assert len(arrays_of(out)["x"]) == 3


def save_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@of_one_folder
def test_other_images_or_another_order_are_not_taken_for_the_same(
    call: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = save_pictures(tmp_path / "pictures", 3)
    first, second, third = (str(pictures / f"{i}.png") for i in range(3))
    out = tmp_path / "results"
    frequency = tmp_path / "frequency.npz"
    training = np.random.default_rng(0).integers(0, 256, (2, 9, SIDE, SIDE), dtype=np.uint8)
    np.savez(frequency, x_train=training[0])

    def words(*images: str, data: Path = frequency) -> list[str]:
        model = str(folder / "model.keras")
        options = ["--layer", "dense", "--frequency-from", str(data), "--out", str(out)]
        return ["analyze", model, *images, *options]

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_npz", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        assert call(*words(first, second))[0] == 130

    def assert_refused(message: str, *images: str, **options: Any) -> None:
        code, _, err = call(*words(*images, **options))
        assert code == 1
        assert re.search(message, err), err
        assert not out.exists()

    assert_refused("begun differently: the order of the images has changed;", second, first)
    assert_refused(r"0\.png is given twice", first, second, first)
    assert_refused(r"image .*2\.png is new", first, second, third)
    assert_refused(r"image .*1\.png is gone", first)
    assert_refused(r"image .*2\.png is new; .*image .*1\.png is gone", first, third)
    Path(second).rename(pictures / "renamed.png")
    assert_refused(r"renamed\.png is new; .*1\.png is gone", first, str(pictures / "renamed.png"))
    (pictures / "renamed.png").rename(second)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.savez(elsewhere / "frequency.npz", x_train=training[1])
    message = r"elsewhere/frequency\.npz is new; .*data .*frequency\.npz is gone"
    assert_refused(message, first, second, data=elsewhere / "frequency.npz")
    kept = frequency.read_bytes()
    np.savez(frequency, x_train=training[1])
    assert_refused(r"data .*frequency\.npz has changed", first, second)
    frequency.write_bytes(kept)
    code, said, _ = call(*words(first, second))
    assert (code, "Continuing: 2 of 2 images" in said) == (0, True)
    assert arrays_of(out)["names"].tolist() == ["0.png", "1.png"]


@of_one_folder
def test_bad_images_stop_the_work_or_are_left_out(call: Any, folder: Path, tmp_path: Path) -> None:
    pictures = save_pictures(tmp_path / "pictures", 4)
    good = (pictures / "1.png").read_bytes()
    (pictures / "1.png").write_bytes(good[: len(good) // 2])
    out = tmp_path / "results"
    words = ["analyze", str(folder / "model.keras"), str(pictures), "--out", str(out)]
    code, _, err = call(*words)
    assert code == 1
    assert "1.png cannot be read" in err
    assert os.listdir(tmp_path) == ["pictures"]
    code, said, err = call(*words, "--bad-images", "skip")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith(f"insens-tf: left out image {pictures / '1.png'} cannot be read")
    assert "Read 3 images" in said
    assert arrays_of(out)["names"].tolist() == ["0.png", "2.png", "3.png"]
    left_out = json.loads((out / "run.json").read_text())["left_out"]
    assert list(left_out) == [str(pictures / "1.png")]
    for i in (0, 2, 3):
        (pictures / f"{i}.png").write_bytes(b"")
    code, _, err = call(*words, "--bad-images", "skip", "--overwrite")
    assert code == 1
    assert err.splitlines()[-1].endswith("holds no images that can be read, of 4")


def test_a_block_is_as_large_as_memory_allows() -> None:
    def size(side: int, images: int = 1000) -> int:
        inputs = files.fit_to_model(
            files.Images(np.zeros((images, side, side, 1), np.uint8), None, "x"), (side, side, 1)
        )
        unfinished = _Nothing()
        (first, *_) = analyze_command._blocks(unfinished, inputs, 3)  # type: ignore[arg-type]
        return first.stop - first.start

    assert size(4) == 100
    assert size(4, images=7) == 7
    # Four arrays of 600 x 600 x 4 bytes an image: 11 fit, and an overview is of 20.
    assert size(600, images=30) == 20


class _Nothing:
    """Unfinished results of which nothing is done."""

    def remaining(self, total: int, size: int) -> list[slice]:
        return [slice(start, min(start + size, total)) for start in range(0, total, size)]
