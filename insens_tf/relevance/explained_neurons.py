"""What is explained, as every method takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from insens_tf.reading import Reading
from insens_tf.relevance.composites import Composite
from insens_tf.relevance.sweep import GradientSweep, RelevanceSweep

__all__ = ["Explainer", "Target"]

Explainer = Callable[..., np.ndarray]
"""From inputs, neurons, mode and what to tell of progress to maps of the inputs' shape."""


@dataclass(frozen=True)
class Target:
    """What is explained, and with how much memory.

    Attributes
    ----------
    model : Keras model
    reading : Reading
        What it was read as.
    position : int
        The neurons' layer, in the graph.
    memory_budget : int
        In bytes.
    """

    model: Any
    reading: Reading
    position: int
    memory_budget: int

    def gradients(self) -> GradientSweep:
        """Return what takes gradients of its neurons."""
        return GradientSweep(self.reading.graph, self.position, self.memory_budget)

    def relevance(self, composite: Composite) -> RelevanceSweep:
        """Return what takes relevance of its neurons back."""
        return RelevanceSweep(self.reading.graph, self.position, self.memory_budget, composite)
