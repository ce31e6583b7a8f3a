"""Files and folders of results that appear whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from insens_tf.files.file_errors import UnusableFileError, checked_path, writing

__all__ = [
    "check_results_path",
    "check_writable",
    "created_parents",
    "put_in_place",
    "results_folder",
    "sibling",
    "whole_file",
]

RECORD_NAME = "run.json"
"""The file by which a folder is known as results of this package; it says how they came about."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    Gives the path of a temporary sibling to write to; when the block ends without an exception it
    takes the place of `path`, otherwise it is removed and what was at `path` stays as it was.

    Raises
    ------
    UnusableFileError
        If the file cannot be put there.
    """
    path = checked_path(path)
    if path.is_dir():
        raise UnusableFileError(f"{path} is a folder; expected the path of a file to write")
    temporary = sibling(path)
    with created_parents(path), writing(path):
        try:
            # Opening it now says at once if nothing can be written here.
            temporary.open("xb").close()
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def results_folder(
    path: str | os.PathLike[str], record: Mapping[str, Any], *, replace: bool = False
) -> Iterator[Path]:
    """Write a folder of results so that it appears whole or not at all.

    Gives a temporary sibling folder to write to; when the block ends without an exception, `record`
    is added as `run.json` and the folder takes the place of `path`. Otherwise it is removed.

    Parameters
    ----------
    path : str or path
        The folder to come; it may exist if it is empty.
    record : mapping
        How the results came about; what JSON can hold. It may be added to inside the block.
    replace : bool
        Replace a folder of earlier results; known by its `run.json`, so that no other folder is
        ever removed.

    Raises
    ------
    UnusableFileError
        If there is something else at `path` or the folder cannot be written.
    """
    # A link stays, and what it points at is written.
    path = Path(os.path.realpath(checked_path(path)))
    check_results_path(path, replace=replace)
    temporary = sibling(path)
    with created_parents(path), writing(path):
        try:
            temporary.mkdir()
            yield temporary
            put_in_place(temporary, path, record, replace=replace)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(
    folder: Path, path: Path, record: Mapping[str, Any], *, replace: bool = False
) -> None:
    """Give a filled folder its record and the name `path`, in place of earlier results."""
    text = json.dumps(record, indent=2, ensure_ascii=False)
    # A file's name that is no UTF-8 is written with JSON's escapes.
    (folder / RECORD_NAME).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    check_results_path(path, replace=replace)
    earlier = sibling(path)
    if path.exists():
        os.replace(path, earlier)
    try:
        os.replace(folder, path)
    except OSError:
        if earlier.exists():
            os.replace(earlier, path)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def check_results_path(path: Path, *, replace: bool = False) -> None:
    """Raise `UnusableFileError` unless a folder of results may come to stand at `path`."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise UnusableFileError(f"results {path} is a file; expected a folder that is new or empty")
    if not (path / RECORD_NAME).is_file():
        raise UnusableFileError(
            f"results folder {path} holds other files; expected a folder that is new or empty, so "
            "name another"
        )
    if not replace:
        raise UnusableFileError(
            f"results folder {path} holds earlier results; name another, or --overwrite replaces "
            "them"
        )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `UnusableFileError` unless a folder can be created at `path`, and create none."""
    # A link stays, and what it points at is written.
    path = Path(os.path.realpath(checked_path(path)))
    above = next(parent for parent in path.parents if os.path.lexists(parent))
    temporary = above / sibling(path).name
    with writing(path):
        temporary.mkdir()
        temporary.rmdir()


def sibling(path: Path) -> Path:
    """Return a name for something temporary that will take the place of `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


@contextmanager
def created_parents(path: Path) -> Iterator[None]:
    """Create the folders above `path`, and remove them again if something fails."""
    missing = [parent for parent in path.absolute().parents if not parent.exists()]
    with writing(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in missing:  # the innermost comes first
            try:
                parent.rmdir()
            except OSError:
                break
        raise


def _flush(path: Path) -> None:
    # Without this a power cut could leave an empty file under the name of a whole one.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
