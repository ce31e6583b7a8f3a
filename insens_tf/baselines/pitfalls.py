"""Warnings where iNNvestigate's maps are silently not what their method promises."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["warn_of_empty_maps", "warn_of_gaps"]

TOLERATED_GAP = 0.05
"""Share of f(x) - f(reference) by which integrated gradients' sum may miss it unmentioned."""

NEGLIGIBLE_GAP = 0.01
"""Share of the sum of a map's absolute values by which it may miss it unmentioned as well."""

SHOWN = 5
"""How many positions a warning names."""


def warn_of_empty_maps(
    name: str, maps: NDArray[Any], outputs: NDArray[Any], stack_level: int
) -> None:
    """Warn if maps of deep Taylor are empty, and say why.

    It decomposes positive outputs only, over the positive parts of each sum without its bias.
    """
    empty = np.flatnonzero(~maps.any(axis=1))
    if empty.size:
        negative = empty[outputs[empty] <= 0]
        reasons = []
        if negative.size:
            reasons.append(
                f"the outputs of {negative.size} are not positive (at position {negative[0]} it is "
                f"{outputs[negative[0]]:.4g}, before any softmax)"
            )
        if negative.size < empty.size:
            reasons.append(f"those of {empty.size - negative.size} come from biases alone")
        warnings.warn(
            f"{name!r}: {empty.size} of {len(maps)} maps are all zero ({_positions(empty)}), since "
            f"{' and '.join(reasons)}; deep Taylor decomposes neither. Choose a neuron with a "
            "positive output, or another method.",
            stacklevel=stack_level + 1,
        )


def warn_of_gaps(name: str, maps: NDArray[Any], changes: NDArray[Any], stack_level: int) -> None:
    """Warn if integrated gradients do not add up to the output's change from the reference.

    iNNvestigate takes the gradients at 0, 1/steps, ..., 1 - 1/steps of the way, a left Riemann sum
    of float32 numbers. Its maps are left as they are, being what others compare with.
    """
    sums = maps.sum(axis=1)
    gaps = np.abs(sums - changes)
    # Where the parts cancel, a small part of them may be a large part of the change.
    tolerated = np.maximum(
        TOLERATED_GAP * np.abs(changes), NEGLIGIBLE_GAP * np.abs(maps).sum(axis=1)
    )
    wide = np.flatnonzero(gaps > tolerated)
    if wide.size:
        widest = wide[np.argmax(gaps[wide])]
        warnings.warn(
            f"{name!r}: {wide.size} of {sums.size} maps ({_positions(wide)}) do not add up to the "
            f"change of the output from the reference to within {TOLERATED_GAP:.0%}; the widest "
            f"gap is at position {widest}, where {sums[widest]:.4g} should be "
            f"{changes[widest]:.4g}. Take more steps.",
            stacklevel=stack_level + 1,
        )


def _positions(positions: NDArray[Any]) -> str:
    more = ", ..." if positions.size > SHOWN else ""
    return f"position {', '.join(map(str, positions[:SHOWN]))}{more}"
