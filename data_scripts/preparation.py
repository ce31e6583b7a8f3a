"""From a data set's official files to one ``.npz``: fetch, verify, check, write.

What differs between data sets, the layout of their files, is in a module of its own for each.
Here is what they share. Nothing that comes from outside is trusted: sizes are bounded before
anything is read, archives are never extracted to disk, nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import click
import numpy as np
from tqdm import tqdm

__all__ = [
    "Arrays",
    "DataError",
    "DataSet",
    "OfficialFile",
    "Reader",
    "command",
    "command_options",
    "prepare",
    "read_npz",
    "run",
    "write_npz",
]

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30.0

Arrays = dict[str, np.ndarray]
Reader = Callable[[str], bytes]


class DataError(Exception):
    """What is wrong with the data, and what to do, in words for the user."""


@dataclass(frozen=True)
class OfficialFile:
    """One file as the data set's authors distribute it.

    Attributes
    ----------
    name
        Its name, ending in ``.gz``.
    largest
        Upper bound of its size in bytes once uncompressed; more is refused unread.
    content_md5
        MD5 of the uncompressed content, which survives compressing anew. None where unknown.
    file_md5
        MD5 of the file as distributed, used where the content's is not known.
    """

    name: str
    largest: int
    content_md5: str | None = None
    file_md5: str | None = None

    @property
    def uncompressed_name(self) -> str:
        """The name that ``gunzip`` leaves."""
        return self.name.removesuffix(".gz")


@dataclass(frozen=True)
class DataSet:
    """A data set: where it comes from and what it must contain.

    Attributes
    ----------
    name
        Names the output, ``<name>.npz``, and the folder that a source may keep its files in.
    title
        The name for people.
    addresses
        Base addresses that serve the official files, tried in this order.
    files
        The official files.
    parse
        Turns the files' contents into ``x_train``, ``y_train``, ``x_test`` and ``y_test``; it is
        given this data set and a function from a file's name to its uncompressed bytes.
    image_shape
        Height, width and channels of one image.
    classes
        Number of labels, which are ``0 .. classes - 1``.
    counts
        Number of images in ``"train"`` and in ``"test"``.
    """

    name: str
    title: str
    addresses: tuple[str, ...]
    files: tuple[OfficialFile, ...]
    parse: Callable[[DataSet, Reader], Arrays]
    image_shape: tuple[int, int, int]
    classes: int
    counts: dict[str, int]


@dataclass
class _VerifyingReader:
    """Reads official files from local paths and notes which differ from the published ones."""

    files: dict[str, OfficialFile]
    paths: dict[str, Path]
    differing: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> bytes:
        file, path = self.files[name], self.paths[name]
        content = _read(path, file)
        if file.content_md5 is not None:
            matches = hashlib.md5(content, usedforsecurity=False).hexdigest() == file.content_md5
        else:
            matches = _md5_of_file(path) == file.file_md5
        if not matches:
            self.differing.append(path.name)
        return content


def prepare(
    data_set: DataSet, out: Path, source: Path | None = None, allow_unverified: bool = False
) -> tuple[Path, Arrays, list[str]]:
    """Write ``<name>.npz`` to a folder, whole or not at all.

    Parameters
    ----------
    data_set
        Which data.
    out
        Folder for the result; made if missing.
    source
        Folder with the official files, as distributed or uncompressed, in itself or in a folder
        of the data set's name. None downloads them.
    allow_unverified
        Take files from `source` whose checksum is not the published one, for instance a copy that
        was converted. Format, counts and ranges are checked all the same.

    Returns
    -------
    path : Path
        The file written: ``x_train`` and ``x_test`` of shape ``(n, height, width, channels)``,
        ``y_train`` and ``y_test`` of shape ``(n,)``, all uint8.
    arrays : dict
        What it contains.
    differing : list of str
        The names of the files whose checksum is not the published one; empty unless
        `allow_unverified`.

    Raises
    ------
    DataError
        If a file is missing, cannot be fetched, or is not what it should be.
    """
    with _local_folders(data_set, out, source) as folders:
        reader = _VerifyingReader(
            {file.name: file for file in data_set.files}, _locate(data_set, folders)
        )
        # A broken format says more than a checksum that differs, so the checksums come last.
        arrays = data_set.parse(data_set, reader)
        _check_arrays(data_set, arrays)
        if reader.differing and not (allow_unverified and source is not None):
            raise DataError(_unverified(data_set, reader.differing, source))
    path = out / f"{data_set.name}.npz"
    write_npz(path, arrays)
    return path, arrays, reader.differing


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write arrays to a compressed ``.npz`` that appears under its name only when complete.

    Parameters
    ----------
    path
        The file; one that exists is replaced. Missing folders are made.
    arrays
        What goes in, by name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_npz(path: Path) -> Arrays:
    """Read what a data script wrote.

    Parameters
    ----------
    path
        An ``.npz`` with ``x_train``, ``y_train``, ``x_test`` and ``y_test``.

    Returns
    -------
    dict
        These four arrays.

    Raises
    ------
    DataError
        If there is no such file, or it is damaged or holds something else.
    """
    try:
        # Opened here because numpy leaves a file open that turns out not to be an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except FileNotFoundError as error:
        raise DataError(
            f"no {path}; python -m data_scripts.{path.stem} --out {path.parent} makes it"
        ) from error
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a sound .npz of a data script: {error}") from error


def command_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that every data set has."""
    folder = click.Path(file_okay=False, path_type=Path)
    existing_folder = click.Path(exists=True, file_okay=False, path_type=Path)
    for option in (
        click.option(
            "--allow-unverified",
            is_flag=True,
            help="Accept files from --source whose checksum is not the published one.",
        ),
        click.option(
            "--source",
            type=existing_folder,
            help="Take the official files from this folder instead of downloading them.",
        ),
        click.option("--out", type=folder, required=True, help="Folder to write the .npz file to."),
    ):
        function = option(function)
    return function


def command(data_set: DataSet, text: str) -> click.Command:
    """Return the command that prepares a data set; `text` is its help."""

    @click.command(data_set.name, help=text)
    @command_options
    def main(out: Path, source: Path | None, allow_unverified: bool) -> None:
        run(data_set, out, source, allow_unverified)

    return main


def run(data_set: DataSet, out: Path, source: Path | None, allow_unverified: bool) -> None:
    """Prepare a data set for the command line: say what was written, or what is wrong.

    Parameters
    ----------
    data_set, out, source, allow_unverified
        As for :func:`prepare`.

    Raises
    ------
    click.ClickException
        For whatever goes wrong with files or the network: one message, and exit status 1.
    """
    if allow_unverified and source is None:
        raise click.UsageError(
            "--allow-unverified needs --source: what is downloaded is always verified"
        )
    try:
        path, arrays, differing = prepare(data_set, out, source, allow_unverified)
    except (DataError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if differing:
        click.echo(
            f"Warning: not verified, other checksums than the published {data_set.title}: "
            f"{', '.join(differing)}; say so wherever results from it are shown",
            err=True,
        )
    height, width, channels = arrays["x_train"].shape[1:]
    click.echo(
        f"wrote {path}: {data_set.title}, {len(arrays['x_train']):,} training and "
        f"{len(arrays['x_test']):,} test images of {height} x {width} x {channels}, "
        f"{data_set.classes} classes, {'NOT verified' if differing else 'verified'}"
    )


@contextlib.contextmanager
def _local_folders(data_set: DataSet, out: Path, source: Path | None) -> Iterator[list[Path]]:
    """Yield the folders that hold the official files, downloading to a temporary one if need be."""
    if source is not None:
        yield [source, source / data_set.name]
        return
    out.mkdir(parents=True, exist_ok=True)
    # Beside the result rather than in the system's temporary folder, which may be small.
    with tempfile.TemporaryDirectory(prefix=f".{data_set.name}-download-", dir=out) as temporary:
        for file in data_set.files:
            _download(data_set, file, Path(temporary) / file.name)
        yield [Path(temporary)]


def _locate(data_set: DataSet, folders: list[Path]) -> dict[str, Path]:
    """Return each official file's path, as distributed or uncompressed."""
    paths, missing = {}, []
    for file in data_set.files:
        # A tar archive's own md5 is published, not its content's, so gunzipping it loses that.
        names = [file.name, file.uncompressed_name] if file.content_md5 else [file.name]
        candidates = [folder / name for folder in folders for name in names]
        found = next((path for path in candidates if path.is_file()), None)
        if found is None:
            missing.append(file.name)
        else:
            paths[file.name] = found
    if missing:
        raise DataError(
            f"no {', '.join(missing)} in {folders[0]} or its folder {data_set.name}; the official "
            f"files of {data_set.title} are at {data_set.addresses[0]}"
        )
    return paths


def _download(data_set: DataSet, file: OfficialFile, path: Path) -> None:
    """Fetch one file from the first address that serves it."""
    failures = []
    for address in data_set.addresses:
        url = address + file.name
        try:
            _download_from(url, file, path)
            return
        except (OSError, http.client.HTTPException, DataError) as error:
            reason = getattr(error, "reason", None) or error
            failures.append(f"{url}: {reason}")
    raise DataError(
        f"cannot download {file.name} ({'; '.join(failures)}); without a network, get the official "
        "files some other way and name their folder with --source"
    )


def _download_from(url: str, file: OfficialFile, path: Path) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "insens_tf data scripts"})
    with (
        urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response,
        path.open("wb") as target,
    ):
        announced = response.headers.get("Content-Length")
        total = int(announced) if announced and announced.isdigit() else None
        received = 0
        with tqdm(total=total, desc=file.name, unit="B", unit_scale=True) as progress:
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                # gzip adds a few bytes to what cannot be compressed, never a mebibyte.
                if received > file.largest + _CHUNK:
                    raise DataError(f"more than the {file.largest:,} bytes that it can have")
                target.write(chunk)
                progress.update(len(chunk))
    if total is not None and received != total:
        raise DataError(f"the connection ended after {received:,} of {total:,} bytes")


def _read(path: Path, file: OfficialFile) -> bytes:
    """Return a file's uncompressed content, refusing more than it can have."""
    if path.name == file.uncompressed_name != file.name:
        with path.open("rb") as stream:
            return _read_at_most(stream, path, file.largest)
    try:
        with gzip.open(path, "rb") as stream:
            return _read_at_most(stream, path, file.largest)
    except EOFError as error:
        raise DataError(f"{path} is truncated: its compressed data ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a sound gzip file: {error}") from error


def _read_at_most(stream: Any, path: Path, largest: int) -> bytes:
    content = bytearray()
    while chunk := stream.read(_CHUNK):
        content += chunk
        # Checked while reading, so that a few bytes that unzip to terabytes stop here.
        if len(content) > largest:
            raise DataError(f"{path} holds more than the {largest:,} bytes that belong in it")
    return bytes(content)


def _md5_of_file(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    stream: BinaryIO
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_arrays(data_set: DataSet, arrays: Arrays) -> None:
    """Raise DataError unless counts, shapes and labels are the data set's."""
    for part, count in data_set.counts.items():
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if len(images) != count or len(labels) != count:
            raise DataError(
                f"{data_set.title} has {count:,} {part} images and labels, not {len(images):,} "
                f"images and {len(labels):,} labels"
            )
        if images.shape[1:] != data_set.image_shape:
            raise DataError(
                f"{data_set.title} has images of shape {data_set.image_shape} (height, width, "
                f"channels), not {images.shape[1:]} in the {part} part"
            )
        present = np.unique(labels)
        if not np.array_equal(present, np.arange(data_set.classes)):
            raise DataError(
                f"{data_set.title} has each of the labels 0 to {data_set.classes - 1} in its "
                f"{part} part, and no other, not {', '.join(map(str, present[:20]))}"
            )
        if images.min() == images.max():
            raise DataError(f"all pixels of the {part} images are {images.min()}: no images")


def _unverified(data_set: DataSet, differing: list[str], source: Path | None) -> str:
    message = (
        f"other content than the published {data_set.title}, by its checksum: "
        f"{', '.join(differing)}"
    )
    if source is None:
        return f"{message}; what was downloaded is damaged or changed, nothing was written"
    return (
        f"{message}; take an undamaged copy from {data_set.addresses[0]}, or, where the difference "
        "is known and wanted, pass --allow-unverified"
    )
