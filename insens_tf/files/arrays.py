"""Arrays in `.npy` and `.npz` files: never unpickled, never larger than the file accounts for."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from insens_tf.files.file_errors import UnusableFileError
from insens_tf.files.results import whole_file

__all__ = [
    "Parts",
    "check_archive",
    "npz_names",
    "read_npy",
    "read_npz",
    "save_arrays",
    "write_npz",
]

# An array that unfolds to more bytes than this, and to more than so many times its bytes in the
# file, is taken for a decompression bomb. Images seldom shrink to less than a hundredth.
_LARGE = 2**30
_LARGEST_RATIO = 100

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Parts(NamedTuple):
    """An array that comes in parts along its first axis, and so is never whole in memory."""

    shape: tuple[int, ...]
    dtype: DTypeLike
    parts: Iterable[NDArray[Any]]


def read_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array from an `.npy` file.

    Raises
    ------
    UnusableFileError
        If it holds Python objects, or less than its header claims.
    ValueError, OSError, EOFError
        If it is damaged.
    """
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
        if start != np.lib.format.MAGIC_PREFIX:
            raise UnusableFileError(f"images {path} are no .npy file, whatever the name says")
        file.seek(0)
        _check_header(file, path.stat().st_size, str(path))
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def npz_names(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the arrays in an `.npz` file."""
    with zipfile.ZipFile(path) as archive:
        return [name[: -len(".npy")] for name in archive.namelist() if name.endswith(".npy")]


def read_npz(
    path: str | os.PathLike[str], names: Sequence[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Read arrays from an `.npz` file, all of them without `names`.

    Raises
    ------
    UnusableFileError
        If one holds Python objects or less than its header claims, or they would unfold to more
        than the file can account for.
    ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile
        If it is damaged.
    """
    chosen = npz_names(path) if names is None else names
    members = [f"{name}.npy" for name in chosen]
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path, members)
        for name, member in zip(chosen, members, strict=True):
            with archive.open(member) as file:
                _check_header(file, archive.getinfo(member).file_size, f"{path} ({name})")
            with archive.open(member) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Write an `.npz` file, compressed; whole or not at all."""
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, Parts]) -> None:
    """Write an `.npz` file, compressed, of arrays that come in parts; whole or not at all."""
    with (
        whole_file(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, (shape, dtype, parts) in arrays.items():
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                "fortran_order": False,
                "shape": shape,
            }
            rows = 0
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                for part in parts:
                    rows += len(part)
                    member.write(np.ascontiguousarray(part, dtype).tobytes())
            if rows != shape[0]:
                raise ValueError(f"{name}: expected {shape[0]} rows, the parts have {rows}")


def check_archive(
    archive: zipfile.ZipFile, path: str | os.PathLike[str], members: Iterable[str]
) -> None:
    """Raise `UnusableFileError` if members of an archive would unfold to a decompression bomb."""
    found = [archive.getinfo(member) for member in members]
    unfolded = sum(member.file_size for member in found)
    stored = sum(member.compress_size for member in found)
    # A stored member cannot be larger than the file, whatever the archive's directory says.
    stored = min(stored, os.path.getsize(path))
    if unfolded > max(_LARGE, _LARGEST_RATIO * stored):
        raise UnusableFileError(
            f"{path} unfolds from {stored:,} to {unfolded:,} bytes, which is taken for a "
            "decompression bomb; if it is none, unpack it and give the .npy file in it"
        )


def _check_header(file: IO[bytes], size: int, what: str) -> None:
    """Check, before memory is taken, that as much follows a header as it claims."""
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise UnusableFileError(f"{what} has the .npy format {version}; expected numbers")
    shape, _, dtype = _READ_HEADER[version](file)
    if dtype.hasobject:
        raise UnusableFileError(
            f"{what} holds Python objects, which are not unpickled, as that could run code; save "
            "an array of numbers"
        )
    claimed, held = prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or claimed > held:
        raise UnusableFileError(
            f"{what} claims {claimed:,} bytes of {dtype}, {shape}, and holds {held:,}; it is "
            "damaged or was never whole"
        )
