"""Rules of what multiplies each unit by a number: gates, and channels scaled."""

from __future__ import annotations

from dataclasses import replace

import tensorflow as tf

from insens_tf.operations import ChannelScaling, Gate
from insens_tf.row_norms.crops.crop_tensors import CroppedMap, Flat, Spatial
from insens_tf.row_norms.crops.rules.crop_rule import (
    EXPECTED_DENSITY,
    HeldState,
    PointwiseRule,
    Push,
    made_once,
)
from insens_tf.row_norms.crops.rules.rule_lookup import crop_rule
from insens_tf.row_norms.crops.tiles import Tile

__all__ = ["ChannelScalingRule", "GateRule"]


@crop_rule(Gate)
class GateRule(PointwiseRule[Gate]):
    """A gate: crops times crops of its slope.

    Where all that follows takes the slope with it, as max pooling does with the winner's, the
    gate leaves its crops as they are.
    """

    @property
    def leaves_slope(self) -> bool:
        """Whether its slope is left to what follows."""
        return (
            self.layout is not None
            and bool(self.consumers)
            and not self.is_needed
            and all(consumer.takes_slope for consumer in self.consumers)
        )

    @property
    def state_elements(self) -> int:
        return 2 * self.operation.size

    @property
    def expected_density(self) -> float:
        return EXPECTED_DENSITY

    @made_once
    def slope(self, state: HeldState) -> tf.Tensor:
        """Return its slope at each unit, of its shape."""
        return self.operation.slope(state.values[self.operand.position])

    def unapplied_slope(self, state: HeldState) -> tf.Tensor | None:
        return self.slope(state) if self.leaves_slope else None

    @made_once
    def nonzero_units(self, state: HeldState) -> tf.Tensor | None:
        # Nothing comes from what a gate below it has stopped.
        own = tf.not_equal(self.slope(state), 0)
        below = self.operand.nonzero_units(state)
        return own if below is None else own & below

    def prepare(self, state: HeldState) -> Push:
        if self.layout is None:
            return _scaled_columns(self.slope(state))
        layout = self.layout
        slopes = CroppedMap(self.slope(state), layout, state.tiling)
        if self.leaves_slope:
            return lambda tile, crops: crops

        def push(tile: Tile, crops: Spatial) -> Spatial:
            rows = (
                tile.inside_image(row * slope, layout)
                for row, slope in zip(crops.rows, slopes.rows(tile))
            )
            return Spatial(layout, tuple(rows), inside=True)

        return push


@crop_rule(ChannelScaling)
class ChannelScalingRule(PointwiseRule[ChannelScaling]):
    """Each channel times a factor, whatever the state."""

    @property
    def is_as_input(self) -> bool:
        return self.operand.is_as_input

    @property
    def is_alike(self) -> bool:
        return self.operand.is_alike

    @property
    def is_first(self) -> bool:
        return self.operand.is_first

    def nonzero_units(self, state: HeldState) -> tf.Tensor | None:
        return self.operand.nonzero_units(state)

    def prepare(self, state: HeldState) -> Push:
        factor = self.operation.factor()
        if self.layout is None:
            return _scaled_columns(factor)

        def push(tile: Tile, crops: Spatial) -> Spatial:
            return replace(crops, rows=tuple(row * factor for row in crops.rows))

        return push


def _scaled_columns(factor: tf.Tensor) -> Push:
    """Return what multiplies columns of the Jacobian by a factor a unit, (units,)."""

    def push(tile: Tile, flat: Flat) -> Flat:
        return Flat(flat.columns * tf.gather(factor, flat.units), flat.units)

    return push
