"""Arrays of finite real numbers, which pictures are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["finite_real_numbers"]


def finite_real_numbers(values: ArrayLike, argument: str) -> NDArray[np.float64]:
    """Return values as one regular array.

    Parameters
    ----------
    values : array_like
    argument : str
        What the values are called in errors.

    Raises
    ------
    ValueError
        If rows differ in length, or a value is no finite real number.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{argument} is no array: its rows differ in length ({error}).") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{argument} holds {array.dtype} values; expected real numbers in one regular array."
        )
    array = array.astype(np.float64)
    not_finite = ~np.isfinite(array)
    if not_finite.any():
        first = tuple(int(index) for index in np.argwhere(not_finite)[0])
        raise ValueError(
            f"{argument} holds {int(not_finite.sum())} values that are NaN or infinite, the first "
            f"at {first}; expected finite values. The centre and contribution of a neuron whose "
            "switched weights are all 0 are NaN: leave such neurons out."
        )
    return array
