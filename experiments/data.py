"""The data sets of the experiments, as their data scripts wrote them."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_scripts.preparation import Arrays, DataError, read_npz
from experiments.two_conv_settings import SETTINGS, Settings

__all__ = ["SHIPPED_SAMPLE", "TITLES", "class_name", "fingerprint", "load_data", "scaled"]

SHIPPED_SAMPLE = "mnist_sample"
"""The data set that is in the package: 2,000 digits of MNIST to train with and 200 to test."""

TITLES = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "smallnorb": "smallNORB",
    SHIPPED_SAMPLE: "sample of MNIST",
}
"""The data sets' names as a reader knows them."""

# Of other data sets, which are digits, a class is called by its number.
_CLASSES = {
    "fashion_mnist": "T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot",
    "cifar10": "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck",
    "smallnorb": "animal,human,airplane,truck,car",
}


def class_name(dataset: str, label: int) -> str:
    """Return how a class of a data set is called in pictures."""
    return _CLASSES[dataset].split(",")[label] if dataset in _CLASSES else str(label)


def load_data(folder: Path, dataset: str, settings: Settings | None = None) -> Arrays:
    """Read a data set.

    Parameters
    ----------
    folder
        Holds ``<dataset>.npz``, unless it is the shipped sample.
    dataset
        Name of the data set.
    settings
        What its images and labels must be; None: its own of ``SETTINGS``.

    Returns
    -------
    dict
        ``x_train``, ``y_train``, ``x_test`` and ``y_test``, uint8; images of shape
        ``(n, *settings.input_shape)``.

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds something else.
    """
    settings = settings or SETTINGS[dataset]
    if dataset == SHIPPED_SAMPLE:
        shipped = resources.files("insens_tf") / "data" / f"{dataset}.npz"
        with resources.as_file(shipped) as path:
            data = read_npz(path)
    else:
        path = folder / f"{dataset}.npz"
        data = read_npz(path)
    for part in ("train", "test"):
        images, labels = data[f"x_{part}"], data[f"y_{part}"]
        if images.shape[1:] != settings.input_shape or images.dtype != np.uint8:
            raise DataError(
                f"x_{part} in {path} must hold uint8 images of shape {settings.input_shape}, not "
                f"{images.dtype} of shape {images.shape[1:]}"
            )
        if labels.shape != images.shape[:1] or not labels.size or labels.max() >= settings.classes:
            raise DataError(
                f"y_{part} in {path} must hold {len(images)} labels below {settings.classes}"
            )
    return data


def fingerprint(data: Arrays) -> str:
    """Return a SHA-256 of the arrays, by which a result says what data it is from."""
    digest = hashlib.sha256()
    for name in sorted(data):
        digest.update(f"{name} {data[name].dtype} {data[name].shape}".encode())
        digest.update(np.ascontiguousarray(data[name]).data)
    return digest.hexdigest()


def scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images as the networks are given them, in 0..1."""
    return images.astype(np.float32) / np.float32(255)
