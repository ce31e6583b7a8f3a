"""Neurons whose state is the same for every sample: dead ones, and those that are always active."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insens_tf.argument_types import FrequencyLike
from insens_tf.frequency_check import checked_frequency
from insens_tf.hidden_layer import HiddenLayer

__all__ = ["ConstantNeurons", "constant_neurons"]


@dataclass(frozen=True)
class ConstantNeurons:
    """The neurons of a layer that were never active over some samples; or always.

    Attributes
    ----------
    layer : HiddenLayer
    mask : numpy.ndarray of bool, shape (*layer shape)
        Which neurons they are.
    """

    layer: HiddenLayer
    mask: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.mask.sum())

    def __repr__(self) -> str:
        return f"ConstantNeurons({len(self)} of {self.mask.size} of {self.layer.name!r})"

    @property
    def indices(self) -> NDArray[np.int64]:
        """Their indices along the layer's axes, (k, axes of the layer), as `project` takes them."""
        return np.argwhere(self.mask)

    @property
    def by_channel(self) -> NDArray[np.int64]:
        """How many there are in each channel, the layer's last axis, (channels,)."""
        return self.mask.reshape(-1, self.mask.shape[-1]).sum(axis=0)

    @property
    def channels(self) -> NDArray[np.int64]:
        """The channels all of whose neurons are such: those that could be cut out, (k,)."""
        places = self.mask.size // self.mask.shape[-1]
        return np.flatnonzero(self.by_channel == places)


def constant_neurons(
    frequency: FrequencyLike, layers: Sequence[HiddenLayer], share: float
) -> dict[str, ConstantNeurons]:
    """Return, by the layer's name, the neurons that have a certain activation frequency.

    Parameters
    ----------
    frequency : mapping of str to array
        m/N of these layers.
    layers : sequence of HiddenLayer
    share : {0.0, 1.0}
        The frequency that they have, exactly.

    Raises
    ------
    ValueError
        If a layer's frequency is missing, of the wrong shape, or outside 0..1.
    """
    found = zip(layers, checked_frequency(frequency, layers, single=False))
    return {
        layer.name: ConstantNeurons(layer, values == share)
        for layer, values in found
        if values is not None
    }
