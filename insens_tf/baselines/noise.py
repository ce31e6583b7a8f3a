"""Which of iNNvestigate's analyzers draw noise, and how it is given to them from outside."""

from __future__ import annotations

from typing import Any

from innvestigate.analyzer import Random, SmoothGrad

from insens_tf.noise_draws import Noise

__all__ = ["noise_of"]

SCALES = {SmoothGrad: "noise_scale", Random: "stddev"}
"""The argument of each noisy analyzer that is its noise's standard deviation, 1 by default."""


def noise_of(name: str, kind: type, arguments: dict[str, Any], seed: int | None) -> Noise | None:
    """Take the noise's scale out of an analyzer's arguments, if it is one that has noise.

    The analyzer is left with noise of unit scale: iNNvestigate ignores SmoothGrad's.
    """
    argument = next((SCALES[noisy] for noisy in SCALES if issubclass(kind, noisy)), None)
    if argument is not None:
        return Noise(arguments.pop(argument, 1.0), seed, argument)
    if seed is not None:
        raise TypeError(f"{name!r} draws no noise; only 'smoothgrad' and 'random' take seed.")
    return None
