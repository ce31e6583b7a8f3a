"""The activation frequency that Insens is weighted with: counted over data or read."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from insens_tf import files
from insens_tf.cli.messages import shows_progress
from insens_tf.cli.reading import read_inputs

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = [
    "check_frequency_options",
    "frequency_of",
    "frequency_over",
    "holds_a_frequency",
    "read_training_inputs",
]

_BATCH = 256


def check_frequency_options(path: str | None, key: str | None) -> None:
    """Refuse paths that cannot be data, before TensorFlow is imported."""
    if path is not None:
        files.check_image_paths([path])
    elif key is not None:
        raise click.UsageError(
            "--frequency-key names an array of --frequency-from, which is missing"
        )


def frequency_of(
    folder: Path,
    network: SwitchedNetwork,
    names: Sequence[str],
    source: tuple[str | None, str | None],
    options: dict[str, Any],
) -> Any:
    """Give the frequency of some layers, or None, and keep it in a folder of results.

    What earlier work has left in the folder is read again.
    """
    from insens_tf.activation_frequency import ActivationFrequency

    path, key = source
    kept = folder / "frequency.npz"
    if path is None:
        click.echo("No --frequency-from: every neuron weighs the same.")
        return None
    if kept.is_file():
        frequency = ActivationFrequency.load(kept)
        click.echo(f"The activation frequency over {frequency.samples} samples was known already.")
        return frequency
    if key is None and holds_a_frequency(Path(path)):
        frequency = ActivationFrequency.load(path)
        network.plan(None, list(names), frequency)  # refused now, before it is kept
        click.echo(f"Read the activation frequency over {frequency.samples} samples from {path}.")
    else:
        inputs = read_training_inputs(network.model, path, key, options)
        frequency = frequency_over(network, inputs, names)
    frequency.save(kept)
    return frequency


def read_training_inputs(
    model: Any, path: str, key: str | None, options: dict[str, Any]
) -> files.ModelInputs:
    """Read the data of --frequency-from: all of it, and as the images are read otherwise."""
    data = {**options, "key": key, "first": None}
    return read_inputs(model, [path], data, usual_keys=("x_train", "x"))


def holds_a_frequency(path: Path) -> bool:
    """Tell whether a file is a frequency that earlier work has counted, rather than data."""
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return "samples.npy" in names and any(name.startswith("counts/") for name in names)


def frequency_over(
    network: SwitchedNetwork, inputs: files.ModelInputs, names: Sequence[str] | None
) -> Any:
    """Count how often the neurons of some layers, or of all, are active."""
    # Batch by batch, so that the data never stands in memory as floating numbers.
    return network.activation_frequency(
        inputs.batches(_BATCH),
        None if names is None else list(names),
        steps=-(-len(inputs) // _BATCH),
        progress=shows_progress(),
    )
