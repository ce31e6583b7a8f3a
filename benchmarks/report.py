"""The benchmarks' results as tables, for a terminal or for a page of Markdown.

    python -m benchmarks.report FILE.json ...
    python -m benchmarks.report FILE.json ... --into docs/performance.md

With --into, what stands on the page between `<!-- FILE -->` and `<!-- end -->` is replaced by the
tables of FILE.json.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.yardsticks import STEPS
from experiments.tables import inserted
from insens_tf.chunks import readable_size
from insens_tf.files import whole_file

__all__ = ["markdown", "number", "printed", "write"]

Row = dict[str, Any]


def printed(record: dict[str, Any]) -> str:
    """Return a benchmark's results as tables for a terminal."""
    return _text(record, title="{}", table_format="simple")


def markdown(record: dict[str, Any]) -> str:
    """Return a benchmark's results as Markdown."""
    return _text(record, title="**{}**", table_format="github")


def write(record: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a benchmark's results as JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def publish(record: dict[str, Any], path: str | os.PathLike[str] | None) -> None:
    """Write a benchmark's results, if it is said where, and print them."""
    if path is not None:
        write(record, path)
    print(printed(record))


def _text(record: dict[str, Any], *, title: str, table_format: str) -> str:
    blocks = [_what_and_with_what(record)]
    for section, (heading, rows) in SECTIONS.items():
        if record.get(section):
            table = tabulate(
                rows(record[section]), "keys", tablefmt=table_format, disable_numparse=True
            )
            blocks += [title.format(heading), table]
    return "\n\n".join(blocks) + "\n"


def _what_and_with_what(record: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    what = f"Medians of {record['rounds']} rounds"
    if "network" in record:
        shape = "x".join(map(str, record["input_shape"]))
        what = f"{record['network']}, {record['inputs']} inputs of {shape}; {what.lower()}"
    return f"{what}; {record['cores']} cores; {versions}."


def _against_unit(rows: list[Row]) -> list[Row]:
    unit = {
        "work": rows[0]["yardstick"],
        "ms / input": number(float(np.median([row["yardstick_milliseconds"] for row in rows]))),
        "/ IG64": "1",
    }
    return [unit, *({"work": row["work"], **_ratio(row), **_memory(row)} for row in rows)]


def _against_others(rows: list[Row]) -> list[Row]:
    return [
        {
            "work": row["work"],
            "ms / input": number(row["milliseconds"]),
            "in units of": row["yardstick"],
            "its ms / input": number(row["yardstick_milliseconds"]),
            "ratio": number(row["ratio"]),
            "least to most": _range(row),
        }
        for row in rows
    ]


def _plan(rows: list[Row]) -> list[Row]:
    return [
        {
            "layer": row["layer"],
            "neurons": number(row["neurons"]),
            "needed": number(row["needed"]),
            "way": row["way"],
            "gradients / input: plan": number(row["planned_gradients"]),
            "measured": number(row["measured_gradients"]),
            "memory: plan": readable_size(row["planned_memory"]),
            **_memory(row),
        }
        for row in rows
    ]


def _exactness(rows: list[Row]) -> list[Row]:
    return [
        {
            "layer": row["layer"],
            "inputs": row["inputs"],
            "relative L2, worst": f"{row['largest_relative_error']:.1e}",
        }
        for row in rows
    ]


def _growth(rows: list[Row]) -> list[Row]:
    return [
        {
            "network": row["network"],
            "inputs": row["inputs"],
            "work": row["work"],
            **_ratio(row),
            **_memory(row),
        }
        for row in rows
    ]


def _architectures(rows: list[Row]) -> list[Row]:
    return [
        {
            "network": row["network"],
            "layers": row["layers"],
            "hidden": row["hidden"],
            "neurons": number(row["neurons"]),
            "output off by": f"{row['output_error']:.1e}",
            "w off by": f"{row['weights_error']:.1e}",
            "Insens off by": f"{row['insens_error']:.1e}",
            "Insens of": row["layer"],
            "way": row["way"],
            "ms / input": number(row["milliseconds"]),
            "extra memory": "not known" if row["memory"] is None else readable_size(row["memory"]),
        }
        for row in rows
    ]


def _memory_of_ways(rows: list[Row]) -> list[Row]:
    return [
        {
            "network": row["network"],
            "layer": row["layer"],
            "way": row["way"],
            "budget": readable_size(row["budget"] * 2**20),
            "planned": readable_size(row["planned_memory"]),
            "measured": readable_size(row["measured_memory"]),
            "measured / planned": f"{row['measured_memory'] / row['planned_memory']:.2f}",
            "warned": "yes" if row["warned"] else "",
        }
        for row in rows
        if row.get("measured_memory") is not None
    ]


def _estimates(rows: list[Row]) -> list[Row]:
    cells = []
    for row in rows:
        timed, known = "ratio" in row, "actual" in row
        stated = row["stated"] if known else row.get("largest_error", 0.0)
        is_exact = known and stated == 0
        cells.append(
            {
                "network": row["network"],
                "layer": row["layer"],
                "passes": number(row["passes"]),
                "seconds": number(row["seconds"]) if timed else "",
                "/ IG64": number(row["ratio"]) if timed else "",
                **_by_processor(row),
                "stated": "exact" if is_exact else f"{stated:.2g}",
                "actual": f"{row['actual']:.2g}" if known else "",
                "actual / stated": number(row["actual"] / stated) if known and stated else "",
                "held against": row.get("against", ""),
                "seeds": row.get("seeds", ""),
            }
        )
    return cells


def _by_processor(row: Row) -> Row:
    """Return what is known of newer rows: processor time, memory, and exact Insens."""
    ratio, exactly = row.get("processor_ratio"), row.get("exact_ratio")
    return {
        "by processor": "" if ratio is None else number(ratio),
        "gradients": "" if ratio is None else number(STEPS * ratio),
        "memory": "" if ratio is None else readable_size(row["memory"]),
        "exact: way": ", ".join(row.get("ways", ())),
        "planned gradients": number(row["planned"]) if "planned" in row else "",
        "measured": "" if exactly is None else number(STEPS * exactly),
    }


def _refused(rows: list[Row]) -> list[Row]:
    return [{"network": row["network"], "refused with": row["refused"]} for row in rows]


SECTIONS: dict[str, tuple[str, Callable[[list[Row]], list[Row]]]] = {
    "works": ("Against IG64", _against_unit),
    "other_yardsticks": ("Against other yardsticks", _against_others),
    "plan": ("What was planned, and what was measured", _plan),
    "exactness": ("Insens in float32 against float64", _exactness),
    "batch": ("How cost grows with the batch", _growth),
    "size": ("How cost grows with the input's size", _growth),
    "width": ("How cost grows with the width", _growth),
    "depth": ("How cost grows with the depth", _growth),
    "architectures": ("Real architectures against automatic differentiation", _architectures),
    "estimates": ("Estimates of Insens: cost, and error", _estimates),
    "memory": ("Memory, planned and measured, at 224 x 224 pixels", _memory_of_ways),
    "refused": ("What cannot be read", _refused),
}
"""The tables that a record may hold: title, and what turns its rows into cells by column."""


def _ratio(row: Row) -> Row:
    return {
        "ms / input": number(row["milliseconds"]),
        "/ IG64": number(row["ratio"]),
        "least to most": _range(row),
    }


def _memory(row: Row) -> Row:
    first, later = row["first_call_memory"], row["later_call_memory"]
    known = first is not None and later is not None
    return {"extra memory": readable_size(max(first, later)) if known else "not known"}


def _range(row: Row) -> str:
    return f"{number(row['least'])} to {number(row['most'])}"


def number(value: float) -> str:
    """Return three significant digits: "0.0123", "12,300"; whole numbers whole."""
    if value == int(value):
        return f"{int(value):,}"
    rounded = float(f"{value:.3g}")
    digits = max(0, 2 - int(np.floor(np.log10(abs(rounded)))))
    return f"{rounded:,.{digits}f}"


def main() -> None:
    """Print the tables of some results, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help=".json files of the benchmarks")
    parser.add_argument("--into", type=Path, help="a page with places for them")
    arguments = parser.parse_args()
    page = "" if arguments.into is None else arguments.into.read_text("utf-8")
    for file in arguments.files:
        tables = markdown(json.loads(file.read_text("utf-8")))
        if arguments.into is None:
            print(tables)
        else:
            page = inserted(page, file.stem, tables)
    if arguments.into is not None:
        with whole_file(arguments.into) as partial:
            partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
