"""Checks of what an analyzer is given, with errors that say what was expected and what came."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from innvestigate import NotAnalyzeableModelException
from numpy.typing import NDArray

__all__ = [
    "NamedModelChecks",
    "checked_inputs",
    "checked_neurons",
    "checked_references",
    "parameters",
]


class NamedModelChecks:
    """iNNvestigate's checks of the model, all of which say what they found.

    Those of type "warning", as iNNvestigate has them, warn and then raise a bare
    `NotImplementedError`.
    """

    _model: Any
    _model_checks: list[dict[str, Any]]
    _disable_model_checks: bool

    def _do_model_checks(self) -> None:
        for check in [] if self._disable_model_checks else self._model_checks:
            found = [
                f"{layer.name!r} ({type(layer).__name__})"
                for layer in self._model.layers
                if check["check"](layer)
            ]
            if found:
                raise NotAnalyzeableModelException(
                    f"{check['message']} This concerns the layers {', '.join(found)}; "
                    "disable_model_checks=True analyses the model all the same."
                )
        self._model_check_done = True


def parameters(kind: type) -> list[str]:
    """Return the names of the arguments that an analyzer's class takes."""
    found = {
        parameter.name
        for base in kind.__mro__
        if "__init__" in vars(base)
        for parameter in inspect.signature(vars(base)["__init__"]).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
        and parameter.kind is not parameter.VAR_POSITIONAL
    }
    internal = {"self", "model", "subanalyzer"}
    return sorted(name for name in found - internal if not name.startswith("_"))


def checked_inputs(X: Any, placeholders: Sequence[Any]) -> list[NDArray[Any]]:
    """Return one array for each of the model's inputs, of the placeholders' types."""
    several = len(placeholders) > 1
    if several and not (isinstance(X, (list, tuple)) and len(X) == len(placeholders)):
        raise ValueError(f"X: expected a list of {len(placeholders)} arrays, one for each input.")
    arrays = [
        _checked_input(array, placeholder)
        for array, placeholder in zip(X if several else [X], placeholders)
    ]
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ValueError(f"X: expected arrays of one length, got {sorted(lengths)}.")
    return arrays


def _checked_input(X: Any, placeholder: Any) -> NDArray[Any]:
    expected = f"expected numbers of shape {_shape_text(placeholder)}"
    try:
        array = np.asarray(X, placeholder.dtype.as_numpy_dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X: {expected}, got {type(X).__name__}: {error}") from error
    if not placeholder.shape.is_compatible_with(array.shape):
        one = placeholder.shape[1:].is_compatible_with(array.shape)
        hint = "; one input alone is a batch of one, X[None]" if one else ""
        raise ValueError(f"X: {expected}, got {array.shape}{hint}.")
    if array.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
        if bad.size:
            raise ValueError(
                f"X: expected finite numbers, got NaN or infinity in {bad.size} of {len(array)} "
                f"inputs, the first at position {bad[0]}."
            )
    return array


def checked_references(references: Any, placeholders: Sequence[Any]) -> list[NDArray[Any]]:
    """Return integrated gradients' reference of each input, as a batch of one."""
    several = isinstance(references, list)
    found = []
    for position, placeholder in enumerate(placeholders):
        shape = [1 if size is None else size for size in placeholder.shape]
        try:
            reference = np.asarray(references[position] if several else references, np.float32)
            found.append(np.broadcast_to(reference, shape))
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                "reference_inputs: expected a number or an array that broadcasts to "
                f"{tuple(shape)} (a list of them for several inputs); {error}."
            ) from error
    return found


def checked_neurons(
    neuron_selection: Any, mode: str, inputs: int, outputs: int | None
) -> NDArray[Any] | None:
    """Return the output neuron of each input in mode "index", None in the others."""
    if mode != "index":
        if neuron_selection is not None:
            raise ValueError(
                f"neuron_selection: expected None, since neuron_selection_mode={mode!r} chooses "
                f"the neuron, got {neuron_selection!r}; create the analyzer with "
                "neuron_selection_mode='index'."
            )
        return None
    neurons = np.asarray(neuron_selection)
    single = neurons.ndim == 0 or neurons.shape == (1,)
    if neurons.dtype.kind not in "iu" or not (single or neurons.shape == (inputs,)):
        raise ValueError(
            "neuron_selection: expected, with neuron_selection_mode='index', an integer or one "
            f"for each of the {inputs} inputs, got {neuron_selection!r}."
        )
    outside = (neurons < 0) | (neurons >= (outputs or np.inf))
    if outside.any():
        raise ValueError(
            f"neuron_selection: expected indices from 0 to {(outputs or 0) - 1}, since the output "
            f"has {outputs} neurons, got {neurons[outside].tolist() if neurons.ndim else neurons}."
        )
    return np.broadcast_to(neurons.reshape(-1) if single else neurons, inputs)


def _shape_text(placeholder: Any) -> str:
    return f"({', '.join(['n', *map(str, placeholder.shape[1:])])})".replace("(n)", "(n,)")
