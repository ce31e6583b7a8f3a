"""The report of how a model was read: each layer's part in the switched network, and a proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tabulate import tabulate

from insens_tf.chunks import slices
from insens_tf.data_frames import columns_of, data_frame
from insens_tf.execution import Compiled, evaluated
from insens_tf.graph import Graph
from insens_tf.inline_html import paragraphs, to_the_left
from insens_tf.layers import HiddenLayer, Layers
from insens_tf.operations import Gate, MaxPooling, RatioGate
from insens_tf.reading import Reading

__all__ = [
    "Proof",
    "Report",
    "ReportedLayer",
    "proof",
    "random_inputs",
    "reported_layers",
    "values_of",
]

RANDOM_INPUTS = 8


@dataclass(frozen=True)
class ReportedLayer:
    """The part of a layer, or of a function, in the switched network.

    Attributes
    ----------
    name : str
        "model name/layer name" in a nested model.
    kind : str
        The name of its class.
    part : str
        "hidden layer", "output", "gate" (the ReLU of a hidden layer before it), "selection" (max
        pooling and its kin), "linear", "looked through" (an activation at the output), "nothing"
        (at inference), or "refused".
    shape : tuple of int
        The shape of its result for one input.
    index : int or None
        The place of a hidden layer among the hidden layers.
    neurons : int or None
        The number of neurons of a hidden or output layer.
    receptive_field : tuple of int or None
        How many positions of the input a neuron sees along each spatial axis; None: all of them.
    rule : str
        How it is read: "exact", and what a user has to know about it.
    refusal : str or None
        Why it cannot be read, and the way out.
    """

    name: str
    kind: str
    part: str
    shape: tuple[int, ...]
    index: int | None
    neurons: int | None
    receptive_field: tuple[int, ...] | None
    rule: str
    refusal: str | None


@dataclass(frozen=True)
class Proof:
    """A comparison, on some inputs, of a model with the switched network that it was read as.

    Attributes
    ----------
    inputs : str
        "random" or "given".
    count : int
        The number of inputs.
    largest_difference : float
        The largest abs(model(x) - switched network(x)) over all outputs.
    largest_value : float
        The largest abs(model(x)).
    """

    inputs: str
    count: int
    largest_difference: float
    largest_value: float


@dataclass(frozen=True)
class Report:
    """How a model was read; it prints as a table.

    Attributes
    ----------
    model : str
        Its name.
    layers : tuple of ReportedLayer
        In the order in which they are applied.
    proofs : tuple of Proof
        On random inputs and on given ones; empty if the model cannot be read.
    """

    model: str
    layers: tuple[ReportedLayer, ...]
    proofs: tuple[Proof, ...]

    @property
    def refused(self) -> tuple[ReportedLayer, ...]:
        """The layers that cannot be read; empty if the whole model can."""
        return tuple(layer for layer in self.layers if layer.refusal is not None)

    def __str__(self) -> str:
        return "\n".join([self._table("simple"), "", *self._lines()])

    def _repr_html_(self) -> str:
        return to_the_left(self._table("html")) + paragraphs(*self._lines())

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row a layer; its columns are `ReportedLayer`'s.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        return data_frame(columns_of(ReportedLayer, self.layers))

    def _table(self, form: str) -> str:
        rows = [
            (
                "" if layer.index is None else layer.index,
                layer.name,
                layer.kind,
                layer.part,
                _by(layer.shape),
                "" if layer.neurons is None else layer.neurons,
                "all" if layer.receptive_field is None else _by(layer.receptive_field),
                layer.rule,
            )
            for layer in self.layers
        ]
        hidden = [layer.neurons or 0 for layer in self.layers if layer.index is not None]
        rows.append(("", "all hidden layers", "", "", "", sum(hidden), "", ""))
        return tabulate(
            rows,
            ["index", "name", "kind", "part", "shape", "neurons", "receptive field", "rule"],
            tablefmt=form,
            colalign=("right", "left", "left", "left", "left", "right", "right", "left"),
            disable_numparse=True,
        )

    __repr__ = __str__

    def _lines(self) -> Iterable[str]:
        if self.refused:
            yield f"{len(self.refused)} of {len(self.layers)} layers cannot be read:"
            yield from (f"- {layer.refusal}" for layer in self.refused)
        for one in self.proofs:
            inputs = "input" if one.count == 1 else "inputs"
            yield (
                f"largest |model(x) - switched network(x)| over {one.count} {one.inputs} {inputs}: "
                f"{one.largest_difference:.2g}, of values up to {one.largest_value:.3g}"
            )


def reported_layers(reading: Reading) -> tuple[ReportedLayer, ...]:
    """Return the part of each layer and function of a model."""
    graph, found = reading.graph, Layers(reading)
    before_outputs = set(graph.ancestors(reading.outputs))
    own: dict[str, list[int]] = {name: [] for name in reading.parts}
    for position, operation in enumerate(graph.operations):
        if operation.name in own:
            own[operation.name].append(position)
    neurons = {layer.position: layer for layer in (*found.outputs, *found.hidden)}
    reported = []
    for name, part in reading.parts.items():
        # A layer that is used twice has neurons for each use.
        uses = [neurons[position] for position in own[name] if position in neurons]
        for layer in uses or [None]:  # type: ignore[list-item]
            reported.append(_reported(name, part, own[name], layer, before_outputs, reading))
    return tuple(reported)


def _reported(
    name: str,
    part: Any,
    positions: Sequence[int],
    layer: HiddenLayer | None,
    before_outputs: set[int],
    reading: Reading,
) -> ReportedLayer:
    graph = reading.graph
    operations = [graph.operations[position] for position in positions]
    refusal = reading.refusals.get(name)
    if refusal is not None:
        role = "refused"
    elif layer is not None:
        role = "output" if layer.index is None else "hidden layer"
    elif not positions:
        role = "nothing"
    elif not before_outputs.intersection(positions):
        role = "looked through"
    elif any(isinstance(one, Gate) for one in operations):
        role = "gate"
    elif any(isinstance(one, MaxPooling) for one in operations):
        role = "selection"
    else:
        role = "linear"
    field: tuple[int, ...] | None = None
    if positions:
        # The receptive field of neurons is that of their activity, before their gate.
        seen = graph.receptive_field(positions[-1] if layer is None else layer.position)
        field = seen.extent(graph.input_shape[:-1])
    return ReportedLayer(
        name=name if layer is None else layer.name,
        kind=type(part).__name__,
        part=role,
        shape=operations[-1].shape if operations else (),
        index=None if layer is None else layer.index,
        neurons=None if layer is None else layer.neurons,
        receptive_field=field or None,
        rule=_rule(role, layer, graph),
        refusal=None if refusal is None else str(refusal),
    )


def _rule(role: str, layer: HiddenLayer | None, graph: Graph) -> str:
    if role == "refused":
        return ""
    if role == "selection":
        return "exact; the first of equal maxima wins"
    gates = [
        one
        for one in graph.operations
        if isinstance(one, Gate) and layer is not None and layer.position in one.operands
    ]
    if any(isinstance(gate, RatioGate) for gate in gates):
        return "by the ratio of activity out to activity in; w is no derivative"
    if any(gate.jump for gate in gates):
        return "exact; activity from where it switches"
    return "exact"


def proof(model: Any, reading: Reading, x: NDArray[Any], inputs: str, at_a_time: int) -> Proof:
    """Compare a model with the network that it was read as.

    Parameters
    ----------
    model : Keras model
    reading : Reading
        Without refusals.
    x : numpy.ndarray, shape (n, *input_shape)
    inputs : str
        What the inputs are called: "random" or "given".
    at_a_time : int
        How many inputs fit in memory.
    """
    graph = reading.graph
    image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
    compiled = Compiled(lambda x: graph.values(x, reading.results), [image])
    differences, values = [0.0], [0.0]
    for rows in slices(len(x), at_a_time):
        for own, switched in zip(values_of(model, x[rows]), compiled(x[rows])):
            # A model of mixed precision gives float16.
            own = own.astype(np.float64)
            differences.append(float(np.abs(own - switched).max()))
            values.append(float(np.abs(own).max()))
    return Proof(inputs, len(x), max(differences), max(values))


def values_of(model: Any, x: NDArray[Any]) -> list[NDArray[Any]]:
    """Return what a model itself gives for inputs, one array for each output.

    A model for a fixed number of inputs works as well.
    """
    batch = model.inputs[0].shape[0]
    if batch is None:
        return evaluated(model, x)
    chunks = (x[rows] for rows in slices(len(x), batch))
    parts = [evaluated(model, np.resize(one, (batch, *x.shape[1:]))) for one in chunks]
    return [np.concatenate(one)[: len(x)] for one in zip(*parts)]


def random_inputs(graph: Graph, dtype: tf.DType) -> NDArray[Any]:
    """Return the same random inputs every time: half uniform in 0..1 as in images, half normal.

    A model that takes whole numbers gets them from 0 to 255, or to the largest of their dtype.
    """
    random = np.random.default_rng(0)
    half = (RANDOM_INPUTS // 2, *graph.input_shape)
    both = np.concatenate([random.random(half), random.normal(size=half)])
    if not dtype.is_floating:
        both = random.integers(0, min(255, dtype.max), both.shape, endpoint=True)
    return both.astype(graph.dtype.as_numpy_dtype)


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
