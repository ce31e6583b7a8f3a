"""A model that was read and stays read: its layers, its inputs, and the start of every call."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import inline_html, memory
from insens_tf.argument_types import LayerLike
from insens_tf.arguments import one_of, whole_number
from insens_tf.bounded_cache import BoundedCache
from insens_tf.chunks import at_a_time
from insens_tf.errors import UnreadableModelError
from insens_tf.execution import check_that_arrays_can_be_had
from insens_tf.finiteness import FiniteWeights, is_finite, refuse_masks, too_large
from insens_tf.first_use import FirstUse
from insens_tf.input_spec import InputSpec
from insens_tf.layers import HiddenLayer, Layers
from insens_tf.reading import Reading, read
from insens_tf.reading.changes import Holdings
from insens_tf.report import Report, proof, random_inputs, reported_layers

__all__ = ["ReadNetwork"]

# How many compiled functions and choices are kept: enough for every layer by itself, asked for in
# turn in every way there is, and for some combinations of layers.
KEPT = 16
KEPT_A_LAYER = 8


class ReadNetwork:
    """What a Keras model was read as, and is read as again where it changes.

    Parameters
    ----------
    model : Keras model
    memory_budget : int
    smooth_activations : {None, "ratio"}
    prove : bool
        All as `SwitchedNetwork` has them.
    """

    def __init__(
        self,
        model: Any,
        *,
        memory_budget: int = 512 * 2**20,
        smooth_activations: str | None = None,
        prove: bool = True,
    ) -> None:
        budget = whole_number("memory_budget", memory_budget, least=2**20, of="bytes")
        if smooth_activations is not None:
            one_of("smooth_activations", smooth_activations, ("ratio",))
        check_that_arrays_can_be_had(model)
        self.model = model
        self.smooth_activations = smooth_activations
        self.memory_budget = budget
        self._prove_first_use = prove
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._take(read(model, smooth_activations))
        self.layers = self._found.hidden
        self.outputs = self._found.outputs
        self.input_shape = self._graph.input_shape
        self.dtype = np.dtype(self._graph.dtype.as_numpy_dtype)
        self.input_spec = InputSpec(
            self.input_shape, self.dtype, tf.as_dtype(model.inputs[0].dtype)
        )

    def _take(self, reading: Reading) -> None:
        """Compute from now on with what was read; functions compiled before are dropped."""
        self._reading = reading
        self._graph = reading.graph
        self._found = Layers(reading)
        self._finite_weights = FiniteWeights(reading.graph)
        self._first_use = (
            FirstUse(self.model, reading, self.memory_budget) if self._prove_first_use else None
        )
        self._holdings = Holdings(self.model, reading.parts.values())
        self._compiled = BoundedCache(KEPT + KEPT_A_LAYER * len(self._found.hidden))

    def _read_what_changed(self) -> None:
        """Read the model again where a layer holds something else than a variable's new value.

        Raises
        ------
        UnreadableModelError
            If it cannot be read any more, or is another network now.
        RuntimeError
            If the call comes from where TensorFlow builds a graph, or from a forked process.
        """
        check_that_arrays_can_be_had(self.model)
        if self._process != os.getpid():
            raise RuntimeError(
                "this SwitchedNetwork was built before the process was forked, and TensorFlow's "
                "functions never return in such a copy of a process; start processes by "
                "multiprocessing.get_context('spawn'), to which a SwitchedNetwork can be passed"
            )
        with self._lock:
            if self._holdings.are_the_same():
                return
            reading = read(self.model, self.smooth_activations)
            found = Layers(reading)
            now = found.hidden, found.outputs, reading.graph.input_shape, reading.graph.dtype
            if now != (self.layers, self.outputs, self.input_shape, self._graph.dtype):
                raise UnreadableModelError(
                    f"model {self.model.name!r}: expected the layers that it had when it was read, "
                    f"{_names(self.layers + self.outputs)}, found {_names(found.hidden)} and "
                    f"output {_names(found.outputs)}; build another SwitchedNetwork of it."
                )
            self._take(reading)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, also in another process, is read from (a copy of) the model and compiles anew.
        settings = {
            "memory_budget": self.memory_budget,
            "smooth_activations": self.smooth_activations,
            "prove": self._prove_first_use,
        }
        return _rebuilt, (type(self), self.model, settings)

    def __repr__(self) -> str:
        layers = ", ".join(f"{layer.name}{layer.shape}" for layer in self.layers)
        outputs = ", ".join(f"{output.name}{output.shape}" for output in self.outputs)
        return f"SwitchedNetwork(input {self.input_shape}; hidden {layers}; output {outputs})"

    def _repr_html_(self) -> str:
        rows = [
            (
                "output" if layer.index is None else layer.index,
                layer.name,
                ", ".join(layer.aliases),
                " × ".join(map(str, layer.shape)),
                f"{layer.neurons:,}",
            )
            for layer in (*self.layers, *self.outputs)
        ]
        headers = ("index", "layer", "also called", "shape", "neurons")
        model = f"{type(self).__name__} of {self.model.name}, input {self.input_shape}"
        return inline_html.paragraphs(model) + inline_html.table(headers, rows, numbers=2)

    def report(self, x: Any = None) -> Report:
        """Return what each layer was read as, and the proof that the whole is the model.

        Parameters
        ----------
        x : array, shape (n, *input_shape), optional
            Inputs on which to hold the model against the switched network, besides random ones.

        Returns
        -------
        Report
            Prints as a table.

        Raises
        ------
        ValueError
            If x is not finite or of another shape.
        """
        self._read_what_changed()
        samples = {"random": random_inputs(self._graph, self.input_spec.model_dtype)}
        if x is not None:
            samples["given"] = self.input_spec.check(x)
        self._finite_weights.check()
        of_an_input = memory.evaluation(self._graph, self._reading.results)
        size = at_a_time(self._graph, self._reading.results, self.memory_budget, of_an_input)
        proofs = (
            proof(self.model, self._reading, one, name, size) for name, one in samples.items()
        )
        return Report(self.model.name, reported_layers(self._reading), tuple(proofs))

    @property
    def output(self) -> HiddenLayer:
        """The output layer of a network that has one.

        Raises
        ------
        ValueError
            If it has several; the message names them.
        """
        if len(self.outputs) > 1:
            names = ", ".join(f"{one.name!r} {one.shape}" for one in self.outputs)
            raise ValueError(
                f"this network has {len(self.outputs)} outputs, {names}; name one of them as the "
                "layer, or take it from network.outputs"
            )
        return self.outputs[0]

    # To a type checker a name is a sequence of names, too.
    @overload
    def layer(  # type: ignore[overload-overlap]
        self, layer: LayerLike, *, output: bool = True
    ) -> HiddenLayer: ...

    @overload
    def layer(self, layer: Sequence[LayerLike], *, output: bool = True) -> list[HiddenLayer]: ...

    def layer(
        self, layer: LayerLike | Sequence[LayerLike], *, output: bool = True
    ) -> HiddenLayer | list[HiddenLayer]:
        """Return the layer that is meant, as every method here understands it.

        Parameters
        ----------
        layer : str, int, HiddenLayer, Keras layer, or list of them
            A name, an index into `layers`, one of them, or a layer of the Keras model: of a
            convolution, its normalisation and the ReLU layer after these, any.
        output : bool
            Whether an output layer may be meant too.

        Returns
        -------
        HiddenLayer, or list of them for a list

        Raises
        ------
        ValueError
            If there is no such layer, with those there are; or if one is there twice.
        """
        self._read_what_changed()
        layers, single = self._found.choose(layer, output=output)
        return layers[0] if single else layers

    @property
    def reading(self) -> Reading:
        """The model as it is read now, for those who compute on its graph."""
        self._read_what_changed()
        return self._reading

    def in_float64(self, x: Any, argument: str = "x") -> NDArray[np.float64]:
        """Return inputs as `input_spec.check` does, in float64 whatever the network's dtype."""
        spec = replace(self.input_spec, dtype=np.dtype(np.float64))
        return spec.check(x, argument).astype(np.float64, copy=False)

    def one_in_float64(self, x: Any, argument: str) -> NDArray[np.float64]:
        """Return one input, (*input_shape), in float64.

        Raises
        ------
        ValueError
            If x is not finite or of another shape.
        """
        refuse_masks(argument, x)
        if np.shape(x) != self.input_shape:
            raise ValueError(
                f"{argument}: expected one input of shape {self.input_shape}, came "
                f"{np.shape(x)}; of a batch take one, such as {argument}[0]"
            )
        return self.in_float64(np.asarray(x)[np.newaxis], argument)[0]

    def prove(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """Raise if the weights are no numbers, or the model is not what it was read as.

        The latter is asked once for the weights that there are, on inputs as `input_spec.check`
        returns them.

        Returns
        -------
        numpy.ndarray, shape (weights,)
            Numbers that are others once a weight is another, for `check_weights`.

        Raises
        ------
        UnreadableModelError
        """
        weights = self._finite_weights.check()
        self._prove(inputs, weights)
        return weights

    def check_weights(self, weights: NDArray[Any], what: str, anew: str) -> None:
        """Raise if the weights are others than those that something was computed with.

        Parameters
        ----------
        weights : numpy.ndarray, shape (weights,)
            What `prove` returned then.
        what : str
            What was computed, as a user knows it.
        anew : str
            The call that computes it anew.

        Raises
        ------
        RuntimeError
        UnreadableModelError
            If a weight is NaN or infinite now.
        """
        self._read_what_changed()
        if not np.array_equal(weights, self._finite_weights.check()):
            raise RuntimeError(
                f"the network's weights are not those that this {what} was computed with; compute "
                f"it anew: {anew}"
            )

    def _checked(
        self, layer: LayerLike | Sequence[LayerLike], x: Any, *, output: bool = False
    ) -> tuple[list[HiddenLayer], bool, NDArray[Any]]:
        """Return the layers that are meant, whether one was asked for, and the inputs.

        After what every call begins with: the model is read again if it has changed, and held
        against what is read.
        """
        self._read_what_changed()
        layers, single = self._found.choose(layer, output=output)
        inputs = self.input_spec.check(x)
        self.prove(inputs)
        return layers, single, inputs

    def _prove(self, inputs: NDArray[Any], weights: NDArray[Any]) -> None:
        if self._first_use is not None:
            self._first_use(inputs, weights)

    def _check_finite(self, layer: HiddenLayer, *results: NDArray[Any]) -> None:
        if not all(is_finite(values) for values in results):
            raise self._too_large(layer)

    def _too_large(self, layer: HiddenLayer) -> ValueError:
        return too_large(layer.name, self.dtype)


def _names(layers: Sequence[HiddenLayer]) -> str:
    return ", ".join(f"{layer.name!r} {layer.shape}" for layer in layers)


def _rebuilt(kind: type[ReadNetwork], model: Any, settings: dict[str, Any]) -> ReadNetwork:
    return kind(model, **settings)
