"""Seeing maps: signed maps as red, white and blue pictures, pictures side by side in a grid.

`heatmap` draws what the paper's figures draw: white where a map is 0, red where it is positive,
blue where it is negative, the intensity normalised in every map by that map's largest magnitude.
`picture` turns a model's inputs into pictures that can stand next to them, and `grid` sets pictures
into a figure. Arrays go in and arrays or a `matplotlib.figure.Figure` come out; nothing here uses
`matplotlib.pyplot` or any other global state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from insens_tf.picture_grid import grid
from insens_tf.real_numbers import finite_real_numbers

__all__ = ["LEGEND", "channel_rules", "grid", "heatmap", "picture"]

LEGEND = "Red: positive, blue: negative, white: 0, each map by its own largest magnitude"
"""What stands above heatmaps."""


def _sum_of_channels(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sum(maps, axis=-1)


def _channel_of_largest_magnitude(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    strongest = np.argmax(np.abs(maps), axis=-1)[..., np.newaxis]
    return np.take_along_axis(maps, strongest, axis=-1)[..., 0]


_CHANNEL_RULES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "sum": _sum_of_channels,
    "largest": _channel_of_largest_magnitude,
}

channel_rules: tuple[str, ...] = tuple(_CHANNEL_RULES)
"""Names of the rules by which `heatmap` makes one signed value of a pixel's colour channels."""

# Beyond these the last axis of a rank 3 array is hardly a colour axis (grey, grey and alpha, RGB,
# RGB and alpha).
_LARGEST_COLOUR_AXIS = 4


def heatmap(
    maps: ArrayLike, channels: str | None = "sum", *, dtype: DTypeLike = np.uint8
) -> NDArray[Any]:
    """Draw signed maps: white at 0, red where positive, blue where negative.

    Each map is divided by its own largest magnitude, so its strongest pixel is full red or full
    blue and the others are in proportion. A map that is 0 everywhere is white.

    Parameters
    ----------
    maps : array_like of real numbers
        One map or a batch of any size, also an empty one. Whether the last axis holds colour
        channels is said by `channels` and never guessed from the shape:

        ==================  =============================  ==========================
        `channels`          one map                        a batch
        ==================  =============================  ==========================
        the name of a rule  (height, width, channels)      (n, height, width, channels)
        None                (height, width)                (n, height, width)
        ==================  =============================  ==========================

        A rank 2 array can only be one map without channels and is taken as such under any rule. A
        rank 3 array with more than 4 entries on its last axis is refused under a named rule: it
        looks like a batch without channels.
    channels : {"sum", "largest"} or None, default "sum"
        The rule that makes one signed value of a pixel's colour channels. "sum" is what happens to
        the quantity when all channels of the pixel change alike (for contributions: the pixel's
        whole contribution), and since maps are normalised it draws the same picture as the mean
        would. "largest" takes the channel with the largest magnitude, with its sign, so that
        opposite signs in one pixel do not cancel. None: there is no channel axis.
    dtype : numpy dtype, default uint8
        uint8 for values in 0..255, or a floating type for values in 0..1.

    Returns
    -------
    numpy.ndarray
        RGB, of shape (height, width, 3) for one map and (n, height, width, 3) for a batch.

    Raises
    ------
    ValueError
        If the shape and `channels` do not go together, a value is not finite, the values are not
        real numbers, or `channels` or `dtype` is unknown.
    """
    if channels is not None and channels not in _CHANNEL_RULES:
        known = ", ".join(repr(name) for name in _CHANNEL_RULES)
        raise ValueError(f"channels is {channels!r}; expected one of {known}, or None.")
    out_dtype = _picture_dtype(dtype)
    values = finite_real_numbers(maps, "maps")
    has_channels = _has_channel_axis(values.shape, channels)
    single = values.ndim - has_channels == 2
    batch = values[np.newaxis] if single else values
    if 0 in batch.shape[1:]:
        raise ValueError(f"maps has the shape {values.shape}, which leaves no pixel to draw.")

    # Dividing before the channels are reduced keeps very large values from overflowing in their
    # sum.
    batch = _divided_by_largest_magnitude(batch)
    if has_channels and channels is not None:
        batch = _divided_by_largest_magnitude(_CHANNEL_RULES[channels](batch))

    magnitude = np.abs(batch)
    rgb = np.stack(
        [
            np.where(batch < 0, 1 - magnitude, 1),  # red goes where the map is negative
            1 - magnitude,
            np.where(batch > 0, 1 - magnitude, 1),  # blue goes where it is positive
        ],
        axis=-1,
    )
    if out_dtype == np.uint8:
        rgb = np.rint(rgb * 255)
    rgb = rgb.astype(out_dtype)
    return rgb[0] if single else rgb


def picture(images: ArrayLike) -> NDArray[np.uint8]:
    """Make RGB pictures of a model's inputs, to be shown next to their maps.

    Parameters
    ----------
    images : array_like of real numbers
        (height, width), (height, width, channels) or (n, height, width, channels), with 1 (grey) or
        3 (RGB) channels. uint8 values are pixels already. Of other types, values that all lie in
        0..1 are stretched to 0..255, values that all lie in 0..255 are rounded, and anything else
        (standardised inputs, say) is stretched from the smallest to the largest value of the whole
        array.

    Returns
    -------
    numpy.ndarray of uint8
        RGB, (height, width, 3) or (n, height, width, 3).

    Raises
    ------
    ValueError
        If the shape is none of these, or a value is not a finite real number.
    """
    values = finite_real_numbers(images, "images")
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if values.ndim not in (3, 4) or values.shape[-1] not in (1, 3):
        raise ValueError(
            f"images has the shape {values.shape}; expected (height, width), or (height, width, "
            "channels) or (n, height, width, channels) with 1 or 3 channels. Add a channel axis to "
            "grey images with images[..., numpy.newaxis]."
        )
    if np.asarray(images).dtype != np.uint8 and values.size:
        smallest, largest = values.min(), values.max()
        if smallest >= 0 and largest <= 1:
            values = values * 255
        elif smallest < 0 or largest > 255:
            # Halving first keeps the difference of two very large values of opposite sign finite.
            span = max(largest / 2 - smallest / 2, np.finfo(np.float64).tiny)
            values = (values / 2 - smallest / 2) / span * 255
    pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _has_channel_axis(shape: tuple[int, ...], channels: str | None) -> bool:
    ways = (
        "a rule's name for (height, width, channels) and (n, height, width, channels), or "
        "channels=None for (height, width) and (n, height, width)"
    )
    if len(shape) == 2:
        return False
    if channels is None:
        if len(shape) != 3:
            raise ValueError(
                f"maps has the shape {shape}, which does not go with channels=None; give {ways}."
            )
        return False
    if len(shape) not in (3, 4):
        raise ValueError(
            f"maps has the shape {shape}, which does not go with channels={channels!r}; give "
            f"{ways}."
        )
    if len(shape) == 3 and shape[-1] > _LARGEST_COLOUR_AXIS:
        raise ValueError(
            f"maps has the shape {shape}, which channels={channels!r} reads as one map with "
            f"{shape[-1]} colour channels. Give channels=None if it is a batch of maps without "
            "channels, (n, height, width), or maps[numpy.newaxis] if it really is one map."
        )
    return True


def _divided_by_largest_magnitude(batch: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.max(np.abs(batch), axis=tuple(range(1, batch.ndim)), keepdims=True)
    # A map of zeros stays a map of zeros, which is white.
    return np.divide(batch, largest, out=np.zeros_like(batch), where=largest > 0)


def _picture_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = np.dtype(object)
    if wanted != np.uint8 and wanted.kind != "f":
        raise ValueError(
            f"dtype is {dtype!r}; expected uint8 (values 0..255) or a floating type (values 0..1)."
        )
    return wanted
