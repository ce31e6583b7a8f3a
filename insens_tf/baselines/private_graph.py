"""A TensorFlow 1 graph in which Keras models can be built while the process stays in eager mode.

iNNvestigate differentiates symbolic tensors, which exist only with eager mode off. In a
private `tf.Graph` it is off, but Keras marks that by swapping the base classes of its layer
classes, for the whole process and all threads: after it, every model that was built in eager mode
is in an "invalid state". Here a layer made in the private graph is instead an instance of a
private subclass, which has both the layer's class and Keras' own base for version 1 among its
ancestors. Nothing of the process' classes changes, and other threads go on using Keras meanwhile.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow import keras

__all__ = ["PrivateGraph"]

_ONE_BUILDER_AT_A_TIME = threading.RLock()


class PrivateGraph:
    """A graph with a session of its own, which is closed when this object is no longer used."""

    def __init__(self) -> None:
        self.graph = tf.Graph()
        configuration = tf.compat.v1.ConfigProto()
        configuration.gpu_options.allow_growth = True
        self.session = tf.compat.v1.Session(graph=self.graph, config=configuration)
        self._close = weakref.finalize(self, self.session.close)
        self._derived_initializers: list[tf.Operation] = []

    @property
    def closed(self) -> bool:
        """Whether the session has been closed."""
        return not self._close.alive

    def close(self) -> None:
        """Free the session's variables."""
        self._close()

    @contextmanager
    def building(self) -> Iterator[None]:
        """Put what is built, Keras layers and models included, in this graph."""
        with (
            _ONE_BUILDER_AT_A_TIME,
            self.graph.as_default(),
            self.session.as_default(),
            _keras_for_private_graphs(),
        ):
            yield

    def operations_behind(self, tensors: Sequence[tf.Tensor]) -> list[tf.Operation]:
        """Return the operations that `tensors` are computed by, in order of their creation."""
        found: set[tf.Operation] = set()
        waiting = [tensor.op for tensor in tensors]
        while waiting:
            operation = waiting.pop()
            if operation not in found:
                found.add(operation)
                waiting.extend(tensor.op for tensor in operation.inputs)
                waiting.extend(operation.control_inputs)
        return [operation for operation in self.graph.get_operations() if operation in found]

    def derive_other_variables(
        self, tensors: Sequence[tf.Tensor], assigned: Sequence[tf.Variable]
    ) -> None:
        """Have the variables behind `tensors` initialised anew after each assignment.

        iNNvestigate keeps values that it computes from the weights in variables of its own. Those
        that no result needs, mostly copies of weights, are left alone and take no memory.
        """
        needed = set(self.operations_behind(tensors))
        given = {variable.handle.op for variable in assigned}
        self._derived_initializers = [
            variable.initializer
            for variable in self.graph.get_collection(tf.compat.v1.GraphKeys.GLOBAL_VARIABLES)
            if variable.handle.op in needed - given
        ]

    def assign(self, variables: Sequence[tf.Variable], values: Sequence[NDArray[Any]]) -> None:
        """Give the variables values, and those derived from them theirs."""
        initializers = [variable.initializer for variable in variables]
        # An initialiser assigns its second input; fed, no initial value is ever computed.
        self.session.run(
            initializers,
            {initializer.inputs[1]: value for initializer, value in zip(initializers, values)},
        )
        self.session.run(self._derived_initializers)


@contextmanager
def _keras_for_private_graphs() -> Iterator[None]:
    """Have Keras suit the graph that this thread builds; other threads do not notice."""
    selector = next(
        one for one in keras.layers.Layer.__mro__ if one.__name__ == "LayerVersionSelector"
    )
    versions: Any = sys.modules[selector.__module__]
    swap_bases = versions.swap_class
    builder = threading.get_ident()
    private: dict[type, type] = {}

    def choose_class(cls: type, eager_base: type, graph_base: type, eager: bool) -> Any:
        if eager or threading.get_ident() != builder:
            return swap_bases(cls, eager_base, graph_base, eager)
        if cls in private.values():
            return cls
        if cls not in private:
            bases = [cls, versions.base_layer_v1.Layer]
            if issubclass(cls, keras.Model):
                bases.insert(1, versions.training_v1.Model)
            private[cls] = _subclass(cls, tuple(bases))
        return private[cls]

    # Used in graph mode only. As it is, Keras evaluates what operations take from the weights and
    # would have integrated gradients and SmoothGrad go on with the weights that are there now.
    operation_layers = versions.base_layer_v1.base_layer_utils
    keeps_tensors = operation_layers._UNSAFE_GRAPH_OP_LAYER_CREATION
    versions.swap_class = choose_class
    operation_layers._UNSAFE_GRAPH_OP_LAYER_CREATION = True
    try:
        yield
    finally:
        versions.swap_class = swap_bases
        operation_layers._UNSAFE_GRAPH_OP_LAYER_CREATION = keeps_tensors


def _subclass(cls: type, bases: tuple[type, ...]) -> Any:
    def init_set_name(self: Any, name: str | None, zero_based: bool = True) -> None:
        # Layers that iNNvestigate adds are named apart from the user's, which keep their names.
        own = f"innvestigate_{keras.backend.get_uid('innvestigate')}"
        super(subclass, self)._init_set_name(name or own, zero_based)

    names = {"__module__": cls.__module__, "_init_set_name": init_set_name}
    subclass: Any = type(cls)(cls.__name__, bases, names)
    return subclass
