"""Switched linear projections and inactive state sensitivity (Insens) of ReLU networks."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from insens_tf.activation_frequency import ActivationFrequency
    from insens_tf.analyzer import UnfittedWarning, create_analyzer
    from insens_tf.errors import (
        InnvestigateMissingError,
        NoHiddenLayerError,
        UnknownArgumentError,
        UnreadableModelError,
    )
    from insens_tf.estimate import InsensEstimate
    from insens_tf.explorer.running import Explorer, explore
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork, examine
    from insens_tf.plan import Plan
    from insens_tf.projections import Projection
    from insens_tf.report import Report
    from insens_tf.surveys import Survey, survey

__all__ = [
    "ActivationFrequency",
    "Explorer",
    "HiddenLayer",
    "InnvestigateMissingError",
    "InsensEstimate",
    "NoHiddenLayerError",
    "Plan",
    "Projection",
    "Report",
    "Survey",
    "SwitchedNetwork",
    "UnfittedWarning",
    "UnknownArgumentError",
    "UnreadableModelError",
    "__version__",
    "create_analyzer",
    "examine",
    "explore",
    "survey",
]

__version__ = "0.2.0"

# Loaded when first used: TensorFlow takes seconds, and `insens-tf --help` does without it.
_MODULES = {
    "ActivationFrequency": "activation_frequency",
    "Explorer": "explorer.running",
    "HiddenLayer": "layers",
    "InnvestigateMissingError": "errors",
    "InsensEstimate": "estimate",
    "NoHiddenLayerError": "errors",
    "Plan": "plan",
    "Projection": "projections",
    "Report": "report",
    "Survey": "surveys",
    "SwitchedNetwork": "network",
    "UnfittedWarning": "analyzer",
    "UnknownArgumentError": "errors",
    "UnreadableModelError": "errors",
    "create_analyzer": "analyzer",
    "examine": "network",
    "explore": "explorer.running",
    "survey": "surveys",
}


def _register_analyzers(_: Any) -> None:
    import_module("insens_tf.analyzer")


def _register_unless_half_imported(module: Any) -> None:
    # Where we are what imports it, the network follows.
    if "insens_tf.innvestigate_contract" not in sys.modules:
        _register_analyzers(module)


# Our analyzers enter iNNvestigate's registry once it is imported, before or after us.
wrapt.register_post_import_hook(_register_unless_half_imported, "innvestigate")
wrapt.register_post_import_hook(_register_analyzers, "insens_tf.network")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        # Our analyzers are registered with the network, whichever name is asked for first.
        import_module("insens_tf.network")
        return getattr(import_module(f"insens_tf.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
