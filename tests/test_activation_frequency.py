"""How often neurons are active: counting, sources of data, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import ActivationFrequency
from tests.architectures import images
from tests.conftest import CaseOf, varied_architectures
from tests.oracle import Oracle

SAMPLES = 10


@varied_architectures
def test_counts_agree_with_the_oracle(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    frequency = this.network.activation_frequency(this.x)
    assert list(frequency) == [layer.name for layer in this.network.layers]
    assert len(frequency) == len(this.network.layers)
    assert frequency.samples == len(this.x)
    for layer, reference in this.hidden:
        np.testing.assert_array_equal(frequency.counts[layer.name], reference.count)
        assert frequency.counts[layer.name].dtype == np.int64
        assert frequency[layer.name].dtype == np.float64
        np.testing.assert_array_equal(frequency[layer.name], reference.count / len(this.x))


class Batches(keras.utils.Sequence):
    """A Keras sequence of (inputs, labels)."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def __len__(self) -> int:
        return -(-len(self.x) // 4)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        part = self.x[index * 4 : (index + 1) * 4]
        return part, np.zeros(len(part))


def generated(x: np.ndarray, *others: Any) -> Iterator[Any]:
    """Batches of 3, 3, 3, 1."""
    for start in range(0, len(x), 3):
        part = x[start : start + 3]
        yield (part, *others) if others else part


SOURCES: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda x: x,
    "tensor": tf.constant,
    "dataset": lambda x: tf.data.Dataset.from_tensor_slices(x).batch(4),
    "dataset with labels": lambda x: (
        tf.data.Dataset.from_tensor_slices((x, np.arange(len(x)))).batch(3).prefetch(1)
    ),
    "sequence": Batches,
    "generator": generated,
    "generator with labels": lambda x: generated(x, np.zeros(3)),
    "generator with labels and weights": lambda x: generated(x, np.zeros(3), np.ones(3)),
}


@pytest.mark.parametrize("source", SOURCES)
def test_all_sources_of_data_count_the_same(source: str, case: CaseOf) -> None:
    this = case("conv valid", 0)
    x = images(this.model, SAMPLES, 5)
    *hidden, _ = Oracle(this.model).references(x)
    frequency = this.network.activation_frequency(SOURCES[source](x))
    assert frequency.samples == SAMPLES
    for layer, reference in zip(this.network.layers, hidden, strict=True):
        np.testing.assert_array_equal(frequency.counts[layer.name], reference.count)


@pytest.mark.parametrize("batch_size", [1, 3, SAMPLES, 1000])
def test_any_batch_size_counts_the_same(batch_size: int, case: CaseOf) -> None:
    this = case("conv valid", 0)
    x = images(this.model, SAMPLES, 5)
    (reference, *_) = Oracle(this.model).references(x)
    frequency = this.network.activation_frequency(x, batch_size=batch_size, progress=False)
    assert frequency.samples == SAMPLES
    np.testing.assert_array_equal(frequency.counts[this.network.layers[0].name], reference.count)


def test_some_layers_only(case: CaseOf) -> None:
    this = case("2CONV", 0)
    frequency = this.network.activation_frequency(this.x, layers=[2, this.network.layers[0].name])
    assert list(frequency) == [this.network.layers[2].name, this.network.layers[0].name]
    np.testing.assert_array_equal(
        frequency.counts[this.network.layers[2].name], this.references[2].count
    )


def test_some_batches_of_endless_data(case: CaseOf) -> None:
    this = case("conv valid", 0)
    x = images(this.model, SAMPLES, 5)
    endless = tf.data.Dataset.from_tensor_slices(x).batch(4).repeat()
    with pytest.raises(ValueError, match="steps"):
        this.network.activation_frequency(endless)
    expected = this.network.activation_frequency(x[:8])
    for data in (endless, Batches(x), (batch for batch in endless)):
        frequency = this.network.activation_frequency(data, steps=2)
        assert frequency.samples == 8
        for name in expected:
            np.testing.assert_array_equal(frequency.counts[name], expected.counts[name])


def test_parts_of_the_data_add_up(case: CaseOf) -> None:
    this = case("2CONV", 0)
    x = images(this.model, SAMPLES, 5)
    whole = this.network.activation_frequency(x)
    first, second = (this.network.activation_frequency(part) for part in (x[:3], x[3:]))
    total = first + second
    assert total.samples == SAMPLES
    assert first.samples == 3, "adding up leaves the parts alone"
    for name in whole:
        np.testing.assert_array_equal(total[name], whole[name])
        np.testing.assert_array_equal(total.counts[name], whole.counts[name])


def test_parts_of_different_layers_do_not_add_up(case: CaseOf) -> None:
    this = case("2CONV", 0)
    one, other = (this.network.activation_frequency(this.x, layers=[i]) for i in (0, 1))
    with pytest.raises(ValueError, match="different layers"):
        one + other
    reshaped = ActivationFrequency({name: count[..., :1] for name, count in one.counts.items()}, 3)
    with pytest.raises(ValueError, match="different layers"):
        one + reshaped
    with pytest.raises(TypeError):
        one + 1  # type: ignore[operator]


# --- files ---------------------------------------------------------------------------------------


@pytest.fixture
def frequency(case: CaseOf) -> ActivationFrequency:
    this = case("graph with a shared layer and a model inside", 0)
    return this.network.activation_frequency(this.x)


def assert_same(one: ActivationFrequency, other: ActivationFrequency) -> None:
    """The same layers in the same order, counts and samples."""
    assert list(one) == list(other)
    assert one.samples == other.samples
    for name in one:
        assert one.counts[name].dtype == other.counts[name].dtype
        np.testing.assert_array_equal(one.counts[name], other.counts[name])


def test_saved_and_loaded(frequency: ActivationFrequency, tmp_path: Path) -> None:
    assert any("/" in name for name in frequency), "names of layers inside models have a slash"
    frequency.save(tmp_path / "frequency.npz")
    assert os.listdir(tmp_path) == ["frequency.npz"]
    assert_same(ActivationFrequency.load(tmp_path / "frequency.npz"), frequency)
    assert_same(ActivationFrequency.load(str(tmp_path / "frequency.npz")), frequency)
    (frequency + frequency).save(str(tmp_path / "frequency.npz"))
    assert ActivationFrequency.load(tmp_path / "frequency.npz").samples == 2 * frequency.samples


def test_the_file_has_no_pickle(frequency: ActivationFrequency, tmp_path: Path) -> None:
    frequency.save(tmp_path / "frequency.npz")
    with np.load(tmp_path / "frequency.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    assert all(array.dtype.kind in "fiU" for array in arrays.values())


def test_a_loaded_frequency_gives_the_same_map(case: CaseOf, tmp_path: Path) -> None:
    this = case("dense", 0)
    frequency = this.network.activation_frequency(this.x)
    frequency.save(tmp_path / "frequency.npz")
    loaded = ActivationFrequency.load(tmp_path / "frequency.npz")
    np.testing.assert_array_equal(
        this.network.insens(this.x, 0, loaded), this.network.insens(this.x, 0, frequency)
    )


def objects(path: Path) -> None:
    """Counts as Python objects."""
    np.savez(path, samples=np.int64(3), **{"counts/dense": np.array([1, 2], dtype=object)})


def no_samples(path: Path) -> None:
    """Counts alone."""
    np.savez(path, **{"counts/dense": np.zeros(3, np.int64)})


def too_many(path: Path) -> None:
    """More active than there are samples."""
    np.savez(path, samples=np.int64(3), **{"counts/dense": np.array([0, 4])})


def other_array(path: Path) -> None:
    """A data set that happens to be an npz."""
    np.savez(path, samples=np.int64(3), x_train=np.zeros(3))


def array_alone(path: Path) -> None:
    """An npy under another name."""
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def text(path: Path) -> None:
    """No archive at all."""
    path.write_text("frequency")


def empty(path: Path) -> None:
    """Nothing."""
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "write", [objects, no_samples, too_many, other_array, array_alone, text, empty]
)
def test_other_files_are_refused(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    write(path)
    with pytest.raises(ValueError, match=r"wrong\.npz"):
        ActivationFrequency.load(path)


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_loading_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    counts = np.array([Payload(tmp_path / "run")], dtype=object)
    np.savez(path, samples=np.int64(3), **{"counts/dense": counts})
    with pytest.raises(ValueError, match=r"evil\.npz"):
        ActivationFrequency.load(path)
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.npz"):
        ActivationFrequency.load(tmp_path / "missing.npz")


def test_a_truncated_file_is_refused(frequency: ActivationFrequency, tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    frequency.save(path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut\.npz"):
            ActivationFrequency.load(path)


def test_a_corrupted_byte_never_goes_unnoticed(
    frequency: ActivationFrequency, tmp_path: Path
) -> None:
    """Each byte flipped: a clear refusal, or a byte that means nothing (a date, a version)."""
    path = tmp_path / "damaged.npz"
    frequency.save(path)
    content = path.read_bytes()
    messages = []
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            loaded = ActivationFrequency.load(path)
        except ValueError as error:
            messages.append(str(error))
        else:
            assert_same(loaded, frequency)
    assert all("damaged.npz" in message for message in messages)
    assert len(messages) > len(content) / 2


def test_nothing_is_left_where_saving_fails(
    frequency: ActivationFrequency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frequency.save(tmp_path / "frequency.npz")
    before = (tmp_path / "frequency.npz").read_bytes()

    def full(*arguments: Any, **named: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises((OSError, ValueError), match="no space"):
        frequency.save(tmp_path / "frequency.npz")
    assert os.listdir(tmp_path) == ["frequency.npz"]
    assert (tmp_path / "frequency.npz").read_bytes() == before


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="samples=0"):
        insens_tf.ActivationFrequency({"dense": np.zeros(2, int)}, 0)
    with pytest.raises(ValueError, match="'dense'"):
        insens_tf.ActivationFrequency({"dense": np.array([1, -1])}, 3)


class Frame:
    """Something that NumPy can make an array of, as tables are."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, column: str) -> np.ndarray:
        raise KeyError(column)


def batches_with_none(x: np.ndarray) -> Iterator[Any]:
    """Batches, some of no samples."""
    yield x[:0]
    yield x[:4], np.zeros(4)
    yield tf.constant(x[:0]), np.zeros(0)
    yield x[4:]


def test_batches_of_no_samples_and_whatever_gives_an_array(case: CaseOf) -> None:
    this = case("conv valid", 0)
    x = images(this.model, SAMPLES, 5)
    expected = this.network.activation_frequency(x)
    kept = tf.data.Dataset.from_tensor_slices(x).batch(5).map(lambda batch: batch[:0])
    kept = kept.concatenate(tf.data.Dataset.from_tensor_slices(x).batch(5))
    unmasked: np.ndarray = np.ma.masked_array(x, False)
    for data in (batches_with_none(x), kept, Frame(x), list(x), unmasked):
        assert_same(this.network.activation_frequency(data), expected)


REFUSED_DATA: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "dict": (lambda x: {"x_train": x, "y": 1}, r"data: expected inputs alone.*'x_train', 'y'"),
    "inputs and labels": (lambda x: [x, np.zeros(len(x))], r"list of 2 things.*\(10,\).*labels"),
    "lists of them": (lambda x: [x.tolist(), [1] * len(x)], r"list of 2 things.*labels"),
    "batches of dicts": (lambda x: iter([{"image": x}]), r"a batch: expected.*'image'"),
    "a data set of dicts": (
        lambda x: tf.data.Dataset.from_tensor_slices({"image": x}).batch(2),
        r"a batch: expected.*'image'",
    ),
    "an empty batch": (lambda x: iter([()]), "came an empty one"),
    "no samples": (lambda x: iter([x[:0], x[:0]]), "at least one batch"),
    "a text": (lambda x: "train.npz", "data"),
    "a mask": (lambda x: np.ma.masked_less(x, 0), r"data.*masked array with \d+ masked.*filled"),
    "a mask within a list": (lambda x: list(np.ma.masked_less(x, 0)), "data.*masked"),
    "a batch with a mask": (lambda x: iter([np.ma.masked_less(x, 0)]), "data.*masked"),
}


@pytest.mark.parametrize("name", REFUSED_DATA)
def test_refused_data(name: str, case: CaseOf) -> None:
    this = case("conv valid", 0)
    make, message = REFUSED_DATA[name]
    with pytest.raises(ValueError, match=message):
        this.network.activation_frequency(make(images(this.model, SAMPLES, 5)))


@pytest.mark.parametrize("value", [None, 0, -1, 2.5, "3", True])
@pytest.mark.parametrize("argument", ["batch_size", "steps"])
def test_refused_numbers(argument: str, value: Any, case: CaseOf) -> None:
    this = case("conv valid", 0)
    if (argument, value) == ("steps", None):
        return
    with pytest.raises(ValueError, match=f"{argument}={value!r}: expected a whole number"):
        this.network.activation_frequency(this.x, **{argument: value})
