"""`insens-tf project`: switched projections of single neurons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files, heatmap
from insens_tf.cli.drawing import Drawing, heatmap_name, short, write_heatmap, write_overviews
from insens_tf.cli.messages import said_in_one_line
from insens_tf.cli.options import (
    channels_option,
    examples,
    first_option,
    image_options,
    overwrite_option,
)
from insens_tf.cli.reading import (
    chosen_neurons,
    layer_name,
    neuron_text,
    read_inputs,
    read_network,
)
from insens_tf.cli.results import record_of, results_in

__all__ = ["project"]


@click.command(
    short_help="Give switched projections v = x w + b of neurons.",
    epilog=examples(
        "project model.keras seven.png --layer dense --neuron 3 --neuron 7",
        "project model.keras test.npz --first 5 --layer 1 --neuron 6,6,12 --out neurons",
        "project model.keras seven.png --layer logits --neuron all --out logits",
    ),
)
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--layer",
    required=True,
    metavar="NAME|INDEX",
    help="A hidden layer, by name or by index (see insens-tf layers), or the output layer by name.",
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
@click.option("--out", metavar="DIR", help="Write heatmaps and arrays to this new folder.")
@image_options
@first_option
@channels_option
@overwrite_option
def project(
    model: str,
    images: tuple[str, ...],
    layer: str,
    neurons: tuple[str, ...],
    out: str | None,
    channels: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Give the switched projection v = x w + b of single neurons.

    Prints each neuron's activity v and switched bias b. With --out also writes its switched
    weights w, its centre and its contributions: projection.npz, a heatmap of w and of the
    contributions each (red positive, blue negative, white 0), and an overview.
    """
    import tabulate

    model_path = files.check_model_path(model)
    files.check_image_paths(images)
    chosen = chosen_neurons(neurons)
    record = record_of("project", model, images, options, layer=layer, neurons=list(neurons))
    with results_in(out, record, overwrite) as folder:
        network = read_network(model_path)
        name = layer_name(network, layer)
        inputs = read_inputs(network.model, images, options)
        if folder is not None:
            inputs.as_pictures(inputs[:1])  # refused now, not after the work
        with said_in_one_line():
            projection = network.project(inputs[:], name, chosen)
        titles = [neuron_text(neuron) for neuron in projection.neurons]
        rows = [
            [
                inputs.names[i],
                titles[k],
                f"{projection.activity[i, k]:.6g}",
                f"{projection.bias[i, k]:.6g}",
                "active" if projection.activity[i, k] > 0 else "inactive",
            ]
            for i in range(len(inputs))
            for k in range(len(titles))
        ]
        headers = ["image", "neuron", "activity v", "switched bias b", "state"]
        aligned = ["left", "right", "right", "right", "left"]
        click.echo(tabulate.tabulate(rows, headers, colalign=aligned, disable_numparse=True))
        if folder is not None:
            _write_projection(folder, projection, name, titles, inputs, channels)
    if out is not None:
        click.echo(f"Wrote projection.npz, heatmaps and an overview to {out}.")


def _write_projection(
    folder: Path,
    projection: Any,
    layer: str,
    titles: Sequence[str],
    inputs: files.ModelInputs,
    channels: str,
) -> None:
    np.savez_compressed(
        folder / "projection.npz",
        layer=layer,
        names=np.array(inputs.names),
        neurons=projection.neurons,
        x=projection.x,
        activity=projection.activity,
        bias=projection.bias,
        weights=projection.weights,
        centre=projection.centre,
        contribution=projection.contribution,
    )
    drawn: dict[tuple[int, int, str], NDArray[np.uint8]] = {}
    for k, title in enumerate(titles):
        for quantity in ("weights", "contribution"):
            maps = inputs.as_pictures(getattr(projection, quantity)[:, k])
            for i, signed in enumerate(maps):
                # A neuron whose switched weights are all 0 has no centre and no contributions.
                if not np.isfinite(signed).all():
                    continue
                drawn[i, k, quantity] = heatmap.heatmap(signed[np.newaxis], channels)[0]
                name = heatmap_name(inputs, i, f"{layer}_{title.replace(',', '-')}_{quantity}")
                write_heatmap(folder / "heatmaps" / name, drawn[i, k, quantity])
    shown = Drawing(folder, inputs, channels).inputs(slice(None))
    rows = []
    row_titles = []
    cell_titles: list[list[str | None]] = []
    for i in range(len(inputs)):
        row: list[NDArray[np.uint8] | None] = [shown[i]]
        above: list[str | None] = [None]
        for k in range(len(titles)):
            row += [drawn.get((i, k, quantity)) for quantity in ("weights", "contribution")]
            activity, bias = projection.activity[i, k], projection.bias[i, k]
            above += [f"v = {activity:.3g}\nb = {bias:.3g}", None]
        rows.append(row)
        row_titles.append(short(inputs.names[i]))
        cell_titles.append(above)
    columns = ["input"]
    for title in titles:
        columns += [f"{layer} {title} weights", f"{layer} {title} contribution"]
    write_overviews(folder, rows, row_titles, columns, cell_titles)
