"""What users may pass for a layer, its neurons and its activation frequency, as named types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insens_tf.hidden_layer import HiddenLayer

__all__ = ["FrequencyLike", "KerasLayer", "LayerLike", "Neurons"]


class KerasLayer(Protocol):
    """A layer of a Keras model, of whichever Keras."""

    @property
    def name(self) -> str:
        """The layer's name in the model."""


LayerLike: TypeAlias = str | int | np.integer[Any] | HiddenLayer | KerasLayer
"""One layer: its name, its index among the hidden layers, itself, or a layer of the Keras model."""

Neurons: TypeAlias = (
    int
    | np.integer[Any]
    | Sequence[int | np.integer[Any]]
    | Sequence[Sequence[int | np.integer[Any]]]
    | NDArray[np.integer[Any]]
    | None
)
"""Neurons of one layer: a flat index or several, a tuple that is a multi-index, such as (row,
column, channel), or a sequence of those; None for every neuron."""

FrequencyLike: TypeAlias = Mapping[str, ArrayLike] | ArrayLike | None
"""m/N of Eq. 8, in 0..1: by the name of the layer, or one array of the layer's shape; None where it
is not known."""
