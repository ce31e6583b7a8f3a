"""Models, images and data from files, and results into files, whole or not at all.

Reading says no early and in one sentence: every problem with a file is an `UnusableFileError` whose
text names the file, what was expected, what came and the way out. TensorFlow is imported only where
a model is loaded, so that a wrong path is reported at once.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = [
    "Images",
    "ModelInputs",
    "UnusableFileError",
    "begins_with_scaling",
    "check_image_paths",
    "check_model_path",
    "fit_to_model",
    "load_model",
    "one_line",
    "read_images",
    "refuse_code",
    "results_folder",
    "scale_names",
    "whole_file",
]


class UnusableFileError(ValueError):
    """A file or folder that cannot be read as what it is meant to be, or cannot be written."""


def one_line(message: object, limit: int = 400) -> str:
    """Fold a message of any length and form into one line of at most `limit` characters."""
    line = " ".join(str(message).split())
    return line if len(line) <= limit else line[: limit - 4].rstrip() + " ..."


# --------------------------------------------------------------------------------------------------
# Models

_MODEL_ENDINGS = (".keras", ".h5", ".hdf5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MODEL_FORMS = "a .keras file, an .h5 file or a SavedModel folder"
# Loading a layer or function from a module of another package would import that package: code of
# the file's choosing.
_TRUSTED_PACKAGES = {"keras", "tensorflow", "tf_keras", "builtins", "insens_tf"}
_REBUILD = "build the model in Python and hand it to insens_tf.SwitchedNetwork"


def check_model_path(path: str | os.PathLike[str]) -> Path:
    """Check, without TensorFlow, that a path can be a saved Keras model.

    Parameters
    ----------
    path : str or path
        A `.keras` file, an `.h5` or `.hdf5` file, or a SavedModel folder.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UnusableFileError
        If there is nothing at this path, or something of another form.
    """
    path = Path(path)
    if not path.exists():
        raise UnusableFileError(
            f"model {path} does not exist; expected {_MODEL_FORMS}{_neighbours(path)}"
        )
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise UnusableFileError(
                f"model {path} is a folder without saved_model.pb, so no SavedModel; expected "
                f"{_MODEL_FORMS}"
            )
        return path
    if path.suffix.lower() not in _MODEL_ENDINGS:
        raise UnusableFileError(
            f"model {path} ends in {path.suffix or 'nothing'!r}; expected {_MODEL_FORMS}, as "
            "model.save writes them"
        )
    with _reading(path, "model"):
        with path.open("rb") as file:
            start = file.read(len(_HDF5_SIGNATURE))
        known = start == _HDF5_SIGNATURE or _is_keras_archive(path)
    if not known:
        raise UnusableFileError(
            f"model {path} is no saved Keras model: its content is neither that of a .keras file "
            "nor HDF5 (truncated, or something else under this name?)"
        )
    return path


def load_model(path: str | os.PathLike[str]) -> Any:
    """Load a Keras model from a file, without its optimizer, losses and metrics.

    A file whose loading would run code that it brings along, `Lambda` layers above all, is refused
    in every format (Keras' own safe mode covers `.keras` files only). A model file is still to be
    trusted like a program: SavedModel folders hold TensorFlow graphs, which can read and write
    files.

    Parameters
    ----------
    path : str or path
        A `.keras` file, an `.h5` or `.hdf5` file, or a SavedModel folder that was written from a
        Keras model.

    Returns
    -------
    tf.keras.Model

    Raises
    ------
    UnusableFileError
        If there is no such file, it is damaged, holds no Keras model, or would run code.
    """
    path = check_model_path(path)
    with _reading(path, "model"):
        for config in _stored_configs(path):
            refuse_code(path, config)

    import tensorflow as tf

    try:
        # Keras warns of missing training information, which is of no interest where nothing is
        # trained.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = tf.keras.models.load_model(path, compile=False)
    except Exception as error:
        # A damaged or foreign file can make Keras raise anything, and whatever it is, it is the
        # file's fault.
        raise UnusableFileError(
            f"model {path} cannot be loaded by Keras: {one_line(error, 300)}"
        ) from error
    if not isinstance(model, tf.keras.Model):
        raise UnusableFileError(
            f"model {path} is a SavedModel without a Keras model in it (written by "
            "tf.saved_model.save or model.export?); save it with model.save, as a .keras file say"
        )
    return model


def begins_with_scaling(model: Any) -> bool:
    """Say whether a Keras model begins with a `Rescaling` or `Normalization` layer."""
    layers = [
        layer for layer in getattr(model, "layers", []) if type(layer).__name__ != "InputLayer"
    ]
    if not layers:
        return False
    if getattr(layers[0], "layers", None):
        return begins_with_scaling(layers[0])
    return type(layers[0]).__name__ in {"Rescaling", "Normalization"}


def _is_keras_archive(path: Path) -> bool:
    # Decided exactly as Keras decides it: a file that is both an archive and HDF5 must not be
    # checked as the one and loaded as the other.
    return path.suffix == ".keras" and zipfile.is_zipfile(path)


def _stored_configs(path: Path) -> list[Any]:
    """Give the layer configurations in a model file, as far as they are seen without loading it."""
    if path.is_dir():
        metadata = path / "keras_metadata.pb"
        text = metadata.read_bytes().decode("utf-8", "ignore") if metadata.is_file() else ""
        # The file is a protocol buffer of JSON texts; for finding a Lambda its class names are
        # enough.
        return [{"class_name": name} for name in re.findall(r'"class_name": ?"([^"]*)"', text)]
    if _is_keras_archive(path):
        with zipfile.ZipFile(path) as archive:
            if "config.json" not in archive.namelist():
                raise UnusableFileError(
                    f"model {path} is an archive without config.json, so not written by Keras"
                )
            return [json.loads(archive.read("config.json"))]
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise UnusableFileError(
                f"model {path} holds weights only, no architecture (save_weights?); save it with "
                "model.save"
            )
        return [json.loads(config)]


def refuse_code(path: Path, config: Any) -> None:
    """Raise `UnusableFileError` if a stored configuration would run code when it is loaded."""
    if isinstance(config, Mapping):
        class_name, module = config.get("class_name"), config.get("module")
        if class_name in ("Lambda", "__lambda__"):
            raise UnusableFileError(
                f"model {path} holds a Lambda, which is Python code that loading would run; "
                f"{_REBUILD}"
            )
        if isinstance(module, str) and module.split(".")[0] not in _TRUSTED_PACKAGES:
            raise UnusableFileError(
                f"model {path} holds {class_name} of the module {module}, which loading would "
                f"import and run; {_REBUILD}"
            )
        for value in config.values():
            refuse_code(path, value)
    elif isinstance(config, list | tuple):
        for value in config:
            refuse_code(path, value)


# --------------------------------------------------------------------------------------------------
# Images

_PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
_ARRAY_ENDINGS = (".npy", ".npz")
_IMAGE_FORMS = "PNG or JPEG files, a folder of them, or one .npy or .npz file"


@dataclass(frozen=True)
class Images:
    """Images as they are in the files, before they are fitted to a model.

    Attributes
    ----------
    arrays : numpy.ndarray or list of numpy.ndarray
        One array of any rank, as stored; or one array (height, width, channels) a picture file.
    names : tuple of str or None
        The names of the picture files; None for an array.
    source : str
        Where they came from, in words.
    """

    arrays: NDArray[Any] | list[NDArray[Any]]
    names: tuple[str, ...] | None
    source: str


def check_image_paths(paths: Sequence[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Check, without reading them, that paths can be images.

    Returns
    -------
    tuple of pathlib.Path
        One `.npy` or `.npz` file, or picture files only, folders replaced by the pictures in them.

    Raises
    ------
    UnusableFileError
        If a path does not exist or is of another form, a folder holds no picture, or arrays and
        pictures are mixed.
    """
    if not paths:
        raise UnusableFileError(f"no images given; expected {_IMAGE_FORMS}")
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise UnusableFileError(
                f"images {path} do not exist; expected {_IMAGE_FORMS}{_neighbours(path)}"
            )
        if path.is_dir():
            found += _pictures_in(path)
        elif path.suffix.lower() in _PICTURE_ENDINGS + _ARRAY_ENDINGS:
            found.append(path)
        else:
            raise UnusableFileError(
                f"images {path} end in {path.suffix or 'nothing'!r}; expected {_IMAGE_FORMS}"
            )
    if len(found) > 1 and any(path.suffix.lower() in _ARRAY_ENDINGS for path in found):
        raise UnusableFileError(
            f"images are {len(found)} files with arrays among them; expected {_IMAGE_FORMS}"
        )
    return tuple(found)


def read_images(
    paths: Sequence[str | os.PathLike[str]],
    key: str | None = None,
    usual_keys: Sequence[str] = ("x_test", "x"),
) -> Images:
    """Read images from PNG or JPEG files, folders of them, or one `.npy` or `.npz` file.

    Folders are read in natural order (2.png before 10.png), without subfolders and hidden files.
    Pictures are turned as their EXIF orientation says, palettes resolved, and fully opaque alpha
    channels dropped. Nothing is unpickled.

    Parameters
    ----------
    paths : sequence of str or path
    key : str, optional
        The array to take from an `.npz` file.
    usual_keys : sequence of str
        Without `key`, the first of these that the `.npz` file holds is taken, and otherwise its
        only array.

    Returns
    -------
    Images

    Raises
    ------
    UnusableFileError
        If a file is missing, damaged, no image, larger than Pillow's limit against decompression
        bombs, has colours that are not defined without a choice (transparency, CMYK), or it is not
        clear which array of an `.npz` is meant.
    """
    files = check_image_paths(paths)
    if files[0].suffix.lower() in _ARRAY_ENDINGS:
        return _read_array(files[0], key, usual_keys)
    if key is not None:
        raise UnusableFileError(
            f"key {key!r} names an array of an .npz file, and {files[0]} is none"
        )
    return Images(
        arrays=[_read_picture(path) for path in files],
        names=tuple(path.name for path in files),
        source=str(paths[0]) if len(paths) == 1 else f"{len(paths)} paths",
    )


def _pictures_in(folder: Path) -> list[Path]:
    with _reading(folder, "images"):
        pictures = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in _PICTURE_ENDINGS
            and not path.name.startswith(".")
            and path.is_file()
        ]
    if not pictures:
        raise UnusableFileError(
            f"images folder {folder} holds no PNG or JPEG file itself (subfolders are not searched)"
        )
    return sorted(pictures, key=lambda path: _natural_order(path.name))


def _natural_order(name: str) -> list[tuple[bool, int, str]]:
    return [
        (part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in re.split(r"([0-9]+)", name)
    ]


def _read_picture(path: Path) -> NDArray[Any]:
    from PIL import Image, ImageOps

    with _reading(path, "image"), warnings.catch_warnings():
        # Pillow only warns of a picture whose few bytes unfold to a very large one; here that is an
        # error.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=("PNG", "JPEG")) as opened:
            opened.load()
            turned = ImageOps.exif_transpose(opened)
            return _picture_array(turned, path)


def _picture_array(image: PillowImage, path: Path) -> NDArray[Any]:
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "1":
        image = image.convert("L")
    pixels = np.asarray(image)
    if image.mode in ("RGBA", "LA"):
        if pixels[..., -1].min() < 255:
            raise UnusableFileError(
                f"image {path} is transparent in places, so its colours depend on a background; "
                "flatten it first"
            )
        pixels = pixels[..., :-1]
    elif image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow has shown PNGs of 16 bits a pixel under both modes.
        pixels = pixels.astype(np.uint16)
    elif image.mode not in ("L", "RGB"):
        raise UnusableFileError(
            f"image {path} is of the colour mode {image.mode}; expected grey or RGB, so convert it "
            "first"
        )
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _read_array(path: Path, key: str | None, usual_keys: Sequence[str]) -> Images:
    with _reading(path, "images"):
        if path.suffix.lower() == ".npy":
            if key is not None:
                raise UnusableFileError(
                    f"key {key!r} names an array of an .npz file, and {path} is none"
                )
            # numpy.load takes whatever is not NumPy's own format for a pickle and says so, which
            # would mislead here.
            with path.open("rb") as file:
                start = file.read(len(np.lib.format.MAGIC_PREFIX))
            if start != np.lib.format.MAGIC_PREFIX:
                raise UnusableFileError(f"images {path} are no .npy file, whatever the name says")
            return Images(_unpickled_never(path, None), None, path.name)
        with zipfile.ZipFile(path) as archive:
            names = [name[: -len(".npy")] for name in archive.namelist() if name.endswith(".npy")]
        chosen = _choose_key(path, names, key, usual_keys)
        return Images(_unpickled_never(path, chosen), None, f"{path.name} ({chosen})")


def _unpickled_never(path: Path, key: str | None) -> NDArray[Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if key is None:
            return loaded
        with loaded:
            return loaded[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise UnusableFileError(
            f"images {path} hold Python objects, which are not unpickled, as that could run code; "
            "save them as an array of numbers"
        ) from error


def _choose_key(
    path: Path, names: Sequence[str], key: str | None, usual_keys: Sequence[str]
) -> str:
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


# --------------------------------------------------------------------------------------------------
# Images for a model

_SCALES: dict[str, tuple[float, float]] = {
    # name: (lowest, highest) value of the scaled pixels
    "0..1": (0.0, 1.0),
    "-1..1": (-1.0, 1.0),
}
scale_names: tuple[str, ...] = ("auto", *_SCALES, "none")
"""Names of the ways in which `fit_to_model` scales pixels."""

_GREY_WEIGHTS = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class ModelInputs:
    """Images in the shape that a model takes, scaled only when taken out: large data stays small.

    Attributes
    ----------
    names : tuple of str
        A name for each image, unique.
    picture_shape : tuple of int or None
        (height, width, channels) of an image, also for a model that takes flat vectors; None where
        the data is flat too.
    description : str
        One line: what was read and how it was scaled.
    """

    names: tuple[str, ...]
    picture_shape: tuple[int, int, int] | None
    description: str
    _values: NDArray[Any]
    _white: float
    _range: tuple[float, float]

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Give a slice of the inputs, scaled: (n, *input_shape), float32."""
        values = self._values[rows].astype(np.float32)
        # Divided and not multiplied by 1/255, to be the same numbers to the last bit as those that
        # most networks were trained on.
        low, high = self._range
        return values / np.float32(self._white) * np.float32(high - low) + np.float32(low)

    def batches(self, batch_size: int) -> Iterator[NDArray[np.float32]]:
        """Go through the inputs in batches, scaled."""
        for start in range(0, len(self), batch_size):
            yield self[start : start + batch_size]

    def as_pictures(self, maps: NDArray[Any]) -> NDArray[Any]:
        """Give maps (n, *input_shape) the shape of the pictures, (n, height, width, channels).

        Raises
        ------
        UnusableFileError
            If the data came as flat vectors, which have no height and width.
        """
        if self.picture_shape is None:
            raise UnusableFileError(
                "the data are flat vectors, of which no picture can be drawn; give the images as "
                "an array (n, height, width)"
            )
        return maps.reshape(len(maps), *self.picture_shape)


def fit_to_model(
    images: Images,
    input_shape: Sequence[int | None],
    *,
    model_scales: bool = False,
    scale: str = "auto",
    resize: bool = False,
    grayscale: bool = False,
    first: int | None = None,
) -> ModelInputs:
    """Bring images into the shape and scale that a model takes, without guessing.

    Converted without being asked is only what leaves no choice: a grey image for a model of three
    channels, a colour image whose three channels are equal for a model of one, an image for a model
    that takes flat vectors of as many values. Anything else is refused with the way out.

    Parameters
    ----------
    images : Images
    input_shape : sequence of int or None
        The shape of one input, without the batch axis; None for a free side.
    model_scales : bool
        Whether the model scales its inputs itself (`begins_with_scaling`).
    scale : {"auto", "0..1", "-1..1", "none"}
        "auto" brings integer pixels (uint8, uint16) to 0..1, unless the model scales them itself,
        and takes floating values as they are. "none" takes all values as they are. The others bring
        pixels, integer or floating, to the range that they name.
    resize : bool
        Resize (bilinear) images of another height or width.
    grayscale : bool
        Convert colour images by their luminance (ITU-R BT.601) for a model of one channel.
    first : int, optional
        Take only so many images.

    Returns
    -------
    ModelInputs

    Raises
    ------
    UnusableFileError
        If the images do not fit, hold NaN or infinite values, or their scale is not clear.
    ValueError
        If `scale` or `first` is unknown or out of range.
    """
    if scale not in scale_names:
        raise ValueError(f"scale is {scale!r}; expected one of {', '.join(scale_names)}")
    if first is not None and first < 1:
        raise ValueError(f"first is {first}; expected at least 1")
    shape = tuple(input_shape)
    notes: list[str] = []
    if isinstance(images.arrays, list):
        arrays = images.arrays[:first]
    else:
        values = images.arrays
        if values.dtype.kind not in "buif":
            raise UnusableFileError(
                f"{images.source} holds {values.dtype} values; expected pixels, which are integers "
                "or floating numbers"
            )
        if len(shape) == 1 and values.ndim in (1, 2) and values.shape[-1] == shape[0]:
            flat = values.reshape(-1, values.shape[-1])[:first]
            return _scaled(flat, flat.shape, None, images, model_scales, scale, notes)
        arrays = list(_as_pictures(values, shape, images.source, resize)[:first])
    if not arrays:
        raise UnusableFileError(f"{images.source} holds no images")

    fitted: list[NDArray[Any]] = []
    for i, array in enumerate(arrays):
        name = images.names[i] if images.names else f"{images.source}, image {i}"
        array, done = _fit_picture(array, shape, name, resize, grayscale)
        notes += [note for note in done if note not in notes]
        if fitted and array.shape != fitted[0].shape:
            raise UnusableFileError(
                f"{name} has the shape {_by(array.shape)} and the images before it "
                f"{_by(fitted[0].shape)}; expected one shape for all: resize them first"
            )
        if fitted and array.dtype != fitted[0].dtype:
            raise UnusableFileError(
                f"{name} holds {array.dtype} values and the images before it {fitted[0].dtype}; "
                "expected one type for all"
            )
        fitted.append(array)
    stacked = np.stack(fitted)
    rows = (len(stacked), stacked[0].size) if len(shape) == 1 else stacked.shape
    if len(shape) == 2:
        rows = stacked.shape[:3]
    return _scaled(stacked, rows, stacked.shape[1:], images, model_scales, scale, notes)


def _as_pictures(
    values: NDArray[Any], shape: tuple[int | None, ...], source: str, resize: bool
) -> NDArray[Any]:
    """Read an array as (n, height, width, channels) in the one way that fits the model's input."""
    if values.ndim == 2 and len(shape) == 3 and None not in shape:
        height, width, channels = shape
        if values.shape[1] == height * width * channels:  # type: ignore[operator]
            raise UnusableFileError(
                f"{source} holds flat vectors, {_by(values.shape)}, and the model takes "
                f"{_by(shape)}; give them that shape with numpy.reshape"
            )
    ways: dict[int, list[NDArray[Any]]] = {
        4: [values],
        3: [values[..., np.newaxis], values[np.newaxis]],
        2: [values[np.newaxis, ..., np.newaxis]],
    }
    candidates = ways.get(values.ndim, [])
    if len(candidates) > 1:
        # Resizing could make either reading fit, so that only the number of channels is left to
        # tell them apart.
        fitting = [c for c in candidates if _fits(c.shape[1:], shape, any_size=resize)]
        if len(fitting) == 2 and fitting[0].size and fitting[1].shape == fitting[0].shape:
            fitting = fitting[:1]
        if len(fitting) > 1:
            raise UnusableFileError(
                f"{source} has the shape {_by(values.shape)}, which could be images without or one "
                "image with channels; give it four axes, (n, height, width, channels)"
            )
        # An array that fits in no way is reported under the likelier reading.
        likelier = 1 if values.shape[-1] in (1, 3, 4) else 0
        candidates = fitting or [candidates[likelier]]
    if not candidates:
        raise UnusableFileError(
            f"{source} has the shape {_by(values.shape)} and the model takes {_by(shape)}; "
            "expected (n, height, width, channels) or (n, height, width)"
        )
    return candidates[0]


def _fits(
    picture: tuple[int, ...], shape: tuple[int | None, ...], *, any_size: bool = False
) -> bool:
    height, width, channels = picture
    if len(shape) == 1:
        return shape[0] in (height * width * channels, height * width if channels == 3 else None)
    expected = (*shape, 1) if len(shape) == 2 else shape
    if len(expected) != 3:
        return False
    right_size = any_size or (expected[0] in (height, None) and expected[1] in (width, None))
    convertible = channels in (1, 3, 4) and expected[2] in (1, 3)
    return right_size and (channels == expected[2] or expected[2] is None or convertible)


def _fit_picture(
    array: NDArray[Any],
    shape: tuple[int | None, ...],
    name: str,
    resize: bool,
    grayscale: bool,
) -> tuple[NDArray[Any], list[str]]:
    """Fit one image (height, width, channels); also say in words what was changed."""
    notes = []
    height, width, channels = array.shape
    if len(shape) not in (1, 2, 3):
        raise UnusableFileError(f"the model takes {_by(shape)}, which is no image")
    if len(shape) == 1:
        wanted_size: tuple[int | None, int | None] = (height, width)
        wanted_channels = next(
            (count for count in (channels, 1) if height * width * count == shape[0]), None
        )
        if wanted_channels is None:
            raise UnusableFileError(
                f"{name} has the shape {_by(array.shape)} and the model takes flat vectors of "
                f"{shape[0]} values; give images with as many pixels"
            )
    else:
        wanted_size = (shape[0], shape[1])
        wanted_channels = shape[2] if len(shape) == 3 else 1

    if wanted_channels is not None and channels != wanted_channels:
        if channels == 1 and wanted_channels == 3:
            array = np.repeat(array, 3, axis=-1)
            notes.append("grey repeated as red, green and blue")
        elif channels == 3 and wanted_channels == 1:
            if (array == array[..., :1]).all():
                array = array[..., :1]
                notes.append("its equal red, green and blue taken as grey")
            elif grayscale:
                grey = array.astype(np.float64) @ _GREY_WEIGHTS
                grey = np.rint(grey) if array.dtype.kind in "bui" else grey
                array = grey.astype(array.dtype)[..., np.newaxis]
                notes.append("colours converted to grey by luminance")
            else:
                raise UnusableFileError(
                    f"{name} is in colour, {_by(array.shape)}, and the model takes {_by(shape)}; "
                    "--grayscale converts it by luminance"
                )
        else:
            way_out = (
                "; is it (n, channels, height, width)? Then move its channels last"
                if wanted_size == (width, channels) and height in (1, 3)
                else ""
            )
            raise UnusableFileError(
                f"{name} has {channels} channels, {_by(array.shape)}, and the model takes "
                f"{_by(shape)}{way_out}"
            )

    target = (wanted_size[0] or height, wanted_size[1] or width)
    if target != (height, width):
        if not resize:
            raise UnusableFileError(
                f"{name} has the shape {_by((height, width, channels))} and the model takes "
                f"{_by(shape)}; --resize resizes it"
            )
        array = _resized(array, target)
        distorted = "" if height * target[1] == width * target[0] else ", proportions changed"
        notes.append(f"resized to {_by(target)}{distorted}")
    return array, notes


def _resized(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    from PIL import Image

    channels = [
        np.asarray(
            Image.fromarray(array[..., c].astype(np.float32)).resize(
                (size[1], size[0]), Image.Resampling.BILINEAR
            )
        )
        for c in range(array.shape[-1])
    ]
    resized = np.stack(channels, axis=-1)
    if array.dtype.kind == "f":
        return resized.astype(array.dtype)
    return np.rint(resized).astype(array.dtype)


def _scaled(
    values: NDArray[Any],
    rows: tuple[int, ...],
    picture_shape: tuple[int, ...] | None,
    images: Images,
    model_scales: bool,
    scale: str,
    notes: list[str],
) -> ModelInputs:
    if not values.size:
        raise UnusableFileError(f"{images.source} holds no images")
    dtype = values.dtype
    smallest, largest = values.min(), values.max()  # NaN if there is one
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        raise UnusableFileError(
            f"{images.source} holds NaN or infinite values, first in image {int(bad.argmax())}; "
            "expected finite pixels"
        )
    is_pixels = dtype in (np.uint8, np.uint16)
    white = 65535 if dtype == np.uint16 else 255
    found = f"{dtype} values {smallest:.6g} to {largest:.6g}"
    if scale == "auto" and is_pixels and not model_scales:
        scale = "0..1"
    elif scale == "auto":
        if dtype.kind in "iu" and not is_pixels:
            raise UnusableFileError(
                f"{images.source} holds {found}, and how they are scaled is not clear; give "
                "--scale 0..1 for pixels of 0..255, --scale none to take them as they are"
            )
        scale = "none"
    if scale == "none":
        white, values_range = 1, (0.0, 1.0)
        why = ", which the model scales itself" if model_scales else ""
        how = f"{found} taken as they are{why}"
    else:
        if smallest < 0 or largest > white:
            raise UnusableFileError(
                f"{images.source} holds {found}; --scale {scale} expects pixels in 0..{white}"
            )
        values_range = _SCALES[scale]
        how = f"{dtype} pixels scaled from 0..{white} to {scale}"
    count = len(values)
    read = "1 image" if count == 1 else f"{count} images"
    size = _by(picture_shape) if picture_shape is not None else f"{values.shape[1]} values"
    return ModelInputs(
        names=images.names[:count] if images.names else tuple(f"image {i}" for i in range(count)),
        picture_shape=picture_shape,  # type: ignore[arg-type]
        description=one_line(
            f"Read {read} of {size} from {images.source}: {'; '.join([*notes, how])}."
        ),
        _values=values.reshape(rows),
        _white=white,
        _range=values_range,
    )


def _by(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if side is None else str(side) for side in shape)


# --------------------------------------------------------------------------------------------------
# Results


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    Gives the path of a temporary sibling to write to; when the block ends without an exception it
    takes the place of `path`, otherwise it is removed and what was at `path` stays as it was.

    Raises
    ------
    UnusableFileError
        If the file cannot be put there.
    """
    path = Path(path)
    if path.is_dir():
        raise UnusableFileError(f"{path} is a folder; expected the path of a file to write")
    temporary = _sibling(path)
    with _created_parents(path), _writing(path):
        try:
            # Opening it now says at once if nothing can be written here.
            temporary.open("xb").close()
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


RECORD_NAME = "run.json"
"""The file by which a folder is known as results of this package; it says how they came about."""


@contextmanager
def results_folder(
    path: str | os.PathLike[str], record: Mapping[str, Any], *, replace: bool = False
) -> Iterator[Path]:
    """Write a folder of results so that it appears whole or not at all.

    Gives a temporary sibling folder to write to; when the block ends without an exception, `record`
    is added as `run.json` and the folder takes the place of `path`. Otherwise it is removed.

    Parameters
    ----------
    path : str or path
        The folder to come; it may exist if it is empty.
    record : mapping
        How the results came about; what JSON can hold. It may be added to inside the block.
    replace : bool
        Replace a folder of earlier results; known by its `run.json`, so that no other folder is
        ever removed.

    Raises
    ------
    UnusableFileError
        If there is something else at `path` or the folder cannot be written.
    """
    path = Path(os.path.abspath(path))
    _check_results_path(path, replace)
    temporary = _sibling(path)
    with _created_parents(path), _writing(path):
        try:
            temporary.mkdir()
            yield temporary
            text = json.dumps(record, indent=2, ensure_ascii=False)
            (temporary / RECORD_NAME).write_text(text + "\n", encoding="utf-8")
            _check_results_path(path, replace)
            earlier = _sibling(path)
            if path.exists():
                os.replace(path, earlier)
            try:
                os.replace(temporary, path)
            except OSError:
                if earlier.exists():
                    os.replace(earlier, path)
                raise
            shutil.rmtree(earlier, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _check_results_path(path: Path, replace: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise UnusableFileError(f"results {path} is a file; expected a folder that is new or empty")
    if not (path / RECORD_NAME).is_file():
        raise UnusableFileError(
            f"results folder {path} holds other files; expected a folder that is new or empty, so "
            "name another"
        )
    if not replace:
        raise UnusableFileError(
            f"results folder {path} holds earlier results; name another, or --overwrite replaces "
            "them"
        )


def _sibling(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


@contextmanager
def _created_parents(path: Path) -> Iterator[None]:
    missing = [parent for parent in path.absolute().parents if not parent.exists()]
    with _writing(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in missing:  # the innermost comes first
            try:
                parent.rmdir()
            except OSError:
                break
        raise


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except UnusableFileError:
        raise
    except OSError as error:
        raise UnusableFileError(
            f"{path} cannot be written: {error.strerror or one_line(error, 200)}"
        ) from error


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into one sentence that names the file."""
    try:
        yield
    except UnusableFileError:
        raise
    except MemoryError as error:
        raise UnusableFileError(f"{what} {path} is too large for this machine's memory") from error
    except PermissionError as error:
        raise UnusableFileError(
            f"{what} {path} may not be read: {error.strerror}; check its permissions"
        ) from error
    except Exception as error:
        raise UnusableFileError(
            f"{what} {path} cannot be read: {one_line(error, 200) or type(error).__name__}"
        ) from error


def _neighbours(path: Path) -> str:
    """Name files next to a missing one that its name may have been meant for."""
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f" (there is no folder {path.parent} either)"
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" (did you mean {path.parent / close[0]}?)" if close else ""
