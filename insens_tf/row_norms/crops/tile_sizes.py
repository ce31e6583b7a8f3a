"""How many rows and columns of the input are pushed at a time, what that takes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from insens_tf import memory
from insens_tf.chunks import LARGEST_ARRAY
from insens_tf.graph import Graph
from insens_tf.operations import ELEMENT_WORK
from insens_tf.row_norms.crops.linked_rules import linked_rules
from insens_tf.row_norms.crops.rules import CropRule
from insens_tf.row_norms.crops.tiles import Tiling
from insens_tf.row_norms.way import Cost

__all__ = ["CropSizes", "crop_sizes"]

# What is resident at the peak, for each byte that is counted here: of the crops, which are not all
# there at a time, and of the state. Measured from 32 to 224 pixels.
ALLOCATED = 1.0
ALLOCATED_STATE = 1.2

# What tracing and compiling takes for a row of a layer's crops.
OF_A_CROP_ROW = 2**20

# What the steps for a row of a layer's crops cost, however small they are.
WORK_OF_A_CROP_ROW = 2e6

Rules = Sequence[CropRule[Any]]


@dataclass(frozen=True)
class CropSizes:
    """The sizes of a push.

    Attributes
    ----------
    rules : sequence of CropRule
        Of all operations that crops are pushed through, in order.
    tiling : Tiling
        Which pixels are pushed at a time.
    cost : Cost
        Of all tiles.
    """

    rules: Rules
    tiling: Tiling
    cost: Cost


def crop_sizes(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> CropSizes | None:
    """Return the sizes of a push to the layers `needed`; None if it cannot be done.

    A tile has as many whole rows of blocks as are fast, and as fit; where not one fits, part of it,
    down to a single block, which may not fit either: the cost tells.

    Parameters
    ----------
    graph : Graph
    needed : mapping of int to float
        The layers' positions, and how many of their neurons will be needed.
    memory_budget : int
        In bytes.
    """
    rules = linked_rules(graph, needed)
    if rules is None:
        return None
    height, width, channels = (*graph.input_shape, 1, 1)[:3]
    layouts = [rule.layout for rule in rules if rule.layout is not None]
    coarsest = [max((one.spans[axis].stride for one in layouts), default=1) for axis in (0, 1)]
    whole_width = -(-width // coarsest[1]) * coarsest[1]
    of_a_pixel = channels * graph.dtype.size
    bytes_of_a_pixel = ALLOCATED * of_a_pixel * _peak_elements(rules)
    fastest = LARGEST_ARRAY // (whole_width * of_a_pixel * _largest_crop_row(rules))
    crop_rows = sum(layout.rows.length for layout in layouts)
    # An evaluation, the state, the sums, old and new, and the kernels, spread or gathered.
    sums = sum(rule.operation.size for rule in rules if rule.is_needed)
    state = 2 * sums + sum(rule.state_elements for rule in rules)
    kernels = sum(rule.kernel_elements for rule in rules)
    held = graph.dtype.size * (ALLOCATED_STATE * state + kernels)
    fixed = held + memory.evaluation(graph, list(needed))
    # The function is written down row by row.
    functions = OF_A_CROP_ROW * crop_rows + memory.functions(graph, list(needed))
    fitting = int((memory_budget - fixed - functions) / bytes_of_a_pixel)
    rows_of_blocks = min(max(fastest // coarsest[0], 1), fitting // (coarsest[0] * whole_width))
    if rows_of_blocks >= 1:
        at_most = rows_of_blocks * coarsest[0], whole_width
    else:
        blocks = max(1, fitting // (coarsest[0] * coarsest[1]))
        at_most = coarsest[0], blocks * coarsest[1]
    # As many tiles, and in each about as much.
    down, right = (_even(*one) for one in zip((height, width), at_most, coarsest))
    tiling = Tiling((height, width), (down[0], right[0]), (down[1], right[1]))
    # Beside the work of its components, a tile has many small steps, and adds to the sums.
    work_of_a_tile = ELEMENT_WORK * sums + WORK_OF_A_CROP_ROW * crop_rows
    work = height * whole_width * channels * sum(rule.work for rule in rules)
    cost = Cost(
        work=work + (tiling.count - 1) * work_of_a_tile,
        arrays=fixed + down[0] * right[0] * bytes_of_a_pixel,
        functions=functions,
    )
    return CropSizes(rules, tiling, cost)


def _even(length: int, at_most: int, multiple: int) -> tuple[int, int]:
    """Return a multiple of `multiple`, and how many of it cover `length` in as few goes."""
    chunks = -(-length // at_most)
    size = -(-length // (chunks * multiple)) * multiple
    return size, -(-length // size)


def _largest_crop_row(rules: Rules) -> int:
    """Return the elements of the widest row of crops."""
    return max(
        (rule.crop_row for rule in rules if rule.layout is not None and not rule.is_first),
        default=max(rule.operation.size for rule in rules),
    )


def _peak_elements(rules: Rules) -> int:
    """Return the most elements for a component that are held at once."""
    held: dict[CropRule[Any], int] = {}
    peak = 1
    for rule in rules:
        peak = max(peak, sum(held.values()) + rule.elements_beside + rule.elements)
        held[rule] = rule.elements
        held = {
            one: elements
            for one, elements in held.items()
            if any(consumer.position > rule.position for consumer in one.consumers)
        }
    return peak
