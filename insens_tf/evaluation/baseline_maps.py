"""Maps that know nothing of the network: what any method must beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from insens_tf.arguments import one_of, whole_number

__all__ = ["BASELINE_MAPS", "baseline_maps"]


def _random(x: NDArray[np.floating], generator: np.random.Generator) -> NDArray[np.float64]:
    return generator.random(x.shape[:3])


def _edges(x: NDArray[np.floating], generator: np.random.Generator) -> NDArray[np.float64]:
    brightness = x.astype(np.float64).mean(axis=-1)
    slopes = [ndimage.sobel(brightness, axis=axis, mode="nearest") for axis in (1, 2)]
    return np.hypot(*slopes)


def _distance(x: NDArray[np.floating], generator: np.random.Generator) -> NDArray[np.float64]:
    brightness = x.astype(np.float64).mean(axis=-1)
    middle = (brightness.min(axis=(1, 2)) + brightness.max(axis=(1, 2))) / 2
    is_object = brightness > middle[:, np.newaxis, np.newaxis]
    # Constant images have no object, and a distance of 0 everywhere.
    return -np.stack(
        [
            ndimage.distance_transform_edt(~one) if one.any() else np.zeros(one.shape)
            for one in is_object
        ]
    )


BASELINE_MAPS: dict[
    str, Callable[[NDArray[np.floating], np.random.Generator], NDArray[np.float64]]
] = {"random": _random, "edges": _edges, "distance": _distance}
"""The maps by their names, each of images and a generator."""


def baseline_maps(x: NDArray[np.floating], name: str, seed: int = 0) -> NDArray[np.float64]:
    """Return maps that are made of the images alone, or of nothing.

    Parameters
    ----------
    x : array, shape (n, height, width, channels)
        The images.
    name : {"random", "edges", "distance"}
        Random numbers; the length of the brightness' gradient (Sobel); the distance to the object,
        negative: the object is what is brighter than the middle between the image's darkest and
        brightest pixel, and is most important.
    seed : int
        Of the random numbers.

    Returns
    -------
    numpy.ndarray of float64, shape (n, height, width)

    Raises
    ------
    ValueError
        If the name is unknown, or x are no images.
    """
    one_of("name", name, BASELINE_MAPS)
    generator = np.random.default_rng(whole_number("seed", seed, least=0))
    images = np.asarray(x)
    if images.ndim != 4 or not images.size:
        raise ValueError(
            f"x: expected images (n, height, width, channels), came shape {images.shape}"
        )
    return BASELINE_MAPS[name](images, generator)
