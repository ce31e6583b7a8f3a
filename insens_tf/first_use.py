"""The proof, when a network is first used, that it computes what the model does.

Whatever reading a model goes by, a layer can compute otherwise: by code put into Keras, or because
of something that is not known yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf import memory
from insens_tf.chunks import at_a_time
from insens_tf.errors import UnreadableModelError
from insens_tf.execution import Compiled
from insens_tf.reading import Reading
from insens_tf.report import values_of

__all__ = ["FirstUse"]

INPUTS = 2

# In rounding errors of the largest value. Larger ones are compared with the network's own errors.
ROUNDING_ERRORS = 32

SINGLE = 2.0**-23
ROUNDING = {tf.bfloat16: 2.0**-7, tf.float16: 2.0**-10}

# Sums over weights vary as little with the order in which threads add them up.
SAME = 1e-6

# The network's own errors: how far each value is disturbed, in rounding errors of the operation's
# result, how often this is tried, and how many times the largest change seen is no difference yet.
PUT_OFF_BY = 8
TRIALS = 3
MARGIN = 4


class FirstUse:
    """Holds a model against the network that it was read as, once for the weights it has.

    On inputs at hand and without compiling anything: it costs about two evaluations of the model.

    Parameters
    ----------
    model : Keras model
    reading : Reading
        The bytes of all of it.
    memory_budget : int
        In bytes.
    """

    def __init__(self, model: Any, reading: Reading, memory_budget: int) -> None:
        self._model = model
        self._reading = reading
        self._of_an_input = memory.evaluation(reading.graph, reading.results)
        fitting = at_a_time(reading.graph, reading.results, memory_budget, self._of_an_input)
        self._rows = min(INPUTS, fitting)
        self._proven: np.ndarray | None = None

    def memory(self, inputs: int) -> float:
        """Return the bytes that it holds, for that many inputs."""
        return min(inputs, self._rows) * self._of_an_input

    def __call__(self, x: np.ndarray, weights: np.ndarray) -> None:
        """Prove it if the weights are others than the last time.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
            The inputs, of which the first are used.
        weights : numpy.ndarray
            Numbers that are others for other weights.

        Raises
        ------
        UnreadableModelError
            If the model computes something else.
        """
        if self._proven is not None and np.allclose(weights, self._proven, SAME, 0.0):
            return
        x = x[: self._rows]
        for own, switched in zip(values_of(self._model, x), self._values(x)):
            self._compare(x, own.astype(np.float64), switched)
        self._proven = weights

    def _compare(self, x: np.ndarray, own: np.ndarray, switched: np.ndarray) -> None:
        # The call that asks for numbers says that they are too large.
        finite = np.isfinite(own) & np.isfinite(switched)
        difference = float(np.abs(own - switched, where=finite, out=np.zeros_like(own)).max())
        largest = float(np.abs(own, where=finite, out=np.zeros_like(own)).max())
        if difference <= ROUNDING_ERRORS * self._rounding() * largest:
            return
        if difference <= MARGIN * self._own_errors(x):
            return
        raise UnreadableModelError(
            f"model {self._model.name!r}: expected it to compute what it was read as, found values "
            f"up to {largest:.3g} that differ by up to {difference:.2g} on {len(x)} of the inputs; "
            "some layer computes something else than Keras' own of its kind. insens_tf.examine("
            "model) says how each was read, examine(part) of a part of the model whether it is in "
            "there; SwitchedNetwork(model, prove=False) leaves this proof out."
        )

    def _rounding(self) -> float:
        """Return the rounding error of the least precise layer, of TensorFlow's single at best."""
        parts = self._reading.parts.values()
        dtypes = {tf.as_dtype(getattr(part, "compute_dtype", None) or "float32") for part in parts}
        if tf.config.list_physical_devices("GPU"):
            # A GPU may multiply float32 in TensorFloat-32, which is as precise as half precision.
            dtypes.add(tf.float16)
        return max(ROUNDING.get(dtype, SINGLE) for dtype in (tf.float32, *dtypes))

    def _own_errors(self, x: np.ndarray) -> float:
        """Return how far results change when rounding errors disturb every value on the way."""
        results = self._values(x)
        return max(
            float(np.abs(result - other).max())
            for trial in range(TRIALS)
            for result, other in zip(results, self._values(x, trial))
        )

    def _values(self, x: np.ndarray, trial: int | None = None) -> list[np.ndarray]:
        graph, results = self._reading.graph, self._reading.results

        def put_off(value: tf.Tensor, position: int) -> tf.Tensor:
            size = PUT_OFF_BY * self._rounding() * tf.sqrt(tf.reduce_mean(tf.square(value)))
            seed = tf.constant([trial, position], tf.int32)
            return value + size * tf.random.stateless_normal(
                tf.shape(value), seed, dtype=value.dtype
            )

        def values(x: tf.Tensor) -> list[tf.Tensor]:
            if trial is None:
                return graph.values(x, results)
            found = {0: put_off(x, 0)}
            for position in graph.ancestors(results)[1:]:
                operation = graph.operations[position]
                value = operation(*(found[operand] for operand in operation.operands))
                found[position] = put_off(value, position)
            return [found[position] for position in results]

        if tf.executing_eagerly():
            return [np.asarray(one) for one in values(tf.constant(x, graph.dtype))]
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        return Compiled(values, [image])(x)
