"""How many rows of the input the crops way pushes at a time, what that takes, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from insens_tf import memory
from insens_tf.chunks import LARGEST_ARRAY
from insens_tf.graph import Graph
from insens_tf.operations import (
    ELEMENT_WORK,
    ChannelScaling,
    Convolution,
    Gate,
    Input,
    Matrix,
    Operation,
    Pooling,
    Reshape,
    ZeroPadding,
)
from insens_tf.receptive_field import Window
from insens_tf.row_norms.layouts import Layout, layouts
from insens_tf.row_norms.way import Cost

__all__ = ["CropSizes", "crop_sizes", "touched_rows"]

# What is resident at the peak, for each byte that is counted here: of the crops, which are not all
# there at a time, and of the state. Measured from 32 to 224 pixels.
ALLOCATED = 1.0
ALLOCATED_STATE = 1.2

# What tracing and compiling takes for a row of a layer's crops.
OF_A_CROP_ROW = 2**20

# What the steps for a row of a layer's crops cost, however small they are.
WORK_OF_A_CROP_ROW = 2e6

# The share of the units below a dense layer that carry anything on, unless it is known.
CARRYING = 0.4


@dataclass(frozen=True)
class CropSizes:
    """The sizes of a push.

    Attributes
    ----------
    layouts : mapping of int to Layout
        Of the layers with positions.
    at_a_time : tuple of int
        How many rows and columns of the input, multiples of every block's.
    chunks : tuple of int
        In how many goes down and across that covers the input.
    cost : Cost
        Of all goes.
    """

    layouts: Mapping[int, Layout]
    at_a_time: tuple[int, int]
    chunks: tuple[int, int]
    cost: Cost


def crop_sizes(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> CropSizes | None:
    """Return the sizes of a push to the layers `needed`; None if it cannot be done.

    As many whole rows of blocks as are fast, and as fit; where not one fits, part of it, down to a
    single block, which may not fit either: the cost tells.

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
    coarsest = [
        max((one.spans[axis].stride for one in found.values()), default=1) for axis in (0, 1)
    ]
    measure = _Measure(graph, ancestors, found, needed)
    whole_width = -(-width // coarsest[1]) * coarsest[1]
    bytes_of_a_pixel = ALLOCATED * channels * graph.dtype.size * measure.peak_elements()
    fastest = LARGEST_ARRAY // (
        whole_width * channels * graph.dtype.size * measure.largest_crop_row()
    )
    fixed = measure.fixed_bytes()
    functions = measure.function_bytes()
    fitting = int((memory_budget - fixed - functions) / bytes_of_a_pixel)
    rows_of_blocks = min(max(fastest // coarsest[0], 1), fitting // (coarsest[0] * whole_width))
    if rows_of_blocks >= 1:
        at_a_time = rows_of_blocks * coarsest[0], whole_width
    else:
        blocks = max(1, fitting // (coarsest[0] * coarsest[1]))
        at_a_time = coarsest[0], blocks * coarsest[1]
    # As many goes, and in each about as much.
    down, right = (_even(*one) for one in zip((height, width), at_a_time, coarsest))
    pixels = down[0] * right[0]
    goes = down[1] * right[1]
    cost = Cost(
        work=height * whole_width * channels * measure.work() + (goes - 1) * measure.work_of_a_go(),
        arrays=fixed + pixels * bytes_of_a_pixel,
        functions=functions,
    )
    return CropSizes(found, (down[0], right[0]), (down[1], right[1]), cost)


def _even(length: int, at_most: int, multiple: int) -> tuple[int, int]:
    """Return a multiple of `multiple`, and how many of it cover `length` in as few goes."""
    chunks = -(-length // at_most)
    size = -(-length // (chunks * multiple)) * multiple
    return size, -(-length // size)


def touched_rows(operation: Operation, below: Layout, above: Layout) -> list[list[int]]:
    """Return, for each row of the crops above, the rows of the merged crops below, tap by tap.

    A row that is not in 0..length - 1 of the merged crops is beyond them, where they are 0.
    """
    windows = operation.locality.windows or (Window(1), Window(1))
    taps, dilation = 1, 1
    if isinstance(operation, Convolution):
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

    def work_of_a_go(self) -> float:
        """Return the work of a go beside its components': many small steps, and adding to sums."""
        sums = sum(self.graph.operations[position].size for position in self.needed)
        rows = sum(layout.rows.length for layout in self.layouts.values())
        return ELEMENT_WORK * sums + WORK_OF_A_CROP_ROW * rows

    def largest_crop_row(self) -> int:
        """Return the elements of the widest row of crops."""
        return max(
            (
                layout.columns.length * self.graph.operations[position].shape[-1]
                for position, layout in self.layouts.items()
                if not self._is_first(position)
            ),
            default=max(self.graph.operations[position].size for position in self.ancestors),
        )

    def fixed_bytes(self) -> float:
        """Return the bytes of what does not depend on how many components there are.

        An evaluation, each state and a padded copy of it, the sums, old and new, and the kernels,
        spread or gathered.
        """
        state = sum(2 * self.graph.operations[position].size for position in self.needed)
        kernels = 0
        for position in self.ancestors:
            operation = self.graph.operations[position]
            if isinstance(operation, Gate):
                state += 2 * operation.size
            elif isinstance(operation, Pooling):
                state += 2 * math.prod(operation.window) * operation.size
            if isinstance(operation, Convolution):
                row, rows_above = self._rows(position)
                kernels += row * self._crop_row(position) * (int(operation.kernel.shape[0]) + 1)
                different = {
                    tuple(tap for tap, one in enumerate(taps) if 0 <= one < rows_above)
                    for taps in self._taps(position)
                }
                kernels += row * self._crop_row(position) * sum(map(len, different))
            elif isinstance(operation, Matrix) and position not in self.layouts:
                kernels += int(CARRYING * operation.kernel.shape[0]) * operation.size
        held = ALLOCATED_STATE * state + kernels
        return held * self.graph.dtype.size + memory.evaluation(self.graph, list(self.needed))

    def function_bytes(self) -> int:
        """Return what TensorFlow takes for the function, which is written down row by row."""
        rows = sum(layout.rows.length for layout in self.layouts.values())
        return OF_A_CROP_ROW * rows + memory.functions(self.graph, list(self.needed))

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
            peak = max(peak, alive + self._beside(position) + self._elements(position))
        return peak

    def _is_alike(self, position: int) -> bool:
        """Tell whether all blocks have one crop, as neither state nor borders have touched it."""
        operation = self.graph.operations[position]
        match operation:
            case Input():
                return True
            case ChannelScaling():
                return self._is_alike(operation.operands[0])
            case Convolution() | Matrix() | ZeroPadding():
                # A convolution's crops may reach beyond the borders, where they are to be 0.
                return self._is_as_input(operation.operands[0])
        return False

    def _is_first(self, position: int) -> bool:
        """Tell whether it is the input, or right behind it."""
        operation = self.graph.operations[position]
        if isinstance(operation, ChannelScaling):
            return self._is_first(operation.operands[0])
        return position == 0 or operation.operands == (0,)

    def _is_as_input(self, position: int) -> bool:
        operation = self.graph.operations[position]
        if isinstance(operation, (ChannelScaling, ZeroPadding)):
            return self._is_as_input(operation.operands[0])
        return isinstance(operation, Input)

    def _crop_row(self, position: int) -> int:
        return self.layouts[position].columns.length * self.graph.operations[position].shape[-1]

    def _rows(self, position: int) -> tuple[int, int]:
        """Return the elements of a row of the merged crops that an operation sees, and the rows."""
        operation = self.graph.operations[position]
        below = self.layouts[operation.operands[0]]
        windows = operation.locality.windows or (Window(1), Window(1))
        channels = self.graph.operations[operation.operands[0]].shape[-1]
        row = below.columns.merged(windows[1].stride).length * channels
        return row, below.rows.merged(windows[0].stride).length

    def _blocks_below(self, position: int) -> int:
        """Return how many blocks of the operand become one."""
        windows = self.graph.operations[position].locality.windows or ()
        return math.prod(window.stride for window in windows)

    def _crop_rows(self, position: int) -> int:
        return self.layouts[position].rows.length

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
        if isinstance(operation, Reshape):
            return 0
        if self._is_alike(position) and position not in self.needed:
            # Those that are needed are masked where goes reach beyond the image, and then differ.
            return 0
        if layout is None:
            return operation.size
        return layout.rows.length * self._crop_row(position)

    def _beside(self, position: int) -> int:
        """Return the elements held while an operation is pushed through, beyond its result.

        Row by row of the result, so that not all that is moved is held at a time.
        """
        operation = self.graph.operations[position]
        if self._is_alike(position):
            return 0
        if position in self.layouts:
            match operation:
                case Convolution() | Matrix():
                    row, rows = self._rows(position)
                    merged = 0 if self._blocks_below(position) == 1 else row * rows
                    return merged + 2 * row * self._touched(position) // self._crop_rows(position)
                case Pooling():
                    return self._elements(operation.operands[0]) + 2 * self._elements(position)
        return self._moved(position)

    def _moved(self, position: int) -> int:
        """Return the elements that are laid out anew to push an operation through."""
        operation = self.graph.operations[position]
        if position in self.layouts and operation.operands:
            match operation:
                case Convolution() | Matrix():
                    if self._is_alike(position):
                        return 0
                    row, rows = self._rows(position)
                    return row * (rows + self._touched(position))
                case Pooling():
                    offsets = operation.window[0] * operation.window[1]
                    parted = self._elements(operation.operands[0])
                    return parted + offsets * self._elements(position)
                case _:
                    return self._elements(position)
        if isinstance(operation, Matrix):
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
        while isinstance(self.graph.operations[below], Reshape):
            (below,) = self.graph.operations[below].operands
        return below if below in self.layouts else None

    def _work(self, position: int) -> float:
        operation = self.graph.operations[position]
        match operation:
            case Input() | Reshape():
                return 0.0
            case Convolution() | Matrix() if position in self.layouts:
                if self._is_alike(position):
                    return 0.0
                row, _ = self._rows(position)
                product = self._touched(position) * row * self._crop_row(position)
                moved = self._moved(position) + self._elements(position)
                return product + ELEMENT_WORK * moved
            case Matrix():
                below = self._spatial_below(position)
                size = self._carrying(operation.operands[0]) * operation.kernel.shape[0]
                laid_out = 0.0
                if below is not None:
                    # Only the rows that the crops of a row of blocks touch.
                    height = self.graph.operations[below].shape[0]
                    size *= min(1.0, self.layouts[below].rows.length / height)
                    laid_out = ELEMENT_WORK * self._moved(position)
                wanted = self.needed.get(position, 0.0)
                if self._carried_on(position):
                    wanted = max(wanted, CARRYING * operation.size)
                return size * wanted + laid_out
            case Pooling():
                offsets = operation.window[0] * operation.window[1]
                return ELEMENT_WORK * offsets * self._elements(position)
        return ELEMENT_WORK * self._elements(position)

    def _carrying(self, position: int) -> float:
        """Return the share of a layer's units that are expected to carry anything on."""
        operation = self.graph.operations[position]
        while isinstance(operation, (Reshape, Pooling)):
            operation = self.graph.operations[operation.operands[0]]
        return CARRYING if isinstance(operation, Gate) else 1.0

    def _carried_on(self, position: int) -> bool:
        return any(position in self.graph.operations[other].operands for other in self.ancestors)
