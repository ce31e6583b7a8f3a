"""Which way to take for which layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from insens_tf.accumulation import SQUARES, Accumulation
from insens_tf.graph import Graph
from insens_tf.row_norms.crops import Crops
from insens_tf.row_norms.narrow import Narrow
from insens_tf.row_norms.per_neuron import Backward, Gradient
from insens_tf.row_norms.probes import Probes
from insens_tf.row_norms.stateless import Stateless
from insens_tf.row_norms.way import Cost, Way

__all__ = ["WAYS", "Choice", "choose", "counted"]

WAYS: dict[str, type[Way]] = {
    "stateless": Stateless,
    "crops": Crops,
    "narrow": Narrow,
    "backward": Backward,
    "probes": Probes,
    "gradient": Gradient,
}
"""The ways there are, by name; a new one has its place here."""

EXCESS = 4
"""Twice the memory that there is has to save more than 2**4 times the work."""

# What is left of a budget may be nothing.
LEAST_BUDGET = 2**20


@dataclass(frozen=True)
class Choice:
    """The ways that were chosen.

    Attributes
    ----------
    ways : dict of int to str
        By layer, as a position in the graph: the name of its way.
    alone : dict of int to Cost
        What each layer costs by itself.
    together : Cost
        What all of them cost: layers that go the same way share its work.
    """

    ways: dict[int, str]
    alone: dict[int, Cost]
    together: Cost

    @property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """The layers of each way."""
        return _groups(self.ways)


def choose(
    graph: Graph,
    needed: Mapping[int, float],
    memory_budget: float,
    way: str | None = None,
    accumulation: Accumulation = SQUARES,
) -> Choice:
    """Choose the way that each layer is to go.

    Each first goes the way that is cheapest for it alone, then whichever makes all of them together
    cheaper, as long as there is one. What takes more memory than it may counts as dearer by
    `EXCESS`: it is chosen where nothing takes less, or only at the price of far more work.

    Parameters
    ----------
    graph : Graph
    needed : mapping of int to float
        The layers' positions, and how many of their neurons will be needed.
    memory_budget : int
        In bytes.
    way : str, optional
        The way that all must go.
    accumulation : Accumulation
        What is made of each w.

    Raises
    ------
    ValueError
        If the named way cannot be taken for a layer.
    """
    costs = {
        position: {
            name: cost
            for name, one in WAYS.items()
            if (one.holds_weights or accumulation is SQUARES)
            if (cost := one.cost(graph, {position: count}, memory_budget)).is_possible
        }
        for position, count in needed.items()
    }
    for position, possible in costs.items():
        if way is not None and way not in possible:
            names = ", ".join(repr(name) for name in possible)
            raise ValueError(
                f"way={way!r} cannot be taken for layer {graph.operations[position].name!r}: "
                f"expected one of {names}, or None for the cheapest"
            )

    @cache
    def of_group(name: str, positions: tuple[int, ...]) -> Cost:
        if WAYS[name].shares_work:
            return WAYS[name].cost(graph, {one: needed[one] for one in positions}, memory_budget)
        return _total([costs[one][name] for one in positions])

    def together(ways: dict[int, str]) -> Cost:
        return _total([of_group(*group) for group in _groups(ways).items()])

    def price(cost: Cost) -> float:
        excess = max(1.0, cost.memory / max(memory_budget, LEAST_BUDGET))
        return cost.work * excess**EXCESS

    ways = {
        position: way or min(possible, key=lambda name: price(possible[name]))
        for position, possible in costs.items()
    }
    best = together(ways)
    improved = way is None
    while improved:
        improved = False
        for position, possible in costs.items():
            for name in possible:
                if name == ways[position]:
                    continue
                other = ways | {position: name}
                cost = together(other)
                if price(cost) < price(best):
                    ways, best, improved = other, cost, True
    alone = {position: possible[ways[position]] for position, possible in costs.items()}
    return Choice(ways, alone, best)


def counted(
    graph: Graph, choice: Choice, needed: Mapping[int, float], memory_budget: float
) -> Choice:
    """Return the same ways with what they cost for other numbers of needed neurons."""
    alone = {
        position: WAYS[name].cost(graph, {position: needed[position]}, memory_budget)
        for position, name in choice.ways.items()
    }
    groups = [
        WAYS[name].cost(graph, {one: needed[one] for one in positions}, memory_budget)
        for name, positions in choice.groups.items()
    ]
    return Choice(choice.ways, alone, _total(groups))


def _total(costs: list[Cost]) -> Cost:
    return Cost(
        sum(one.work for one in costs),
        max(one.arrays for one in costs),
        sum(one.functions for one in costs),
    )


def _groups(ways: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    groups: dict[str, tuple[int, ...]] = {}
    for position, name in ways.items():
        groups[name] = (*groups.get(name, ()), position)
    return groups
