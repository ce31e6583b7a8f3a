"""iNNvestigate's contract, whether or not iNNvestigate is there.

Where it can be imported these names are its own, so that ours are analyzers and errors in its
sense. Where it cannot (its pins end below Python 3.12 and TensorFlow 2.15) they stand in for them,
and our own analyzers work without it.
"""

from __future__ import annotations

from abc import ABC
from types import SimpleNamespace
from typing import Any

__all__ = [
    "NEURON_SELECTION_MODES",
    "OF_KERAS_TENSORS",
    "WHY_MISSING",
    "AnalyzerBase",
    "NotAnalyzeableModelException",
    "analyzers",
    "classes",
]

NEURON_SELECTION_MODES = ("max_activation", "index", "all")
"""Which output neurons an analyzer explains."""

WHY_MISSING: str | None = None
"""Why iNNvestigate cannot be imported; None where it can."""

analyzers: dict[str, Any]
"""The registry: the class of each analyzer by its name."""

classes: Any
"""Where iNNvestigate's `load` looks for an analyzer's class, by the class' name."""

OF_KERAS_TENSORS: tuple[type, ...]
"""The bases of what iNNvestigate builds from graphs of Keras tensors, which eager mode lacks."""

try:
    import innvestigate.analyzer
    from innvestigate import NotAnalyzeableModelException
    from innvestigate.analyzer.base import AnalyzerBase
    from innvestigate.analyzer.network_base import AnalyzerNetworkBase

    analyzers, classes = innvestigate.analyzer.analyzers, innvestigate.analyzer
    OF_KERAS_TENSORS = (AnalyzerNetworkBase, innvestigate.analyzer.AugmentReduceBase)
except Exception as error:
    # Not installed; or installed past its pins, beside a Keras in which it fails on anything.
    WHY_MISSING = f"{type(error).__name__}: {error}"
    analyzers, classes, OF_KERAS_TENSORS = {}, SimpleNamespace(), ()

    class NotAnalyzeableModelException(Exception):  # type: ignore[no-redef]
        """The model cannot be analysed; where iNNvestigate can be imported, its own."""

    class AnalyzerBase(ABC):  # type: ignore[no-redef]  # noqa: B024
        """The base of all analyzers; where iNNvestigate can be imported, its own."""
