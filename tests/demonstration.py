"""What `insens-tf demo` leaves, of a network of few neurons that is not trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from insens_tf import demo
from insens_tf.two_conv import two_conv

__all__ = ["small_network", "write"]

_DIGITS = 40


def small_network() -> tf.keras.Sequential:
    """Return a 2CONV of few neurons, the same each time."""
    return two_conv((28, 28, 1), 10, seed=0, filters=(3, 4), units=24)


def write(folder: Path) -> None:
    """Write the network, and some of the digits as they are shipped, to an existing folder."""
    small_network().save(folder / demo.MODEL)
    data = demo.digits()
    arrays = {name: getattr(data, name)[:_DIGITS] for name in data._fields}
    as_shipped = {
        name: (one * 255).round().astype(np.uint8) if name.startswith("x_") else one
        for name, one in arrays.items()
    }
    np.savez(folder / demo.DIGITS, **as_shipped)
