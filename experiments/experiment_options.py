"""The options that every experiment has, and the command line that makes its results again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from experiments.two_conv_settings import SETTINGS, Settings
from insens_tf.parallel import BACKENDS

__all__ = ["Given", "command_line", "networks_and_images", "shared_options"]

_CHANGEABLE = [one.name for one in fields(Settings) if one.name not in ("input_shape", "classes")]
# Options that results do not depend on: places, and how the command is run.
_NOT_DECISIVE = [
    "data",
    "networks",
    "out",
    "jobs",
    "backend",
    "scheduler",
    "overwrite",
    "restart",
    "redraw",
]

_FOLDER = click.Path(file_okay=False, path_type=Path)


def networks_and_images() -> tuple[click.Option, ...]:
    """Return the options of an experiment on several networks and test images drawn at random."""
    return (
        click.Option(
            ["--count"],
            default=1,
            show_default=True,
            type=click.IntRange(min=1),
            help="Number of networks of each data set.",
        ),
        click.Option(
            ["--images"],
            default=100,
            show_default=True,
            type=click.IntRange(min=1),
            help="Test images of each data set, drawn at random.",
        ),
    )


@dataclass(frozen=True)
class Given:
    """What a command was given by the options that every experiment has.

    Attributes
    ----------
    data, networks, out
        Folders of the data sets, of the trained networks and of the results.
    chosen
        Names of data sets; none: the experiment's own.
    seed, changes, quick
        As :class:`Run` has them, but for the experiment's own settings.
    jobs, backend, scheduler
        As :class:`insens_tf.parallel.Engine` has them.
    overwrite, restart
        Whether to replace earlier results, and to begin anew where work is unfinished.
    """

    data: Path
    chosen: tuple[str, ...]
    networks: Path
    out: Path
    seed: int
    changes: Mapping[str, Any]
    jobs: int
    backend: str
    scheduler: str | None
    quick: bool
    overwrite: bool
    restart: bool


def shared_options(name: str, datasets: Sequence[str]) -> list[click.Option]:
    """Return the options that every experiment has, of which :class:`Given` holds the values.

    Those that are about data sets are hidden where an experiment has none.
    """
    return [
        click.Option(
            ["--data"],
            default=Path("data"),
            show_default=True,
            type=_FOLDER,
            hidden=not datasets,
        ),
        click.Option(
            ["--dataset", "chosen"],
            multiple=True,
            hidden=not datasets,
            type=click.Choice(list(SETTINGS)),
            help="A data set of the data folder; repeat it for several.  [default: "
            f"{', '.join(one.replace('|', ' or ') for one in datasets)}]",
        ),
        click.Option(
            ["--networks"],
            default=Path("networks"),
            show_default=True,
            type=_FOLDER,
            hidden=not datasets,
            help="Folder of trained networks; what is missing is trained and kept there.",
        ),
        click.Option(["--out"], default=Path("results") / name, show_default=True, type=_FOLDER),
        click.Option(["--seed"], default=0, show_default=True, type=click.IntRange(0, 2**31 - 1)),
        click.Option(
            ["--setting", "changes"],
            multiple=True,
            metavar="NAME=VALUE",
            callback=_changes,
            hidden=not datasets,
            help="Setting of building and training 2CONV, instead of the data set's own: one of "
            f"{', '.join(_CHANGEABLE)}. VALUE is JSON, as in filters=[16,32].",
        ),
        click.Option(
            ["--jobs"],
            default=1,
            show_default=True,
            type=click.IntRange(min=1),
            help="How many networks are worked on at the same time.",
        ),
        click.Option(["--backend"], default=BACKENDS[0], type=click.Choice(BACKENDS)),
        click.Option(
            ["--scheduler"],
            help="Address of a running Dask cluster; without it a local one is started.",
        ),
        click.Option(["--quick"], is_flag=True, help="Try it on the shipped sample, in a minute."),
        click.Option(["--overwrite"], is_flag=True, help="Replace earlier results in --out."),
        click.Option(["--restart"], is_flag=True, help="Begin anew where work is unfinished."),
        click.Option(
            ["--redraw"],
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Only draw the pictures again, from the numbers in this folder.",
        ),
    ]


def _changes(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, Any]:
    """Turn NAME=VALUE into changes of the settings."""
    changes: dict[str, Any] = {}
    for value in values:
        setting, _, text = value.partition("=")
        if setting not in _CHANGEABLE:
            raise click.BadParameter(f"{value!r}: expected one of {', '.join(_CHANGEABLE)}")
        try:
            found = json.loads(text)
        except ValueError as error:
            raise click.BadParameter(
                f"{value!r}: expected JSON after =, as in units=512"
            ) from error
        changes[setting] = tuple(found) if isinstance(found, list) else found
    return changes


def command_line(name: str) -> str:
    """Return the command as it was called, without where things are and how they are run."""
    context = click.get_current_context()
    words = ["python", "-m", f"experiments.{name}"]
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if parameter.name in _NOT_DECISIVE or source is not ParameterSource.COMMANDLINE:
            continue
        option, value = parameter.opts[0], context.params[str(parameter.name)]
        if value is True:
            words.append(option)
        elif isinstance(value, dict):
            for key, one in value.items():
                words += [option, f"{key}={json.dumps(one)}"]
        else:
            for one in value if isinstance(value, tuple) else (value,):
                words += [option, str(one)]
    return shlex.join(words)
