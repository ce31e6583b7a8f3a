"""The inputs of a survey: where they are, so that any worker can read any part of them."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.files.file_errors import reading

__all__ = ["SurveyInputs", "inputs_in_files", "inputs_of_batches"]

_HDF5_ENDINGS = (".h5", ".hdf5")
_COPIED_AT_A_TIME = 2**22
_ROWS_HASHED_AT_A_TIME = 256


@dataclass(frozen=True)
class SurveyInputs:
    """Inputs in files, of which any rows can be read without the others.

    Attributes
    ----------
    paths : tuple of str
        One array, `.npy` or HDF5, or pictures, one an input.
    key : str or None
        Of HDF5, which data set.
    count : int
        How many there are; an array may have more.
    fitting : mapping or None
        How they are brought to what the model takes: the arguments of `files.fit_to_model`. None:
        they are taken as they are.
    """

    paths: tuple[str, ...]
    key: str | None
    count: int
    fitting: Mapping[str, Any] | None = None

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Read some of the inputs, as the model takes them: (n, *input_shape)."""
        first, last, _ = rows.indices(self.count)
        path = Path(self.paths[0])
        suffix = path.suffix.lower()
        with reading(path, "inputs"):
            if suffix == ".npy":
                images = files.Images(_mapped(path)[first:last], None, path.name)
            elif suffix in _HDF5_ENDINGS:
                images = files.Images(_hdf5_rows(path, self.key, first, last), None, path.name)
            else:
                images = files.read_images(self.paths[first:last])
            if self.fitting is None:
                return np.asarray(images.arrays)
            return files.fit_to_model(images, **self.fitting)[:]


def inputs_in_files(
    paths: Sequence[str | os.PathLike[str]],
    key: str | None,
    first: int | None,
    aside: Path,
    fitting: Mapping[str, Any],
) -> tuple[SurveyInputs, dict[str, str]]:
    """Return inputs that are in files, and the fingerprints of these.

    Parameters
    ----------
    paths : sequence of str or path
        Pictures, folders of them, or one `.npy`, `.npz`, `.h5` or `.hdf5` file.
    key : str, optional
        The array of an `.npz` or HDF5 file.
    first : int, optional
        Take only so many.
    aside : pathlib.Path
        A path that the array of an `.npz` file is unpacked beside.
    fitting : mapping
        As `SurveyInputs` has it.

    Raises
    ------
    UnusableFileError
        If a file is missing, damaged, or none of these, or the key names none of its arrays.
    """
    if len(paths) == 1 and Path(paths[0]).suffix.lower() in _HDF5_ENDINGS:
        found: tuple[Path, ...] = (Path(paths[0]),)
    else:
        found = files.check_image_paths(paths)
    suffix = found[0].suffix.lower()
    if key is not None and suffix not in (".npz", *_HDF5_ENDINGS):
        raise files.UnusableFileError(
            f"key {key!r} names an array of an .npz or HDF5 file, and {found[0]} is none"
        )
    settings = files.fingerprints("image", *found)
    settings["the order of the images"] = files.order_fingerprint(found)
    count = len(found)
    with reading(found[0], "inputs"):
        if suffix == ".npz":
            key = files.chosen_array(found[0], files.npz_names(found[0]), key)
            found, key = (_unpacked(found[0], key, aside),), None
            count = len(_mapped(found[0]))
        elif suffix == ".npy":
            count = len(_mapped(found[0]))
        elif suffix in _HDF5_ENDINGS:
            key, count = _hdf5_choice(found[0], key)
    if not count:
        raise files.UnusableFileError(f"inputs {found[0]} hold none")
    taken = count if first is None else min(first, count)
    absolute = tuple(os.path.abspath(path) for path in found[:taken])
    return SurveyInputs(absolute, key, taken, fitting), settings


def inputs_of_batches(
    batches: Iterable[NDArray[Any]], aside: Path
) -> tuple[SurveyInputs, dict[str, str]]:
    """Write batches of inputs, as the model takes them, to a file; also return its fingerprint.

    Parameters
    ----------
    batches : iterable of array (n, *input_shape)
        Of one dtype; gone through once.
    aside : pathlib.Path
        A path that they are written beside.

    Raises
    ------
    ValueError
        If there are no inputs, or they differ in shape or dtype.
    """
    count = 0

    def write(file: IO[bytes]) -> None:
        nonlocal count
        count = _write_batches(batches, file)

    path, digest = _written_beside(aside, write)
    return SurveyInputs((str(path),), None, count), {"the inputs": f"sha256:{digest}"}


def _written_beside(aside: Path, write: Callable[[IO[bytes]], None]) -> tuple[Path, str]:
    """Write a `.npy` file that is named by what it holds, so that no other can take its place."""
    with files.whole_file(aside.with_name(f"{aside.name}.inputs.npy")) as partial:
        with partial.open("wb") as file:
            write(file)
        digest = hashlib.sha256()
        values = _mapped(partial)
        digest.update(f"{values.dtype.str} {values.shape}".encode())
        for start in range(0, len(values), _ROWS_HASHED_AT_A_TIME):
            part = values[start : start + _ROWS_HASHED_AT_A_TIME]
            digest.update(np.ascontiguousarray(part).tobytes())
    path = aside.with_name(f"{aside.name}.inputs-{digest.hexdigest()[:16]}.npy")
    os.replace(aside.with_name(f"{aside.name}.inputs.npy"), path)
    return path.absolute(), digest.hexdigest()


def _write_batches(batches: Iterable[NDArray[Any]], file: IO[bytes]) -> int:
    """Write a `.npy` file batch by batch; the number of rows is known only at its end."""
    rows = 0
    form: tuple[np.dtype[Any], tuple[int, ...]] | None = None
    for batch in batches:
        if form is None:
            form = batch.dtype, batch.shape[1:]
            # Its length stays the same: it has room for any number of rows.
            _write_header(file, 0, *form)
        if (batch.dtype, batch.shape[1:]) != form:
            raise ValueError(
                f"data: expected inputs of one shape and dtype, {form[1]} {form[0]}, came "
                f"{batch.shape[1:]} {batch.dtype}"
            )
        file.write(np.ascontiguousarray(batch).tobytes())
        rows += len(batch)
    if form is None:
        raise ValueError("data: expected at least one input, came none")
    file.seek(0)
    _write_header(file, rows, *form)
    return rows


def _write_header(file: IO[bytes], rows: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    header = {"descr": dtype.str, "fortran_order": False, "shape": (rows, *shape)}
    np.lib.format.write_array_header_1_0(file, header)


def _mapped(path: Path) -> NDArray[Any]:
    """Return the array of a `.npy` file, mapped into memory; Python objects are refused."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _unpacked(path: Path, key: str, aside: Path) -> Path:
    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as source:
            while block := source.read(_COPIED_AT_A_TIME):
                file.write(block)

    return _written_beside(aside, write)[0]


def _hdf5_choice(path: Path, key: str | None) -> tuple[str, int]:
    """Return which data set of an HDF5 file is meant, and how many inputs it holds."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        names = [name for name in file if isinstance(file.get(name), h5py.Dataset)]
        chosen = files.chosen_array(path, names, key)
        dataset = file[chosen]
        if dataset.external or dataset.is_virtual:
            raise files.UnusableFileError(f"inputs {path} refer to another file for {chosen!r}")
        return chosen, len(dataset)


def _hdf5_rows(path: Path, key: str | None, first: int, last: int) -> NDArray[Any]:
    import h5py

    with h5py.File(path, "r") as file:
        return file[key][first:last]
