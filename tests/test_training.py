"""Training 2CONV: data, seeds, what is measured, and the command as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tensorflow import keras

from data_scripts.preparation import DataError, write_npz
from experiments.data import load_data
from experiments.train import main, shuffled, training_batches
from experiments.two_conv_settings import SETTINGS, Settings, build
from insens_tf.interruption import interrupted_after_a_batch
from tests.commands_here import run_here
from tests.conftest import with_keras_3

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
SMALL = Settings(input_shape=(8, 8, 1), classes=3, filters=(4, 5), kernel_size=3, units=16)


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    output: str
    errors: str


def arrays(settings: Settings, images: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    data: dict[str, np.ndarray] = {}
    for part in ("train", "test"):
        shape = (images, *settings.input_shape)
        data[f"x_{part}"] = random.integers(0, 256, shape, dtype=np.uint8)
        data[f"y_{part}"] = np.arange(images, dtype=np.uint8) % settings.classes
    return data


# --------------------------------------------------------------------------------------------------
# Settings


@pytest.mark.parametrize("dataset", SETTINGS)
def test_network_of_each_data_set(dataset: str) -> None:
    settings = SETTINGS[dataset]
    model = build(replace(settings, units=8), seed=0)

    assert model.input_shape == (None, *settings.input_shape)
    assert model.output_shape == (None, settings.classes)
    assert model.get_layer("dropout").rate == settings.dropout
    assert settings.units == 1024
    assert settings.filters == (32, 64)


# --------------------------------------------------------------------------------------------------
# Data


def test_data_as_it_was_written(tmp_path: Path) -> None:
    data = arrays(SMALL)
    write_npz(tmp_path / "mnist.npz", data)

    loaded = load_data(tmp_path, "mnist", SMALL)

    assert loaded.keys() == data.keys()
    for name, values in data.items():
        np.testing.assert_array_equal(loaded[name], values)


def test_missing_data_says_how_to_make_it(tmp_path: Path) -> None:
    message = f"no {tmp_path}/mnist.npz; python -m data_scripts.mnist --out {tmp_path} makes it"
    with pytest.raises(DataError, match=re.escape(message)):
        load_data(tmp_path, "mnist", SMALL)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("x_test", np.zeros((12, 8, 9, 1), np.uint8), "x_test in .* shape (8, 8, 1), not uint8 of"),
        ("x_train", np.zeros((12, 8, 8, 1), np.float32), "x_train in .* not float32 of shape"),
        ("y_train", np.zeros(11, np.uint8), "y_train in .* must hold 12 labels below 3"),
        ("y_test", np.full(12, 3, np.uint8), "y_test in .* must hold 12 labels below 3"),
    ],
)
def test_other_data(name: str, values: np.ndarray, message: str, tmp_path: Path) -> None:
    write_npz(tmp_path / "mnist.npz", arrays(SMALL) | {name: values})

    with pytest.raises(DataError, match=re.escape(message).replace(r"\.\*", ".*")):
        load_data(tmp_path, "mnist", SMALL)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_data(share: float, tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    write_npz(path, arrays(SMALL))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    with pytest.raises(DataError, match=r"is not a sound \.npz of a data script"):
        load_data(tmp_path, "mnist", SMALL)


# --------------------------------------------------------------------------------------------------
# Seeds


def test_shuffled_labels_are_the_same_labels_in_another_order() -> None:
    labels = np.arange(100, dtype=np.uint8) % 10
    before = labels.copy()

    once, again, other = shuffled(labels, 1), shuffled(labels, 1), shuffled(labels, 2)

    np.testing.assert_array_equal(np.sort(once), np.sort(labels))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, labels)
    assert not np.array_equal(once, other)
    np.testing.assert_array_equal(labels, before)


def epoch(settings: Settings, data: dict[str, np.ndarray], seed: int, epochs: int = 1) -> list:
    """Give (image, label) pairs as bytes, in the order in which the network gets them."""
    batches = training_batches(data["x_train"], data["y_train"], settings, seed)
    return [
        (image.tobytes(), int(label))
        for _ in range(epochs)
        for images, labels in batches
        for image, label in zip(images.numpy(), labels.numpy(), strict=True)
    ]


def scaled(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / np.float32(255)


def test_an_epoch_has_each_image_once_scaled_with_its_label() -> None:
    data = arrays(SMALL, images=20)
    settings = replace(SMALL, batch_size=6)
    expected = [
        (image.tobytes(), int(label))
        for image, label in zip(scaled(data["x_train"]), data["y_train"], strict=True)
    ]

    got = epoch(settings, data, seed=0)

    assert sorted(got) == sorted(expected)
    assert got != expected
    assert got == epoch(settings, data, seed=0)
    assert got != epoch(settings, data, seed=1)
    two = epoch(settings, data, seed=0, epochs=2)
    assert two[:20] != two[20:]


def test_augmented_images_are_mirrored_or_shifted_and_keep_their_labels() -> None:
    settings = replace(SMALL, flip=True, shift=1)
    data = arrays(settings, images=30)
    variants: dict[bytes, tuple[int, int, bool, int, int]] = {}
    for index, (image, label) in enumerate(zip(data["x_train"], data["y_train"], strict=True)):
        for mirrored in (False, True):
            view = image[:, ::-1] if mirrored else image
            padded = np.pad(view, [(1, 1), (1, 1), (0, 0)], mode="reflect")
            for row in range(3):
                for column in range(3):
                    variant = scaled(padded[row : row + 8, column : column + 8]).tobytes()
                    variants[variant] = (index, int(label), mirrored, row, column)

    got = epoch(settings, data, seed=0, epochs=4)

    found = [variants[image] for image, _ in got]
    assert [label for _, label in got] == [label for _, label, *_ in found]
    for start in range(0, 120, 30):
        assert sorted(index for index, *_ in found[start : start + 30]) == list(range(30))
    chosen = {tuple(rest) for _, _, *rest in found}
    # 120 draws of 18 equally likely variants miss one of them about once in 50 seeds.
    assert len(chosen) == 18
    assert got == epoch(settings, data, seed=0, epochs=4)


# --------------------------------------------------------------------------------------------------
# The command


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.train", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
    )


# CIFAR-10's settings have everything random that there is: dropout, mirroring, shifting.
IN_TURN = """
import json, sys
from dataclasses import replace
from click.testing import CliRunner
from experiments.two_conv_settings import SETTINGS
from insens_tf.interruption import interrupted_after_a_batch
from experiments.train import main

for name, settings in SETTINGS.items():
    SETTINGS[name] = replace(settings, filters=(8, 12), units=64)
for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, arguments)
    print(json.dumps([result.exit_code, result.stdout, result.stderr]))
"""


Commands = dict[str, list[str | Path]]


def in_one_process(commands: Commands) -> dict[str, Ended]:
    """Run the command several times in a process that is not the tests' own.

    Training sets seeds for all of TensorFlow. The networks are small there.
    """
    given = json.dumps([list(map(str, arguments)) for arguments in commands.values()])
    ended = subprocess.run(
        [sys.executable, "-c", IN_TURN, given],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    return {name: Ended(*json.loads(line)) for name, line in zip(commands, lines, strict=True)}


def in_processes(commands: Commands) -> dict[str, Ended]:
    """Run the command several times, each in a process of its own, as a user does."""
    found = {}
    for name, arguments in commands.items():
        process = start(*arguments)
        output, errors = process.communicate(timeout=300)
        found[name] = Ended(process.returncode, output, errors)
    return found


def results(out: Path) -> dict[str, dict]:
    return {
        name: json.loads((out / f"{name}.json").read_text())
        for name in ("config", "history", "run")
    }


def the_same_twice(folder: Path) -> Commands:
    """Train twice, train on shuffled labels, and train once more into a folder of results."""
    write_npz(folder / "cifar10.npz", arrays(SETTINGS["cifar10"], images=64))
    options: list[str | Path] = ["--dataset", "cifar10", "--data", folder]
    options += ["--epochs", "2", "--batch-size", "16"]
    return {
        "one": [*options, "--seed", "4", "--out", folder / "one"],
        "two": [*options, "--seed", "4", "--out", folder / "two"],
        "shuffled": [*options, "--seed", "4", "--shuffle-labels", "--out", folder / "shuffled"],
        "again": [*options, "--out", folder / "one"],
    }


def until_fitted(folder: Path) -> Commands:
    """Train on the first images of data sets that are the same in these alone."""
    data = arrays(SETTINGS["mnist"], images=12)
    other = {**data, "x_train": data["x_train"].copy(), "y_train": data["y_train"].copy()}
    other["x_train"][6:] = 255 - data["x_train"][6:]
    other["y_train"][6:] = 9
    commands: Commands = {}
    for name, arrays_of_it in {"fitted": data, "fitted_too": other}.items():
        (folder / f"{name}_data").mkdir()
        write_npz(folder / f"{name}_data" / "mnist.npz", arrays_of_it)
        commands[name] = [
            *("--dataset", "mnist", "--data", folder / f"{name}_data", "--out", folder / name),
            *("--train-images", "6", "--stop-at", "1", "--epochs", "80", "--dropout", "0"),
            *("--batch-size", "3", "--shuffle-labels", "--seed", "1"),
        ]
    return commands


def assert_the_same_twice(folder: Path, ended: dict[str, Ended]) -> None:
    data = load_data(folder, "cifar10")
    for name in ("one", "two", "shuffled"):
        assert ended[name].code == 0, ended[name].errors

    one, two, other = (results(folder / name) for name in ("one", "two", "shuffled"))
    assert one["history"] == two["history"]
    assert one["config"] == two["config"]
    assert len(one["history"]["loss"]) == 2
    assert one["run"]["test_accuracy"] == two["run"]["test_accuracy"]
    assert one["history"] != other["history"]
    assert (one["config"]["labels_shuffled"], other["config"]["labels_shuffled"]) == (False, True)
    assert one["config"]["seed"] == 4
    assert f"test accuracy: {one['run']['test_accuracy']:.2%}" in ended["one"].output

    models = [keras.models.load_model(folder / name / "model.keras") for name in ("one", "two")]
    for weights, same in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(weights, same)
    correct = models[0].predict(scaled(data["x_test"]), verbose=0).argmax(1) == data["y_test"]
    assert one["run"]["test_accuracy"] == pytest.approx(correct.mean())
    assert getattr(models[0], "optimizer", None) is None
    assert sorted(path.name for path in (folder / "one").iterdir()) == [
        "config.json",
        "history.json",
        "model.keras",
        "run.json",
    ]

    again = ended["again"]
    assert again.code == 1
    assert "holds earlier results" in again.errors
    assert "Traceback" not in again.errors
    assert "Epoch" not in again.output


@with_keras_3
@pytest.mark.slow
def test_one_command_gives_the_same_numbers_in_every_process(tmp_path: Path) -> None:
    assert_the_same_twice(tmp_path, in_processes(the_same_twice(tmp_path)))


@pytest.mark.slow
def test_training_ends_once_the_images_that_are_used_are_fitted(tmp_path: Path) -> None:
    folder = tmp_path
    ended = in_one_process(until_fitted(folder))
    for name in ("fitted", "fitted_too"):
        assert ended[name].code == 0, ended[name].errors

    data = load_data(folder / "fitted_data", "mnist")
    one, two = (results(folder / name) for name in ("fitted", "fitted_too"))
    accuracies = one["history"]["accuracy"]
    assert len(accuracies) < 80
    assert accuracies[-1] == 1
    assert max(accuracies[:-1]) < 1
    # Images beyond those that are used change nothing.
    assert one["history"] == two["history"]
    model = keras.models.load_model(folder / "fitted" / "model.keras")
    predictions = model.predict(scaled(data["x_train"][:6]), verbose=0).argmax(axis=1)
    of_shuffled = (predictions == shuffled(data["y_train"][:6], 1)).mean()
    assert one["run"]["train_accuracy"] == pytest.approx(of_shuffled)
    assert of_shuffled > (predictions == data["y_train"][:6]).mean()


def test_command_without_data(tmp_path: Path) -> None:
    ended = run_here(main, "--dataset", "mnist", "--data", tmp_path, "--out", tmp_path / "out")

    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-1].startswith(
        f"Error: no {tmp_path}/mnist.npz; python -m data_scri"
    )
    assert ended.stdout == ""
    assert not (tmp_path / "out").exists()


def test_training_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(model: keras.Sequential, *_: object) -> None:
        assert [path.name for path in tmp_path.iterdir()] != ["mnist.npz"]
        raise KeyboardInterrupt

    write_npz(tmp_path / "mnist.npz", arrays(SETTINGS["mnist"]))
    monkeypatch.setattr("experiments.train.train", interrupted)

    ended = run_here(main, "--dataset", "mnist", "--data", tmp_path, "--out", tmp_path / "out")

    assert ended.exit_code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.npz"]


@pytest.mark.slow
def test_interrupted_training_leaves_nothing(tmp_path: Path) -> None:
    sample = resources.files("insens_tf") / "data" / "mnist_sample.npz"
    (tmp_path / "mnist.npz").write_bytes(sample.read_bytes())
    process = start("--dataset", "mnist", "--data", tmp_path, "--out", tmp_path / "out")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Epoch 1")
    process.send_signal(2)  # as Ctrl-C does
    _, errors = process.communicate(timeout=300)

    # Not a signal's negative code: TensorFlow's memory must not be corrupted by it.
    assert process.returncode == 1, errors
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.npz"]


def test_ctrl_c_waits_for_the_batch_at_hand() -> None:
    """It ends the training between two batches; the handler of before is there again."""
    batches: list[int] = []
    ended: list[bool] = []

    def pressed(batch: int, logs: object) -> None:
        batches.append(batch)
        if batch == 2:
            signal.raise_signal(signal.SIGINT)

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def train() -> None:
        with interrupted_after_a_batch() as interruption:
            model.fit(
                np.zeros((10, 2)),
                np.zeros((10, 1)),
                batch_size=1,
                verbose=0,
                callbacks=[
                    keras.callbacks.LambdaCallback(on_train_batch_begin=pressed),
                    interruption,
                ],
            )
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        train()

    assert ended
    assert batches == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait() -> None:
    def press_twice() -> None:
        with interrupted_after_a_batch():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("went on after the second")

    with pytest.raises(KeyboardInterrupt):
        press_twice()
