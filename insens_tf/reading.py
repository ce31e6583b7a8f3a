"""Keras model -> graph: one rule a layer kind, and a clear refusal of what has none.

Layers are recognised by the name of their class, so that the Keras that comes with TensorFlow,
`tf_keras` and Keras 3 are read alike. Nothing of the model is called or changed: rules take its
configuration and refer to its variables, whose later values are therefore seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from insens_tf import graph as graphs
from insens_tf.errors import UnreadableModelError

__all__ = ["Reading", "read"]

Rule = Callable[["_Reader", Any, "_Call"], int]

RULES: dict[str, Rule] = {}
"""The rule of each layer kind, by the name of its class."""

PIECEWISE_LINEAR = "relu, leaky_relu or linear"


class Reading(NamedTuple):
    """What a model was read as.

    Attributes
    ----------
    graph : Graph
        The operations, up to the output's.
    output : int
        The position of the output's activity (the logits, where a softmax follows).
    keras_layers : dict of str to Keras layer
        By name; a layer of a nested model is "model name/layer name".
    """

    graph: graphs.Graph
    output: int
    keras_layers: dict[str, Any]


class _Call(NamedTuple):
    """One use of a layer: its name, the positions of its operands, the shape of its output."""

    name: str
    operands: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def operand(self) -> int:
        (operand,) = self.operands
        return operand


def read(model: Any) -> Reading:
    """Read a Keras model as a graph of piecewise linear operations.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, with one input of known shape and one output.

    Returns
    -------
    Reading
        The graph, its output, and the Keras layers by name.

    Raises
    ------
    UnreadableModelError
        If the model cannot be read; the message names the layer and the way out.
    """
    return _Reader(model).reading()


def is_keras(thing: Any, name: str | None = None) -> bool:
    """Tell whether `thing`'s class (or function) is one of Keras' or TensorFlow's own."""
    kind = thing if callable(thing) and hasattr(thing, "__name__") else type(thing)
    package = (kind.__module__ or "").partition(".")[0]
    return package in ("keras", "tf_keras", "tensorflow") and name in (None, kind.__name__)


def _rule(*class_names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(class_names, function))
        return function

    return register


class _Reader:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.operations: list[graphs.Operation] = []
        self.keras_layers: dict[str, Any] = {}

    def reading(self) -> Reading:
        model = self.model
        inputs, outputs = self._ends(model)
        if len(inputs) != 1:
            raise UnreadableModelError(
                f"model {model.name!r}: expected one input, found {len(inputs)} "
                f"({', '.join(self._shape_text(one) for one in inputs)}); analyse a model of one "
                "of them with the others held constant."
            )
        if len(outputs) != 1:
            raise UnreadableModelError(
                f"model {model.name!r}: expected one output, found {len(outputs)}; analyse a "
                "model of one of them, such as keras.Model(model.input, model.outputs[0])."
            )
        shape = tuple(inputs[0].shape[1:])
        if not shape or None in shape:
            raise UnreadableModelError(
                f"model {model.name!r}: expected an input of known shape, found "
                f"{self._shape_text(inputs[0])}; rebuild the model with every size but the "
                "batch's given, such as Input((28, 28, 1))."
            )
        dtype = self._dtype()
        self.add(graphs.Input("input", (), shape))
        (output,) = self._read(inputs, outputs, [0], prefix="")
        while isinstance(self.operations[output], (graphs.Gate, graphs.OutputActivation)):
            (output,) = self.operations[output].operands
        graph = graphs.Graph(self.operations, dtype)
        for position in graph.ancestors([output]):
            operation = self.operations[position]
            if isinstance(operation, graphs.OutputActivation):
                raise UnreadableModelError(
                    f"layer {operation.name!r}: the activation {operation.activation!r} is not "
                    f"piecewise linear; expected {PIECEWISE_LINEAR}. Other activations are only "
                    "looked through at the output; retrain with ReLU to analyse this network."
                )
        return Reading(graph, output, self.keras_layers)

    def add(self, operation: graphs.Operation) -> int:
        """Append an operation and return its position."""
        self.operations.append(operation)
        return len(self.operations) - 1

    def activation(self, function: Any, call: _Call, operand: int) -> int:
        """Append what an activation (a function, or a layer as K3 allows) does to `operand`."""
        if function is None or is_keras(function, "linear"):
            return operand
        if hasattr(function, "get_config") and type(function).__name__ in RULES:
            return RULES[type(function).__name__](
                self, function, call._replace(operands=(operand,))
            )
        name = getattr(function, "__name__", type(function).__name__)
        ours = is_keras(function)
        if ours and name == "relu":
            return self.add(graphs.Gate(call.name, (operand,), call.shape))
        if ours and name == "leaky_relu":
            # Keras' and TensorFlow's own default for this activation.
            return self.add(graphs.Gate(call.name, (operand,), call.shape, negative_slope=0.2))
        if ours and name == "relu6":
            return self.add(graphs.Gate(call.name, (operand,), call.shape, ceiling=6.0))
        return self.add(graphs.OutputActivation(call.name, (operand,), call.shape, name))

    def refuse(self, call: _Call, expected: str, found: str, way_out: str) -> UnreadableModelError:
        return UnreadableModelError(
            f"layer {call.name!r}: expected {expected}, found {found}; {way_out}."
        )

    def channels_last(self, layer: Any, call: _Call) -> None:
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise self.refuse(
                call,
                "data_format='channels_last'",
                f"{layer.data_format!r}",
                "rebuild the layer with channels last",
            )

    def _read(
        self, inputs: Sequence[Any], outputs: Sequence[Any], positions: Sequence[int], prefix: str
    ) -> list[int]:
        """Read what leads from `inputs`, at `positions`, to `outputs`; return their positions."""
        known = {_key(tensor): position for tensor, position in zip(inputs, positions)}
        pending = list(outputs)
        while pending:
            tensor = pending[-1]
            if _key(tensor) in known:
                pending.pop()
                continue
            layer, node = _source(tensor)
            operands = _operands_of(node)
            missing = [one for one in operands if _key(one) not in known]
            if missing:
                pending.extend(missing)
                continue
            if not operands:
                raise UnreadableModelError(
                    f"layer {prefix + layer.name!r}: expected it to follow from the model's input, "
                    "found an input of its own; build the model from one input."
                )
            results = tf.nest.flatten(node.outputs if hasattr(node, "outputs") else node.output)
            values = self._apply(layer, [known[_key(one)] for one in operands], results, prefix)
            known.update({_key(one): value for one, value in zip(results, values)})
        return [known[_key(tensor)] for tensor in outputs]

    def _apply(
        self, layer: Any, operands: list[int], results: Sequence[Any], prefix: str
    ) -> list[int]:
        name = prefix + layer.name
        self.keras_layers[name] = layer
        if hasattr(layer, "layers"):
            inputs, outputs = self._ends(layer)
            positions = self._read(inputs, outputs, operands, prefix=f"{name}/")
        else:
            rule = RULES.get(type(layer).__name__)
            call = _Call(name, tuple(operands), tuple(results[0].shape[1:]))
            if rule is None or not is_keras(layer):
                raise self.refuse(
                    call,
                    "a layer kind that can be read as piecewise linear "
                    f"({', '.join(sorted(RULES))})",
                    f"{type(layer).__module__}.{type(layer).__qualname__}",
                    "replace it by such layers, or cut the model before it",
                )
            positions = [rule(self, layer, call)]
        return positions

    def _ends(self, model: Any) -> tuple[list[Any], list[Any]]:
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


def _key(tensor: Any) -> tuple[int, int, int]:
    layer, node_index, tensor_index = tensor._keras_history
    return id(layer), node_index, tensor_index


def _source(tensor: Any) -> tuple[Any, Any]:
    """Return the layer, and the one use of it, that a symbolic Keras tensor comes from."""
    layer, node_index, _ = tensor._keras_history
    return layer, layer._inbound_nodes[node_index]


def _operands_of(node: Any) -> list[Any]:
    if hasattr(node, "keras_inputs"):  # Keras 2
        return [] if node.is_input else list(node.keras_inputs)
    return list(node.input_tensors)


@_rule("Dense")
def _dense(reader: _Reader, layer: Any, call: _Call) -> int:
    position = reader.add(
        graphs.Matrix(call.name, call.operands, call.shape, layer.kernel, layer.bias)
    )
    return reader.activation(layer.activation, call, position)


@_rule("Conv2D")
def _convolution(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    position = reader.add(
        graphs.Convolution(
            call.name,
            call.operands,
            call.shape,
            kernel=layer.kernel,
            bias=layer.bias,
            strides=tuple(layer.strides),
            dilation=tuple(layer.dilation_rate),
            padding=layer.padding,
            groups=layer.groups,
            operand_shape=reader.operations[call.operand].shape,
        )
    )
    return reader.activation(layer.activation, call, position)


@_rule("MaxPooling2D")
def _max_pooling(reader: _Reader, layer: Any, call: _Call) -> int:
    return _pooling(reader, layer, call, graphs.MaxPooling)


@_rule("AveragePooling2D")
def _average_pooling(reader: _Reader, layer: Any, call: _Call) -> int:
    return _pooling(reader, layer, call, graphs.AveragePooling)


def _pooling(reader: _Reader, layer: Any, call: _Call, kind: type[graphs.Pooling]) -> int:
    reader.channels_last(layer, call)
    return reader.add(
        kind(
            call.name,
            call.operands,
            call.shape,
            window=tuple(layer.pool_size),
            strides=tuple(layer.strides),
            padding=layer.padding,
            operand_shape=reader.operations[call.operand].shape,
        )
    )


@_rule("GlobalAveragePooling2D")
def _global_average_pooling(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    return reader.add(graphs.GlobalAveragePooling(call.name, call.operands, call.shape))


@_rule("Flatten", "Reshape")
def _reshape(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    return reader.add(graphs.Reshape(call.name, call.operands, call.shape))


@_rule("ZeroPadding2D")
def _zero_padding(reader: _Reader, layer: Any, call: _Call) -> int:
    reader.channels_last(layer, call)
    (top, bottom), (left, right) = layer.padding
    padding = (int(top), int(bottom)), (int(left), int(right))
    return reader.add(graphs.ZeroPadding(call.name, call.operands, call.shape, padding))


@_rule("BatchNormalization")
def _batch_normalization(reader: _Reader, layer: Any, call: _Call) -> int:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    rank = len(call.shape)
    if [axis % (rank + 1) for axis in axes] != [rank]:
        raise reader.refuse(
            call,
            "normalisation along the last axis",
            f"axis={axes}",
            "rebuild the layer with channels last",
        )
    return reader.add(
        graphs.BatchNormalization(
            call.name,
            call.operands,
            call.shape,
            mean=layer.moving_mean,
            variance=layer.moving_variance,
            scale=layer.gamma,
            shift=layer.beta,
            epsilon=layer.epsilon,
        )
    )


@_rule("Add")
def _add(reader: _Reader, layer: Any, call: _Call) -> int:
    shapes = [reader.operations[operand].shape for operand in call.operands]
    if any(shape != call.shape for shape in shapes):
        raise reader.refuse(
            call, "operands of one shape", str(shapes), "reshape them to the same shape first"
        )
    return reader.add(graphs.Add(call.name, call.operands, call.shape))


@_rule("Concatenate")
def _concatenate(reader: _Reader, layer: Any, call: _Call) -> int:
    rank = len(call.shape)
    if layer.axis % (rank + 1) != rank:
        raise reader.refuse(
            call, "concatenation along the last axis", f"axis={layer.axis}", "permute the operands"
        )
    return reader.add(graphs.Concatenate(call.name, call.operands, call.shape))


@_rule("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "ActivityRegularization")
def _identity(reader: _Reader, layer: Any, call: _Call) -> int:
    return call.operand


@_rule("Activation")
def _activation(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.activation(layer.activation, call, call.operand)


@_rule("Softmax")
def _softmax(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.add(graphs.OutputActivation(call.name, call.operands, call.shape, "softmax"))


@_rule("ReLU")
def _relu(reader: _Reader, layer: Any, call: _Call) -> int:
    if layer.threshold is not None and float(layer.threshold) != 0:
        raise reader.refuse(
            call,
            "a ReLU that switches at 0",
            f"threshold={float(layer.threshold)}",
            "move the threshold into the bias of the layer before",
        )
    ceiling = None if layer.max_value is None else float(layer.max_value)
    gate = graphs.Gate(
        call.name, call.operands, call.shape, float(layer.negative_slope or 0), ceiling
    )
    return reader.add(gate)


@_rule("LeakyReLU")
def _leaky_relu(reader: _Reader, layer: Any, call: _Call) -> int:
    slope = layer.alpha if hasattr(layer, "alpha") else layer.negative_slope
    return reader.add(graphs.Gate(call.name, call.operands, call.shape, float(slope)))


@_rule("PReLU")
def _parametric_relu(reader: _Reader, layer: Any, call: _Call) -> int:
    return reader.add(graphs.Gate(call.name, call.operands, call.shape, layer.alpha))
