"""Rules of pooling: the largest of a window, the mean of it, the mean of all positions."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TypeVar

import numpy as np
import tensorflow as tf

from insens_tf.operations import (
    ELEMENT_WORK,
    AveragePooling,
    GlobalAveragePooling,
    MaxPooling,
    Pooling,
    WindowElement,
)
from insens_tf.row_norms.crops.crop_tensors import (
    CroppedMap,
    Flat,
    Spatial,
    stacked,
    zero_padded_slice,
)
from insens_tf.row_norms.crops.rules.crop_rule import (
    CropRule,
    HeldState,
    NoCropsError,
    Push,
    WindowedRule,
    made_once,
)
from insens_tf.row_norms.crops.rules.rule_lookup import crop_rule
from insens_tf.row_norms.crops.tiles import Tile

__all__ = [
    "AveragePoolingRule",
    "GlobalAveragePoolingRule",
    "MaxPoolingRule",
    "PoolingRule",
    "WindowElementRule",
]

PoolingT = TypeVar("PoolingT", bound=Pooling)


class PoolingRule(WindowedRule[PoolingT]):
    """Pooling: a sum over the window of crops times crops of a weight, one an offset in it."""

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The rows and columns of a window, counted from its first."""
        rows, columns = self.windows
        return [(i, j) for i in range(rows.size) for j in range(columns.size)]

    @property
    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """The operand's rows and columns that each position sees, (positions, window size) each."""
        rows, columns = (
            np.arange(size)[:, np.newaxis] * window.stride - window.padding + np.arange(window.size)
            for size, window in zip(self.operation.shape, self.windows)
        )
        return rows, columns

    @property
    def elements_beside(self) -> int:
        return self.operand.elements + 2 * self.elements

    @property
    def state_elements(self) -> int:
        return 2 * math.prod(self.operation.window) * self.operation.size

    @property
    def work(self) -> float:
        return ELEMENT_WORK * math.prod(self.operation.window) * self.elements

    @property
    def expected_density(self) -> float:
        return self.operand.expected_density

    @abstractmethod
    def weights(self, state: HeldState) -> list[tf.Tensor]:
        """Return what each offset is multiplied by, (rows, columns, channels or 1) each."""

    def prepare(self, state: HeldState) -> Push:
        layout, below = self.spatial_layout, self.operand.spatial_layout
        weights = [CroppedMap(weight, layout, state.tiling) for weight in self.weights(state)]
        down, right = (window.stride for window in self.windows)
        # Where, in the crops of the first of the blocks that become one, the first window starts.
        first_row, first_column = (
            above.start * window.stride - window.padding - one.start
            for above, window, one in zip(layout.spans, self.windows, below.spans)
        )
        length = layout.columns.length
        channels = self.operation.shape[-1]

        def push(tile: Tile, crops: Spatial) -> Spatial:
            sub_blocks = crops.sub_blocks(tile, down, right)
            cropped = [weight.rows(tile) for weight in weights]

            def pooled(output: int, i: int, j: int) -> tf.Tensor:
                """Return a row of one of the blocks that become one, pooled before it does."""
                terms = []
                for (down_by, right_by), weight in zip(self.offsets, cropped):
                    row = first_row + output * down + down_by - i
                    at = first_column + np.arange(length) * right + right_by - j
                    inside = np.flatnonzero((at >= 0) & (at < below.columns.length))
                    if 0 <= row < below.rows.length and inside.size:
                        part = tf.gather(sub_blocks(row, i, j), at[inside], axis=3)
                        part *= zero_padded_slice(weight[output], 3, inside[0], inside.size)
                        terms.append(zero_padded_slice(part, 3, -inside[0], length))
                if terms:
                    return tf.add_n(terms)
                components = crops.rows[0].shape[2]
                shape = *tile.tiling.blocks(layout), components, length, channels
                return tf.zeros(shape, state.dtype)

            rows = (
                stacked([pooled(output, i, j) for i in range(down) for j in range(right)])
                for output in range(layout.rows.length)
            )
            return Spatial(layout, tuple(tile.inside_image(row, layout) for row in rows), True)

        return push


@crop_rule(MaxPooling)
class MaxPoolingRule(PoolingRule[MaxPooling]):
    """Max pooling: each offset's weight is 1 where it wins, or the slope of the gate below."""

    takes_slope = True

    @made_once
    def weights(self, state: HeldState) -> list[tf.Tensor]:
        rows, columns = self.seen
        value = state.values[self.operand.position]
        # Flat indices, in int32, which holds any that there is memory for.
        winners = tf.cast(self.operation.winners(value[tf.newaxis])[0], tf.int32)
        pixels = winners // self.operation.shape[-1]
        width = self.operation.operand_shape[1]
        # The winner's place in its window, counted as the offsets are.
        first_rows, first_columns = (tf.constant(one[:, :1], tf.int32) for one in (rows, columns))
        down = pixels // width - first_rows[:, tf.newaxis]
        place = down * self.windows[1].size + pixels % width - first_columns
        weights = [
            tf.cast(tf.equal(place, number), state.dtype) for number in range(len(self.offsets))
        ]
        slope = self.operand.unapplied_slope(state)
        if slope is not None:
            of_winners = tf.gather(tf.reshape(slope, [-1]), winners)
            weights = [weight * of_winners for weight in weights]
        return weights

    @made_once
    def nonzero_units(self, state: HeldState) -> tf.Tensor | None:
        if self.operand.unapplied_slope(state) is None:
            return None
        return tf.not_equal(tf.add_n(self.weights(state)), 0)


@crop_rule(AveragePooling)
class AveragePoolingRule(PoolingRule[AveragePooling]):
    """Average pooling: each offset's weight is its share of the window that is no padding."""

    def weights(self, state: HeldState) -> list[tf.Tensor]:
        rows, columns = (
            (one >= 0) & (one < length)
            for one, length in zip(self.seen, self.operation.operand_shape)
        )
        count = rows.sum(1)[:, np.newaxis] * columns.sum(1)
        shares = [(rows[:, i, np.newaxis] & columns[:, j]) / count for i, j in self.offsets]
        return [tf.constant(share[..., np.newaxis], state.dtype) for share in shares]


@crop_rule(WindowElement)
class WindowElementRule(PoolingRule[WindowElement]):
    """One element of each window: its offset's weight is 1, or the slope of the gate below."""

    takes_slope = True

    @property
    def offsets(self) -> list[tuple[int, int]]:
        down, right = self.operation.place
        return [(down, right)]

    def weights(self, state: HeldState) -> list[tf.Tensor]:
        slope = self.operand.unapplied_slope(state)
        if slope is None:
            return [tf.ones((*self.operation.shape[:2], 1), state.dtype)]
        return [self.operation.linear(slope[tf.newaxis])[0]]

    def nonzero_units(self, state: HeldState) -> tf.Tensor | None:
        if self.operand.unapplied_slope(state) is None:
            return None
        return tf.not_equal(self.weights(state)[0], 0)


@crop_rule(GlobalAveragePooling)
class GlobalAveragePoolingRule(CropRule[GlobalAveragePooling]):
    """The mean over all positions: a column is the sum of its crop, divided by their number."""

    def find_layout(self) -> None:
        if len(self.operation.shape) != 1:
            raise NoCropsError

    def prepare(self, state: HeldState) -> Push:
        shape = self.operand.operation.shape
        height, width, channels = shape

        def push(tile: Tile, crops: Spatial) -> Flat:
            rows = crops.inside_borders(tile, shape).everywhere(tile).rows
            columns = tf.add_n([tf.reduce_sum(row, axis=3) for row in rows]) / (height * width)
            return Flat(tf.reshape(columns, (-1, channels)), tf.range(channels))

        return push
