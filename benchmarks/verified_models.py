"""Which models are read as what they are: the tables of docs/verified_models.md.

    python -m benchmarks.verified_models --into docs/verified_models.md

One or two networks of each family of `keras.applications`, and the kinds of models that the tests
are made of, all with random weights: what each is read as, and how far the switched network is from
Keras' own results on random inputs, or the layer that it is refused for. Each row is kept in --out
as soon as it is there: the same command goes on where it was ended.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tensorflow import keras

import insens_tf
from benchmarks.architectures import application
from benchmarks.report import number, write
from benchmarks.timing import environment
from experiments.tables import inserted
from insens_tf.files import whole_file
from tests.architectures import NAMES, build

__all__ = ["APPLICATIONS", "complete", "filled", "main", "verified"]

Row = dict[str, Any]
Build = Callable[[], keras.Model]

APPLICATIONS = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "DenseNet201": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Large": 32,
    "NASNetMobile": 32,
    "ResNet50": 32,
    "ResNet152": 32,
    "ResNet50V2": 32,
    "ResNet101V2": 32,
    "VGG16": 32,
    "VGG19": 32,
    "Xception": 71,
}
"""One or two networks of each family, and the side of the smallest images that they take."""

_OUT = Path("docs/verified_models.json")


def verified(name: str, model: keras.Model) -> Row:
    """Return what a model is read as, and how exactly; or what it is refused for.

    Returns
    -------
    dict
        "model" and "input", its shape, and of what is read "hidden", the number of hidden layers,
        "neurons" in them, "largest_difference" from Keras over some random "inputs", and
        "largest_value"; of what is refused "layers", "refused", how many of them cannot be read,
        "layer", the first such, and "reason".
    """
    report = insens_tf.examine(model)
    row = {"model": name, "input": " x ".join(map(str, model.input_shape[1:]))}
    if report.refused:
        first = report.refused[0]
        refusal = {"refused": len(report.refused), "layer": first.name, "reason": first.refusal}
        return {**row, "layers": len(report.layers), **refusal}
    (proof,) = report.proofs
    hidden = [layer.neurons or 0 for layer in report.layers if layer.index is not None]
    return {
        **row,
        **{"hidden": len(hidden), "neurons": sum(hidden), "inputs": proof.count},
        "largest_difference": proof.largest_difference,
        "largest_value": proof.largest_value,
    }


def complete(record: Row, builds: dict[str, dict[str, Build]]) -> Iterator[str]:
    """Add what a record lacks of some sections' models, and yield the name of each that is added.

    Parameters
    ----------
    record : dict
        Has the rows of each section, in any order; those that are there are left alone.
    builds : dict of str to dict
        By section and model what builds it.
    """
    for section, models in builds.items():
        rows = record.setdefault(section, [])
        for name, model in models.items():
            if name in {row["model"] for row in rows}:
                continue
            rows.append(verified(name, model()))
            yield name
            keras.backend.clear_session()
            gc.collect()


def filled(page: str, record: Row) -> str:
    """Return a page with the tables of a record in their places."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    tables = {
        "applications": _read(record["applications"]),
        "refused": _refused(record["applications"]),
        "kinds": _read(record["kinds"]),
        "versions": f"Of {versions}.",
    }
    for name, table in tables.items():
        page = inserted(page, name, table)
    return page


def _read(rows: list[Row]) -> str:
    cells = [
        {
            "model": row["model"],
            "input": row["input"],
            "hidden layers": row["hidden"],
            "neurons": number(row["neurons"]),
            "off by": f"{row['largest_difference']:.1e}",
            "of values up to": f"{row['largest_value']:.3g}",
        }
        for row in rows
        if "refused" not in row
    ]
    return tabulate(cells, "keys", tablefmt="github", disable_numparse=True)


def _refused(rows: list[Row]) -> str:
    cells = [
        {
            "model": row["model"],
            "layers refused": f"{row['refused']} of {row['layers']}",
            "the first": f"`{row['layer']}`",
            "why, and the way out": row["reason"],
        }
        for row in rows
        if "refused" in row
    ]
    return tabulate(cells, "keys", tablefmt="github", disable_numparse=True)


def main() -> None:
    """Examine the models that are not in the results yet, and put the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=_OUT, help=f"the results; default {_OUT}")
    parser.add_argument("--into", type=Path, help="a page with places for the tables")
    arguments = parser.parse_args()
    record = environment()
    if arguments.out.exists():
        record = json.loads(arguments.out.read_text("utf-8"))
        if record["versions"] != environment()["versions"]:
            parser.error(f"{arguments.out} is of other versions; remove it to begin anew")
    builds: dict[str, dict[str, Build]] = {
        "applications": {
            name: partial(application, name, side) for name, side in APPLICATIONS.items()
        },
        "kinds": {name: partial(build, name, dtype="float32") for name in NAMES},
    }
    for name in complete(record, builds):
        print(name, flush=True)
        write(record, arguments.out)
    if arguments.into is not None:
        page = filled(arguments.into.read_text("utf-8"), record)
        with whole_file(arguments.into) as partial_file:
            partial_file.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
