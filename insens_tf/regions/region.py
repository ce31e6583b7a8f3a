"""The linear region that an input lies in: what is in it, how large it is, what bounds it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from insens_tf import inline_html
from insens_tf.argument_types import LayerLike, Neurons
from insens_tf.arguments import one_of, whole_number
from insens_tf.chosen_neurons import chosen_neurons
from insens_tf.chunks import readable_size
from insens_tf.data_frames import columns_of, data_frame
from insens_tf.read_network import ReadNetwork
from insens_tf.regions.region_functions import Hyperplanes, RegionFunctions
from insens_tf.regions.weight_norms import DUAL_ORDERS

__all__ = ["NearBoundary", "Region"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NearBoundary:
    """A boundary of a region, and where it is nearest to the input.

    Attributes
    ----------
    layer : str
        The hidden layer of the neuron that switches there, or the layer that pools.
    kind : {"gate", "max pooling"}
    index : tuple of int
        The neuron, or the window by its place in the pooling's output.
    other : tuple of int or None
        Of max pooling the element of the pooling's operand that wins beyond; of a gate None.
    distance : float
        From the input, in the norm that was asked for.
    point : numpy.ndarray of float64, shape (*input_shape)
        The point of the boundary, extended beyond the region, that is nearest to the input.
    """

    layer: str
    kind: str
    index: tuple[int, ...]
    other: tuple[int, ...] | None
    distance: float
    point: Floats

    def __repr__(self) -> str:
        other = "" if self.other is None else f", {self.other} wins beyond"
        return f"<{self.kind} of {self.layer!r} {self.index}{other}: {self.distance:.4g} away>"


class Region:
    """The linear region of a network that an input lies in.

    Within it no gate and no max pooling changes its state, so that the whole network is one affine
    map. Comes from :meth:`insens_tf.SwitchedNetwork.region`; all is computed in float64.

    Attributes
    ----------
    x : numpy.ndarray of float64, shape (*input_shape)
        The input.
    key : str
        A hash of the state: two inputs of one network have the same if and only if they lie in the
        same region, hash collisions aside.
    """

    def __init__(
        self,
        network: ReadNetwork,
        functions: RegionFunctions,
        x: Floats,
        weights: NDArray[np.floating],
    ) -> None:
        self.x = x
        self._network = network
        self._functions = functions
        self._weights = weights
        self._states = functions.states(x[np.newaxis])
        self._distances: dict[str, Floats] = {}
        digest = hashlib.blake2b(digest_size=16)
        for state in self._states:
            digest.update(state.tobytes())
        self.key = digest.hexdigest()

    def __repr__(self) -> str:
        return f"Region({self.key})"

    def _repr_html_(self) -> str:
        image = inline_html.figure(inline_html.input_picture(self.x), "x")
        return inline_html.drawn([image]) + inline_html.paragraphs(
            f"The linear region {self.key} of a network, that x lies in"
        )

    def contains(self, z: ArrayLike) -> NDArray[np.bool_] | bool:
        """Tell whether inputs lie in this region: whether their state is the same.

        Parameters
        ----------
        z : array, shape (*input_shape) or (n, *input_shape)

        Returns
        -------
        bool, or numpy.ndarray of bool, shape (n,)

        Raises
        ------
        ValueError
            If z is not finite or of another shape.
        RuntimeError
            If the weights have changed since the region was computed.
        """
        self._check_unchanged()
        one = np.shape(z) == self.x.shape
        inputs = self._network.in_float64(np.asarray(z)[np.newaxis] if one else z, "z")
        same = np.ones(len(inputs), np.bool_)
        for rows in self._functions.slices(len(inputs), self._functions.decisive):
            for state, here in zip(self._functions.states(inputs[rows]), self._states):
                same[rows] &= (state == here).all(axis=1)
        return bool(same[0]) if one else same

    def radius(self, norm: str = "l2", *, effective: bool = False, ties: bool = True) -> float:
        """Return how far the nearest boundary is: the radius of the largest ball inside.

        Parameters
        ----------
        norm : {"l2", "linf", "l1"}
            What distances are measured in.
        effective : bool
            Leave out boundaries beyond which no output depends on anything else: of a neuron or a
            window that no output depends on in this state. Such as a neuron that loses its pooling.
        ties : bool
            Count boundaries that the input lies on. Where an image has a constant area, elements of
            a max pooling's window are equal, and so the radius is 0.

        Returns
        -------
        float
            Infinity if there is no boundary.
        """
        return float(self._measured(norm, effective, ties).min(initial=np.inf))

    @property
    def ties(self) -> int:
        """How many boundaries the input lies on."""
        distances = self._measured(next(iter(self._distances), "l2"), False, True)
        return int(np.count_nonzero(distances == 0))

    def nearest(
        self, count: int = 10, norm: str = "l2", *, effective: bool = False, ties: bool = True
    ) -> list[NearBoundary]:
        """Return the boundaries that are nearest to the input, the nearest first.

        Parameters
        ----------
        count : int
            How many, at most.
        norm, effective, ties
            As for `radius`.
        """
        count = whole_number("count", count, least=1)
        distances = self._measured(norm, effective, ties)
        return [
            self._described(int(plane), norm, float(distances[plane]))
            for plane in np.argsort(distances, kind="stable")[:count]
            if np.isfinite(distances[plane])
        ]

    def to_pandas(
        self, count: int = 10, norm: str = "l2", *, effective: bool = False, ties: bool = True
    ) -> Any:
        """Return `nearest` as a pandas.DataFrame, a row a boundary.

        Parameters and errors are those of `nearest`.

        Returns
        -------
        pandas.DataFrame
            Its columns are `NearBoundary`'s layer, kind, index, other and distance.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        found = self.nearest(count, norm, effective=effective, ties=ties)
        return data_frame(columns_of(NearBoundary, found, without=("point",)))

    def affine(
        self, layer: LayerLike | None = None, neurons: Neurons = None
    ) -> tuple[Floats, Floats]:
        """Return the affine map that neurons are in this region: v = sum(w * x) + b.

        Parameters
        ----------
        layer : str, int, HiddenLayer or Keras layer, optional
            A hidden layer or an output layer. None: the output.
        neurons : int, tuple of int, sequence of int or of tuples, optional
            Flat indices or multi-indices. None: all of the layer.

        Returns
        -------
        w : numpy.ndarray of float64, shape (k, *input_shape)
        b : numpy.ndarray of float64, shape (k,)

        Raises
        ------
        ValueError
            If there is no such layer or neuron, or w does not fit the memory budget.
        RuntimeError
            If the weights have changed since the region was computed.
        """
        self._check_unchanged()
        found = self._network.output if layer is None else self._network.layer(layer)
        chosen = chosen_neurons(found, neurons)
        size = 8 * len(chosen) * self.x.size
        if size > self._network.memory_budget:
            raise ValueError(
                f"the affine map of {len(chosen)} neurons of layer {found.name!r} needs "
                f"{readable_size(size)}, more than the memory budget of "
                f"{readable_size(self._network.memory_budget)}; choose fewer neurons, or build the "
                "SwitchedNetwork with a larger memory_budget"
            )
        values, weights = self._functions.switched_weights(self.x, found.position, chosen)
        return weights, values - np.tensordot(weights, self.x, axes=self.x.ndim)

    def class_margin(self, norm: str = "l2") -> float:
        """Return how far it is to where another logit is as large as the largest, in this region.

        Parameters
        ----------
        norm : {"l2", "linf", "l1"}

        Returns
        -------
        float
            Infinity if no other logit grows against the largest one. Of a single logit: how far it
            is to where its sign changes.
        """
        one_of("norm", norm, tuple(DUAL_ORDERS))
        weights, bias = self.affine()
        logits = np.tensordot(weights, self.x, axes=self.x.ndim) + bias
        if len(logits) > 1:
            largest = int(logits.argmax())
            logits = np.delete(logits[largest] - logits, largest)
            weights = np.delete(weights[largest] - weights, largest, axis=0)
        order = DUAL_ORDERS[norm]
        sizes = np.array([np.linalg.norm(one.reshape(-1), order) for one in weights])
        with np.errstate(divide="ignore", invalid="ignore"):
            distances = np.where(sizes > 0, np.abs(logits) / sizes, np.inf)
        return float(distances.min())

    def _check_unchanged(self) -> None:
        self._network.check_weights(self._weights, "region", "network.region(region.x)")

    @cached_property
    def _planes(self) -> Hyperplanes:
        return self._functions.hyperplanes(self.x, self._states)

    @cached_property
    def _is_effective(self) -> NDArray[np.bool_]:
        """Of each hyperplane whether an output depends on what switches there."""
        masks = self._functions.effective(self.x)
        result = np.zeros(len(self._planes), np.bool_)
        for which, mask in enumerate(masks):
            mine = self._planes.which == which
            result[mine] = mask[self._planes.index[mine]]
        return result

    def _measured(self, norm: str, effective: bool, ties: bool) -> Floats:
        """Return the distance of each hyperplane."""
        one_of("norm", norm, tuple(DUAL_ORDERS))
        self._check_unchanged()
        if norm not in self._distances:
            self._distances[norm] = self._functions.distances(self.x, self._planes, norm)
        distances = self._distances[norm]
        counts = np.ones(len(distances), np.bool_)
        if effective:
            counts &= self._is_effective
        if not ties:
            counts &= self._planes.value != 0
        return np.where(counts, distances, np.inf)

    def _described(self, plane: int, norm: str, distance: float) -> NearBoundary:
        planes = self._planes
        boundary = self._functions.boundaries[planes.which[plane]]
        index, other = planes.index[plane], planes.other[plane]
        _, (weights,) = self._functions.switched_weights(
            self.x, int(planes.position[plane]), index[np.newaxis]
        )
        return NearBoundary(
            boundary.name,
            boundary.kind,
            _multi_index(index, boundary.shape),
            None if other < 0 else _multi_index(other, boundary.operand_shape),
            distance,
            self.x - planes.value[plane] * _STEPS[norm](weights),
        )


def _multi_index(flat: np.integer[Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(one) for one in np.unravel_index(flat, shape))


def _largest_alone(weights: Floats) -> Floats:
    step = np.zeros(weights.size)
    largest = np.abs(weights).argmax()
    step[largest] = 1 / weights.flat[largest]
    return step.reshape(weights.shape)


# The shortest step, by each norm, along which a value with these weights grows by 1.
_STEPS: dict[str, Callable[[Floats], Floats]] = {
    "l2": lambda weights: weights / np.sum(weights**2),
    "linf": lambda weights: np.sign(weights) / np.abs(weights).sum(),
    "l1": _largest_alone,
}
