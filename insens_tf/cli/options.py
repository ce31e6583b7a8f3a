"""Options that several commands share, and the examples below their help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from insens_tf import files, heatmap

__all__ = [
    "channels_option",
    "examples",
    "first_option",
    "frequency_key_option",
    "frequency_options",
    "image_options",
    "layer_help",
    "model_options",
    "network_options",
    "out_option",
    "overwrite_option",
]


_Command = TypeVar("_Command", bound=Callable[..., Any])


def examples(*lines: str) -> str:
    """Lay out what stands below a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  insens-tf {line}" for line in lines)])


def with_options(command: _Command, options: Sequence[Callable[[Any], Any]]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def model_options(command: _Command) -> _Command:
    """Add the model, and the option of how it is read."""
    options = [
        click.argument("model"),
        click.option(
            "--smooth-activations",
            type=click.Choice(["ratio"]),
            help="Read swish, gelu, tanh and their like as gates too, by the ratio of activity out "
            "to activity in; w is no derivative then. Without it a model that has them inside is "
            "refused.",
        ),
    ]
    return with_options(command, options)


def network_options(command: _Command) -> _Command:
    """Add the model, and the options of the network that computes maps of it."""
    memory_budget = click.option(
        "--memory-budget",
        type=click.IntRange(min=1),
        metavar="MIB",
        default=512,
        show_default=True,
        help="How much memory, in MiB, the arrays of one computation may take beyond its results.",
    )
    return with_options(command, [model_options, memory_budget])


def layer_help(which: str) -> str:
    """Say how --layer names layers; `which` it names, and what else there is to say."""
    return f"{which}, by name, or by its index in the table of insens-tf layers"


def image_options(command: _Command) -> _Command:
    """Add the options of how images are read."""
    options = [
        click.option("--key", metavar="NAME", help="The array to take from an .npz file."),
        click.option(
            "--scale",
            type=click.Choice(files.scale_names),
            default="auto",
            show_default=True,
            help="How pixels become inputs. auto: integer pixels are scaled to 0..1, unless the "
            "model scales them itself, and floating values are taken as they are. none: taken as "
            "they are in any case.",
        ),
        click.option("--resize", is_flag=True, help="Resize images to the model's input."),
        click.option(
            "--grayscale",
            is_flag=True,
            help="Convert colour images by luminance for a model of grey images.",
        ),
    ]
    return with_options(command, options)


frequency_key_option = click.option(
    "--frequency-key", metavar="NAME", help="The array to take from DATA, an .npz file."
)


def frequency_options(command: _Command) -> _Command:
    """Add the options of where the activation frequency comes from."""
    options = [
        click.option(
            "--frequency-from",
            metavar="DATA",
            help="Training images (like IMAGES; of an .npz file x_train) over which to count how "
            "often each neuron is active, m/N, or the frequency.npz of earlier results. Without "
            "it every neuron weighs the same.",
        ),
        frequency_key_option,
    ]
    return with_options(command, options)


out_option = click.option("--out", metavar="DIR", required=True, help="The new folder to write to.")
first_option = click.option(
    "--first",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take only the first N images.",
)
channels_option = click.option(
    "--channels",
    type=click.Choice(heatmap.channel_rules),
    default="sum",
    show_default=True,
    help="What a heatmap shows of a pixel's colour channels: their sum, or the one of largest "
    "magnitude.",
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace earlier results of insens-tf in DIR."
)
