"""iNNvestigate's contract for an analyzer, held on top of a `SwitchedNetwork`."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray

from insens_tf.analyzer.saved import read_state, write_state
from insens_tf.argument_types import LayerLike, Neurons
from insens_tf.arguments import one_of
from insens_tf.innvestigate_contract import (
    NEURON_SELECTION_MODES,
    AnalyzerBase,
    NotAnalyzeableModelException,
    classes,
)
from insens_tf.keras_versions import model_from_json
from insens_tf.layers import HiddenLayer
from insens_tf.network import SwitchedNetwork

__all__ = ["SwitchedAnalyzer"]

Analyzer = TypeVar("Analyzer", bound="SwitchedAnalyzer")


class SwitchedAnalyzer(AnalyzerBase):
    """An analyzer in iNNvestigate's sense that looks at a model as a `SwitchedNetwork`.

    To derive one of your own, write `analyze`, which begins with `_inputs(X)`. If the constructor
    takes more arguments, add them to what `_get_state` returns, under their names: saving and
    loading then work, also without pickle.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, piecewise linear. A softmax at its end is looked through.
    neuron_selection_mode : {"max_activation", "index", "all"}
        Which neurons a map is of.
    memory_budget : int
        In bytes, how much the arrays of one call may take beyond its results.
    smooth_activations : {None, "ratio"}
        As for `SwitchedNetwork`.
    disable_model_checks : bool
        As iNNvestigate has it: skips the checks that were added by `_add_model_check`. A model that
        cannot be read at all is refused in any case.

    Attributes
    ----------
    network : SwitchedNetwork
        The model as it is analysed.

    Raises
    ------
    UnreadableModelError
        A `NotAnalyzeableModelException`, if the model cannot be read.
    ValueError
        If an argument is out of range.
    """

    def __init__(
        self,
        model: Any,
        *,
        neuron_selection_mode: str = "max_activation",
        memory_budget: int = 512 * 2**20,
        smooth_activations: str | None = None,
        disable_model_checks: bool = False,
    ) -> None:
        one_of("neuron_selection_mode", neuron_selection_mode, NEURON_SELECTION_MODES)
        # iNNvestigate's constructor is not used, as iNNvestigate is not there everywhere.
        self._model = model
        self._neuron_selection_mode = neuron_selection_mode
        self._disable_model_checks = disable_model_checks
        self._model_checks: list[dict[str, Any]] = []
        self._model_check_done = False
        self._smooth_activations = smooth_activations
        self.network = SwitchedNetwork(
            model, memory_budget=memory_budget, smooth_activations=smooth_activations
        )

    @abstractmethod
    def analyze(self, X: Any, neuron_selection: Neurons = None) -> Any:
        """Return the map of each input.

        Parameters
        ----------
        X : array, shape (n, *input_shape), or a list of one such array
            The inputs.
        neuron_selection : int, tuple, or sequence of such, optional
            In mode "index", which neuron.
        """

    def save(self) -> tuple[str, dict[str, Any]]:
        """Return the name of the class and the state that `load` makes an analyzer from."""
        return type(self).__name__, self._get_state()

    @staticmethod
    def load(class_name: str, state: Mapping[str, Any]) -> Any:
        """Make an analyzer from what `save` returned.

        Parameters
        ----------
        class_name : str
        state : mapping of str

        Raises
        ------
        ValueError
            If it is no registered class of ours.
        """
        kind = _registered(class_name, SwitchedAnalyzer)
        return kind(**kind._state_to_kwargs(state))

    def save_npz(self, fname: str | os.PathLike[str]) -> None:
        """Write what `save` returns to a file of plain arrays, without pickle.

        Parameters
        ----------
        fname : str or path
            Written whole or not at all, under exactly this name.
        """
        write_state(fname, *self.save())

    @classmethod
    def load_npz(cls: type[Analyzer], fname: str | os.PathLike[str]) -> Analyzer:
        """Make an analyzer from a file that `save_npz` wrote; no code in the file is run.

        Parameters
        ----------
        fname : str or path

        Returns
        -------
        analyzer
            Of the class that was saved; `SwitchedAnalyzer.load_npz` loads any of them.

        Raises
        ------
        UnusableFileError
            If the file is damaged, written by something else, or holds Python code.
        ValueError
            If it holds an analyzer of another class.
        FileNotFoundError
            If there is no such file.
        """
        class_name, state = read_state(fname)
        try:
            kind = _registered(class_name, cls)
        except ValueError as error:
            raise ValueError(f"{os.fspath(fname)}: {error}") from error
        return kind(**kind._state_to_kwargs(state))

    def _get_state(self) -> dict[str, Any]:
        return {
            "model_json": self._model.to_json(),
            "model_weights": self._model.get_weights(),
            "disable_model_checks": self._disable_model_checks,
            "neuron_selection_mode": self._neuron_selection_mode,
            "memory_budget": self.network.memory_budget,
            "smooth_activations": self._smooth_activations,
        }

    @classmethod
    def _state_to_kwargs(cls, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the constructor's arguments for what `_get_state` returned."""
        arguments = dict(state)
        model = model_from_json(arguments.pop("model_json"))
        model.set_weights(arguments.pop("model_weights"))
        return {"model": model, **arguments}

    def _add_model_check(
        self, check: Callable[[Any], bool], message: str, check_type: str = "exception"
    ) -> None:
        """Add a check that every layer goes through before the first analysis.

        Parameters
        ----------
        check : callable
            Of a Keras layer; True where it is not as it should be.
        message : str
        check_type : {"exception", "warning"}
            Whether the analysis is refused then.

        Raises
        ------
        RuntimeError
            If the checks have been made.
        """
        if self._model_check_done:
            raise RuntimeError(
                f"{message!r} cannot be checked any more; add checks before the first analysis"
            )
        self._model_checks.append({"check": check, "message": message, "check_type": check_type})

    def _do_model_checks(self) -> None:
        """Raise or warn, as each check that was added asks for."""
        for check in [] if self._disable_model_checks else self._model_checks:
            concerned = [layer.name for layer in _all_layers(self._model) if check["check"](layer)]
            if concerned:
                message = f"{check['message']} (layers: {', '.join(concerned)})"
                if check["check_type"] != "warning":
                    raise NotAnalyzeableModelException(message)
                warnings.warn(message, UserWarning, stacklevel=4)
        self._model_check_done = True

    def _inputs(self, X: Any) -> NDArray[Any]:
        """Return what `analyze` was given as one array (n, *input_shape), checked.

        X is such an array or, as Keras has it, a list of one: the model's inputs.
        """
        if not self._model_check_done:
            self._do_model_checks()
        return self.network.input_spec.check(self._unwrapped(X), "X")

    def _unwrapped(self, X: Any) -> Any:
        """Return the array in a list of one, and anything else as it is."""
        rank = len(self.network.input_shape) + 1
        if isinstance(X, (list, tuple)) and len(X) == 1 and len(getattr(X[0], "shape", ())) == rank:
            return X[0]
        return X

    def _layers(
        self, layer: LayerLike | Sequence[LayerLike], *, output: bool
    ) -> HiddenLayer | list[HiddenLayer]:
        """Return the layer that is meant, or the layers where it is a list.

        With `output`, the output layer may be meant too. Raises ValueError if there is none.
        """
        return self.network.layer(layer, output=output)


def _registered(class_name: str, base: type) -> Any:
    kind = vars(classes).get(class_name)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ValueError(
            f"expected a {base.__name__}, holds a {class_name}; load it with that class, and "
            "import (and register) the module that defines it first"
        )
    return kind


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _all_layers(layer)
