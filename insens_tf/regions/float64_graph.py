"""A graph computed in float64, whatever the model's dtype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf.graph import Graph
from insens_tf.operations import Operation
from insens_tf.operations.operation import Computed

__all__ = ["in_float64"]


def in_float64(graph: Graph) -> Graph:
    """Return a graph with the same weights that takes, computes and gives float64.

    The weights are referred to, and cast whenever they are used.
    """
    if graph.dtype == tf.float64:
        return graph
    return Graph([_operation_in_float64(one) for one in graph.operations], tf.float64)


def _operation_in_float64(operation: Operation) -> Operation:
    values = {one.name: getattr(operation, one.name) for one in fields(operation) if one.init}
    return replace(operation, **{name: _weight_in_float64(one) for name, one in values.items()})


def _weight_in_float64(value: Any) -> Any:
    if isinstance(value, Computed) or hasattr(value, "assign") or tf.is_tensor(value):
        return Computed(_cast(value), tuple(value.shape))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float64)
    return value


def _cast(value: Any) -> Callable[[], tf.Tensor]:
    return lambda: tf.cast(tf.convert_to_tensor(value), tf.float64)
