"""The rules of all operations that crops are pushed through, linked as the graph links these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from insens_tf.graph import Graph
from insens_tf.row_norms.crops.rules import CropRule, NoCropsError, rule_of

__all__ = ["linked_rules"]


def linked_rules(graph: Graph, needed: Mapping[int, float]) -> list[CropRule[Any]] | None:
    """Return the rules of the layers `needed` and of their ancestors, in the graph's order.

    None if crops cannot be pushed through one of them.

    Parameters
    ----------
    graph : Graph
    needed : mapping of int to float
        The layers' positions, and how many of their neurons will be needed.
    """
    rules: dict[int, CropRule[Any]] = {}
    for position in graph.ancestors(needed):
        operation = graph.operations[position]
        make = rule_of(type(operation))
        if make is None:
            return None
        operands = tuple(rules[operand] for operand in operation.operands)
        rules[position] = make(operation, position, operands, needed.get(position))
    linked = list(rules.values())
    try:
        # In order, so that each finds its operands' layouts known.
        for rule in linked:
            _ = rule.layout
    except NoCropsError:
        return None
    return linked
