"""iNNvestigate's methods on the graph of a network: on every Keras, for any neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.analyzer.neuron_analyzer import NeuronAnalyzer
from insens_tf.argument_types import LayerLike, Neurons
from insens_tf.arguments import one_of
from insens_tf.baselines.pitfalls import warn_of_empty_maps, warn_of_gaps
from insens_tf.innvestigate_contract import classes
from insens_tf.operations import OutputActivation
from insens_tf.progress import progress_of_inputs
from insens_tf.reading import Reading
from insens_tf.relevance import EXPLAINERS, IntegratedGradients, Target, explainer

__all__ = ["AttributionAnalyzer"]

_OF_ANALYZERS = (
    "neuron_selection_mode",
    "memory_budget",
    "smooth_activations",
    "disable_model_checks",
)


class AttributionAnalyzer(NeuronAnalyzer):
    """One of iNNvestigate's methods, computed on the graph that the network was read as.

    What it gives is what iNNvestigate gives, where that runs; also where that differs from the
    published method, which `insens_tf.relevance` says of each rule.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, piecewise linear. A softmax at its end is looked through.
    method : str
        A name in `insens_tf.relevance.EXPLAINERS`, such as "deep_taylor".
    layer : str, int, HiddenLayer or Keras layer, optional
        Where the neuron is that is explained: any hidden layer; None: the output.
    **arguments
        The method's own, as iNNvestigate has them (steps, rule, low, high, ...), and those of
        `SwitchedAnalyzer`.

    Attributes
    ----------
    network : SwitchedNetwork
        The model as it is analysed.
    method : str

    Raises
    ------
    UnreadableModelError
        A `NotAnalyzeableModelException`, if the model cannot be read or the method is not defined
        for one of its layers.
    ValueError
        If the method is unknown, or an argument is out of range.
    UnknownArgumentError
        A ValueError and a TypeError, if the method has no such argument.
    """

    def __init__(
        self, model: Any, *, method: str, layer: LayerLike | None = None, **arguments: Any
    ) -> None:
        self.method = one_of("method", method, EXPLAINERS)
        of_analyzer = {name: arguments.pop(name) for name in _OF_ANALYZERS if name in arguments}
        super().__init__(model, layer=layer, **of_analyzer)
        self._arguments = arguments
        self._is_of_the_output = layer is None
        self._of_reading: Reading | None = None
        self._explain: Any = None
        # What is wrong with the arguments is said at once.
        self._explainer()

    def analyze(
        self, X: Any, neuron_selection: Neurons = None, *, progress: bool = True
    ) -> NDArray[Any]:
        """Attribute a neuron's activity to the components of the input.

        Parameters
        ----------
        X : array, shape (n, *input_shape), or a list of one such array
            The inputs.
        neuron_selection : int, tuple, or sequence of such, optional
            In mode "index", and only there: the neuron, or one for each input. A neuron is a flat
            index or, as a tuple, a multi-index such as (row, column, channel).
        progress : bool
            Whether a method of many passes shows a progress bar where it takes longer.

        Returns
        -------
        numpy.ndarray, shape (n, *input_shape)
            In the mode "all" of the sum over all neurons of the layer, as iNNvestigate has it.

        Raises
        ------
        ValueError
            If mode and argument do not fit, a neuron is out of range, or X is not finite or of
            another shape.

        Warns
        -----
        UserWarning
            If deep Taylor explains an activity that is not positive, which gives an empty map, or
            if integrated gradients add up to something else than the change of the activity.
        """
        mode = self._neuron_selection_mode
        self._check_selection(neuron_selection)
        x = self._inputs(X)
        self.network.prove(x)
        explain = self._explainer()
        neurons = self._one_for_each(neuron_selection, len(x)) if mode == "index" else None
        shown = progress and hasattr(explain, "count")
        with progress_of_inputs(self.method, len(x), shown) as advance:
            maps: NDArray[Any] = explain(x, neurons, mode, advance)
        self._warn_of_pitfalls(explain, x, maps, neurons)
        return maps

    def __repr__(self) -> str:
        return (
            f"AttributionAnalyzer({self.method!r}, model {self._model.name!r}, "
            f"layer {self.layer.name!r}, source 'native')"
        )

    def _explainer(self) -> Any:
        """Return what explains, made anew where the model was read again."""
        reading = self.network.reading
        if reading is not self._of_reading:
            target = Target(
                self._model, reading, self._position(reading), self.network.memory_budget
            )
            self._explain = explainer(self.method, target, self._arguments)
            self._of_reading = reading
        return self._explain

    def _position(self, reading: Reading) -> int:
        if not self._is_of_the_output:
            return self.layer.position
        # A softmax is looked through; a ReLU is part of the output.
        (position,) = reading.results
        while isinstance(reading.graph.operations[position], OutputActivation):
            (position,) = reading.graph.operations[position].operands
        return position

    def _warn_of_pitfalls(
        self, explain: Any, x: NDArray[Any], maps: NDArray[Any], neurons: NDArray[Any] | None
    ) -> None:
        is_integral = isinstance(explain, IntegratedGradients)
        if not self.method.startswith("deep_taylor") and not is_integral:
            return
        flat = maps.reshape(len(maps), -1)
        if not is_integral:
            # Only then is the network evaluated once more.
            if not flat.any(axis=1).all():
                activity = self.network.activity(x, self.layer).reshape(len(x), -1)
                strongest = activity.argmax(axis=1) if neurons is None else neurons
                explained = activity[np.arange(len(x)), strongest]
                warn_of_empty_maps(self.method, flat, explained, stack_level=3)
        elif self._arguments.get("postprocess") is None:
            changes = explain.changes(x, neurons, self._neuron_selection_mode)
            warn_of_gaps(self.method, flat, changes, stack_level=3)

    def _get_state(self) -> dict[str, Any]:
        state = super()._get_state()
        if self._is_of_the_output:
            state["layer"] = None
        return {**state, "method": self.method, "source": "native", **self._arguments}

    @classmethod
    def _state_to_kwargs(cls, state: Any) -> dict[str, Any]:
        arguments = super()._state_to_kwargs(state)
        arguments.pop("source")
        return arguments


# Where `load` looks for it; the names of the methods stay iNNvestigate's in its registry.
setattr(classes, AttributionAnalyzer.__name__, AttributionAnalyzer)
