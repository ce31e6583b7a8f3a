"""Rules of weighted sums over windows: convolutions, and dense layers at each position."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from typing import TypeVar

import numpy as np
import tensorflow as tf

from insens_tf.operations import ELEMENT_WORK, Convolution, Matrix, Operation
from insens_tf.receptive_field import Window
from insens_tf.row_norms.crops.crop_tensors import Spatial
from insens_tf.row_norms.crops.layouts import Span
from insens_tf.row_norms.crops.rules.crop_rule import HeldState, Push, WindowedRule
from insens_tf.row_norms.crops.rules.rule_lookup import crop_rule
from insens_tf.row_norms.crops.tiles import Tile

__all__ = ["ConvolutionRule", "PositionwiseDenseRule", "SpreadKernelRule"]

KernelT = TypeVar("KernelT", bound=Operation)


class SpreadKernelRule(WindowedRule[KernelT]):
    """A sum over windows: matrix products with the kernel spread over the width of a crop."""

    @property
    def taps(self) -> int:
        """The rows of the kernel."""
        return 1

    @property
    def dilation(self) -> tuple[int, int]:
        """How far apart the kernel's taps lie, down and across."""
        return 1, 1

    @abstractmethod
    def kernel(self) -> tf.Tensor:
        """Return the kernel over all channels, (rows, columns, channels, filters)."""

    @property
    def is_alike(self) -> bool:
        # Its crops may reach beyond the borders, where what follows has them 0.
        return self.operand.is_as_input

    @property
    def merged_spans(self) -> tuple[Span, Span]:
        """Where the operand's crops lie whose blocks become one: rows and columns."""
        rows, columns = (
            span.merged(window.stride)
            for span, window in zip(self.operand.spatial_layout.spans, self.windows)
        )
        return rows, columns

    @cached_property
    def touched_rows(self) -> list[list[int]]:
        """For each row of its crops, the rows of the operand's merged crops, tap by tap.

        A row that is not in 0..length - 1 of the merged crops is beyond them, where they are 0.
        """
        window, rows = self.windows[0], self.spatial_layout.rows
        start = self.merged_spans[0].start
        return [
            [
                (row + rows.start) * window.stride - window.padding - start + tap * self.dilation[0]
                for tap in range(self.taps)
            ]
            for row in range(rows.length)
        ]

    @property
    def row_below(self) -> int:
        """The elements of a row of the operand's merged crops."""
        return self.merged_spans[1].length * int(self.operand.operation.shape[-1])

    @cached_property
    def touches(self) -> int:
        """How many of the operand's rows its rows are made of, counting each time."""
        rows = self.merged_spans[0].length
        return sum(0 <= one < rows for taps in self.touched_rows for one in taps)

    @property
    def elements_beside(self) -> int:
        if self.is_alike:
            return 0
        # Row by row of the result, so that not all that is moved is held at a time.
        is_strided = math.prod(window.stride for window in self.windows) > 1
        merged = self.row_below * self.merged_spans[0].length if is_strided else 0
        return merged + 2 * self.row_below * self.touches // self.spatial_layout.rows.length

    @property
    def work(self) -> float:
        if self.is_alike:
            return 0.0
        product = self.touches * self.row_below * self.crop_row
        moved = self.row_below * (self.merged_spans[0].length + self.touches) + self.elements
        return product + ELEMENT_WORK * moved

    def prepare(self, state: HeldState) -> Push:
        layout, (down, right) = self.spatial_layout, (window.stride for window in self.windows)
        rows, columns = self.merged_spans
        spread = _spread(self.kernel(), columns, layout.columns, self.windows[1], self.dilation[1])
        # For each row of the output's crops: the operand's rows, and the kernel spread over them.
        products = []
        spread_over: dict[tuple[tuple[int, int], ...], tf.Tensor] = {}
        for taps in self.touched_rows:
            touched = {row: tap for tap, row in enumerate(taps) if 0 <= row < rows.length}
            # None is touched between the taps of a dilated kernel.
            span = range(min(touched, default=0), max(touched, default=0) + 1)
            key = tuple((row - span.start, tap) for row, tap in touched.items())
            if key not in spread_over:
                zeros = tf.zeros_like(spread[0])
                parts = [spread[touched[row]] if row in touched else zeros for row in span]
                spread_over[key] = tf.concat(parts, axis=0)
            products.append((span, spread_over[key]))
        filters = self.operation.shape[-1]

        def push(tile: Tile, crops: Spatial) -> Spatial:
            crops = crops.inside_borders(tile, self.operand.operation.shape)
            crops = crops.divisible(tile, down, right)
            merged = crops.merged(tile, down, right)
            shape = merged[0].shape
            flat = [tf.reshape(row, (-1, shape[3] * shape[4])) for row in merged]
            results = []
            for span, matrix in products:
                parts = flat[span.start : span.stop]
                product = tf.concat(parts, axis=1) @ matrix
                results.append(tf.reshape(product, (*shape[:3], layout.columns.length, filters)))
            return Spatial(layout, tuple(results), inside=False, alike=crops.alike)

        return push


@crop_rule(Convolution)
class ConvolutionRule(SpreadKernelRule[Convolution]):
    """A convolution over rows and columns."""

    @property
    def taps(self) -> int:
        return int(self.operation.kernel.shape[0])

    @property
    def dilation(self) -> tuple[int, int]:
        down, right = self.operation.dilation
        return down, right

    @property
    def kernel_elements(self) -> int:
        rows = self.merged_spans[0].length
        different = {
            tuple(tap for tap, one in enumerate(taps) if 0 <= one < rows)
            for taps in self.touched_rows
        }
        matrix = self.row_below * self.crop_row
        return matrix * (self.taps + 1) + matrix * sum(map(len, different))

    def kernel(self) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.operation.kernel)
        groups = self.operation.groups
        if groups == 1:
            return kernel
        # Without groups, 0 for what a filter does not see.
        channels = kernel.shape[2]
        total = channels * groups
        return tf.concat(
            [
                tf.pad(part, ((0, 0), (0, 0), (i * channels, total - (i + 1) * channels), (0, 0)))
                for i, part in enumerate(tf.split(kernel, groups, axis=-1))
            ],
            axis=-1,
        )


class PositionwiseDenseRule(SpreadKernelRule[Matrix]):
    """A dense layer over the channels of each position: a convolution of one tap."""

    def kernel(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.operation.kernel)[tf.newaxis, tf.newaxis]


def _spread(
    kernel: tf.Tensor, below: Span, above: Span, window: Window, dilation: int
) -> list[tf.Tensor]:
    """Return, for each kernel row, its matrix from a crop row below to one above.

    Entry (i, o) is the kernel's column through which output o sees position i, if any.

    Parameters
    ----------
    kernel : tf.Tensor, shape (rows, columns, channels, filters)
    below, above : Span
        Where the crops lie along the columns.
    window : Window
        What an output sees along the columns.
    dilation : int
        How far apart the kernel's columns lie.

    Returns
    -------
    list of tf.Tensor, shape (crop columns below * channels, crop columns above * filters)
    """
    i = np.arange(below.length)[:, np.newaxis, np.newaxis] + below.start
    o = np.arange(above.length)[:, np.newaxis] + above.start
    taps = np.arange(kernel.shape[1])
    sees = i == o * window.stride - window.padding + taps * dilation
    spread = tf.einsum("iot,rtcf->ricof", tf.constant(sees, kernel.dtype), kernel)
    size = below.length * kernel.shape[2], above.length * kernel.shape[3]
    return [tf.reshape(row, size) for row in tf.unstack(spread)]
