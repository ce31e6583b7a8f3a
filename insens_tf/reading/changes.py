"""Whether a model is still what was read of it.

Variables are referred to, and their values read whenever they are used. All else that a layer holds
is read once: a variable that is put in another's place, statistics that are no variables, settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["Holdings"]


class Holdings:
    """The attributes of a model's layers, by identity; arrays, which can change, by value.

    Parameters
    ----------
    model : Keras model
    parts : iterable of Keras layers and functions
        All that is applied in it.
    """

    def __init__(self, model: Any, parts: Iterable[Any]) -> None:
        self._model = model
        self._parts = tuple(parts)
        # The objects are held: a new object could get the identity of one that is gone.
        self._held = list(self._now())

    def are_the_same(self) -> bool:
        """Tell whether the layers hold what they did at first."""
        now = list(self._now())
        return len(now) == len(self._held) and all(map(_same, now, self._held))

    def _now(self) -> Iterator[Any]:
        yield from self._model.inputs
        yield from self._model.outputs
        for part in self._parts:
            for held in vars(part).values():
                yield held.tobytes() if isinstance(held, np.ndarray) else held


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, bytes) and isinstance(other, bytes) and one == other)
