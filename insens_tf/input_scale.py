"""Warnings of inputs on another scale than those that the network was trained on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.activation_frequency import ActivationFrequency
from insens_tf.reading import Reading

__all__ = ["warn_of_scale"]

# Inputs this many times as large as those that a frequency was counted over are on another scale:
# pictures from 0 to 255, and not from 0 to 1.
ANOTHER_SCALE = 20

# A Rescaling by this factor or a smaller one expects pictures from 0 to 255, or more.
OF_PICTURES = 1 / 64


def warn_of_scale(inputs: NDArray[Any], frequency: Any, reading: Reading) -> None:
    """Warn of inputs that are far larger than the frequency's, or scaled before the model scales.

    Parameters
    ----------
    inputs : numpy.ndarray, shape (n, *input_shape)
    frequency : ActivationFrequency, or whatever else a user gave
    reading : Reading
        Of the model.
    """
    largest = max(float(inputs.max()), -float(inputs.min()))
    seen = frequency.largest_input if isinstance(frequency, ActivationFrequency) else None
    if seen and largest > ANOTHER_SCALE * seen:
        _warn(
            f"x: inputs of up to {largest:.4g}, where the activation frequency was counted "
            f"over inputs of up to {seen:.4g}; scale both as in training, such as by x / 255"
        )
    if largest > 1 or (inputs == np.rint(inputs)).all():
        return
    for operation in reading.graph.operations:
        layer = reading.keras_layers.get(operation.name)
        if operation.operands != (0,) or type(layer).__name__ != "Rescaling":
            continue
        scale = float(np.max(np.abs(layer.scale)))  # type: ignore[union-attr]
        if scale <= OF_PICTURES:
            _warn(
                f"x: inputs of up to {largest:.4g}, where layer {operation.name!r} itself scales "
                f"pictures by {scale:.3g}; pass them as the model takes them, such as from 0 to 255"
            )


def _warn(message: str) -> None:
    # The warning points at the user's call of a method of the network.
    warnings.warn(message, RuntimeWarning, stacklevel=4)
