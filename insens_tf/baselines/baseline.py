"""One of iNNvestigate's analyzers on one model, run in a graph of its own."""

from __future__ import annotations

import threading
import warnings
from typing import Any, NamedTuple

import innvestigate
import numpy as np
from innvestigate import NotAnalyzeableModelException
from innvestigate.analyzer import AugmentReduceBase, DeepTaylor, IntegratedGradients
from numpy.typing import NDArray

from insens_tf.arguments import layer_index, one_of, whole_number
from insens_tf.baselines.checks import (
    NamedModelChecks,
    checked_inputs,
    checked_neurons,
    checked_references,
    parameters,
)
from insens_tf.baselines.model_copy import CopiedModel, Recipe
from insens_tf.baselines.noise import noise_of
from insens_tf.baselines.pitfalls import warn_of_empty_maps, warn_of_gaps
from insens_tf.baselines.private_graph import PrivateGraph
from insens_tf.batches import BATCH_SIZE
from insens_tf.chunks import slices
from insens_tf.innvestigate_contract import NEURON_SELECTION_MODES, OF_KERAS_TENSORS
from insens_tf.progress import progress_bar

__all__ = ["Baseline", "create_baseline"]


def create_baseline(
    name: str, model: Any, *, seed: int | None = None, **arguments: Any
) -> Baseline:
    """Create one of iNNvestigate's analyzers for a model of the eager process.

    Parameters
    ----------
    name : str
        A name of iNNvestigate's registry, such as "deep_taylor"; `METHODS` describes them.
    model : keras.Model
        Sequential or functional, built, with one output. A softmax at its end is looked through.
        It is never changed, and weights that it is given later are seen.
    seed : int, optional
        Makes the noise of "smoothgrad" and "random" the same in each analysis: a function of the
        seed and of the input's position. None draws new noise each time.
    **arguments
        iNNvestigate's own for this analyzer, such as ``neuron_selection_mode`` ("max_activation",
        the default, "index" or "all"), ``steps``, ``rule``, ``low`` and ``high``. ``noise_scale``
        is honoured, ``until_layer_idx`` counts in ``model.layers``.

    Returns
    -------
    Baseline
        With ``analyze`` as iNNvestigate has it.

    Raises
    ------
    ValueError
        If the name is unknown or an argument is missing or out of range.
    TypeError
        If an argument is not one of this analyzer.
    innvestigate.NotAnalyzeableModelException
        If iNNvestigate cannot analyse this model in this way.
    """
    known = baseline_names()
    one_of("name", name, known)
    return Baseline(name, model, seed=seed, **arguments)


def baseline_names() -> list[str]:
    """Return the names in iNNvestigate's registry of which `create_baseline` makes an analyzer."""
    return [
        name
        for name, kind in innvestigate.analyzer.analyzers.items()
        if issubclass(kind, OF_KERAS_TENSORS)
    ]


class Baseline:
    """One of iNNvestigate's analyzers on one model; see `create_baseline`, which makes it.

    Its graph and its copy of the weights live until `close`, the end of a ``with`` block, or until
    it is no longer used. It may be called from several threads.

    Attributes
    ----------
    name : str
        Its name in iNNvestigate's registry.
    neuron_selection_mode : str
        "max_activation", "index" or "all".
    """

    def __init__(self, name: str, model: Any, *, seed: int | None = None, **arguments: Any) -> None:
        self.name = name
        self.neuron_selection_mode: str = arguments.get("neuron_selection_mode", "max_activation")
        one_of("neuron_selection_mode", self.neuron_selection_mode, NEURON_SELECTION_MODES)
        kind = innvestigate.analyzer.analyzers[name]
        self._noise = noise_of(name, kind, arguments, seed)
        self._postprocessed = arguments.get("postprocess") is not None
        self._references = arguments.get("reference_inputs", 0)
        self._recipe = Recipe(model)
        weights = self._recipe.weights()
        self._private = PrivateGraph()
        self._lock = threading.Lock()
        # `weights` were read before, since the user's world is out of reach in here.
        with self._private.building():
            self._copy = self._recipe.build()
            self._inputs = self._copy.model.inputs
            self._references = checked_references(self._references, self._inputs)
            if any("rule" in key and not isinstance(arguments[key], str) for key in arguments):
                # Rules of the user's own may read the weights when they are made.
                self._private.assign(self._copy.variables, weights)
            self._analyzer = self._build(kind, arguments)
        self._variations: int = getattr(self._analyzer, "_augment_by_n", 1)
        self._network = getattr(self._analyzer, "_subanalyzer", self._analyzer)
        self._results = self._network._analyzer_model.outputs
        self._noise_tensors = self._find_noise()
        self._private.derive_other_variables(self._results, self._copy.variables)

    def analyze(
        self,
        X: Any,
        neuron_selection: Any = None,
        *,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> Any:
        """Attribute the output at the chosen neuron to the components of the input.

        Parameters
        ----------
        X : array_like of shape ``(n, *input_shape)``
            The inputs; a list of arrays for a model of several inputs.
        neuron_selection : int or sequence of n ints, optional
            With ``neuron_selection_mode="index"``, and only then: the output neuron, or one for
            each input; of an output of several axes, the index into it flattened.
        batch_size : int, optional
            How many inputs are analysed at once. By default 256; "integrated_gradients" and
            "smoothgrad" count each of their steps or samples.
        progress : bool
            Whether those two show a progress bar when they take longer.

        Returns
        -------
        ndarray of float32 of shape ``(n, *input_shape)``
            The maps; a list of them for a model of several inputs.

        Raises
        ------
        ValueError
            If the inputs are of another shape or not finite, or `neuron_selection` does not fit.
        RuntimeError
            If the analyzer has been closed.

        Warns
        -----
        UserWarning
            If "deep_taylor" explains an output that is not positive, which gives an empty map, or
            if "integrated_gradients" adds up to something else than the change of the output.
        """
        inputs = checked_inputs(X, self._inputs)
        total = len(inputs[0])
        neurons = checked_neurons(
            neuron_selection, self.neuron_selection_mode, total, self._copy.model.output_shape[-1]
        )
        if batch_size is None:
            batch_size = max(1, BATCH_SIZE // self._variations)
        bar = progress_bar(
            list(slices(total, whole_number("batch_size", batch_size, least=1))),
            desc=self.name,
            unit="batch",
            shown=progress and self._variations > 1,
        )
        with self._lock:
            if self._private.closed:
                raise RuntimeError(f"this {self.name!r} analyzer is closed; create another one.")
            self._private.assign(self._copy.variables, self._recipe.weights())
            source = self._noise.source() if self._noise else 0
            batches = [self._analyze_batch(inputs, neurons, rows, source) for rows in bar]
        self._warn_of_pitfalls(batches)
        maps = [np.zeros(array.shape, np.float32) for array in inputs]
        if batches:
            maps = [np.concatenate(parts) for parts in zip(*(batch.maps for batch in batches))]
        return maps[0] if len(maps) == 1 else maps

    def close(self) -> None:
        """Free the session and its copy of the weights; `analyze` raises from then on."""
        with self._lock:
            self._private.close()

    def __enter__(self) -> Baseline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Baseline({self.name!r}, {self._recipe.model.name!r})"

    def _build(self, kind: type, arguments: dict[str, Any]) -> Any:
        """Create iNNvestigate's analyzer with its graph; its errors say what they are about."""
        copy = self._copy
        if (until := arguments.get("until_layer_idx")) is not None:
            arguments["until_layer_idx"] = _until(until, self._recipe.model, copy)
        if isinstance(arguments.get("rule"), list):
            # iNNvestigate adds to it.
            arguments["rule"] = list(arguments["rule"])
        refusal = f"iNNvestigate's {self.name!r} cannot analyse model {copy.model.name!r}: "
        try:
            checked = type(kind.__name__, (NamedModelChecks, kind), {})
            analyzer: Any = checked(copy.model, **arguments)
        except NotAnalyzeableModelException as error:
            raise NotAnalyzeableModelException(f"{refusal}{error}") from error
        except TypeError as error:
            expected = ", ".join(parameters(kind))
            raise TypeError(f"{self.name!r}: {error}. Its arguments are {expected}.") from error
        variations = getattr(analyzer, "_augment_by_n", 1)
        whole_number("steps or augment_by_n", variations, least=1)
        try:
            with warnings.catch_warnings():
                # It warns of how it fuses batch normalisation, which nobody can do anything about.
                warnings.filterwarnings("ignore", "Ignore dtype", UserWarning)
                analyzer.create_analyzer_model()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise NotAnalyzeableModelException(f"{refusal}{reason}") from error
        return analyzer

    def _find_noise(self) -> list[Any]:
        """Return the tensors of noise that the graph would draw, one for each input."""
        if self._noise is None:
            return []
        drawn = [
            operation.outputs[0]
            for operation in self._private.operations_behind(self._results)
            if operation.type == "RandomStandardNormal"
        ]
        if len(drawn) != len(self._inputs):
            raise NotAnalyzeableModelException(
                f"model {self._recipe.model.name!r} draws random numbers of its own, which cannot "
                f"be told from the noise of {self.name!r}; analyse it without the layers that do."
            )
        return drawn

    def _analyze_batch(
        self, inputs: list[NDArray[Any]], neurons: NDArray[Any] | None, rows: slice, source: int
    ) -> _Batch:
        run = self._private.session.run
        feed: dict[Any, Any] = {
            placeholder: array[rows] for placeholder, array in zip(self._inputs, inputs)
        }
        chosen: Any = None if neurons is None else neurons[rows]
        explained = None
        if isinstance(self._analyzer, (AugmentReduceBase, DeepTaylor)):
            outputs = run(self._copy.model.output, feed)
            if self.neuron_selection_mode == "max_activation":
                chosen = outputs.argmax(axis=1)
            if isinstance(self._analyzer, IntegratedGradients):
                outputs -= run(self._copy.model.output, dict(zip(self._inputs, self._references)))
            explained = outputs if chosen is None else outputs[np.arange(len(chosen)), chosen]
        for placeholder in self._network._analysis_inputs:
            repeated = np.repeat(chosen, self._variations)
            feed[placeholder] = np.column_stack([np.arange(len(repeated)), repeated])
        if self._noise:
            samples = (self._variations,) if isinstance(self._analyzer, AugmentReduceBase) else ()
            shapes = [samples + array.shape[1:] for array in inputs]
            noise = self._noise.draw(source, range(rows.start, rows.stop), shapes)
            feed.update(zip(self._noise_tensors, noise))
        results = run(self._results, feed)
        maps = results[: self._network._n_data_output]
        if self._network._n_debug_output:
            self._network._handle_debug_output(results[len(maps) :])
        return _Batch(maps, explained)

    def _warn_of_pitfalls(self, batches: list[_Batch]) -> None:
        if not batches or not isinstance(self._analyzer, (DeepTaylor, IntegratedGradients)):
            return
        maps = np.vstack([np.hstack([_by_input(one) for one in batch.maps]) for batch in batches])
        explained = np.vstack([_by_input(batch.explained) for batch in batches])
        if isinstance(self._analyzer, DeepTaylor):
            warn_of_empty_maps(self.name, maps, explained.max(axis=1), stack_level=3)
        elif not self._postprocessed:
            warn_of_gaps(self.name, maps, explained.sum(axis=1), stack_level=3)


class _Batch(NamedTuple):
    """The maps of a batch, one array for each of the model's inputs, and what they explain.

    The latter is known for deep Taylor (the outputs) and integrated gradients (their change from
    the reference): one value for each of the batch, or one for each output in mode "all".
    """

    maps: list[NDArray[Any]]
    explained: NDArray[Any] | None


def _by_input(array: NDArray[Any] | None) -> NDArray[Any]:
    """Return a row for each input."""
    assert array is not None
    return array.reshape(len(array), -1)


def _until(index: Any, model: Any, copy: CopiedModel) -> int:
    """Return the index in the copy's layers that `until_layer_idx` means in the user's."""
    last = layer_index("until_layer_idx", index, len(model.layers))
    return max(copy.position_in_layers(layer) for layer in model.layers[: last + 1])
