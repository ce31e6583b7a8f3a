"""Pictures as the page takes them: PNG files in base64, one pixel a value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from insens_tf.heatmap import heatmap
from insens_tf.inline_html import png_in_base64 as png

__all__ = ["MOST_ROWS_OF_AN_ATLAS", "atlas", "png", "signed_png", "thumbnail"]

MOST_ROWS_OF_AN_ATLAS = 16_384
"""Browsers draw no taller pictures."""

_SIDE_OF_A_TILE = 64


def signed_png(maps: NDArray[Any], channels: str | None = None) -> str:
    """Return a signed map as a heatmap, red positive and blue negative; NaN is transparent.

    Parameters
    ----------
    maps : numpy.ndarray, shape (height, width), or with `channels` (height, width, channels)
    channels : str, optional
        A rule of `insens_tf.heatmap.channel_rules`.
    """
    is_there = np.isfinite(maps)
    rgb = heatmap(np.where(is_there, maps, 0)[np.newaxis], channels)[0]
    if channels is not None:
        is_there = is_there.all(axis=-1)
    if is_there.all():
        return png(rgb)
    return png(np.dstack([rgb, np.where(is_there, 255, 0).astype(np.uint8)]))


def atlas(maps: NDArray[Any]) -> dict[str, Any]:
    """Return many maps, (channels, rows, columns), one below the other in one PNG file.

    Large ones are thinned out, to every second place, every third ...
    """
    channels, rows, columns = maps.shape
    step = max(1, math.ceil(max(rows, columns) / _SIDE_OF_A_TILE))
    while channels * math.ceil(rows / step) > MOST_ROWS_OF_AN_ATLAS and step < rows:
        step += 1
    thin = maps[:, ::step, ::step]
    return {
        "png": signed_png_of_batch(thin),
        "rows": thin.shape[1],
        "columns": thin.shape[2],
    }


def signed_png_of_batch(maps: NDArray[Any]) -> str:
    """Return maps, (n, rows, columns), as heatmaps below each other, each by its own largest."""
    is_there = np.isfinite(maps)
    rgb = heatmap(np.where(is_there, maps, 0), None)
    alpha = np.where(is_there, 255, 0).astype(np.uint8)[..., np.newaxis]
    return png(np.concatenate([rgb, alpha], axis=-1).reshape(-1, maps.shape[2], 4))


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Return a picture, (height, width, 3), of at most 64 pixels a side, as a PNG in base64."""
    factor = max(1, math.ceil(max(pixels.shape[:2]) / _SIDE_OF_A_TILE))
    return png(np.asarray(Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels)
