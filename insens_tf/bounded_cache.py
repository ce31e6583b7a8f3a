"""A cache of bounded size, which keeps compiled functions so that no call traces them again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import tensorflow as tf

__all__ = ["BoundedCache"]

Kept = TypeVar("Kept")


class BoundedCache(dict[Hashable, Any]):
    """Keep the values that were asked for last, up to a number of them.

    Two threads never make the same value at once.

    Parameters
    ----------
    size : int
        How many things are kept.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._lock = threading.Lock()

    def kept(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return what is kept under a key, made now if there is nothing."""
        with self._lock:
            found: Kept | None = self.pop(key, None)
            result = self[key] = make() if found is None else found
            # With eager mode off these are parts of TensorFlow's graph, which cannot be freed.
            if tf.executing_eagerly():
                while len(self) > self._size:
                    del self[next(iter(self))]
            return result
