"""A view: which image, drawn on or not, and which neuron; what a page's address says."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.explorer.exploration import Exploration
from insens_tf.hidden_layer import HiddenLayer

__all__ = ["View"]

_BYTES_A_PIXEL = 4


@dataclass(frozen=True)
class View:
    """A neuron of a layer, for an image.

    Attributes
    ----------
    image : str
        The name of the image.
    layer : HiddenLayer
        A hidden layer or an output.
    neuron : int
        A flat index into it.
    pixels : numpy.ndarray of int, shape (m,)
        The pixels that are drawn over, by their place among height * width.
    levels : numpy.ndarray of int, shape (m,)
        What each is drawn with: from 0, the darkest value of the images, to 255, the brightest.
    """

    image: str
    layer: HiddenLayer
    neuron: int
    pixels: NDArray[np.int64]
    levels: NDArray[np.int64]

    @staticmethod
    def of(given: Any, exploration: Exploration) -> View:
        """Read a view from what the page sends.

        Parameters
        ----------
        given : mapping
            "image" and "layer", names; "neuron", numbers with dots between them, along the layer's
            axes ("4.5.7") or one; "edits", in base64 (URL-safe) four bytes for each pixel drawn
            over, its place in three bytes and its level.
        exploration : Exploration

        Raises
        ------
        ValueError
            If anything is missing or out of range.
        """
        if not isinstance(given, Mapping):
            raise ValueError(f"view: expected an object, came {type(given).__name__}")
        texts = {name: given.get(name, "") for name in ("image", "layer", "neuron", "edits")}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise ValueError(f"{name}: expected text, came {type(text).__name__}")
        layer = exploration.network.layer(texts["layer"])
        exploration.image(texts["image"])
        pixels, levels = _edits(texts["edits"], exploration)
        return View(texts["image"], layer, _neuron(texts["neuron"], layer), pixels, levels)

    @property
    def index(self) -> tuple[int, ...]:
        """The neuron along the layer's axes, such as (row, column, channel)."""
        return tuple(int(one) for one in np.unravel_index(self.neuron, self.layer.shape))

    @property
    def is_drawn_on(self) -> bool:
        """Whether any pixel is drawn over."""
        return len(self.pixels) > 0

    def x(self, exploration: Exploration) -> NDArray[Any]:
        """Return the input, (1, *input_shape), as it is drawn on."""
        x = exploration.image(self.image)
        if not self.is_drawn_on:
            return x
        lowest, highest = exploration.lowest, exploration.highest
        drawn = x.copy()
        values = lowest + (highest - lowest) * self.levels / 255
        drawn.reshape(-1, exploration.picture_shape[-1])[self.pixels] = values[:, np.newaxis]
        return drawn


def _neuron(text: str, layer: HiddenLayer) -> int:
    parts = text.split(".")
    axes = layer.shape if len(parts) > 1 else (layer.neurons,)
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 10]
    if len(numbers) != len(axes) or any(one >= side for one, side in zip(numbers, axes)):
        largest = ".".join(str(side - 1) for side in layer.shape)
        raise ValueError(
            f"neuron={text[:40]!r} of layer {layer.name!r}: expected numbers from "
            f"{'.'.join('0' * len(layer.shape))} to {largest}, along its axes"
        )
    return int(np.ravel_multi_index(tuple(numbers), axes))


def _edits(text: str, exploration: Exploration) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    height, width, _ = exploration.picture_shape
    try:
        content = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"edits: expected base64, came {text[:40]!r}") from error
    if len(content) % _BYTES_A_PIXEL:
        raise ValueError("edits: expected four bytes for each pixel; the address is not whole")
    packed = np.frombuffer(content, ">u4").astype(np.int64)
    pixels, levels = packed >> 8, packed & 255
    if (pixels >= height * width).any():
        raise ValueError(
            f"edits: expected pixels below {height * width} ({height} x {width}), came "
            f"{pixels.max()}; this address is of other images"
        )
    return pixels, levels
