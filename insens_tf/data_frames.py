"""Tables as pandas has them, for those who have pandas."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import fields
from typing import Any

__all__ = ["columns_of", "data_frame"]


def data_frame(columns: Mapping[str, Any]) -> Any:
    """Return a pandas.DataFrame of columns, each as long as the others.

    Raises
    ------
    ModuleNotFoundError
        If pandas is not installed; the message says how it is.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "to_pandas() needs pandas, which insens_tf does without: pip install pandas",
            name="pandas",
        ) from error
    return pandas.DataFrame(dict(columns))


def columns_of(
    kind: type, records: Sequence[Any], without: Container[str] = ()
) -> dict[str, list[Any]]:
    """Return what records, dataclasses of one kind, have in each of their fields."""
    names = [one.name for one in fields(kind) if one.name not in without]
    return {name: [getattr(record, name) for record in records] for name in names}
