"""What computing Insens is going to take: which way for which layer, time and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from insens_tf.chunks import readable_size
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer
from insens_tf.row_norms import Choice, Cost

__all__ = ["Plan", "PlannedLayer", "expected_needed", "plan"]

# Inputs that are taken at a time where a gradient is the unit.
FEW = 8


@dataclass(frozen=True)
class PlannedLayer:
    """What Insens of one layer, by itself, is expected to take.

    Attributes
    ----------
    name : str
        The layer's.
    shape : tuple of int
        Of its activity.
    neurons : int
        How many it has.
    needed : float
        How many of them are expected to be summed over for an input.
    way : str
        How the squared row norms are computed, a name in `row_norms.WAYS`.
    gradients : float
        About as many gradients of the network, each of one input's logit, take as long.
    memory : float
        Bytes held at a time, beyond the model, the inputs and the results.
    """

    name: str
    shape: tuple[int, ...]
    neurons: int
    needed: float
    way: str
    gradients: float
    memory: float


@dataclass(frozen=True)
class Plan:
    """What Insens of some layers is expected to take; shows itself as a table.

    Attributes
    ----------
    inputs : int
        For how many inputs.
    layers : tuple of PlannedLayer
        Each layer by itself, in the way it goes when all are asked for together.
    gradients : float
        All of them together, in gradients of the network.
    memory : float
        Bytes held at a time.
    """

    inputs: int
    layers: tuple[PlannedLayer, ...]
    gradients: float
    memory: float

    def __str__(self) -> str:
        rows = [
            (
                layer.name,
                f"{layer.needed:.0f} of {layer.neurons}",
                layer.way,
                f"{layer.gradients:.3g}",
                readable_size(layer.memory),
            )
            for layer in self.layers
        ]
        if len(rows) > 1:
            rows.append(("together", "", "", f"{self.gradients:.3g}", readable_size(self.memory)))
        table = tabulate(
            rows,
            ["layer", "neurons needed", "way", "gradients", "memory"],
            colalign=("left", "right", "left", "right", "right"),
            disable_numparse=True,
        )
        inputs = "1 input" if self.inputs == 1 else f"{self.inputs} inputs"
        return f"{table}\n{inputs}; as many gradients of the network take about as long"

    __repr__ = __str__


def expected_needed(
    layers: Sequence[HiddenLayer], frequencies: Sequence[np.ndarray | None], state: str
) -> dict[int, float]:
    """Return how many neurons of each layer an input is expected to need, by position.

    Of an input like those that the frequency is from: a neuron is active with probability m/N, and
    weighs nothing where that is 0. Without a frequency half of the neurons are taken as active.
    """
    needed = {}
    for layer, frequency in zip(layers, frequencies):
        active = np.full(1, 0.5) if frequency is None else frequency
        share = {"inactive": 1.0 - active, "active": active, "all": np.ones_like(active)}[state]
        needed[layer.position] = layer.neurons * float(np.mean(share * (active > 0)))
    return needed


def plan(
    graph: Graph,
    layers: Sequence[HiddenLayer],
    outputs: Sequence[HiddenLayer],
    needed: Mapping[int, float],
    choice: Choice,
    inputs: int,
    memory: Callable[[Sequence[int], Cost], float],
) -> Plan:
    """Return the plan for what was chosen.

    `memory` returns the bytes that Insens of the layers at some positions takes, with what their
    ways cost.
    """
    gradient = 2 * graph.work([output.position for output in outputs], FEW)

    def gradients(cost: Cost, positions: Sequence[int]) -> float:
        # Beyond the norms: an evaluation, and the map's own forward and backward pass.
        map_itself = (1 + 2 * len(positions)) * graph.work(positions, FEW)
        return inputs * (cost.work + map_itself) / gradient

    return Plan(
        inputs,
        tuple(
            PlannedLayer(
                layer.name,
                layer.shape,
                layer.neurons,
                needed[layer.position],
                choice.ways[layer.position],
                gradients(choice.alone[layer.position], [layer.position]),
                memory([layer.position], choice.alone[layer.position]),
            )
            for layer in layers
        ),
        gradients(choice.together, list(needed)),
        memory(list(needed), choice.together),
    )
