"""Works timed in turn, the memory that they take, and what they were run with.

A machine's speed drifts while a benchmark runs, and both works of a pair drift alike: their ratio
is steady where their times are not.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import insens_tf

__all__ = [
    "Run",
    "Work",
    "compared",
    "environment",
    "extra_memory",
    "give_freed_memory_back",
    "resident_memory",
    "timed",
    "together",
]

Run = Callable[[], Any]
"""Does something, and returns what it computed."""


class Work(NamedTuple):
    """Something that can be timed.

    Attributes
    ----------
    name : str
        What a table calls it.
    seconds : callable
        Does it once and returns how long it takes for one input.
    """

    name: str
    seconds: Callable[[], float]


def timed(name: str, run: Run, *, inputs: int = 1, share: float = 1.0) -> Work:
    """Return what times a run.

    Parameters
    ----------
    name : str
    run : callable
    inputs : int
        How many inputs it is done for.
    share : float
        How much of the work a run does, where it is a sample from which the rest is extrapolated.
    """

    def seconds() -> float:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) / inputs / share

    return Work(name, seconds)


def together(name: str, works: Sequence[Work]) -> Work:
    """Return several works as one."""
    return Work(name, lambda: sum(work.seconds() for work in works))


def compared(work: Work, yardstick: Work, rounds: int) -> dict[str, Any]:
    """Time two works in turn, after rounds that are not counted.

    Returns
    -------
    dict
        "work", "yardstick": their names; "milliseconds", "yardstick_milliseconds": the medians for
        one input; "ratio", "least", "most": the median of the rounds' ratios, and their range;
        "first_call_memory", "later_call_memory": the work's, as `extra_memory` has it, in its first
        round, which may trace TensorFlow functions, and in its second.
    """
    memory = [extra_memory(work.seconds) for _ in range(2)]
    yardstick.seconds()
    pairs = np.array([(work.seconds(), yardstick.seconds()) for _ in range(rounds)])
    ratios = pairs[:, 0] / pairs[:, 1]
    milliseconds, yardstick_milliseconds = 1000 * np.median(pairs, axis=0)
    return {
        "work": work.name,
        "yardstick": yardstick.name,
        "milliseconds": float(milliseconds),
        "yardstick_milliseconds": float(yardstick_milliseconds),
        "ratio": float(np.median(ratios)),
        "least": float(ratios.min()),
        "most": float(ratios.max()),
        "first_call_memory": memory[0],
        "later_call_memory": memory[1],
    }


def extra_memory(run: Run) -> int | None:
    """Run something and return how many bytes more than before are resident at its peak.

    None where the system does not tell: it is read from Linux' /proc.
    """
    reset = Path("/proc/self/clear_refs")
    gc.collect()
    give_freed_memory_back()
    try:
        reset.write_text("5")
        before = resident_memory()
    except OSError:
        run()
        return None
    run()
    return max(0, resident_memory("VmHWM") - before)


def resident_memory(field: str = "VmRSS") -> int:
    """Return a field of this process' status, in bytes."""
    lines = Path("/proc/self/status").read_text("ascii", errors="replace").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


def give_freed_memory_back() -> None:
    """Return to the system what the process keeps of memory that it freed."""
    # What was freed is otherwise used again, and not seen as extra. Only glibc keeps it like this.
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


def environment() -> dict[str, Any]:
    """Return what numbers depend on: the number of cores and the versions, no names."""
    packages = ("tensorflow", "numpy", "innvestigate")
    return {
        "cores": os.cpu_count(),
        "versions": {
            "insens_tf": insens_tf.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages if find_spec(name)},
        },
    }
