"""Progress bars of work that takes longer than a user waits without asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm.auto import tqdm

__all__ = [
    "PATIENCE_IN_SECONDS",
    "ExpectedProgress",
    "progress_bar",
    "progress_of_inputs",
    "scaled",
    "step_of_work",
    "watched",
]

PATIENCE_IN_SECONDS = 2.0
"""Work that is done sooner shows no bar."""

_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def watched(check: Callable[[], None]) -> Iterator[None]:
    """Call something whenever work inside the block gets on; what it raises ends the work."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


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


def step_of_work() -> None:
    """Say that work gets on, where it shows no progress."""
    _check.get()()


@contextmanager
def progress_of_inputs(what: str, inputs: int, shown: bool) -> Iterator[Callable[[float], None]]:
    """Show how far the work is; yield a function that takes the inputs' worth of new work done."""
    check = _check.get()
    with progress_bar(
        shown=shown,
        desc=what,
        total=inputs,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
    ) as bar:

        def advance(done: float) -> None:
            check()
            # Shares of 1 may add up to a little more.
            bar.update(min(done, inputs - bar.n))

        yield advance


def scaled(advance: Callable[[float], None], unit: float) -> Callable[[float], None]:
    """Return what takes shares of a piece of work which is so many of the units of `advance`."""
    return lambda done: advance(done * unit)


class ExpectedProgress:
    """Tells of progress towards an end that is only expected: never back, and 1 in all."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self._advance = advance
        self._done = 0.0
        self._of_a_pass = 0.0

    def expect(self, taken: int, more: int) -> None:
        """Take in how many passes were taken, and how many more are expected."""
        self._of_a_pass = (1.0 - self._done) / max(1, more)
        if self._done == 0.0:
            self._tell(taken / (taken + more))
            self._of_a_pass = (1.0 - self._done) / max(1, more)

    def taken(self, passes: int) -> None:
        """Take in that some passes were taken."""
        self._tell(min(passes * self._of_a_pass, 1.0 - self._done))

    def all(self) -> None:
        """Tell of what is left."""
        self._tell(1.0 - self._done)

    def _tell(self, share: float) -> None:
        self._done += share
        self._advance(share)
