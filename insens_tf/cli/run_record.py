"""The record of how the results of a command came about, and the folder that has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from insens_tf import __version__, files

__all__ = ["record_of", "results_in"]


def record_of(
    command: str,
    model: str | None,
    images: Sequence[str],
    options: dict[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Give what a command was called with, as its results' run.json says it."""
    return {
        "program": "insens-tf",
        "version": __version__,
        "command": command,
        "model": model,
        "images": list(images),
        **options,
        **more,
    }


@contextmanager
def results_in(out: str | None, record: dict[str, Any], overwrite: bool) -> Iterator[Path | None]:
    """Write a folder of results, whole or not at all; None where none is wanted."""
    if out is None:
        yield None
        return
    with files.results_folder(out, record, replace=overwrite) as folder:
        (folder / "heatmaps").mkdir()
        yield folder
