"""Forward on crops: each input component's column of the Jacobian, kept where it is not zero.

A layer's crops (see `layouts`) are pushed forward together: a convolution is a few matrix products
against its kernel spread over the width of a crop, ReLU and pooling are products with crops of
their state. Squared and added up where they lie, they are the squared row norms.

A dense layer sees every crop. Those of one row of blocks are multiplied with the rows of the matrix
that they touch; only units that carry anything on, and only neurons that are needed, take part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf.execution import Compiled
from insens_tf.graph import Graph
from insens_tf.operations import (
    Add,
    AveragePooling,
    ChannelScaling,
    Concatenate,
    Convolution,
    Gate,
    GlobalAveragePooling,
    Matrix,
    MaxPooling,
    Operation,
    Pooling,
    Reshape,
    ZeroPadding,
)
from insens_tf.receptive_field import Window
from insens_tf.row_norms.crop_sizes import CropSizes, crop_sizes, touched_rows
from insens_tf.row_norms.layouts import Layout, Span
from insens_tf.row_norms.way import IMPOSSIBLE, Cost, Way

__all__ = ["Crops"]


@dataclass(frozen=True)
class Spatial:
    """The crops of a layer, one tensor a crop row.

    Each is (block rows, block columns, components, crop columns, channels); the first two are 1 as
    long as all blocks are `alike`: one is written down for all of them, also for those beyond the
    image. `inside` tells whether crops are 0 beyond the layer's borders.
    """

    layout: Layout
    rows: tuple[tf.Tensor, ...]
    inside: bool
    alike: bool = False


@dataclass(frozen=True)
class Flat:
    """Columns of the Jacobian of a layer without positions: (components, units), chosen units."""

    columns: tf.Tensor
    units: tf.Tensor


# What pushes the crops of an operation's operands through it: a function of those.
Push = Callable[..., Any]


class Crops(Way):
    """Pushes crops forward, an input at a time, for all layers at once."""

    def __init__(self, graph: Graph, positions: Sequence[int], memory_budget: float) -> None:
        super().__init__(graph, positions, memory_budget)
        sizes = crop_sizes(graph, dict.fromkeys(positions, 0.0), memory_budget)
        if sizes is None:
            raise ValueError("these layers have no crops, or none that fit the memory budget")
        self._sizes = sizes
        image = tf.TensorSpec((1, *graph.input_shape), graph.dtype)
        masks = [
            tf.TensorSpec((1, *graph.operations[position].shape), tf.bool) for position in positions
        ]
        self._compiled = Compiled(self._norms, [image, *masks])

    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        norms = {position: np.empty(needed[position].shape, x.dtype) for position in self.positions}
        for row in range(len(x)):
            one = slice(row, row + 1)
            masks = [needed[position][one] for position in self.positions]
            for position, result in zip(self.positions, self._compiled(x[one], *masks)):
                norms[position][row] = result
            advance(1 / len(x))
        return norms

    @staticmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        sizes = crop_sizes(graph, needed, memory_budget)
        return IMPOSSIBLE if sizes is None else sizes.cost

    def _norms(self, x: tf.Tensor, *needed: tf.Tensor) -> list[tf.Tensor]:
        ancestors = self.graph.ancestors(self.positions)
        values = {
            position: value[0]
            for position, value in zip(ancestors, self.graph.values(x, ancestors))
        }
        masks = {position: mask[0] for position, mask in zip(self.positions, needed)}
        return _Sweep(self.graph, self._sizes, values, masks).norms()


class _Sweep:
    """The push of one input's crops, written down as TensorFlow operations.

    Everything that depends on the state alone is made once; the pushing itself is done for some
    rows and columns of the input at a time.
    """

    def __init__(
        self,
        graph: Graph,
        sizes: CropSizes,
        values: Mapping[int, tf.Tensor],
        needed: Mapping[int, tf.Tensor],
    ) -> None:
        self.operations = graph.operations
        self.values = values
        self.needed = needed
        self.ancestors = graph.ancestors(list(needed))
        self.consumers: dict[int, list[int]] = {position: [] for position in self.ancestors}
        for position in self.ancestors:
            for operand in self.operations[position].operands:
                self.consumers[operand].append(position)
        self.layouts = sizes.layouts
        self.dtype = graph.dtype
        self.at_a_time, self.chunks = sizes.at_a_time, sizes.chunks
        self.input_size = (*graph.input_shape, 1)[:2]
        covered = tuple(size * count for size, count in zip(self.at_a_time, self.chunks))
        self.exact = self.input_size == covered
        self.pooling_weights = {
            position: self._weights(operation)
            for position in self.ancestors
            if isinstance(operation := self.operations[position], Pooling)
        }
        self.steps = {
            position: step
            for position in self.ancestors
            if position and (step := self._step(position)) is not None
        }

    def norms(self) -> list[tf.Tensor]:
        """Return the squared row norms of the needed layers, each of the layer's shape."""
        totals = [tf.zeros(self._total_shape(position), self.dtype) for position in self.needed]

        def chunk(
            number: tf.Tensor, totals: Sequence[tf.Tensor]
        ) -> tuple[tf.Tensor, list[tf.Tensor]]:
            down, right = number // self.chunks[1], number % self.chunks[1]
            first = down * self.at_a_time[0], right * self.at_a_time[1]
            return number + 1, self._push(first, totals)

        if self.chunks == (1, 1):
            _, totals = chunk(tf.constant(0), totals)
        else:
            _, totals = tf.while_loop(
                lambda number, totals: number < math.prod(self.chunks),
                chunk,
                (tf.constant(0), totals),
                parallel_iterations=1,
            )
        return [self._trimmed(position, total) for position, total in zip(self.needed, totals)]

    def _push(
        self, first: tuple[tf.Tensor, tf.Tensor], totals: Sequence[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Add the squares of some pixels of the input, from row and column `first`, to totals."""
        self.first = first
        pushed: dict[int, Spatial | Flat] = {0: self._basis()}
        results = dict(zip(self.needed, totals))
        for position in self.ancestors:
            if position and self._is_wanted(position):
                operands = [pushed[operand] for operand in self._pushed_operands(position)]
                pushed[position] = self.steps[position](*operands)
            if position in results:
                results[position] = self._added(results[position], position, pushed[position])
        return list(results.values())

    # ---- geometry ----

    def _blocks(self, layout: Layout) -> tuple[int, int]:
        down, right = self.at_a_time
        return down // layout.rows.stride, right // layout.columns.stride

    def _first_block(self, layout: Layout) -> tuple[tf.Tensor, tf.Tensor]:
        row, column = self.first
        return row // layout.rows.stride, column // layout.columns.stride

    def _total_shape(self, position: int) -> tuple[int, ...]:
        """Return the shape of a sum over crops, with room for what lies beyond the borders."""
        layout = self.layouts.get(position)
        if layout is None:
            return self.operations[position].shape
        height, width = (
            blocks * chunks + span.length - 1
            for blocks, chunks, span in zip(self._blocks(layout), self.chunks, layout.spans)
        )
        if self.chunks[1] == 1:
            width = self.operations[position].shape[1]
        return height, width, self.operations[position].shape[-1]

    def _trimmed(self, position: int, total: tf.Tensor) -> tf.Tensor:
        layout = self.layouts.get(position)
        if layout is None:
            return total
        height, width, _ = self.operations[position].shape
        total = _window(total, 0, -layout.rows.start, height)
        return total if self.chunks[1] == 1 else _window(total, 1, -layout.columns.start, width)

    # ---- state, made once ----

    def _step(self, position: int) -> Push | None:
        """Return what pushes the operands' crops through the operation at `position`."""
        operation = self.operations[position]
        spatial = position in self.layouts
        match operation:
            case Convolution():
                return self._convolution(position, operation, _dense_kernel(operation))
            case Matrix() if spatial:
                kernel = tf.convert_to_tensor(operation.kernel)[tf.newaxis, tf.newaxis]
                return self._convolution(position, operation, kernel)
            case Matrix():
                return self._matrix(position, operation)
            case Pooling():
                return self._pooling(position, operation)
            case Gate():
                slope = operation.slope(self.values[operation.operands[0]])
                return self._scaling(position, slope, fixed=False)
            case ChannelScaling():
                return self._scaling(position, operation.factor(), fixed=True)
            case ZeroPadding():
                return lambda crops: replace(
                    self._made_inside(crops, operation.operands[0]), layout=self.layouts[position]
                )
            case Add():
                return lambda *crops: self._joined(position, crops, tf.add_n)
            case Concatenate():
                return lambda *crops: self._joined(
                    position, crops, lambda parts: tf.concat(parts, axis=-1)
                )
            case GlobalAveragePooling():
                return self._global_average(position)
        return None

    def _is_wanted(self, position: int) -> bool:
        """Tell whether an operation is pushed through on its own.

        A gate is not where only max poolings follow (they pick its slope with the winner), nor is
        a reshape, which a dense layer undoes.
        """
        operation = self.operations[position]
        if isinstance(operation, Reshape):
            return False
        return not (isinstance(operation, Gate) and self._is_fused(position))

    def _is_fused(self, position: int) -> bool:
        consumers = [self.operations[one] for one in self.consumers[position]]
        return (
            position in self.layouts
            and bool(consumers)
            and position not in self.needed
            and all(isinstance(one, MaxPooling) for one in consumers)
        )

    def _pushed_operands(self, position: int) -> list[int]:
        operands = []
        for operand in self.operations[position].operands:
            while operand and not self._is_wanted(operand):
                (operand,) = self.operations[operand].operands
            operands.append(operand)
        return operands

    def _carries(self, position: int) -> tf.Tensor | None:
        """Return which units of `position` pass anything on, of its shape; None: perhaps all."""
        operation = self.operations[position]
        match operation:
            case Gate():
                # Nothing comes from what a gate below it has stopped.
                own = tf.not_equal(operation.slope(self.values[operation.operands[0]]), 0)
                below = self._carries(operation.operands[0])
                return own if below is None else own & below
            case ChannelScaling():
                return self._carries(operation.operands[0])
            case MaxPooling() if isinstance(self.operations[operation.operands[0]], Gate):
                return tf.not_equal(tf.add_n(self.pooling_weights[position]), 0)
            case Reshape():
                carries = self._carries(operation.operands[0])
                return None if carries is None else tf.reshape(carries, operation.shape)
        return None

    def _weights(self, operation: Pooling) -> list[tf.Tensor]:
        """Return what each offset of the window is multiplied by, (rows, columns, channels or 1).

        Of a max pooling, the slope of its operand where that wins, else 0.
        """
        (operand,) = operation.operands
        height, width, channels = operation.shape
        windows = operation.locality.windows or ()
        at = [
            np.arange(size)[:, np.newaxis] * window.stride - window.padding + np.arange(window.size)
            for size, window in zip((height, width), windows)
        ]
        lengths = operation.operand_shape[:2]
        offsets = [(i, j) for i in range(windows[0].size) for j in range(windows[1].size)]
        if isinstance(operation, AveragePooling):
            valid = [(one >= 0) & (one < length) for one, length in zip(at, lengths)]
            count = valid[0].sum(1)[:, np.newaxis] * valid[1].sum(1)
            shares = [(valid[0][:, i, np.newaxis] & valid[1][:, j]) / count for i, j in offsets]
            return [tf.constant(share[..., np.newaxis], self.dtype) for share in shares]
        assert isinstance(operation, MaxPooling)
        # Flat indices, in int32, which holds any that there is memory for.
        winners = tf.cast(operation.winners(self.values[operand][tf.newaxis])[0], tf.int32)
        pixels = winners // channels
        # The winner's place in its window, counted as the offsets are.
        first_rows, first_columns = (tf.constant(one[:, :1], tf.int32) for one in at)
        down = pixels // lengths[1] - first_rows[:, tf.newaxis]
        place = down * windows[1].size + pixels % lengths[1] - first_columns
        weights = [tf.cast(tf.equal(place, number), self.dtype) for number in range(len(offsets))]
        below = self.operations[operand]
        if isinstance(below, Gate) and self._is_fused(operand):
            slope = below.slope(self.values[below.operands[0]])
            of_winners = tf.gather(tf.reshape(slope, [-1]), winners)
            weights = [weight * of_winners for weight in weights]
        return weights

    # ---- pushing ----

    def _basis(self) -> Spatial | Flat:
        """Return the columns of the identity: each input component, pushed nowhere yet."""
        operation = self.operations[0]
        if 0 not in self.layouts:
            units = tf.range(operation.shape[0])
            rows = self.first[0] + tf.range(self.at_a_time[0])
            return Flat(tf.one_hot(rows, operation.shape[0], dtype=self.dtype), units)
        identity = tf.eye(operation.shape[-1], dtype=self.dtype)
        row = identity[tf.newaxis, tf.newaxis, :, tf.newaxis]
        return Spatial(self.layouts[0], (row,), inside=True, alike=True)

    def _convolution(self, position: int, operation: Operation, kernel: tf.Tensor) -> Push:
        layout = self.layouts[position]
        operand = operation.operands[0]
        below = self.layouts[operand]
        if isinstance(operation, Convolution):
            windows, dilation = operation.locality.windows or (), operation.dilation
        else:
            windows, dilation = (Window(1), Window(1)), (1, 1)
        down, right = (window.stride for window in windows)
        rows, columns = below.rows.merged(down), below.columns.merged(right)
        spread = _spread(kernel, columns, layout.columns, windows[1], dilation[1])
        # For each row of the output's crops: the operand's rows, and the kernel spread over them.
        products = []
        spread_over: dict[tuple[tuple[int, int], ...], tf.Tensor] = {}
        for taps in touched_rows(operation, below, layout):
            touched = {row: tap for tap, row in enumerate(taps) if 0 <= row < rows.length}
            # None is touched between the taps of a dilated kernel.
            span = range(min(touched, default=0), max(touched, default=0) + 1)
            key = tuple((row - span.start, tap) for row, tap in touched.items())
            if key not in spread_over:
                zeros = tf.zeros_like(spread[0])
                parts = [spread[touched[row]] if row in touched else zeros for row in span]
                spread_over[key] = tf.concat(parts, axis=0)
            products.append((span, spread_over[key]))
        filters = operation.shape[-1]

        def push(crops: Spatial) -> Spatial:
            crops = self._divisible(self._made_inside(crops, operand), down, right)
            merged = self._merged(crops, down, right)
            shape = merged[0].shape
            flat = [tf.reshape(row, (-1, shape[3] * shape[4])) for row in merged]
            results = []
            for span, matrix in products:
                parts = flat[span.start : span.stop]
                product = tf.concat(parts, axis=1) @ matrix
                results.append(tf.reshape(product, (*shape[:3], layout.columns.length, filters)))
            return Spatial(layout, tuple(results), inside=False, alike=crops.alike)

        return push

    def _pooling(self, position: int, operation: Pooling) -> Push:
        layout = self.layouts[position]
        below = self.layouts[operation.operands[0]]
        windows = operation.locality.windows or ()
        weights = [_Cropped(self, weight, layout) for weight in self.pooling_weights[position]]
        down, right = (window.stride for window in windows)
        # Where, in the crops of the first of the blocks that become one, the first window starts.
        first_row, first_column = (
            above.start * window.stride - window.padding - one.start
            for above, window, one in zip(
                (layout.rows, layout.columns), windows, (below.rows, below.columns)
            )
        )
        length = layout.columns.length

        def push(crops: Spatial) -> Spatial:
            sub_blocks = self._sub_blocks(crops, down, right)
            cropped = [weight.rows() for weight in weights]

            def pooled(output: int, i: int, j: int) -> tf.Tensor:
                """Return a row of one of the blocks that become one, pooled before it does."""
                terms = []
                for number, weight in enumerate(cropped):
                    down_by, right_by = divmod(number, windows[1].size)
                    row = first_row + output * down + down_by - i
                    at = first_column + np.arange(length) * right + right_by - j
                    inside = np.flatnonzero((at >= 0) & (at < below.columns.length))
                    if 0 <= row < below.rows.length and inside.size:
                        part = tf.gather(sub_blocks(row, i, j), at[inside], axis=3)
                        part *= _window(weight[output], 3, inside[0], inside.size)
                        terms.append(_window(part, 3, -inside[0], length))
                if terms:
                    return tf.add_n(terms)
                shape = *self._blocks(layout), crops.rows[0].shape[2], length, operation.shape[-1]
                return tf.zeros(shape, self.dtype)

            rows = (
                _stacked([pooled(output, i, j) for i in range(down) for j in range(right)])
                for output in range(layout.rows.length)
            )
            return Spatial(layout, tuple(self._inside_image(row, layout) for row in rows), True)

        return push

    def _scaling(self, position: int, factor: tf.Tensor, *, fixed: bool) -> Push:
        """Return what multiplies by a factor of the layer's shape, or of its channels (`fixed`)."""
        if position not in self.layouts:

            def push_flat(flat: Flat) -> Flat:
                return Flat(flat.columns * tf.gather(factor, flat.units), flat.units)

            return push_flat
        if fixed:

            def push_fixed(crops: Spatial) -> Spatial:
                return replace(crops, rows=tuple(row * factor for row in crops.rows))

            return push_fixed
        layout = self.layouts[position]
        cropped = _Cropped(self, factor, layout)

        def push(crops: Spatial) -> Spatial:
            rows = (
                self._inside_image(row * slope, layout)
                for row, slope in zip(crops.rows, cropped.rows())
            )
            return Spatial(layout, tuple(rows), inside=True)

        return push

    def _joined(
        self, position: int, crops: Sequence[Spatial], join: Callable[[list[tf.Tensor]], tf.Tensor]
    ) -> Spatial:
        layout = self.layouts[position]
        moved = [self._moved(self._everywhere(one), layout) for one in crops]
        rows = tuple(join(list(parts)) for parts in zip(*moved))
        return Spatial(layout, rows, inside=all(one.inside for one in crops))

    def _moved(self, crops: Spatial, layout: Layout) -> list[tf.Tensor]:
        """Return the rows of `crops` in another layout of the same blocks that covers theirs."""
        order = [crops.layout.components.index(one) for one in layout.components]
        rows = crops.rows
        if order != list(range(len(order))):
            rows = tuple(tf.gather(row, order, axis=2) for row in rows)
        start = layout.columns.start - crops.layout.columns.start
        rows = tuple(_window(row, 3, start, layout.columns.length) for row in rows)
        above = crops.layout.rows.start - layout.rows.start
        zeros = tf.zeros_like(rows[0])
        return [
            rows[number - above] if 0 <= number - above < len(rows) else zeros
            for number in range(layout.rows.length)
        ]

    def _matrix(self, position: int, operation: Matrix) -> Push:
        """Return what multiplies with a dense layer's matrix, for the units that matter."""
        units = tf.cast(tf.where(self._wanted_units(position))[:, 0], tf.int32)
        (below,) = self._pushed_operands(position)
        carries = self._carries(operation.operands[0])
        if carries is None:
            carries = tf.ones(self.operations[operation.operands[0]].shape, tf.bool)
        active = tf.cast(tf.where(carries)[:, 0], tf.int32)
        # Rows first: gathering columns is slow.
        kernel = tf.gather(tf.gather(tf.convert_to_tensor(operation.kernel), active), units, axis=1)
        if below not in self.layouts:

            def push_flat(flat: Flat) -> Flat:
                # What carries on was wanted below, so each is found where it stands there.
                columns = tf.gather(flat.columns, tf.searchsorted(flat.units, active), axis=1)
                return Flat(columns @ kernel, units)

            return push_flat
        layout = self.layouts[below]
        blocks = self._blocks(layout)
        _, width, channels = self.operations[below].shape
        a_row = width * channels
        crop_row = layout.columns.length * channels
        zero = layout.rows.length * crop_row

        def push(crops: Spatial) -> Flat:
            rows = [
                tf.reshape(row, (blocks[0] * blocks[1], -1, crop_row))
                for row in self._everywhere(crops).rows
            ]
            # Elements first, and last a 0 for what a crop does not reach: then whole rows, an
            # element of all components each, are picked, which is fast.
            elements = tf.concat([*rows, tf.zeros_like(rows[0][..., :1])], axis=2)
            elements = tf.transpose(elements, (0, 2, 1))
            down, right = self._first_block(layout)
            begin = (down + tf.range(blocks[0]) + layout.rows.start) * a_row
            end = begin + layout.rows.length * a_row
            lower, upper = tf.searchsorted(active, begin), tf.searchsorted(active, end)
            results = []
            for block in range(blocks[0]):
                of_row = elements[block * blocks[1] : (block + 1) * blocks[1]]
                touched = active[lower[block] : upper[block]] - begin[block]
                row, rest = touched // a_row, touched % a_row
                columns = right + tf.range(blocks[1]) + layout.columns.start
                column = (rest // channels)[:, tf.newaxis] - columns
                place = (row * crop_row + rest % channels)[:, tf.newaxis] + column * channels
                reached = (column >= 0) & (column < layout.columns.length)
                place = tf.where(reached, place, zero) + tf.range(blocks[1]) * (zero + 1)
                picked = tf.gather(tf.reshape(of_row, (-1, of_row.shape[-1])), place)
                picked = tf.reshape(picked, (-1, blocks[1] * of_row.shape[-1]))
                results.append(
                    tf.matmul(picked, kernel[lower[block] : upper[block]], transpose_a=True)
                )
            return Flat(tf.concat(results, axis=0), units)

        return push

    def _wanted_units(self, position: int) -> tf.Tensor:
        """Return which units of a dense layer are needed, or carry anything on."""
        wanted = tf.zeros(self.operations[position].shape, tf.bool)
        if position in self.needed:
            wanted |= self.needed[position]
        for consumer in self.consumers[position]:
            carries = self._carries(consumer)
            wanted |= True if carries is None else carries
        return wanted

    def _global_average(self, position: int) -> Push:
        (operand,) = self.operations[position].operands
        height, width, channels = self.operations[operand].shape

        def push(crops: Spatial) -> Flat:
            crops = self._made_inside(crops, operand)
            rows = self._everywhere(crops).rows
            columns = tf.add_n([tf.reduce_sum(row, axis=3) for row in rows]) / (height * width)
            return Flat(tf.reshape(columns, (-1, channels)), tf.range(channels))

        return push

    def _merged(self, crops: Spatial, down: int, right: int) -> list[tf.Tensor]:
        """Return the crop rows of `down` by `right` neighbouring blocks taken as one."""
        if down == right == 1:
            return list(crops.rows)
        length = crops.layout.rows.length
        sub_blocks = self._sub_blocks(crops, down, right)
        zeros = tf.zeros_like(sub_blocks(0, 0, 0))
        results = []
        for number in range(length + down - 1):
            parts = []
            for i in range(down):
                inner = number - i
                for j in range(right):
                    part = sub_blocks(inner, i, j) if 0 <= inner < length else zeros
                    parts.append(tf.pad(part, ((0, 0),) * 3 + ((j, right - 1 - j), (0, 0))))
            results.append(_stacked(parts))
        return results

    def _sub_blocks(
        self, crops: Spatial, down: int, right: int
    ) -> Callable[[int, int, int], tf.Tensor]:
        """Return what gives a crop row of the (i, j)-th of each `down` by `right` blocks."""
        crops = self._divisible(crops, down, right)
        rows = crops.rows
        blocks = self._blocks(crops.layout)
        if down == right == 1 or crops.alike:
            return lambda number, i, j: rows[number]
        # Every sub-block's place among all blocks; gathering whole crops is fast.
        places = np.arange(blocks[0] * blocks[1]).reshape(blocks)
        flat = [tf.reshape(row, (-1, *row.shape[2:])) for row in rows]
        return cache(lambda number, i, j: tf.gather(flat[number], places[i::down, j::right]))

    def _divisible(self, crops: Spatial, down: int, right: int) -> Spatial:
        """Return crops of which `down` by `right` blocks can be taken as one."""
        blocks = self._blocks(crops.layout)
        return self._everywhere(crops) if blocks[0] % down or blocks[1] % right else crops

    def _everywhere(self, crops: Spatial) -> Spatial:
        """Return crops that are written down for every block, 0 for pixels beyond the image."""
        blocks = self._blocks(crops.layout)
        if not crops.alike:
            return crops
        rows = (
            self._inside_image(tf.broadcast_to(row, (*blocks, *row.shape[2:])), crops.layout)
            for row in crops.rows
        )
        return replace(crops, rows=tuple(rows), alike=False)

    def _inside_image(self, row: tf.Tensor, layout: Layout) -> tf.Tensor:
        """Return the crops, those of components beyond the image set to 0."""
        if self.exact:
            return row
        blocks = self._blocks(layout)
        rows, columns = (
            first + tf.constant(np.arange(count)[:, np.newaxis] * span.stride + within, tf.int32)
            for first, count, span, within in zip(
                self.first, blocks, layout.spans, np.array(layout.components).T
            )
        )
        valid = (rows < self.input_size[0])[:, tf.newaxis] & (columns < self.input_size[1])
        return row * tf.cast(valid, self.dtype)[..., tf.newaxis, tf.newaxis]

    def _made_inside(self, crops: Spatial, position: int) -> Spatial:
        """Return the crops of the layer at `position`, 0 beyond its borders."""
        if crops.inside:
            return crops
        ones = tf.ones((*self.operations[position].shape[:2], 1), self.dtype)
        borders = _Cropped(self, ones, crops.layout).rows()
        rows = tuple(
            self._inside_image(row * border, crops.layout)
            for row, border in zip(crops.rows, borders)
        )
        return Spatial(crops.layout, rows, inside=True)

    def _added(self, total: tf.Tensor, position: int, pushed: Spatial | Flat) -> tf.Tensor:
        """Add the squares of what was pushed to the layer at `position`."""
        if isinstance(pushed, Flat):
            squares = tf.reduce_sum(tf.square(pushed.columns), axis=0)
            return tf.tensor_scatter_nd_add(total, pushed.units[:, tf.newaxis], squares)
        layout = pushed.layout
        blocks = self._blocks(layout)
        height, width = (count + span.length - 1 for count, span in zip(blocks, layout.spans))
        # Whole rows are cut at the borders at once.
        left = 0
        if self.chunks[1] == 1:
            left, width = layout.columns.start, total.shape[1]
        if not self.exact:
            pushed = self._everywhere(pushed)
        part = []
        for number, row in enumerate(pushed.rows):
            squares = tf.reduce_sum(tf.square(row), axis=2)
            squares = tf.broadcast_to(squares, (*blocks, *squares.shape[2:]))
            laid_out = [
                _window(squares[:, :, column], 1, -(column + left), width)
                for column in range(layout.columns.length)
            ]
            part.append(_window(tf.add_n(laid_out), 0, -number, height))
        paddings = [
            (first, whole - size - first)
            for first, whole, size in zip(self._first_block(layout), total.shape, (height, width))
        ]
        return total + tf.pad(tf.add_n(part), (*paddings, (0, 0)))


class _Cropped:
    """A map of a layer's state, (rows, columns, channels), cut into crops a row at a time."""

    def __init__(self, sweep: _Sweep, values: tf.Tensor, layout: Layout) -> None:
        self._sweep = sweep
        self._layout = layout
        paddings = []
        for size, span, blocks, chunks in zip(
            values.shape, layout.spans, sweep._blocks(layout), sweep.chunks
        ):
            end = blocks * chunks - 1 + span.start + span.length
            paddings.append((max(0, -span.start), max(0, end - size)))
        self._before = [before for before, _ in paddings]
        self._map = tf.pad(values, (*paddings, (0, 0)))

    def rows(self) -> list[tf.Tensor]:
        """Return (block rows, block columns, 1, crop columns, channels), one a crop row."""
        spans, (blocks, columns) = self._layout.spans, self._sweep._blocks(self._layout)
        first = [
            block + span.start + before
            for block, span, before in zip(
                self._sweep._first_block(self._layout), spans, self._before
            )
        ]
        height, width = blocks + spans[0].length - 1, columns + spans[1].length - 1
        part = tf.slice(self._map, [*first, 0], [height, width, self._map.shape[-1]])
        cut = tf.stack([part[:, i : i + columns] for i in range(spans[1].length)], axis=2)
        return [cut[i : i + blocks, :, tf.newaxis] for i in range(spans[0].length)]


def _stacked(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the crops of blocks that become one, (rows, columns, components, ...), as its own."""
    if len(parts) == 1:
        return parts[0]
    stacked = tf.stack(parts, axis=2)
    shape = stacked.shape
    return tf.reshape(stacked, (*shape[:2], shape[2] * shape[3], *shape[4:]))


def _window(values: tf.Tensor, axis: int, start: int, length: int) -> tf.Tensor:
    """Return `length` elements along an axis from `start` on, 0 where there are none."""
    size = values.shape[axis]
    begin, end = min(max(start, 0), size), min(max(start + length, 0), size)
    if begin >= end:
        shape = list(values.shape)
        shape[axis] = length
        return tf.zeros(shape, values.dtype)
    if (begin, end) != (0, size):
        values = values[(slice(None),) * axis + (slice(begin, end),)]
    if end - begin == length:
        return values
    paddings = [(0, 0)] * len(values.shape)
    paddings[axis] = (begin - start, length - (end - begin) - (begin - start))
    return tf.pad(values, paddings)


def _dense_kernel(operation: Convolution) -> tf.Tensor:
    """Return the kernel of a convolution without groups that does the same."""
    kernel = tf.convert_to_tensor(operation.kernel)
    if operation.groups == 1:
        return kernel
    channels = kernel.shape[2]
    parts = tf.split(kernel, operation.groups, axis=-1)
    total = channels * operation.groups
    return tf.concat(
        [
            tf.pad(part, ((0, 0), (0, 0), (i * channels, total - (i + 1) * channels), (0, 0)))
            for i, part in enumerate(parts)
        ],
        axis=-1,
    )


def _spread(
    kernel: tf.Tensor, below: Span, above: Span, window: Window, dilation: int
) -> list[tf.Tensor]:
    """Return, for each kernel row, its matrix from a crop row below to one above.

    (crop columns below * channels, crop columns above * filters): entry (i, o) is the kernel's
    column through which output o sees position i, if any.
    """
    i = np.arange(below.length)[:, np.newaxis, np.newaxis] + below.start
    o = np.arange(above.length)[:, np.newaxis] + above.start
    taps = np.arange(kernel.shape[1])
    sees = i == o * window.stride - window.padding + taps * dilation
    spread = tf.einsum("iot,rtcf->ricof", tf.constant(sees, kernel.dtype), kernel)
    size = below.length * kernel.shape[2], above.length * kernel.shape[3]
    return [tf.reshape(row, size) for row in tf.unstack(spread)]
