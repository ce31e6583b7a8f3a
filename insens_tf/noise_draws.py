"""The noise of "smoothgrad" and "random", drawn so that it can be scaled and repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from insens_tf.arguments import finite_number

__all__ = ["Noise"]


class Noise:
    """Gaussian noise around inputs.

    Parameters
    ----------
    scale : float
        The standard deviation.
    seed : int or None
        Makes the noise a function of it and of the input's position alone.
    argument : str
        What the scale is called where a user gives it.

    Raises
    ------
    ValueError
        If the scale is not a number of at least 0, or the seed no whole one.
    """

    def __init__(self, scale: float, seed: int | None, argument: str = "noise_scale") -> None:
        self.scale = finite_number(argument, scale, least=0)
        if seed is not None and (not isinstance(seed, (int, np.integer)) or seed < 0):
            raise ValueError(f"seed: expected None or a whole number of at least 0, got {seed!r}.")
        self.seed = seed

    def source(self) -> int:
        """Return what the draws of one analysis start from: the seed, or something new."""
        if self.seed is not None:
            return self.seed
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])

    def draw(
        self, source: int, positions: Iterable[int], shapes: Sequence[tuple[int, ...]]
    ) -> list[np.ndarray]:
        """Draw noise for the inputs at these positions: an array for each of their shapes."""
        generators = [np.random.default_rng([source, position]) for position in positions]
        return [
            self.scale * np.stack([one.standard_normal(shape, np.float32) for one in generators])
            for shape in shapes
        ]
