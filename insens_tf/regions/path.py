"""The straight line between two inputs: where the state changes on it, and exact integrals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insens_tf import inline_html
from insens_tf.argument_types import LayerLike, Neurons
from insens_tf.arguments import one_of
from insens_tf.chosen_neurons import chosen_neurons
from insens_tf.data_frames import data_frame
from insens_tf.progress import progress_of_inputs
from insens_tf.read_network import ReadNetwork
from insens_tf.regions.boundaries import labels_of
from insens_tf.regions.line_states import LineStates
from insens_tf.regions.region_functions import RegionFunctions

__all__ = ["Crossings", "Path"]


@dataclass(frozen=True)
class Crossings:
    """What switches along a path: m neurons of gates and windows of max poolings, in order.

    Attributes
    ----------
    t : numpy.ndarray of float64, shape (m,)
        Where on the path, in (0, 1).
    layer : numpy.ndarray of str, shape (m,)
        The hidden layer of the neuron, or the layer that pools.
    kind : numpy.ndarray of str, shape (m,)
        "gate" or "max pooling".
    index : numpy.ndarray of int, shape (m,)
        The flat index of the neuron, or of the window in the pooling's output.
    before, after : numpy.ndarray of int, shape (m,)
        The state on either side: of a neuron 0 for inactive, 1 for active, 2 from a ceiling on; of
        a window the flat index, in the pooling's operand, of the winner.
    """

    t: NDArray[np.float64]
    layer: NDArray[np.str_]
    kind: NDArray[np.str_]
    index: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        return f"Crossings({len(self)} at {len(np.unique(self.t))} places)"

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row a crossing; its columns are the attributes.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        return data_frame(vars(self))


class Path:
    """The straight line a + t (b - a), 0 <= t <= 1, through the linear regions of a network.

    Comes from :meth:`insens_tf.SwitchedNetwork.path`. All is computed in float64, whatever the
    network's dtype, without sampling and without bisection.

    Attributes
    ----------
    start, end : numpy.ndarray of float64, shape (*input_shape)
        a and b.
    breakpoints : numpy.ndarray of float64, shape (k,)
        The places t in (0, 1), in order, at which the state of the network changes: between two of
        them all that it computes is affine in t. Changes less than 1e-12 apart are at one place.
    crossings : Crossings
        What switches there.
    """

    def __init__(
        self,
        network: ReadNetwork,
        functions: RegionFunctions,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        weights: NDArray[np.floating],
        *,
        progress: bool,
    ) -> None:
        self.start = start
        self.end = end
        self._network = network
        self._functions = functions
        self._boundaries = functions.boundaries
        self._weights = weights
        self._find_crossings(progress)

    def _check_unchanged(self) -> None:
        anew = "network.path(path.start, path.end)"
        self._network.check_weights(self._weights, "path", anew)

    def _find_crossings(self, progress: bool) -> None:
        with progress_of_inputs("regions on the line", 1, progress) as advance:
            self._states = LineStates(self._functions.line, self.start, self.end, advance)
        self.breakpoints = self._states.breakpoints
        columns: list[tuple[NDArray[Any], ...]] = [(np.zeros(0, np.int64),) * 5]
        for number, boundary in enumerate(self._boundaries):
            _, *changes = self._states.by_position[boundary.position]
            columns.append((np.full(len(changes[0]), number), *changes))
        which, part, index, before, after = (np.concatenate(one) for one in zip(*columns))
        order = np.lexsort((index, which, part))
        self._which = which[order]
        self.crossings = Crossings(
            self.breakpoints[part[order] - 1],
            *labels_of(self._boundaries, self._which),
            *(one[order].astype(np.int64) for one in (index, before, after)),
        )

    def __repr__(self) -> str:
        return (
            f"Path({len(self.breakpoints)} breakpoints, {len(self.crossings)} crossings between "
            f"inputs {float(np.linalg.norm(self.end - self.start)):.4g} apart)"
        )

    def activity(self, t: ArrayLike, layer: LayerLike) -> NDArray[np.float64]:
        """Return v of a layer at places of the path.

        Parameters
        ----------
        t : float, or array of shape (k,)
            In 0..1.
        layer : str, int, HiddenLayer or Keras layer
            A hidden layer or an output layer.

        Returns
        -------
        numpy.ndarray of float64, shape (*layer shape), or (k, *layer shape) for an array

        Raises
        ------
        ValueError
            If there is no such layer, or t is not within 0..1.
        RuntimeError
            If the weights have changed since the path was computed.
        """
        chosen = self._network.layer(layer)
        places = np.asarray(t, np.float64)
        if places.ndim > 1 or not ((places >= 0) & (places <= 1)).all():
            raise ValueError(
                f"t={t!r}: expected a place on the path in 0..1, or an array (k,) of such"
            )
        self._check_unchanged()
        values = self._values(np.atleast_1d(places), chosen.position)
        return values if places.ndim else values[0]

    def _repr_html_(self) -> str:
        ends = {"start": self.start, "end": self.end}
        pictures = [
            inline_html.figure(inline_html.input_picture(one), name) for name, one in ends.items()
        ]
        said = f"A straight line through {len(self.breakpoints) + 1:,} linear regions"
        rows = [(name, f"{count:,}") for name, count in self.state_changes().items()]
        changes = inline_html.table(("layer", "state changes"), rows, numbers=1)
        return inline_html.drawn(pictures) + inline_html.paragraphs(said) + changes

    def state_changes(self, by: str = "layer", *, effective: bool = False) -> dict[str, int]:
        """Return how often the state changes along the path.

        Parameters
        ----------
        by : {"layer", "kind"}
            Counted for each hidden layer and pooling, or for gates and poolings.
        effective : bool
            Count only what is effective.

        Returns
        -------
        dict of str to int
            In the network's order, those without a change included.
        """
        one_of("by", by, ("layer", "kind"))
        labels = [one.name if by == "layer" else one.kind for one in self._boundaries]
        which = self._which[self.effective] if effective else self._which
        counts = np.bincount(which, minlength=len(labels))
        changes: dict[str, int] = {}
        for label, count in zip(labels, counts):
            changes[label] = changes.get(label, 0) + int(count)
        return changes

    @cached_property
    def effective(self) -> NDArray[np.bool_]:
        """Which crossings change the switched weights of an output there, shape (m,).

        A crossing is effective if, with the state held as it is on one side of it, some output
        depends on the neuron (or on the window) that switches. That of a neuron which loses its
        max pooling is not.
        """
        self._check_unchanged()
        place = np.searchsorted(self.breakpoints, self.crossings.t)
        effective = np.zeros(len(self.crossings), np.bool_)
        of_boundary = {one.position: which for which, one in enumerate(self._boundaries)}

        def see(parts: slice, position: int, seen: Any, group: NDArray[np.int64]) -> None:
            among = (place >= parts.start) & (place < parts.stop - 1)
            chosen = np.flatnonzero(among & (self._which == of_boundary[position]))
            flat = seen.reshape(len(seen), -1)
            for side in (0, 1):
                rows = group[place[chosen] - parts.start + side]
                effective[chosen] |= flat[rows, self.crossings.index[chosen]] != 0

        seeds = self._functions.output_seeds
        integral = self._functions.integral(list(seeds))
        integral.look(self._states, seeds, see)
        return effective

    def integrated_gradients(
        self,
        layer: LayerLike | None = None,
        neurons: Neurons = None,
        *,
        progress: bool = True,
    ) -> NDArray[np.float64]:
        """Return integrated gradients of neurons from a to b: exact, without steps.

        The integral of a neuron's switched weights along the path, times b - a; its sum over the
        input is v(b) - v(a) unless an activation jumps.

        Parameters
        ----------
        layer : str, int, HiddenLayer or Keras layer, optional
            A hidden layer or an output layer. None: the output.
        neurons : int, tuple of int, sequence of int or of tuples, optional
            Flat indices or multi-indices. None: the strongest at b.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        numpy.ndarray of float64, shape (k, *input_shape)

        Raises
        ------
        ValueError
            If there is no such layer or neuron.
        RuntimeError
            If the weights have changed since the path was computed.

        References
        ----------
        M. Sundararajan, A. Taly, Q. Yan: Axiomatic Attribution for Deep Networks, ICML 2017; exact
        as M. Sotoudeh, A. V. Thakur: Computing Linear Restrictions of Neural Networks, NeurIPS
        2019.
        """
        found = self._network.output if layer is None else self._network.layer(layer)
        self._check_unchanged()
        if neurons is None:
            strength = self._values(np.ones(1), found.position)
            chosen = np.array([int(strength.argmax())])
        else:
            chosen = chosen_neurons(found, neurons)
        integral = self._functions.integral([found.position])
        results = np.empty((len(chosen), *self.start.shape))
        parts = len(self.breakpoints) + 1
        what = f"integrated gradients over {parts:,} parts"
        with progress_of_inputs(what, len(chosen), progress) as advance:
            for result, neuron in zip(results, chosen):
                seed = np.zeros(found.neurons)
                seed[neuron] = 1
                seeds = {found.position: seed.reshape(1, *found.shape)}
                mean = integral(self._states, seeds, advance)
                result[...] = mean * (self.end - self.start)
        return results

    def _values(self, t: NDArray[np.float64], position: int) -> NDArray[np.float64]:
        """Evaluate a position of the graph at places of the path, (len(t), *shape)."""
        places = t.reshape(-1, *(1,) * self.start.ndim)
        parts = [
            self._functions.values(self.start + places[some] * (self.end - self.start), [position])
            for some in self._functions.slices(len(t), [position])
        ]
        shape = self._functions.graph.operations[position].shape
        return np.concatenate([np.zeros((0, *shape)), *(values for (values,) in parts)])
