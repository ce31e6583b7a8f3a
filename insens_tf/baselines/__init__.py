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
        from insens_tf.errors import InnvestigateMissingError
        from insens_tf.innvestigate_contract import WHY_MISSING

        if WHY_MISSING is not None:
            raise InnvestigateMissingError(
                "iNNvestigate, whose analyzers these are, cannot be imported here "
                f"({WHY_MISSING}). It needs Python 3.10 or 3.11 and TensorFlow 2.14, where it is "
                "installed with insens_tf; docs/innvestigate.md says how to have it on newer ones. "
                "insens_tf's own analyzers, such as 'insens', work without it."
            )
        from insens_tf.baselines import baseline

        return getattr(baseline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
