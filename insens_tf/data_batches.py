"""Data as users have it, array, data set, Keras Sequence or generator, taken batch by batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.arguments import whole_number
from insens_tf.execution import cardinality, elements
from insens_tf.finiteness import refuse_masks

__all__ = ["batches_of", "joined"]


def joined(data: tf.data.Dataset, argument: str) -> NDArray[Any]:
    """Return all inputs of a data set of batches as one array, (n, *input_shape), labels dropped.

    Parameters
    ----------
    data : tf.data.Dataset
    argument : str
        What it is called where it was given, for the messages.

    Raises
    ------
    ValueError
        If it has no end, holds no input, or its batches do not go together.
    """
    try:
        batches = [np.asarray(one) for one in batches_of(data, 1, None)[0]]
        if not batches:
            raise ValueError("data: expected at least one batch of inputs, came none")
        if any(not one.ndim or one.shape[1:] != batches[0].shape[1:] for one in batches):
            raise ValueError("data: expected batches of inputs of one shape; batch(n) makes them")
    except ValueError as error:
        raise ValueError(str(error).replace("data:", f"{argument}:", 1)) from error
    return np.concatenate(batches)


def batches_of(data: Any, batch_size: int, steps: int | None) -> tuple[Iterable[Any], int | None]:
    """Return the batches of inputs in `data`, labels dropped, and how many there are if known.

    Parameters
    ----------
    data : array, tf.data.Dataset, Keras Sequence or generator
        An array (n, *input_shape), or batches: inputs, or tuples that begin with them.
    batch_size : int
        How many inputs of an array make a batch.
    steps : int, optional
        How many batches to take; endless data needs it.

    Raises
    ------
    ValueError
        If data is of another kind, or endless without `steps`.
    """
    if steps is not None:
        whole_number("steps", steps, least=1, of="batches")
    total: int | None
    batches: Iterable[Any]
    if isinstance(data, tf.data.Dataset):
        size = cardinality(data)
        if size == tf.data.INFINITE_CARDINALITY and steps is None:
            raise ValueError(
                "data: this tf.data.Dataset repeats without end; pass steps= or take(n) batches"
            )
        total = size if size >= 0 else None
        batches = elements(data)
    elif isinstance(data, Mapping):
        raise _of_names("data", data)
    elif isinstance(data, list) or hasattr(data, "__array__"):
        whole_number("batch_size", batch_size, least=1, of="samples")
        data = _one_array(data)
        total = -(-len(data) // batch_size)
        batches = (data[start : start + batch_size] for start in range(0, len(data), batch_size))
    elif isinstance(data, tuple):
        raise ValueError(
            "data: expected inputs alone, came a tuple; pass x_train without its labels"
        )
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__"):  # a Keras Sequence
        total = len(data)
        batches = (data[index] for index in range(len(data)))
    elif isinstance(data, Iterable):
        total, batches = None, data
    else:
        raise ValueError(
            "data: expected an array, a tf.data.Dataset, a Keras Sequence or a generator of "
            f"batches, came {type(data).__name__}"
        )
    if steps is not None:
        total = steps if total is None else min(steps, total)
    return _inputs_of(batches, steps), total


def _inputs_of(batches: Iterable[Any], steps: int | None) -> Iterator[Any]:
    for batch in itertools.islice(batches, steps):
        if isinstance(batch, (tuple, list)):
            if not batch:
                raise ValueError("data: expected batches that begin with inputs, came an empty one")
            batch = batch[0]
        if isinstance(batch, Mapping):
            raise _of_names("data: a batch", batch)
        shape = getattr(batch, "shape", None)
        # Filtered or divided data can have batches without samples.
        if shape is None or not len(shape) or shape[0] != 0:
            yield batch


def _one_array(data: Any) -> NDArray[Any]:
    """Return the array (n, *input_shape) that a user gave, or a list of its inputs."""
    refuse_masks("data", data)
    way_out = "pass x_train without its labels; batches of several sizes come from a generator"
    try:
        array = np.asarray(data)
    except ValueError as error:
        shapes = ", ".join(str(np.shape(one)) for one in data[:3])
        raise ValueError(
            f"data: expected inputs of one shape, came a list of {len(data)} things of shapes "
            f"{shapes}{' ...' if len(data) > 3 else ''}; {way_out}"
        ) from error
    if not array.ndim or not len(array):
        raise ValueError(f"data: expected a batch of inputs, came shape {array.shape}")
    return array


def _of_names(what: str, data: Mapping[Any, Any]) -> ValueError:
    names = ", ".join(map(repr, data))
    return ValueError(
        f"{what}: expected inputs alone, came a mapping of {names or 'nothing'}; pass what the "
        "network takes, by its name"
    )
