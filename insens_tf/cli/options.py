"""The options that several commands share, each declared once in a group of options.

A group is a frozen dataclass whose fields are options. `shared_options` adds a group's options to
a command and hands the command their values as one object, so that a new option of a group reaches
every command that has the group, and the record of its results.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import click

from insens_tf import files, heatmap

__all__ = [
    "EngineOptions",
    "FrequencyOptions",
    "HeatmapOptions",
    "ImageOptions",
    "ModelOptions",
    "NetworkOptions",
    "OptionalResultOptions",
    "PictureOptions",
    "ResultOptions",
    "argument",
    "examples",
    "images_argument",
    "layer_help",
    "option",
    "shared_options",
]


def argument(**attributes: Any) -> Any:
    """Declare a field of a group as an argument, by the attributes of `click.argument`."""
    return field(metadata={"declared": lambda name: click.argument(name, **attributes)})


def option(flag: str, **attributes: Any) -> Any:
    """Declare a field of a group as an option, by its flag and the attributes of `click.option`."""
    return field(metadata={"declared": lambda name: click.option(flag, name, **attributes)})


def shared_options(**groups: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a decorator that gives a command groups of options.

    Parameters
    ----------
    **groups : dataclass type
        By the name of the command's parameter that takes the object with the group's values.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_objects(**values: Any) -> None:
            objects = {
                parameter: group(**{one.name: values.pop(one.name) for one in fields(group)})
                for parameter, group in groups.items()
            }
            command(**values, **objects)

        declared = [
            one.metadata["declared"](one.name) for group in groups.values() for one in fields(group)
        ]
        # Decorators work from the last to the first.
        return functools.reduce(lambda made, one: one(made), reversed(declared), with_objects)

    return decorate


@dataclass(frozen=True)
class ModelOptions:
    """The model, and how it is read."""

    model: str = argument()
    smooth_activations: str | None = option(
        "--smooth-activations",
        type=click.Choice(["ratio"]),
        help="Read swish, gelu, tanh and their like as gates too, by the ratio of activity out "
        "to activity in; w is no derivative then. Without it a model that has them inside is "
        "refused.",
    )

    def network_arguments(self) -> dict[str, Any]:
        """Return the arguments of `SwitchedNetwork` that the options say."""
        return {"smooth_activations": self.smooth_activations}


@dataclass(frozen=True)
class NetworkOptions(ModelOptions):
    """The model, and the network that computes maps of it."""

    memory_budget: int = option(
        "--memory-budget",
        type=click.IntRange(min=1),
        metavar="MIB",
        default=512,
        show_default=True,
        help="How much memory, in MiB, the arrays of one computation may take beyond its results.",
    )

    def network_arguments(self) -> dict[str, Any]:
        """Return the arguments of `SwitchedNetwork` that the options say."""
        return {**super().network_arguments(), "memory_budget": self.memory_budget * 2**20}


@dataclass(frozen=True)
class PictureOptions:
    """How single images are read."""

    key: str | None = option("--key", metavar="NAME", help="The array to take from an .npz file.")
    scale: str = option(
        "--scale",
        type=click.Choice(files.scale_names),
        default="auto",
        show_default=True,
        help="How pixels become inputs. auto: integer pixels are scaled to 0..1, unless the "
        "model scales them itself, and floating values are taken as they are. none: taken as "
        "they are in any case.",
    )
    resize: bool = option("--resize", is_flag=True, help="Resize images to the model's input.")
    grayscale: bool = option(
        "--grayscale",
        is_flag=True,
        help="Convert colour images by luminance for a model of grey images.",
    )

    @property
    def leave_out_bad(self) -> bool:
        """Whether pictures that cannot be read are left out; without it they are refused."""
        return False


@dataclass(frozen=True)
class ImageOptions(PictureOptions):
    """How images are read, and how many of them."""

    first: int | None = option(
        "--first",
        type=click.IntRange(min=1),
        metavar="N",
        help="Take only the first N images.",
    )


@dataclass(frozen=True)
class FrequencyOptions:
    """Where the activation frequency comes from."""

    frequency_from: str | None = option(
        "--frequency-from",
        metavar="DATA",
        help="Training images (like IMAGES; of an .npz file x_train) over which to count how "
        "often each neuron is active, m/N, or the frequency.npz of earlier results. Without "
        "it every neuron weighs the same.",
    )
    frequency_key: str | None = option(
        "--frequency-key", metavar="NAME", help="The array to take from DATA, an .npz file."
    )


@dataclass(frozen=True)
class HeatmapOptions:
    """How heatmaps are drawn."""

    channels: str = option(
        "--channels",
        type=click.Choice(heatmap.channel_rules),
        default="sum",
        show_default=True,
        help="What a heatmap shows of a pixel's colour channels: their sum, or the one of largest "
        "magnitude.",
    )


@dataclass(frozen=True)
class EngineOptions:
    """How many pieces of the work are done at a time, and where."""

    jobs: int = option(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        default=1,
        show_default=True,
        help="How many processes work at a time, each of which loads the model and has its own "
        "--memory-budget.",
    )
    scheduler: str | None = option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on the Dask cluster of this address, whose workers see the same files; "
        "local: start one of N workers.",
    )


@dataclass(frozen=True)
class OptionalResultOptions:
    """Where results go, if they are to be written at all."""

    out: str | None = option(
        "--out", metavar="DIR", help="Write heatmaps and arrays to this new folder."
    )
    overwrite: bool = option(
        "--overwrite", is_flag=True, help="Replace earlier results of insens-tf in DIR."
    )


@dataclass(frozen=True)
class ResultOptions(OptionalResultOptions):
    """Where results go."""

    out: str = option("--out", metavar="DIR", required=True, help="The new folder to write to.")


images_argument = click.argument("images", nargs=-1, required=True)


def examples(*lines: str) -> str:
    """Lay out what stands below a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  insens-tf {line}" for line in lines)])


def layer_help(which: str) -> str:
    """Say how --layer names layers; `which` it names, and what else there is to say."""
    return f"{which}, by name, or by its index in the table of insens-tf layers"
