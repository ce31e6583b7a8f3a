"""A hidden layer, as users see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["HiddenLayer"]


@dataclass(frozen=True)
class HiddenLayer:
    """A layer of neurons whose activity a ReLU (or its kin) gates; or an output layer.

    Attributes
    ----------
    index : int or None
        Its place among the network's hidden layers; None for an output layer.
    name : str
        The Keras layer that computes the activity.
    shape : tuple of int
        The shape of its activity for one input.
    position : int
        Where its activity is in the network's graph.
    aliases : tuple of str
        Other Keras layers that mean this one: a ReLU layer of its own, a softmax, or the
        convolution or dense layer whose sums it normalises.
    """

    index: int | None
    name: str
    shape: tuple[int, ...]
    position: int
    aliases: tuple[str, ...] = ()

    @property
    def neurons(self) -> int:
        """The number of neurons."""
        return int(np.prod(self.shape))
