"""Inputs that go through a model batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BATCH_SIZE", "in_batches", "outputs"]

BATCH_SIZE = 256
"""How many inputs go through a model at once where nothing else limits them."""


def in_batches(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield inputs, (n, ...), as batches of at most `BATCH_SIZE`."""
    for start in range(0, len(x), BATCH_SIZE):
        yield x[start : start + BATCH_SIZE]


def outputs(model: Any, x: NDArray[Any]) -> NDArray[Any]:
    """Return what a Keras model gives for inputs, (n, *output_shape)."""
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in in_batches(x)])
