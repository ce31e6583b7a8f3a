"""How much the maps of two networks are alike, method by method: what Figure 7 is made of."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from experiments.method_maps import INSENS_METHODS, baseline_maps, insens_maps, predicted
from insens_tf.evaluation import CORRELATIONS, rank_correlation
from insens_tf.method_table import COMPARED_METHODS

__all__ = [
    "OF_THE_LAYER",
    "TRAINED_TO_FIT",
    "compared_maps",
    "correlations_of_maps",
    "explained_maps",
    "forget_networks",
    "images_of_seed",
    "write_correlations",
    "zero_maps_counted",
]

Map = tuple[str, str]
"""A method, and what it explains."""

OF_THE_LAYER = "layer"
"""What Insens explains."""

# Augmentation and dropout keep a network from fitting labels that have nothing to do with the
# images; all kinds are trained without.
TRAINED_TO_FIT = {
    "dropout": 0.0,
    "flip": False,
    "shift": 0,
    "batch_size": 64,
    "learning_rate": 3e-4,
    "epochs": 60,
    "stop_at": 0.95,
}
"""Settings with which a network learns its labels, whatever they are."""


def compared_maps(explained: Sequence[str]) -> list[Map]:
    """Return each method with the neuron that it explains; Insens explains a layer."""
    return [
        *((name, one) for one in explained for name in COMPARED_METHODS),
        *((name, OF_THE_LAYER) for name in INSENS_METHODS.values()),
    ]


def explained_maps(
    model: Any,
    x: NDArray[np.float32],
    x_train: NDArray[np.float32],
    original: NDArray[np.int64],
    explained: Sequence[str],
) -> dict[Map, NDArray[np.float32]]:
    """Return all maps of a network that is compared with another.

    Parameters
    ----------
    model
        2CONV.
    x, x_train
        As :func:`experiments.method_maps.method_maps` has them.
    original
        The classes that the other network predicts, (n,).
    explained
        Which classes: "original", "own" or both.

    Returns
    -------
    dict
        By method, and what it explains, the maps, shaped as x; as `compared_maps` has them.
    """
    classes = {"original": original, "own": predicted(model, x)}
    baselines = {
        (name, one): maps
        for one in explained
        for name, maps in baseline_maps(model, x, classes[one]).items()
    }
    of_layers = insens_maps(model, x, x_train).items()
    return baselines | {(name, OF_THE_LAYER): maps for name, maps in of_layers}


def correlations_of_maps(
    ours: Mapping[str, NDArray[np.float32]], theirs: Mapping[Map, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the rank correlations of each map, (len(theirs), len(CORRELATIONS), images).

    Parameters
    ----------
    ours
        By method.
    theirs
        By method, and what it explains.
    """
    found = [
        [rank_correlation(ours[method], maps, kind) for kind in CORRELATIONS]
        for (method, _), maps in theirs.items()
    ]
    return np.array(found, np.float32)


def images_of_seed(available: int, wanted: int, seed: int) -> tuple[int, ...]:
    """Draw test images, others for each seed."""
    generator = np.random.default_rng(seed)
    return tuple(int(one) for one in generator.choice(available, wanted, replace=False))


@contextmanager
def zero_maps_counted() -> Iterator[None]:
    """Keep quiet that Deep Taylor's maps are 0 where an output is not positive; tables say it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'deep_taylor'", UserWarning)
        yield


def forget_networks() -> None:
    """Give back what Keras keeps of each network, as a process works on more of them."""
    tf.keras.backend.clear_session()
    gc.collect()


def write_correlations(
    folder: Path,
    correlations: NDArray[np.float32],
    against: Iterable[str],
    maps: Sequence[Map],
    images: Sequence[Sequence[int]],
) -> None:
    """Write ``correlations.npz``, which :mod:`experiments.figure_7_drawing` reads.

    Parameters
    ----------
    folder
        Of the results.
    correlations
        (networks, len(against), len(maps), len(CORRELATIONS), images).
    against
        What is compared.
    maps
        As `compared_maps` has them.
    images
        The images' numbers, for each network.
    """
    np.savez_compressed(
        folder / "correlations.npz",
        correlations=correlations,
        against=np.array(list(against)),
        maps=np.array([f"{method} ({explained})" for method, explained in maps]),
        kinds=np.array(CORRELATIONS),
        images=np.array(images),
    )
