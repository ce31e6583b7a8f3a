"""What is explored: a network, images, perhaps a frequency, and what is kept of them."""

from __future__ import annotations

import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.batches import BATCH_SIZE
from insens_tf.bounded_cache import BoundedCache
from insens_tf.explorer.layer_maps import LayerMaps
from insens_tf.frequency_check import checked_frequency
from insens_tf.heatmap import picture
from insens_tf.network import SwitchedNetwork
from insens_tf.report import reported_layers

__all__ = ["Exploration", "ImageSource", "PythonLines"]

Kept = TypeVar("Kept")

MOST_DROPPED = 32
"""How many dropped images are kept; the oldest goes first."""

MOST_DROPPED_BYTES = 8 * 2**20

# Of a kind so many results are kept, such as the activities of all layers for an image.
_KEPT_OF_A_KIND = 4
_KEPT_ANALYZERS = 8
_MOST_EXTREMES = 4096


class ImageSource(Protocol):
    """Inputs in the order of their numbers; a slice of them is scaled as the model takes it."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice) -> NDArray[Any]: ...


@dataclass(frozen=True)
class PythonLines:
    """The lines of Python that make what is explored.

    Attributes
    ----------
    network : tuple of str
        They make `network`.
    images : tuple of str
        They make `images`, of which a slice is a batch of inputs.
    frequency : tuple of str
        They make `frequency`; none where there is none.
    """

    network: tuple[str, ...] = ("# network: the SwitchedNetwork that is explored",)
    images: tuple[str, ...] = ("# images: the array that is explored",)
    frequency: tuple[str, ...] = ("# frequency: the one that is explored with",)


class Exploration:
    """A network and images, with what has to be known of them again and again.

    Parameters
    ----------
    network : SwitchedNetwork
    images : ImageSource
        At least one; (n, *input_shape) when sliced.
    names : sequence of str
        One an image.
    frequency : mapping of str to array, optional
        m/N by the name of a layer, as `SwitchedNetwork.activation_frequency` returns it.
    picture_shape : tuple of int, optional
        (height, width, channels) of an input, where its own shape does not say it.
    read_dropped : callable, optional
        From the path of a picture to an input, (1, *input_shape).
    lines : PythonLines

    Attributes
    ----------
    maps : dict of str to LayerMaps
        By the name of the layer, the outputs after the hidden layers.
    lowest, highest : float
        The smallest and the largest value of the images.

    Raises
    ------
    ValueError
        If there is no image, an image is not as the network takes it, or it cannot be drawn.
    """

    def __init__(
        self,
        network: SwitchedNetwork,
        images: ImageSource,
        names: Sequence[str],
        frequency: Any = None,
        *,
        picture_shape: tuple[int, int, int] | None = None,
        read_dropped: Callable[[Path], NDArray[Any]] | None = None,
        lines: PythonLines | None = None,
    ) -> None:
        network.input_spec.check(images[:1], "images")
        _check_frequency(frequency, network)
        self.network = network
        self.images = images
        self.names = names
        self.frequency = frequency
        self.lines = lines or PythonLines()
        self.picture_shape = picture_shape or _picture_shape(network.input_shape)
        self.layers = (*network.layers, *network.outputs)
        self.maps = {layer.name: LayerMaps.of(layer) for layer in self.layers}
        self.chain = reported_layers(network.reading)
        self.analyzers = BoundedCache(_KEPT_ANALYZERS)
        some = range(0, min(len(images), _MOST_EXTREMES), BATCH_SIZE)
        batches = [images[start : start + BATCH_SIZE] for start in some]
        self.lowest = float(min(one.min() for one in batches))
        self.highest = float(max(one.max() for one in batches))
        self._read_dropped = read_dropped
        self._dropped: OrderedDict[str, tuple[str, NDArray[Any]]] = OrderedDict()
        self._kept: dict[str, BoundedCache] = {}

    def image(self, name: str) -> NDArray[Any]:
        """Return one image, (1, *input_shape): by its number, "blank", or a dropped one's name.

        Raises
        ------
        ValueError
            If there is none.
        """
        if name == "blank":
            shape = (1, *self.network.input_shape)
            return np.full(shape, self.lowest, self.network.dtype)
        dropped = self._dropped.get(name)
        if dropped is not None:
            return dropped[1]
        if name.startswith("dropped-"):
            raise ValueError(
                f"image={name!r}: this dropped image is no longer kept; drop the file again"
            )
        if not name.isascii() or not name.isdigit() or int(name) >= len(self.images):
            raise ValueError(
                f"image={name!r}: expected a number from 0 to {len(self.images) - 1}, or 'blank'"
            )
        number = int(name)
        x = np.asarray(self.images[number : number + 1], self.network.dtype)
        return self.network.input_spec.check(x, f"image {number}")

    def title(self, name: str) -> str:
        """Return what an image is called for a reader."""
        dropped = self._dropped.get(name)
        if dropped is not None:
            return dropped[0]
        return "blank" if name == "blank" else self.names[int(name)]

    def drop(self, title: str, content: bytes) -> str:
        """Take a picture's file among the images, and return its name.

        Raises
        ------
        ValueError
            If it is no picture that the network takes.
        """
        if self._read_dropped is None:
            raise ValueError("this exploration takes no files: its inputs are no pictures")
        suffix = Path(title).suffix.lower() or ".png"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"dropped{suffix if suffix.isascii() else '.png'}"
            path.write_bytes(content)
            try:
                x = self._read_dropped(path)
            except files.UnusableFileError as error:
                text = str(error).replace(str(path), files.printable(title))
                raise ValueError(text) from error
        name = f"dropped-{hashlib.blake2b(content, digest_size=6).hexdigest()}"
        self._dropped[name] = title[-80:], np.asarray(x, self.network.dtype)
        while len(self._dropped) > MOST_DROPPED:
            self._dropped.popitem(last=False)
        return name

    def activities(self, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return v of every layer and output for one input, (1, *input_shape): no batch axis."""

        def compute() -> dict[str, NDArray[Any]]:
            found = self.network.activity(x, list(self.layers))
            return {name: values[0] for name, values in found.items()}

        return self.kept("activities", x.tobytes(), compute)

    def outputs(self, x: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the logits of each output for one input, flat."""
        activities = self.activities(x)
        return [activities[one.name].reshape(-1) for one in self.network.outputs]

    def kept(self, kind: str, key: Hashable, compute: Callable[[], Kept]) -> Kept:
        """Return what was computed under a key lately, or compute it; some of each kind stay."""
        return self._kept.setdefault(kind, BoundedCache(_KEPT_OF_A_KIND)).kept(key, compute)

    def picture(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Return inputs, (n, *input_shape), as RGB: all by the images' darkest and brightest."""
        pictures = self.as_pictures(np.clip(x, self.lowest, self.highest))
        if pictures.shape[-1] not in (1, 3):
            pictures = pictures.mean(axis=-1, keepdims=True)
        extremes = [np.full((1, *pictures.shape[1:]), one) for one in (self.lowest, self.highest)]
        return picture(np.concatenate([pictures, *extremes]))[:-2]

    def as_pictures(self, maps: NDArray[Any]) -> NDArray[Any]:
        """Return maps, (n, *input_shape), as (n, height, width, channels)."""
        return maps.reshape(len(maps), *self.picture_shape)


def _check_frequency(frequency: Any, network: SwitchedNetwork) -> None:
    """Refuse what is no frequency of this network; it may be of some layers only."""
    if frequency is None:
        return
    if not isinstance(frequency, Mapping):
        raise ValueError(
            f"frequency: expected a mapping from names of layers to m/N, as activation_frequency "
            f"returns it, came {type(frequency).__name__}"
        )
    checked_frequency(
        frequency, [one for one in network.layers if one.name in frequency], single=False
    )


def _picture_shape(input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (height, width, channels) of an input; a vector becomes as square as it can be."""
    if len(input_shape) == 3:
        height, width, channels = input_shape
        return height, width, channels
    if len(input_shape) == 2:
        return (*input_shape, 1)
    if len(input_shape) == 1:
        (length,) = input_shape
        height = next(n for n in range(int(length**0.5), 0, -1) if length % n == 0)
        return height, length // height, 1
    raise ValueError(
        f"images: expected inputs of one to three axes, which can be drawn, came {input_shape}"
    )
