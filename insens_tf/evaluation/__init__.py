"""Evaluating maps: noise, rank correlations, randomised networks, and faithfulness to a class."""

from insens_tf.evaluation.baseline_maps import BASELINE_MAPS, baseline_maps
from insens_tf.evaluation.correlation import CORRELATIONS, rank_correlation
from insens_tf.evaluation.faithfulness import (
    ScoreCurves,
    deletion,
    insertion,
    mu_fidelity,
    noise_accuracy,
)
from insens_tf.evaluation.noise_masks import (
    NOISE_FORMS,
    NOISE_PLACES,
    NoiseForm,
    add_noise,
    digit_mask,
    frame_mask,
    noise_mask,
    outline_mask,
)
from insens_tf.evaluation.plot import plot_checks
from insens_tf.evaluation.randomisation import (
    CHECKS,
    EXPLAINED_NEURONS,
    RandomisationCheck,
    randomisation_check,
)
from insens_tf.evaluation.randomised_copy import RandomisedCopy
from insens_tf.evaluation.score_plot import plot_curves

__all__ = [
    "BASELINE_MAPS",
    "CHECKS",
    "CORRELATIONS",
    "EXPLAINED_NEURONS",
    "NOISE_FORMS",
    "NOISE_PLACES",
    "NoiseForm",
    "RandomisationCheck",
    "RandomisedCopy",
    "ScoreCurves",
    "add_noise",
    "baseline_maps",
    "deletion",
    "digit_mask",
    "frame_mask",
    "insertion",
    "mu_fidelity",
    "noise_accuracy",
    "noise_mask",
    "outline_mask",
    "plot_checks",
    "plot_curves",
    "randomisation_check",
    "rank_correlation",
]
