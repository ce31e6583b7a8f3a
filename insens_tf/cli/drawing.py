"""Maps as heatmaps and overviews in a folder of results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf import files, heatmap
from insens_tf.cli.messages import said_in_one_line

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer

__all__ = [
    "ROWS_OF_AN_OVERVIEW",
    "Column",
    "Drawing",
    "count_of_heatmaps",
    "heatmap_name",
    "insens_column",
    "short",
    "write_heatmap",
    "write_overviews",
]

# Longer overviews are hard to read and slow to draw; they are continued in further files.
ROWS_OF_AN_OVERVIEW = 20
# Heatmaps of a small image are magnified until they are about so many screen pixels high or wide.
_SIDE_OF_A_HEATMAP = 224
_BATCH = 256


class Column(NamedTuple):
    """What the maps of one method or layer are called: in npz files, on overviews, as heatmaps."""

    key: str
    title: str
    file_name: str


def insens_column(layer: HiddenLayer) -> Column:
    """Say what the maps of Insens of a layer are called."""
    name = layer.name
    return Column(f"insens/{name}", f"Insens {name}", f"{layer.index}_{name}")


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
        batches = [_shown(inputs, batch) for batch in inputs.batches(_BATCH)]
        self._extremes = min(one.min() for one in batches), max(one.max() for one in batches)

    def inputs(self, rows: slice) -> NDArray[np.uint8]:
        """Return pictures of some inputs, (n, height, width, 3)."""
        pictures = _shown(self._inputs, self._inputs[rows])
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
            Of these rows; None: the names of the inputs.
        """
        numbers = range(len(self._inputs))[rows]
        drawn: list[list[NDArray[np.uint8] | None]] = [[shown] for shown in self.inputs(rows)]
        for column in columns:
            pictures = self._inputs.as_pictures(maps[column.key])
            for row, number, signed in zip(drawn, numbers, pictures, strict=True):
                # Of a neuron whose switched weights are all 0 the centre and contributions are NaN.
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
            ["input", *(column.title for column in columns)],
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
    cell_titles: Sequence[Sequence[str | None]] | None = None,
    *,
    first_row: int = 0,
    all_rows: int | None = None,
) -> None:
    """Write rows of pictures as one file or, where there are many, as several.

    `rows` may be some of `all_rows`, from `first_row`, where an overview begins.
    """
    single = (len(rows) if all_rows is None else all_rows) <= ROWS_OF_AN_OVERVIEW
    for start in range(0, len(rows), ROWS_OF_AN_OVERVIEW):
        part = slice(start, start + ROWS_OF_AN_OVERVIEW)
        with said_in_one_line():
            figure = heatmap.grid(
                rows[part],
                row_titles[part],
                column_titles,
                cell_titles=None if cell_titles is None else cell_titles[part],
            )
        page = (first_row + start) // ROWS_OF_AN_OVERVIEW + 1
        figure.savefig(folder / ("overview.png" if single else f"overview_{page}.png"))


def write_heatmap(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a heatmap, magnified where it is small."""
    from PIL import Image

    factor = max(1, _SIDE_OF_A_HEATMAP // max(rgb.shape[:2]))
    Image.fromarray(rgb.repeat(factor, axis=0).repeat(factor, axis=1)).save(path)


def heatmap_name(inputs: files.ModelInputs, number: int, what: str) -> str:
    """Name the file of a heatmap; names from elsewhere cannot lead out of its folder."""
    counted = f"{number:0{len(str(len(inputs) - 1))}d}"
    stem = Path(inputs.names[number]).stem
    name = counted if stem == f"image {number}" else f"{counted}_{stem[:60]}"
    return re.sub(r"[^\w.,-]+", "_", f"{name}_{what}.png")


def short(name: str) -> str:
    """Shorten a long name in its middle."""
    return name if len(name) <= 30 else f"{name[:14]}...{name[-13:]}"


def _shown(inputs: files.ModelInputs, values: NDArray[Any]) -> NDArray[Any]:
    pictures = inputs.as_pictures(values)
    return pictures if pictures.shape[-1] in (1, 3) else pictures.mean(axis=-1, keepdims=True)
