"""The interface of everything that computes squared row norms, and what it costs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from insens_tf.accumulation import SQUARES, Accumulation
from insens_tf.graph import Graph
from insens_tf.progress import scaled

__all__ = ["IMPOSSIBLE", "Cost", "Way", "accumulated"]


@dataclass(frozen=True)
class Cost:
    """What one input is expected to cost.

    Attributes
    ----------
    work : float
        In multiplications of a large matrix product; infinity where the way cannot be taken.
    arrays : float
        The bytes of arrays that are held at a time, beyond the model, the inputs and the results.
    functions : float
        The bytes that TensorFlow's compiled functions take, from the first call on.
    """

    work: float
    arrays: float
    functions: float = 0.0

    @property
    def memory(self) -> float:
        """The bytes that a first call takes at its fullest."""
        return self.arrays + self.functions

    @property
    def is_possible(self) -> bool:
        """Whether the way can be taken at all."""
        return math.isfinite(self.work)


IMPOSSIBLE = Cost(math.inf, math.inf)


class Way(ABC):
    """A way to compute the squared row norms of the Jacobians of some layers, exactly.

    Parameters
    ----------
    graph : Graph
        The network.
    positions : sequence of int
        The layers, as positions in the graph.
    memory_budget : int
        In bytes; chunks of work are chosen to stay within it.
    accumulation : Accumulation
        What is made of each w: the sum of its squares, unless given.

    Attributes
    ----------
    shares_work : bool
        Whether several layers may cost less than the sum of each.
    holds_weights : bool
        Whether it has the elements of w, to accumulate anything of them, or only `SQUARES`.
    """

    shares_work: ClassVar[bool] = True
    holds_weights: ClassVar[bool] = True

    def __init__(
        self,
        graph: Graph,
        positions: Sequence[int],
        memory_budget: float,
        accumulation: Accumulation = SQUARES,
    ) -> None:
        if not (self.holds_weights or accumulation is SQUARES):
            raise ValueError(f"{type(self).__name__} has the squares of w alone: expected SQUARES")
        self.accumulation = accumulation
        self.graph = graph
        self.positions = tuple(positions)
        self.memory_budget = memory_budget
        self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Make what all calls share."""

    @abstractmethod
    def __call__(
        self,
        x: np.ndarray,
        needed: Mapping[int, np.ndarray],
        advance: Callable[[float], None] = lambda share: None,
    ) -> dict[int, np.ndarray]:
        """Return what w accumulates to, of each needed neuron, by position, each (n, *layer shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
            The inputs.
        needed : mapping of int to numpy.ndarray of bool, (n, *layer shape)
            The neurons that are wanted, by position; what comes for others is not defined.
        advance : callable
            Called now and then with the share of all its work that was done since.
        """

    @staticmethod
    @abstractmethod
    def cost(graph: Graph, needed: Mapping[int, float], memory_budget: float) -> Cost:
        """Return what one input is expected to cost, all layers in one call.

        Parameters
        ----------
        graph : Graph
        needed : mapping of int to float
            The layers' positions, and how many of their neurons will be needed.
        memory_budget : int
            In bytes.
        """


def accumulated(
    ways: Iterable[Way],
    x: np.ndarray,
    needed: Mapping[int, np.ndarray],
    advance: Callable[[float], None] = lambda share: None,
) -> dict[int, np.ndarray]:
    """Return what w accumulates to, of each needed neuron of layers that several ways are for.

    Parameters
    ----------
    ways : iterable of Way
        Which have each of the layers once.
    x, needed
        As a way takes them.
    advance : callable
        Called with the share of all their work that was done since.

    Returns
    -------
    dict of int to numpy.ndarray, shape (n, *layer shape)
        By position; what comes for neurons that are not needed is not defined.
    """
    neurons = {position: int(mask.sum()) for position, mask in needed.items()}
    total = max(1, sum(neurons.values()))
    found: dict[int, np.ndarray] = {}
    for way in ways:
        mine = {position: needed[position] for position in way.positions}
        share = sum(neurons[position] for position in way.positions) / total
        found |= way(x, mine, scaled(advance, share))
    return found
