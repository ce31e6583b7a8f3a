"""Messages to the user: refusals and warnings in one line, and what is going on."""

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
    "in_command_line_words",
    "said_in_one_line",
    "shows_progress",
    "sign_of_life",
    "warnings_in_one_line",
]

# The library's words to those who call it from Python, and the command line's words for the same.
_IN_THE_COMMAND_LINE = {
    "read it as a gate by SwitchedNetwork(model, smooth_activations='ratio')": (
        "read it as a gate by --smooth-activations ratio"
    ),
    "read with smooth_activations='ratio'": "read with --smooth-activations ratio",
    "Build the SwitchedNetwork with a larger memory_budget": "Give a larger --memory-budget",
    "pass allow_remote=True": "give --allow-remote",
    "insens_tf.examine(model) says why": "insens-tf layers MODEL says why",
}


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
def sign_of_life(what: str) -> Iterator[None]:
    """Say on a terminal what is going on, and take it back when it is done.

    A file or a pipe gets no such line, as it is read later, or by a program.
    """
    if not shows_progress():
        yield
        return
    print(f"{what} ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def said_in_one_line(way_out_of_memory: str = "") -> Iterator[None]:
    """Turn the library's refusals into errors of one line; anything else is a bug and shows.

    Parameters
    ----------
    way_out_of_memory : str
        What to do where memory is not enough, if anything helps.
    """
    from insens_tf.errors import UnreadableModelError

    try:
        yield
    except (ValueError, UnreadableModelError) as error:
        raise CommandError(in_command_line_words(error)) from error
    except Exception as error:
        if not _is_of_memory(error):
            raise
        way_out = f"; {way_out_of_memory}" if way_out_of_memory else ""
        reason = files.one_line(error, 200)
        raise CommandError(
            f"this machine's memory is not enough{f' ({reason})' if reason else ''}{way_out}"
        ) from error


def in_command_line_words(message: object) -> str:
    """Return what the library says, with options in place of Python's arguments."""
    text = str(message)
    for python, command_line in _IN_THE_COMMAND_LINE.items():
        text = text.replace(python, command_line)
    return text


def _is_of_memory(error: Exception) -> bool:
    # TensorFlow's own error is told by its name, as TensorFlow may not be imported.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


@contextmanager
def warnings_in_one_line(said_before: set[str] | None = None) -> Iterator[None]:
    """Say what the library warns of, which `_keep_tensorflow_quiet` would leave unsaid.

    It is said at once, as it may be about hours of work, and only once.

    Parameters
    ----------
    said_before : set of str, optional
        The warnings that other blocks of the same work gave; new ones are added.
    """
    said = set() if said_before is None else said_before

    def say(message: Warning | str, *_: object, **__: object) -> None:
        line = files.one_line(in_command_line_words(message), 800)
        if line not in said:
            said.add(line)
            print(f"insens-tf: warning: {line}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("always", category)
        warnings.showwarning = say
        yield


def shows_progress() -> bool:
    """Say whether someone is there to see a progress bar."""
    return sys.stderr.isatty()
