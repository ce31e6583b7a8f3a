"""Images as they are in files: pictures, folders of them, arrays."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from insens_tf.files.arrays import npz_names, read_npy, read_npz
from insens_tf.files.file_errors import UnusableFileError, neighbours, printable, reading
from insens_tf.files.pictures import PICTURE_ENDINGS, PICTURE_FORMS, read_picture

__all__ = [
    "Images",
    "check_image_paths",
    "chosen_array",
    "natural_order",
    "read_images",
    "unique_names",
]

_ARRAY_ENDINGS = (".npy", ".npz")
_IMAGE_FORMS = f"{PICTURE_FORMS} files, a folder of them, or one .npy or .npz file"


@dataclass(frozen=True)
class Images:
    """Images as they are in the files, before they are fitted to a model.

    Attributes
    ----------
    arrays : numpy.ndarray or list of numpy.ndarray
        One array of any rank, as stored; or one array (height, width, channels) a picture file.
    names : tuple of str or None
        A name for each picture, unique: that of its file, after as many of the folders above it as
        tell it from the others. None for an array.
    source : str
        Where they came from, in words.
    left_out : mapping of str to str
        The paths of pictures that could not be read, and why.
    """

    arrays: NDArray[Any] | list[NDArray[Any]]
    names: tuple[str, ...] | None
    source: str
    left_out: Mapping[str, str] = field(default_factory=dict)


def check_image_paths(paths: Sequence[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Check, without reading them, that paths can be images.

    Returns
    -------
    tuple of pathlib.Path
        One `.npy` or `.npz` file, or picture files only, folders replaced by the pictures in them.

    Raises
    ------
    UnusableFileError
        If a path does not exist or is of another form, a folder holds no picture, a picture is
        given twice, or arrays and pictures are mixed.
    """
    if not paths:
        raise UnusableFileError(f"no images given; expected {_IMAGE_FORMS}")
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise UnusableFileError(
                f"images {path} do not exist; expected {_IMAGE_FORMS}{neighbours(path)}"
            )
        if path.is_dir():
            found += _pictures_in(path)
        elif path.suffix.lower() in PICTURE_ENDINGS + _ARRAY_ENDINGS:
            found.append(path)
        else:
            raise UnusableFileError(
                f"images {path} end in {path.suffix or 'nothing'!r}; expected {_IMAGE_FORMS}"
            )
    if len(found) > 1 and any(path.suffix.lower() in _ARRAY_ENDINGS for path in found):
        raise UnusableFileError(
            f"images are {len(found)} files with arrays among them; expected {_IMAGE_FORMS}"
        )
    first: dict[str, Path] = {}
    for path in found:
        earlier = first.setdefault(os.path.abspath(path), path)
        if earlier is not path:
            raise UnusableFileError(
                f"image {path} is given twice{'' if earlier == path else f', once as {earlier}'}; "
                "name it once"
            )
    return tuple(found)


def read_images(
    paths: Sequence[str | os.PathLike[str]],
    key: str | None = None,
    usual_keys: Sequence[str] = ("x_test", "x"),
    *,
    leave_out_bad: bool = False,
) -> Images:
    """Read images from picture files, folders of them, or one `.npy` or `.npz` file.

    Folders are read in natural order (2.png before 10.png), without subfolders and hidden files.
    `read_picture` says how pictures are read. Nothing is unpickled.

    Parameters
    ----------
    paths : sequence of str or path
    key : str, optional
        The array to take from an `.npz` file.
    usual_keys : sequence of str
        Without `key`, the first of these that the `.npz` file holds is taken, and otherwise its
        only array.
    leave_out_bad : bool
        Leave out pictures that cannot be read, and say which.

    Returns
    -------
    Images

    Raises
    ------
    UnusableFileError
        If a file is missing, damaged, no image or one that `read_picture` refuses, or it is not
        clear which array of an `.npz` is meant.
    """
    files = check_image_paths(paths)
    if files[0].suffix.lower() in _ARRAY_ENDINGS:
        return _read_array(files[0], key, usual_keys)
    if key is not None:
        raise UnusableFileError(
            f"key {key!r} names an array of an .npz file, and {files[0]} is none"
        )
    pictures: list[NDArray[Any]] = []
    read: list[Path] = []
    left_out: dict[str, str] = {}
    for path in files:
        try:
            pictures.append(read_picture(path))
            read.append(path)
        except UnusableFileError as error:
            if not leave_out_bad:
                raise
            left_out[str(path)] = str(error)
    source = str(paths[0]) if len(paths) == 1 else f"{len(paths)} paths"
    return Images(pictures, unique_names(read), source, left_out)


def _pictures_in(folder: Path) -> list[Path]:
    with reading(folder, "images"):
        pictures = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PICTURE_ENDINGS
            and not path.name.startswith(".")
            and path.is_file()
        ]
    if not pictures:
        raise UnusableFileError(
            f"images folder {folder} holds no {PICTURE_FORMS} file itself (subfolders are not "
            "searched)"
        )
    return sorted(pictures, key=lambda path: natural_order(path.name))


def natural_order(name: str) -> list[str | tuple[int, str]]:
    """Return what sorts names with the numbers in them by their value."""
    # Every other part is a number, which compares by its value.
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), part) if i % 2 else part for i, part in enumerate(parts)]


def unique_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Name each of different files by the last parts of its path, as many as tell it apart."""
    parts = [Path(os.path.abspath(path)).parts for path in paths]
    taken = [1] * len(paths)
    while True:
        names = [printable("/".join(one[-n:])) for one, n in zip(parts, taken, strict=True)]
        counts = Counter(names)
        longer = [
            min(n + 1, len(one)) if counts[name] > 1 else n
            for one, n, name in zip(parts, taken, names, strict=True)
        ]
        if longer == taken:
            return tuple(names)
        taken = longer


def _read_array(path: Path, key: str | None, usual_keys: Sequence[str]) -> Images:
    with reading(path, "images"):
        if path.suffix.lower() == ".npy":
            if key is not None:
                raise UnusableFileError(
                    f"key {key!r} names an array of an .npz file, and {path} is none"
                )
            return Images(read_npy(path), None, path.name)
        chosen = chosen_array(path, npz_names(path), key, usual_keys)
        return Images(read_npz(path, [chosen])[chosen], None, f"{path.name} ({chosen})")


def chosen_array(
    path: Path,
    names: Sequence[str],
    key: str | None,
    usual_keys: Sequence[str] = ("x_test", "x"),
) -> str:
    """Return the name of the array that is meant of those in a file: see `read_images`."""
    held = ", ".join(names) or "nothing"
    if key is not None:
        if key not in names:
            raise UnusableFileError(f"{path} holds no array {key!r}; it holds {held}")
        return key
    for usual in usual_keys:
        if usual in names:
            return usual
    if len(names) == 1:
        return names[0]
    raise UnusableFileError(
        f"{path} holds {held}, and which of them are the images is not clear; name the array's key"
    )
