"""How many rows of the input the crops way pushes at a time, what that takes, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from insens_tf import graph as graphs
from insens_tf.chunks import LARGEST_ARRAY
from insens_tf.graph import ELEMENT_WORK, Graph
from insens_tf.row_norms.layouts import Layout, layouts
from insens_tf.row_norms.way import Cost

__all__ = ["CropSizes", "crop_sizes", "touched_rows"]

# What is in memory at the peak, for each byte that is counted here: two operations may run at once,
# and memory that was given back is not all used again. Measured from 32 to 224 pixels.
ALLOCATED = 1.7

# The share of the units below a dense layer that carry anything on, unless it is known.
CARRYING = 0.4


@dataclass(frozen=True)
class CropSizes:
    """The sizes of a push.

    Attributes
    ----------
    layouts : mapping of int to Layout
        Of the layers with positions.
    width : int
        How many columns of the input are pushed: the input's, rounded up to whole blocks.
    rows_at_a_time : int
        How many of its rows, a multiple of every block's.
    chunks : int
        In how many goes that covers the input.
    cost : Cost
        Of all goes.
    """

    layouts: Mapping[int, Layout]
    width: int
    rows_at_a_time: int
    chunks: int
    cost: Cost


def crop_sizes(graph: Graph, needed: Mapping[int, float], memory_budget: int) -> CropSizes | None:
    """Return the sizes of a push to the layers `needed`; None if it cannot be done.

    Parameters
    ----------
    graph : Graph
    needed : mapping of int to float
        The layers' positions, and how many of their neurons will be needed.
    memory_budget : int
        In bytes.
    """
    ancestors = graph.ancestors(needed)
    found = layouts(graph, ancestors)
    if found is None:
        return None
    height, width, channels = (*graph.input_shape, 1, 1)[:3]
    coarsest_rows = max((one.rows.stride for one in found.values()), default=1)
    coarsest_columns = max((one.columns.stride for one in found.values()), default=1)
    width = -(-width // coarsest_columns) * coarsest_columns
    measure = _Measure(graph, ancestors, found, needed)
    components = width * channels
    a_row = components * graph.dtype.size
    # As many as are fast, and as many as fit.
    fastest = LARGEST_ARRAY // (a_row * measure.largest_crop_row())
    fixed = measure.fixed_bytes()
    bytes_of_a_row = ALLOCATED * a_row * measure.peak_elements()
    fitting = int((memory_budget - fixed) / bytes_of_a_row)
    rows = min(max(fastest // coarsest_rows, 1), fitting // coarsest_rows) * coarsest_rows
    if rows < 1:
        return None
    chunks = -(-height // rows)
    rows = -(-height // (chunks * coarsest_rows)) * coarsest_rows
    chunks = -(-height // rows)
    cost = Cost(components * height * measure.work(), fixed + rows * bytes_of_a_row)
    return CropSizes(found, width, rows, chunks, cost)


def touched_rows(operation: graphs.Operation, below: Layout, above: Layout) -> list[list[int]]:
    """Return, for each row of the crops above, the rows of the merged crops below, tap by tap.

    A row that is not in 0..length - 1 of the merged crops is beyond them, where they are 0.
    """
    windows = operation.locality.windows or (graphs.Window(1), graphs.Window(1))
    taps, dilation = 1, 1
    if isinstance(operation, graphs.Convolution):
        taps, dilation = int(operation.kernel.shape[0]), operation.dilation[0]
    start = below.rows.merged(windows[0].stride).start
    return [
        [
            (row + above.rows.start) * windows[0].stride
            - windows[0].padding
            - start
            + tap * dilation
            for tap in range(taps)
        ]
        for row in range(above.rows.length)
    ]


class _Measure:
    """Numbers of elements for each component of the input that is pushed at a time."""

    def __init__(
        self,
        graph: Graph,
        ancestors: Sequence[int],
        found: Mapping[int, Layout],
        needed: Mapping[int, float],
    ) -> None:
        self.graph = graph
        self.ancestors = ancestors
        self.layouts = found
        self.needed = needed

    def work(self) -> float:
        """Return the work of a component's way through all layers."""
        return sum(self._work(position) for position in self.ancestors)

    def largest_crop_row(self) -> int:
        """Return the elements of the widest row of crops."""
        return max(
            (
                layout.columns.length * self.graph.operations[position].shape[-1]
                for position, layout in self.layouts.items()
                if not self._is_alike(position)
            ),
            default=max(self.graph.operations[position].size for position in self.ancestors),
        )

    def fixed_bytes(self) -> int:
        """Return the bytes of what does not depend on how many components there are.

        The values of every layer, with masks and slopes of their size, and the kernels, spread or
        gathered.
        """
        values = 4 * self.graph.elements(list(self.needed))
        kernels = 0
        for position in self.ancestors:
            operation = self.graph.operations[position]
            if isinstance(operation, graphs.Convolution):
                row, rows_above = self._rows(position)
                kernels += row * self._crop_row(position) * (int(operation.kernel.shape[0]) + 1)
                different = {
                    tuple(tap for tap, one in enumerate(taps) if 0 <= one < rows_above)
                    for taps in self._taps(position)
                }
                kernels += row * self._crop_row(position) * sum(map(len, different))
            elif isinstance(operation, graphs.Matrix) and position not in self.layouts:
                kernels += int(CARRYING * operation.kernel.shape[0]) * operation.size
        return (values + kernels) * self.graph.dtype.size

    def peak_elements(self) -> int:
        """Return the most elements for a component that are held at once."""
        last_use = {
            operand: position
            for position in self.ancestors
            for operand in self.graph.operations[position].operands
        }
        peak = 1
        for position in self.ancestors:
            alive = sum(
                self._elements(other)
                for other in self.ancestors
                if other < position <= last_use.get(other, -1)
            )
            peak = max(peak, alive + self._extra(position) + self._elements(position))
        return peak

    def _is_alike(self, position: int) -> bool:
        """Tell whether all blocks' crops are one, as no state has touched them yet."""
        operation = self.graph.operations[position]
        match operation:
            case graphs.Input():
                return True
            case graphs.BatchNormalization():
                return self._is_alike(operation.operands[0])
            case graphs.Convolution() | graphs.Matrix():
                return operation.operands == (0,)
        return False

    def _crop_row(self, position: int) -> int:
        return self.layouts[position].columns.length * self.graph.operations[position].shape[-1]

    def _rows(self, position: int) -> tuple[int, int]:
        """Return the elements of a row of the merged crops that an operation sees, and the rows."""
        operation = self.graph.operations[position]
        below = self.layouts[operation.operands[0]]
        windows = operation.locality.windows or (graphs.Window(1), graphs.Window(1))
        channels = self.graph.operations[operation.operands[0]].shape[-1]
        row = below.columns.merged(windows[1].stride).length * channels
        return row, below.rows.merged(windows[0].stride).length

    def _taps(self, position: int) -> list[list[int]]:
        operation = self.graph.operations[position]
        return touched_rows(operation, self.layouts[operation.operands[0]], self.layouts[position])

    def _touched(self, position: int) -> int:
        """Return how many rows below the rows above are made of, counting each time."""
        _, rows = self._rows(position)
        return sum(0 <= one < rows for taps in self._taps(position) for one in taps)

    def _elements(self, position: int) -> int:
        operation = self.graph.operations[position]
        layout = self.layouts.get(position)
        if self._is_alike(position) or isinstance(operation, graphs.Reshape):
            return 0
        if layout is None:
            return operation.size
        return layout.rows.length * self._crop_row(position)

    def _extra(self, position: int) -> int:
        """Return the elements held while an operation is pushed through, beyond its result."""
        operation = self.graph.operations[position]
        if position in self.layouts and operation.operands:
            match operation:
                case graphs.Convolution() | graphs.Matrix():
                    if self._is_alike(position):
                        return 0
                    row, rows = self._rows(position)
                    return row * (rows + self._touched(position))
                case graphs.Pooling():
                    offsets = operation.window[0] * operation.window[1]
                    parted = self._elements(operation.operands[0])
                    return parted + offsets * self._elements(position)
                case _:
                    return self._elements(position)
        if isinstance(operation, graphs.Matrix):
            below = self._spatial_below(position)
            if below is not None:
                # Its elements, twice, and what is picked of them over the layer's whole width.
                layout = self.layouts[below]
                shape = self.graph.operations[below].shape
                picked = self._carrying(below) * layout.rows.length * shape[1] * shape[2]
                return 2 * layout.rows.length * self._crop_row(below) + int(picked)
        return self._elements(position)

    def _spatial_below(self, position: int) -> int | None:
        """Return the layer with positions that a dense layer sees through a reshape, if any."""
        (below,) = self.graph.operations[position].operands
        while isinstance(self.graph.operations[below], graphs.Reshape):
            (below,) = self.graph.operations[below].operands
        return below if below in self.layouts else None

    def _work(self, position: int) -> float:
        operation = self.graph.operations[position]
        match operation:
            case graphs.Input() | graphs.Reshape():
                return 0.0
            case graphs.Convolution() | graphs.Matrix() if position in self.layouts:
                if self._is_alike(position):
                    return 0.0
                row, _ = self._rows(position)
                product = self._touched(position) * row * self._crop_row(position)
                moved = self._extra(position) + self._elements(position)
                return product + ELEMENT_WORK * moved
            case graphs.Matrix():
                below = self._spatial_below(position)
                size = self._carrying(operation.operands[0]) * operation.kernel.shape[0]
                laid_out = 0.0
                if below is not None:
                    # Only the rows that the crops of a row of blocks touch.
                    height = self.graph.operations[below].shape[0]
                    size *= min(1.0, self.layouts[below].rows.length / height)
                    laid_out = ELEMENT_WORK * self._extra(position)
                wanted = self.needed.get(position, 0.0)
                if self._carried_on(position):
                    wanted = max(wanted, CARRYING * operation.size)
                return size * wanted + laid_out
            case graphs.Pooling():
                offsets = operation.window[0] * operation.window[1]
                return ELEMENT_WORK * offsets * self._elements(position)
        return ELEMENT_WORK * self._elements(position)

    def _carrying(self, position: int) -> float:
        """Return the share of a layer's units that are expected to carry anything on."""
        operation = self.graph.operations[position]
        while isinstance(operation, (graphs.Reshape, graphs.Pooling)):
            operation = self.graph.operations[operation.operands[0]]
        return CARRYING if isinstance(operation, graphs.Gate) else 1.0

    def _carried_on(self, position: int) -> bool:
        return any(position in self.graph.operations[other].operands for other in self.ancestors)
