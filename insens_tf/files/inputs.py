"""Images brought to the shape and scale that a model takes, without guessing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.arguments import one_of
from insens_tf.files.file_errors import UnusableFileError, one_line
from insens_tf.files.images import Images

__all__ = ["ModelInputs", "fit_to_model", "scale_names"]

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
    left_out : mapping of str to str
        The paths of pictures that could not be read, and why.
    """

    names: tuple[str, ...]
    picture_shape: tuple[int, int, int] | None
    description: str
    left_out: Mapping[str, str]
    _values: NDArray[Any]
    _white: float
    _range: tuple[float, float]

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Give a slice of the inputs, scaled: (n, *input_shape), float32."""
        values = self._values[rows].astype(np.float32)
        # Dividing, rather than multiplying by 1/255, gives to the last bit the numbers that most
        # networks were trained on.
        low, high = self._range
        return values / np.float32(self._white) * np.float32(high - low) + np.float32(low)

    def black(self) -> NDArray[np.float32]:
        """Give an image whose pixels are 0, scaled like these: (*input_shape), float32."""
        return np.full(self._values.shape[1:], self._range[0], np.float32)

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

    Images are converted without being asked only where there is no choice: a grey image for a model
    of three channels, a colour image whose three channels are equal for a model of one, an image
    for a model that takes flat vectors of as many values. Anything else is refused with the way
    out.

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
    one_of("scale", scale, scale_names)
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
        unread = f" that can be read, of {len(images.left_out)}" if images.left_out else ""
        raise UnusableFileError(f"{images.source} holds no images{unread}")

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
        left_out=images.left_out,
        _values=values.reshape(rows),
        _white=white,
        _range=values_range,
    )


def _by(shape: Sequence[int | None]) -> str:
    return " x ".join("any" if side is None else str(side) for side in shape)
