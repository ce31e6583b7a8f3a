"""Analyzers as iNNvestigate has them, and in its registry once this is imported."""

from insens_tf.analyzer.attribution import AttributionAnalyzer
from insens_tf.analyzer.base import SwitchedAnalyzer
from insens_tf.analyzer.insens_analyzer import InsensAnalyzer, UnfittedWarning
from insens_tf.analyzer.projection import (
    ProjectionAnalyzer,
    SwitchedCentreAnalyzer,
    SwitchedContributionAnalyzer,
    SwitchedWeightsAnalyzer,
)
from insens_tf.analyzer.registry import create_analyzer, register

__all__ = [
    "AttributionAnalyzer",
    "InsensAnalyzer",
    "ProjectionAnalyzer",
    "SwitchedAnalyzer",
    "SwitchedCentreAnalyzer",
    "SwitchedContributionAnalyzer",
    "SwitchedWeightsAnalyzer",
    "UnfittedWarning",
    "create_analyzer",
    "register",
]
