"""What is measured of a network that was trained before, on the data that it was trained on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import environment
from experiments.data import scaled

__all__ = ["images_of", "measured_on"]


def images_of(
    data: str | os.PathLike[str], part: str = "x_test", count: int | None = None
) -> np.ndarray:
    """Return the first images of a data set in 0..1, float32, (count, *input_shape).

    Parameters
    ----------
    data : path
        Its .npz, from data_scripts.
    part : {"x_train", "x_test"}
    count : int, optional
        None: all of them.
    """
    with np.load(data, allow_pickle=False) as file:
        return scaled(file[part][:count])


def measured_on(data: str | os.PathLike[str] | None, x: np.ndarray, rounds: int) -> dict[str, Any]:
    """Return what a record of a benchmark of 2CONV begins with: on what, how often, with what.

    Parameters
    ----------
    data : path, optional
        None: the digits that come with the package.
    x : numpy.ndarray, shape (n, *input_shape)
    rounds : int
    """
    name = "the digits in the package" if data is None else Path(data).stem
    return {
        "network": f"2CONV trained on {name}",
        "input_shape": list(x.shape[1:]),
        "inputs": len(x),
        "rounds": rounds,
        **environment(),
    }
