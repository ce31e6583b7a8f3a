"""A graph with the same values and gradients, in which gates come after the pooling above them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from insens_tf.graph import Graph
from insens_tf.operations import Gate, MaxPooling

__all__ = ["pooling_first"]


def pooling_first(graph: Graph, position: int) -> Graph:
    """Return a graph in which max pooling goes before the ReLU that it follows.

    The largest of a window stays the largest through a ReLU, so that it is enough to apply that to
    the winners. Where none of a window is positive the winner may be another, to which ReLU lets no
    gradient through either. It makes no difference to gradients; to rules of relevance it may.

    Parameters
    ----------
    graph : Graph
    position : int
        Up to which it is used; the values there, and at all others but the ReLUs, are as before.
    """
    ancestors = graph.ancestors([position])
    uses = Counter(operand for one in ancestors for operand in graph.operations[one].operands)
    operations = list(graph.operations)
    for one in ancestors:
        pooling = operations[one]
        if isinstance(pooling, MaxPooling):
            (below,) = pooling.operands
            gate = operations[below]
            if isinstance(gate, Gate) and gate.is_relu and uses[below] == 1 and below != position:
                operations[below] = replace(pooling, operands=gate.operands)
                operations[one] = replace(gate, operands=(below,), shape=pooling.shape)
    return Graph(operations, graph.dtype)
