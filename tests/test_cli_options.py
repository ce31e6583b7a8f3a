"""Groups of options: declared once, handed to a command as one frozen object, and recorded."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import click
import pytest
from click.testing import CliRunner

from insens_tf.cli import command_line
from insens_tf.cli.options import (
    EngineOptions,
    FrequencyOptions,
    HeatmapOptions,
    ImageOptions,
    ModelOptions,
    NetworkOptions,
    OptionalResultOptions,
    PictureOptions,
    ResultOptions,
    option,
    shared_options,
)
from insens_tf.cli.run_record import record_of

COMMANDS: dict[str, list[type[Any]]] = {
    "layers": [ModelOptions, ImageOptions],
    "project": [NetworkOptions, ImageOptions, OptionalResultOptions, HeatmapOptions],
    "analyze": [
        *(NetworkOptions, FrequencyOptions, ImageOptions, ResultOptions, HeatmapOptions),
        EngineOptions,
    ],
    "survey": [NetworkOptions, ImageOptions, ResultOptions, EngineOptions],
    "compare": [NetworkOptions, FrequencyOptions, ImageOptions, ResultOptions, HeatmapOptions],
    "explore": [NetworkOptions, FrequencyOptions, ImageOptions],
    "margins": [NetworkOptions, ImageOptions, OptionalResultOptions],
    "path": [NetworkOptions, PictureOptions, OptionalResultOptions, HeatmapOptions],
    "monitor": [NetworkOptions, ImageOptions, OptionalResultOptions],
    "sanity": [NetworkOptions, FrequencyOptions, ImageOptions, ResultOptions],
}


@dataclass(frozen=True)
class Colours:
    """A group."""

    sky: str = option("--sky", default="blue")
    is_bright: bool = option("--bright", is_flag=True)


@dataclass(frozen=True)
class MoreColours(Colours):
    """A group that has another group's options, one of them with other words, and its own."""

    sky: str = option("--sky", default="grey", help="At dusk.")
    grass: int | None = option("--grass", type=int)


def test_a_command_is_handed_one_frozen_object_for_each_group() -> None:
    found: list[Any] = []

    @click.command()
    @shared_options(colours=MoreColours)
    @click.option("--other")
    def command(colours: MoreColours, other: str | None) -> None:
        found.append((colours, other))

    runner = CliRunner()
    assert runner.invoke(command, ["--bright", "--grass", "3"]).exit_code == 0
    assert runner.invoke(command, ["--other", "one", "--sky", "red"]).exit_code == 0
    assert found == [
        (MoreColours(sky="grey", is_bright=True, grass=3), None),
        (MoreColours(sky="red", is_bright=False, grass=None), "one"),
    ]
    with pytest.raises(FrozenInstanceError):
        found[0][0].sky = "green"
    assert [one.name for one in command.params] == ["sky", "is_bright", "grass", "other"]
    record = record_of("paint", found[0][0], size=2)
    assert record.items() >= {"sky": "grey", "is_bright": True, "grass": 3, "size": 2}.items()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_all_options_of_its_groups(name: str) -> None:
    """A new option of a group reaches every command that has the group."""
    options = {one.name for one in command_line.commands[name].params}
    for group in COMMANDS[name]:
        assert options >= {one.name for one in fields(group)}
