"""Progress bars of work that takes longer than a user waits without asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm.auto import tqdm

__all__ = ["PATIENCE_IN_SECONDS", "progress_bar", "progress_of_inputs", "scaled"]

PATIENCE_IN_SECONDS = 2.0
"""Work that is done sooner shows no bar."""


def progress_bar(steps: Any = None, *, shown: bool, **bar: Any) -> Any:
    """Return tqdm's bar over some steps.

    Parameters
    ----------
    steps : iterable, optional
        Yields what the bar yields. None: the caller updates the bar.
    shown : bool
        Whether to show the bar once the work takes longer than `PATIENCE_IN_SECONDS`.
    **bar
        tqdm's own: desc, unit, total and the like.
    """
    return tqdm(steps, delay=PATIENCE_IN_SECONDS, disable=not shown, **bar)


@contextmanager
def progress_of_inputs(what: str, inputs: int, shown: bool) -> Iterator[Callable[[float], None]]:
    """Show how far the work is; yield a function that takes the inputs' worth of new work done."""
    with progress_bar(
        shown=shown,
        desc=what,
        total=inputs,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
    ) as bar:

        def advance(done: float) -> None:
            # Shares of 1 may add up to a little more.
            bar.update(min(done, inputs - bar.n))

        yield advance


def scaled(advance: Callable[[float], None], unit: float) -> Callable[[float], None]:
    """Return what takes shares of a piece of work which is so many of the units of `advance`."""
    return lambda done: advance(done * unit)
