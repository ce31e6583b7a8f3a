"""Which way to take for which layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from insens_tf.graph import Graph
from insens_tf.row_norms.crops import Crops
from insens_tf.row_norms.gradient import Gradient
from insens_tf.row_norms.probes import Probes
from insens_tf.row_norms.stateless import Stateless
from insens_tf.row_norms.way import Way

__all__ = ["WAYS", "choose"]

WAYS: dict[str, type[Way]] = {
    "stateless": Stateless,
    "crops": Crops,
    "probes": Probes,
    "gradient": Gradient,
}
"""The ways there are, by name; a new one has its place here."""


def choose(
    graph: Graph, positions: Sequence[int], memory_budget: int, way: str | None = None
) -> list[Way]:
    """Return the ways that together compute the norms of the layers at `positions`.

    Each layer goes the way that is cheapest for it, or the one that is named.

    Raises
    ------
    ValueError
        If the named way cannot be taken for a layer.
    """
    chosen: dict[str, list[int]] = {}
    for position in positions:
        costs = {name: WAYS[name].cost(graph, [position]) for name in WAYS}
        name = way or min(costs, key=lambda name: costs[name])
        if math.isinf(costs[name]):
            possible = ", ".join(repr(one) for one, cost in costs.items() if math.isfinite(cost))
            raise ValueError(
                f"way={name!r} cannot be taken for layer {graph.operations[position].name!r}: "
                f"expected one of {possible}, or None for the cheapest"
            )
        chosen.setdefault(name, []).append(position)
    return [WAYS[name](graph, together, memory_budget) for name, together in chosen.items()]
