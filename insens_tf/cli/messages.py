"""What is said to the user: refusals and warnings in one line, and whether progress shows."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from insens_tf import files

__all__ = [
    "CommandError",
    "import_tensorflow",
    "said_in_one_line",
    "shows_progress",
    "warnings_in_one_line",
]


class CommandError(click.ClickException):
    """Something that the user can put right, said in one line."""


def import_tensorflow() -> None:
    """Import TensorFlow without what it says before its log level counts.

    From 2.17 on it tells of missing graphics cards whatever TF_CPP_MIN_LOG_LEVEL is.
    """
    if "tensorflow" in sys.modules or os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextmanager
def said_in_one_line() -> Iterator[None]:
    """Turn the library's refusals into errors of one line; anything else is a bug and shows."""
    from insens_tf.errors import UnreadableModelError

    try:
        yield
    except (ValueError, UnreadableModelError) as error:
        raise CommandError(str(error)) from error
    except MemoryError as error:
        raise CommandError(
            f"this machine's memory is not enough ({files.one_line(error, 200)}); take fewer "
            "images with --first"
        ) from error


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Say what the library warns of, which `_keep_tensorflow_quiet` would leave unsaid."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("always", category)
        yield
    for warning in caught:
        print(f"insens-tf: warning: {files.one_line(warning.message, 800)}", file=sys.stderr)


def shows_progress() -> bool:
    """Say whether someone is there to see a progress bar."""
    return sys.stderr.isatty()
