"""Evaluating maps: noisy images, rank correlations, and checks against randomised networks."""

from insens_tf.evaluation.correlation import CORRELATIONS, rank_correlation
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

__all__ = [
    "CHECKS",
    "CORRELATIONS",
    "EXPLAINED_NEURONS",
    "NOISE_FORMS",
    "NOISE_PLACES",
    "NoiseForm",
    "RandomisationCheck",
    "RandomisedCopy",
    "add_noise",
    "digit_mask",
    "frame_mask",
    "noise_mask",
    "outline_mask",
    "plot_checks",
    "randomisation_check",
    "rank_correlation",
]
