"""Analyzers that explain one neuron: by its switched weights, its centre or its contributions."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.analyzer.neuron_analyzer import NeuronAnalyzer
from insens_tf.analyzer.registry import register
from insens_tf.argument_types import Neurons
from insens_tf.projections import Projection

__all__ = [
    "ProjectionAnalyzer",
    "SwitchedCentreAnalyzer",
    "SwitchedContributionAnalyzer",
    "SwitchedWeightsAnalyzer",
]


class ProjectionAnalyzer(NeuronAnalyzer):
    """Maps of the switched linear projection v = x w + b of one neuron for each input.

    To derive one of your own, write `_map`.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, piecewise linear. What its output goes through (a softmax,
        a ReLU) is looked through: the output's neurons are the logits.
    layer : str, int, HiddenLayer or Keras layer, optional
        Where the neuron is: a hidden layer or the output layer; None: the output layer.
    neuron_selection_mode : {"max_activation", "index", "all"}
        "max_activation": the neuron of the highest activity for this input, the first of several.
        "index": those named at `analyze`. "all": every neuron, each with a map of its own.
    memory_budget : int
        In bytes, how much the arrays of one call may take.
    smooth_activations : {None, "ratio"}
        As for `SwitchedNetwork`.
    disable_model_checks : bool
        As iNNvestigate has it. A model that cannot be read is refused in any case.

    Attributes
    ----------
    network : SwitchedNetwork
        The model as it is analysed.
    layer : HiddenLayer
        The layer of the neurons.

    Raises
    ------
    UnreadableModelError
        A `NotAnalyzeableModelException`, if the model cannot be read.
    ValueError
        If an argument is out of range, or there is no such layer.
    """

    @abstractmethod
    def _map(self, projection: Projection) -> NDArray[Any]:
        """Return the maps of a projection's neurons, (n, k, *input_shape)."""

    def analyze(self, X: Any, neuron_selection: Neurons = None) -> NDArray[Any]:
        """Return the map of a neuron for each input.

        Parameters
        ----------
        X : array, shape (n, *input_shape), or a list of one such array
            The inputs.
        neuron_selection : int, tuple, or sequence of such, optional
            In mode "index", and only there: the neuron, or one for each input. A neuron is a flat
            index or, as a tuple, a multi-index such as (row, column, channel).

        Returns
        -------
        numpy.ndarray, shape (n, *input_shape)
            In the mode "all" (n, neurons of the layer, *input_shape), in the order of flat indices.

        Raises
        ------
        ValueError
            If mode and argument do not fit, a neuron is out of range, X is not finite or of another
            shape, or all maps do not fit the memory budget.

        Warns
        -----
        RuntimeWarning
            If a map is NaN since the neuron's switched weights are all 0.
        """
        mode = self._neuron_selection_mode
        self._check_selection(neuron_selection)
        x = self._inputs(X)
        if mode == "all":
            maps = self._map(self.network.project(x, self.layer))
        else:
            if mode == "index":
                neurons = self._one_for_each(neuron_selection, len(x))
            else:
                activity = np.asarray(self.network.activity(x, self.layer))
                neurons = activity.reshape(len(x), -1).argmax(axis=1)
            maps = np.empty_like(x)
            for neuron in np.unique(neurons):
                rows = np.flatnonzero(neurons == neuron)
                for part in self.network.iterate_projections(x[rows], self.layer, int(neuron)):
                    maps[rows[part.rows]] = self._map(part)[:, 0]
        self._warn_of_undefined(maps.reshape(-1, *x.shape[1:]))
        return maps

    def _warn_of_undefined(self, maps: NDArray[Any]) -> None:
        undefined = np.flatnonzero(np.isnan(maps).reshape(len(maps), -1).any(axis=1))
        if undefined.size:
            warnings.warn(
                f"{undefined.size} of {len(maps)} maps are NaN (the first is number "
                f"{undefined[0]}): the switched weights of their neurons of layer "
                f"{self.layer.name!r} are all 0, so that they have no centre",
                RuntimeWarning,
                stacklevel=3,
            )


@register("switched.weights")
class SwitchedWeightsAnalyzer(ProjectionAnalyzer):
    """The switched weights w = dv/dx with the network's state held (Eq. 2): "switched.weights".

    For the output layer they are what iNNvestigate's "gradient" gives. Parameters are those of
    `ProjectionAnalyzer`.
    """

    def _map(self, projection: Projection) -> NDArray[Any]:
        return projection.weights


@register("switched.centre")
class SwitchedCentreAnalyzer(ProjectionAnalyzer):
    """The centre c = x - v w / (w w), the nearest root (Eq. 4): "switched.centre".

    NaN, with a warning, for a neuron whose switched weights are all 0. Parameters are those of
    `ProjectionAnalyzer`.
    """

    def _map(self, projection: Projection) -> NDArray[Any]:
        return projection.centre


@register("switched.contribution")
class SwitchedContributionAnalyzer(ProjectionAnalyzer):
    """The contributions (x_j - c_j) w_j, whose sum is v (Eq. 5): "switched.contribution".

    NaN, with a warning, for a neuron whose switched weights are all 0. Parameters are those of
    `ProjectionAnalyzer`.
    """

    def _map(self, projection: Projection) -> NDArray[Any]:
        return projection.contribution
