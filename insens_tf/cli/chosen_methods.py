"""What compare and sanity share: the methods asked for, without those that cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from insens_tf import files
from insens_tf.arguments import did_you_mean
from insens_tf.cli.messages import CommandError, in_command_line_words
from insens_tf.cli.named_layers import chosen_layers
from insens_tf.cli.options import FrequencyOptions, NetworkOptions, layer_help, option
from insens_tf.method_table import METHODS, OURS, PAPER_METHODS

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer

__all__ = ["ChosenMethods", "MethodOptions", "methods_option"]

_DEFAULT_METHODS = (*PAPER_METHODS, "insens")
# These draw noise, which must be the same in every run.
_NOISY_METHODS = ("random", "smoothgrad")


def methods_option(which: str, of_the_paper: str = "") -> Any:
    """Declare the option of the methods: what they are chosen for, and a word on the paper's."""
    return option(
        "--methods",
        multiple=True,
        metavar="NAME,...",
        help=f"{which}; repeat the option or separate them by commas (see insens-tf methods). "
        f"Without it those of the paper: {', '.join(_DEFAULT_METHODS)}{of_the_paper}. What "
        "cannot be used on the model is left out, and said.",
    )


@dataclass(frozen=True)
class MethodOptions:
    """Which methods are used, and Insens of which layers."""

    methods: tuple[str, ...] = methods_option("Which methods")
    layer: tuple[str, ...] = option(
        "--layer",
        multiple=True,
        metavar="NAME|INDEX",
        help=f"{layer_help('A hidden layer for insens')}; repeat it for several. Without it: the "
        "last one, as in the paper's comparison.",
    )


class ChosenMethods:
    """The methods that a command is asked for.

    Parameters
    ----------
    method_options : MethodOptions
    network_options : NetworkOptions
    frequency_options : FrequencyOptions
        Refused, as --layer is, where insens is not among the methods.
    what_is_done : str
        With a method: "drawn".

    Attributes
    ----------
    names : list of str
    left_out : dict of str to str
        Why a method cannot be used on the model or on this machine, by its name.
    """

    def __init__(
        self,
        method_options: MethodOptions,
        network_options: NetworkOptions,
        frequency_options: FrequencyOptions,
        what_is_done: str,
    ) -> None:
        self.names = _method_names(method_options.methods)
        self.left_out: dict[str, str] = {}
        self._layer_texts = method_options.layer
        self._network_options = network_options
        self._what_is_done = what_is_done
        of_insens = (
            method_options.layer,
            frequency_options.frequency_from,
            frequency_options.frequency_key,
        )
        if "insens" not in self.names and any(of_insens):
            raise click.UsageError(
                f"--layer and --frequency-from are for insens, which is not {what_is_done}"
            )

    def arguments_of(self, name: str) -> dict[str, Any]:
        """Return the arguments that a method's analyzer is created with."""
        from insens_tf.innvestigate_contract import WHY_MISSING

        if name in OURS:
            return self._network_options.network_arguments()
        seed = {"seed": 0} if name in _NOISY_METHODS else {}
        # Without iNNvestigate its methods are computed on our graph.
        ours = {} if WHY_MISSING is None else self._network_options.network_arguments()
        return {**ours, **seed}

    def layers_of(self, insens: Any) -> list[HiddenLayer]:
        """Return the layers of the network of Insens' analyzer that Insens is computed of."""
        return chosen_layers(insens.network, self._layer_texts) or [insens.layer]

    @contextmanager
    def unless_usable(self, name: str) -> Iterator[None]:
        """Leave a method out if it cannot be used."""
        from insens_tf.errors import InnvestigateMissingError
        from insens_tf.innvestigate_contract import NotAnalyzeableModelException

        try:
            yield
        except (NotAnalyzeableModelException, InnvestigateMissingError) as error:
            self.left_out[name] = in_command_line_words(files.one_line(error, 800)).rstrip(".")

    def note(self, record: dict[str, Any], used: Collection[str]) -> None:
        """Note in a record which methods are used, and say which are left out, a line a reason.

        Raises
        ------
        CommandError
            Where none is used.
        """
        names_of: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            names_of.setdefault(reason, []).append(name)
        said = [f"{', '.join(names)}: {reason}" for reason, names in names_of.items()]
        if not used:
            raise CommandError(
                f"none of the methods can be {self._what_is_done}; {'; '.join(said)}"
            )
        for one in said:
            print(f"insens-tf: left out {one}", file=sys.stderr)
        record["methods"] = list(used)
        record["left_out_methods"] = self.left_out


def _method_names(texts: Sequence[str]) -> list[str]:
    """Read the values of --methods, each of which may name several; none: the paper's methods."""
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
