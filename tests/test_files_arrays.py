"""Arrays from npy and npz files of strangers, and npz files written in parts."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insens_tf.files import (
    Parts,
    UnusableFileError,
    arrays,
    npz_names,
    read_npy,
    read_npz,
    write_npz,
)


def npy(array: np.ndarray, **changes: Any) -> bytes:
    """An npy file whose header claims something else than it holds."""
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {**header, "shape": array.shape, **changes})
    return file.getvalue() + array.tobytes()


def as_npy(path: Path, content: bytes) -> Callable[[], Any]:
    (path / "x.npy").write_bytes(content)
    return lambda: read_npy(path / "x.npy")


def as_npz(path: Path, content: bytes) -> Callable[[], Any]:
    with zipfile.ZipFile(path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    return lambda: read_npz(path / "x.npz")["x"]


@pytest.fixture(params=[as_npy, as_npz])
def stored(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f8", "?", "<i8"])
def test_arrays_come_back(tmp_path: Path, stored: Any, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for one in (array, np.asfortranarray(array), array[:0], array[0, 0, 0]):
        file = io.BytesIO()
        np.save(file, one)
        found = stored(tmp_path, file.getvalue())()
        assert found.dtype == one.dtype
        assert np.array_equal(found, one)


def test_a_header_cannot_claim_more_than_there_is(tmp_path: Path, stored: Any) -> None:
    for claim in ((10**12,), (10**6, 10**6), (2**62, 2**62), (11,), (-1, 10), (-1, -10)):
        read = stored(tmp_path, npy(np.zeros(10), shape=claim))
        tracemalloc.start()
        try:
            with pytest.raises(UnusableFileError, match=r"claims .* and holds 80"):
                read()
            assert tracemalloc.get_traced_memory()[1] < 2**22
        finally:
            tracemalloc.stop()


def test_objects_are_not_unpickled(tmp_path: Path, stored: Any) -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    with pytest.raises(UnusableFileError, match="Python objects, which are not unpickled"):
        stored(tmp_path, file.getvalue())()
    with pytest.raises(UnusableFileError, match="Python objects, which are not unpickled"):
        stored(tmp_path, npy(np.zeros(4), descr=[("a", "<i4"), ("b", "|O")]))()


def test_headers_that_are_none_are_refused(tmp_path: Path, stored: Any) -> None:
    long = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{"
    code = b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"__import__('os').sep\n"
    later = b"\x93NUMPY\x03\x00" + struct.pack("<I", 20) + b"{" * 20
    for content in (b"", b"\x93NUMPY", long, code, later):
        with pytest.raises((UnusableFileError, ValueError, EOFError)):
            stored(tmp_path, content)()


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_LARGE", 2**24)  # writing larger ones takes long
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            member.write(npy(np.zeros(0, np.uint8), shape=(2**25,)))
            member.write(bytes(2**25))
        archive.writestr("y.npy", npy(np.arange(3)))
    assert npz_names(tmp_path / "bomb.npz") == ["x", "y"]
    tracemalloc.start()
    try:
        with pytest.raises(UnusableFileError, match=r"33,554,.* taken for a decompression bomb"):
            read_npz(tmp_path / "bomb.npz")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert np.array_equal(read_npz(tmp_path / "bomb.npz", ["y"])["y"], np.arange(3))


def test_an_archive_that_lies_about_its_members_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    as_npz(tmp_path, npy(np.zeros(1000)))
    content = path.read_bytes()
    size = struct.pack("<I", len(npy(np.zeros(1000))))
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, struct.pack("<I", 2**31)))
    with pytest.raises(UnusableFileError, match="taken for a decompression bomb"):
        read_npz(path)
    # Of 8,000 bytes only 1,000 are told of; no more than these are unfolded.
    path.write_bytes(content.replace(size, struct.pack("<I", 1000)))
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        read_npz(path)


def test_arrays_in_parts_are_those_that_numpy_reads(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(7, 3, 2)).astype(np.float32)
    names = np.array(["a", "longer"])
    write_npz(
        tmp_path / "parts.npz",
        {
            "maps/one": Parts(array.shape, array.dtype, (array[i : i + 3] for i in (0, 3, 6))),
            "names": Parts(names.shape, names.dtype, [names]),
        },
    )
    with np.load(tmp_path / "parts.npz", allow_pickle=False) as found:
        assert found.files == ["maps/one", "names"]
        assert np.array_equal(found["maps/one"], array)
        assert found["names"].tolist() == ["a", "longer"]
    with pytest.raises(ValueError, match="x: expected 8 rows, the parts have 7"):
        write_npz(tmp_path / "short.npz", {"x": Parts((8, 3, 2), np.float32, [array])})
    assert not (tmp_path / "short.npz").exists()
