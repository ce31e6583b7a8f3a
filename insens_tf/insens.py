"""Insens, the inactive state sensitivity Omega of a layer (Eq. 7 and 8 of the paper)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from insens_tf import memory
from insens_tf.chunks import at_a_time, slices
from insens_tf.execution import Compiled
from insens_tf.finiteness import refuse_masks
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer
from insens_tf.row_norms import Cost, Way

__all__ = [
    "SENSITIVITIES",
    "STATES",
    "Footprint",
    "Insens",
    "Passes",
    "checked_frequency",
    "warn_of_vanished_squares",
]

STATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "inactive": lambda activity: activity <= 0,
    "active": lambda activity: activity > 0,
    "all": lambda activity: np.ones_like(activity, bool),
}
"""Which neurons are summed over, by their activity."""

SENSITIVITIES = ("centre", "activity")
"""Eq. 7's readings: omega = x - c = v w / (w w), and omega = v w."""


class Passes:
    """The compiled passes of some layers, forward to their activities and back to the input.

    Attributes
    ----------
    activities : Compiled
        From x, (n, *input_shape), to each layer's v, (n, *layer shape).
    backward : dict of HiddenLayer to Compiled
        From x and a number a neuron, (n, *layer shape), to the sum over neurons of number * w.
    """

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer]) -> None:
        positions = [layer.position for layer in layers]
        image = tf.TensorSpec((None, *graph.input_shape), graph.dtype)
        self.activities = Compiled(lambda x: graph.values(x, positions), [image])
        self.backward = {
            layer: Compiled(
                partial(_backward_product, graph, layer.position),
                [image, tf.TensorSpec((None, *layer.shape), graph.dtype)],
            )
            for layer in layers
        }


class Footprint:
    """What the maps of some layers take in memory, the way to their row norms apart.

    Parameters
    ----------
    graph : Graph
    positions : sequence of int
        The layers, as positions in the graph.
    memory_budget : int
        In bytes, of the arrays of the inputs that are taken at a time.

    Attributes
    ----------
    inputs_at_a_time : int
    functions : float
        The bytes of compiled functions.
    """

    def __init__(self, graph: Graph, positions: Sequence[int], memory_budget: int) -> None:
        size = graph.dtype.size
        neurons = sum(graph.operations[position].size for position in positions)
        # Terms in float64, masks, and norms twice, as they come from a way and as they go on.
        self._held = neurons * (8 + 2 + 2 * size)
        # Back to the input from a seed, given as an array.
        self._pass = max(
            memory.gradient(graph, [position]) + size * graph.operations[position].size
            for position in positions
        )
        self.inputs_at_a_time = at_a_time(graph, positions, memory_budget, self._held + self._pass)
        self.functions = (
            memory.TENSORFLOW
            + sum(memory.functions(graph, [position]) for position in positions)
            + memory.functions(graph, positions) / 4
        )

    @property
    def beside(self) -> float:
        """The bytes that are held while a way computes norms."""
        return self.functions + self.inputs_at_a_time * self._held

    def with_way(self, cost: Cost, inputs: int, proof: float) -> float:
        """Return the bytes of a first call at its fullest.

        Parameters
        ----------
        cost : Cost
            Of the way to the norms.
        inputs : int
            How many there are.
        proof : float
            The bytes that the proof on first use takes, before all else.
        """
        inputs = min(inputs, self.inputs_at_a_time)
        # TensorFlow uses again what it has held, and keeps it from NumPy.
        arrays = inputs * self._held + max(cost.arrays, inputs * self._pass)
        return self.functions + cost.functions + max(arrays, proof)


class Insens:
    """Omega of some layers of a network.

    With w w of the neurons known, Omega is one vector-Jacobian product: the layer's activity is
    seeded with (m/N) v / (w w) at the neurons of the state and 0 at the others.

    Parameters
    ----------
    graph : Graph
    layers : sequence of HiddenLayer
    memory_budget : int
        In bytes.
    """

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer], memory_budget: int) -> None:
        self._layers = tuple(layers)
        positions = [layer.position for layer in layers]
        self._inputs_at_a_time = Footprint(graph, positions, memory_budget).inputs_at_a_time
        self._passes = Passes(graph, layers)

    def __call__(
        self,
        x: np.ndarray,
        frequencies: Sequence[np.ndarray | None],
        state: str,
        sensitivity: str,
        row_norms: Sequence[Way],
        advance: Callable[[float], None],
    ) -> list[np.ndarray]:
        """Return Omega of each layer, (n, *input_shape).

        Parameters
        ----------
        x : numpy.ndarray, shape (n, *input_shape)
        frequencies : sequence of numpy.ndarray or None
            m/N, one a layer, of the layer's shape; None: all ones.
        state : {"inactive", "active", "all"}
        sensitivity : {"centre", "activity"}
        row_norms : sequence of Way
            What computes w w, each of some of the layers.
        advance : callable
            Called with the number of inputs' worth of work done since.
        """
        maps = [np.empty_like(x) for _ in self._layers]
        for rows in slices(len(x), self._inputs_at_a_time):
            part = x[rows]
            needed, terms = self._terms(part, frequencies, state)
            if sensitivity == "centre":
                norms = self._norms(part, needed, row_norms, advance)
                for layer, term, norm in zip(self._layers, terms, norms):
                    backward = partial(self._passes.backward[layer], part)
                    warn_of_vanished_squares(layer, term, norm, backward)
                    # A neuron with w = 0 has no centre and adds nothing: divided by infinity, it
                    # does.
                    norm[norm == 0] = np.inf
                    term /= norm
            else:
                advance(len(part))
            for layer, term, result in zip(self._layers, terms, maps):
                result[rows] = self._passes.backward[layer](part, term)
        return maps

    def _terms(
        self, x: np.ndarray, frequencies: Sequence[np.ndarray | None], state: str
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return which neurons of each layer are summed over, and v times what each weighs."""
        needed, terms = [], []
        for activity, frequency in zip(self._passes.activities(x), frequencies):
            weight = STATES[state](activity) * (1.0 if frequency is None else frequency)
            needed.append(weight != 0)
            # What is infinite here, 0 times infinity too, is reported with the map.
            with np.errstate(invalid="ignore"):
                terms.append(activity * weight)
        return needed, terms

    def _norms(
        self,
        x: np.ndarray,
        masks: Sequence[np.ndarray],
        row_norms: Sequence[Way],
        advance: Callable[[float], None],
    ) -> list[np.ndarray]:
        """Return w w of each layer's neurons that are summed over, and infinity elsewhere.

        One that is too large for the dtype is NaN, not to pass for one that is not needed.
        """
        needed = {layer.position: mask for layer, mask in zip(self._layers, masks)}
        total = sum(int(mask.sum()) for mask in needed.values())
        norms: dict[int, np.ndarray] = {}
        for way in row_norms:
            mine = {position: needed[position] for position in way.positions}
            share = len(x) * sum(int(mask.sum()) for mask in mine.values()) / max(1, total)
            norms |= way(x, mine, _scaled(advance, share))
        results = []
        for position, mask in needed.items():
            result = np.where(mask, norms.pop(position), np.inf)
            result[mask & np.isinf(result)] = np.nan
            results.append(result)
        return results


def warn_of_vanished_squares(
    layer: HiddenLayer,
    terms: np.ndarray,
    squares: np.ndarray,
    backward: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Warn if neurons pass for such with w = 0 only because w w is too small for the dtype.

    Parameters
    ----------
    layer : HiddenLayer
    terms : numpy.ndarray, shape (n, *layer shape)
        What each neuron's w / (w w) is multiplied by.
    squares : numpy.ndarray, shape (n, *layer shape)
        Each neuron's w w, or about it.
    backward : callable
        From a number a neuron to the sum over neurons of number * w, (n, *input_shape).
    """
    limits = np.finfo(squares.dtype)
    vanished = (terms != 0) & (squares < limits.tiny / limits.eps)
    if not vanished.any():
        return
    # Only if all of these have w = 0 is any sum of them 0. Different numbers keep one from
    # cancelling another.
    numbers = 1 + np.arange(vanished[0].size).reshape(vanished.shape[1:]) / vanished[0].size
    if backward(vanished * numbers).any():
        warnings.warn(
            f"layer {layer.name!r}: some neurons' switched weights are so small that their squares "
            f"are lost in {squares.dtype}, and so are their parts of Insens; rebuild the model in "
            "float64",
            RuntimeWarning,
            stacklevel=2,
        )


def _scaled(advance: Callable[[float], None], share: float) -> Callable[[float], None]:
    return lambda done: advance(done * share)


def _backward_product(graph: Graph, position: int, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return the sum over neurons of seed * w, (n, *input_shape), for seeds (n, *layer shape)."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        (value,) = graph.values(x, [position])
    return tape.gradient(value, x, seed, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def checked_frequency(
    frequency: Any, layers: Sequence[HiddenLayer], *, single: bool
) -> list[np.ndarray | None]:
    """Return m/N of each layer, float64, from what a user gave.

    Parameters
    ----------
    frequency : None, mapping of str to array, or (with `single`) array
    layers : sequence of HiddenLayer
    single : bool
        Whether one layer was asked for, not a list.

    Raises
    ------
    ValueError
        If a layer's frequency is missing, of the wrong shape, or outside 0..1.
    """
    if frequency is None:
        return [None] * len(layers)
    if isinstance(frequency, Mapping):
        missing = [layer.name for layer in layers if layer.name not in frequency]
        if missing:
            raise ValueError(
                f"frequency: expected an entry for layer {missing[0]!r}, found {list(frequency)}; "
                "activation_frequency gives one for every hidden layer"
            )
        given = [frequency[layer.name] for layer in layers]
    elif single:
        given = [frequency]
    else:
        raise ValueError(
            "frequency: expected a mapping from each layer's name to its array for a list of "
            f"layers, came {type(frequency).__name__}; activation_frequency returns one"
        )
    checked: list[np.ndarray | None] = []
    for layer, values in zip(layers, given):
        refuse_masks("frequency", values)
        try:
            array = np.asarray(values)
            if array.dtype.kind not in "buif":
                raise TypeError(f"{array.dtype} is no dtype of real numbers")
            array = array.astype(np.float64, copy=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"frequency of layer {layer.name!r}: expected numbers of shape {layer.shape}, came "
                f"{type(values).__name__} ({error}); use what activation_frequency returns"
            ) from error
        if array.shape != layer.shape:
            raise ValueError(
                f"frequency of layer {layer.name!r}: expected shape {layer.shape}, came "
                f"{array.shape}; use what activation_frequency returns"
            )
        if not ((array >= 0) & (array <= 1)).all():
            raise ValueError(
                f"frequency of layer {layer.name!r}: expected m/N in 0..1, came "
                f"{array.min()}..{array.max()}; divide the counts by the number of samples"
            )
        checked.append(array)
    return checked
