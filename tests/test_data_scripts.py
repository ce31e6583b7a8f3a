"""The data scripts, on small files that these tests write in each official format, and damage."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_scripts import cifar10, fashion_mnist, idx, mnist, mnist_sample, preparation, smallnorb
from data_scripts.preparation import DataError, DataSet, OfficialFile, prepare, write_npz

Contents = dict[str, bytes]
ROOT = Path(__file__).resolve().parents[1]

AT_ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Of a machine, which by itself says nothing of the code."""

# --------------------------------------------------------------------------------------------------
# Writers of the official formats, which share no code with the readers


def idx_file(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


def norb_file(values: np.ndarray) -> bytes:
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[values.dtype.name]
    stored = [*values.shape, 1, 1][: max(3, values.ndim)]
    header = [magic, values.ndim, *stored]
    return b"".join(n.to_bytes(4, "little") for n in header) + values.tobytes()


def tar_file(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


# --------------------------------------------------------------------------------------------------
# Small data sets: the official ones with fewer images, and checksums to match


class Case(NamedTuple):
    data_set: DataSet
    contents: Contents  # uncompressed, by the official name
    expected: dict[str, np.ndarray]


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


def matched(data_set: DataSet, contents: Contents, **changes: Any) -> DataSet:
    """Return the data set with the checksums of these contents."""
    files = tuple(
        replace(
            file,
            content_md5=file.content_md5 and hashlib.md5(contents[file.name]).hexdigest(),
            file_md5=file.file_md5 and hashlib.md5(compressed(contents[file.name])).hexdigest(),
        )
        for file in data_set.files
    )
    return replace(data_set, files=files, **changes)


def compressed(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=1, mtime=0)


def idx_case(data_set: DataSet) -> Case:
    arrays = {
        "x_train": pixels(20, 28, 28),
        "y_train": np.arange(20, dtype=np.uint8) % 10,
        "x_test": pixels(10, 28, 28),
        "y_test": np.arange(10, dtype=np.uint8)[::-1],
    }
    contents = {
        "train-images-idx3-ubyte.gz": idx_file(arrays["x_train"]),
        "train-labels-idx1-ubyte.gz": idx_file(arrays["y_train"]),
        "t10k-images-idx3-ubyte.gz": idx_file(arrays["x_test"]),
        "t10k-labels-idx1-ubyte.gz": idx_file(arrays["y_test"]),
    }
    small = matched(data_set, contents, counts={"train": 20, "test": 10})
    expected = {
        name: array[..., np.newaxis] if name.startswith("x") else array
        for name, array in arrays.items()
    }
    return Case(small, contents, expected)


CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_BATCHES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]


def cifar_members() -> tuple[dict[str, bytes | tarfile.TarInfo], dict[str, np.ndarray]]:
    images, labels = pixels(60, 32, 32, 3), np.arange(60, dtype=np.uint8) % 10
    members: dict[str, bytes | tarfile.TarInfo] = {
        f"{CIFAR_FOLDER}/batches.meta.txt": b"airplane\n",
        f"{CIFAR_FOLDER}/readme.html": b"<html>",
    }
    for batch, name in enumerate(CIFAR_BATCHES):
        rows = slice(10 * batch, 10 * batch + 10)
        members[f"{CIFAR_FOLDER}/{name}"] = b"".join(
            bytes([label]) + b"".join(image[:, :, channel].tobytes() for channel in range(3))
            for image, label in zip(images[rows], labels[rows], strict=True)
        )
    expected = {
        "x_train": images[:50],
        "y_train": labels[:50],
        "x_test": images[50:],
        "y_test": labels[50:],
    }
    return members, expected


def cifar_case() -> Case:
    members, expected = cifar_members()
    contents = {"cifar-10-binary.tar.gz": tar_file(members)}
    small = matched(cifar10.CIFAR10, contents, counts={"train": 50, "test": 10})
    return Case(small, contents, expected)


NORB_TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training"
NORB_TEST = "smallnorb-5x01235x9x18x6x2x96x96-testing"


def norb_case(cameras: str = "both") -> Case:
    pairs = {"train": pixels(10, 2, 96, 96), "test": pixels(5, 2, 96, 96) // 2}
    labels = {part: np.arange(len(pairs[part]), dtype=np.int32) % 5 for part in pairs}
    contents, expected = {}, {}
    for part, stem in (("train", NORB_TRAIN), ("test", NORB_TEST)):
        contents[f"{stem}-dat.mat.gz"] = norb_file(pairs[part])
        contents[f"{stem}-cat.mat.gz"] = norb_file(labels[part])
        left, right = pairs[part][:, 0], pairs[part][:, 1]
        if cameras == "both":
            singles = [image for pair in zip(left, right, strict=True) for image in pair]
            images = np.stack(singles)[..., np.newaxis]
            categories = [label for label in labels[part] for _ in range(2)]
        else:
            views = {"left": [left], "right": [right], "stereo": [left, right]}
            images = np.stack(views[cameras], axis=-1)
            categories = list(labels[part])
        expected[f"x_{part}"] = images
        expected[f"y_{part}"] = np.array(categories, np.uint8)
    small = matched(smallnorb.SMALLNORB, contents, counts={"train": 20, "test": 10})
    return Case(smallnorb.with_cameras(small, cameras), contents, expected)


CASES: dict[str, Callable[[], Case]] = {
    "mnist": lambda: idx_case(mnist.MNIST),
    "fashion_mnist": lambda: idx_case(fashion_mnist.FASHION_MNIST),
    "cifar10": cifar_case,
    "smallnorb": norb_case,
    "smallnorb left": lambda: norb_case("left"),
    "smallnorb right": lambda: norb_case("right"),
    "smallnorb stereo": lambda: norb_case("stereo"),
}
ONE_OF_EACH_FORMAT = ["mnist", "cifar10", "smallnorb"]


def write_source(folder: Path, contents: Contents) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(compressed(content))
    return folder


def assert_written(out: Path, case: Case) -> None:
    with np.load(out / f"{case.data_set.name}.npz", allow_pickle=False) as stored:
        assert sorted(stored) == ["x_test", "x_train", "y_test", "y_train"]
        for name, values in case.expected.items():
            assert stored[name].dtype == np.uint8
            np.testing.assert_array_equal(stored[name], values)
    assert [path.name for path in out.iterdir()] == [f"{case.data_set.name}.npz"]


def assert_refused(case: Case, source: Path, out: Path, message: str, **arguments: Any) -> None:
    with pytest.raises(DataError, match=message):
        prepare(case.data_set, out, source, **arguments)
    assert not out.exists() or not list(out.iterdir())


# --------------------------------------------------------------------------------------------------
# What is sound


@pytest.mark.parametrize("name", CASES)
def test_official_files_become_arrays(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    source = write_source(tmp_path / "source", case.contents)

    path, arrays, differing = prepare(case.data_set, tmp_path / "out", source)

    assert path == tmp_path / "out" / f"{case.data_set.name}.npz"
    assert differing == []
    assert arrays.keys() == case.expected.keys()
    assert_written(tmp_path / "out", case)


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_source_may_keep_them_in_a_folder_of_the_name(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    write_source(tmp_path / "source" / name, case.contents)

    prepare(case.data_set, tmp_path / "out", tmp_path / "source")

    assert_written(tmp_path / "out", case)


@pytest.mark.parametrize("name", ["mnist", "smallnorb"])
def test_source_may_hold_them_uncompressed(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    for file, content in case.contents.items():
        (tmp_path / file.removesuffix(".gz")).write_bytes(content)

    prepare(case.data_set, tmp_path / "out", tmp_path)

    assert_written(tmp_path / "out", case)


def test_checksum_of_content_survives_compressing_anew(tmp_path: Path) -> None:
    case = CASES["mnist"]()
    for file, content in case.contents.items():
        (tmp_path / file).write_bytes(gzip.compress(content, compresslevel=9, mtime=12345))

    _, _, differing = prepare(case.data_set, tmp_path / "out", tmp_path)

    assert differing == []


def test_result_is_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    case = CASES["mnist"]()
    source = write_source(tmp_path / "source", case.contents)

    one, _, _ = prepare(case.data_set, tmp_path / "one", source)
    other, _, _ = prepare(case.data_set, tmp_path / "other", source)

    assert one.read_bytes() == other.read_bytes()


def test_smallnorb_categories_have_their_published_checksum() -> None:
    # They are 0 to 4 over and over, so that the published file can be written here.
    content = norb_file((np.arange(24_300) % 5).astype(np.int32))
    categories = [file for file in smallnorb.SMALLNORB.files if "-cat." in file.name]

    assert len(categories) == 2
    assert {file.content_md5 for file in categories} == {hashlib.md5(content).hexdigest()}
    assert {file.largest for file in categories} == {len(content)}


# --------------------------------------------------------------------------------------------------
# What is not as published


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_other_content_needs_permission(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    source = write_source(tmp_path / "source", case.contents)
    first = case.data_set.files[0]
    published = replace(
        first,
        content_md5=first.content_md5 and "0" * 32,
        file_md5=first.file_md5 and "0" * 32,
    )
    case = case._replace(
        data_set=replace(case.data_set, files=(published, *case.data_set.files[1:]))
    )

    message = f"other content than the published .*{first.name}; .*--allow-unverified"
    assert_refused(case, source, tmp_path / "out", message)

    _, _, differing = prepare(case.data_set, tmp_path / "out", source, allow_unverified=True)
    assert differing == [first.name]
    assert_written(tmp_path / "out", case)


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_each_missing_file_is_named(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    for file in case.contents:
        source = write_source(tmp_path / f"without {file}", case.contents)
        (source / file).unlink()
        message = f"no {file} in .*; the official files of .* are at http"
        assert_refused(case, source, tmp_path / "out", message)


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.9999])
def test_truncated_download(name: str, share: float, tmp_path: Path) -> None:
    case = CASES[name]()
    for file in case.contents:
        source = write_source(tmp_path / f"cut {file}", case.contents)
        whole = (source / file).read_bytes()
        (source / file).write_bytes(whole[: int(share * len(whole))])
        # Not even permission to be unverified makes a broken file acceptable.
        message = "truncated|not a sound gzip|is not an idx file|not a sound tar"
        assert_refused(case, source, tmp_path / "out", message, allow_unverified=True)


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_truncated_content(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    for file, content in case.contents.items():
        # Zeros at the end may be a tar archive's padding, which nothing needs.
        nearly_all = len(content.rstrip(b"\0")) - 1
        for length in (0, 3, 7, 11, len(content) // 2, nearly_all):
            source = write_source(
                tmp_path / f"{file} {length}", case.contents | {file: content[:length]}
            )
            assert_refused(case, source, tmp_path / "out", file[:10], allow_unverified=True)


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_any_flipped_byte_is_found_or_harmless(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    source = write_source(tmp_path / "source", case.contents)
    file = source / next(iter(case.contents))
    whole = file.read_bytes()
    found = 0
    for position in np.linspace(0, len(whole) - 1, 40).astype(int):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        file.write_bytes(damaged)
        try:
            prepare(case.data_set, tmp_path / "out", source)
        except DataError:
            found += 1
            assert not list((tmp_path / "out").glob("*"))
        else:  # some bytes of gzip's header mean nothing
            assert_written(tmp_path / "out", case)
            (tmp_path / "out" / f"{case.data_set.name}.npz").unlink()
    assert found >= 38


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
@pytest.mark.parametrize("content", [b"<html>404</html>", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_something_else_under_the_name(name: str, content: bytes, tmp_path: Path) -> None:
    case = CASES[name]()
    file = next(iter(case.contents))
    source = write_source(tmp_path / "source", case.contents)
    (source / file).write_bytes(content)

    assert_refused(case, source, tmp_path / "out", "not a sound gzip file", allow_unverified=True)


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_small_file_that_unzips_to_much(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    file = case.data_set.files[0]
    small = replace(file, largest=len(case.contents[file.name]) + 10)
    data_set = replace(case.data_set, files=(small, *case.data_set.files[1:]))
    source = write_source(tmp_path / "source", case.contents)
    (source / file.name).write_bytes(gzip.compress(bytes(50_000_000)))

    message = f"holds more than the {small.largest:,} bytes that belong in it"
    assert_refused(case._replace(data_set=data_set), source, tmp_path / "out", message)


def changed(case: Case, **arrays: np.ndarray) -> Contents:
    """Return the idx files with some arrays replaced."""
    return case.contents | {idx.FILE_NAMES[name]: idx_file(value) for name, value in arrays.items()}


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": pixels(19, 28, 28)}, "20 train images and labels, not 19 images and 20 lab"),
        ({"x_train": pixels(21, 28, 28)}, "20 train images and labels, not 21 images"),
        ({"y_test": labels(*range(9))}, "10 test images and labels, not 10 images and 9 labels"),
        ({"x_test": pixels(10, 28, 27)}, r"shape \(28, 28, 1\).*not \(28, 27, 1\) in the test"),
        ({"y_test": labels(*range(9), 10)}, "labels 0 to 9 in its test part.*not 0, 1, .*, 10$"),
        ({"y_test": labels(*range(9), 8)}, "each of the labels 0 to 9 in its test part"),
        ({"x_test": np.zeros((10, 28, 28), np.uint8)}, "all pixels of the test images are 0"),
        ({"y_train": pixels(20, 1)}, "not an idx file of unsigned bytes with 1 dimension"),
        ({"x_train": pixels(20, 784)}, "not an idx file of unsigned bytes with 3 dimension"),
    ],
)
def test_counts_and_ranges(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    case = CASES["mnist"]()
    source = write_source(tmp_path / "source", changed(case, **arrays))

    assert_refused(case, source, tmp_path / "out", message, allow_unverified=True)


def test_training_files_swapped_with_test_files(tmp_path: Path) -> None:
    case = CASES["mnist"]()
    swapped = {
        name.replace("train", "?").replace("t10k", "train").replace("?", "t10k"): content
        for name, content in case.contents.items()
    }
    source = write_source(tmp_path / "source", swapped)

    assert_refused(case, source, tmp_path / "out", "20 train images", allow_unverified=True)


# --------------------------------------------------------------------------------------------------
# idx


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 1, "begins with 01 00 08 01"),
        (2, 0x0D, "begins with 00 00 0d 01"),  # floats
        (3, 2, "begins with 00 00 08 02"),
        (4, 0xFF, r"says that it holds 4278190090 values"),
        (
            7,
            11,
            "says that it holds 11 values, which makes 19 bytes with its header, but it has 18",
        ),
        (7, 9, "which makes 17 bytes"),
    ],
)
def test_idx_header(position: int, value: int, message: str) -> None:
    content = bytearray(idx_file(np.arange(10, dtype=np.uint8)))
    content[position] = value
    with pytest.raises(DataError, match=message):
        idx.parse_array(bytes(content), "labels", dimensions=1)


@AT_ANY_SPEED
@given(st.binary(max_size=40), st.integers(0, 40))
def test_idx_reader_refuses_anything_else(noise: bytes, position: int) -> None:
    content = bytearray(idx_file(np.arange(12, dtype=np.uint8).reshape(2, 3, 2)))
    content[position : position + len(noise)] = noise
    try:
        values = idx.parse_array(bytes(content), "images", dimensions=3)
    except DataError:
        return
    assert idx_file(values) == content


# --------------------------------------------------------------------------------------------------
# CIFAR-10's archive


def cifar_source(folder: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    return write_source(folder, {"cifar-10-binary.tar.gz": tar_file(members)})


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_cifar_archive_is_never_extracted(tmp_path: Path) -> None:
    members, _ = cifar_members()
    absolute = tmp_path / "absolute"
    members = {
        "../escaped": b"1",
        str(absolute): b"2",
        "link": link("link", tarfile.SYMTYPE, str(tmp_path)),
        "link/through": b"3",
        **members,
    }
    case = CASES["cifar10"]()
    source = cifar_source(tmp_path / "deep" / "source", members)

    prepare(case.data_set, tmp_path / "deep" / "out", source, allow_unverified=True)

    assert_written(tmp_path / "deep" / "out", case)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert written == {
        "deep",
        "deep/source",
        "deep/source/cifar-10-binary.tar.gz",
        "deep/out",
        "deep/out/cifar10.npz",
    }


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_cifar_batch_that_is_no_file(kind: bytes, tmp_path: Path) -> None:
    members, _ = cifar_members()
    name = f"{CIFAR_FOLDER}/data_batch_2.bin"
    members[name] = link(name, kind, f"{CIFAR_FOLDER}/data_batch_1.bin")
    source = cifar_source(tmp_path / "source", members)

    assert_refused(
        CASES["cifar10"](),
        source,
        tmp_path / "out",
        "data_batch_2.bin in .* is not one regular file",
        allow_unverified=True,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "lacks cifar-10-batches-bin/data_batch_3.bin"),
        (b"", "has 0 bytes, which is not a whole number of records of 3,073 bytes"),
        (bytes(3072), "has 3,072 bytes, which is not a whole number of records"),
        (bytes(3073 * 10 + 1), "has 30,731 bytes"),
        (bytes(3073 * 9), "50 train images and labels, not 49 images and 49 labels"),
        (b"\x0a" + bytes(3073 * 10 - 1), "labels 0 to 9 in its train part, and no other"),
    ],
)
def test_cifar_batches(content: bytes | None, message: str, tmp_path: Path) -> None:
    members, _ = cifar_members()
    name = f"{CIFAR_FOLDER}/data_batch_3.bin"
    if content is None:
        del members[name]
    else:
        members[name] = content
    source = cifar_source(tmp_path / "source", members)

    assert_refused(CASES["cifar10"](), source, tmp_path / "out", message, allow_unverified=True)


def test_cifar_batch_given_twice(tmp_path: Path) -> None:
    members, _ = cifar_members()
    name = f"{CIFAR_FOLDER}/data_batch_1.bin"
    members[f"./{name}"] = members[name]
    source = cifar_source(tmp_path / "source", members)

    assert_refused(
        CASES["cifar10"](), source, tmp_path / "out", "not one regular", allow_unverified=True
    )


def test_cifar_version_with_pickles_is_refused(tmp_path: Path) -> None:
    members: dict[str, bytes | tarfile.TarInfo] = {"cifar-10-batches-py/data_batch_1": b"\x80\x02."}
    source = cifar_source(tmp_path / "source", members)

    assert_refused(
        CASES["cifar10"](),
        source,
        tmp_path / "out",
        "lacks .*data_batch_1.bin",
        allow_unverified=True,
    )


# --------------------------------------------------------------------------------------------------
# smallNORB's matrices


@pytest.mark.parametrize(
    "values",
    [
        np.arange(5, dtype=np.int32),
        np.arange(6, dtype=np.int32).reshape(2, 3) - 3,
        pixels(2, 2, 3, 4),
        pixels(1, 2, 1, 2, 3),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_norb_matrix(values: np.ndarray) -> None:
    read = smallnorb.parse_matrix(norb_file(values), "matrix")
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)


def test_norb_vector_as_its_authors_describe_it() -> None:
    # Two integers 7 and 258: the type, one dimension of size 2, and two unused sizes.
    content = bytes.fromhex("544c3d1e 01000000 02000000 01000000 01000000 07000000 02010000")
    np.testing.assert_array_equal(smallnorb.parse_matrix(content, "vector"), [7, 258])


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 0x51, "no matrix of bytes or integers: it begins with 1E3D4C51, not 1E3D4C55 or"),
        (0, 0x00, "begins with 1E3D4C00"),
        (4, 0, "says that it has 0 dimensions"),
        (4, 9, "says that it has 9 dimensions"),
        (7, 0xFF, "dimensions, which cannot be"),
        (8, 6, "6 values, which makes 44 bytes with its header, but it has 40"),
        (11, 0x80, "says that it holds 2147483653 values"),
    ],
)
def test_norb_header(position: int, value: int, message: str) -> None:
    content = bytearray(norb_file(np.arange(5, dtype=np.int32)))
    content[position] = value
    with pytest.raises(DataError, match=message):
        smallnorb.parse_matrix(bytes(content), "matrix")


@AT_ANY_SPEED
@given(st.binary(max_size=48), st.integers(0, 48))
def test_norb_reader_refuses_anything_else(noise: bytes, position: int) -> None:
    content = bytearray(norb_file(np.arange(12, dtype=np.uint8).reshape(2, 3, 2)))
    content[position : position + len(noise)] = noise
    try:
        values = smallnorb.parse_matrix(bytes(content), "matrix")
    except DataError:
        return
    assert values.tobytes() == bytes(content[len(content) - values.nbytes :])


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("dat", pixels(10, 96, 96), r"must hold pairs of byte images .* not uint8 of shape"),
        ("dat", pixels(10, 3, 96, 96), r"not uint8 of shape \(10, 3, 96, 96\)"),
        ("dat", np.zeros((10, 2, 9, 9), np.int32), "not int32 of shape"),
        ("dat", pixels(10, 2, 95, 96), r"images of shape \(96, 96, 1\)"),
        ("dat", pixels(9, 2, 96, 96), "must hold 9 integers, one category a pair"),
        ("cat", np.zeros(9, np.int32), "must hold 10 integers, one category a pair, not int32 of"),
        ("cat", np.zeros(10, np.uint8), "must hold 10 integers.*not uint8"),
        ("cat", np.arange(10, dtype=np.int32), "must hold categories 0 to 4, not 0 to 9"),
        ("cat", np.arange(10, dtype=np.int32) % 5 - 1, "not -1 to 3"),
        # As a byte, 256 would be an innocent 0.
        ("cat", np.arange(10, dtype=np.int32) % 5 + 256, "not 256 to 260"),
        ("cat", np.arange(10, dtype=np.int32) % 4, "each of the labels 0 to 4 in its train part"),
    ],
)
def test_norb_contents(file: str, values: np.ndarray, message: str, tmp_path: Path) -> None:
    case = CASES["smallnorb"]()
    contents = case.contents | {f"{NORB_TRAIN}-{file}.mat.gz": norb_file(values)}
    source = write_source(tmp_path / "source", contents)

    assert_refused(case, source, tmp_path / "out", message, allow_unverified=True)


# --------------------------------------------------------------------------------------------------
# Writing


def test_interrupted_writing_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.npz"
    write_npz(path, {"x": np.arange(3)})
    before = path.read_bytes()

    def fail_half_way(file: Any, **_arrays: np.ndarray) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail_half_way)
    with pytest.raises(OSError, match="no space left"):
        write_npz(path, {"x": np.arange(4)})

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --------------------------------------------------------------------------------------------------
# Downloading, from a server of this test's own


class Server(http.server.ThreadingHTTPServer):
    """Serves files from memory, by path."""

    files: dict[str, bytes]
    announced: dict[str, int]  # a Content-Length other than the true one
    requests: list[str]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        length = self.server.announced.get(self.path, len(content))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files, running.announced, running.requests = {}, {}, []
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def served(server: Server, case: Case, *folders: str) -> Case:
    """Return the data set with these folders of the server as its addresses."""
    addresses = tuple(
        f"http://127.0.0.1:{server.server_address[1]}/{folder}/" for folder in folders
    )
    return case._replace(data_set=replace(case.data_set, addresses=addresses))


def serve(server: Server, folder: str, contents: Contents) -> None:
    server.files |= {f"/{folder}/{name}": compressed(data) for name, data in contents.items()}


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_download(name: str, server: Server, tmp_path: Path) -> None:
    case = served(server, CASES[name](), "a")
    serve(server, "a", case.contents)

    _, _, differing = prepare(case.data_set, tmp_path / "out")

    assert differing == []
    assert sorted(server.requests) == sorted(f"/a/{file}" for file in case.contents)
    assert_written(tmp_path / "out", case)


def test_next_address_where_one_fails(server: Server, tmp_path: Path) -> None:
    case = served(server, CASES["mnist"](), "gone", "cut", "good")
    serve(server, "cut", case.contents)
    server.announced = {path: len(data) + 5 for path, data in server.files.items()}
    serve(server, "good", case.contents)

    prepare(case.data_set, tmp_path / "out")

    assert_written(tmp_path / "out", case)


def refused_download(case: Case, out: Path, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(case.data_set, out)
    assert not list(out.iterdir())


def test_download_that_fails_everywhere(server: Server, tmp_path: Path) -> None:
    case = served(server, CASES["mnist"](), "gone", "away")

    message = "cannot download train-images.*/gone/.*Not Found; .*/away/.*Not Found.*--source"
    refused_download(case, tmp_path / "out", message)


def test_download_that_is_cut_short(server: Server, tmp_path: Path) -> None:
    case = served(server, CASES["mnist"](), "a")
    serve(server, "a", case.contents)
    path = "/a/t10k-labels-idx1-ubyte.gz"
    size = len(server.files[path])
    server.announced[path] = size + 100

    refused_download(
        case, tmp_path / "out", f"the connection ended after {size} of {size + 100} bytes"
    )


def test_download_that_is_too_large(server: Server, tmp_path: Path) -> None:
    case = CASES["mnist"]()
    files = tuple(replace(file, largest=20_000) for file in case.data_set.files)
    case = served(server, case._replace(data_set=replace(case.data_set, files=files)), "a")
    serve(server, "a", case.contents)
    server.files["/a/t10k-labels-idx1-ubyte.gz"] = bytes(3_000_000)

    refused_download(case, tmp_path / "out", "more than the 20,000 bytes that it can have")


def test_download_of_other_content_is_never_taken(server: Server, tmp_path: Path) -> None:
    case = served(server, CASES["mnist"](), "a")
    serve(server, "a", changed(case, x_test=pixels(10, 28, 28)[::-1]))

    message = "t10k-images-idx3-ubyte.gz; what was downloaded is damaged or changed"
    refused_download(case, tmp_path / "out", message)


def test_no_server_at_all(server: Server, tmp_path: Path) -> None:
    case = served(server, CASES["mnist"](), "a")
    server.shutdown()
    server.server_close()

    refused_download(case, tmp_path / "out", "cannot download .*(refused|reset).*--source")


# --------------------------------------------------------------------------------------------------
# The commands


def run_module(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"data_scripts.{module}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def assert_one_line_error(result: subprocess.CompletedProcess[str], words: str) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


@pytest.mark.parametrize("module", ["mnist", "fashion_mnist", "cifar10", "smallnorb"])
def test_command_with_an_empty_source(module: str, tmp_path: Path) -> None:
    result = run_module(module, "--source", tmp_path, "--out", tmp_path / "out")

    assert_one_line_error(result, f"in {tmp_path} or its folder {module}; the official files of")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ONE_OF_EACH_FORMAT)
def test_command_with_small_and_with_damaged_files(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    source = write_source(tmp_path / "source", case.contents)
    arguments = ("--source", source, "--out", tmp_path / "out", "--allow-unverified")

    assert_one_line_error(run_module(name, *arguments), "train images and labels, not ")

    first = source / next(iter(case.contents))
    first.write_bytes(first.read_bytes()[:-50])
    assert_one_line_error(run_module(name, *arguments), f"{first} is truncated")
    assert not (tmp_path / "out").exists()


def test_command_from_files_to_npz(tmp_path: Path) -> None:
    images = np.broadcast_to(np.arange(28, dtype=np.uint8), (60_000, 28, 28))
    categories = (np.arange(60_000) % 10).astype(np.uint8)
    write_source(
        tmp_path,
        {
            "train-images-idx3-ubyte.gz": idx_file(images),
            "train-labels-idx1-ubyte.gz": idx_file(categories),
            "t10k-images-idx3-ubyte.gz": idx_file(images[:10_000]),
            "t10k-labels-idx1-ubyte.gz": idx_file(categories[:10_000]),
        },
    )
    arguments = ("--source", tmp_path, "--out", tmp_path / "out")

    assert_one_line_error(run_module("mnist", *arguments), "pass --allow-unverified")

    result = run_module("mnist", *arguments, "--allow-unverified")
    assert result.returncode == 0
    assert result.stderr.startswith("Warning: not verified, other checksums than the published ")
    assert "60,000 training and 10,000 test images of 28 x 28 x 1, 10 classes, NOT verified" in (
        result.stdout
    )
    with np.load(tmp_path / "out" / "mnist.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["x_test"], images[:10_000, ..., np.newaxis])


def test_permission_is_only_for_local_files(tmp_path: Path) -> None:
    result = CliRunner().invoke(mnist.main, ["--out", str(tmp_path), "--allow-unverified"])

    assert result.exit_code == 2
    assert "--allow-unverified needs --source" in result.output


def test_result_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    case = CASES["mnist"]()
    source = write_source(tmp_path / "source", case.contents)

    with pytest.raises(OSError, match="file"):
        prepare(case.data_set, tmp_path / "file" / "out", source)


@pytest.mark.parametrize(
    ("data_set", "images"),
    [
        (mnist.MNIST, 70_000),
        (fashion_mnist.FASHION_MNIST, 70_000),
        (cifar10.CIFAR10, 60_000),
        (smallnorb.SMALLNORB, 97_200),
        (smallnorb.with_cameras(smallnorb.SMALLNORB, "stereo"), 48_600),
    ],
)
def test_official_facts(data_set: DataSet, images: int) -> None:
    assert sum(data_set.counts.values()) == images
    for file in data_set.files:
        assert len(file.content_md5 or file.file_md5 or "") == 32
        assert file.name.endswith(".gz")
    largest = max(file.largest for file in data_set.files)
    height, width, channels = data_set.image_shape
    pixels_of_largest_part = max(data_set.counts.values()) * height * width * channels
    assert largest >= pixels_of_largest_part


# --------------------------------------------------------------------------------------------------
# The sample


def test_shipped_sample() -> None:
    path = resources.files("insens_tf") / "data" / "mnist_sample.npz"
    content = path.read_bytes()
    assert len(content) <= 1_000_000
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        digits = dict(stored)
    assert {name: (values.shape, values.dtype.name) for name, values in digits.items()} == {
        "x_train": ((2000, 28, 28, 1), "uint8"),
        "y_train": ((2000,), "uint8"),
        "x_test": ((200, 28, 28, 1), "uint8"),
        "y_test": ((200,), "uint8"),
    }
    np.testing.assert_array_equal(np.bincount(digits["y_train"]), [200] * 10)
    np.testing.assert_array_equal(np.bincount(digits["y_test"]), [20] * 10)
    # MNIST's digits are 20 x 20 pixels inside a black frame of at least 4 about their mass.
    assert digits["x_train"].max() == 255
    assert digits["x_train"][:, 0].max() == 0
    images = np.concatenate([digits["x_train"], digits["x_test"]])
    assert len(np.unique(images.reshape(2200, -1), axis=0)) == 2200


def labelled(count: int) -> dict[str, np.ndarray]:
    """Images that say which they are."""
    data: dict[str, np.ndarray] = {}
    for part in ("train", "test"):
        data[f"x_{part}"] = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
        data[f"y_{part}"] = np.arange(count, dtype=np.uint8) % 3
    return data


def test_sample_is_balanced_without_repetition_and_by_seed() -> None:
    data = labelled(60)
    per_class = {"train": 7, "test": 2}

    chosen = mnist_sample.sample(data, per_class, seed=1)

    for part, count in per_class.items():
        np.testing.assert_array_equal(np.bincount(chosen[f"y_{part}"]), [count] * 3)
        images = chosen[f"x_{part}"].ravel()
        assert len(set(images.tolist())) == 3 * count
        np.testing.assert_array_equal(images % 3, chosen[f"y_{part}"])
    again = mnist_sample.sample(data, per_class, seed=1)
    other = mnist_sample.sample(data, per_class, seed=2)
    np.testing.assert_array_equal(chosen["x_train"], again["x_train"])
    assert not np.array_equal(chosen["x_train"], other["x_train"])


def test_sample_command(tmp_path: Path) -> None:
    missing = CliRunner().invoke(mnist_sample.main, ["--data", str(tmp_path)])
    assert missing.exit_code == 1
    assert "mnist.npz; python -m data_scripts.mnist --out" in missing.output

    write_npz(tmp_path / "mnist.npz", labelled(30))
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    few = CliRunner().invoke(mnist_sample.main, arguments)
    assert few.exit_code == 1
    assert "200 images of class 0 are asked for, of 10" in few.output
    assert not (tmp_path / "out").exists()

    sizes = ["--train-per-class", "4", "--test-per-class", "1"]
    made = CliRunner().invoke(mnist_sample.main, [*arguments, *sizes])
    assert made.exit_code == 0, made.output
    with np.load(tmp_path / "out" / "mnist_sample.npz", allow_pickle=False) as stored:
        assert stored["x_train"].shape == (12, 1, 1, 1)

    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 no archive")
    damaged = CliRunner().invoke(mnist_sample.main, [*arguments, *sizes])
    assert damaged.exit_code == 1
    assert "is not a sound .npz of a data script" in damaged.output


def test_no_public_name_is_missing() -> None:
    for module in (cifar10, fashion_mnist, idx, mnist, mnist_sample, preparation, smallnorb):
        for name in module.__all__:
            assert hasattr(module, name)
    assert isinstance(mnist.MNIST.files[0], OfficialFile)
