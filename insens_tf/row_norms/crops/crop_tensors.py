"""What is pushed forward: a layer's crops, or columns of the Jacobian where it has no positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import tensorflow as tf

from insens_tf.accumulation import Accumulation
from insens_tf.row_norms.crops.layouts import Layout
from insens_tf.row_norms.crops.tiles import Tile, Tiling

__all__ = ["CroppedMap", "Flat", "Spatial", "stacked", "zero_padded_slice"]


@dataclass(frozen=True)
class Spatial:
    """The crops of a layer, one tensor a crop row.

    Attributes
    ----------
    layout : Layout
    rows : tuple of tf.Tensor, shape (block rows, block columns, components, crop columns, channels)
        The first two axes are 1 while the crops are `alike`.
    inside : bool
        Whether crops are 0 beyond the layer's borders.
    alike : bool
        Whether one crop stands for those of all blocks, also of blocks beyond the image.
    """

    layout: Layout
    rows: tuple[tf.Tensor, ...]
    inside: bool
    alike: bool = False

    def accumulated(self, total: tf.Tensor, tile: Tile, accumulation: Accumulation) -> tf.Tensor:
        """Accumulate the crops where they lie.

        Parameters
        ----------
        total : tf.Tensor, shape (rows, columns, channels)
            What there is so far, with room for what lies beyond the borders.
        tile : Tile
        accumulation : Accumulation

        Returns
        -------
        tf.Tensor, shape of `total`
        """
        layout, tiling = self.layout, tile.tiling
        blocks = tiling.blocks(layout)
        height, width = (count + span.length - 1 for count, span in zip(blocks, layout.spans))
        # Whole rows are cut at the borders at once.
        left = 0
        if tiling.counts[1] == 1:
            left, width = layout.columns.start, total.shape[1]
        crops = self if tiling.is_exact else self.everywhere(tile)
        part = []
        for number, row in enumerate(crops.rows):
            numbers = accumulation.of(row, 2)
            numbers = tf.broadcast_to(numbers, (*blocks, *numbers.shape[2:]))
            laid_out = [
                zero_padded_slice(numbers[:, :, column], 1, -(column + left), width)
                for column in range(layout.columns.length)
            ]
            part.append(zero_padded_slice(accumulation.joined(laid_out), 0, -number, height))
        paddings = [
            (first, whole - size - first)
            for first, whole, size in zip(tile.first_block(layout), total.shape, (height, width))
        ]
        return accumulation.joined([total, tf.pad(accumulation.joined(part), (*paddings, (0, 0)))])

    def everywhere(self, tile: Tile) -> Spatial:
        """Return crops that are written down for every block, 0 for pixels beyond the image."""
        if not self.alike:
            return self
        blocks = tile.tiling.blocks(self.layout)
        rows = (
            tile.inside_image(tf.broadcast_to(row, (*blocks, *row.shape[2:])), self.layout)
            for row in self.rows
        )
        return replace(self, rows=tuple(rows), alike=False)

    def inside_borders(self, tile: Tile, shape: tuple[int, ...]) -> Spatial:
        """Return the crops of a layer of this shape, 0 beyond its borders."""
        if self.inside:
            return self
        ones = tf.ones((*shape[:2], 1), self.rows[0].dtype)
        borders = CroppedMap(ones, self.layout, tile.tiling).rows(tile)
        rows = tuple(
            tile.inside_image(row * border, self.layout) for row, border in zip(self.rows, borders)
        )
        return Spatial(self.layout, rows, inside=True)

    def moved(self, layout: Layout) -> list[tf.Tensor]:
        """Return the rows in another layout of the same blocks that covers this one."""
        order = [self.layout.components.index(one) for one in layout.components]
        rows = self.rows
        if order != list(range(len(order))):
            rows = tuple(tf.gather(row, order, axis=2) for row in rows)
        start = layout.columns.start - self.layout.columns.start
        rows = tuple(zero_padded_slice(row, 3, start, layout.columns.length) for row in rows)
        above = self.layout.rows.start - layout.rows.start
        zeros = tf.zeros_like(rows[0])
        return [
            rows[number - above] if 0 <= number - above < len(rows) else zeros
            for number in range(layout.rows.length)
        ]

    def divisible(self, tile: Tile, down: int, right: int) -> Spatial:
        """Return crops of which `down` by `right` blocks can be taken as one."""
        blocks = tile.tiling.blocks(self.layout)
        return self.everywhere(tile) if blocks[0] % down or blocks[1] % right else self

    def merged(self, tile: Tile, down: int, right: int) -> list[tf.Tensor]:
        """Return the crop rows of `down` by `right` neighbouring blocks taken as one."""
        if down == right == 1:
            return list(self.rows)
        length = self.layout.rows.length
        sub_blocks = self.sub_blocks(tile, down, right)
        zeros = tf.zeros_like(sub_blocks(0, 0, 0))
        results = []
        for number in range(length + down - 1):
            parts = []
            for i in range(down):
                inner = number - i
                for j in range(right):
                    part = sub_blocks(inner, i, j) if 0 <= inner < length else zeros
                    parts.append(tf.pad(part, ((0, 0),) * 3 + ((j, right - 1 - j), (0, 0))))
            results.append(stacked(parts))
        return results

    def sub_blocks(self, tile: Tile, down: int, right: int) -> Callable[[int, int, int], tf.Tensor]:
        """Return what gives a crop row of the (i, j)-th of each `down` by `right` blocks."""
        crops = self.divisible(tile, down, right)
        rows = crops.rows
        if down == right == 1 or crops.alike:
            return lambda number, i, j: rows[number]
        # Every sub-block's place among all blocks; gathering whole crops is fast.
        blocks = tile.tiling.blocks(self.layout)
        places = np.arange(blocks[0] * blocks[1]).reshape(blocks)
        flat = [tf.reshape(row, (-1, *row.shape[2:])) for row in rows]
        return cache(lambda number, i, j: tf.gather(flat[number], places[i::down, j::right]))


@dataclass(frozen=True)
class Flat:
    """Columns of the Jacobian of a layer without positions, at chosen units.

    Attributes
    ----------
    columns : tf.Tensor, shape (components, units)
    units : tf.Tensor of int32, shape (units,)
    """

    columns: tf.Tensor
    units: tf.Tensor

    def accumulated(self, total: tf.Tensor, tile: Tile, accumulation: Accumulation) -> tf.Tensor:
        """Accumulate the columns into `total`, of the layer's shape."""
        numbers = accumulation.of(self.columns, 0)
        return accumulation.scattered(total, self.units[:, tf.newaxis], numbers)


class CroppedMap:
    """A map over a layer's positions, padded once, from which each tile cuts its crops.

    Parameters
    ----------
    values : tf.Tensor, shape (rows, columns, channels)
    layout : Layout
        Where the crops lie.
    tiling : Tiling
    """

    def __init__(self, values: tf.Tensor, layout: Layout, tiling: Tiling) -> None:
        self._layout = layout
        paddings = []
        for size, span, blocks, count in zip(
            values.shape, layout.spans, tiling.blocks(layout), tiling.counts
        ):
            end = blocks * count - 1 + span.start + span.length
            paddings.append((max(0, -span.start), max(0, end - size)))
        self._before = [before for before, _ in paddings]
        self._map = tf.pad(values, (*paddings, (0, 0)))

    def rows(self, tile: Tile) -> list[tf.Tensor]:
        """Return (block rows, block columns, 1, crop columns, channels), one a crop row."""
        spans, (blocks, columns) = self._layout.spans, tile.tiling.blocks(self._layout)
        first = [
            block + span.start + before
            for block, span, before in zip(tile.first_block(self._layout), spans, self._before)
        ]
        height, width = blocks + spans[0].length - 1, columns + spans[1].length - 1
        part = tf.slice(self._map, [*first, 0], [height, width, self._map.shape[-1]])
        cut = tf.stack([part[:, i : i + columns] for i in range(spans[1].length)], axis=2)
        return [cut[i : i + blocks, :, tf.newaxis] for i in range(spans[0].length)]


def stacked(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the crops of blocks that become one, (rows, columns, components, ...), as its own."""
    if len(parts) == 1:
        return parts[0]
    together = tf.stack(parts, axis=2)
    shape = together.shape
    return tf.reshape(together, (*shape[:2], shape[2] * shape[3], *shape[4:]))


def zero_padded_slice(values: tf.Tensor, axis: int, start: int, length: int) -> tf.Tensor:
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
