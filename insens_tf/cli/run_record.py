"""The record of how the results of a command came about, and the folder that has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from insens_tf import __version__, files
from insens_tf.cli.options import OptionalResultOptions

__all__ = ["record_of", "results_in"]


def record_of(command: str, *groups: Any, **more: Any) -> dict[str, Any]:
    """Return what a command was called with, as its results' run.json says it.

    Parameters
    ----------
    command : str
    *groups : dataclass
        Groups of shared options whose values decide the results.
    **more
        What else decides them.
    """
    record = {"program": "insens-tf", "version": __version__, "command": command}
    for group in groups:
        record |= asdict(group)
    return {**record, **more}


@contextmanager
def results_in(
    options: OptionalResultOptions, record: dict[str, Any], *, heatmaps: bool = True
) -> Iterator[Path | None]:
    """Write a folder of results, whole or not at all; None where none is wanted.

    Parameters
    ----------
    options : OptionalResultOptions
    record : dict
        What run.json says; it may be added to inside the block.
    heatmaps : bool
        Whether there is to be a folder for heatmaps in it.
    """
    if options.out is None:
        yield None
        return
    with files.results_folder(options.out, record, replace=options.overwrite) as folder:
        if heatmaps:
            (folder / "heatmaps").mkdir()
        yield folder
