"""Folders of results that take long: filled block by block, and continued after any interruption.

While the work goes on, `<name>.unfinished` stands beside the folder to come. It holds what the work
was begun with, every block that is done, and the results as far as they are. A block counts once
its file has appeared, so that being ended at any moment loses no more than the block at hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.files.arrays import read_npz
from insens_tf.files.file_errors import UnusableFileError, checked_path, reading, writing
from insens_tf.files.results import (
    check_results_path,
    created_parents,
    put_in_place,
    sibling,
    whole_file,
)

__all__ = [
    "UnfinishedResults",
    "check_resumable",
    "fingerprints",
    "order_fingerprint",
    "resumable_results",
    "unfinished_folder",
]

_SETTINGS = "settings.json"
_RESULTS = "results"
_BLOCKS = "blocks"
# More differences than these are counted.
_DIFFERENCES_SAID = 3


class UnfinishedResults:
    """Results in the making.

    Attributes
    ----------
    folder : pathlib.Path
        To be filled; it becomes the folder of results. What is in it may be of a run that was
        ended in the middle of writing it, and is to be written again unless it appears whole.
    """

    def __init__(self, working: Path) -> None:
        self.folder = working / _RESULTS
        self._blocks = working / _BLOCKS

    @property
    def begun(self) -> bool:
        """Whether there is any work that is worth keeping."""
        return any(self._blocks.glob("*.npz")) or any(
            path for ending in ("npz", "h5") for path in self.folder.glob(f"*.{ending}")
        )

    def remaining(self, total: int, size: int) -> list[slice]:
        """Return the blocks of at most `size` rows out of `total` that are not done."""
        blocks = [slice(start, min(start + size, total)) for start in range(0, total, size)]
        return [rows for rows in blocks if not self._block(rows.start).exists()]

    def keep(self, rows: slice, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep the arrays of a block: now it is done."""
        # In a power cut, a block must not outlive the pictures that were drawn of it.
        if hasattr(os, "sync"):
            os.sync()
        with whole_file(self._block(rows.start)) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)

    def parts(self, name: str) -> Iterator[NDArray[Any]]:
        """Go through the blocks' arrays of one name, in the order of their rows."""
        for path in sorted(self._blocks.glob("*.npz"), key=lambda path: int(path.stem)):
            with reading(path, "unfinished results"):
                part = read_npz(path, [name])[name]
            yield part

    def _block(self, start: int) -> Path:
        return self._blocks / f"{start}.npz"


@contextmanager
def resumable_results(
    path: str | os.PathLike[str],
    record: Mapping[str, Any],
    settings: Mapping[str, str],
    *,
    replace: bool = False,
    restart: bool = False,
) -> Iterator[UnfinishedResults]:
    """Write a folder of results that appears whole, and whose work survives being ended.

    Like `results_folder`, but what is done stays in `<path>.unfinished`, and the next call with the
    same settings goes on from there.

    Parameters
    ----------
    path : str or path
        The folder to come; it may exist if it is empty.
    record : mapping
        How the results came about; what JSON can hold. It may be added to inside the block.
    settings : mapping of str to str
        All that the results depend on.
    replace : bool
        Replace a folder of earlier results.
    restart : bool
        Begin anew where unfinished work is found.

    Raises
    ------
    UnusableFileError
        If there is something else at `path`, the folder cannot be written, or the unfinished work
        is of other settings or being worked on.
    """
    check_resumable(path, replace=replace, restart=restart)
    path, working = _places(path)
    with created_parents(path), writing(working):
        if not working.exists():
            _begin(working, settings)
        with _locked(working):
            _check_settings(working, settings)
            _sweep(working)
            unfinished = UnfinishedResults(working)
            with _kept_if_begun(unfinished, working):
                yield unfinished
                put_in_place(unfinished.folder, path, record, replace=replace)
            _discard(working)


def check_resumable(
    path: str | os.PathLike[str], *, replace: bool = False, restart: bool = False
) -> None:
    """Raise `UnusableFileError` where `resumable_results` could not begin or continue.

    Clears away what will not be continued: what a finished run left, and with `restart` all.
    """
    path, working = _places(path)
    _clear(working, restart)
    check_results_path(path, replace=replace)


def unfinished_folder(path: str | os.PathLike[str]) -> Path:
    """Return where results that are not finished are kept, whether there are any or not."""
    return _places(path)[1] / _RESULTS


def _places(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    # A link stays, and what it points at is written.
    path = Path(os.path.realpath(checked_path(path)))
    return path, path.with_name(f"{path.name}.unfinished")


@contextmanager
def _kept_if_begun(unfinished: UnfinishedResults, working: Path) -> Iterator[None]:
    """Say that what is done is kept; discard the folder where nothing is."""
    way_out = f"what is done is kept in {working}, and the same command continues"
    try:
        with writing(working):
            yield
    except BaseException as error:
        if not unfinished.begun:
            _discard(working)
            raise
        if isinstance(error, UnusableFileError):
            raise UnusableFileError(f"{error}; {way_out}") from error
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"interrupted; {way_out}") from error
        raise


def fingerprints(what: str, *paths: str | os.PathLike[str]) -> dict[str, str]:
    """Return fingerprints, for the settings, of files and of folders with all in them."""
    found = {}
    for path in map(Path, paths):
        with reading(path, what):
            digest = hashlib.sha256()
            files = sorted(one for one in path.rglob("*") if one.is_file())
            for file in files if path.is_dir() else [path]:
                digest.update(os.fsencode(f"{file.relative_to(path)}\n{file.stat().st_size}\n"))
                with file.open("rb") as stream:
                    while block := stream.read(2**20):
                        digest.update(block)
        found[f"{what} {path}"] = f"sha256:{digest.hexdigest()}"
    return found


def order_fingerprint(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Return a fingerprint, for the settings, of an order of paths."""
    digest = hashlib.sha256(b"\0".join(os.fsencode(path) for path in paths))
    return f"sha256:{digest.hexdigest()}"


def _begin(working: Path, settings: Mapping[str, str]) -> None:
    # The folder appears whole too, so that whatever is in it later is known to be ours.
    temporary = sibling(working)
    try:
        for folder in (_RESULTS, _BLOCKS):
            (temporary / folder).mkdir(parents=True)
        with whole_file(temporary / _SETTINGS) as partial:
            partial.write_text(json.dumps(settings, indent=2), encoding="utf-8")
        os.replace(temporary, working)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _clear(working: Path, restart: bool) -> None:
    """Remove earlier work that will not be continued."""
    if not os.path.lexists(working):
        return
    if working.is_symlink() or not (working / _SETTINGS).is_file():
        raise UnusableFileError(
            f"{working} is there already, where unfinished results would come to stand, and holds "
            "none; remove it or name another folder"
        )
    # If it has no results, they have become whole, and only the clearing away was not finished.
    if restart or not (working / _RESULTS).is_dir():
        with writing(working), _locked(working):
            _discard(working)


def _discard(working: Path) -> None:
    # It is moved away in one step: half of it under its name would not be known again.
    temporary = sibling(working)
    os.replace(working, temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def _sweep(working: Path) -> None:
    """Remove the files that were being written when the work was ended."""
    for folder in (working, working / _BLOCKS, working / _RESULTS):
        for leftover in folder.glob(".*.part"):
            leftover.unlink(missing_ok=True)


@contextmanager
def _locked(working: Path) -> Iterator[None]:
    with (working / _SETTINGS).open("rb") as file:
        _lock(file, working)
        yield


def _lock(file: IO[bytes], working: Path) -> None:
    # The operating system frees the lock when the process ends, however it ends. Windows has no
    # such lock, so that two processes may do the same work there.
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UnusableFileError(f"{working} is being worked on by another process") from error


def _check_settings(working: Path, settings: Mapping[str, str]) -> None:
    with reading(working / _SETTINGS, "settings"):
        earlier = json.loads((working / _SETTINGS).read_text(encoding="utf-8"))
    differences = [
        _difference(name, earlier.get(name), settings.get(name))
        for name in [*settings, *(name for name in earlier if name not in settings)]
        if earlier.get(name) != settings.get(name)
    ]
    if differences:
        said = differences[:_DIFFERENCES_SAID]
        if len(differences) > len(said):
            said.append(f"{len(differences) - len(said)} more")
        raise UnusableFileError(
            f"{working} holds unfinished work that was begun differently: {'; '.join(said)}; "
            "--restart begins anew, or name another folder"
        )


def _difference(name: str, earlier: str | None, now: str | None) -> str:
    if earlier is None:
        return f"{name} is new"
    if now is None:
        return f"{name} is gone"
    if now.startswith("sha256:"):
        return f"{name} has changed"
    return f"{name} was {earlier} and is {now}"
