"""Checks that numbers are finite and not masked, and the errors that say which are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf.errors import UnreadableModelError
from insens_tf.execution import Compiled
from insens_tf.graph import Graph

__all__ = ["FiniteWeights", "is_finite", "refuse_masks", "too_large"]


class FiniteWeights:
    """Checks the weights as they are now: training may have changed them since the last time.

    A network's results do not show every NaN: TensorFlow's max pooling ignores them.

    Parameters
    ----------
    graph : Graph
        What a model was read as.
    """

    def __init__(self, graph: Graph) -> None:
        # A layer that is used twice has its weights in two operations.
        weights = {
            id(weight): (operation.name, weight)
            for operation in reversed(graph.operations)
            for weight in operation.weights
        }
        self._weights = list(weights.values())[::-1]
        self._sizes = Compiled(self._squares, [])

    def check(self) -> np.ndarray:
        """Raise `UnreadableModelError`, which names the layer, if a weight is NaN or infinite.

        Returns
        -------
        numpy.ndarray, shape (weights,)
            Half the sum of each weight's squares: what is trained, loaded or set has another.
        """
        sizes = self._sizes()
        for index in np.flatnonzero(~np.isfinite(sizes)):
            name, weight = self._weights[index]
            # The squares of very large numbers are infinite, too.
            if not _are_finite(weight):
                raise UnreadableModelError(
                    f"layer {name!r}: expected finite weights, found NaN or infinity in one of "
                    f"shape {tuple(weight.shape)}; did its training diverge? Load weights from "
                    "before that."
                )
        return sizes

    def _squares(self) -> tf.Tensor:
        # Each weight costs one operation, as tracing more takes longer than the whole network.
        sizes = [tf.nn.l2_loss(tf.convert_to_tensor(weight)) for _, weight in self._weights]
        return tf.stack(sizes) if sizes else tf.zeros(0)


def _are_finite(weight: Any) -> bool:
    def numbers() -> tf.Tensor:
        return tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(weight)))

    return bool(Compiled(numbers, [])())


def is_finite(values: np.ndarray) -> bool:
    """Tell whether values are neither NaN nor infinite, without an array of their size."""
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def refuse_masks(argument: str, values: Any) -> None:
    """Raise ValueError if a masked array has masked elements, for which NumPy has numbers too."""
    for one in (values, *values) if isinstance(values, (list, tuple)) else (values,):
        if np.ma.is_masked(one):
            raise ValueError(
                f"{argument}: expected numbers, came a masked array with "
                f"{int(np.ma.getmaskarray(one).sum())} masked elements; fill them in "
                f"(numpy.ma.filled({argument}, value)), or leave out what they belong to"
            )


def too_large(layer: str, dtype: np.dtype) -> ValueError:
    """Return the error for a layer that gave NaN or infinity for finite inputs and weights."""
    way_out = "scale the inputs down"
    if dtype == np.float32:
        way_out += ", or rebuild the model in float64"
    return ValueError(
        f"layer {layer!r}: expected numbers within {dtype}, found ones that are too large on the "
        f"way through the network, though inputs and weights are finite; {way_out}"
    )
