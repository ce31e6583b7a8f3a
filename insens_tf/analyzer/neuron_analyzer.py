"""What analyzers of one neuron share: its layer, and how it is selected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.analyzer.base import SwitchedAnalyzer
from insens_tf.argument_types import LayerLike, Neurons
from insens_tf.chosen_neurons import chosen_neurons
from insens_tf.innvestigate_contract import OF_KERAS_TENSORS, analyzers
from insens_tf.layers import HiddenLayer
from insens_tf.method_table import BASELINES

__all__ = ["NeuronAnalyzer", "explains_one_neuron"]


def explains_one_neuron(method: str) -> bool:
    """Tell whether a method that `create_analyzer` knows explains one neuron, to be selected."""
    kinds = (NeuronAnalyzer, *OF_KERAS_TENSORS)
    return method in BASELINES or issubclass(analyzers.get(method, object), kinds)


class NeuronAnalyzer(SwitchedAnalyzer):
    """An analyzer that explains one neuron of a layer for each input.

    Parameters
    ----------
    model : Keras model
    layer : str, int, HiddenLayer or Keras layer, optional
        Where the neuron is: a hidden layer or the output layer; None: the output layer.
    neuron_selection_mode : {"max_activation", "index", "all"}
    memory_budget : int
        In bytes.
    smooth_activations : {None, "ratio"}
    disable_model_checks : bool
        The last four as for `SwitchedAnalyzer`.

    Attributes
    ----------
    layer : HiddenLayer
        The layer of the neurons.
    """

    layer: HiddenLayer

    def __init__(
        self,
        model: Any,
        *,
        layer: LayerLike | None = None,
        neuron_selection_mode: str = "max_activation",
        memory_budget: int = 512 * 2**20,
        smooth_activations: str | None = None,
        disable_model_checks: bool = False,
    ) -> None:
        super().__init__(
            model,
            neuron_selection_mode=neuron_selection_mode,
            memory_budget=memory_budget,
            smooth_activations=smooth_activations,
            disable_model_checks=disable_model_checks,
        )
        found = self.network.output if layer is None else self._layers(layer, output=True)
        if isinstance(found, list):
            raise ValueError(
                f"layer={layer!r}: expected one layer, came a list; create an analyzer for each"
            )
        self.layer = found

    def _get_state(self) -> dict[str, Any]:
        return {**super()._get_state(), "layer": self.layer.name}

    def _check_selection(self, neuron_selection: Neurons) -> None:
        """Raise ValueError where a neuron is named and should not be, or should and is not."""
        mode = self._neuron_selection_mode
        if neuron_selection is not None and mode != "index":
            raise ValueError(
                f"neuron_selection={neuron_selection!r}: expected None, as the analyzer was "
                f"created with neuron_selection_mode={mode!r}; create it with 'index' to choose "
                "neurons"
            )
        if neuron_selection is None and mode == "index":
            raise ValueError(
                "neuron_selection=None: expected a neuron, or one for each input, as the analyzer "
                "was created with neuron_selection_mode='index'"
            )

    def _one_for_each(self, selection: Neurons, inputs: int) -> NDArray[np.int64]:
        """Return a flat index for each input from what a user selected."""
        if len(self.layer.shape) == 1:
            # Neurons in a row have one index each: a tuple, or a column, are several of them.
            column = np.asarray(selection)
            if isinstance(selection, tuple) or (column.ndim == 2 and column.shape[1] == 1):
                selection = column.reshape(-1)
        try:
            neurons = chosen_neurons(self.layer, selection)
        except ValueError as error:
            raise ValueError(f"neuron_selection: {error}") from error
        if len(neurons) not in (1, inputs):
            raise ValueError(
                f"neuron_selection={selection!r}: expected one neuron, or one for each of "
                f"{inputs} inputs, came {len(neurons)}"
            )
        return np.broadcast_to(neurons, inputs)
