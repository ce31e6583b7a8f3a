"""Surveys: how two processes compare with one, memory over many inputs, and work that is killed.

    python -m benchmarks.surveys efficiency --inputs 10000 --rounds 3
    python -m benchmarks.surveys memory
    python -m benchmarks.surveys kills --times 10

Each prints a line of JSON for what it has measured. Random inputs and weights: what a survey costs
does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import tensorflow as tf

from benchmarks.timing import environment
from insens_tf.parallel import Engine
from insens_tf.surveys import survey, survey_run
from insens_tf.two_conv import two_conv

SIDE = 28
SMALL_SIDE = 8
WORKERS = {
    "one process of one thread": (1, 1),
    "one process of two threads": (1, 2),
    "two processes of one thread": (2, 1),
}
"""Processes, and the threads of each."""

MEMORY_INPUTS = (10_000, 100_000, 1_000_000)


def efficiency(inputs: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Time the same survey by each kind of workers in turn, their start left out.

    Returns
    -------
    dict
        Seconds of each round, by the workers; and the medians of the pairs' ratios.
    """
    images = np.random.default_rng(0).integers(0, 256, (inputs, SIDE, SIDE, 1), np.uint8)
    np.save(folder / "images.npy", images)
    model = two_conv((SIDE, SIDE, 1), 10, seed=0)
    seconds: dict[str, list[float]] = {name: [] for name in WORKERS}
    for _ in range(rounds):
        for name, (jobs, threads) in WORKERS.items():
            survey_run.Engine = _with_threads(threads)  # type: ignore[misc]
            # The first ones import TensorFlow and compile the functions.
            for number in (jobs * survey_run.SHARD, inputs):
                start = time.perf_counter()
                survey(
                    model,
                    folder / "images.npy",
                    folder / "out",
                    ("frequency", "top"),
                    jobs,
                    first=number,
                    overwrite=True,
                    progress=False,
                )
            seconds[name].append(time.perf_counter() - start)
    two = seconds["two processes of one thread"]
    return {
        "inputs": inputs,
        "seconds": seconds,
        "efficiency against one thread": statistics.median(
            one / (2 * both) for one, both in zip(seconds["one process of one thread"], two)
        ),
        "efficiency against two threads": statistics.median(
            one / both for one, both in zip(seconds["one process of two threads"], two)
        ),
    }


def _with_threads(threads: int) -> Any:
    def engine(jobs: int, backend: str, address: str | None, **_: Any) -> Engine:
        return Engine(jobs, backend, address, threads)

    return engine


def memory(inputs: int, folder: Path) -> dict[str, Any]:
    """Survey small inputs, and return the most memory that this process and its worker took."""
    path = folder / "images.npy"
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (inputs, SMALL_SIDE, SMALL_SIDE, 1))
    generator = np.random.default_rng(0)
    for start in range(0, inputs, 10_000):
        part = images[start : start + 10_000]
        part[:] = generator.integers(0, 256, part.shape, np.uint8)
    del images
    start_time = time.perf_counter()
    survey(_small(), path, folder / "out", ("frequency", "top"), 1, shard=2048, progress=False)
    seconds = time.perf_counter() - start_time
    mib = {
        name: resource.getrusage(which).ru_maxrss / 1024
        for name, which in (("MiB", resource.RUSAGE_SELF), ("MiB of workers", _CHILDREN))
    }
    return {"inputs": inputs, "seconds": seconds, **mib}


_CHILDREN = resource.RUSAGE_CHILDREN


def _small() -> tf.keras.Model:
    return two_conv((SMALL_SIDE, SMALL_SIDE, 1), 3, seed=0, filters=(3, 4), units=8, kernel_size=3)


def kills(times: int, folder: Path) -> dict[str, Any]:
    """Kill a survey at random moments, let it go on each time, and compare it with a whole one."""
    draw = random.Random(0)
    whole, killed = folder / "whole", folder / "killed"
    subprocess.run(_command("work", "--out", str(whole)), check=True)
    shards = len(list(whole.glob("*_*.h5")))
    written = []
    for _ in range(times):
        # Of a group of its own, so that its workers end with it.
        process = subprocess.Popen(_command("work", "--out", str(killed)), start_new_session=True)
        wanted = _written(killed) + draw.randint(0, shards // (times + 1))
        while process.poll() is None and _written(killed) < wanted:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        written.append(_written(killed))
    subprocess.run(_command("work", "--out", str(killed)), check=True)
    return {
        "shards": shards,
        "shards written when killed": written,
        "identical": _contents(whole) == _contents(killed),
    }


def _written(out: Path) -> int:
    return len(list(out.with_name(f"{out.name}.unfinished").glob("results/*.h5")))


def work(out: Path) -> None:
    """Make the survey that is killed: many small shards."""
    x = np.random.default_rng(0).random((600, SMALL_SIDE, SMALL_SIDE, 1), np.float32)
    survey(_small(), x, out, jobs=2, shard=5, progress=False)


def _contents(folder: Path) -> Mapping[str, bytes]:
    """Return all numbers of a store: HDF5 may lay out its chunks in any order."""
    found: dict[str, bytes] = {}

    def note(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset):
            found[f"{path.name}/{name}"] = thing[()].tobytes()

    for path in folder.iterdir():
        if path.suffix == ".h5":
            with h5py.File(path, "r") as file:
                file.visititems(note)
        else:
            found[path.name] = path.read_bytes()
    return found


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.surveys", *words]


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("efficiency", "memory", "kills", "work"))
    parser.add_argument("--inputs", type=int, help="default: 10,000; of memory: each of three")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--out", type=Path, help="of work")
    given = parser.parse_args()
    if given.what == "work":
        work(given.out)
        return
    if given.what == "memory" and given.inputs is None:
        for inputs in MEMORY_INPUTS:
            # Each in a process of its own, as what is measured is the most since its start.
            subprocess.run(_command("memory", "--inputs", str(inputs)), check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = {
            "efficiency": lambda: efficiency(given.inputs or 10_000, given.rounds, Path(folder)),
            "memory": lambda: memory(given.inputs, Path(folder)),
            "kills": lambda: kills(given.times, Path(folder)),
        }[given.what]()
    print(json.dumps({**measured, "environment": environment()}))


if __name__ == "__main__":
    main()
