"""Errors that say in one sentence what is wrong with a file, and name it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from insens_tf.arguments import nearest

__all__ = [
    "UnusableFileError",
    "checked_path",
    "neighbours",
    "one_line",
    "printable",
    "reading",
    "writing",
]


class UnusableFileError(ValueError):
    """A file or folder that cannot be read as what it is meant to be, or cannot be written."""


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return a path to write to; refuse one that no file can have."""
    if "\0" in os.fspath(path):
        raise UnusableFileError(
            f"{os.fspath(path)!r}: expected a path without a null character, which no file's name "
            "can have"
        )
    return Path(path)


def printable(name: object) -> str:
    """Return a file's name as text that can be printed, also one that is not UTF-8."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(message: object, limit: int = 400) -> str:
    """Fold a message of any length and form into one line of at most `limit` characters."""
    line = " ".join(printable(message).split())
    return line if len(line) <= limit else line[: limit - 4].rstrip() + " ..."


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into one sentence that names the file."""
    try:
        yield
    except UnusableFileError:
        raise
    except MemoryError as error:
        raise UnusableFileError(f"{what} {path} is too large for this machine's memory") from error
    except PermissionError as error:
        raise UnusableFileError(
            f"{what} {path} may not be read: {error.strerror}; check its permissions"
        ) from error
    except Exception as error:
        raise UnusableFileError(
            f"{what} {path} cannot be read: {one_line(error, 200) or type(error).__name__}"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever the operating system refuses into one sentence that names the file."""
    try:
        yield
    except UnusableFileError:
        raise
    except OSError as error:
        raise UnusableFileError(
            f"{path} cannot be written: {error.strerror or one_line(error, 200)}"
        ) from error


def neighbours(path: Path) -> str:
    """Name files next to a missing one that its name may have been meant for."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f" (there is no folder {path.parent} either)"
    close = nearest(path.name, names)
    return "" if close is None else f" (did you mean {path.parent / close}?)"
