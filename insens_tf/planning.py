"""What chooses the ways of Insens, estimates what they take, and warns of what takes much."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.bounded_cache import BoundedCache
from insens_tf.chunks import at_a_time, readable_size
from insens_tf.estimate_rounds import LEAST_PROBES
from insens_tf.graph import Graph
from insens_tf.insens import Footprint, Passes
from insens_tf.layer_estimate import GROUPS
from insens_tf.layers import HiddenLayer
from insens_tf.plan import MANY_GRADIENTS, MoreMemory, Plan, PlannedLayer
from insens_tf.row_norms import WAYS, Choice, Cost, Way, choose, counted
from insens_tf.row_norms.probes import PUSH_WORK, probe_spacing

__all__ = ["Planner", "counted_needed", "expected_needed"]

# Inputs that are taken at a time where a gradient is the unit.
FEW = 8

# The larger budgets that are looked at, and for which layers: not where there is little to gain.
FACTORS = (1.5, 2, 3, 4, 6, 8, 12, 16)
LITTLE = 10.0
SHARE = 0.1

# What estimates to the default tolerance were measured to take, with `benchmarks.estimates`:
# passes, and how often maps and errors are made of them.
PASSES_OF_ESTIMATE = 192
TIMES_OF_MAPS = 3

# A choice is by the share of a layer's neurons that is needed, in so many steps: another frequency
# is seldom another choice.
STEPS = 64


def expected_needed(
    layers: Sequence[HiddenLayer], frequencies: Sequence[NDArray[Any] | None], state: str
) -> dict[int, float]:
    """Return how many neurons of each layer an input is expected to need.

    A neuron is active with probability m/N, as for inputs like those that the frequency is of, and
    is not needed where m/N is 0. Without a frequency half of the neurons are taken as active.

    Returns
    -------
    dict of int to float
        By the layer's position.
    """
    needed = {}
    for layer, frequency in zip(layers, frequencies):
        active = np.full(1, 0.5) if frequency is None else frequency
        share = {"inactive": 1.0 - active, "active": active, "all": np.ones_like(active)}[state]
        needed[layer.position] = layer.neurons * float(np.mean(share * (active > 0)))
    return needed


def counted_needed(
    masks: Sequence[NDArray[Any]], layers: Sequence[HiddenLayer]
) -> dict[int, float]:
    """Return how many neurons of each layer an input needs, on average.

    Parameters
    ----------
    masks : sequence of numpy.ndarray of bool, shape (n, *layer shape)
        The neurons that are needed, one array a layer.
    layers : sequence of HiddenLayer

    Returns
    -------
    dict of int to float
        By the layer's position.
    """
    return {layer.position: float(mask.sum()) / len(mask) for layer, mask in zip(layers, masks)}


class Planner:
    """Chooses the ways to the row norms, says what Insens takes, and warns where that is much.

    Parameters
    ----------
    graph : Graph
    outputs : sequence of HiddenLayer
        The network's outputs: a gradient of theirs is the unit of time.
    memory_budget : int
        In bytes.
    proof_memory : callable
        Returns the bytes that the proof on first use takes, from a number of inputs.
    cache : BoundedCache
        Keeps choices and compiled ways.
    """

    def __init__(
        self,
        graph: Graph,
        outputs: Sequence[HiddenLayer],
        memory_budget: int,
        proof_memory: Callable[[int], float],
        cache: BoundedCache,
    ) -> None:
        self._graph = graph
        self._outputs = tuple(outputs)
        self._output_positions = [output.position for output in outputs]
        self._memory_budget = memory_budget
        self._proof_memory = proof_memory
        self._cache = cache

    def choose(
        self, needed: Mapping[int, float], way: str | None, memory_budget: int | None = None
    ) -> Choice:
        """Choose the way of each layer.

        Parameters
        ----------
        needed : mapping of int to float
            By a layer's position: how many of its neurons an input needs.
        way : str, optional
            The way that all layers must go.
        memory_budget : int, optional
            In bytes; the network's own unless given.

        Raises
        ------
        ValueError
            If a layer cannot go that way.
        """
        sizes = {position: self._graph.operations[position].size for position in needed}
        steps = {one: math.ceil(STEPS * count / sizes[one]) for one, count in needed.items()}
        memory_budget = memory_budget or self._memory_budget
        budget = self._budget_of_ways(list(needed), memory_budget)
        return self._cache.kept(
            ("choice", way, memory_budget, *steps.items()),
            lambda: choose(
                self._graph,
                {one: step / STEPS * sizes[one] for one, step in steps.items()},
                budget,
                way,
            ),
        )

    def ways(self, choice: Choice) -> list[Way]:
        """Return what computes the row norms as was chosen."""
        budget = self._budget_of_ways(list(choice.ways), self._memory_budget)
        return [
            self._cache.kept(
                ("way", name, positions, budget),
                partial(WAYS[name], self._graph, positions, budget),
            )
            for name, positions in choice.groups.items()
        ]

    def counted(self, choice: Choice, needed: Mapping[int, float]) -> Choice:
        """Return the choice with the cost of just so many neurons, without steps."""
        budget = self._budget_of_ways(list(needed), self._memory_budget)
        return counted(self._graph, choice, needed, budget)

    def plan(
        self,
        layers: Sequence[HiddenLayer],
        needed: Mapping[int, float],
        choice: Choice,
        inputs: int,
        way: str | None = None,
        seconds_of_a_gradient: float | None = None,
    ) -> Plan:
        """Return what the chosen ways take.

        Parameters
        ----------
        layers : sequence of HiddenLayer
        needed : mapping of int to float
            By a layer's position: how many of its neurons an input needs.
        choice : Choice
            With the cost of as many.
        inputs : int
            For how many.
        way : str, optional
            The way that all layers must go, with more memory too.
        seconds_of_a_gradient : float, optional
        """
        together = self._gradients(choice.together, list(needed), inputs)
        planned = []
        for layer in layers:
            position, cost = layer.position, choice.alone[layer.position]
            alone = self._gradients(cost, [position], inputs)
            more_memory = None
            if alone >= max(LITTLE * inputs, SHARE * together):
                more_memory = self._more_memory(position, needed[position], alone, inputs, way)
            planned.append(
                PlannedLayer(
                    layer.name,
                    layer.shape,
                    layer.neurons,
                    needed[position],
                    choice.ways[position],
                    alone,
                    self._memory([position], cost, inputs, self._memory_budget),
                    more_memory,
                )
            )
        return Plan(
            inputs,
            tuple(planned),
            together,
            self._memory(list(needed), choice.together, inputs, self._memory_budget),
            self._memory_budget,
            inputs * self._work_of_estimate(list(needed)) / self._work_of_gradient(),
            seconds_of_a_gradient,
        )

    def warn(
        self,
        layers: Sequence[HiddenLayer],
        needed: Mapping[int, float],
        choice: Choice,
        inputs: int,
    ) -> None:
        """Warn of more memory than the budget, and of hours, with what would be faster."""
        cost = choice.together
        memory_taken = self._memory(list(choice.ways), cost, inputs, self._memory_budget)
        least = cost.work / self._graph.work(self._output_positions, FEW)
        if memory_taken <= self._memory_budget and least < MANY_GRADIENTS:
            return
        planned = self.plan(layers, needed, self.counted(choice, needed), inputs)
        what = []
        if planned.memory > self._memory_budget:
            what.append(
                f"about {readable_size(planned.memory)} at a time, more than the memory budget of "
                f"{readable_size(self._memory_budget)}, as less is not enough for one input of "
                "this size or takes far longer; plan() says for which layer. Build the "
                "SwitchedNetwork with a larger memory_budget if there is as much memory"
            )
        if planned.gradients >= MANY_GRADIENTS * inputs:
            what.append(f"about as long as {planned.gradients:,.0f} gradients of the network")
        if what:
            message = "; ".join([f"Insens takes {' and '.join(what)}", *planned.faster])
            warnings.warn(message, RuntimeWarning, stacklevel=3)

    def seconds_of_a_gradient(self) -> float:
        """Return how long a gradient of the network takes for one of a few inputs; timed once."""
        return self._cache.kept(("seconds",), self._timed_gradient)

    def _timed_gradient(self) -> float:
        passes = Passes(self._graph, self._outputs)
        of_an_input = memory.gradient(self._graph, self._output_positions)
        count = min(
            FEW, at_a_time(self._graph, self._output_positions, self._memory_budget, of_an_input)
        )
        x = np.random.default_rng(0).normal(size=(count, *self._graph.input_shape))
        seeds = {one: np.ones((count, *one.shape)) for one in self._outputs}
        seconds = []
        # The first one traces and compiles it.
        for _ in range(3):
            start = time.perf_counter()
            for output, seed in seeds.items():
                passes.backward[output](x, seed)
            seconds.append((time.perf_counter() - start) / count)
        return min(seconds[1:])

    def _more_memory(
        self, position: int, needed: float, now: float, inputs: int, way: str | None
    ) -> MoreMemory | None:
        """Return the least larger budget that halves the gradients a layer takes `now`, if any."""
        for factor in FACTORS:
            budget = int(factor * self._memory_budget)
            other = self.choose({position: needed}, way, budget)
            if self._memory([position], other.together, inputs, budget) > budget:
                continue
            then = self._gradients(other.together, [position], inputs)
            if then <= now / 2:
                return MoreMemory(budget, other.ways[position], then)
        return None

    def _gradients(self, cost: Cost, positions: Sequence[int], inputs: int) -> float:
        """Return how many gradients of the network take as long as maps of these layers."""
        # Beyond the norms: an evaluation, and the map's own forward and backward pass.
        map_itself = (1 + 2 * len(positions)) * self._graph.work(positions, FEW)
        return inputs * (cost.work + map_itself) / self._work_of_gradient()

    def _work_of_gradient(self) -> float:
        return 2 * self._graph.work(self._output_positions, FEW)

    def _work_of_estimate(self, positions: Sequence[int]) -> float:
        coloured = LEAST_PROBES + int(np.prod(probe_spacing(self._graph, positions)))
        passes = min(PASSES_OF_ESTIMATE, coloured)
        work = passes * PUSH_WORK * self._graph.work(positions, FEW)
        # An evaluation, and back from there.
        maps = sum((2 + GROUPS) * self._graph.work([one], FEW) for one in positions)
        return work + TIMES_OF_MAPS * maps

    def _footprint(self, positions: Sequence[int], memory_budget: int) -> Footprint:
        return self._cache.kept(
            ("footprint", memory_budget, *positions),
            lambda: Footprint(self._graph, positions, memory_budget),
        )

    def _memory(
        self, positions: Sequence[int], cost: Cost, inputs: int, memory_budget: int
    ) -> float:
        """Return the bytes of a first call for maps of these layers, whose ways have this cost."""
        footprint = self._footprint(positions, memory_budget)
        return footprint.with_way(cost, inputs, self._proof_memory(inputs))

    def _budget_of_ways(self, positions: Sequence[int], memory_budget: int) -> float:
        """Return the bytes that are left beside the maps."""
        return memory_budget - self._footprint(positions, memory_budget).beside
