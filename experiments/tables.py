"""Numbers in files that people and programs read: CSV, JSON, and tables on a page of Markdown."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["inserted", "read_csv", "write_csv", "write_json"]


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


def inserted(page: str, name: str, tables: str) -> str:
    """Return a page with what is between `<!-- name -->` and `<!-- end -->` replaced by tables.

    Raises
    ------
    ValueError
        If the page has no such place, or several.
    """
    place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    found = len(place.findall(page))
    if found != 1:
        raise ValueError(
            f"expected one place for {name!r} on the page, found {found}; "
            f"write <!-- {name} --> and <!-- end --> on lines of their own where it is to be"
        )
    return place.sub(lambda match: f"{match[1]}\n{tables}\n{match[2]}", page)
