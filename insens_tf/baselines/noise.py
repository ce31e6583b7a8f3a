"""The noise of "smoothgrad" and "random": drawn here, so that it can be scaled and repeated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from innvestigate.analyzer import Random, SmoothGrad
from numpy.typing import NDArray

__all__ = ["Noise"]

SCALES = {SmoothGrad: "noise_scale", Random: "stddev"}
"""The argument of each noisy analyzer that is its noise's standard deviation, 1 by default."""


class Noise:
    """Gaussian noise around inputs, fed to an analyzer in place of what its graph would draw.

    Parameters
    ----------
    scale : float
        The standard deviation.
    seed : int or None
        Makes the noise a function of it and of the input's position alone.
    """

    def __init__(self, scale: float, seed: int | None) -> None:
        self.scale = scale
        self.seed = seed

    @classmethod
    def of(cls, name: str, kind: type, arguments: dict[str, Any], seed: int | None) -> Noise | None:
        """Take the noise's scale out of an analyzer's arguments, if it is one that has noise.

        The analyzer is left with noise of unit scale: iNNvestigate ignores SmoothGrad's.
        """
        argument = next((SCALES[noisy] for noisy in SCALES if issubclass(kind, noisy)), None)
        if argument is None:
            if seed is not None:
                raise TypeError(
                    f"{name!r} draws no noise; only 'smoothgrad' and 'random' take seed."
                )
            return None
        scale = arguments.pop(argument, 1.0)
        if not (isinstance(scale, (int, float, np.number)) and 0 <= scale < math.inf):
            raise ValueError(f"{argument}: expected a number that is 0 or more, got {scale!r}.")
        return cls(float(scale), seed)

    def source(self) -> int:
        """Return what the draws of one analysis start from: the seed, or something new."""
        if self.seed is not None:
            return self.seed
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])

    def draw(
        self, source: int, positions: Iterable[int], shapes: Sequence[tuple[int, ...]]
    ) -> list[NDArray[Any]]:
        """Draw noise for the inputs at these positions: an array for each of their shapes."""
        generators = [np.random.default_rng([source, position]) for position in positions]
        return [
            self.scale * np.stack([one.standard_normal(shape, np.float32) for one in generators])
            for shape in shapes
        ]
