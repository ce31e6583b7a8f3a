"""Which input pixels are pushed at a time: tiles of whole blocks that cover the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from insens_tf.row_norms.crops.layouts import Layout

__all__ = ["Tile", "Tiling"]


@dataclass(frozen=True)
class Tiling:
    """An image cut into tiles of one size; the last ones may reach beyond the image.

    Attributes
    ----------
    image : tuple of int
        The rows and columns of the input.
    size : tuple of int
        The rows and columns of a tile, multiples of the stride of every layout.
    counts : tuple of int
        How many tiles there are, down and across.
    """

    image: tuple[int, int]
    size: tuple[int, int]
    counts: tuple[int, int]

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return math.prod(self.counts)

    @property
    def is_exact(self) -> bool:
        """Whether no tile reaches beyond the image."""
        down, right = (size * count for size, count in zip(self.size, self.counts))
        return self.image == (down, right)

    def blocks(self, layout: Layout) -> tuple[int, int]:
        """Return how many of a layer's blocks a tile has, down and across."""
        down, right = self.size
        return down // layout.rows.stride, right // layout.columns.stride

    def tile(self, number: tf.Tensor) -> Tile:
        """Return a tile, counted row by row."""
        down, right = number // self.counts[1], number % self.counts[1]
        return Tile(self, (down * self.size[0], right * self.size[1]))


@dataclass(frozen=True)
class Tile:
    """The tile whose first pixel is at `first`, a row and a column of the input."""

    tiling: Tiling
    first: tuple[tf.Tensor, tf.Tensor]

    def first_block(self, layout: Layout) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the number of the tile's first block, down and across."""
        row, column = self.first
        return row // layout.rows.stride, column // layout.columns.stride

    def inside_image(self, row: tf.Tensor, layout: Layout) -> tf.Tensor:
        """Set to 0 the crops of components that lie beyond the image.

        Parameters
        ----------
        row : tf.Tensor, shape (block rows, block columns, components, crop columns, channels)
        layout : Layout

        Returns
        -------
        tf.Tensor, shape of `row`
        """
        if self.tiling.is_exact:
            return row
        blocks = self.tiling.blocks(layout)
        rows, columns = (
            first + tf.constant(np.arange(count)[:, np.newaxis] * span.stride + within, tf.int32)
            for first, count, span, within in zip(
                self.first, blocks, layout.spans, np.array(layout.components).T
            )
        )
        height, width = self.tiling.image
        valid = (rows < height)[:, tf.newaxis] & (columns < width)
        return row * tf.cast(valid, row.dtype)[..., tf.newaxis, tf.newaxis]
