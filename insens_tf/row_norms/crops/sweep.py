"""The push of one input's crops, tile by tile, written down as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from insens_tf.accumulation import Accumulation
from insens_tf.row_norms.crops.crop_tensors import Flat, Spatial, zero_padded_slice
from insens_tf.row_norms.crops.rules import CropRule, HeldState
from insens_tf.row_norms.crops.tile_sizes import CropSizes
from insens_tf.row_norms.crops.tiles import Tiling

__all__ = ["swept_norms"]


def swept_norms(
    sizes: CropSizes,
    values: Mapping[int, tf.Tensor],
    needed: Mapping[int, tf.Tensor],
    accumulation: Accumulation,
) -> list[tf.Tensor]:
    """Push all pixels of one input, and return what the rows of the needed layers accumulate to.

    What depends on the state alone is made once; the pushing itself is done tile by tile.

    Parameters
    ----------
    sizes : CropSizes
    values : mapping of int to tf.Tensor, shape (*layer shape)
        Of every operation that is pushed through, by position.
    needed : mapping of int to tf.Tensor of bool, shape (*layer shape)
        Which neurons are needed, by position.
    accumulation : Accumulation

    Returns
    -------
    list of tf.Tensor, shape (*layer shape) each
        In the order of `needed`.
    """
    rules, tiling = sizes.rules, sizes.tiling
    by_position = {rule.position: rule for rule in rules}
    wanted = [by_position[position] for position in needed]
    dtype = values[0].dtype
    state = HeldState(values, needed, tiling, dtype)
    pushes = [rule.prepare(state) for rule in rules]

    def push(number: tf.Tensor, totals: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Accumulate what a tile's pixels become."""
        tile = tiling.tile(number)
        pushed: dict[int, Spatial | Flat] = {}
        added = dict(zip(needed, totals))
        for rule, step in zip(rules, pushes):
            operands = [pushed[operand.position] for operand in rule.operands]
            pushed[rule.position] = step(tile, *operands)
            if rule.is_needed:
                total = added[rule.position]
                added[rule.position] = pushed[rule.position].accumulated(total, tile, accumulation)
        return number + 1, list(added.values())

    first = tf.constant(0), [tf.zeros(_room(rule, tiling), dtype) for rule in wanted]
    if tiling.count == 1:
        _, totals = push(*first)
    else:
        _, totals = tf.while_loop(
            lambda number, totals: number < tiling.count, push, first, parallel_iterations=1
        )
    return [_trimmed(rule, tiling, total) for rule, total in zip(wanted, totals)]


def _room(rule: CropRule[Any], tiling: Tiling) -> tuple[int, ...]:
    """Return the shape of a sum over crops, with room for what lies beyond the borders."""
    shape = rule.operation.shape
    if rule.layout is None:
        return shape
    height, width = (
        blocks * count + span.length - 1
        for blocks, count, span in zip(tiling.blocks(rule.layout), tiling.counts, rule.layout.spans)
    )
    return height, shape[1] if tiling.counts[1] == 1 else width, shape[-1]


def _trimmed(rule: CropRule[Any], tiling: Tiling, total: tf.Tensor) -> tf.Tensor:
    """Return a sum over crops without what lies beyond the borders."""
    if rule.layout is None:
        return total
    height, width, _ = rule.operation.shape
    rows, columns = rule.layout.spans
    total = zero_padded_slice(total, 0, -rows.start, height)
    return total if tiling.counts[1] == 1 else zero_padded_slice(total, 1, -columns.start, width)
