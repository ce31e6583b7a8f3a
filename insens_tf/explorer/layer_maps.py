"""How a layer's neurons are laid out as maps, and which part of the input each of them sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.hidden_layer import HiddenLayer
from insens_tf.receptive_field import ReceptiveField

__all__ = ["LayerMaps"]


@dataclass(frozen=True)
class LayerMaps:
    """The maps that a page shows of a layer: one a channel, or one of all neurons of a dense layer.

    Attributes
    ----------
    layer : HiddenLayer
    rows, columns, channels : int
        A map has rows x columns places. The neuron at (r, c) of channel k has the flat index
        (r * columns + c) * channels + k; in a dense layer's map the last places may be empty.
    """

    layer: HiddenLayer
    rows: int
    columns: int
    channels: int

    @staticmethod
    def of(layer: HiddenLayer) -> LayerMaps:
        """Return the maps of a layer of any rank."""
        if len(layer.shape) < 2:
            columns = math.ceil(math.sqrt(layer.neurons))
            # Few neurons, such as ten logits, are easier to count in one row.
            columns = layer.neurons if layer.neurons <= 16 else columns
            return LayerMaps(layer, math.ceil(layer.neurons / columns), columns, 1)
        rows = layer.shape[0] if len(layer.shape) > 2 else 1
        return LayerMaps(layer, rows, math.prod(layer.shape[:-1]) // rows, channels=layer.shape[-1])

    def arranged(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values of a layer as maps, (channels, rows, columns), NaN in empty places."""
        flat = np.full(self.rows * self.columns * self.channels, np.nan)
        flat[: values.size] = values.reshape(-1)
        return np.moveaxis(flat.reshape(self.rows, self.columns, self.channels), -1, 0)

    def place(self, neuron: int) -> tuple[int, int, int]:
        """Return the channel, row and column of a neuron, a flat index."""
        position, channel = divmod(neuron, self.channels)
        return channel, *divmod(position, self.columns)

    def described(self, field: ReceptiveField) -> dict[str, Any]:
        """Return what the page has to know of the layer.

        "windows" has size, stride and padding of the receptive field along each axis of the input;
        None where every neuron sees all of it, or its positions are no pixels.
        """
        layer = self.layer
        is_of_pixels = field.windows is not None and len(field.windows) == 2
        windows = [[w.size, w.stride, w.padding] for w in field.windows or ()]
        return {
            "name": layer.name,
            "index": layer.index,
            "shape": layer.shape,
            "neurons": layer.neurons,
            "rows": self.rows,
            "columns": self.columns,
            "channels": self.channels,
            "windows": windows if is_of_pixels and len(layer.shape) == 3 else None,
        }
