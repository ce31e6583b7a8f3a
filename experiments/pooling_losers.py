"""Insens where the neurons that lose in max pooling are inactive, too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import insens_tf
from experiments.two_conv_settings import POOLED

__all__ = ["losers_in_pooling", "with_losers_inactive"]


def losers_in_pooling(
    outputs: NDArray[np.floating[Any]], pool_size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which neurons lose in max pooling whose windows do not overlap.

    Parameters
    ----------
    outputs
        Of the layer before, (n, height, width, channels).
    pool_size
        Height and width of a window, and its steps.

    Returns
    -------
    numpy.ndarray of bool, shaped as the outputs
        Of equal ones the first wins; what the border cuts off loses, as nothing is passed on of it.
    """
    rows, columns = pool_size
    n, height, width, channels = outputs.shape
    down, across = height // rows, width // columns
    used = outputs[:, : down * rows, : across * columns]
    windows = used.reshape(n, down, rows, across, columns, channels).transpose(0, 1, 3, 5, 2, 4)
    windows = windows.reshape(n, down, across, channels, rows * columns)
    lost = np.arange(rows * columns) != windows.argmax(axis=-1)[..., np.newaxis]
    lost = lost.reshape(n, down, across, channels, rows, columns).transpose(0, 1, 4, 2, 5, 3)
    losers = np.ones(outputs.shape, bool)
    losers[:, : down * rows, : across * columns] = lost.reshape(used.shape)
    return losers


def with_losers_inactive(
    network: insens_tf.SwitchedNetwork,
    x: NDArray[np.float32],
    layer: str,
    frequency: NDArray[np.floating[Any]],
) -> NDArray[np.float64]:
    """Return Insens of a layer before max pooling whose losing neurons are inactive, too.

    The paper deems them so "regardless of the output they produce" (Section 2).

    Parameters
    ----------
    network
        Of 2CONV.
    x
        Images, (n, height, width, channels).
    layer
        The name of a convolution.
    frequency
        Its m/N (Eq. 8).

    Returns
    -------
    numpy.ndarray
        Shaped as x.
    """
    pooling = network.model.get_layer(POOLED[layer])
    outputs = np.maximum(network.activity(x, layer), 0)
    maps = network.insens(x, layer, frequency, progress=False).astype(np.float64)
    for number, losers in enumerate(losers_in_pooling(outputs, pooling.pool_size)):
        image, weights = x[number : number + 1], np.where(losers, frequency, 0)
        maps[number] += network.insens(image, layer, weights, state="active", progress=False)[0]
    return maps
