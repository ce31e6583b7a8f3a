"""What a way makes of the elements of w: the sum of squares, or what another norm needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["ABSOLUTE_VALUES", "LARGEST_VALUE", "SQUARES", "Accumulation"]


@dataclass(frozen=True)
class Accumulation:
    """A number for each element of w, and how these become one, in any order; 0 changes nothing.

    Attributes
    ----------
    of_element : callable
        From a tensor to one of its shape.
    over : callable
        Takes a tensor and an axis or axes, and accumulates over them.
    joined : callable
        From a list of tensors of one shape to their accumulation.
    scattered : callable
        Takes a total, indices and numbers, as `tf.tensor_scatter_nd_add` does.
    of_two : numpy.ufunc
        What `joined` does, of two arrays.
    """

    of_element: Callable[[tf.Tensor], tf.Tensor]
    over: Callable[[tf.Tensor, Any], tf.Tensor]
    joined: Callable[[list[tf.Tensor]], tf.Tensor]
    scattered: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    of_two: np.ufunc

    def of(self, values: tf.Tensor, axes: Any) -> tf.Tensor:
        """Accumulate the elements of a tensor over some axes."""
        return self.over(self.of_element(values), axes)


def _largest(values: list[tf.Tensor]) -> tf.Tensor:
    return reduce(tf.maximum, values)


SQUARES = Accumulation(tf.square, tf.reduce_sum, tf.add_n, tf.tensor_scatter_nd_add, np.add)
"""w w."""

ABSOLUTE_VALUES = Accumulation(tf.abs, tf.reduce_sum, tf.add_n, tf.tensor_scatter_nd_add, np.add)
"""The l1 norm of w, the dual of linf."""

LARGEST_VALUE = Accumulation(tf.abs, tf.reduce_max, _largest, tf.tensor_scatter_nd_max, np.maximum)
"""The linf norm of w, the dual of l1."""
