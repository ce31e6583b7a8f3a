"""Images with noise around what they show, as in Figure 4 of the paper.

The *digit*, which is what an image shows, is its pixels above a threshold. Noise can be placed
around it in three ways, none of which ever touches the digit:

============  ==================================================================================
place         which pixels are noisy
============  ==================================================================================
"clean"       none
"bordered"    all but the digit and its outline, the border around it
"background"  all but the digit
"framed"      all but the digit and as many pixels as its outline has, along the image's frame
============  ==================================================================================

So "bordered" and "framed" have equally many noisy pixels in each image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from insens_tf.arguments import finite_number, one_of, whole_number

__all__ = [
    "NOISE_FORMS",
    "NOISE_PLACES",
    "NoiseForm",
    "add_noise",
    "digit_mask",
    "frame_mask",
    "noise_mask",
    "noise_on",
    "outline_mask",
]

NOISE_PLACES = ("clean", "bordered", "background", "framed")
"""Where noise can be placed."""

# The eight neighbours of a pixel and itself; not the first axis, which counts the images.
_NEIGHBOURS = np.ones((1, 3, 3), bool)


@dataclass(frozen=True)
class NoiseForm:
    """What Gaussian noise does to a noisy pixel, which the paper leaves open.

    Attributes
    ----------
    mean : float
        Where the noise is centred; 0.5 is mid-grey.
    absolute : bool
        Whether it is the deviation's absolute value that is added to the mean.
    clipped : bool
        Whether the noisy pixel is clipped to 0..1.
    added : bool
        Whether the noise is added to the pixel, or replaces it.
    """

    mean: float = 0.0
    absolute: bool = False
    clipped: bool = False
    added: bool = False


NOISE_FORMS: dict[str, NoiseForm] = {
    "signed": NoiseForm(),
    "clipped": NoiseForm(clipped=True),
    "absolute": NoiseForm(absolute=True),
    "mid_grey": NoiseForm(mean=0.5),
    "clipped_mid_grey": NoiseForm(mean=0.5, clipped=True),
    "signed_added": NoiseForm(added=True),
    "clipped_added": NoiseForm(clipped=True, added=True),
    "absolute_added": NoiseForm(absolute=True, added=True),
    "mid_grey_added": NoiseForm(mean=0.5, added=True),
    "clipped_mid_grey_added": NoiseForm(mean=0.5, clipped=True, added=True),
}
"""Forms of noise by name; `NoiseForm` makes any other."""


def digit_mask(images: NDArray[Any], *, threshold: float = 0.0) -> NDArray[np.bool_]:
    """Tell which pixels are the digit: those brighter than a threshold in some channel.

    Parameters
    ----------
    images : array of floating numbers, shape (n, height, width, channels)
        In 0..1, bright on dark.
    threshold : float
        With 0, every pixel that is not black is part of the digit.

    Returns
    -------
    numpy.ndarray of bool, shape (n, height, width)

    Raises
    ------
    ValueError
        If the images are of another shape, no floating numbers or not in 0..1, or the threshold is
        not in 0..1.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r}: expected a brightness in 0..1")
    return (_checked_images(images) > threshold).any(axis=-1)


def outline_mask(digit: NDArray[np.bool_], *, width: int = 3) -> NDArray[np.bool_]:
    """Tell which pixels are the border around each digit, which are none of the digit's own.

    Parameters
    ----------
    digit : array of bool, shape (n, height, width)
    width : int
        How far the outline reaches: from the digit in at most so many steps to one of the eight
        neighbouring pixels (binary dilation with a square). It ends at the image's edges.

    Returns
    -------
    numpy.ndarray of bool, shape (n, height, width)

    Raises
    ------
    ValueError
        If the digits are no masks of this shape, or the width is not positive.
    """
    digit = _checked_mask("digit", digit)
    iterations = whole_number("width", width, least=1, of="pixels")
    return ndimage.binary_dilation(digit, _NEIGHBOURS, iterations=iterations) & ~digit


def frame_mask(digit: NDArray[np.bool_], counts: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell which pixels are along the frame of each image, a given number of them.

    Taken are pixels that are not the digit's, ring by ring from the image's edge inwards. Of the
    last ring, which is not needed whole, pixels are taken at even distances, clockwise from the top
    left: the frame stays as wide on each side.

    Parameters
    ----------
    digit : array of bool, shape (n, height, width)
    counts : array of int, shape (n,)
        How many pixels each frame is to have.

    Returns
    -------
    numpy.ndarray of bool, shape (n, height, width)

    Raises
    ------
    ValueError
        If an image has fewer pixels beside its digit than are to be taken, or the shapes are
        others.
    """
    digit = _checked_mask("digit", digit)
    remaining = np.asarray(counts)
    free = (~digit).sum(axis=(1, 2))
    if remaining.shape != free.shape or remaining.dtype.kind not in "iu":
        raise ValueError(
            f"counts: expected {len(digit)} integers, one for each digit, came an array of "
            f"{remaining.dtype} of shape {remaining.shape}"
        )
    impossible = np.flatnonzero((remaining < 0) | (remaining > free))
    if impossible.size:
        first = impossible[0]
        raise ValueError(
            f"counts[{first}]={remaining[first]}: expected 0 to {free[first]}, as many pixels as "
            "are not the digit's"
        )
    remaining = remaining.astype(np.int64)
    frame = np.zeros_like(digit)
    for rows, columns in _rings(*digit.shape[1:]):
        available = ~digit[:, rows, columns]
        number = available.sum(axis=1, keepdims=True)
        taken = np.minimum(number, remaining[:, np.newaxis])
        # The k-th of them is taken where k taken / number passes a whole number.
        passed = available.cumsum(axis=1) * taken // np.maximum(number, 1)
        frame[:, rows, columns] = np.diff(passed, axis=1, prepend=0) > 0
        remaining -= taken[:, 0]
    return frame


def noise_mask(
    images: NDArray[Any], place: str, *, threshold: float = 0.0, width: int = 3
) -> NDArray[np.bool_]:
    """Tell which pixels of each image get noise.

    Parameters
    ----------
    images : array of floating numbers, shape (n, height, width, channels)
        In 0..1, bright on dark.
    place : {"clean", "bordered", "background", "framed"}
        None; all but the digit and its outline; all but the digit; all but the digit and as many
        pixels as its outline has, along the image's frame (`frame_mask` says which).
    threshold : float
        Above it a pixel is the digit's.
    width : int
        The outline's width.

    Returns
    -------
    numpy.ndarray of bool, shape (n, height, width)

    Raises
    ------
    ValueError
        If the place is unknown, or another argument out of range.

    References
    ----------
    "State Sensitivity for Deep Neural Network Interpretability", under review at ICLR 2020, Figure
    4 and its description.
    """
    one_of("place", place, NOISE_PLACES)
    digit = digit_mask(images, threshold=threshold)
    if place == "clean":
        return np.zeros_like(digit)
    if place == "background":
        return ~digit
    outline = outline_mask(digit, width=width)
    clean = outline if place == "bordered" else frame_mask(digit, outline.sum(axis=(1, 2)))
    return ~(digit | clean)


def add_noise(
    images: NDArray[Any],
    place: str,
    standard_deviation: float,
    generator: np.random.Generator,
    *,
    form: str | NoiseForm = "signed",
    threshold: float = 0.0,
    width: int = 3,
) -> NDArray[Any]:
    """Return images with Gaussian noise around what they show.

    Noise is drawn for every value of every image, in order, whichever pixels are noisy: with
    generators of one seed, images have the same noise wherever it is placed, and batches of them
    the same as all at once.

    Parameters
    ----------
    images : array of floating numbers, shape (n, height, width, channels)
        In 0..1, bright on dark.
    place : {"clean", "bordered", "background", "framed"}
        As `noise_mask` has it.
    standard_deviation : float
        The noise's standard deviation, before it is made absolute or clipped.
    generator : numpy.random.Generator
        What the noise is drawn from, each channel's independently.
    form : str or NoiseForm
        A name of `NOISE_FORMS`, or a form of your own. The default, "signed", replaces the pixel
        by noise around 0, unclipped.
    threshold : float
        Above it a pixel is the digit's.
    width : int
        The outline's width.

    Returns
    -------
    numpy.ndarray, shape (n, height, width, channels)
        In the images' dtype, float32 or float64; pixels that are not noisy are unchanged.

    Raises
    ------
    ValueError
        If an argument is out of range.
    TypeError
        If the generator is none.

    Examples
    --------
    >>> noisy = add_noise(x_test, "bordered", 1.0, np.random.default_rng(0))
    >>> noisy.shape == x_test.shape
    True
    """
    noisy = noise_mask(images, place, threshold=threshold, width=width)
    return noise_on(images, noisy, standard_deviation, generator, form=form)


def noise_on(
    images: NDArray[Any],
    mask: NDArray[np.bool_],
    standard_deviation: float,
    generator: np.random.Generator,
    *,
    form: str | NoiseForm = "signed",
) -> NDArray[Any]:
    """Return images with Gaussian noise where a mask has it, (n, height, width).

    Parameters, results and errors are those of `add_noise`.
    """
    if isinstance(form, str):
        form = NOISE_FORMS[one_of("form", form, NOISE_FORMS)]
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"generator: expected a numpy.random.Generator, came {type(generator).__name__}; "
            "numpy.random.default_rng(seed) makes one"
        )
    deviation = finite_number("standard_deviation", standard_deviation, least=0)
    dtype = np.float32 if images.dtype == np.float32 else np.float64
    noise = generator.standard_normal(images.shape, dtype) * dtype(deviation)
    values = dtype(form.mean) + (np.abs(noise) if form.absolute else noise)
    if form.added:
        values += images
    if form.clipped:
        values = values.clip(0, 1)
    return np.where(mask[..., np.newaxis], values, images)


def _rings(height: int, width: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows and columns of each ring of pixels, clockwise, from the edge inwards."""
    for ring in range((min(height, width) + 1) // 2):
        top, left, bottom, right = ring, ring, height - 1 - ring, width - 1 - ring
        around = [(top, column) for column in range(left, right + 1)]
        around += [(row, right) for row in range(top + 1, bottom + 1)]
        if bottom > top:
            around += [(bottom, column) for column in range(right - 1, left - 1, -1)]
        if right > left:
            around += [(row, left) for row in range(bottom - 1, top, -1)]
        rows, columns = np.array(around, np.intp).T
        yield rows, columns


def _checked_images(images: Any) -> NDArray[Any]:
    if not isinstance(images, np.ndarray) or images.dtype not in (np.float32, np.float64):
        kind = getattr(images, "dtype", type(images).__name__)
        raise ValueError(
            f"images: expected an array of float32 or float64 in 0..1, came {kind}; divide pixels "
            "in 0..255 by numpy.float32(255)"
        )
    if images.ndim != 4:
        raise ValueError(
            f"images: expected the shape (n, height, width, channels), came {images.shape}; grey "
            "images get their channel by images[..., numpy.newaxis]"
        )
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"images: expected values in 0..1, came {images.min()}..{images.max()}; scale them "
            "before noise is added"
        )
    return images


def _checked_mask(name: str, mask: Any) -> NDArray[np.bool_]:
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.ndim != 3:
        raise ValueError(
            f"{name}: expected an array of bool of the shape (n, height, width), came {mask.dtype} "
            f"of shape {mask.shape}"
        )
    return mask
