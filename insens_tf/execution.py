"""TensorFlow called with arrays and giving arrays, in eager mode and with it off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

__all__ = [
    "Compiled",
    "cardinality",
    "check_that_arrays_can_be_had",
    "elements",
    "evaluated",
    "held",
]

Result = TypeVar("Result")


def check_that_arrays_can_be_had(model: Any) -> None:
    """Raise RuntimeError where TensorFlow builds a graph that a Keras model is no part of."""
    if tf.executing_eagerly():
        return
    graph = tf.compat.v1.get_default_graph()
    if any(
        getattr(one, "graph", None) is not graph for one in getattr(model, "inputs", None) or ()
    ):
        raise RuntimeError(
            "insens_tf takes and gives NumPy arrays: expected a call outside of tf.function, of a "
            "data set's map and of a tf.Graph without the model, came one where TensorFlow builds "
            "a graph and computes later; call it before, and pass its arrays on"
        )


def _in_a_thread_of_its_own(function: Callable[[], Result]) -> Result:
    """Call a function outside all that surrounds the caller.

    A recording that is stopped, a device, a scope of Keras: each belongs to its thread.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result()


def held(array: NDArray[Any]) -> Any:
    """Return an array as `Compiled` takes it without copying it at every call."""
    return tf.constant(array) if tf.executing_eagerly() else array


class Compiled:
    """A TensorFlow function that takes and gives NumPy arrays.

    With eager mode on it is one `tf.function` of a fixed signature, traced once, wherever the first
    call comes from. In a process where `tf.compat.v1.disable_eager_execution()` was called it is a
    piece of the default graph, run in Keras' own session, so that the same code serves both.

    Parameters
    ----------
    function : callable
        Takes tensors, returns a structure (list, tuple, dict) of tensors.
    signature : sequence of tf.TensorSpec
        One an argument; unknown sizes are None.
    """

    def __init__(self, function: Callable[..., Any], signature: Sequence[tf.TensorSpec]) -> None:
        self._python_function = function
        self._signature = tuple(signature)
        self._traced: Any = None
        self._in_graph: dict[Any, tuple[list[Any], Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, *arrays: Any) -> Any:
        """Return the function's results as NumPy arrays, for arrays or what is `held` of them."""
        arrays = tuple(
            array if isinstance(array, tf.Tensor) else np.asarray(array, spec.dtype.as_numpy_dtype)
            for array, spec in zip(arrays, self._signature, strict=True)
        )
        if tf.executing_eagerly():
            with self._lock:
                if self._traced is None:
                    # The function that is kept must not depend on where its first caller is.
                    self._traced = _in_a_thread_of_its_own(self._trace)
            results = self._traced(*(tf.constant(array) for array in arrays))
            return tf.nest.map_structure(lambda tensor: tensor.numpy(), results)
        return self._run_in_session(arrays)

    def _trace(self) -> Any:
        # Of a function with other parameters than the signature's TensorFlow 2.14 first tries to
        # bind these at every call, and puts the arrays into the text of an error that nobody sees.
        function = tf.function(lambda *tensors: self._python_function(*tensors), autograph=False)
        return function.get_concrete_function(*self._signature)

    def _run_in_session(self, arrays: Sequence[np.ndarray]) -> Any:
        graph = tf.compat.v1.get_default_graph()
        with self._lock:
            if graph not in self._in_graph:
                placeholders = [
                    tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in self._signature
                ]
                self._in_graph[graph] = placeholders, self._python_function(*placeholders)
        placeholders, results = self._in_graph[graph]
        session = tf.compat.v1.keras.backend.get_session()
        return session.run(results, dict(zip(placeholders, arrays)))


def evaluated(model: Any, x: np.ndarray) -> list[np.ndarray]:
    """Return what a Keras model itself gives for inputs, an array an output."""
    if tf.executing_eagerly():
        return [np.asarray(one) for one in tf.nest.flatten(model(x, training=False))]
    # predict_on_batch is not used, as it warns of what Keras itself does there.
    session = tf.compat.v1.keras.backend.get_session()
    return session.run(tf.nest.flatten(model.outputs), {model.inputs[0]: x})


def cardinality(dataset: tf.data.Dataset) -> int:
    """Return how many elements a data set has, or TensorFlow's negative code for what it is."""
    size = dataset.cardinality()
    if tf.executing_eagerly():
        return int(size)
    return int(tf.compat.v1.keras.backend.get_session().run(size))


def elements(dataset: tf.data.Dataset) -> Iterator[Any]:
    """Yield the elements of a data set: tensors in eager mode, arrays with it off."""
    if tf.executing_eagerly():
        yield from dataset
        return
    iterator = tf.compat.v1.data.make_initializable_iterator(dataset)
    element = iterator.get_next()
    session = tf.compat.v1.keras.backend.get_session()
    session.run(iterator.initializer)
    while True:
        try:
            values = session.run(element)
        except tf.errors.OutOfRangeError:
            return
        yield values
