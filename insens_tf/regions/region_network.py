"""What a network says of its linear regions: the methods that `SwitchedNetwork` has for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from insens_tf.argument_types import LayerLike
from insens_tf.arguments import finite_number, one_of, whole_number
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.progress import progress_bar, progress_of_inputs
from insens_tf.read_network import ReadNetwork
from insens_tf.regions.boundaries import GateBoundary, PoolingBoundary, boundaries_of
from insens_tf.regions.margins import BoundaryMargins, Margins
from insens_tf.regions.path import Path
from insens_tf.regions.plane_slice import Slice
from insens_tf.regions.region import Region
from insens_tf.regions.region_functions import RegionFunctions
from insens_tf.regions.state_difference import StateDifference, state_difference
from insens_tf.regions.weight_norms import DUAL_ORDERS

__all__ = ["RegionNetwork"]


MOST_REGIONS = 100_000
"""Of a slice, unless told otherwise."""


class RegionNetwork(ReadNetwork):
    """A network that was read, with the geometry of its linear regions."""

    @overload
    def margins(
        self, x: Any, layer: LayerLike, norm: str = "l2", *, progress: bool = True
    ) -> NDArray[Any]: ...

    @overload
    def margins(
        self, x: Any, layer: Sequence[LayerLike], norm: str = "l2", *, progress: bool = True
    ) -> dict[str, NDArray[Any]]: ...

    def margins(
        self,
        x: Any,
        layer: LayerLike | Sequence[LayerLike],
        norm: str = "l2",
        *,
        progress: bool = True,
    ) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """Return how far each neuron of a layer is from where it switches, within its region.

        abs(v) over the norm of w, for "l2" the length of x - c (Eq. 4 of the paper): the distance
        to the hyperplane on which the neuron switches, or has its ceiling if that is nearer. If
        another neuron switches before, it may be further, or nearer.

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
        layer : str, int, HiddenLayer, Keras layer, or list of them
            One hidden layer, or several in one sweep.
        norm : {"l2", "linf", "l1"}
            What distances are measured in.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        numpy.ndarray, shape (n, *layer shape), or dict of str to such for a list
            In the network's dtype: positive where the neuron is active, else negative. Infinite
            where w = 0: such a neuron does not switch within its region.

        Raises
        ------
        ValueError
            If an argument is wrong, or the network was read with smooth activations, so that it
            has no regions.
        """
        layers, single, inputs = self._checked(layer, x)
        margins, _ = self._margins(inputs, layers, (), norm, progress)
        if single:
            return margins[0]
        return {one.name: found for one, found in zip(layers, margins)}

    def boundary_margins(
        self, x: Any, norm: str = "l2", *, progress: bool = True
    ) -> BoundaryMargins:
        """Return how far inputs are from every boundary of their linear regions, in one sweep.

        The margins of all hidden layers and, at (v_winner - v_loser) / |w_winner - w_loser|, of
        the windows of max pooling, Maximum and Minimum. In the network's dtype and for many
        inputs; of one, `region` has the boundaries one by one, in float64.

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
        norm : {"l2", "linf", "l1"}
            What distances are measured in.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        BoundaryMargins
            `neurons` by hidden layer, `windows` by layer that pools, and `nearest()`, each
            region's radius.

        Raises
        ------
        ValueError
            If an argument is wrong, or the network was read with smooth activations, so that it
            has no regions.
        """
        layers, _, inputs = self._checked(list(self.layers), x)
        positions = [one.position for one in self.outputs]
        poolings = [
            one
            for one in boundaries_of(self._graph, positions, self.layers)
            if isinstance(one, PoolingBoundary)
        ]
        of_layers, of_poolings = self._margins(inputs, layers, poolings, norm, progress)
        return BoundaryMargins(
            {one.name: found for one, found in zip(layers, of_layers)},
            {one.name: found for one, found in zip(poolings, of_poolings)},
        )

    def _margins(
        self,
        inputs: NDArray[Any],
        layers: Sequence[HiddenLayer],
        poolings: Sequence[PoolingBoundary],
        norm: str,
        progress: bool,
    ) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Return the margins of layers and of poolings' windows, from one sweep."""
        one_of("norm", norm, tuple(DUAL_ORDERS))
        compiled = self._compiled.kept(
            ("margins", norm, *layers, *(one.position for one in poolings)),
            lambda: Margins(
                self._graph, layers, self._thresholds(), poolings, norm, self.memory_budget
            ),
        )
        of_layers: list[NDArray[Any]]
        of_poolings: list[NDArray[Any]]
        with progress_of_inputs("margins", len(inputs), progress) as advance:
            of_layers, of_poolings = compiled(inputs, advance)
        for one, found in zip(layers, of_layers):
            if np.isnan(found).any():
                raise self._too_large(one)
        return of_layers, of_poolings

    def region(self, x: Any) -> Region:
        """Return the linear region that an input lies in.

        Parameters
        ----------
        x : array, shape (*input_shape)
            One input.

        Returns
        -------
        Region
            With its `key`, `contains`, `radius`, the `nearest` boundaries, and the `affine` map.

        Raises
        ------
        ValueError
            If x is not finite or of another shape, or the network was read with smooth
            activations, so that it has no regions.

        Examples
        --------
        >>> region = network.region(x_test[0])
        >>> w, b = region.affine()
        >>> logits = np.sum(w * x_test[0], axis=(1, 2, 3)) + b
        >>> bool(np.allclose(logits, network.activity(x_test[:1], network.output)[0], atol=1e-5))
        True
        >>> region.contains(x_test[:2]).tolist()
        [True, False]
        """
        self._read_what_changed()
        one = self.one_in_float64(x, "x")
        weights = self.prove(one[np.newaxis].astype(self.dtype))
        return Region(self, self._region_functions(), one, weights)

    def same_region(self, a: Any, b: Any) -> StateDifference:
        """Compare the states of pairs of inputs: whether each pair lies in one linear region.

        Parameters
        ----------
        a, b : array, shape (n, *input_shape)
            The inputs, n pairs.

        Returns
        -------
        StateDifference
            `same` of each pair, and what differs: layer, neuron or window, and both states.

        Raises
        ------
        ValueError
            If a or b is not finite or of another shape, they are not as many, or the network was
            read with smooth activations.
        """
        self._read_what_changed()
        first, second = self.in_float64(a, "a"), self.in_float64(b, "b")
        if len(first) != len(second):
            raise ValueError(
                f"b: expected as many inputs as a has, {len(first)}, came {len(second)}; pairs are "
                "compared"
            )
        self.prove(first.astype(self.dtype))
        return state_difference(self._region_functions(), first, second)

    def certified_radius(
        self, x: Any, norm: str = "l2", *, progress: bool = True
    ) -> NDArray[np.float64]:
        """Return a distance within which neither the state nor the class of an input changes.

        The radius of its linear region, or the distance at which another logit becomes as large as
        the largest one, whichever is less. A lower bound: the class may stay the same much further.
        It is 0 for an input that lies on a boundary, as images with constant areas do where their
        pixels tie in a max pooling.

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
        norm : {"l2", "linf", "l1"}
            What distances are measured in.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        numpy.ndarray of float64, shape (n,)
            For one logit alone, a class is its sign.

        Raises
        ------
        ValueError
            If x is not finite or of another shape, the output is no vector of logits, or the
            network was read with smooth activations.
        """
        self._read_what_changed()
        output = self.output
        if len(output.shape) != 1:
            raise ValueError(
                f"output {output.name!r} has shape {output.shape}: expected a vector of logits, "
                "one a class; region(x[0]).radius() is of the state alone"
            )
        one_of("norm", norm, tuple(DUAL_ORDERS))
        inputs = self.in_float64(x)
        weights = self.prove(inputs.astype(self.dtype))
        radii = np.empty(len(inputs))
        for row in progress_bar(range(len(inputs)), shown=progress, desc="regions", unit="input"):
            region = Region(self, self._region_functions(), inputs[row], weights)
            radii[row] = min(region.radius(norm), region.class_margin(norm))
        return radii

    def path(self, a: Any, b: Any, *, progress: bool = True) -> Path:
        """Return the straight line between two inputs, and where the state changes on it.

        Exact, in float64 whatever the network's dtype; a line through a convolutional network
        changes the state thousands of times.

        Parameters
        ----------
        a, b : array, shape (*input_shape)
            The inputs, one each.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        Path
            With `breakpoints`, `crossings`, `activity`, `state_changes`, and exact
            `integrated_gradients` of any neuron.

        Raises
        ------
        ValueError
            If a or b is not finite or of another shape, or the network was read with smooth
            activations, so that it has no regions.

        Examples
        --------
        >>> path = network.path(np.zeros_like(x_test[0]), x_test[0])
        >>> sum(path.state_changes().values()) == len(path.crossings)
        True
        >>> path.integrated_gradients(neurons=[3, 7]).shape
        (2, 28, 28, 1)
        """
        self._read_what_changed()
        start, end = self.one_in_float64(a, "a"), self.one_in_float64(b, "b")
        weights = self.prove(np.stack([start, end]).astype(self.dtype))
        return Path(self, self._region_functions(), start, end, weights, progress=progress)

    def slice(
        self,
        a: Any,
        b: Any,
        c: Any,
        *,
        margin: float = 0.0,
        most_regions: int = MOST_REGIONS,
        progress: bool = True,
    ) -> Slice:
        """Return the plane through three inputs, cut into the polygons of its linear regions.

        Exact, in float64 whatever the network's dtype. The regions grow with the square of what the
        lines between the inputs cross: of a convolutional network take inputs near to each other.

        Parameters
        ----------
        a, b, c : array, shape (*input_shape)
            The inputs, one each.
        margin : float
            By how much of its sides the window, a rectangle around the inputs, is wider all round.
        most_regions : int
            More are refused.
        progress : bool
            Whether to count the regions on a bar where it takes longer.

        Returns
        -------
        Slice
            With `polygons`, `outputs`, `states`, and `plot`.

        Raises
        ------
        ValueError
            If an input is not finite or of another shape, they lie on one line, there are more
            regions, several outputs, or the network was read with smooth activations.
        """
        self._read_what_changed()
        given = {"a": a, "b": b, "c": c}
        inputs = np.stack([self.one_in_float64(one, name) for name, one in given.items()])
        wider = finite_number("margin", margin, least=0)
        most = whole_number("most_regions", most_regions, least=1)
        weights = self.prove(inputs.astype(self.dtype))
        return Slice(
            self,
            self._region_functions(),
            inputs,
            weights,
            margin=wider,
            most_regions=most,
            progress=progress,
        )

    def _thresholds(self) -> dict[int, list[float]]:
        """Return, by a hidden layer's position, at which activities its neurons switch."""
        found: dict[int, list[float]] = {}
        positions = [one.position for one in self.outputs]
        for boundary in boundaries_of(self._graph, positions, self.layers):
            if isinstance(boundary, GateBoundary):
                found.setdefault(boundary.operand, []).extend(boundary.thresholds)
        return found

    def _region_functions(self) -> RegionFunctions:
        positions = [one.position for one in self.outputs]
        functions: RegionFunctions = self._compiled.kept(
            ("regions",),
            lambda: RegionFunctions(self._graph, positions, self.layers, self.memory_budget),
        )
        return functions
