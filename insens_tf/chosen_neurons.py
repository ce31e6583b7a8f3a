"""Neurons of a layer, and how a user names them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.argument_types import Neurons
from insens_tf.finiteness import refuse_masks
from insens_tf.hidden_layer import HiddenLayer

__all__ = ["chosen_neurons", "pair_of_neurons"]


def chosen_neurons(layer: HiddenLayer, neurons: Neurons) -> NDArray[np.int64]:
    """Return the flat indices, int64 of shape (k,), of the neurons that are meant.

    Parameters
    ----------
    layer : HiddenLayer
    neurons : None, int, tuple of int, or sequence of int or of tuples
        None: every neuron. An int or a sequence of them: flat indices. A tuple: the multi-index of
        one neuron, such as (row, column, channel); a sequence of tuples: of several.

    Raises
    ------
    ValueError
        If an index is out of range (negative ones are) or of the wrong kind.
    """
    if neurons is None:
        return np.arange(layer.neurons)
    rank = len(layer.shape)
    ways = (
        f"expected None, flat indices in 0..{layer.neurons - 1} such as [0, 3], or multi-indices "
        f"into shape {layer.shape} such as [{(0,) * rank}]"
    )
    refuse_masks("neurons", neurons)
    try:
        indices = np.asarray(neurons)
    except ValueError:
        indices = np.asarray(None)
    if indices.dtype.kind not in "iu" or indices.ndim > 2:
        raise ValueError(
            f"neurons={neurons!r} for layer {layer.name!r}: {ways}; "
            "numpy.flatnonzero turns a mask into flat indices"
        )
    if isinstance(neurons, tuple):
        indices = indices[np.newaxis] if indices.ndim == 1 else indices
    if indices.ndim == 2:
        if indices.shape[1] != rank:
            raise ValueError(
                f"neurons={neurons!r} for layer {layer.name!r}: {ways}; a tuple is one multi-index "
                f"of {rank}, came {indices.shape[1]} numbers"
            )
        limits = np.asarray(layer.shape)
    else:
        limits = np.asarray(layer.neurons)
    indices = np.atleast_1d(indices).astype(np.int64)
    if not indices.size:
        raise ValueError(f"neurons={neurons!r} for layer {layer.name!r} names none: {ways}")
    wrong = (indices < 0) | (indices >= limits)
    if wrong.any():
        first = indices[wrong.any(axis=-1) if indices.ndim == 2 else wrong][0]
        raise ValueError(
            f"neuron {first.tolist()} is out of range for layer {layer.name!r}: {ways}"
        )
    return indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), layer.shape)


def pair_of_neurons(layer: HiddenLayer, difference: Any) -> NDArray[np.int64]:
    """Return the flat indices, int64 of shape (2,), of the neurons of a difference (a, b).

    Raises
    ------
    ValueError
        If it is no pair, or a or b is no neuron of the layer, or they are the same.
    """
    if not isinstance(difference, (tuple, list)) or len(difference) != 2:
        raise ValueError(
            f"difference={difference!r}: expected a pair of neurons (a, b), such as (7, 3), for "
            "what makes a's activity larger than b's"
        )
    pair = [chosen_neurons(layer, one) for one in difference]
    if any(len(one) != 1 for one in pair) or pair[0] == pair[1]:
        raise ValueError(f"difference={difference!r}: expected two neurons, one each")
    return np.concatenate(pair)
