"""How much work is done at a time: chunks chosen from a memory budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from insens_tf.graph import Graph

__all__ = ["at_a_time", "readable_size", "slices"]

# Arrays beyond some 16 MB cost more in page faults than larger chunks save.
LARGEST_ARRAY = 16 * 2**20


def at_a_time(
    graph: Graph,
    positions: Sequence[int],
    memory_budget: float,
    bytes_each: float,
    *,
    at_least: int = 1,
) -> int:
    """Return how many rows to send through the graph up to `positions` at once, at least 1.

    Speed alone never makes it less than `at_least`; the budget may.
    """
    ancestors = graph.ancestors(positions)
    largest = max(graph.operations[position].size for position in ancestors)
    fastest = max(at_least, LARGEST_ARRAY // (largest * graph.dtype.size))
    return max(1, min(int(memory_budget / bytes_each), fastest))


def slices(total: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that cover `range(total)` in order."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def readable_size(size: float) -> str:
    """Return a number of bytes for a reader: "1.5 GiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
