"""The idx format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import math

import numpy as np

from data_scripts.preparation import Arrays, DataError, DataSet, OfficialFile, Reader

__all__ = ["FILE_NAMES", "idx_data_set", "parse", "parse_array"]

_UNSIGNED_BYTE = 0x08
FILE_NAMES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}


def idx_data_set(
    name: str, title: str, addresses: tuple[str, ...], content_md5: dict[str, str]
) -> DataSet:
    """Return a data set of 70,000 grey images of 28 x 28 pixels in four idx files.

    Parameters
    ----------
    name, title, addresses
        As :class:`DataSet` has them.
    content_md5
        The MD5 of each uncompressed file, under ``x_train``, ``y_train``, ``x_test``, ``y_test``.
    """
    counts = {"train": 60_000, "test": 10_000}
    # No content is larger than the training images, with their header of 16 bytes.
    largest = 16 + counts["train"] * 28 * 28
    return DataSet(
        name=name,
        title=title,
        addresses=addresses,
        files=tuple(
            OfficialFile(file, largest, content_md5=content_md5[array])
            for array, file in FILE_NAMES.items()
        ),
        parse=parse,
        image_shape=(28, 28, 1),
        classes=10,
        counts=counts,
    )


def parse(data_set: DataSet, read: Reader) -> Arrays:
    """Read the four files.

    Parameters
    ----------
    data_set
        The data set, unused: the format describes itself.
    read
        Gives a file's uncompressed bytes by its name.

    Returns
    -------
    dict
        Images of shape ``(n, height, width, 1)`` and labels of shape ``(n,)``, all uint8.

    Raises
    ------
    DataError
        If a file is not an idx file of unsigned bytes with three dimensions (images) or one
        (labels).
    """
    arrays = {}
    for array, name in FILE_NAMES.items():
        images = array.startswith("x_")
        values = parse_array(read(name), name, dimensions=3 if images else 1)
        arrays[array] = values[..., np.newaxis] if images else values
    return arrays


def parse_array(content: bytes, name: str, dimensions: int) -> np.ndarray:
    """Read one idx file of unsigned bytes.

    Parameters
    ----------
    content
        The uncompressed file: two zero bytes, the type, the number of dimensions, each
        dimension's size as a big-endian 32-bit integer, then the values.
    name
        Its name, for messages.
    dimensions
        How many there must be.

    Returns
    -------
    numpy.ndarray
        The values, uint8.

    Raises
    ------
    DataError
        If it is anything else.
    """
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        raise DataError(
            f"{name} is not an idx file of unsigned bytes with {dimensions} dimension(s): it "
            f"begins with {content[:4].hex(' ') or 'nothing'}, not 00 00 08 {dimensions:02x}"
        )
    sizes = [int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4)]
    if len(content) != header + math.prod(sizes):
        raise DataError(
            f"{name} says that it holds {' x '.join(map(str, sizes))} values, which makes "
            f"{header + math.prod(sizes):,} bytes with its header, but it has {len(content):,}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
