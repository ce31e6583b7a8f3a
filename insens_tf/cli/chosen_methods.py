"""The methods that a command is asked for, and leaving out those that cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import click

from insens_tf import files
from insens_tf.arguments import did_you_mean
from insens_tf.cli.messages import CommandError, in_command_line_words
from insens_tf.cli.options import layer_help
from insens_tf.cli.reading import network_arguments
from insens_tf.method_table import METHODS, OURS, PAPER_METHODS

__all__ = [
    "LeftOut",
    "arguments_of",
    "check_insens_options",
    "insens_layer_option",
    "method_names",
    "methods_option",
]

_DEFAULT_METHODS = (*PAPER_METHODS, "insens")
# These draw noise, which is to be the same in every run.
_NOISY_METHODS = ("random", "smoothgrad")

insens_layer_option = click.option(
    "--layer",
    "layer_texts",
    multiple=True,
    metavar="NAME|INDEX",
    help=f"{layer_help('A hidden layer for insens')}; repeat it for several. Without it: the last "
    "one, as in the paper's comparison.",
)


def methods_option(which: str, of_the_paper: str = "") -> Callable[[Any], Any]:
    """Make the option of the methods: what they are chosen for, and a word on the paper's."""
    return click.option(
        "--methods",
        "chosen_methods",
        multiple=True,
        metavar="NAME,...",
        help=f"{which}; repeat the option or separate them by commas (see insens-tf methods). "
        f"Without it those of the paper: {', '.join(_DEFAULT_METHODS)}{of_the_paper}. What "
        "cannot be used on the model is left out, and said.",
    )


def check_insens_options(
    names: Sequence[str],
    what_is_done: str,
    layer_texts: Sequence[str],
    frequency_from: str | None,
    frequency_key: str | None,
) -> None:
    """Refuse options that are for insens where it is not among the methods."""
    if "insens" not in names and (layer_texts or frequency_from or frequency_key):
        raise click.UsageError(
            f"--layer and --frequency-from are for insens, which is not {what_is_done}"
        )


def method_names(texts: Sequence[str]) -> list[str]:
    """Read --methods, which each may name several; without it, those of the paper."""
    names = [name.strip() for text in texts for name in text.split(",")] or _DEFAULT_METHODS
    for name in names:
        if name not in METHODS:
            raise CommandError(
                f"--methods {name or repr(name)}: no such method{did_you_mean(name, METHODS)}; "
                "insens-tf methods lists those there are"
            )
        if METHODS[name].needs:
            needs = " and ".join(METHODS[name].needs)
            raise CommandError(
                f"--methods {name}: it needs {needs}, which only insens_tf.create_analyzer in "
                "Python takes"
            )
    return list(dict.fromkeys(names))


def arguments_of(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments that a method's analyzer is created with."""
    from insens_tf.innvestigate_contract import WHY_MISSING

    if name in OURS:
        return network_arguments(options)
    seed = {"seed": 0} if name in _NOISY_METHODS else {}
    # Without iNNvestigate its methods are computed on our graph.
    return seed if WHY_MISSING is None else {**network_arguments(options), **seed}


class LeftOut:
    """Methods that cannot be used on the model or on this machine, and why.

    Attributes
    ----------
    reasons : dict of str to str
        By method.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    @contextmanager
    def unless_usable(self, name: str) -> Iterator[None]:
        """Leave a method out if it cannot be used."""
        from insens_tf.errors import InnvestigateMissingError
        from insens_tf.innvestigate_contract import NotAnalyzeableModelException

        try:
            yield
        except (NotAnalyzeableModelException, InnvestigateMissingError) as error:
            self.reasons[name] = in_command_line_words(files.one_line(error, 800)).rstrip(".")

    def say(self, left: Sized, what_is_done: str) -> None:
        """Say which methods are left out, a line a reason; end where no method is left."""
        names_of: dict[str, list[str]] = {}
        for name, reason in self.reasons.items():
            names_of.setdefault(reason, []).append(name)
        said = [f"{', '.join(names)}: {reason}" for reason, names in names_of.items()]
        if not left:
            raise CommandError(f"none of the methods can be {what_is_done}; {'; '.join(said)}")
        for one in said:
            print(f"insens-tf: left out {one}", file=sys.stderr)
