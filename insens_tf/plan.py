"""What computing Insens is going to take: which way for which layer, time and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tabulate import tabulate

from insens_tf.chunks import readable_size
from insens_tf.estimate import GROUPS, PROBES
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer
from insens_tf.row_norms import Choice, Cost
from insens_tf.row_norms.probes import PUSH_WORK

__all__ = ["FEW", "MoreMemory", "Plan", "PlannedLayer", "counted_needed", "expected_needed", "plan"]

# Inputs that are taken at a time where a gradient is the unit.
FEW = 8

COLUMNS = ("left", "right", "left", "right", "right", "right")

# Which larger budgets are looked at, for which layers: not where there is little to gain.
FACTORS = (1.5, 2, 3, 4, 6, 8, 12, 16)
LITTLE = 10.0
SHARE = 0.1


# From as many for an input on, it is said what is faster.
MANY_GRADIENTS = 3000.0


@dataclass(frozen=True)
class MoreMemory:
    """What a layer by itself would take with a larger memory budget.

    Attributes
    ----------
    memory_budget : int
        In bytes.
    way : str
        How the squared row norms would be computed.
    gradients : float
        As many gradients of the network would take as long.
    """

    memory_budget: int
    way: str
    gradients: float

    def __str__(self) -> str:
        return (
            f"with memory_budget={readable_size(self.memory_budget)}: {self.way}, "
            f"{_readable_count(self.gradients)} gradients"
        )


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
        How many of them are summed over for an input: as expected, or of the given inputs.
    way : str
        How the squared row norms are computed, a name in `row_norms.WAYS`.
    gradients : float
        About as many gradients of the network, each of one input's logit, take as long.
    memory : float
        Bytes at the fullest of a first call, beyond the model, the inputs and the results.
    more_memory : MoreMemory, optional
        What a larger memory budget would bring, of the layers that take most and where it halves
        the time.
    """

    name: str
    shape: tuple[int, ...]
    neurons: int
    needed: float
    way: str
    gradients: float
    memory: float
    more_memory: MoreMemory | None = None


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
        Bytes at the fullest of a first call.
    memory_budget : int
        In bytes; `memory` may be more where nothing less is enough, or far slower.
    gradients_of_estimate : float
        What `estimate_insens` of the same layers takes.
    seconds_of_a_gradient : float, optional
        As timed on this machine, where that was asked for.
    """

    inputs: int
    layers: tuple[PlannedLayer, ...]
    gradients: float
    memory: float
    memory_budget: int
    gradients_of_estimate: float
    seconds_of_a_gradient: float | None = None

    @property
    def seconds(self) -> float | None:
        """About how long it takes on this machine; None where no gradient was timed."""
        one = self.seconds_of_a_gradient
        return None if one is None else one * self.gradients

    @property
    def faster(self) -> list[str]:
        """What would be faster, a line each; empty where nothing is worth a word."""
        lines = [
            f"{layer.name} {layer.more_memory}" if len(self.layers) > 1 else str(layer.more_memory)
            for layer in self.layers
            if layer.more_memory is not None
        ]
        many = self.gradients >= MANY_GRADIENTS * self.inputs
        if many and self.gradients_of_estimate < self.gradients / 2:
            lines.append(
                f"estimate_insens takes about {_readable_count(self.gradients_of_estimate)} "
                "gradients, and says how far it may be off"
            )
        return lines

    def __str__(self) -> str:
        one = self.seconds_of_a_gradient
        rows = [
            (
                layer.name,
                f"{layer.needed:.0f} of {layer.neurons}",
                layer.way,
                f"{layer.gradients:.3g}",
                *(() if one is None else (_readable_time(one * layer.gradients),)),
                readable_size(layer.memory),
            )
            for layer in self.layers
        ]
        if len(self.layers) > 1:
            seconds = () if self.seconds is None else (_readable_time(self.seconds),)
            together = f"{self.gradients:.3g}", *seconds, readable_size(self.memory)
            rows.append(("together", "", "", *together))
        time = () if one is None else ("time",)
        headers = ("layer", "neurons needed", "way", "gradients", *time, "memory")
        table = tabulate(rows, headers, disable_numparse=True, colalign=COLUMNS[: len(headers)])
        inputs = "1 input" if self.inputs == 1 else f"{self.inputs} inputs"
        unit = f"{inputs}; as many gradients of the network take about as long"
        if one is not None:
            unit += f", and one takes {_readable_time(one)} here"
        lines = [table, unit]
        if self.memory > self.memory_budget:
            lines.append(
                f"more memory than the memory_budget of {readable_size(self.memory_budget)}, as "
                "less is not enough or takes far longer"
            )
        return "\n".join([*lines, *self.faster])

    __repr__ = __str__


def _readable_count(count: float) -> str:
    return f"{count:,.0f}" if count >= 1 else f"{count:.2g}"


def _readable_time(seconds: float) -> str:
    """Return a time for a reader: "1.5 min"."""
    for unit, size in (("s", 60.0), ("min", 60.0), ("h", 24.0)):
        if seconds < 2 * size:
            return f"{seconds:.2g} {unit}" if seconds < 100 else f"{seconds:.0f} {unit}"
        seconds /= size
    return f"{seconds:,.0f} days"


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


def counted_needed(masks: Sequence[np.ndarray], layers: Sequence[HiddenLayer]) -> dict[int, float]:
    """Return how many neurons of each layer an input needs, by position, of masks (n, *shape)."""
    return {layer.position: float(mask.sum()) / len(mask) for layer, mask in zip(layers, masks)}


def plan(
    graph: Graph,
    layers: Sequence[HiddenLayer],
    outputs: Sequence[HiddenLayer],
    needed: Mapping[int, float],
    choice: Choice,
    inputs: int,
    memory: Callable[[Sequence[int], Cost], float],
    memory_budget: int,
    larger: Callable[[int, int], tuple[str, Cost] | None],
    seconds_of_a_gradient: float | None = None,
) -> Plan:
    """Return the plan for what was chosen.

    Parameters
    ----------
    graph : Graph
    layers, outputs : sequence of HiddenLayer
        Those of the plan, and the network's outputs.
    needed : mapping of int to float
        By position, how many neurons of a layer are summed over for an input.
    choice : Choice
    inputs : int
    memory : callable
        Returns the bytes that Insens of the layers at some positions takes, with what their ways
        cost.
    memory_budget : int
    larger : callable
        Returns the way of the layer at a position under another budget, and its cost; None if it
        does not fit.
    seconds_of_a_gradient : float, optional
    """
    gradient = 2 * graph.work([output.position for output in outputs], FEW)

    def gradients(cost: Cost, positions: Sequence[int]) -> float:
        # Beyond the norms: an evaluation, and the map's own forward and backward pass.
        map_itself = (1 + 2 * len(positions)) * graph.work(positions, FEW)
        return inputs * (cost.work + map_itself) / gradient

    together = gradients(choice.together, list(needed))

    def more_memory(position: int, now: float) -> MoreMemory | None:
        if now < max(LITTLE * inputs, SHARE * together):
            return None
        for factor in FACTORS:
            budget = int(factor * memory_budget)
            found = larger(position, budget)
            if found is not None and (then := gradients(found[1], [position])) <= now / 2:
                return MoreMemory(budget, found[0], then)
        return None

    planned = []
    for layer in layers:
        position = layer.position
        alone = gradients(choice.alone[position], [position])
        planned.append(
            PlannedLayer(
                layer.name,
                layer.shape,
                layer.neurons,
                needed[position],
                choice.ways[position],
                alone,
                memory([position], choice.alone[position]),
                more_memory(position, alone),
            )
        )
    estimate = PROBES * PUSH_WORK * graph.work(list(needed), FEW)
    estimate += sum((1 + GROUPS) * 2 * graph.work([position], FEW) for position in needed)
    return Plan(
        inputs,
        tuple(planned),
        together,
        memory(list(needed), choice.together),
        memory_budget,
        inputs * estimate / gradient,
        seconds_of_a_gradient,
    )
