"""The activation frequency that Insens is weighted with: counted over data or read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from insens_tf import files
from insens_tf.batches import BATCH_SIZE
from insens_tf.cli.given_inputs import GivenInputs
from insens_tf.cli.messages import CommandError, said_in_one_line, shows_progress
from insens_tf.cli.named_layers import shape_text
from insens_tf.cli.options import FrequencyOptions, ImageOptions
from insens_tf.files.file_errors import reading

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork

__all__ = [
    "GivenFrequency",
    "check_frequency_options",
    "frequency_over",
    "holds_a_frequency",
]

_KEPT = "frequency.npz"


def check_frequency_options(options: FrequencyOptions) -> None:
    """Refuse paths that cannot be data."""
    if options.frequency_from is not None:
        files.check_image_paths([options.frequency_from])
    elif options.frequency_key is not None:
        raise click.UsageError(
            "--frequency-key names an array of --frequency-from, which is missing"
        )


class GivenFrequency:
    """The file that --frequency-from names, read before TensorFlow is loaded.

    Parameters
    ----------
    model : StoredModel
    options : FrequencyOptions
    image_options : ImageOptions
        The training images are read as the images are, but all of them.
    layer_texts : sequence of str
        The layers that are asked for, by name or index; none: others are.
    earlier : pathlib.Path, optional
        A folder of earlier work that goes on, which may have the frequency already.

    Attributes
    ----------
    training_images : GivenInputs or None
        The data to count over; None where there is nothing to count.
    """

    def __init__(
        self,
        model: files.StoredModel,
        options: FrequencyOptions,
        image_options: ImageOptions,
        layer_texts: Sequence[str],
        earlier: Path | None = None,
    ) -> None:
        self._path = path = options.frequency_from
        self.training_images: GivenInputs | None = None
        if path is None or (earlier is not None and (earlier / _KEPT).is_file()):
            return
        if options.frequency_key is None and holds_a_frequency(Path(path)):
            with reading(Path(path), "activation frequency"):
                arrays = files.read_npz(path)  # a damaged one is refused now
            counted = [name.partition("/")[2] for name in arrays if name.startswith("counts/")]
            # It is not known yet which layers other names mean.
            _check_layers(counted, [one for one in layer_texts if one in model.with_relu], path)
        else:
            of_data = replace(image_options, key=options.frequency_key, first=None)
            self.training_images = GivenInputs(model, [path], of_data, ("x_train", "x"))

    def of(
        self, folder: Path | None, network: SwitchedNetwork, layers: Sequence[HiddenLayer]
    ) -> Any:
        """Give the frequency of some layers, or None, and keep it in a folder of results if any.

        A frequency that earlier work has left in the folder is read again.
        """
        from insens_tf.activation_frequency import ActivationFrequency

        if self._path is None:
            click.echo("No --frequency-from: every neuron weighs the same.")
            return None
        kept = None if folder is None else folder / _KEPT
        if kept is not None and kept.is_file():
            with said_in_one_line():
                frequency = ActivationFrequency.load(kept)
            samples = frequency.samples
            click.echo(f"The activation frequency over {samples} samples was known already.")
            return frequency
        if self.training_images is None:
            with said_in_one_line():
                frequency = ActivationFrequency.load(self._path)
            _check_frequency(frequency, layers, self._path)
            click.echo(
                f"Read the activation frequency over {frequency.samples} samples from {self._path}."
            )
        else:
            with said_in_one_line():
                inputs = self.training_images.of(network.model)
                frequency = frequency_over(network, inputs, layers)
        if kept is not None:
            frequency.save(kept)
        return frequency


def holds_a_frequency(path: Path) -> bool:
    """Tell whether a file is a frequency that earlier work has counted, rather than data."""
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return "samples.npy" in names and any(name.startswith("counts/") for name in names)


def _check_frequency(frequency: Any, layers: Sequence[HiddenLayer], path: str) -> None:
    """Refuse the frequency of other layers, or of another network's."""
    _check_layers(frequency, [layer.name for layer in layers], path)
    for layer in layers:
        shape = frequency.counts[layer.name].shape
        if shape != layer.shape:
            raise CommandError(
                f"--frequency-from {path} was counted on another network: its layer {layer.name} "
                f"has {shape_text(shape)} neurons, and that of this model has "
                f"{shape_text(layer.shape)}; give the training images to count it anew"
            )


def _check_layers(counted: Iterable[str], wanted: Sequence[str], path: str) -> None:
    there_are = list(counted)
    missing = [name for name in wanted if name not in there_are]
    if missing:
        raise CommandError(
            f"--frequency-from {path} has the frequency of {', '.join(there_are)}, not of "
            f"{', '.join(missing)}; choose with --layer what it has, or give the training images "
            "to count it anew"
        )


def frequency_over(
    network: SwitchedNetwork, inputs: files.ModelInputs, layers: Sequence[HiddenLayer] | None
) -> Any:
    """Count how often the neurons of some layers, or of all, are active."""
    # Batch by batch, so that the data never stands in memory as floating numbers.
    return network.activation_frequency(
        inputs.batches(BATCH_SIZE),
        None if layers is None else [layer.name for layer in layers],
        steps=-(-len(inputs) // BATCH_SIZE),
        progress=shows_progress(),
    )
