"""The analyzer "insens": which of the input keeps a layer's inactive neurons inactive."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from insens_tf.activation_frequency import ActivationFrequency
from insens_tf.analyzer.base import SwitchedAnalyzer
from insens_tf.analyzer.registry import register
from insens_tf.argument_types import FrequencyLike, LayerLike, Neurons
from insens_tf.arguments import one_of
from insens_tf.batches import BATCH_SIZE
from insens_tf.errors import NoHiddenLayerError
from insens_tf.frequency_check import checked_frequency
from insens_tf.innvestigate_contract import NEURON_SELECTION_MODES
from insens_tf.insens import SENSITIVITIES, STATES
from insens_tf.layers import HiddenLayer

__all__ = ["InsensAnalyzer", "UnfittedWarning"]

NO_SELECTION = (
    "Insens has no neuron to select: its map sums over all neurons of a layer that are in `state`. "
    "For one neuron, use 'switched.contribution' or SwitchedNetwork.project"
)


class UnfittedWarning(UserWarning):
    """Insens was computed without the activation frequencies m/N: each neuron weighs 1."""


@register("insens")
class InsensAnalyzer(SwitchedAnalyzer):
    """Inactive state sensitivity of a hidden layer (Eq. 8): "insens".

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, piecewise linear but for what its output goes through.
    layer : str, int, HiddenLayer, Keras layer, or list of them, optional
        One hidden layer, or several in one sweep; None: the last one, the penultimate layer.
    frequency : mapping of str to array, or array of the layer's shape, optional
        m/N in 0..1, where it is known already; otherwise `fit` learns it.
    state : {"inactive", "active", "all"}
        Which neurons are summed over; the paper's is "inactive".
    sensitivity : {"centre", "activity"}
        What is summed: omega = x - c (the default), or omega = v w.
    neuron_selection_mode : {"all"}
        There is nothing to select: a map sums over all neurons of the layer that are in `state`.
    memory_budget : int
        In bytes, how much the arrays of one call may take beyond its results.
    smooth_activations : {None, "ratio"}
        As for `SwitchedNetwork`.
    progress : bool
        Whether to show a progress bar where an analysis takes longer.
    disable_model_checks : bool
        As iNNvestigate has it. A model that cannot be read is refused in any case.

    Attributes
    ----------
    network : SwitchedNetwork
        The model as it is analysed.
    layer : HiddenLayer or list of HiddenLayer
        What is analysed.
    frequency_ : mapping of str to array, or None
        m/N by layer, an `ActivationFrequency` after `fit`; None before, unless it was given.

    Raises
    ------
    UnreadableModelError, NoHiddenLayerError
        `NotAnalyzeableModelException`, if the model cannot be read or has no hidden layer.
    ValueError
        If an argument is out of range, or there is no such hidden layer.
    """

    frequency_: Mapping[str, NDArray[Any]] | None

    def __init__(
        self,
        model: Any,
        *,
        layer: LayerLike | Sequence[LayerLike] | None = None,
        frequency: FrequencyLike = None,
        state: str = "inactive",
        sensitivity: str = "centre",
        neuron_selection_mode: str = "all",
        memory_budget: int = 512 * 2**20,
        smooth_activations: str | None = None,
        progress: bool = True,
        disable_model_checks: bool = False,
    ) -> None:
        one_of("neuron_selection_mode", neuron_selection_mode, NEURON_SELECTION_MODES)
        if neuron_selection_mode != "all":
            raise ValueError(
                f"neuron_selection_mode={neuron_selection_mode!r}: expected 'all', as "
                f"{NO_SELECTION}"
            )
        super().__init__(
            model,
            neuron_selection_mode=neuron_selection_mode,
            memory_budget=memory_budget,
            smooth_activations=smooth_activations,
            disable_model_checks=disable_model_checks,
        )
        if not self.network.layers:
            raise NoHiddenLayerError(
                f"model {model.name!r}: expected a hidden layer (one that a ReLU follows), found "
                "none, so that no neuron can be inactive; 'switched.weights' and its kin analyse "
                "the output of such a model"
            )
        self.layer = self._layers(-1 if layer is None else layer, output=False)
        self.state = one_of("state", state, STATES)
        self.sensitivity = one_of("sensitivity", sensitivity, SENSITIVITIES)
        self.progress = bool(progress)
        self.frequency_ = self._checked_frequency(frequency)
        self._has_warned = False

    def fit(
        self, X: Any, *, batch_size: int = BATCH_SIZE, steps: int | None = None, verbose: Any = True
    ) -> InsensAnalyzer:
        """Learn in what share of the training samples each neuron is active: m/N of Eq. 8.

        Parameters
        ----------
        X : array, tf.data.Dataset, Keras Sequence or generator
            The training inputs, (N, *input_shape), or batches: inputs, or tuples of inputs, labels.
        batch_size : int
            How many samples of an array at a time; other data has batches of its own.
        steps : int, optional
            How many batches to take; None: all there are.
        verbose : bool or int
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        InsensAnalyzer
            This one, with `frequency_` set anew.

        Raises
        ------
        ValueError
            If X is empty, endless without `steps`, or its inputs are not finite or of another
            shape.
        """
        self.frequency_ = self.network.activation_frequency(
            self._unwrapped(X),
            self._analysed(),
            batch_size=batch_size,
            steps=steps,
            progress=bool(verbose),
        )
        return self

    def analyze(
        self, X: Any, neuron_selection: Neurons = None
    ) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """Return Insens of each input.

        Parameters
        ----------
        X : array, shape (n, *input_shape), or a list of one such array
            The inputs.
        neuron_selection : None
            There is nothing to select.

        Returns
        -------
        numpy.ndarray, shape (n, *input_shape), or dict of str to such for a list of layers
            Positive: brighter keeps the state; negative: darker does.

        Raises
        ------
        ValueError
            If neurons are selected, or X is not finite or of another shape.

        Warns
        -----
        UnfittedWarning
            Once, if the frequencies are not known.
        """
        if neuron_selection is not None:
            raise ValueError(
                f"neuron_selection={neuron_selection!r}: expected None, as {NO_SELECTION}"
            )
        x = self._inputs(X)
        if self.frequency_ is None and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                "Insens without activation frequencies: every neuron weighs 1, whether it is "
                "active in most training samples or in none, where Eq. 8 weighs it by m/N. Call "
                "fit(x_train) first, or pass frequency=",
                UnfittedWarning,
                stacklevel=2,
            )
        return self.network.insens(
            x,
            self.layer,
            self.frequency_,
            state=self.state,
            sensitivity=self.sensitivity,
            progress=self.progress,
        )

    def _analysed(self) -> list[HiddenLayer]:
        return self.layer if isinstance(self.layer, list) else [self.layer]

    def _checked_frequency(self, frequency: FrequencyLike) -> Mapping[str, NDArray[Any]] | None:
        if frequency is None:
            return None
        single = not isinstance(self.layer, list)
        arrays = checked_frequency(frequency, self._analysed(), single=single)
        if isinstance(frequency, ActivationFrequency):
            return frequency
        return {
            layer.name: array for layer, array in zip(self._analysed(), arrays) if array is not None
        }

    def _get_state(self) -> dict[str, Any]:
        frequency: dict[str, Any] | None = None
        if isinstance(self.frequency_, ActivationFrequency):
            frequency = {"counts": self.frequency_.counts, "samples": self.frequency_.samples}
            if self.frequency_.largest_input is not None:
                frequency["largest_input"] = self.frequency_.largest_input
        elif self.frequency_ is not None:
            frequency = {"shares": self.frequency_}
        layer = self.layer
        return {
            **super()._get_state(),
            "layer": [one.name for one in layer] if isinstance(layer, list) else layer.name,
            "frequency": frequency,
            "state": self.state,
            "sensitivity": self.sensitivity,
            "progress": self.progress,
        }

    @classmethod
    def _state_to_kwargs(cls, state: Mapping[str, Any]) -> dict[str, Any]:
        arguments = super()._state_to_kwargs(state)
        frequency = arguments["frequency"]
        if frequency is not None:
            arguments["frequency"] = (
                frequency["shares"] if "shares" in frequency else ActivationFrequency(**frequency)
            )
        return arguments
