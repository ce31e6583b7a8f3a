"""Rules of what adds crops or moves them, and of the input that they begin at."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import reduce

import tensorflow as tf

from insens_tf.operations import Add, Concatenate, Input, Operation, Reshape, ZeroPadding
from insens_tf.row_norms.crops.crop_tensors import Flat, Spatial
from insens_tf.row_norms.crops.layouts import Layout, Span
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

__all__ = ["AddRule", "ConcatenateRule", "InputRule", "JoinRule", "ReshapeRule", "ZeroPaddingRule"]


@crop_rule(Input)
class InputRule(CropRule[Input]):
    """The input: columns of the identity, pushed nowhere yet."""

    is_as_input = True
    is_alike = True
    work = 0.0

    def find_layout(self) -> Layout | None:
        if len(self.operation.shape) == 3:
            channels = self.operation.shape[-1]
            return Layout(Span(), Span(), tuple((0, 0, channel) for channel in range(channels)))
        if len(self.operation.shape) != 1:
            raise NoCropsError
        return None

    def prepare(self, state: HeldState) -> Push:
        layout, channels = self.layout, self.operation.shape[-1]
        if layout is None:

            def push_units(tile: Tile) -> Flat:
                rows = tile.first[0] + tf.range(tile.tiling.size[0])
                return Flat(tf.one_hot(rows, channels, dtype=state.dtype), tf.range(channels))

            return push_units

        def push(tile: Tile) -> Spatial:
            identity = tf.eye(channels, dtype=state.dtype)
            row = identity[tf.newaxis, tf.newaxis, :, tf.newaxis]
            return Spatial(layout, (row,), inside=True, alike=True)

        return push


class JoinRule(CropRule[Operation]):
    """Several operands side by side or added up: their crops are moved to where all of them lie."""

    def find_layout(self) -> Layout:
        layouts = [operand.layout for operand in self.operands if operand.layout is not None]
        if len(layouts) < len(self.operands):
            raise NoCropsError
        if len({tuple(sorted(layout.components)) for layout in layouts}) > 1:
            raise NoCropsError
        return reduce(Layout.union, layouts)

    @abstractmethod
    def join(self, parts: list[tf.Tensor]) -> tf.Tensor:
        """Join a crop row of every operand."""

    def prepare(self, state: HeldState) -> Push:
        layout = self.spatial_layout

        def push(tile: Tile, *operands: Spatial) -> Spatial:
            moved = [crops.everywhere(tile).moved(layout) for crops in operands]
            rows = tuple(self.join(list(parts)) for parts in zip(*moved))
            return Spatial(layout, rows, inside=all(crops.inside for crops in operands))

        return push


@crop_rule(Add)
class AddRule(JoinRule):
    """A sum of crops."""

    def join(self, parts: list[tf.Tensor]) -> tf.Tensor:
        return tf.add_n(parts)


@crop_rule(Concatenate)
class ConcatenateRule(JoinRule):
    """Crops side by side along the channels."""

    def join(self, parts: list[tf.Tensor]) -> tf.Tensor:
        return tf.concat(parts, axis=-1)


@crop_rule(ZeroPadding)
class ZeroPaddingRule(WindowedRule[ZeroPadding]):
    """Zeros around the layer: the same crops, 0 beyond the operand's borders."""

    @property
    def is_as_input(self) -> bool:
        return self.operand.is_as_input

    @property
    def is_alike(self) -> bool:
        return self.operand.is_as_input

    def prepare(self, state: HeldState) -> Push:
        def push(tile: Tile, crops: Spatial) -> Spatial:
            inside = crops.inside_borders(tile, self.operand.operation.shape)
            return replace(inside, layout=self.spatial_layout)

        return push


@crop_rule(Reshape)
class ReshapeRule(CropRule[Reshape]):
    """A layer flattened: its crops stay as they are, and dense layers take them so."""

    elements = 0

    @property
    def unflattened(self) -> CropRule[Operation]:
        return self.operand.unflattened

    @property
    def expected_density(self) -> float:
        return self.operand.expected_density

    def find_layout(self) -> None:
        # Its own norms would be of crops without positions.
        takes = all(consumer.takes_flattened for consumer in self.consumers)
        if self.is_needed or len(self.operation.shape) != 1 or not takes:
            raise NoCropsError

    @made_once
    def nonzero_units(self, state: HeldState) -> tf.Tensor | None:
        units = self.operand.nonzero_units(state)
        return None if units is None else tf.reshape(units, self.operation.shape)

    def prepare(self, state: HeldState) -> Push:
        return lambda tile, crops: crops
