"""The pictures of a neuron: its input, and its maps where it sees the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf.picture_grid import Part

__all__ = ["NeuronPicture", "neuron_pictures"]


class NeuronPicture(NamedTuple):
    """A picture, (height, width, 3), or None where there is none.

    Attributes
    ----------
    title : str
    rgb : numpy.ndarray of uint8, or None
    outlined : (slice, slice), optional
        The rows and columns that a line is to be drawn around.
    """

    title: str
    rgb: NDArray[np.uint8] | None
    outlined: Part | None = None


def neuron_pictures(
    x: NDArray[np.uint8] | None, maps: Mapping[str, NDArray[np.uint8] | None], seen: Part | None
) -> list[NeuronPicture]:
    """Return a row of pictures: the input, and maps of the same size by their titles.

    With `seen`, the rows and columns that a convolutional neuron sees, they are outlined on the
    input, and it and the maps follow zoomed: a w is 0 elsewhere.
    """
    if seen is None:
        return [NeuronPicture("input", x), *(NeuronPicture(*one) for one in maps.items())]
    zoomed = {"what it sees": x, **maps}
    return [
        NeuronPicture("input", x, seen),
        *(
            NeuronPicture(title, None if rgb is None else rgb[seen])
            for title, rgb in zoomed.items()
        ),
    ]
