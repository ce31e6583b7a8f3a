"""smallNORB: ``python -m data_scripts.smallnorb --out DIR [--source DIR] [--cameras WHICH]``.

LeCun, Huang and Bottou, https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/. The files end in ``.mat``
but are in the authors' own binary matrix format, not in Matlab's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np

from data_scripts.preparation import (
    Arrays,
    DataError,
    DataSet,
    OfficialFile,
    Reader,
    command_options,
    run,
)

__all__ = ["CAMERAS", "SMALLNORB", "main", "parse", "parse_matrix", "with_cameras"]

CAMERAS = ("both", "left", "right", "stereo")
_PAIRS = 24_300
_SIDE = 96
_CLASSES = 5
_TYPES: dict[int, np.dtype] = {0x1E3D4C55: np.dtype("uint8"), 0x1E3D4C54: np.dtype("<i4")}
_STEMS = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}


def parse_matrix(content: bytes, name: str) -> np.ndarray:
    """Read one file of the authors' binary matrix format.

    Parameters
    ----------
    content
        The uncompressed file: little-endian 32-bit integers for the type, the number of
        dimensions and each dimension's size, of which there are always at least three (a vector
        has two more of size 1), then the values, the last dimension fastest.
    name
        Its name, for messages.

    Returns
    -------
    numpy.ndarray
        The values, uint8 or int32, with as many dimensions as the header says.

    Raises
    ------
    DataError
        If it is anything else.
    """
    if len(content) < 8:
        raise DataError(f"{name} is truncated: {len(content)} bytes are no matrix header")
    magic, dimensions = (int(value) for value in np.frombuffer(content, "<u4", 2))
    if magic not in _TYPES:
        known = " or ".join(f"{number:08X}" for number in _TYPES)
        raise DataError(
            f"{name} is no matrix of bytes or integers: it begins with {magic:08X}, not {known}"
        )
    if not 1 <= dimensions <= 8:
        raise DataError(f"{name} says that it has {dimensions} dimensions, which cannot be")
    stored = max(3, dimensions)
    header = 8 + 4 * stored
    if len(content) < header:
        raise DataError(f"{name} is truncated: it ends within its header")
    sizes = [int(size) for size in np.frombuffer(content, "<u4", stored, offset=8)][:dimensions]
    expected = header + math.prod(sizes) * _TYPES[magic].itemsize
    if len(content) != expected:
        raise DataError(
            f"{name} says that it holds {' x '.join(map(str, sizes))} values, which makes "
            f"{expected:,} bytes with its header, but it has {len(content):,}"
        )
    return np.frombuffer(content, _TYPES[magic], offset=header).reshape(sizes)


def parse(data_set: DataSet, read: Reader, cameras: str = "both") -> Arrays:
    """Read images and categories of both parts.

    Parameters
    ----------
    data_set
        Gives the title for messages and the images' size.
    read
        Gives a file's uncompressed bytes by its name.
    cameras
        Each object was photographed by two cameras at once. ``"both"``: every photograph is an
        image of its own, the left one of a pair before the right one; ``"left"``, ``"right"``:
        only that camera's; ``"stereo"``: a pair is one image of two channels.

    Returns
    -------
    dict
        Images of shape ``(n, height, width, channels)`` and labels of shape ``(n,)``, all uint8.

    Raises
    ------
    DataError
        If a file is no matrix, or not one of pairs of images or of categories.
    """
    arrays = {}
    for part, stem in _STEMS.items():
        pairs = parse_matrix(read(f"{stem}-dat.mat.gz"), f"{stem}-dat.mat")
        if pairs.dtype != np.uint8 or pairs.ndim != 4 or pairs.shape[1] != 2:
            raise DataError(
                f"{stem}-dat.mat must hold pairs of byte images (n, 2, height, width), not "
                f"{pairs.dtype} of shape {pairs.shape}"
            )
        labels = parse_matrix(read(f"{stem}-cat.mat.gz"), f"{stem}-cat.mat")
        if labels.dtype != np.int32 or labels.shape != pairs.shape[:1]:
            raise DataError(
                f"{stem}-cat.mat must hold {len(pairs):,} integers, one category a pair, not "
                f"{labels.dtype} of shape {labels.shape}"
            )
        # Before the conversion to bytes, which would hide 256 as 0.
        if labels.size and not 0 <= labels.min() <= labels.max() < data_set.classes:
            raise DataError(
                f"{stem}-cat.mat must hold categories 0 to {data_set.classes - 1}, not "
                f"{labels.min()} to {labels.max()}"
            )
        arrays[f"x_{part}"] = _images(pairs, cameras)
        arrays[f"y_{part}"] = np.repeat(labels.astype(np.uint8), 2 if cameras == "both" else 1)
    return arrays


def _images(pairs: np.ndarray, cameras: str) -> np.ndarray:
    if cameras == "both":
        return pairs.reshape(-1, *pairs.shape[2:], 1)
    if cameras == "stereo":
        return np.ascontiguousarray(pairs.transpose(0, 2, 3, 1))
    return pairs[:, ("left", "right").index(cameras), :, :, np.newaxis]


def with_cameras(data_set: DataSet, cameras: str) -> DataSet:
    """Return smallNORB, or a smaller data set in its format, as seen by some of the cameras.

    Parameters
    ----------
    data_set
        A data set whose counts are of pairs' single images (``"both"``).
    cameras
        One of `CAMERAS`; see :func:`parse`.
    """
    channels, images_of_a_pair = 2 if cameras == "stereo" else 1, 2 if cameras == "both" else 1
    return replace(
        data_set,
        parse=partial(parse, cameras=cameras),
        image_shape=(*data_set.image_shape[:2], channels),
        counts={part: n // 2 * images_of_a_pair for part, n in data_set.counts.items()},
    )


def _image_file(part: str, md5: str) -> OfficialFile:
    largest = 8 + 4 * 4 + _PAIRS * 2 * _SIDE * _SIDE
    return OfficialFile(f"{_STEMS[part]}-dat.mat.gz", largest, content_md5=md5)


def _category_file(part: str) -> OfficialFile:
    # The categories of both parts are 0 to 4 over and over, hence one checksum.
    largest = 8 + 4 * 3 + _PAIRS * 4
    md5 = "fd5120d3f770ad57ebe620eb61a0b633"
    return OfficialFile(f"{_STEMS[part]}-cat.mat.gz", largest, content_md5=md5)


SMALLNORB = DataSet(
    name="smallnorb",
    title="smallNORB",
    addresses=("https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/",),
    files=(
        _image_file("train", "8138a0902307b32dfa0025a36dfa45ec"),
        _category_file("train"),
        _image_file("test", "e9920b7f7b2869a8f1a12e945b2c166c"),
        _category_file("test"),
    ),
    parse=parse,
    image_shape=(_SIDE, _SIDE, 1),
    classes=_CLASSES,
    counts={"train": 2 * _PAIRS, "test": 2 * _PAIRS},
)


@click.command()
@command_options
@click.option(
    "--cameras",
    type=click.Choice(CAMERAS),
    default="both",
    show_default=True,
    help="Which photographs: each of a pair by itself, one side, or pairs of two channels.",
)
def main(out: Path, source: Path | None, allow_unverified: bool, cameras: str) -> None:
    """Write smallnorb.npz (x_train, y_train, x_test, y_test) from the official .mat files."""
    run(with_cameras(SMALLNORB, cameras), out, source, allow_unverified)


if __name__ == "__main__":
    main(prog_name="python -m data_scripts.smallnorb")
