"""`insens-tf project`: switched projections of single neurons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files, heatmap
from insens_tf.cli.drawing import (
    Drawing,
    heatmap_name,
    part_of_a_file_name,
    short,
    write_heatmap,
    write_overviews,
)
from insens_tf.cli.messages import CommandError, said_in_one_line
from insens_tf.cli.named_layers import (
    check_neurons,
    chosen_layer,
    chosen_neurons,
    neuron_text,
)
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    HeatmapOptions,
    ImageOptions,
    NetworkOptions,
    OptionalResultOptions,
    examples,
    images_argument,
    layer_help,
    shared_options,
)
from insens_tf.cli.run_record import record_of, results_in
from insens_tf.neuron_pictures import NeuronPicture, neuron_pictures

__all__ = ["project"]

# More heatmaps than these are neither drawn in a short time nor looked at.
_MOST_HEATMAPS = 1000
_MOST_BYTES = 512 * 2**20
_QUANTITIES = ("weights", "contribution")


@click.command(
    short_help="Give switched projections v = x w + b of neurons.",
    epilog=examples(
        "project model.keras seven.png --layer dense --neuron 3 --neuron 7",
        "project model.keras test.npz --first 5 --layer conv_2 --neuron 6,6,12 --out neurons",
        "project model.keras seven.png --layer logits --neuron all --out logits",
    ),
)
@shared_options(network_options=NetworkOptions)
@images_argument
@click.option(
    "--layer",
    required=True,
    metavar="NAME|INDEX",
    help=f"{layer_help('A hidden layer')}; or the output layer, by name.",
)
@click.option(
    "--neuron",
    "neurons",
    required=True,
    multiple=True,
    metavar="I|R,C,K",
    help="A neuron: its flat index, or its indices along the layer's axes (row,column,channel); "
    "repeat it for several, or say all.",
)
@shared_options(
    image_options=ImageOptions,
    result_options=OptionalResultOptions,
    heatmap_options=HeatmapOptions,
)
def project(
    network_options: NetworkOptions,
    images: tuple[str, ...],
    layer: str,
    neurons: tuple[str, ...],
    image_options: ImageOptions,
    result_options: OptionalResultOptions,
    heatmap_options: HeatmapOptions,
) -> None:
    """Give the switched projection v = x w + b of single neurons.

    Prints each neuron's activity v and switched bias b. With --out also writes its switched
    weights w, its centre and its contributions: projection.npz, a heatmap of w and of the
    contributions each (red positive, blue negative, white 0), and an overview, in which what a
    convolutional neuron sees is outlined and zoomed; no pictures where there would be more than
    1000 heatmaps.
    """
    opening = Opening(network_options, images, image_options, layer_texts=[layer])
    chosen = chosen_neurons(neurons)
    if (shape := opening.stored.layers.get(layer)) is not None:
        check_neurons(chosen, layer, shape)
    record = record_of(
        "project",
        network_options,
        image_options,
        images=images,
        layer=layer,
        neurons=neurons,
    )
    with results_in(result_options, record) as folder:
        opening.read_files(drawn=folder is not None)
        network = opening.load_network()
        found = chosen_layer(network, layer, output=True)
        check_neurons(chosen, found.name, found.shape)
        inputs = opening.inputs_of(network.model)
        count = found.neurons if chosen is None else len(chosen)
        fewer = f"name fewer neurons{' or take fewer images with --first' * (len(inputs) > 1)}"
        if folder is None:
            with said_in_one_line(fewer):
                parts = network.iterate_projections(inputs[:], found.name, chosen)
                click.echo(_table(list(map(_numbers, parts)), inputs))
            return
        _check_size(count, inputs, fewer)
        with said_in_one_line(fewer):
            projection = network.project(inputs[:], found.name, chosen)
        click.echo(_table([_numbers(projection)], inputs))
        _write_arrays(folder, projection, inputs)
        heatmaps = len(_QUANTITIES) * count * len(inputs)
        are_drawn = heatmaps <= _MOST_HEATMAPS
        if are_drawn:
            _draw(folder, projection, inputs, heatmap_options.channels)
        else:
            (folder / "heatmaps").rmdir()
    if are_drawn:
        click.echo(f"Wrote projection.npz, heatmaps and an overview to {result_options.out}.")
    else:
        click.echo(
            f"Wrote projection.npz to {result_options.out}, and no pictures, as {heatmaps:,} "
            f"heatmaps are more than {_MOST_HEATMAPS:,}; to see some, {fewer}."
        )


class _Numbers(NamedTuple):
    """The printed part of a projection: its inputs and neurons, v and b."""

    rows: slice
    neurons: NDArray[np.int64]
    activity: NDArray[Any]
    bias: NDArray[Any]


def _numbers(projection: Any) -> _Numbers:
    return _Numbers(projection.rows, projection.neurons, projection.activity, projection.bias)


def _table(parts: Sequence[_Numbers], inputs: files.ModelInputs) -> str:
    """Lay out the activities and biases of parts: some inputs' neurons, then the next inputs'."""
    import tabulate

    blocks: dict[int, list[_Numbers]] = {}
    for part in parts:
        blocks.setdefault(part.rows.start, []).append(part)
    rows = [
        [
            inputs.names[start + i],
            neuron_text(neuron),
            f"{activity:.6g}",
            f"{bias:.6g}",
            "active" if activity > 0 else "inactive",
        ]
        for start, block in blocks.items()
        for i in range(len(block[0].activity))
        for part in block
        for neuron, activity, bias in zip(part.neurons, part.activity[i], part.bias[i], strict=True)
    ]
    return tabulate.tabulate(
        rows,
        ["image", "neuron", "activity v", "switched bias b", "state"],
        colalign=["left", "right", "right", "right", "left"],
        disable_numparse=True,
    )


def _check_size(neurons: int, inputs: files.ModelInputs, way_out: str) -> None:
    """Refuse weights, centres and contributions that take too much memory."""
    size = 3 * neurons * inputs[:1].nbytes * len(inputs)
    if size > _MOST_BYTES:
        raise CommandError(
            f"the arrays of {neurons:,} neurons and {len(inputs):,} images take "
            f"{size / 2**20:,.0f} MiB, more than {_MOST_BYTES // 2**20} MiB; {way_out}"
        )


def _write_arrays(folder: Path, projection: Any, inputs: files.ModelInputs) -> None:
    np.savez_compressed(
        folder / "projection.npz",
        layer=projection.layer.name,
        names=np.array(inputs.names),
        neurons=projection.neurons,
        x=projection.x,
        activity=projection.activity,
        bias=projection.bias,
        weights=projection.weights,
        centre=projection.centre,
        contribution=projection.contribution,
    )


def _draw(folder: Path, projection: Any, inputs: files.ModelInputs, channels: str) -> None:
    """Write heatmaps, and an overview with a row an image and neuron."""
    layer = projection.layer.name
    titles = [neuron_text(neuron) for neuron in projection.neurons]
    shown = Drawing(folder, inputs, channels).inputs(slice(None))
    rows: list[list[NeuronPicture]] = []
    row_titles = []
    for i, k in np.ndindex(projection.activity.shape):
        drawn: dict[str, NDArray[np.uint8] | None] = {}
        for quantity in _QUANTITIES:
            signed = inputs.as_pictures(getattr(projection, quantity)[i, k : k + 1])
            drawn[quantity] = None
            # A neuron whose switched weights are all 0 has no centre and no contributions.
            if np.isfinite(signed).all():
                drawn[quantity] = rgb = heatmap.heatmap(signed, channels)[0]
                what = f"{part_of_a_file_name(layer)}_{titles[k].replace(',', '-')}_{quantity}"
                path = folder / "heatmaps" / heatmap_name(inputs, i, what)
                write_heatmap(path, rgb)
        rows.append(neuron_pictures(shown[i], drawn, projection.seen(k)))
        v, b = projection.activity[i, k], projection.bias[i, k]
        name = f"{short(inputs.names[i])}\n{short(layer)} {titles[k]}"
        row_titles.append(f"{name}\nv = {v:.3g}, b = {b:.3g}")
    write_overviews(
        folder,
        [[one.rgb for one in row] for row in rows],
        row_titles,
        [one.title for one in rows[0]],
        outlined=[[one.outlined for one in row] for row in rows],
    )
