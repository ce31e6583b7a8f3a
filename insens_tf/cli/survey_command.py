"""`insens-tf survey`: what a network does over a whole data set, by workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from insens_tf import files
from insens_tf.cli.messages import (
    CommandError,
    import_tensorflow,
    said_in_one_line,
    shows_progress,
    sign_of_life,
    warnings_in_one_line,
)
from insens_tf.cli.named_layers import check_layers
from insens_tf.cli.options import (
    EngineOptions,
    ImageOptions,
    NetworkOptions,
    ResultOptions,
    examples,
    images_argument,
    layer_help,
    option,
    shared_options,
)

if TYPE_CHECKING:
    from insens_tf.surveys import Survey

__all__ = ["survey"]

_WHAT = ("frequency", "top", "margins", "insens")


@dataclass(frozen=True)
class _EngineOptions(EngineOptions):
    """How many shards are worked on at a time, and where."""

    jobs: int = option(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        default=2,
        show_default=True,
        help="How many processes work at a time, each with one thread, the model, and its own "
        "--memory-budget.",
    )


@click.command(
    short_help="Compute what a network does over a whole data set.",
    epilog=examples(
        "survey model.keras train.npz --key x_train --what frequency,top --out survey",
        "survey model.keras photos/ --resize --what margins --layer dense --jobs 8 --out survey",
    ),
)
@shared_options(network_options=NetworkOptions)
@images_argument
@click.option(
    "--what",
    "what_texts",
    multiple=True,
    metavar="NAME,...",
    help=f"Some of {', '.join(_WHAT)}, separated by commas or by repeating the option: how often "
    "each neuron is active, which images drive each channel most, how far neurons are from where "
    "they switch, the maps of Insens. Without it: all four.",
)
@click.option(
    "--layer",
    "layer_texts",
    multiple=True,
    metavar="NAME|INDEX",
    help=f"{layer_help('A hidden layer')}; repeat it for several. Without it: every hidden layer.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    default=9,
    show_default=True,
    help="How many of the images that drive a channel most are kept.",
)
@click.option(
    "--shard",
    type=click.IntRange(min=1),
    metavar="N",
    default=512,
    show_default=True,
    help="How many images a worker computes and writes at a time.",
)
@shared_options(
    image_options=ImageOptions, result_options=ResultOptions, engine_options=_EngineOptions
)
@click.option("--restart", is_flag=True, help="Begin anew where unfinished results are found.")
def survey(
    network_options: NetworkOptions,
    images: tuple[str, ...],
    what_texts: tuple[str, ...],
    layer_texts: tuple[str, ...],
    top: int,
    shard: int,
    image_options: ImageOptions,
    result_options: ResultOptions,
    engine_options: _EngineOptions,
    restart: bool,
) -> None:
    """Compute what a network does over a whole data set, over processes or a Dask cluster.

    IMAGES may also be one HDF5 file (.h5, --key names the data set). Prints a table of the hidden
    layers; what DIR holds is opened by insens_tf.Survey.open: tables, images by channel, maps.
    Insens is weighted with the activation frequency over these images if that is among --what.

    What is done is kept in DIR.unfinished as it comes: ended at any moment, the same command
    continues, and the results are the same, whatever the number of workers.
    """
    what = [one.strip() for text in what_texts for one in text.split(",")] or list(_WHAT)
    for one in what:
        if one not in _WHAT:
            raise CommandError(f"--what {one or repr(one)}: expected some of {', '.join(_WHAT)}")
    stored = files.stored_model(network_options.model)
    check_layers(stored, layer_texts)
    if not images[0].lower().endswith((".h5", ".hdf5")):
        files.check_image_paths(images)
    files.check_resumable(result_options.out, replace=result_options.overwrite)
    files.check_writable(result_options.out)
    with sign_of_life("Loading TensorFlow and the model"):
        import_tensorflow()
    from insens_tf.parallel import LostWorkerError
    from insens_tf.surveys import survey as surveyed

    layers = [int(text) if text.lstrip("-").isdigit() else text for text in layer_texts]
    try:
        with said_in_one_line("give a smaller --shard"), warnings_in_one_line():
            found = surveyed(
                network_options.model,
                list(images),
                result_options.out,
                what,
                engine_options.jobs,
                engine_options.scheduler,
                layers=layers or None,
                top=top,
                shard=shard,
                key=image_options.key,
                first=image_options.first,
                scale=image_options.scale,
                resize=image_options.resize,
                grayscale=image_options.grayscale,
                overwrite=result_options.overwrite,
                restart=restart,
                progress=shows_progress(),
                **network_options.network_arguments(),
            )
    except (LostWorkerError, ModuleNotFoundError) as error:
        raise CommandError(str(error)) from error
    click.echo(_table(found))
    click.echo(f"Wrote the survey of {len(found):,} images to {result_options.out}.")


def _table(found: Survey) -> str:
    """Return what is known of each hidden layer, as a table."""
    import tabulate

    columns: dict[str, list[object]] = {
        "hidden layer": [layer.name for layer in found.layers],
        "neurons": [layer.neurons for layer in found.layers],
    }
    if "frequency" in found.what:
        frequency = found.frequency
        columns["active"] = [f"{frequency[layer.name].mean():.1%}" for layer in found.layers]
        columns["dead"] = [len(one) for one in found.dead().values()]
        columns["always active"] = [len(one) for one in found.always_active().values()]
    if "margins" in found.what:
        columns["median margin"] = [
            f"{found.margins[layer.name].quantile(0.5):.3g}" for layer in found.layers
        ]
    return tabulate.tabulate(
        columns,
        "keys",
        colalign=["left", *["right"] * (len(columns) - 1)],
        disable_numparse=True,
    )
