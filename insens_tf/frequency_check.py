"""The check of activation frequencies that a user gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.argument_types import FrequencyLike
from insens_tf.finiteness import refuse_masks
from insens_tf.layers import HiddenLayer

__all__ = ["checked_frequency"]


def checked_frequency(
    frequency: FrequencyLike, layers: Sequence[HiddenLayer], *, single: bool
) -> list[NDArray[Any] | None]:
    """Return m/N of each layer, float64, from what a user gave.

    Parameters
    ----------
    frequency : None, mapping of str to array, or (with `single`) array
    layers : sequence of HiddenLayer
    single : bool
        Whether one layer was asked for, not a list.

    Raises
    ------
    ValueError
        If a layer's frequency is missing, of the wrong shape, or outside 0..1.
    """
    if frequency is None:
        return [None] * len(layers)
    if isinstance(frequency, Mapping):
        missing = [layer.name for layer in layers if layer.name not in frequency]
        if missing:
            raise ValueError(
                f"frequency: expected an entry for layer {missing[0]!r}, found {list(frequency)}; "
                "activation_frequency gives one for every hidden layer"
            )
        given = [frequency[layer.name] for layer in layers]
    elif single:
        given = [frequency]
    else:
        raise ValueError(
            "frequency: expected a mapping from each layer's name to its array for a list of "
            f"layers, came {type(frequency).__name__}; activation_frequency returns one"
        )
    checked: list[NDArray[Any] | None] = []
    for layer, values in zip(layers, given):
        refuse_masks("frequency", values)
        try:
            array = np.asarray(values)
            if array.dtype.kind not in "buif":
                raise TypeError(f"{array.dtype} is no dtype of real numbers")
            array = array.astype(np.float64, copy=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"frequency of layer {layer.name!r}: expected numbers of shape {layer.shape}, came "
                f"{type(values).__name__} ({error}); use what activation_frequency returns"
            ) from error
        if array.shape != layer.shape:
            raise ValueError(
                f"frequency of layer {layer.name!r}: expected shape {layer.shape}, came "
                f"{array.shape}; use what activation_frequency returns"
            )
        if not ((array >= 0) & (array <= 1)).all():
            raise ValueError(
                f"frequency of layer {layer.name!r}: expected m/N in 0..1, came "
                f"{array.min()}..{array.max()}; divide the counts by the number of samples"
            )
        checked.append(array)
    return checked
