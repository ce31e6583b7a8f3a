"""Attribution methods on the graph of a network: gradients, deep Taylor decomposition and LRP."""

from insens_tf.relevance.averaged_gradients import IntegratedGradients
from insens_tf.relevance.explained_neurons import Target
from insens_tf.relevance.explainers import EXPLAINERS, explainer
from insens_tf.relevance.rules import RULES, Part, Rule, Term

__all__ = [
    "EXPLAINERS",
    "RULES",
    "IntegratedGradients",
    "Part",
    "Rule",
    "Target",
    "Term",
    "explainer",
]
