"""Operations evaluated together with how their values change."""

from __future__ import annotations

import tensorflow as tf

from insens_tf.execution import Compiled
from insens_tf.graph import Graph

__all__ = ["value_and_rates"]


def value_and_rates(graph: Graph, position: int) -> Compiled:
    """Return what evaluates an operation and pushes rates of change through it.

    From the operands' values, (n, *shape) each, and their rates, (n * k, *shape) each, k for every
    value, to those of the operation.
    """
    operation = graph.operations[position]
    count = len(operation.operands)

    def function(*arrays: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values, rates = arrays[:count], arrays[count:]
        return operation(*values), operation.pushed(values, rates)

    shapes = [(None, *graph.operations[one].shape) for one in operation.operands]
    return Compiled(function, 2 * [tf.TensorSpec(shape, graph.dtype) for shape in shapes])
