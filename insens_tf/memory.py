"""How many bytes TensorFlow holds in passes through the graph, known before any is done.

A value is held from when it is computed to its last use. What a pass holds at its fullest follows
from that; how much more is resident in practice was measured, with `benchmarks.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from insens_tf.graph import Graph
from insens_tf.operations import Gate, MaxPooling

__all__ = ["TENSORFLOW", "backward", "evaluation", "functions", "gradient", "pushed"]

TENSORFLOW = 32 * 2**20
"""What TensorFlow takes once, at its first compiled functions."""

# The bytes that tracing and compiling a function takes for each operation of the graph.
OF_AN_OPERATION = 2**19

# Resident bytes for each byte that is held: operations run side by side, and not all memory that
# was given back is used again.
RESIDENT_OF_GRADIENT = 1.1
RESIDENT = 1.3

# How many arrays of its size a gate with several pieces takes beside its result.
OF_PIECES = 4


def functions(graph: Graph, positions: Sequence[int]) -> int:
    """Return the bytes that a compiled function up to `positions` takes and keeps."""
    return OF_AN_OPERATION * len(graph.ancestors(positions))


def evaluation(graph: Graph, positions: Sequence[int]) -> float:
    """Return what evaluating `positions` holds, for an input."""
    return RESIDENT * graph.dtype.size * _forward(graph, positions)


def gradient(graph: Graph, positions: Sequence[int]) -> float:
    """Return what evaluating `positions` and differentiating them holds, for an input."""
    kept = {one: graph.operations[one].size for one in _differentiated(graph, positions)}
    results = {position: graph.operations[position].size for position in positions}
    elements = max(_forward(graph, positions, kept), _back(graph, positions, {**kept, **results}))
    return RESIDENT_OF_GRADIENT * graph.dtype.size * elements


def backward(graph: Graph, position: int) -> tuple[float, float]:
    """Return what taking neurons back through one input's state holds: in all, and for each."""
    state = 0
    for one in graph.ancestors([position]):
        operation = graph.operations[one]
        if isinstance(operation, Gate):
            state += operation.size
        elif isinstance(operation, MaxPooling):
            # The winners, and their positions.
            state += 2 * graph.operations[operation.operands[0]].size

    def of_step(one: int) -> int:
        operation = graph.operations[one]
        if isinstance(operation, MaxPooling):
            return graph.operations[operation.operands[0]].size
        if not operation.repeats_operands:
            return 0
        return sum(graph.operations[operand].size for operand in operation.operands)

    each = _back(graph, [position], {}, of_step, chosen=not graph.operations[position].has_rows)
    size = graph.dtype.size
    return (
        size * (state + _forward(graph, [position])),
        RESIDENT * size * each,
    )


def pushed(graph: Graph, positions: Sequence[int]) -> tuple[float, float]:
    """Return what pushing changes of the input forward holds: for an input, and for a change."""
    state = {
        operand: graph.operations[operand].size
        for one in graph.ancestors(positions)
        if graph.operations[one].has_state
        for operand in graph.operations[one].operands
    }
    size = graph.dtype.size
    return (
        size * (sum(state.values()) + _forward(graph, positions)),
        RESIDENT * size * _forward(graph, positions, of_pieces=0),
    )


def _differentiated(graph: Graph, positions: Iterable[int]) -> set[int]:
    """Return the positions of the values that the gradient needs."""
    kept = set()
    for position in graph.ancestors(positions):
        operation = graph.operations[position]
        if isinstance(operation, Gate):
            kept.add(operation.operands[0] if not operation.is_relu else position)
        elif isinstance(operation, MaxPooling):
            kept |= {position, operation.operands[0]}
    return kept


def _forward(
    graph: Graph,
    positions: Sequence[int],
    kept: Mapping[int, int] | None = None,
    *,
    of_pieces: int = OF_PIECES,
) -> int:
    """Return the most elements that are held while an input is evaluated."""
    ancestors = graph.ancestors(positions)
    kept = {} if kept is None else kept
    last_use = graph.last_use(ancestors)
    last_use |= dict.fromkeys([*positions, *kept], len(graph.operations))
    held: dict[int, int] = {}
    most = 0
    for position in ancestors:
        operation = graph.operations[position]
        held[position] = operation.size
        pieces = isinstance(operation, Gate) and not operation.is_relu
        most = max(most, sum(held.values()) + (of_pieces * operation.size if pieces else 0))
        held = {one: size for one, size in held.items() if last_use.get(one, -1) > position}
    return most


def _back(
    graph: Graph,
    positions: Sequence[int],
    kept: Mapping[int, int],
    of_step: Callable[[int], int] = lambda position: 0,
    *,
    chosen: bool = True,
) -> int:
    """Return the most elements that are held on the way back to the input.

    Parameters
    ----------
    graph : Graph
    positions : sequence of int
        Where it begins.
    kept : mapping of int to int
        The elements of the values that are held until the way is past them.
    of_step : callable
        The elements that the step through a position takes beside its gradients.
    chosen : bool
        Whether it begins with an array of the layers' shapes.
    """
    held = {position: graph.operations[position].size for position in positions if chosen}
    waiting = dict(kept)
    most = sum(held.values()) + sum(waiting.values())
    for position in reversed(graph.ancestors(positions)[1:]):
        operands = graph.operations[position].operands
        made = sum(graph.operations[operand].size for operand in operands)
        most = max(most, sum(held.values()) + sum(waiting.values()) + made + of_step(position))
        held.pop(position, None)
        waiting.pop(position, None)
        held |= {operand: graph.operations[operand].size for operand in operands}
    return most
