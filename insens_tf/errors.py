"""The errors that `insens_tf` raises beyond Python's own."""

from __future__ import annotations

from insens_tf.innvestigate_contract import NotAnalyzeableModelException

__all__ = [
    "InnvestigateMissingError",
    "NoHiddenLayerError",
    "UnknownArgumentError",
    "UnreadableModelError",
]


class UnreadableModelError(NotAnalyzeableModelException):
    """The model cannot be read as a switched network: not piecewise linear, unknown or unbuilt.

    The message names the layer, what was expected of it, what was found and the way out.
    """


class NoHiddenLayerError(NotAnalyzeableModelException):
    """The model can be read, and has no hidden layer whose neurons could be inactive."""


class UnknownArgumentError(TypeError, ValueError):
    """A method was given an argument that it does not take.

    A TypeError as for any Python function, iNNvestigate's analyzers among them, and a ValueError as
    is whatever else is wrong with a method's arguments.
    """


class InnvestigateMissingError(ImportError):
    """One of iNNvestigate's own analyzers was asked for where iNNvestigate cannot be imported."""
