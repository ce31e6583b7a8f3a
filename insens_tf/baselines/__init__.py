"""iNNvestigate's analyzers beside eager TensorFlow: what the paper compares Insens with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insens_tf.baselines.methods import METHODS, Method

if TYPE_CHECKING:
    from insens_tf.baselines.baseline import Baseline, create_baseline

__all__ = ["METHODS", "Baseline", "Method", "create_baseline"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: the methods can be listed without waiting for TensorFlow.
    if name in ("Baseline", "create_baseline"):
        from insens_tf.baselines import baseline

        return getattr(baseline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
