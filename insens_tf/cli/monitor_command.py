"""`insens-tf monitor`: what training did to a network's state, from saved checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from insens_tf import files
from insens_tf.cli.messages import (
    CommandError,
    said_in_one_line,
    shows_progress,
    warnings_in_one_line,
)
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    ImageOptions,
    NetworkOptions,
    OptionalResultOptions,
    argument,
    examples,
    shared_options,
)
from insens_tf.cli.run_record import record_of, results_in
from insens_tf.progress import progress_bar

if TYPE_CHECKING:
    from insens_tf.monitoring import StateMeasurement

__all__ = ["monitor"]

_COLUMNS = ("active", "dead", "always active", "changed", "median margin")


@dataclass(frozen=True)
class _CheckpointOptions(NetworkOptions):
    """The checkpoints, and how they are read."""

    model: str = argument(metavar="CHECKPOINTS")


@click.command(
    short_help="Follow a network's state through saved checkpoints.",
    epilog=examples(
        "monitor checkpoints/ --data test.npz --first 1000",
        "monitor checkpoints/ --data test.npz --margins 0 --out states",
    ),
)
@shared_options(network_options=_CheckpointOptions)
@click.option(
    "--data",
    metavar="IMAGES",
    required=True,
    help="Images over which to measure the state, the same for every checkpoint.",
)
@click.option(
    "--margins",
    "margin_inputs",
    type=click.IntRange(min=0),
    metavar="N",
    default=16,
    show_default=True,
    help="Of how many images, the first ones, margins are computed, which take most of the time.",
)
@shared_options(image_options=ImageOptions, result_options=OptionalResultOptions)
def monitor(
    network_options: _CheckpointOptions,
    data: str,
    margin_inputs: int,
    image_options: ImageOptions,
    result_options: OptionalResultOptions,
) -> None:
    """Follow a network's state through its training: a line for each checkpoint and hidden layer.

    CHECKPOINTS is a folder of models that were saved during one training, taken in the natural
    order of their names (epoch_2 before epoch_10). Prints the share of neurons that are active for
    an image, on average; how many are active for no image (dead), and for all; the share whose
    state is another one than at the checkpoint before; and the median distance, in the input, to
    where a neuron switches. With --out also writes states.csv, dead_since.npz (of each neuron since
    which checkpoint it is dead, counted from 0; -1 where it is not) and states.png with the curves.
    """
    checkpoints = _checkpoints_in(Path(network_options.model))
    first = replace(network_options, model=str(checkpoints[0]))
    opening = Opening(first, (data,), image_options)
    record = record_of(
        "monitor", network_options, image_options, data=data, margin_inputs=margin_inputs
    )
    record["checkpoints"] = [path.name for path in checkpoints]
    with results_in(result_options, record, heatmaps=False) as folder:
        opening.read_files()
        measured = _measured(network_options, checkpoints, opening, image_options, margin_inputs)
        names = [path.stem for path in checkpoints]
        click.echo("\n" + _table(measured, names))
        if folder is not None:
            _write(folder, measured, names)
    if result_options.out is not None:
        click.echo(f"Wrote states.csv, dead_since.npz and states.png to {result_options.out}.")


def _checkpoints_in(folder: Path) -> list[Path]:
    """Return the models in a folder, in the natural order of their names."""
    if not folder.is_dir() or (folder / "saved_model.pb").is_file():
        raise CommandError(
            f"checkpoints {folder}: expected a folder with the models that were saved during a "
            f"training, found {'one model' if folder.exists() else 'nothing'}"
        )
    found = [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".")
        and (path.suffix in (".keras", ".h5", ".hdf5") or (path / "saved_model.pb").is_file())
    ]
    if not found:
        raise CommandError(
            f"checkpoints {folder}: expected models (.keras or .h5 files, or SavedModel folders), "
            "found none; ModelCheckpoint('epoch_{epoch}.keras') saves one after each epoch"
        )
    return sorted(found, key=lambda path: files.natural_order(path.name))


def _measured(
    options: _CheckpointOptions,
    checkpoints: Sequence[Path],
    opening: Opening,
    image_options: ImageOptions,
    margin_inputs: int,
) -> list[StateMeasurement]:
    measured: list[StateMeasurement] = []
    bar = progress_bar(checkpoints, shown=shows_progress(), desc="states", unit="checkpoint")
    for step, path in enumerate(bar):
        here = replace(options, model=str(path))
        network = (opening if step == 0 else Opening(here, (), image_options)).load_network()
        from insens_tf.monitoring import StateWatch

        with warnings_in_one_line():
            try:
                if step == 0:
                    inputs = opening.inputs_of(network.model)
                    with said_in_one_line():
                        watch = StateWatch(inputs[:], margin_inputs=margin_inputs)
                with said_in_one_line("take fewer images with --first"):
                    measured.append(watch.measure(network, step))
            except CommandError as error:
                raise CommandError(f"checkpoint {path}: {error.message}") from error
    return measured


def _table(measured: Sequence[StateMeasurement], names: Sequence[str]) -> str:
    import tabulate

    rows = [
        [
            name if number == 0 else "",
            state.layer,
            state.neurons,
            f"{state.active:.1%}",
            state.dead,
            state.always_active,
            "" if state.changed != state.changed else f"{state.changed:.2%}",
            "" if state.margin != state.margin else f"{state.margin:.4g}",
        ]
        for name, one in zip(names, measured, strict=True)
        for number, state in enumerate(one.layers)
    ]
    return tabulate.tabulate(
        rows,
        ["checkpoint", "hidden layer", "neurons", *_COLUMNS],
        colalign=["left", "left", *["right"] * 6],
        disable_numparse=True,
    )


def _write(folder: Path, measured: Sequence[StateMeasurement], names: Sequence[str]) -> None:
    import numpy as np

    from insens_tf.monitoring import LayerState, draw_states

    files.write_csv(
        folder / "states.csv",
        ("checkpoint", *LayerState._fields),
        ((name, *state) for name, one in zip(names, measured, strict=True) for state in one.layers),
    )
    since = {f"dead_since/{name}": steps for name, steps in measured[-1].dead_since.items()}
    np.savez_compressed(folder / "dead_since.npz", **since)
    draw_states(measured, "checkpoint", names).savefig(folder / "states.png")
