"""Switched linear projections and inactive state sensitivity (Insens) of ReLU networks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insens_tf.activation_frequency import ActivationFrequency
    from insens_tf.errors import UnreadableModelError
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork
    from insens_tf.projections import Projection

__all__ = [
    "ActivationFrequency",
    "HiddenLayer",
    "Projection",
    "SwitchedNetwork",
    "UnreadableModelError",
    "__version__",
]

__version__ = "0.1.0"

# Loaded when first used: TensorFlow takes seconds, and `insens-tf --help` does without it.
_MODULES = {
    "ActivationFrequency": "activation_frequency",
    "HiddenLayer": "layers",
    "Projection": "projections",
    "SwitchedNetwork": "network",
    "UnreadableModelError": "errors",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"insens_tf.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
