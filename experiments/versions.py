"""What a result came about with: versions, the state of the source, processor and threads."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tensorflow as tf

__all__ = ["processor", "source", "versions"]

_PACKAGES = ("insens_tf", "tensorflow", "numpy", "scipy", "matplotlib", "innvestigate", "joblib")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def source() -> str:
    """Return the commit of the source that is run, "+" where files differ; "" if it has none."""
    here = Path(__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.strip()

    try:
        # Of another project, into which this one was copied, the commit would say nothing.
        if Path(git("rev-parse", "--show-toplevel")) != here.resolve():
            return ""
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def processor() -> dict[str, Any]:
    """Return the processor's name, its cores, and how many threads TensorFlow may take of them."""
    try:
        named = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    except OSError:
        named = None
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    return {
        "name": named[1] if named else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads or int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count(),
    }
