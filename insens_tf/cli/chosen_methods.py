"""The methods that a command is asked for, and leaving out those that cannot be used."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from insens_tf import files
from insens_tf.cli.messages import CommandError
from insens_tf.methods import METHODS

__all__ = [
    "arguments_of",
    "check_insens_options",
    "insens_layer_option",
    "leaving_out",
    "method_names",
    "methods_option",
    "skip_failing_option",
    "some_left",
]

_Some = TypeVar("_Some", bound=Sized)

# lrp.epsilon stands for LRP: the paper says no more than that it is iNNvestigate's.
_METHODS_OF_THE_PAPER = (
    "gradient",
    "integrated_gradients",
    "deep_taylor",
    "lrp.epsilon",
    "insens",
)
# These draw noise, which is to be the same in every run.
_NOISY_METHODS = ("random", "smoothgrad")

insens_layer_option = click.option(
    "--layer",
    "chosen_layers",
    multiple=True,
    metavar="NAME|INDEX",
    help="A hidden layer for insens, by name or by index (see insens-tf layers); repeat it for "
    "several. Without it: the last one, as in the paper's comparison.",
)
skip_failing_option = click.option(
    "--skip-failing",
    is_flag=True,
    help="Leave out, and name, methods that cannot be used on this model, instead of ending.",
)


def methods_option(which: str, of_the_paper: str = "") -> Callable[[Any], Any]:
    """Make the option of the methods: what they are chosen for, and a word on the paper's."""
    return click.option(
        "--methods",
        "chosen_methods",
        multiple=True,
        metavar="NAME,...",
        help=f"{which}; repeat the option or separate them by commas (see insens-tf methods). "
        f"Without it those of the paper: {', '.join(_METHODS_OF_THE_PAPER)}{of_the_paper}.",
    )


def check_insens_options(
    names: Sequence[str],
    what_is_done: str,
    chosen_layers: Sequence[str],
    frequency_from: str | None,
    frequency_key: str | None,
) -> None:
    """Refuse options that are for insens where it is not among the methods."""
    if "insens" not in names and (chosen_layers or frequency_from or frequency_key):
        raise click.UsageError(
            f"--layer and --frequency-from are for insens, which is not {what_is_done}"
        )


def method_names(texts: Sequence[str], skip_failing: bool) -> list[str]:
    """Read --methods, which each may name several; without it, those of the paper."""
    names = [name.strip() for text in texts for name in text.split(",")] or _METHODS_OF_THE_PAPER
    for name in names:
        if name not in METHODS:
            close = difflib.get_close_matches(name, METHODS, n=1)
            meant = f", did you mean {close[0]}?" if close else ";"
            raise CommandError(
                f"--methods {name or repr(name)}: no such method{meant} insens-tf methods lists "
                "those there are"
            )
    found = []
    for name in dict.fromkeys(names):
        if METHODS[name].needs:
            needs = " and ".join(METHODS[name].needs)
            reason = f"it needs {needs}, which only insens_tf.create_analyzer in Python takes"
            _leave_out(name, reason, skip_failing)
        else:
            found.append(name)
    return some_left(found)


def arguments_of(name: str) -> dict[str, int]:
    """Give the arguments that a method's analyzer is created with."""
    return {"seed": 0} if name in _NOISY_METHODS else {}


@contextmanager
def leaving_out(name: str, skip_failing: bool) -> Iterator[None]:
    """Leave a method out, or end, if it cannot be used on the model or on this machine."""
    from insens_tf.errors import InnvestigateMissingError
    from insens_tf.innvestigate_contract import NotAnalyzeableModelException

    try:
        yield
    except (NotAnalyzeableModelException, InnvestigateMissingError) as error:
        _leave_out(name, error, skip_failing)


def some_left(methods: _Some) -> _Some:
    """Give the methods back, unless none of them is left."""
    if not methods:
        raise CommandError("no method is left to draw")
    return methods


def _leave_out(name: str, reason: object, skip_failing: bool) -> None:
    reason = files.one_line(reason, 800).rstrip(".")
    if not skip_failing:
        raise CommandError(f"method {name}: {reason}; --skip-failing leaves it out")
    print(f"insens-tf: left out {name}: {reason}", file=sys.stderr)
