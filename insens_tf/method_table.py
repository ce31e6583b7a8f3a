"""Every method that `create_analyzer` knows by a name, and which of them the paper compares."""

from __future__ import annotations

from insens_tf.baselines.methods import METHODS as BASELINES
from insens_tf.baselines.methods import Method

__all__ = ["BASELINES", "COMPARED_METHODS", "METHODS", "OURS", "PAPER_METHODS", "Method"]

_PAPER = '"State Sensitivity for Deep Neural Network Interpretability"'

OURS: dict[str, Method] = {
    "insens": Method(
        "what of the input keeps a hidden layer's inactive neurons inactive", f"{_PAPER}, Eq. 8"
    ),
    "switched.weights": Method(
        "a neuron's weights w with the network's state held, v = x w + b", f"{_PAPER}, Eq. 2"
    ),
    "switched.centre": Method(
        "the input nearest to this one at which a neuron, its state held, is 0", f"{_PAPER}, Eq. 4"
    ),
    "switched.contribution": Method(
        "each component's part in a neuron's activity, from its centre", f"{_PAPER}, Eq. 5"
    ),
}
"""Our analyzers; a new one that `register` gives a name is described here."""

METHODS: dict[str, Method] = {**OURS, **BASELINES}
"""Ours, then iNNvestigate's."""

PAPER_METHODS = {
    "gradient": "gradient",
    "integrated_gradients": "integrated\ngradients",
    "deep_taylor": "deep Taylor",
    "lrp.epsilon": "LRP (epsilon)",
}
"""The methods that the paper compares Insens with, and their titles. It names no rule of LRP; the
epsilon rule stands for it."""

COMPARED_METHODS = {**PAPER_METHODS, "lrp.alpha_1_beta_0": "LRP (alpha 1,\nbeta 0)"}
"""The same, and the other rule of LRP that the paper may mean."""
