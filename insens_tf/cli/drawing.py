"""Maps as heatmaps and overviews in a folder of results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf import files, heatmap
from insens_tf.batches import BATCH_SIZE
from insens_tf.cli.messages import said_in_one_line
from insens_tf.picture_grid import Part
from insens_tf.wrapped_grid import CELL, maps_across, wrapped_grid

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork

__all__ = [
    "ROWS_OF_AN_OVERVIEW",
    "Column",
    "Drawing",
    "count_of_heatmaps",
    "heatmap_name",
    "insens_columns",
    "part_of_a_file_name",
    "short",
    "shown",
    "write_heatmap",
    "write_overviews",
]

# Larger overviews are hard to read and slow to draw; they are continued in further files.
ROWS_OF_AN_OVERVIEW = 20
_HEIGHT_OF_AN_OVERVIEW = 6000
# Heatmaps of a small image are magnified until they are about so many screen pixels high or wide.
_SIDE_OF_A_HEATMAP = 224
# A file's name has 255 bytes at most, and 143 in some file systems.
_BYTES_OF_AN_IMAGE, _BYTES_OF_A_LAYER, _BYTES_OF_WHAT = 50, 70, 110


class Column(NamedTuple):
    """What the maps of one method or layer are called: in npz files, on overviews, as heatmaps.

    On overviews `heading` stands in the place of the title, if there is one.
    """

    key: str
    title: str
    file_name: str
    heading: str | None = None


def insens_columns(
    network: SwitchedNetwork, layers: Iterable[HiddenLayer], prefix: str = ""
) -> dict[str, Column]:
    """Say, by the layers' names, what the maps of Insens of layers of a network are called."""
    graph = network.reading.graph
    columns: dict[str, Column] = {}
    taken: set[str] = set()
    for layer in layers:
        # A number tells apart names that were cut, or that differ in their case only.
        stem = name = prefix + part_of_a_file_name(layer.name)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        title = f"Insens {short(layer.name)}"
        heading = graph.receptive_field(layer.position).titled(title, graph.input_shape[:-1])
        columns[layer.name] = Column(f"insens/{layer.name}", title, name, heading)
    return columns


class Drawing:
    """Heatmaps and overviews of a model's inputs, drawn some rows at a time.

    Parameters
    ----------
    folder : pathlib.Path
        With a folder `heatmaps` in it.
    inputs : ModelInputs
    channels : str
        One of `heatmap.channel_rules`.
    """

    def __init__(self, folder: Path, inputs: files.ModelInputs, channels: str) -> None:
        self._folder = folder
        self._inputs = inputs
        self._channels = channels
        # One rule for all: how bright an input is shown depends on the darkest and the brightest.
        batches = [shown(inputs, batch) for batch in inputs.batches(BATCH_SIZE)]
        self._extremes = min(one.min() for one in batches), max(one.max() for one in batches)

    def inputs(self, rows: slice) -> NDArray[np.uint8]:
        """Return pictures of some inputs, (n, height, width, 3)."""
        pictures = shown(self._inputs, self._inputs[rows])
        extremes = [np.full((1, *pictures.shape[1:]), one) for one in self._extremes]
        return heatmap.picture(np.concatenate([pictures, *extremes]))[:-2]

    def write(
        self,
        rows: slice,
        columns: Sequence[Column],
        maps: Mapping[str, NDArray[Any]],
        row_titles: Sequence[str] | None = None,
    ) -> None:
        """Write the heatmaps and overviews of some rows, which begin where an overview does.

        Parameters
        ----------
        rows : slice
        columns : sequence of Column
        maps : mapping of str to array (n, *input_shape)
            By the columns' keys, of these rows.
        row_titles : sequence of str, optional
            The titles of these rows; None: the names of the inputs.
        """
        numbers = range(len(self._inputs))[rows]
        drawn: list[list[NDArray[np.uint8] | None]] = [[one] for one in self.inputs(rows)]
        for column in columns:
            pictures = self._inputs.as_pictures(maps[column.key])
            for row, number, signed in zip(drawn, numbers, pictures, strict=True):
                # A neuron whose switched weights are all 0 has no centre and no contributions.
                rgb = None
                if np.isfinite(signed).all():
                    rgb = heatmap.heatmap(signed[np.newaxis], self._channels)[0]
                    name = heatmap_name(self._inputs, number, column.file_name)
                    write_heatmap(self._folder / "heatmaps" / name, rgb)
                row.append(rgb)
        write_overviews(
            self._folder,
            drawn,
            row_titles or [short(self._inputs.names[number]) for number in numbers],
            ["input", *(column.heading or column.title for column in columns)],
            first_row=numbers.start,
            all_rows=len(self._inputs),
        )


def count_of_heatmaps(inputs: files.ModelInputs, columns: Sized) -> str:
    """Say how many heatmaps there are."""
    count = len(inputs) * len(columns)
    return "1 heatmap" if count == 1 else f"{count} heatmaps"


def write_overviews(
    folder: Path,
    rows: Sequence[Sequence[Any]],
    row_titles: Sequence[str],
    column_titles: Sequence[str],
    *,
    outlined: Sequence[Sequence[Part | None]] | None = None,
    first_row: int = 0,
    all_rows: int | None = None,
) -> None:
    """Write rows of pictures as one file or, where there are many or large ones, as several.

    `rows` may be some of `all_rows`, from `first_row`, where an overview begins. The first column
    is that of the inputs, and stands on every overview.
    """
    side = max(np.shape(rows[0][0])[:2])
    high, wide = _pictures_of_an_overview(side, len(column_titles) - 1)
    groups = [
        [0, *range(i, min(i + wide, len(column_titles)))]
        for i in range(1, len(column_titles), wide)
    ]
    groups = groups or [[0]]
    single = (len(rows) if all_rows is None else all_rows) <= high and len(groups) == 1
    for start in range(0, len(rows), high):
        part = slice(start, start + high)
        for i, group in enumerate(groups):

            def of_group(row: Sequence[Any], columns: Sequence[int] = group) -> list[Any]:
                return [row[column] for column in columns]

            with said_in_one_line():
                figure = wrapped_grid(
                    [of_group(row) for row in rows[part]],
                    row_titles[part],
                    of_group(column_titles),
                    outlined=None if outlined is None else list(map(of_group, outlined[part])),
                    title=heatmap.LEGEND,
                )
            page = (first_row + start) // high * len(groups) + i + 1
            figure.savefig(folder / ("overview.png" if single else f"overview_{page}.png"))


def _pictures_of_an_overview(side: int, maps: int) -> tuple[int, int]:
    """Return how many rows, and maps of each, of pictures of this side an overview has."""
    across = maps_across(side)
    fit = max(1, min(ROWS_OF_AN_OVERVIEW, _HEIGHT_OF_AN_OVERVIEW // max(side, CELL)))
    lines = min(fit, max(1, -(-maps // across)))
    # A block of rows is a number of whole overviews, so that their height divides the largest.
    high = next(
        count
        for count in range(ROWS_OF_AN_OVERVIEW, 0, -1)
        if ROWS_OF_AN_OVERVIEW % count == 0 and (count * lines <= fit or count == 1)
    )
    return high, across * lines


def write_heatmap(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a heatmap, magnified where it is small."""
    from PIL import Image

    factor = max(1, _SIDE_OF_A_HEATMAP // max(rgb.shape[:2]))
    Image.fromarray(rgb.repeat(factor, axis=0).repeat(factor, axis=1)).save(path)


def heatmap_name(inputs: files.ModelInputs, number: int, what: str) -> str:
    """Name the file of a heatmap; names from elsewhere cannot lead out of its folder."""
    counted = f"{number:0{len(str(len(inputs) - 1))}d}"
    stem = inputs.names[number].rpartition(".")[0] or inputs.names[number]
    of_image = part_of_a_file_name(stem, _BYTES_OF_AN_IMAGE)
    name = counted if stem == f"image {number}" else f"{counted}_{of_image}"
    return f"{name}_{part_of_a_file_name(what, _BYTES_OF_WHAT)}.png"


def part_of_a_file_name(text: str, most: int = _BYTES_OF_A_LAYER) -> str:
    """Return what stands for a text in a file's name, of so many bytes at most."""
    name = re.sub(r"[^\w.,-]+", "_", text)
    return name.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def short(name: str) -> str:
    """Shorten a long name in its middle."""
    return name if len(name) <= 30 else f"{name[:14]}...{name[-13:]}"


def shown(inputs: files.ModelInputs, values: NDArray[Any]) -> NDArray[Any]:
    """Return inputs (n, *input_shape) as grey pictures or in colour, (n, height, width, 1 or 3)."""
    pictures = inputs.as_pictures(values)
    return pictures if pictures.shape[-1] in (1, 3) else pictures.mean(axis=-1, keepdims=True)
