"""What is computed when: one thing at a time in a lane, and what nobody waits for any more ended.

A lane is a thread. A page asks for something in a lane under a key of its own; what it asked for
under the same key before is dropped if it still waits, and ended at the next step of its work if
it runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from insens_tf.progress import watched

__all__ = ["BusyError", "Lane", "SupersededError"]

Result = TypeVar("Result")

MOST_WAITING = 32
"""Jobs of a lane, of all pages together; more are refused."""

# How often a lane looks whether who asked has gone.
_SECONDS_BETWEEN_LOOKS = 0.25


class SupersededError(Exception):
    """Something newer was asked for under the same key, or who asked has gone."""


class BusyError(Exception):
    """Too much is waiting."""


class Lane:
    """Computes one thing at a time, in a thread of its own.

    Parameters
    ----------
    name : str
        Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._jobs: dict[Hashable, threading.Event] = {}

    async def run(
        self,
        key: Hashable,
        compute: Callable[[], Result],
        gone: Callable[[], Awaitable[bool]],
    ) -> Result:
        """Compute something, unless something else is asked for under the same key before.

        Parameters
        ----------
        key : hashable
            What it replaces: the page and the place on it.
        compute : callable
        gone : callable
            Awaited now and then; whether nobody waits for the result any more.

        Raises
        ------
        SupersededError
        BusyError
        """
        if key in self._jobs:
            self._jobs[key].set()
        elif len(self._jobs) >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} computations are waiting already; try again later")
        ended = self._jobs[key] = threading.Event()

        def check() -> None:
            if ended.is_set():
                raise SupersededError

        def work() -> Result:
            check()
            with watched(check):
                return compute()

        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        try:
            while not (await asyncio.wait([future], timeout=_SECONDS_BETWEEN_LOOKS))[0]:
                if await gone():
                    ended.set()
            return await future
        finally:
            ended.set()
            if self._jobs.get(key) is ended:
                del self._jobs[key]

    def close(self) -> None:
        """End what runs at its next step, and what waits."""
        for ended in list(self._jobs.values()):
            ended.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
