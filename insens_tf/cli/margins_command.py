"""`insens-tf margins`: how far images are from where a network's state changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.cli.messages import (
    CommandError,
    said_in_one_line,
    shows_progress,
    warnings_in_one_line,
)
from insens_tf.cli.named_layers import neuron_text
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    ImageOptions,
    NetworkOptions,
    OptionalResultOptions,
    examples,
    images_argument,
    shared_options,
)
from insens_tf.cli.region_pictures import draw_margins
from insens_tf.cli.run_record import record_of, results_in
from insens_tf.progress import progress_bar

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork
    from insens_tf.regions.region import NearBoundary

__all__ = ["margins"]

_MOST_BYTES = 512 * 2**20


@click.command(
    short_help="Say how far images are from where a state changes.",
    epilog=examples(
        "margins model.keras seven.png",
        "margins model.keras test.npz --first 10 --norm linf --nearest 20 --out margins",
    ),
)
@shared_options(network_options=NetworkOptions)
@images_argument
@click.option(
    "--norm",
    type=click.Choice(["l2", "linf", "l1"]),
    default="l2",
    show_default=True,
    help="What distances are measured in. l2 is fast; for the others every neuron is taken back "
    "to the input.",
)
@click.option(
    "--nearest",
    type=click.IntRange(min=1),
    metavar="N",
    default=5,
    show_default=True,
    help="How many of the boundaries nearest to each image are named.",
)
@shared_options(image_options=ImageOptions, result_options=OptionalResultOptions)
def margins(
    network_options: NetworkOptions,
    images: tuple[str, ...],
    norm: str,
    nearest: int,
    image_options: ImageOptions,
    result_options: OptionalResultOptions,
) -> None:
    """Say how far images are from where neurons switch, and which boundaries are nearest.

    A margin is the distance, in the input, from an image to where a neuron switches between active
    and inactive, as long as no other one does. Prints for each hidden layer the median and the
    least margin over all neurons and images, and for each image the nearest boundaries of its
    linear region: where a neuron (gate) switches, or another element wins a window of a max
    pooling. Boundaries that an image lies on itself, as where equal pixels tie in a max pooling,
    are counted and not named. With --out also writes margins.npz, layers.csv, nearest.csv and a
    picture.
    """
    opening = Opening(network_options, images, image_options)
    record = record_of(
        "margins", network_options, image_options, images=images, norm=norm, nearest=nearest
    )
    with results_in(result_options, record, heatmaps=False) as folder:
        opening.read_files()
        network = opening.load_network()
        if not network.layers:
            raise CommandError(
                f"model {network_options.model}: expected a hidden layer (one that a ReLU "
                "follows), found none, so that no neuron can switch"
            )
        inputs = opening.inputs_of(network.model)
        _check_size(network, inputs, nearest)
        names = [layer.name for layer in network.layers]
        x = inputs[:]
        with said_in_one_line("give a smaller --memory-budget"), warnings_in_one_line():
            found = network.margins(x, names, norm, progress=shows_progress())
            layers = [_layer(name, found[name]) for name in names]
            click.echo(f"\n{_table_of_layers(layers)}\n")
            near = _near(network, x, norm, nearest)
        click.echo(_table_of_boundaries(near, inputs.names))
        if folder is not None:
            _write(folder, found, layers, near, inputs.names, x)
            draw_margins(found, norm, len(inputs)).savefig(folder / "margins.png")
    if result_options.out is not None:
        click.echo(
            f"Wrote margins.npz, layers.csv, nearest.csv and margins.png to {result_options.out}."
        )


def _check_size(network: SwitchedNetwork, inputs: files.ModelInputs, nearest: int) -> None:
    """Refuse arrays that take too much memory."""
    neurons = sum(layer.neurons for layer in network.layers)
    values = neurons * network.dtype.itemsize + nearest * 8 * inputs[:1].size
    size = len(inputs) * values
    if size > _MOST_BYTES:
        fewer = "take fewer images with --first" if len(inputs) > 1 else "give a smaller --nearest"
        raise CommandError(
            f"the margins of {neurons:,} neurons and {nearest:,} boundaries of {len(inputs):,} "
            f"images take {size / 2**20:,.0f} MiB, more than {_MOST_BYTES // 2**20} MiB; {fewer}"
        )


class _Layer(NamedTuple):
    """How far a layer is from switching."""

    name: str
    neurons: int
    active: float
    median: float
    least: float


def _layer(name: str, signed: NDArray[Any]) -> _Layer:
    sizes = np.abs(signed)
    return _Layer(
        name,
        signed[0].size,
        float((signed > 0).mean()),
        float(np.median(sizes)),
        float(sizes.min()),
    )


class _Near(NamedTuple):
    """What is nearest to an image, and how many boundaries it lies on."""

    ties: int
    boundaries: list[NearBoundary]


def _near(network: SwitchedNetwork, x: NDArray[Any], norm: str, nearest: int) -> list[_Near]:
    found = []
    for one in progress_bar(x, shown=shows_progress(), desc="regions", unit="image"):
        region = network.region(one)
        boundaries = region.nearest(nearest, norm, ties=False)
        found.append(_Near(region.ties, boundaries))
    return found


def _table_of_layers(layers: Sequence[_Layer]) -> str:
    import tabulate

    return tabulate.tabulate(
        [
            [one.name, one.neurons, f"{one.active:.1%}", f"{one.median:.4g}", f"{one.least:.4g}"]
            for one in layers
        ],
        ["hidden layer", "neurons", "active", "median margin", "least margin"],
        colalign=["left", "right", "right", "right", "right"],
        disable_numparse=True,
    )


def _table_of_boundaries(near: Sequence[_Near], names: Sequence[str]) -> str:
    import tabulate

    rows = [
        [image, f"{ties:,}", *place, f"{distance:.4g}"]
        for image, ties, *place, distance in _rows(near, names)
    ]
    return tabulate.tabulate(
        rows,
        ["image", "lies on", "nearest in", "kind", "index", "wins beyond", "distance"],
        colalign=["left", "right", "left", "left", "right", "right", "right"],
        disable_numparse=True,
    )


def _rows(near: Sequence[_Near], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Go through the rows of the table of boundaries; an image without any has one, too."""
    for name, (ties, boundaries) in zip(names, near, strict=True):
        if not boundaries:
            yield name, ties, "none", "", "", "", np.inf
        for one in boundaries:
            index, other = (neuron_text(place or ()) for place in (one.index, one.other))
            yield name, ties, one.layer, one.kind, index, other, one.distance


def _write(
    folder: Path,
    margins_of: Mapping[str, NDArray[Any]],
    layers: Sequence[_Layer],
    near: Sequence[_Near],
    names: Sequence[str],
    x: NDArray[Any],
) -> None:
    files.write_csv(folder / "layers.csv", _Layer._fields, layers)
    head = ("image", "lies_on", "nearest_in", "kind", "index", "wins_beyond", "distance")
    files.write_csv(folder / "nearest.csv", head, _rows(near, names))
    most = max(len(one.boundaries) for one in near)
    # Where an image has fewer boundaries than another one.
    distances = np.full((len(x), most), np.inf)
    points = np.full((len(x), most, *x.shape[1:]), np.nan)
    for i, one in enumerate(near):
        for k, boundary in enumerate(one.boundaries):
            distances[i, k], points[i, k] = boundary.distance, boundary.point
    arrays = {
        "names": np.array(names),
        "x": x,
        "ties": np.array([one.ties for one in near]),
        "nearest_distance": distances,
        "nearest_point": points,
    }
    by_layer = {f"margins/{name}": values for name, values in margins_of.items()}
    np.savez_compressed(folder / "margins.npz", **arrays, **by_layer)
