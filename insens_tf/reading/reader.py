"""Keras model -> graph, and a clear refusal of what cannot be read."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from insens_tf import activations
from insens_tf.activations import PiecewiseLinear
from insens_tf.errors import UnreadableModelError
from insens_tf.graph import Graph
from insens_tf.operations import (
    Computed,
    Gate,
    Input,
    Operation,
    OutputActivation,
    Permutation,
    RatioGate,
    Refused,
    Reshape,
    Scaling,
)
from insens_tf.reading.function_rules import FUNCTIONS, SMOOTH_FUNCTIONS, USED_BY_FUNCTIONS
from insens_tf.reading.keras_graph import (
    Operand,
    arguments_of,
    backend_of,
    dtype_is_stated,
    function_of,
    is_keras,
    key,
    operands_of,
    overridden,
    results_of,
    settings_of_function,
    source,
)
from insens_tf.reading.layer_rules import (
    MAKE_FLOATING,
    MOVE_OR_CHOOSE,
    NOT_PIECEWISE_LINEAR,
    OTHERWISE_IN_TRAINING,
    RULES,
)
from insens_tf.reading.layer_settings import unknown_settings, way_out_of

__all__ = ["Call", "Reader", "Reading", "read", "read_what_can_be"]


class Reading(NamedTuple):
    """What a model was read as.

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
        By name, all that was applied on the way to the outputs, in order; no nested models.
    refusals : dict of str to UnreadableModelError
        By name, those of them that cannot be read, in order, and why.
    """

    graph: Graph
    outputs: tuple[int, ...]
    results: tuple[int, ...]
    keras_layers: dict[str, Any]
    parts: dict[str, Any]
    refusals: dict[str, UnreadableModelError]


class Call(NamedTuple):
    """One use of a layer: its name, the positions of its operands, the shape of its output."""

    name: str
    operands: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def operand(self) -> int:
        (operand,) = self.operands
        return operand


def read(model: Any, smooth_activations: str | None = None) -> Reading:
    """Read a Keras model as a graph of piecewise linear operations.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, with one input of known shape.
    smooth_activations : {None, "ratio"}
        Whether those are gates too, by the ratio of activity out to activity in.

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
    """Read a model as `read` does, and go on where a layer cannot be read.

    Raises
    ------
    UnreadableModelError
        If the model as a whole cannot be read: not built, of several inputs, of no known shape.
    """
    return Reader(model, smooth_activations).reading()


class Reader:
    """Reads one model; what the rules append operations by."""

    def __init__(self, model: Any, smooth_activations: str | None) -> None:
        self.model = model
        self.smooth_activations = smooth_activations
        self.dtype = tf.float32
        self.operations: list[Operation] = []
        self.keras_layers: dict[str, Any] = {}
        self.parts: dict[str, Any] = {}
        # What an activation made of which activity, by position.
        self.activities: dict[int, int] = {}

    def reading(self) -> Reading:
        model = self.model
        if backend_of(model) != "tensorflow":
            raise UnreadableModelError(
                f"model {model.name!r}: expected a Keras that computes with TensorFlow, found the "
                f"backend {backend_of(model)!r}; save the model, and load it in a process with "
                "KERAS_BACKEND=tensorflow."
            )
        inputs, outputs = self._ends(model)
        if len(inputs) != 1:
            raise UnreadableModelError(
                f"model {model.name!r}: expected one input, found {len(inputs)} "
                f"({', '.join(self._shape_text(one) for one in inputs)}); analyse a model of one "
                "of them with the others held constant."
            )
        shape = tuple(inputs[0].shape[1:])
        if not shape or None in shape:
            raise UnreadableModelError(
                f"model {model.name!r}: expected an input of known shape, found "
                f"{self._shape_text(inputs[0])}; rebuild the model with every size but the "
                "batch's given, such as Input((28, 28, 1))."
            )
        self.dtype = self._dtype()
        self.whole_numbers = set() if tf.as_dtype(inputs[0].dtype).is_floating else {0}
        self.add(Input("input", (), shape))
        results = self._read(inputs, outputs, [0], prefix="")
        found = tuple(dict.fromkeys(self._looked_through(result) for result in results))
        graph = Graph(self.operations, self.dtype)
        return Reading(
            graph,
            found,
            tuple(results),
            self.keras_layers,
            self.parts,
            self._refusals(graph, found),
        )

    def _looked_through(self, position: int) -> int:
        while position in self.activities:
            position = self.activities[position]
        return position

    def _refusals(self, graph: Graph, positions: Iterable[int]) -> dict[str, UnreadableModelError]:
        """Return what cannot be read on the way to some positions, by name, in order."""
        refusals: dict[str, UnreadableModelError] = {}
        for position in graph.ancestors(positions):
            operation = graph.operations[position]
            if isinstance(operation, Refused):
                refusals.setdefault(operation.name, operation.reason)
            elif isinstance(operation, OutputActivation):
                refusals.setdefault(operation.name, self._bent(operation))
        return refusals

    def _bent(self, operation: OutputActivation) -> UnreadableModelError:
        way_out = "cut the model before this layer"
        if operation.activation in activations.SMOOTH and not self.smooth_activations:
            way_out = "read it as a gate by SwitchedNetwork(model, smooth_activations='ratio')"
        return UnreadableModelError(
            f"layer {operation.name!r}: the activation {operation.activation!r} is not piecewise "
            "linear; expected linear, relu, relu6, leaky_relu, hard_sigmoid, hard_tanh or abs. "
            "Other activations are only looked through at the output; retrain with ReLU to analyse "
            f"this network, or {way_out}."
        )

    def add(self, operation: Operation) -> int:
        """Append an operation and return its position."""
        self.operations.append(operation)
        return len(self.operations) - 1

    def activation(self, function: Any, call: Call, operand: int) -> int:
        """Append what an activation (a function, or a layer as K3 allows) does to `operand`."""
        if function is None or is_keras(function, "linear"):
            return operand
        if _is_layer_with_rule(function) and not overridden(function):
            return self._apply_rule(function, call._replace(operands=(operand,)))
        piecewise_linear = activations.named(function) if is_keras(function) else None
        if piecewise_linear is not None:
            return self.gated(call, operand, piecewise_linear)
        name = getattr(function, "__name__", None) or _class_name(function)
        return self.bent(call, operand, name, function, is_known=is_keras(function))

    def gated(self, call: Call, operand: int, activation: PiecewiseLinear) -> int:
        """Append a piecewise linear activation of `operand`."""
        activity = operand
        if activation.threshold:
            # These are the neurons of the layer before, as they are without a threshold.
            name = self.operations[operand].name if operand else call.name
            activity = self.scaled(call._replace(name=name), operand, 1.0, -activation.threshold)
        gate = Gate(
            call.name,
            (activity,),
            self.shape(operand),
            activation.negative_slope,
            activation.ceiling,
            activation.jump,
        )
        result = self.add(gate)
        if (activation.scale, activation.offset) != (1.0, 0.0):
            result = self.scaled(call, result, activation.scale, activation.offset)
        self.activities[result] = operand
        return result

    def bent(
        self,
        call: Call,
        operand: int,
        name: str,
        function: Callable[[Any], Any],
        *,
        is_known: bool = True,
    ) -> int:
        """Append a smooth activation; unless it is read as a ratio, it is for the output only."""
        shape, smooth = self.shape(operand), activations.SMOOTH.get(name)
        if self.smooth_activations == "ratio" and smooth is not None and is_known:
            gate = RatioGate(
                call.name,
                (operand,),
                shape,
                function=smooth.function,
                slope_at_zero=smooth.slope_at_zero,
            )
            result = self.add(gate)
        else:
            result = self.add(OutputActivation(call.name, (operand,), shape, name, function))
        self.activities[result] = operand
        return result

    def shape(self, position: int) -> tuple[int, ...]:
        return self.operations[position].shape

    def scaled(self, call: Call, operand: int, factor: Any, offset: Any = 0.0) -> int:
        """Append the product with a factor, plus an offset: a number each, or one a channel."""
        channels = self.shape(operand)[-1:]
        scale, shift = (self._one_a_channel(call, values, channels) for values in (factor, offset))
        return self.add(
            Scaling(call.name, (operand,), self.shape(operand), scale=scale, shift=shift)
        )

    def _one_a_channel(self, call: Call, values: Any, channels: tuple[int, ...]) -> Any:
        """Return numbers of the shape of the channels; of variables, what gives them when used."""
        is_variable = isinstance(values, Computed) or hasattr(values, "assign")
        array = values if is_variable else np.asarray(values, self.dtype.as_numpy_dtype)
        shape = tuple(array.shape)
        size = math.prod(shape)
        if size not in (1, *channels) or shape[-1:] not in ((), (size,)):
            raise self.refuse(
                call,
                f"one number, or one for each of the {channels[0]} channels of the last axis",
                f"numbers of shape {shape}",
                "scale the input before it enters the model",
            )
        if is_variable:

            def of_channels() -> tf.Tensor:
                flat = tf.reshape(tf.cast(tf.convert_to_tensor(values), self.dtype), [-1])
                return tf.broadcast_to(flat, channels)

            return Computed(of_channels, channels)
        if not np.isfinite(array).all():
            raise self.refuse(
                call,
                f"constants that are finite in {self.dtype.name}",
                "NaN or infinity",
                "mend what the layer was made with",
            )
        return np.broadcast_to(array.reshape(-1), channels)

    def permuted(self, call: Call, operand: int, axes: Sequence[int]) -> int:
        """Append what puts the axes, counted without the batch, in another order."""
        shape = tuple(self.shape(operand)[axis] for axis in axes)
        return self.add(Permutation(call.name, (operand,), shape, tuple(axes)))

    def reshaped(self, call: Call, operand: int, shape: tuple[int, ...]) -> int:
        return self.add(Reshape(call.name, (operand,), shape))

    def refuse(self, call: Call, expected: str, found: str, way_out: str) -> UnreadableModelError:
        return UnreadableModelError(
            f"layer {call.name!r}: expected {expected}, found {found}; {way_out}."
        )

    def channels_last(self, layer: Any, call: Call) -> None:
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise self.refuse(
                call,
                "data_format='channels_last'",
                f"{layer.data_format!r}",
                "rebuild the layer with channels last",
            )

    def padding_by_name(self, layer: Any, call: Call) -> None:
        """Refuse a convolution whose padding is given in numbers, which Keras 3 lets through."""
        if not isinstance(layer.padding, str):
            raise self.refuse(
                call,
                "padding='valid', 'same' or 'causal'",
                f"{layer.padding!r}",
                "pad by a ZeroPadding layer before it",
            )

    def _read(
        self, inputs: Sequence[Any], outputs: Sequence[Any], positions: Sequence[int], prefix: str
    ) -> list[int]:
        """Read what leads from `inputs`, at `positions`, to `outputs`; return their positions."""
        known = {key(tensor): position for tensor, position in zip(inputs, positions)}
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
            positions_below = tuple(known[key(one)] for one in operands)
            call = Call(prefix + layer.name, positions_below, tuple(results[0].shape[1:]))
            try:
                whole = self._whole(layer, node, call, results)
                values = self._apply(layer, call, *arguments_of(node, known))
                self.whole_numbers.update(values if whole else ())
            except UnreadableModelError as error:
                shapes = [tuple(one.shape[1:]) for one in results]
                values = [
                    self.add(Refused(call.name, positions_below, shape, error)) for shape in shapes
                ]
            known.update({key(one): value for one, value in zip(results, values)})
        return [known[key(tensor)] for tensor in outputs]

    def _apply(
        self, layer: Any, call: Call, positional: tuple[Any, ...], named: dict[str, Any]
    ) -> list[int]:
        function = function_of(layer)
        if not hasattr(layer, "layers"):
            self.parts[call.name] = layer
        if function is None:
            self.keras_layers[call.name] = layer
        if hasattr(layer, "layers"):
            self._called_plainly(layer, call, positional, named)
            inputs, outputs = self._ends(layer)
            return self._read(inputs, outputs, call.operands, prefix=f"{call.name}/")
        if None in call.shape:
            raise self.refuse(
                call,
                "a result of known shape",
                f"{call.shape}",
                "give every size but the batch's, or cut the model before it",
            )
        quantised = getattr(layer, "quantization_mode", None)
        if quantised is not None:
            raise self.refuse(
                call,
                "weights that are not quantised",
                f"quantization_mode={quantised!r}, by which what enters the layer is rounded too",
                "analyse the model as it was before quantize()",
            )
        if function is not None:
            return [self._apply_function(layer, function, call, positional, named)]
        self._of_known_kind(layer, call)
        self._called_plainly(layer, call, positional, named)
        return [self._apply_rule(layer, call)]

    def _of_known_kind(self, layer: Any, call: Call) -> None:
        kind = type(layer).__name__
        if kind in NOT_PIECEWISE_LINEAR and is_keras(layer):
            does, way_out = NOT_PIECEWISE_LINEAR[kind]
            raise self.refuse(call, "a piecewise linear layer", f"{kind}, which {does}", way_out)
        if _is_layer_with_rule(layer):
            return
        found = _class_name(layer)
        for base in type(layer).__mro__:
            if is_keras(base) and base.__name__ in RULES:
                raise self.refuse(
                    call,
                    f"Keras' own {base.__name__}",
                    f"{found}, a subclass of it that may compute something else",
                    "build the layer as Keras' own, with the same weights, or cut the model "
                    "before it",
                )
        raise self.refuse(
            call,
            f"a layer kind that can be read as piecewise linear ({', '.join(sorted(RULES))})",
            found,
            "replace it by such layers, or cut the model before it",
        )

    def _called_plainly(
        self, layer: Any, call: Call, positional: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """Refuse arguments of a call beyond the operands: a mask, a call as for training."""
        kind = type(layer).__name__
        try:
            _, *others = (
                inspect.signature(type(layer).call)
                .bind(layer, *positional, **named)
                .arguments.items()
            )
        except (TypeError, ValueError):
            others = list(named.items())
        for argument, value in others[1:]:
            is_layer = not hasattr(layer, "layers")
            # Keras 3 itself calls its layers of preprocessing so, which do the same in any case.
            if argument == "training" and is_layer and kind not in OTHERWISE_IN_TRAINING:
                continue
            if value is not None and value is not False:
                way_out = "rebuild the model without"
                expected = (
                    "a layer that is called as for inference"
                    if argument == "training"
                    else f"a layer that is called without {argument}"
                )
                raise self.refuse(call, expected, f"{argument}={value!r}", way_out)

    def _whole(self, layer: Any, node: Any, call: Call, results: list[Any]) -> bool:
        """Tell whether results are whole numbers; refuse where they would be rounded to these."""
        if hasattr(layer, "layers"):
            return False
        what = function_of(layer) or type(layer).__name__
        whole = not tf.as_dtype(results[0].dtype).is_floating
        if not self.whole_numbers.isdisjoint(call.operands):
            # An average is of a sum that runs over.
            said_to_be_floating = dtype_is_stated(node) or what in MAKE_FLOATING
            whole = whole or not said_to_be_floating or what == "Average"
        if whole and what not in MOVE_OR_CHOOSE:
            raise self.refuse(
                call,
                "a result of floating point numbers",
                "one that is rounded to whole numbers",
                "begin the model with a Rescaling layer, or with an Input of floating point "
                "numbers, and leave every layer's dtype floating",
            )
        return whole

    def _apply_rule(self, layer: Any, call: Call) -> int:
        by = overridden(layer)
        kind = type(layer).__name__
        if by:
            raise self.refuse(
                call,
                f"Keras' own {kind}",
                f"one that computes by its own {' and '.join(by)}",
                "build the layer as Keras' own, or cut the model before it",
            )
        if not tf.as_dtype(layer.compute_dtype).is_floating:
            raise self.refuse(
                call,
                "a floating dtype",
                f"dtype={layer.compute_dtype!r}, which rounds",
                "rebuild the layer with dtype='float32'",
            )
        for name, (expected, found) in unknown_settings(layer).items():
            raise self.refuse(call, f"{name}={expected!r}", f"{name}={found!r}", way_out_of(name))
        return RULES[kind](self, layer, call)

    def _apply_function(
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
        beyond = {
            name: value
            for name, value in settings.items()
            if name not in used and not _is_default(value, defaults[name])
        }
        if function in SMOOTH_FUNCTIONS:

            def evaluated(value: tf.Tensor) -> tf.Tensor:
                def given(argument: Any) -> Any:
                    return value if isinstance(argument, Operand) else argument

                return called(*map(given, positional), **{k: given(v) for k, v in named.items()})

            # With settings it is another function than the one of its name.
            of_its_name = beyond.keys() <= {"axis"}
            return self.bent(call, call.operand, function, evaluated, is_known=of_its_name)
        if function not in FUNCTIONS:
            raise self.refuse(
                call,
                f"a function that can be read ({', '.join(sorted(FUNCTIONS))})",
                function,
                "write it as Keras layers, or cut the model before it",
            )
        for name, value in beyond.items():
            raise self.refuse(
                call,
                f"{function} with {name}={defaults[name]!r}",
                f"{name}={value!r}",
                "write it as Keras layers, or cut the model before it",
            )
        return FUNCTIONS[function](self, {**settings, "function_name": function}, call)

    def _ends(self, model: Any) -> tuple[list[Any], list[Any]]:
        by = overridden(model)
        if by:
            name = getattr(model, "name", None) or repr(model)
            raise UnreadableModelError(
                f"model {name!r}: expected a Sequential or functional Keras model that computes as "
                f"its layers are connected, found {type(model).__name__} with its own "
                f"{' and '.join(by)}; rewrite that as layers of a functional model."
            )
        try:
            inputs, outputs = model.inputs, model.outputs
        except (AttributeError, ValueError):
            inputs, outputs = None, None
        if not inputs or not outputs:
            name = getattr(model, "name", None) or repr(model)
            raise UnreadableModelError(
                f"model {name!r}: expected a built Sequential or functional Keras model, found "
                f"{type(model).__name__} without known inputs and outputs; give it an Input "
                "layer, build it (model.build(input_shape)), or rewrite a subclassed model as a "
                "functional one."
            )
        return list(inputs), list(outputs)

    def _dtype(self) -> tf.DType:
        dtypes = {
            tf.as_dtype(weight.dtype).name
            for weight in self.model.weights
            if tf.as_dtype(weight.dtype).is_floating
        }
        if len(dtypes) > 1:
            raise UnreadableModelError(
                f"model {self.model.name!r}: expected weights of one dtype, found "
                f"{', '.join(sorted(dtypes))}; rebuild every layer with the same dtype."
            )
        dtype = tf.as_dtype(dtypes.pop() if dtypes else tf.as_dtype(self.model.inputs[0].dtype))
        if dtype not in (tf.float32, tf.float64):
            if dtypes or dtype.is_floating:
                raise UnreadableModelError(
                    f"model {self.model.name!r}: expected float32 or float64 weights, found "
                    f"{dtype.name}; rebuild it in float32 and copy the weights."
                )
            return tf.float32
        return dtype

    @staticmethod
    def _shape_text(tensor: Any) -> str:
        return str(tuple(tensor.shape))


def _is_layer_with_rule(thing: Any) -> bool:
    return hasattr(thing, "get_config") and type(thing).__name__ in RULES and is_keras(thing)


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (not isinstance(value, Operand) and repr(value) == repr(default))


def _class_name(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
