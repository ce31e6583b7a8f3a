"""One wording for a wrong argument: what came, what was expected, and the nearest name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

__all__ = [
    "did_you_mean",
    "finite_number",
    "layer_index",
    "nearest",
    "one_of",
    "whole_number",
]


def one_of(argument: str, value: Any, expected: Iterable[str]) -> str:
    """Return a value that is one of those expected.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    names = list(expected)
    if isinstance(value, str) and value in names:
        return value
    raise ValueError(
        f"{argument}={value!r}: expected one of {', '.join(map(repr, names))}"
        f"{did_you_mean(value, names)}"
    )


def whole_number(argument: str, value: Any, *, least: int, of: str = "") -> int:
    """Return a value that is a whole number, as Python's own.

    Parameters
    ----------
    argument : str
    value : Any
    least : int
        The smallest that will do.
    of : str
        What it counts: "batches".

    Raises
    ------
    ValueError
        If it is no whole number (True and False are none), or a smaller one.
    """
    if _is_whole(value) and value >= least:
        return int(value)
    counted = f" of {of}" if of else ""
    raise ValueError(f"{argument}={value!r}: expected a whole number{counted}, at least {least:,}")


def finite_number(
    argument: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    hint: str = "",
) -> float:
    """Return a value that is a finite number, as Python's own.

    Parameters
    ----------
    argument : str
    value : Any
    least, above, most : float
        The smallest and the largest that will do, and what it has to be larger than.
    hint : str
        What else is to be said at the end of the message.

    Raises
    ------
    ValueError
        If it is no number (True and False are none), not finite, or out of bounds.
    """
    number = _real(value)
    if math.isfinite(number) and least <= number <= most and number > above:
        return number
    limits = {"at least": least, "above": above, "at most": most}
    within = " and ".join(f"{how} {one:g}" for how, one in limits.items() if math.isfinite(one))
    expected = f"a finite number, {within}" if within else "a finite number"
    raise ValueError(f"{argument}={value!r}: expected {expected}{hint}")


def layer_index(argument: str, value: Any, layers: int) -> int:
    """Return a value that is an index into the layers of a model.

    Raises
    ------
    ValueError
        If it is none.
    """
    if _is_whole(value) and 0 <= value < layers:
        return int(value)
    raise ValueError(f"{argument}={value!r}: expected an index into the model's {layers} layers")


def _real(value: Any) -> float:
    """Return a number as Python's own; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # of a whole number
        return math.inf


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """Return " (did you mean gradient?)", with the name nearest to a value, if one is near."""
    close = nearest(value, names)
    return "" if close is None else f" (did you mean {close}?)"


def nearest(value: object, names: Iterable[str]) -> str | None:
    """Return the name that is most like a value; None where none is."""
    close = difflib.get_close_matches(str(value), list(names), n=1)
    return close[0] if close else None
