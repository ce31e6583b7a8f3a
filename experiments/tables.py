"""Numbers in files that people and programs read: CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["read_csv", "write_csv", "write_json"]


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write numbers so that they are read back as they are."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read what :func:`write_csv` has written, a dict a row."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_json(path: Path, content: Any) -> None:
    """Write what JSON can hold, for people to read."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
