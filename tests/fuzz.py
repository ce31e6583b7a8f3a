"""A fuzz run: thousands of random models, and of malformed arguments, models and files.

    python -m tests.fuzz --models 2000 --malformed 500 --seed 0 --out fuzz.jsonl
    python -m tests.fuzz --case models:1234

Each case runs in a worker process under a limit of time and of memory, so that one that crashes or
hangs is counted and named. A line of JSON is appended for each as it ends; run again, the command
goes on where it stopped. A case is its name: run alone, it does the same again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

# TensorFlow reads it when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

KINDS = ("models", "malformed")

SECONDS = 300.0
"""What a case may take; importing TensorFlow is on the first one's time."""

BYTES = 6 * 2**30
"""What a worker may allocate."""

CASES_OF_A_WORKER = 40

EVERY_THOROUGH = 8
"""Of so many models one is checked in everything, the others in what needs fewer traces."""

FINE = ("agrees", "our error")
"""The outcomes that are none to be looked at."""


def run(name: str) -> dict[str, Any]:
    """Run one case in this process, and say how it ended."""
    from tensorflow import keras

    kind, number = name.split(":")
    result: dict[str, Any] = {"case": name}
    begin = time.perf_counter()
    try:
        if kind == "models":
            result["outcome"], result["kind"] = _model(int(number), result), ""
        else:
            result["kind"] = _malformed(int(number), result)
            result["outcome"] = "agrees"
    except Exception as error:
        result |= _judged(error)
    result["seconds"] = round(time.perf_counter() - begin, 2)
    result["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    keras.backend.clear_session()
    return result


def _model(number: int, result: dict[str, Any]) -> str:
    from tests.properties import check
    from tests.random_models import random_model

    case = random_model(Random(number))
    result["what"] = repr(case)
    result["ways"] = check(case, thorough=number % EVERY_THOROUGH == 0)
    return "agrees"


def _malformed(number: int, result: dict[str, Any]) -> str:
    from tests.malformed import MALFORMED

    names = list(MALFORMED)
    name = names[number % len(names)]
    result["what"] = name
    with tempfile.TemporaryDirectory() as folder:
        MALFORMED[name](Random(number), Path(folder))
    return ""


def _judged(error: Exception) -> dict[str, Any]:
    """Say what an exception means: a refusal of ours, a difference, or what nobody has foreseen."""
    import insens_tf
    from insens_tf.errors import NoHiddenLayerError, UnreadableModelError
    from tests.malformed import RefusedCommand
    from tests.properties import Disagreement, Undecided

    package = str(Path(insens_tf.__file__).parent)
    *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
    raised_by_us = innermost.f_code.co_filename.startswith(package)
    text = " ".join(str(error).split())[:600]
    if isinstance(error, Disagreement):
        return {"outcome": "wrong", "kind": "Disagreement", "detail": text}
    if isinstance(error, Undecided):
        return {"outcome": "undecided", "kind": "", "detail": ""}
    if isinstance(error, (UnreadableModelError, NoHiddenLayerError, RefusedCommand)) or (
        isinstance(error, ValueError) and raised_by_us
    ):
        return {"outcome": "our error", "kind": type(error).__name__, "detail": text}
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    detail = f"{text}\n{where}"
    return {"outcome": "foreign exception", "kind": type(error).__name__, "detail": detail}


# --- many cases -----------------------------------------------------------------------------------


def run_all(names: Sequence[str], seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """Run cases in worker processes, one after another, and yield how each ended."""
    left = list(names)
    while left:
        for result in _run_some(left[:CASES_OF_A_WORKER], seconds):
            left.remove(result["case"])
            yield result


def _run_some(names: Sequence[str], seconds: float) -> Iterator[dict[str, Any]]:
    """Run cases in one worker, as far as it comes; the last may be what it died of."""
    context = multiprocessing.get_context("spawn")
    mine, workers = context.Pipe()
    worker = context.Process(target=_work, args=(workers, list(names)), daemon=True)
    worker.start()
    workers.close()
    try:
        for name in names:
            if not _heard_from(mine, seconds):
                yield {"case": name, "outcome": "hang", "kind": "", "detail": f"{seconds} seconds"}
                return
            try:
                yield mine.recv()
            except EOFError:
                worker.join()
                detail = f"exit code {worker.exitcode}"
                yield {"case": name, "outcome": "crash", "kind": "", "detail": detail}
                return
        # Killed at once it could not put away what it has.
        worker.join(10)
    finally:
        worker.kill()
        worker.join()


def _heard_from(connection: Connection, seconds: float) -> bool:
    """Wait for a worker to send a result or to end, but no longer than some seconds."""
    return connection.poll(seconds)


def _work(connection: Connection, names: Sequence[str]) -> None:
    """What a worker process does."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, most))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        for name in names:
            connection.send(run(name))


def summary(results: Sequence[dict[str, Any]]) -> str:
    """Count the outcomes, and name each case that is to be looked at."""
    lines = []
    for kind in KINDS:
        mine = [one for one in results if one["case"].startswith(f"{kind}:")]
        if mine:
            counts = Counter(
                one["outcome"] + (f" ({one['kind']})" if one["kind"] else "") for one in mine
            )
            counted = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
            lines.append(f"{len(mine)} {kind}: {counted}")
            ways = Counter(way for one in mine for way in one.get("ways", ()))
            if ways:
                listed = ", ".join(f"{way} {count}" for way, count in ways.most_common())
                lines.append(f"ways to the row norms that were compared: {listed}")
    for one in results:
        if one["outcome"] not in FINE:
            details = one["kind"], one.get("detail", ""), one.get("what", "")
            lines.append(": ".join([f"{one['case']} {one['outcome']}", *filter(None, details)]))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if there is nothing to be looked at, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--models", type=int, default=2000, help="how many random models")
    parser.add_argument("--malformed", type=int, default=500, help="how many malformed inputs")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first case")
    parser.add_argument("--out", type=Path, default=Path("fuzz.jsonl"), help="the file of results")
    parser.add_argument("--case", help="run one case alone, in this process, such as models:1234")
    options = parser.parse_args(arguments)
    if options.case is not None:
        result = run(options.case)
        print(json.dumps(result, indent=1).replace("\\n", "\n"))
        return result["outcome"] not in FINE
    known = []
    if options.out.exists():
        # A line that was cut short by an interruption is of a case that runs again.
        for line in options.out.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                known.append(json.loads(line))
    wanted = [
        f"{kind}:{options.seed + number}"
        for kind in KINDS
        for number in range(getattr(options, kind))
    ]
    results = {one["case"]: one for one in known if one["case"] in wanted}
    with options.out.open("a") as file:
        if options.out.stat().st_size:
            file.write("\n")
        for result in run_all([name for name in wanted if name not in results]):
            results[result["case"]] = result
            file.write(json.dumps(result) + "\n")
            file.flush()
            print(f"{len(results)} of {len(wanted)}", end="\r", file=sys.stderr)
    print(summary(list(results.values())))
    return any(one["outcome"] not in FINE for one in results.values())


if __name__ == "__main__":
    sys.exit(main())
