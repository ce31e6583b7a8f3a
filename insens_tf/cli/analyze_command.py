"""`insens-tf analyze`: Insens of images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
import numpy as np

from insens_tf import files
from insens_tf.cli.drawing import (
    ROWS_OF_AN_OVERVIEW,
    Column,
    Drawing,
    count_of_heatmaps,
    insens_columns,
)
from insens_tf.cli.insens_blocks import InsensBlocks
from insens_tf.cli.messages import CommandError, shows_progress
from insens_tf.cli.named_layers import chosen_layers
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    EngineOptions,
    FrequencyOptions,
    HeatmapOptions,
    ImageOptions,
    NetworkOptions,
    ResultOptions,
    examples,
    images_argument,
    layer_help,
    option,
    shared_options,
)
from insens_tf.cli.run_record import record_of
from insens_tf.progress import progress_bar

__all__ = ["analyze"]

# A block has few enough images that little is lost when the work is ended, maps that fit into
# memory several times, and whole overviews.
_IMAGES_OF_A_BLOCK = 100
_BYTES_OF_A_BLOCK = 64 * 2**20


@dataclass(frozen=True)
class _ImageOptions(ImageOptions):
    """How images are read, where they may be many."""

    bad_images: str = option(
        "--bad-images",
        type=click.Choice(["stop", "skip"]),
        default="stop",
        show_default=True,
        help="What to do about pictures that cannot be read: stop before any work, or leave them "
        "out, name them, and list them in run.json.",
    )

    @property
    def leave_out_bad(self) -> bool:
        """Whether pictures that cannot be read are left out."""
        return self.bad_images == "skip"


@click.command(
    short_help="Draw Insens of images.",
    epilog=examples(
        "analyze model.keras digits/ --layer dense --frequency-from train.npz --out maps",
        "analyze model.keras mnist.npz --first 9 --frequency-from mnist.npz --out maps",
        "analyze model.keras a.png b.png --frequency-from maps/frequency.npz --out more",
    ),
)
@shared_options(network_options=NetworkOptions)
@images_argument
@click.option(
    "--layer",
    "layer_texts",
    multiple=True,
    metavar="NAME|INDEX",
    help=f"{layer_help('A hidden layer')}; repeat it for several. Without it: every hidden layer.",
)
@shared_options(frequency_options=FrequencyOptions)
@click.option(
    "--state",
    type=click.Choice(["inactive", "active", "all"]),
    default="inactive",
    show_default=True,
    help="Which neurons are summed over.",
)
@click.option(
    "--sensitivity",
    type=click.Choice(["centre", "activity"]),
    default="centre",
    show_default=True,
    help="What is summed: x - c, or the activity times the switched weights.",
)
@shared_options(
    image_options=_ImageOptions,
    result_options=ResultOptions,
    heatmap_options=HeatmapOptions,
    engine_options=EngineOptions,
)
@click.option("--restart", is_flag=True, help="Begin anew where unfinished results are found.")
def analyze(
    network_options: NetworkOptions,
    images: tuple[str, ...],
    layer_texts: tuple[str, ...],
    frequency_options: FrequencyOptions,
    state: str,
    sensitivity: str,
    image_options: _ImageOptions,
    result_options: ResultOptions,
    heatmap_options: HeatmapOptions,
    engine_options: EngineOptions,
    restart: bool,
) -> None:
    """Draw Insens: what in each image keeps a layer's neurons inactive.

    Writes insens.npz, a heatmap for each image and layer (red: brighter keeps the state, blue:
    darker does, white: 0), and an overview beside the images. --scale, --resize and --grayscale
    hold for DATA too.

    What is done is kept in DIR.unfinished as it comes: ended at any moment, the same command
    continues, and the results are the same.
    """
    out, channels = result_options.out, heatmap_options.channels
    opening = Opening(network_options, images, image_options, frequency_options, layer_texts)
    record = record_of(
        "analyze",
        network_options,
        image_options,
        frequency_options,
        images=images,
        state=state,
        sensitivity=sensitivity,
    )
    files.check_resumable(out, replace=result_options.overwrite)
    files.check_writable(out)
    opening.read_files(drawn=True, earlier=None if restart else files.unfinished_folder(out))
    network = opening.load_network()
    layers = chosen_layers(network, layer_texts) or list(network.layers)
    if not layers:
        raise CommandError(
            f"model {network_options.model}: expected a hidden layer (one that a ReLU follows), "
            "found none, so that no neuron can be inactive"
        )
    names = [layer.name for layer in layers]
    record["layers"] = names
    inputs = opening.inputs_of(network.model)
    record["left_out"] = inputs.left_out
    settings = _settings({**record, "channels": channels})
    with files.resumable_results(
        out, record, settings, replace=result_options.overwrite, restart=restart
    ) as unfinished:
        (unfinished.folder / "heatmaps").mkdir(exist_ok=True)
        frequency = opening.frequency.of(unfinished.folder, network, layers)
        columns = insens_columns(network, layers)
        drawing = Drawing(unfinished.folder, inputs, channels)
        blocks = InsensBlocks(
            network_options.model,
            network_options.network_arguments(),
            inputs,
            names,
            frequency,
            state,
            sensitivity,
        )
        remaining = _blocks(unfinished, inputs, len(columns))
        alone = engine_options.jobs == 1 and engine_options.scheduler is None
        computed = (
            blocks.here(network, remaining)
            if alone
            else blocks.by_workers(engine_options, remaining)
        )
        for rows, omegas in _shown(computed, inputs, remaining):
            maps = {column.key: omegas[name] for name, column in columns.items()}
            drawing.write(rows, list(columns.values()), maps)
            unfinished.keep(rows, maps)
        _write_arrays(unfinished, inputs, columns.values(), network.dtype)
    click.echo(f"Wrote insens.npz, {count_of_heatmaps(inputs, columns)} and an overview to {out}.")


def _settings(record: Mapping[str, Any]) -> dict[str, str]:
    """Return what the results depend on; a later run with the same settings may continue."""
    model, images, frequency = (record[name] for name in ("model", "images", "frequency_from"))
    apart = ("program", "version", "model", "images", "frequency_from", "left_out")
    packages = ("numpy", "tensorflow", "keras")
    paths = files.check_image_paths(images)
    return {
        **{name: json.dumps(value) for name, value in record.items() if name not in apart},
        "insens_tf": record["version"],
        **{name: import_module(name).__version__ for name in packages},
        **files.fingerprints("model", model),
        **files.fingerprints("image", *paths),
        "the order of the images": files.order_fingerprint(paths),
        **(files.fingerprints("data", *files.check_image_paths([frequency])) if frequency else {}),
    }


def _blocks(
    unfinished: files.UnfinishedResults, inputs: files.ModelInputs, layers: int
) -> list[slice]:
    """Return the blocks that are not done, and say how many images are."""
    bytes_of_an_image = inputs[:1].nbytes * (1 + layers)
    overviews = min(_IMAGES_OF_A_BLOCK, _BYTES_OF_A_BLOCK // bytes_of_an_image)
    size = ROWS_OF_AN_OVERVIEW * max(1, overviews // ROWS_OF_AN_OVERVIEW)
    remaining = unfinished.remaining(len(inputs), size)
    done = len(inputs) - _images_of(remaining)
    if done:
        click.echo(f"Continuing: {done} of {len(inputs)} images were done before.")
    return remaining


def _images_of(blocks: Iterable[slice]) -> int:
    return sum(rows.stop - rows.start for rows in blocks)


def _shown(
    computed: Iterable[tuple[slice, Any]], inputs: files.ModelInputs, remaining: Sequence[slice]
) -> Iterator[tuple[slice, Any]]:
    """Go through blocks as they are computed, and show how many images are done."""
    with progress_bar(
        desc="Insens",
        unit="image",
        total=len(inputs),
        initial=len(inputs) - _images_of(remaining),
        shown=shows_progress(),
    ) as bar:
        for rows, omegas in computed:
            yield rows, omegas
            bar.update(rows.stop - rows.start)


def _write_arrays(
    unfinished: files.UnfinishedResults,
    inputs: files.ModelInputs,
    columns: Iterable[Column],
    dtype: np.dtype[Any],
) -> None:
    names = np.array(inputs.names)
    shape = (len(inputs), *inputs[:1].shape[1:])
    arrays = {
        "names": files.Parts(names.shape, names.dtype, [names]),
        "x": files.Parts(shape, np.float32, inputs.batches(_IMAGES_OF_A_BLOCK)),
    }
    for column in columns:
        arrays[column.key] = files.Parts(shape, dtype, unfinished.parts(column.key))
    files.write_npz(unfinished.folder / "insens.npz", arrays)
