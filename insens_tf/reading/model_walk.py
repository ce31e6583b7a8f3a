"""Walks over a Keras model and reads it as a graph; refuses clearly what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from insens_tf import activations
from insens_tf.errors import UnreadableModelError
from insens_tf.graph import Graph
from insens_tf.operations import Input, OutputActivation, Refused
from insens_tf.reading.function_rules import FUNCTIONS, SMOOTH_FUNCTIONS, USED_BY_FUNCTIONS
from insens_tf.reading.graph_builder import Call, GraphBuilder
from insens_tf.reading.keras_graph import (
    Operand,
    arguments_of,
    function_of,
    key,
    operands_of,
    overridden,
    results_of,
    settings_of_function,
    source,
)
from insens_tf.reading.layer_checks import (
    check_arguments,
    check_computation,
    check_kind,
    check_result,
    gives_whole_numbers,
    has_rule,
)
from insens_tf.reading.layer_rules import RULES
from insens_tf.reading.model_checks import (
    check_backend,
    dtype_of_weights,
    inputs_and_outputs,
    shape_of_only_input,
)

__all__ = ["Reading", "read", "read_what_can_be"]


class Reading(NamedTuple):
    """The result of reading a model.

    Attributes
    ----------
    graph : Graph
        The operations, up to the output's.
    outputs : tuple of int
        The positions of the outputs' activities (the logits, where a softmax follows).
    results : tuple of int
        The positions of what the model itself gives.
    keras_layers : dict of str to Keras layer
        By name; a layer of a nested model is "model name/layer name".
    parts : dict of str to Keras layer or function
        By name and in order, all layers and functions on the way to the outputs; no nested models.
    refusals : dict of str to UnreadableModelError
        By name and in order, the parts that cannot be read, and why.
    """

    graph: Graph
    outputs: tuple[int, ...]
    results: tuple[int, ...]
    keras_layers: dict[str, Any]
    parts: dict[str, Any]
    refusals: dict[str, UnreadableModelError]


def read(model: Any, smooth_activations: str | None = None) -> Reading:
    """Read a Keras model as a graph of piecewise linear operations.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, with one input of known shape.
    smooth_activations : {None, "ratio"}
        Whether smooth activations become gates, by their ratio of output to input.

    Returns
    -------
    Reading
        The graph, its outputs, and the Keras layers by name.

    Raises
    ------
    UnreadableModelError
        If the model cannot be read; the message names the layer and the way out.
    """
    reading = read_what_can_be(model, smooth_activations)
    if not reading.refusals:
        return reading
    (_, first), *others = reading.refusals.items()
    if not others:
        raise first
    names = ", ".join(repr(other) for other, _ in others)
    raise UnreadableModelError(
        f"{first} Nor can be read: {names}; insens_tf.examine(model) says why."
    )


def read_what_can_be(model: Any, smooth_activations: str | None = None) -> Reading:
    """Read a model as `read` does, but go on where a layer cannot be read.

    Raises
    ------
    UnreadableModelError
        If the model as a whole cannot be read: it is not built, has several inputs, or an input of
        unknown shape.
    """
    check_backend(model)
    inputs, outputs = inputs_and_outputs(model)
    shape = shape_of_only_input(model, inputs)
    walk = _Walk(dtype_of_weights(model), smooth_activations)
    start = walk.builder.append(Input("input", (), shape))
    if not tf.as_dtype(inputs[0].dtype).is_floating:
        walk.whole_numbers.add(start)
    results = walk.positions_of(outputs, {key(inputs[0]): start}, prefix="")
    logits = tuple(dict.fromkeys(map(walk.builder.before_activations, results)))
    graph = Graph(walk.builder.operations, walk.builder.dtype)
    refusals = _refusals(graph, logits, smooth_activations)
    return Reading(graph, logits, tuple(results), walk.keras_layers, walk.parts, refusals)


class _Walk:
    """A walk over a model from its outputs back to its input, which lets rules append operations.

    Attributes
    ----------
    builder : GraphBuilder
    keras_layers, parts : dict of str
        As in `Reading`.
    whole_numbers : set of int
        The positions of values that Keras computes in whole numbers.
    """

    def __init__(self, dtype: tf.DType, smooth_activations: str | None) -> None:
        self.builder = GraphBuilder(dtype, smooth_activations, self._read_activation_layer)
        self.keras_layers: dict[str, Any] = {}
        self.parts: dict[str, Any] = {}
        self.whole_numbers: set[int] = set()

    def positions_of(
        self, outputs: Sequence[Any], known: dict[tuple[int, int, int], int], prefix: str
    ) -> list[int]:
        """Read all that leads to the outputs of a model, and return their positions.

        Parameters
        ----------
        outputs : sequence of symbolic tensors
        known : dict of key to int
            The positions of the tensors that are read already; the others are added.
        prefix : str
            Of the layers' names, in a nested model.
        """
        pending = list(outputs)
        while pending:
            tensor = pending[-1]
            if key(tensor) in known:
                pending.pop()
                continue
            layer, node = source(tensor)
            operands = operands_of(node)
            missing = [one for one in operands if key(one) not in known]
            if missing:
                pending.extend(missing)
                continue
            if not operands:
                raise UnreadableModelError(
                    f"layer {prefix + layer.name!r}: expected it to follow from the model's input, "
                    "found an input of its own; build the model from one input."
                )
            results = results_of(node)
            positions = self._read_node(layer, node, results, known, prefix)
            known.update({key(one): position for one, position in zip(results, positions)})
        return [known[key(tensor)] for tensor in outputs]

    def _read_node(
        self,
        layer: Any,
        node: Any,
        results: list[Any],
        known: dict[tuple[int, int, int], int],
        prefix: str,
    ) -> list[int]:
        """Read one use of a layer, and return the positions of its results."""
        operands = tuple(known[key(one)] for one in operands_of(node))
        call = Call(prefix + layer.name, operands, tuple(results[0].shape[1:]))
        try:
            is_whole = not hasattr(layer, "layers") and gives_whole_numbers(
                layer,
                node,
                call,
                results,
                from_whole_numbers=not self.whole_numbers.isdisjoint(operands),
            )
            positions = self._read_call(layer, call, *arguments_of(node, known))
        except UnreadableModelError as error:
            shapes = [tuple(one.shape[1:]) for one in results]
            return [self.builder.append(Refused(call.name, operands, one, error)) for one in shapes]
        self.whole_numbers.update(positions if is_whole else ())
        return positions

    def _read_call(
        self, layer: Any, call: Call, positional: tuple[Any, ...], named: dict[str, Any]
    ) -> list[int]:
        """Read a layer, a function or a nested model with the arguments that it was called with."""
        function = function_of(layer)
        if not hasattr(layer, "layers"):
            self.parts[call.name] = layer
        if function is None:
            self.keras_layers[call.name] = layer
        if hasattr(layer, "layers"):
            check_arguments(layer, call, positional, named)
            inputs, outputs = inputs_and_outputs(layer)
            known = dict(zip(map(key, inputs), call.operands))
            return self.positions_of(outputs, known, prefix=f"{call.name}/")
        check_result(layer, call)
        if function is not None:
            return [self._read_function(layer, function, call, positional, named)]
        check_kind(layer, call)
        check_arguments(layer, call, positional, named)
        return [self._read_layer(layer, call)]

    def _read_layer(self, layer: Any, call: Call) -> int:
        check_computation(layer, call)
        return RULES[type(layer).__name__](self.builder, layer, call)

    def _read_activation_layer(self, layer: Any, call: Call) -> int | None:
        """Read a layer that serves as an activation; return None if no rule reads it."""
        return self._read_layer(layer, call) if has_rule(layer) and not overridden(layer) else None

    def _read_function(
        self,
        layer: Any,
        function: str,
        call: Call,
        positional: tuple[Any, ...],
        named: dict[str, Any],
    ) -> int:
        called = getattr(layer, "function", layer.call)
        settings, defaults = settings_of_function(layer, called, positional, named)
        used = USED_BY_FUNCTIONS.get(function, ())
        unused = {
            name: value
            for name, value in settings.items()
            if name not in used and not _is_default(value, defaults[name])
        }
        if function in SMOOTH_FUNCTIONS:

            def evaluated(value: tf.Tensor) -> tf.Tensor:
                def given(argument: Any) -> Any:
                    return value if isinstance(argument, Operand) else argument

                return called(*map(given, positional), **{k: given(v) for k, v in named.items()})

            # Its settings make it another function than its name says.
            is_known = unused.keys() <= {"axis"}
            return self.builder.smooth_activation(
                call, call.operand, function, evaluated, is_known=is_known
            )
        if function not in FUNCTIONS:
            raise call.refusal(
                f"a function that can be read ({', '.join(sorted(FUNCTIONS))})",
                function,
                "write it as Keras layers, or cut the model before it",
            )
        for name, value in unused.items():
            raise call.refusal(
                f"{function} with {name}={defaults[name]!r}",
                f"{name}={value!r}",
                "write it as Keras layers, or cut the model before it",
            )
        return FUNCTIONS[function](self.builder, {**settings, "function_name": function}, call)


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (not isinstance(value, Operand) and repr(value) == repr(default))


def _refusals(
    graph: Graph, positions: Sequence[int], smooth_activations: str | None
) -> dict[str, UnreadableModelError]:
    """Return, by name and in order, what cannot be read on the way to some positions."""
    refusals: dict[str, UnreadableModelError] = {}
    for position in graph.ancestors(positions):
        operation = graph.operations[position]
        if isinstance(operation, Refused):
            refusals.setdefault(operation.name, operation.reason)
        elif isinstance(operation, OutputActivation):
            refusals.setdefault(operation.name, _smooth_refusal(operation, smooth_activations))
    return refusals


def _smooth_refusal(
    operation: OutputActivation, smooth_activations: str | None
) -> UnreadableModelError:
    """Return the refusal of a smooth activation that is not at the output."""
    way_out = "cut the model before this layer"
    if operation.activation in activations.SMOOTH and not smooth_activations:
        way_out = "read it as a gate by SwitchedNetwork(model, smooth_activations='ratio')"
    return UnreadableModelError(
        f"layer {operation.name!r}: the activation {operation.activation!r} is not piecewise "
        "linear; expected linear, relu, relu6, leaky_relu, hard_sigmoid, hard_tanh or abs. "
        "Other activations are only looked through at the output; retrain with ReLU to analyse "
        f"this network, or {way_out}."
    )
