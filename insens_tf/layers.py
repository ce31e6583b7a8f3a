"""Hidden layers, and how a user names one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from insens_tf.argument_types import LayerLike
from insens_tf.graph import Graph
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.operations import (
    ChannelScaling,
    Convolution,
    DepthwiseConvolution,
    Gate,
    LocallyConnected,
    Matrix,
    TransposedConvolution,
)
from insens_tf.reading import Reading

__all__ = ["HiddenLayer", "Layers"]

WEIGHTED_SUMS = (
    Convolution,
    DepthwiseConvolution,
    LocallyConnected,
    Matrix,
    TransposedConvolution,
)


class Layers:
    """The hidden layers of a network, in order, its output layers, and the search for one."""

    def __init__(self, reading: Reading) -> None:
        self.keras_layers = reading.keras_layers
        graph = reading.graph
        gates: dict[int, list[str]] = {}
        for position in graph.ancestors(reading.outputs):
            operation = graph.operations[position]
            if isinstance(operation, Gate):
                gates.setdefault(operation.operands[0], []).append(operation.name)
        self.hidden: tuple[HiddenLayer, ...] = ()
        uses: Counter[str] = Counter()
        for position in sorted(gates):
            # If the input goes straight into a ReLU, no layer before the ReLU names its neurons.
            name = graph.operations[position].name if position else gates[position][0]
            uses[name] += 1
            unique = name if uses[name] == 1 else f"{name}:{uses[name]}"
            summed = _normalised(graph, position)
            aliases = tuple(one for one in (*summed, *gates[position]) if one != name)
            shape = graph.operations[position].shape
            self.hidden += (HiddenLayer(len(self.hidden), unique, shape, position, aliases),)
        self.outputs: tuple[HiddenLayer, ...] = ()
        for position in reading.outputs:
            last = graph.operations[position]
            after = tuple(
                operation.name
                for operation in graph.operations
                if position in operation.operands and operation.name != last.name
            )
            aliases = (*_normalised(graph, position), *after)
            self.outputs += (HiddenLayer(None, last.name, last.shape, position, aliases),)

    def choose(
        self, layer: LayerLike | Sequence[LayerLike], *, output: bool = False
    ) -> tuple[list[HiddenLayer], bool]:
        """Return the layers that are meant, and whether one was asked for, not a list.

        Parameters
        ----------
        layer : str, int, HiddenLayer, Keras layer, or list of them
        output : bool
            Whether output layers may be meant too.

        Raises
        ------
        ValueError
            If there is no such layer, or one is there twice.
        """
        if isinstance(layer, str) or not isinstance(layer, Sequence):
            return [self.find(layer, output=output)], True
        layers = [self.find(one, output=output) for one in layer]
        if not layers:
            raise ValueError("layer=[]: expected a layer or a list of at least one")
        for one in layers:
            if layers.count(one) > 1:
                raise ValueError(f"layer={list(layer)!r}: layer {one.name!r} is there twice")
        return layers, False

    def _described(self, name: str) -> str:
        known = self.keras_layers.get(name)
        return repr(name) if known is None else f"{type(known).__name__} {name!r}"

    def find(self, layer: LayerLike, *, output: bool = False) -> HiddenLayer:
        """Return the layer that a user means.

        Parameters
        ----------
        layer : str, int, HiddenLayer or Keras layer
            A name, an index into the hidden layers, one of them, or a layer of the Keras model: a
            convolution, its normalisation and the ReLU layer after it mean the same layer.
        output : bool
            Whether the user may mean an output layer, too.

        Raises
        ------
        ValueError
            If there is no such layer; the message lists those there are.
        """
        candidates = self.hidden + (self.outputs if output else ())
        there_are = "; ".join(
            f"{'output' if one.index is None else one.index} {one.name!r} {one.shape}"
            + "".join(f", or its {self._described(alias)}" for alias in one.aliases)
            for one in candidates
        )
        there_are = f"expected one of: {there_are or 'none, the network has no hidden layer'}"
        if isinstance(layer, HiddenLayer):
            if layer in candidates:
                return layer
            raise ValueError(f"layer={layer!r} is not a layer of this network; {there_are}")
        if isinstance(layer, (int, np.integer)) and not isinstance(layer, (bool, np.bool_)):
            if -len(self.hidden) <= layer < len(self.hidden):
                return self.hidden[layer]
            raise ValueError(f"layer={layer} is out of range; {there_are}")
        if isinstance(layer, str):
            name = layer
        elif any(layer is known for known in self.keras_layers.values()):
            name = next(key for key, known in self.keras_layers.items() if known is layer)
        else:
            raise ValueError(f"layer={layer!r} is not known; {there_are}")
        for one in candidates:
            if name == one.name:
                return one
        meant = [one for one in candidates if name in one.aliases]
        if len(meant) == 1:
            return meant[0]
        if len(meant) > 1:
            names = ", ".join(repr(one.name) for one in meant)
            raise ValueError(f"layer={name!r} is used more than once; name one of {names}")
        if any(name == one.name or name in one.aliases for one in self.outputs):
            raise ValueError(
                f"layer={name!r} is an output layer, which is no hidden layer; {there_are}"
            )
        if name in self.keras_layers:
            raise ValueError(
                f"layer={name!r} has no neurons that a ReLU gates directly; {there_are}"
            )
        raise ValueError(f"layer={name!r} is not known; {there_are}")


def _normalised(graph: Graph, position: int) -> tuple[str, ...]:
    """Return the names of what `position` normalises: weighted sums, and layers between.

    Empty where it normalises something else, such as the sum of two branches.
    """
    own, found, names = graph.operations[position].name, position, []
    while isinstance(graph.operations[found], ChannelScaling):
        (found,) = graph.operations[found].operands
        names.append(graph.operations[found].name)
    if not isinstance(graph.operations[found], WEIGHTED_SUMS):
        return ()
    return tuple(name for name in dict.fromkeys(reversed(names)) if name != own)
