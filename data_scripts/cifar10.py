"""CIFAR-10: ``python -m data_scripts.cifar10 --out DIR [--source DIR]``.

Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html. This reads the binary version, whose files
are plain bytes; the version for Python consists of pickles, which run code when they are loaded.
"""

from __future__ import annotations

import io
import tarfile

import numpy as np

from data_scripts.preparation import (
    Arrays,
    DataError,
    DataSet,
    OfficialFile,
    Reader,
    command,
)

__all__ = ["CIFAR10", "main", "parse"]

_ARCHIVE = "cifar-10-binary.tar.gz"
_FOLDER = "cifar-10-batches-bin"
_BATCHES = {
    "train": tuple(f"{_FOLDER}/data_batch_{number}.bin" for number in range(1, 6)),
    "test": (f"{_FOLDER}/test_batch.bin",),
}


def parse(data_set: DataSet, read: Reader) -> Arrays:
    """Read the six batches from the archive, in memory: nothing is extracted to disk.

    Parameters
    ----------
    data_set
        Gives the images' shape.
    read
        Gives the archive's uncompressed bytes.

    Returns
    -------
    dict
        Images of shape ``(n, height, width, channels)`` and labels of shape ``(n,)``, all uint8.

    Raises
    ------
    DataError
        If the archive is damaged, or a batch is missing or has a broken record.
    """
    batches = _read_batches(read(_ARCHIVE))
    height, width, channels = data_set.image_shape
    arrays = {}
    for part, names in _BATCHES.items():
        # A record is a label and then the image, channel by channel.
        record = 1 + height * width * channels
        for name in names:
            if not batches[name] or len(batches[name]) % record:
                raise DataError(
                    f"{name} in {_ARCHIVE} has {len(batches[name]):,} bytes, which is not a whole "
                    f"number of records of {record:,} bytes"
                )
        records = np.frombuffer(b"".join(batches[name] for name in names), np.uint8)
        records = records.reshape(-1, record)
        images = records[:, 1:].reshape(-1, channels, height, width)
        arrays[f"x_{part}"] = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        arrays[f"y_{part}"] = records[:, 0].copy()
    return arrays


def _read_batches(archive: bytes) -> dict[str, bytes]:
    """Return the content of each batch by its name in the archive; other members are not read."""
    wanted = {name for names in _BATCHES.values() for name in names}
    batches: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as members:
            for member in members:
                name = member.name.removeprefix("./")
                if name not in wanted:
                    continue
                stream = members.extractfile(member) if member.isreg() else None
                if stream is None or name in batches:
                    raise DataError(f"{name} in {_ARCHIVE} is not one regular file")
                batches[name] = stream.read()
    except tarfile.TarError as error:
        raise DataError(f"{_ARCHIVE} is not a sound tar archive: {error}") from error
    missing = sorted(wanted - batches.keys())
    if missing:
        raise DataError(f"{_ARCHIVE} lacks {', '.join(missing)}")
    return batches


CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10",
    addresses=("https://www.cs.toronto.edu/~kriz/",),
    files=(
        # The records are 184,380,000 bytes; the rest is room for tar's headers and two text files.
        OfficialFile(_ARCHIVE, largest=185_000_000, file_md5="c32a1d4ab5d03f1284b67883e8d87530"),
    ),
    parse=parse,
    image_shape=(32, 32, 3),
    classes=10,
    counts={"train": 50_000, "test": 10_000},
)

main = command(
    CIFAR10,
    "Write cifar10.npz (x_train, y_train, x_test, y_test) from CIFAR-10's binary version.",
)


if __name__ == "__main__":
    main(prog_name="python -m data_scripts.cifar10")
