"""Analyzers in files: what an analyzer's `save` gives, as an npz file without pickle."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.files import UnusableFileError, one_line, read_npz, refuse_code, whole_file

__all__ = ["read_state", "write_state"]

FORMAT = "insens_tf analyzer 1"


def write_state(path: str | os.PathLike[str], class_name: str, state: Mapping[str, Any]) -> None:
    """Write an analyzer's state: a text in JSON, and arrays that it refers to by number.

    Parameters
    ----------
    path : str or path
        Written whole or not at all, under exactly this name.
    class_name : str
    state : mapping of str
        Of None, bool, numbers, str, arrays, and lists and mappings of str to such.

    Raises
    ------
    TypeError
        If the state holds anything else; the message says where.
    UnusableFileError
        If the file cannot be written there.
    """
    arrays: list[NDArray[Any]] = []
    structure = _without_arrays(state, arrays, "state")
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            format=FORMAT,
            class_name=class_name,
            structure=json.dumps(structure),
            **{f"array/{number}": array for number, array in enumerate(arrays)},
        )


def read_state(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Read what `write_state` wrote: the class name and the state.

    Raises
    ------
    UnusableFileError
        If the file is damaged, was written by something else, or would run code.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    try:
        contents = read_npz(path)
        if str(contents["format"]) != FORMAT:
            raise ValueError(f"its format is {contents['format']}, not {FORMAT!r}")
        state = _with_arrays(json.loads(str(contents["structure"])), contents)
        class_name, model = str(contents["class_name"]), json.loads(state["model_json"])
    except FileNotFoundError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise UnusableFileError(
            f"{path}: expected a file written by save_npz of one of insens_tf's analyzers; "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
    refuse_code(path, model)
    return class_name, state


def _without_arrays(value: Any, arrays: list[NDArray[Any]], where: str) -> Any:
    """Return `value` as JSON takes it; arrays are appended to `arrays` and become their number.

    Lists, mappings and arrays become a mapping of one entry, which says what they are.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, (list, tuple)):
        items = enumerate(value)
        return {"list": [_without_arrays(one, arrays, f"{where}[{key}]") for key, one in items]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {
            "mapping": {
                key: _without_arrays(one, arrays, f"{where}[{key!r}]") for key, one in value.items()
            }
        }
    raise TypeError(
        f"{where}: expected None, a number, a str, an array of numbers, or a list or mapping of "
        f"str to such, came {type(value).__name__}; no Python objects are written to files"
    )


def _with_arrays(value: Any, contents: Mapping[str, NDArray[Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return contents[f"array/{content}"]
    if kind == "list":
        return [_with_arrays(one, contents) for one in content]
    if kind == "mapping":
        return {key: _with_arrays(one, contents) for key, one in content.items()}
    raise ValueError(f"its structure has an unknown kind {kind!r}")
