"""Rules of dense layers: over units, perhaps those of a layer that was flattened."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from insens_tf.operations import ELEMENT_WORK, Matrix
from insens_tf.row_norms.crops.crop_tensors import Flat, Spatial
from insens_tf.row_norms.crops.layouts import Layout
from insens_tf.row_norms.crops.rules.crop_rule import EXPECTED_DENSITY, CropRule, HeldState, Push
from insens_tf.row_norms.crops.rules.rule_lookup import crop_rule
from insens_tf.row_norms.crops.rules.window_sum_rules import PositionwiseDenseRule
from insens_tf.row_norms.crops.tiles import Tile

__all__ = ["DenseRule", "dense_rule"]


class DenseRule(CropRule[Matrix]):
    """A dense layer over units, perhaps those of a layer that was flattened: it sees every crop.

    The crops of one row of blocks are multiplied by the rows of the matrix that they touch. Only
    units that can differ from 0 take part, and only neurons that are needed or passed on.
    """

    takes_flattened = True

    def find_layout(self) -> None:
        return None

    @property
    def is_alike(self) -> bool:
        return self.operand.is_as_input

    @property
    def elements_laid_out(self) -> int:
        """The elements of the crops below, twice, and of what is picked of them, if any."""
        below = self.operand.unflattened
        if below.layout is None:
            return 0
        height = below.layout.rows.length
        _, width, channels = below.operation.shape
        picked = below.expected_density * height * width * channels
        return 2 * height * below.crop_row + int(picked)

    @property
    def elements_beside(self) -> int:
        return 0 if self.is_alike else self.elements_laid_out or self.elements

    @property
    def kernel_elements(self) -> int:
        return int(EXPECTED_DENSITY * self.operation.kernel.shape[0]) * self.operation.size

    @property
    def work(self) -> float:
        below = self.operand.unflattened
        size = self.operand.expected_density * self.operation.kernel.shape[0]
        if below.layout is not None:
            # Only the rows that the crops of a row of blocks touch.
            size *= min(1.0, below.layout.rows.length / below.operation.shape[0])
        wanted = self.needed or 0.0
        if self.consumers:
            wanted = max(wanted, EXPECTED_DENSITY * self.operation.size)
        return size * wanted + ELEMENT_WORK * self.elements_laid_out

    def wanted_units(self, state: HeldState) -> tf.Tensor:
        """Return which units are needed, or differ from 0 in what follows: bool, (units,)."""
        wanted = tf.zeros(self.operation.shape, tf.bool)
        if self.is_needed:
            wanted |= state.needed[self.position]
        for consumer in self.consumers:
            nonzero = consumer.nonzero_units(state)
            wanted |= True if nonzero is None else nonzero
        return wanted

    def prepare(self, state: HeldState) -> Push:
        units = tf.cast(tf.where(self.wanted_units(state))[:, 0], tf.int32)
        nonzero = self.operand.nonzero_units(state)
        if nonzero is None:
            nonzero = tf.ones(self.operand.operation.shape, tf.bool)
        active = tf.cast(tf.where(nonzero)[:, 0], tf.int32)
        # Rows first: gathering columns is slow.
        kernel = tf.convert_to_tensor(self.operation.kernel)
        kernel = tf.gather(tf.gather(kernel, active), units, axis=1)
        below = self.operand.unflattened
        if below.layout is not None:
            return _over_crops(below.layout, below.operation.shape, active, kernel, units)

        def push(tile: Tile, flat: Flat) -> Flat:
            # What differs from 0 was wanted below, so each is found where it stands there.
            columns = tf.gather(flat.columns, tf.searchsorted(flat.units, active), axis=1)
            return Flat(columns @ kernel, units)

        return push


@crop_rule(Matrix)
def dense_rule(operation: Matrix, *place: Any) -> CropRule[Matrix]:
    """Return the rule of a dense layer, which depends on whether it has positions."""
    has_positions = len(operation.shape) == 3
    return (PositionwiseDenseRule if has_positions else DenseRule)(operation, *place)


def _over_crops(
    layout: Layout,
    shape: tuple[int, ...],
    active: tf.Tensor,
    kernel: tf.Tensor,
    units: tf.Tensor,
) -> Push:
    """Return what multiplies the crops of a flattened layer by rows of a matrix.

    Parameters
    ----------
    layout : Layout
        Where the crops lie.
    shape : tuple of int
        The layer's, before it was flattened: (rows, columns, channels).
    active : tf.Tensor of int32, shape (rows of the matrix,)
        The flat indices of the layer's units that can differ from 0, in order.
    kernel : tf.Tensor, shape (rows of the matrix, units)
    units : tf.Tensor of int32, shape (units,)
        Which units the columns of the matrix are.
    """
    _, width, channels = shape
    a_row = width * channels
    crop_row = layout.columns.length * channels
    zero = layout.rows.length * crop_row

    def push(tile: Tile, crops: Spatial) -> Flat:
        blocks = tile.tiling.blocks(layout)
        rows = [
            tf.reshape(row, (blocks[0] * blocks[1], -1, crop_row))
            for row in crops.everywhere(tile).rows
        ]
        # Elements first, and last a 0 for what a crop does not reach: then whole rows, an
        # element of all components each, are picked, which is fast.
        elements = tf.concat([*rows, tf.zeros_like(rows[0][..., :1])], axis=2)
        elements = tf.transpose(elements, (0, 2, 1))
        down, right = tile.first_block(layout)
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
            results.append(tf.matmul(picked, kernel[lower[block] : upper[block]], transpose_a=True))
        return Flat(tf.concat(results, axis=0), units)

    return push
