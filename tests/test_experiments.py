"""What the experiments share: their command, the store of networks, and work over processes.

The commands run with `--quick`, on the sample that is shipped: of small networks in the tests' own
process, and, slowly, as a user runs them.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from math import factorial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from data_scripts.preparation import write_npz
from experiments import experiment as experiment_module
from experiments import versions
from experiments.data import SHIPPED_SAMPLE, fingerprint, load_data
from experiments.experiment import Experiment, Run
from experiments.network_store import Store
from experiments.tables import read_csv, write_csv
from experiments.train import Network
from experiments.two_conv_settings import SETTINGS, Settings
from insens_tf.parallel import Engine
from tests.commands_here import run_here
from tests.conftest import halved, with_keras_2, with_keras_3

ROOT = Path(__file__).resolve().parents[1]

# With what each is to have drawn.
PICTURES = {
    "activity": ["shares.png"],
    "figure_2": ["figure_2.png"],
    "figure_6": ["figure_6.png"],
    "noise_table": ["noise_table.png"],
    "open_settings": ["open_settings.png"],
    "variants": ["likeness.png", "maps_mnist_sample.png"],
    "figure_4": ["figure_4.png"],
    "figure_5": ["figure_5.png"],
    "linear_regions": ["linear_regions.png"],
    "stability": ["stability.png"],
    "detection": ["detection.png"],
    "further_claims": ["further_claims.png"],
    "figure_7_bounds": ["figure_7_bounds.png"],
    "figure_7": ["figure_7.png", "figure_7_variants.png"],
}


# --------------------------------------------------------------------------------------------------
# Every experiment


# What makes networks that are trained in less than a second.
SMALL = ("filters=[4,6]", "units=16", "epochs=1", "train_images=200", "learning_rate=0.01")


def experiments(slow: Collection[str] = ()) -> list[Any]:
    """Parameters of a test: each experiment's name, and what it is to have drawn."""
    return [
        pytest.param(name, PICTURES[name], marks=[pytest.mark.slow] if name in slow else [])
        for name in PICTURES
        if name not in slow or name in halved(PICTURES)
    ]


# Those that share the networks that are trained once.
in_one_worker = pytest.mark.xdist_group("experiments")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder where all of them keep the network that they share."""
    return tmp_path_factory.mktemp("networks")


def started(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"},
        timeout=600,
    )


def command_of(name: str) -> click.Command:
    return importlib.import_module(f"experiments.{name}").main


def assert_complete(name: str, pictures: list[str], out: Path) -> None:
    """Records, files and pictures are there, and the pictures are those of the numbers."""
    config = json.loads((out / "config.json").read_text())
    record = json.loads((out / "run.json").read_text())
    assert config["experiment"] == name
    assert config["quick"] is True
    assert list(config["data_sha256"]) == [SHIPPED_SAMPLE]
    assert record["config"] == config
    assert record["seconds"] > 0
    assert record["processor"]["threads"] >= 1
    assert str(out.parent) not in json.dumps(record)
    assert sum(path.stat().st_size for path in out.iterdir()) < 3e6
    drawn = {}
    for picture in pictures:
        with Image.open(out / picture) as image:
            pixels = np.asarray(image.convert("L"))
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert pixels.std() > 0
        beside = (out / picture).with_suffix(".pdf")
        drawn[picture] = pixels, beside.read_bytes()
        (out / picture).unlink()
        beside.unlink()

    redrawn = CliRunner().invoke(command_of(name), ["--redraw", str(out)])

    assert redrawn.exit_code == 0, redrawn.output
    for picture, (pixels, vectors) in drawn.items():
        with Image.open(out / picture) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("L")), pixels)
        assert (out / picture).with_suffix(".pdf").read_bytes() == vectors


# Of what has been trained for seconds many outputs are negative.
@pytest.mark.filterwarnings("ignore:'deep_taylor'")
@in_one_worker
# The slow ones' commands are run below or in the figures' own tests too.
@pytest.mark.parametrize(
    ("name", "pictures"),
    # All but the activity.
    experiments(slow=set(PICTURES) - {"activity"}),
)
def test_quick_of_small_networks(
    name: str, pictures: list[str], networks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    settings = [word for setting in SMALL for word in ("--setting", setting)]

    ended = run_here(command_of(name), "--quick", "--networks", networks, "--out", out, *settings)

    assert ended.exit_code == 0, ended.output
    assert_complete(name, pictures, out)


# As a user runs them, with networks of their full size; all commands are run above.
@pytest.mark.slow
@in_one_worker
@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        pytest.param("figure_7", PICTURES["figure_7"], marks=with_keras_2),
        pytest.param("noise_table", PICTURES["noise_table"], marks=with_keras_3),
    ],
)
def test_quick(name: str, pictures: list[str], networks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    ended = started(name, "--quick", "--networks", networks, "--out", out)

    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert_complete(name, pictures, out)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_source_is_the_commit_and_whether_it_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "__file__", str(tmp_path / "experiments" / "versions.py"))
    assert versions.source() == ""
    file = tmp_path / "experiments" / "versions.py"
    file.parent.mkdir()
    file.write_text("")

    def git(*words: str) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
        done = subprocess.run(
            ["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    assert versions.source() == git("rev-parse", "HEAD")
    file.write_text("changed")
    assert versions.source() == git("rev-parse", "HEAD") + "+"
    # A copy in the folder of another project.
    monkeypatch.setattr(versions, "__file__", str(file.parent / "copy" / "versions.py"))
    assert versions.source() == ""


# --------------------------------------------------------------------------------------------------
# The command


def invoked(command: click.Command, folder: Path, *arguments: str) -> Result:
    places = ("--networks", str(folder / "networks"), "--out", str(folder / "out"))
    return CliRunner().invoke(command, [*places, *arguments])


def made(compute: Callable[..., None], **options: Any) -> click.Command:
    def draw(folder: Path) -> None:
        rows = read_csv(folder / "numbers.csv")
        (folder / "drawn.txt").write_text(",".join(row["number"] for row in rows))

    return Experiment("made", compute, draw, datasets=("mnist",), **options).command()


def test_pictures_are_of_the_numbers_in_the_folder(tmp_path: Path) -> None:
    def compute(run: Run) -> None:
        """Write two numbers."""
        write_csv(run.folder / "numbers.csv", ("number",), [(run.seed,), (run.quick,)])

    command = made(compute)
    result = invoked(command, tmp_path, "--quick", "--seed", "7")
    assert result.exit_code == 0, result.output
    drawn = tmp_path / "out" / "drawn.txt"
    assert drawn.read_text() == "7,True"
    (tmp_path / "out" / "numbers.csv").write_text("number\n1\n2\n")

    again = CliRunner().invoke(command, ["--redraw", str(tmp_path / "out")])

    assert again.exit_code == 0
    assert drawn.read_text() == "1,2"
    earlier = invoked(command, tmp_path, "--quick")
    assert earlier.exit_code == 1
    assert "holds earlier results" in earlier.output
    assert str(command.help).startswith("Write two numbers.")


def test_work_that_was_interrupted_is_continued(tmp_path: Path) -> None:
    done: list[int] = []
    interruptions = [2]

    def measure(task: int) -> dict[str, np.ndarray]:
        if task in interruptions:
            interruptions.remove(task)
            raise KeyboardInterrupt
        done.append(task)
        return {"number": np.array([10 * task])}

    def compute(run: Run, count: int) -> None:
        """Do some pieces of work."""
        run.measure(measure, list(range(count)), "pieces")
        numbers = [(int(part[0]),) for part in run.unfinished.parts("number")]
        write_csv(run.folder / "numbers.csv", ("number",), numbers)

    command = made(compute, options=(click.Option(["--count"], default=4),))
    interrupted = invoked(command, tmp_path, "--quick")
    assert interrupted.exit_code == 1
    assert "the same command continues" in interrupted.output
    assert not (tmp_path / "out").exists()

    other = invoked(command, tmp_path, "--quick", "--count", "5")
    assert other.exit_code == 1
    assert "begun differently: count was 4 and is 5" in other.output
    continued = invoked(command, tmp_path, "--quick")

    assert continued.exit_code == 0, continued.output
    assert done == [0, 1, 2, 3]
    assert (tmp_path / "out" / "drawn.txt").read_text() == "0,10,20,30"


def test_settings_of_the_experiment_and_of_the_user(tmp_path: Path) -> None:
    found: list[Settings] = []

    def compute(run: Run) -> None:
        """Note the settings."""
        found.append(run.settings(SHIPPED_SAMPLE))
        write_csv(run.folder / "numbers.csv", ("number",), [])

    command = made(compute, settings={"dropout": 0.25, "epochs": 3})
    options = (
        "--setting",
        "filters=[2,3]",
        "--setting",
        "epochs=1",
        "--setting",
        'padding="valid"',
    )
    result = invoked(command, tmp_path, "--quick", *options)

    assert result.exit_code == 0, result.output
    expected = replace(
        SETTINGS[SHIPPED_SAMPLE], dropout=0.25, epochs=1, filters=(2, 3), padding="valid"
    )
    assert found == [expected]
    command_line = json.loads((tmp_path / "out" / "run.json").read_text())["command"]
    assert command_line == (
        "python -m experiments.made --setting 'filters=[2, 3]' --setting epochs=1 "
        "--setting 'padding=\"valid\"' --quick"
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["settings"][SHIPPED_SAMPLE]["filters"] == [2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--setting", "filter=3", "--quick"], "'filter=3': expected one of filters, kernel_size"),
        (["--setting", "units", "--quick"], "'units': expected JSON after ="),
        ([], "mnist.npz; python -m data_scripts.mnist"),
    ],
)
def test_what_is_refused(arguments: Sequence[str], message: str, tmp_path: Path) -> None:
    def compute(run: Run) -> None:
        """Never get here."""
        raise AssertionError

    result = invoked(made(compute), tmp_path, "--data", str(tmp_path), *arguments)

    assert result.exit_code in (1, 2)
    assert message in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_about_one_data_set(tmp_path: Path) -> None:
    def compute(run: Run) -> None:
        """Be about one data set."""
        raise AssertionError(run.dataset)

    result = invoked(
        made(compute), tmp_path, *("--dataset", SHIPPED_SAMPLE), *("--dataset", SHIPPED_SAMPLE)
    )

    assert result.exit_code == 2
    assert "--dataset: expected one data set, came mnist_sample, mnist_sample" in result.output


def test_data_sets_that_stand_for_each_other(tmp_path: Path) -> None:
    there = experiment_module._there
    assert there(("smallnorb|fashion_mnist", "cifar10"), tmp_path) == ("fashion_mnist", "cifar10")
    (tmp_path / "smallnorb.npz").touch()
    assert there(("smallnorb|fashion_mnist", "cifar10"), tmp_path) == ("smallnorb", "cifar10")


# --------------------------------------------------------------------------------------------------
# The store


TINY = Settings(input_shape=(8, 8, 1), classes=3, filters=(2, 3), kernel_size=3, units=4, epochs=1)


def test_a_network_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "mnist", TINY)
    random = np.random.default_rng(0)
    arrays = {
        f"{kind}_{part}": random.integers(0, high, (9, *shape), dtype=np.uint8)
        for kind, high, shape in (("x", 256, TINY.input_shape), ("y", 3, ()))
        for part in ("train", "test")
    }
    write_npz(tmp_path / "mnist.npz", arrays)
    trained: list[Network] = []

    def train_into(folder: Path, network: Network, data: Any, sha256: str) -> dict[str, Any]:
        trained.append(network)
        return {"test_accuracy": network.seed}

    monkeypatch.setattr("experiments.network_store.train_into", train_into)
    store = Store(tmp_path / "networks", tmp_path)
    sha256 = fingerprint(load_data(tmp_path, "mnist"))
    first, second = Network("mnist", 0, TINY), Network("mnist", 1, TINY)

    store.train([first], Engine(), {"mnist": sha256})
    store.train([first, second], Engine(), {"mnist": sha256})

    assert trained == [first, second]
    assert store.record(second, sha256)["test_accuracy"] == 1
    others = [
        replace(first, labels_shuffled=True),
        replace(first, settings=replace(TINY, units=5)),
        replace(first, dataset="fashion_mnist"),
    ]
    paths = {store.path(network, sha256) for network in (first, second, *others)}
    assert len(paths | {store.path(first, "0" * 64)}) == 6


# --------------------------------------------------------------------------------------------------
# Work over processes


def test_the_same_on_processes() -> None:
    for engine in (Engine(), Engine(2)):
        found = sorted(engine.map(factorial, [3, 4, 5], "factorials"))
        assert found == [(0, 6), (1, 24), (2, 120)]


@pytest.mark.slow
@with_keras_3
def test_the_same_on_processes_and_on_a_cluster() -> None:
    """In a process of its own, as pytest's is not one that workers can import."""
    program = """
import os
from insens_tf.parallel import Engine
from math import factorial

if __name__ == "__main__":
    for engine in (Engine(), Engine(2), Engine(2, "dask")):
        print(sorted(engine.map(factorial, [3, 4, 5], "factorials")))
    print(sorted({pid for _, pid in Engine(2).map(eval, ["__import__('os').getpid()"] * 2, "")})
          == [os.getpid()])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"},
        timeout=300,
    )

    assert ended.stdout.splitlines() == ["[(0, 6), (1, 24), (2, 120)]"] * 3 + ["False"], (
        ended.stderr
    )
