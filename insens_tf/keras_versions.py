"""Keras 2 and Keras 3: which of them is there, and which can read what is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

import tensorflow as tf

__all__ = ["first_that_can", "model_from_json", "other_backend"]

Result = TypeVar("Result")


def first_that_can(read: Callable[[Any], Result]) -> Result:
    """Return what the first Keras that can read something gives: `tf.keras`, then `tf_keras`.

    From TensorFlow 2.16 on `tf.keras` is Keras 3, which cannot read all that Keras 2 wrote;
    `tf_keras` is Keras 2, where it is installed.

    Parameters
    ----------
    read : callable
        Of a Keras module.

    Raises
    ------
    Exception
        What `tf.keras` raised, if none of them can.
    """
    first_error: Exception | None = None
    for keras in _kerases():
        try:
            return read(keras)
        except Exception as error:
            # Keras can raise anything for what another version stored.
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def model_from_json(text: str) -> Any:
    """Make a model, without its weights, of what a model's `to_json` returned."""
    return first_that_can(lambda keras: keras.models.model_from_json(text))


def other_backend() -> str:
    """Say that Keras 3 is set to another backend than TensorFlow, and the way out; nothing if not.

    What `tf.keras` raises then says nothing of it: that Keras is not installed, where its backend
    is not, or that a recursion is too deep.
    """
    settings = sys.modules.get("keras.src.backend.config")
    backend = getattr(settings, "backend", lambda: "tensorflow")()
    if backend == "tensorflow":
        return ""
    return (
        f"it is set to the backend {backend!r} (by KERAS_BACKEND, or ~/.keras/keras.json), and "
        "insens_tf computes with TensorFlow; begin the process with KERAS_BACKEND=tensorflow"
    )


def _kerases() -> Iterator[Any]:
    yield tf.keras
    if hasattr(tf.keras, "ops") and find_spec("tf_keras"):
        yield import_module("tf_keras")
