"""`insens-tf layers`: what each layer of a model was read as, and the proof of it."""

from __future__ import annotations

from typing import Any

import click

from insens_tf import files
from insens_tf.batches import BATCH_SIZE
from insens_tf.cli.frequency import frequency_over
from insens_tf.cli.messages import CommandError, in_command_line_words, said_in_one_line
from insens_tf.cli.named_layers import shape_text
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import ImageOptions, ModelOptions, examples, shared_options

__all__ = ["layers"]


@click.command(
    short_help="Say what each layer of a model was read as.",
    epilog=examples(
        "layers model.keras",
        "layers model.keras --data test.npz --key x_test --first 1000",
    ),
)
@shared_options(model_options=ModelOptions)
@click.option(
    "--data",
    metavar="IMAGES",
    help="Images on which to hold the model against the switched network, and over which to count "
    "how many of the neurons are active.",
)
@shared_options(image_options=ImageOptions)
def layers(model_options: ModelOptions, data: str | None, image_options: ImageOptions) -> None:
    """Say what each layer of MODEL was read as: a hidden layer, linear, refused ...

    The index of a hidden layer is what --layer of other commands takes in place of its name.

    And the proof: how much the model and the switched network differ at most, on random inputs and
    (with --data) on up to 256 images. With --data also the share of neurons that are active for an
    image, on average, and how many are active for none of the images (dead) or for all. Where a
    layer cannot be read, the reason and the way out; the exit code is 1.
    """
    opening = Opening(model_options, () if data is None else (data,), image_options)
    opening.read_files()
    model = opening.load_model()
    from insens_tf import SwitchedNetwork, UnreadableModelError, examine

    arguments = model_options.network_arguments()
    try:
        network = SwitchedNetwork(model, **arguments)
    except UnreadableModelError:
        with said_in_one_line():
            report = examine(model, **arguments)
        click.echo(in_command_line_words(report))
        names = ", ".join(layer.name for layer in report.refused)
        raise CommandError(
            f"model {model_options.model} cannot be read, for {names}: see above"
        ) from None
    inputs = None if data is None else opening.inputs_of(model)
    with said_in_one_line():
        click.echo(str(network.report(None if inputs is None else inputs[:BATCH_SIZE])))
    if inputs is not None:
        click.echo("\n" + _active_shares(network, inputs))


def _active_shares(network: Any, inputs: files.ModelInputs) -> str:
    """Return, as a table, the share of each hidden layer's neurons that are active."""
    import tabulate

    with said_in_one_line():
        frequency = frequency_over(network, inputs, None)
    dead, always = network.dead_neurons(frequency), network.always_active(frequency)
    rows = [
        [
            one.index,
            one.name,
            shape_text(one.shape),
            one.neurons,
            f"{frequency[one.name].mean():.1%}",
            len(dead[one.name]),
            len(always[one.name]),
        ]
        for one in network.layers
    ]
    neurons = sum(layer.neurons for layer in network.layers)
    if neurons:
        active = sum(int(count.sum()) for count in frequency.counts.values())
        share = f"{active / (frequency.samples * neurons):.1%}"
        counts = [sum(map(len, found.values())) for found in (dead, always)]
        rows.append(["", "all hidden layers", "", neurons, share, *counts])
    return tabulate.tabulate(
        rows,
        ["index", "hidden layer", "shape", "neurons", "active", "dead", "always active"],
        colalign=("right", "left", "left", "right", "right", "right", "right"),
        disable_numparse=True,
    )
