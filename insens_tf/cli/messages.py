"""What is said to the user: refusals and warnings in one line, and whether progress shows."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from insens_tf import files

__all__ = ["CommandError", "said_in_one_line", "shows_progress", "warnings_in_one_line"]


class CommandError(click.ClickException):
    """Something that the user can put right, said in one line."""


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
