"""One wording for a wrong argument: what came, what was expected, and the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["did_you_mean", "nearest", "one_of"]


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


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """Return " (did you mean gradient?)", with the name nearest to a value, if one is near."""
    close = nearest(value, names)
    return "" if close is None else f" (did you mean {close}?)"


def nearest(value: object, names: Iterable[str]) -> str | None:
    """Return the name that is most like a value; None where none is."""
    close = difflib.get_close_matches(str(value), list(names), n=1)
    return close[0] if close else None
