"""A copy of the user's model in a private graph, in the form that iNNvestigate can analyse.

The copy computes the same function, in inference mode, up to the softmax at its end, and refers to
nothing of the model's but its variables. What differs is only how the function is written:

- the softmax at the output is left out, as an argument or as a layer;
- a plain ReLU of its own layer is an `Activation`, since the LRP analyzers fail on the former;
- models within the model are laid out flat, since the LRP and deep Taylor analyzers fail on them;
- an output of several axes is flattened, since all analyzers fail on it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from innvestigate import NotAnalyzeableModelException
from numpy.typing import NDArray
from tensorflow import keras

__all__ = ["CopiedModel", "Recipe"]


class CopiedModel(NamedTuple):
    """A model in a private graph and what of it corresponds to the user's.

    Attributes
    ----------
    model : keras.Model
        The copy: functional, one output of shape ``(batch, neurons)``.
    layers : dict of Keras layer to Keras layer
        From the user's layers, those of inner models included, to the copies.
    variables : list of variables
        The copy's, in the order of `Recipe.weights`.
    """

    model: Any
    layers: dict[Any, Any]
    variables: list[Any]

    def position_in_layers(self, layer: Any) -> int:
        """Return where the copy of a layer of the user's model (its input: 0) is in `layers`."""
        inner = [one for _, one in _named_calls(layer)] if _is_model_of_layers(layer) else [layer]
        copies = [self.layers[one] for one in inner if one in self.layers]
        return max((self.model.layers.index(copy) for copy in copies), default=0)


class Recipe:
    """What is needed to build a copy of a model in another graph.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, built, with one output.

    Raises
    ------
    NotAnalyzeableModelException
        If the model is none of these; the message says the way out.
    """

    def __init__(self, model: Any) -> None:
        if not getattr(model, "_is_graph_network", False):
            raise NotAnalyzeableModelException(_NOT_FUNCTIONAL.format(_description(model)))
        if len(model.outputs) != 1:
            raise NotAnalyzeableModelException(
                f"model {model.name!r}: expected one output, found {len(model.outputs)}; analyse "
                "a model of one of them, such as keras.Model(model.inputs, model.outputs[0])."
            )
        self.model = model
        calls = list(_named_calls(model))
        # A layer that is called several times has the name of its first call.
        self._names = {layer: name for name, layer in reversed(calls)}
        self._configurations = {layer: self._configuration(layer) for layer in self._names}
        last = _output_layer(model)
        # If it is called elsewhere too, its softmax is part of the function.
        only_at_the_output = [layer for _, layer in calls].count(last) == 1
        ends_in_softmax = only_at_the_output and _activation(last) == "softmax"
        self._softmax: Any = last if ends_in_softmax else None

    def build(self) -> CopiedModel:
        """Build the copy in the graph that is the default one now."""
        copies: dict[Any, Any] = {}
        # Keras numbers the names of inputs apart from those of other layers, whatever they are.
        inputs = [keras.Input(one.shape[1:], dtype=one.dtype) for one in self.model.inputs]
        with keras.utils.custom_object_scope(self._custom_objects()):
            (output,) = self._apply_model(self.model, inputs, copies)
        if output.shape.rank != 2:
            output = keras.layers.Flatten()(output)
        variables = []
        for layer in self._names:
            variables += _corresponding_variables(layer, copies[layer]) if layer in copies else []
        return CopiedModel(keras.Model(inputs, output, name=self.model.name), copies, variables)

    def weights(self) -> list[NDArray[Any]]:
        """Return the weights that the user's model has now."""
        return keras.backend.batch_get_value(
            [variable for layer in self._names for variable in layer.weights]
        )

    def _configuration(self, layer: Any) -> dict[str, Any]:
        try:
            configuration = dict(layer.get_config())
        except Exception as error:
            raise self._uncopied(layer, error) from error
        return {**configuration, "name": self._names[layer]}

    def _custom_objects(self) -> dict[str, Any]:
        """Return the functions and classes of the user's that the configurations only name."""
        functions = [getattr(layer, "activation", None) for layer in self._names]
        found = {
            function.__name__: function for function in functions if inspect.isroutine(function)
        }
        return {**found, **{type(layer).__name__: type(layer) for layer in self._names}}

    def _apply_model(self, model: Any, inputs: Sequence[Any], copies: dict[Any, Any]) -> list[Any]:
        if isinstance(model, keras.Sequential):
            (value,) = inputs
            for layer in model.layers:
                (value,) = tf.nest.flatten(self._apply_layer(layer, (value,), {}, copies))
            return [value]
        values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}

        def value_of(argument: Any) -> Any:
            # A constant of eager mode cannot enter a graph; its array can.
            constant = tf.is_tensor(argument) and hasattr(argument, "numpy")
            return values.get(id(argument), argument.numpy() if constant else argument)

        for node in _nodes(model):
            arguments, keywords = tf.nest.map_structure(
                value_of, (node.call_args, node.call_kwargs)
            )
            results = self._apply_layer(node.layer, arguments, keywords, copies)
            outputs = tf.nest.flatten(node.outputs)
            values.update(zip(map(id, outputs), tf.nest.flatten(results)))
        return [values[id(tensor)] for tensor in model.outputs]

    def _apply_layer(
        self,
        layer: Any,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        copies: dict[Any, Any],
    ) -> Any:
        if _is_model_of_layers(layer):
            inputs = arguments[0] if arguments else keywords["inputs"]
            return self._apply_model(layer, tf.nest.flatten(inputs), copies)
        if _is_activation(layer):
            arguments, keywords = (tf.nest.flatten((arguments, keywords))[0],), {}
            if layer is self._softmax:
                return arguments[0]
        if layer not in copies:
            copies[layer] = self._copy(layer)
        copy = copies[layer]
        if "training" in inspect.signature(copy.call).parameters:
            # Inference mode is fixed: a branch in batch normalisation could not be differentiated.
            keywords = {**keywords, "training": keywords.get("training") or False}
        return copy(*arguments, **keywords)

    def _copy(self, layer: Any) -> Any:
        configuration = self._configurations[layer]
        if layer is self._softmax:
            configuration = {**configuration, "activation": "linear"}
        elif _activation(layer) == "relu":
            if _is_activation(layer):
                return keras.layers.Activation("relu", name=self._names[layer])
            configuration = {**configuration, "activation": "relu"}
        try:
            return type(layer).from_config(configuration)
        except Exception as error:
            raise self._uncopied(layer, error) from error

    def _uncopied(self, layer: Any, error: Exception) -> NotAnalyzeableModelException:
        return NotAnalyzeableModelException(
            f"layer {self._names[layer]!r} ({type(layer).__name__}) could not be copied from its "
            f"configuration: {type(error).__name__}: {error}. A layer of one's own needs "
            "get_config, and functions and classes that it is made with need "
            "keras.utils.register_keras_serializable."
        )


_NOT_FUNCTIONAL = (
    "{}: expected a Sequential or functional Keras model that knows its input's shape; call a "
    "Sequential model on an input once (or build it), and write a subclassed model as "
    "keras.Model(inputs, outputs)."
)


def _corresponding_variables(layer: Any, copy: Any) -> list[Any]:
    expected = [tuple(variable.shape) for variable in layer.weights]
    found = [tuple(variable.shape) for variable in copy.weights]
    if found != expected:
        raise NotAnalyzeableModelException(
            f"layer {layer.name!r} ({type(layer).__name__}): expected its copy to have weights of "
            f"the shapes {expected}, found {found}; the layer's get_config must return all that "
            "its weights depend on."
        )
    return list(copy.weights)


def _description(model: Any) -> str:
    return f"model {getattr(model, 'name', '')!r} ({type(model).__name__})"


def _is_model_of_layers(layer: Any) -> bool:
    # Within a model, with eager mode off, a Sequential one may not know its input's shape.
    return isinstance(layer, keras.Sequential) or getattr(layer, "_is_graph_network", False)


def _nodes(model: Any) -> Iterator[Any]:
    """Yield the calls of layers in a functional model, in order."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def _named_calls(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layer of each call; one of an inner model is named "model's name/layer's name"."""
    sequential = isinstance(model, keras.Sequential)
    for layer in model.layers if sequential else [node.layer for node in _nodes(model)]:
        if _is_model_of_layers(layer):
            yield from _named_calls(layer, f"{prefix}{layer.name}/")
        else:
            yield prefix + layer.name, layer


def _output_layer(model: Any) -> Any:
    sequential = isinstance(model, keras.Sequential)
    layer = model.layers[-1] if sequential else model.outputs[0]._keras_history.layer
    return _output_layer(layer) if _is_model_of_layers(layer) else layer


def _is_activation(layer: Any) -> bool:
    """Tell whether a layer is nothing but a ReLU or a softmax."""
    alone = isinstance(layer, keras.layers.Activation) or not hasattr(layer, "activation")
    return alone and _activation(layer) is not None


def _activation(layer: Any) -> str | None:
    """Return "relu" or "softmax" if the layer ends in it, or is it, and None otherwise."""
    activation = getattr(layer, "activation", layer)
    if isinstance(activation, keras.layers.Softmax):
        return "softmax"
    if isinstance(activation, keras.layers.ReLU):
        settings = activation.get_config()
        shape = settings["max_value"], settings["negative_slope"], settings["threshold"]
        return "relu" if shape == (None, 0, 0) else None
    if activation in (keras.activations.softmax, tf.nn.softmax):
        return "softmax"
    if activation in (keras.activations.relu, tf.nn.relu):
        return "relu"
    # A function of TensorFlow's called on a symbolic tensor.
    return {"nn.relu": "relu", "nn.softmax": "softmax"}.get(getattr(layer, "symbol", None) or "")
