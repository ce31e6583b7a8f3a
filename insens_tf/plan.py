"""What a user is told that Insens takes: which way for which layer, time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from insens_tf.chunks import readable_size
from insens_tf.data_frames import columns_of, data_frame
from insens_tf.inline_html import paragraphs, to_the_left

__all__ = ["MANY_GRADIENTS", "MoreMemory", "Plan", "PlannedLayer"]

COLUMNS = ("left", "right", "left", "right", "right", "right")

MANY_GRADIENTS = 3000.0
"""A plan says what is faster if an input takes so many gradients or more."""


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
        return "\n".join([self._table("simple"), *self._lines()])

    def _repr_html_(self) -> str:
        return to_the_left(self._table("html")) + paragraphs(*self._lines())

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row a layer.

        Returns
        -------
        pandas.DataFrame
            Its columns are `PlannedLayer`'s name, shape, neurons, needed, way, gradients and
            memory; and seconds, where a gradient was timed.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        columns = columns_of(PlannedLayer, self.layers, without=("more_memory",))
        one = self.seconds_of_a_gradient
        seconds = {} if one is None else {"seconds": [one * g for g in columns["gradients"]]}
        return data_frame({**columns, **seconds})

    def _table(self, form: str) -> str:
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
        aligned = COLUMNS[: len(headers)]
        return tabulate(rows, headers, tablefmt=form, disable_numparse=True, colalign=aligned)

    def _lines(self) -> list[str]:
        one = self.seconds_of_a_gradient
        inputs = "1 input" if self.inputs == 1 else f"{self.inputs} inputs"
        unit = f"{inputs}; as many gradients of the network take about as long"
        if one is not None:
            unit += f", and one takes {_readable_time(one)} here"
        lines = [unit]
        if self.memory > self.memory_budget:
            lines.append(
                f"more memory than the memory_budget of {readable_size(self.memory_budget)}, as "
                "less is not enough or takes far longer"
            )
        return [*lines, *self.faster]

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
