"""Randomisation checks: whether maps change once what the network has learned is taken away.

A method of attribution that is to explain a network has to give other maps once the network's
weights are random; high correlations show an echo of the input. (Insens of a layer depends on no
later one, so that it correlates fully until the layer itself is randomised.) There are two ways:

=============  =================================================================================
check          which layers have new initial weights at a step
=============  =================================================================================
"cascading"    all from the output down to the step's layer; in the end, every one
"independent"  the step's layer alone
=============  =================================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.analyzer import create_analyzer
from insens_tf.analyzer.neuron_analyzer import NeuronAnalyzer, explains_one_neuron
from insens_tf.arguments import one_of
from insens_tf.batches import outputs
from insens_tf.evaluation.correlation import CORRELATIONS, rank_correlation
from insens_tf.evaluation.randomised_copy import RandomisedCopy, same_outputs
from insens_tf.progress import progress_bar

__all__ = ["CHECKS", "EXPLAINED_NEURONS", "RandomisationCheck", "randomisation_check"]

CHECKS = ("cascading", "independent")
"""The ways in which layers are randomised."""

EXPLAINED_NEURONS = ("original", "own")
"""Whose prediction is explained: the original network's, or each randomised network's own."""

Method = str | Callable[[Any, NDArray[Any]], Any]


@dataclass(frozen=True)
class RandomisationCheck:
    """How the maps of a network correlate with those of its randomised copies.

    Attributes
    ----------
    check : {"cascading", "independent"}
        How layers were randomised.
    layers : tuple of str
        The steps, from the output to the input: the layer that was randomised at each, alone or
        after all before it.
    correlations : mapping of str to array of float64, shape (layers, n)
        By the kind of correlation, for each layer and input; NaN where it is not defined.
    """

    check: str
    layers: tuple[str, ...]
    correlations: Mapping[str, NDArray[np.float64]]

    def defined(self, kind: str) -> NDArray[np.int64]:
        """Return for how many inputs a correlation is defined, by layer, (layers,)."""
        return np.isfinite(self.correlations[kind]).sum(axis=1)

    def mean(self, kind: str) -> NDArray[np.float64]:
        """Return a correlation's mean over the inputs for which it is defined, (layers,).

        NaN where there are none.
        """
        return _mean_of_defined(self.correlations[kind])

    def variance(self, kind: str) -> NDArray[np.float64]:
        """Return a correlation's variance over the inputs for which it is defined, (layers,).

        The mean squared deviation from the mean; NaN where there are none.
        """
        deviations = self.correlations[kind] - self.mean(kind)[:, np.newaxis]
        return _mean_of_defined(deviations**2)


def randomisation_check(
    model: Any,
    x: NDArray[Any],
    method: Method,
    *,
    check: str = "cascading",
    arguments: Mapping[str, Any] | None = None,
    x_train: Any = None,
    neuron: str = "original",
    kinds: Collection[str] = CORRELATIONS,
    seed: int = 0,
    progress: bool = True,
) -> RandomisationCheck:
    """Correlate a model's maps with those of copies whose layers have new initial weights.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built. It is never changed: a copy is randomised.
    x : array, shape (n, *input_shape)
        The inputs whose maps are compared.
    method : str or callable
        A name that `insens_tf.create_analyzer` knows, or a function of a model and `x` that returns
        maps (n, ...). It is given the same model object each time, with other weights.
    check : {"cascading", "independent"}
        All layers from the output down to each in turn are randomised, or each one alone.
    arguments : mapping, optional
        The analyzer's own, such as ``{"layer": "dense"}``.
    x_train : array, tf.data.Dataset or Keras Sequence, optional
        What an analyzer that can be fitted is fitted to, anew for each randomised network: the
        activation frequency of "insens". None: it is not fitted, and Insens weighs all neurons the
        same.
    neuron : {"original", "own"}
        Which neuron is explained by methods that explain one: for each input the original network's
        most active one, in all networks; or each network's own. "insens" sums over a layer's
        neurons, and a callable does as it likes.
    kinds : collection of str
        Which of `CORRELATIONS`; see `rank_correlation`.
    seed : int
        Decides the new weights.
    progress : bool
        Whether to show a progress bar where it takes longer.

    Returns
    -------
    RandomisationCheck

    Raises
    ------
    ValueError
        If an argument is out of range, the model cannot be copied or has no layer with weights, or
        the maps are not one array of one map for each input.
    innvestigate.NotAnalyzeableModelException
        If the analyzer cannot analyse this model.

    References
    ----------
    J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, arXiv:1810.03292: cascading
    and independent randomisation.

    Examples
    --------
    >>> check = randomisation_check(
    ...     model, x_test[:2], "insens", arguments={"layer": "dense"}, x_train=x_train
    ... )
    >>> sorted(dict(zip(check.layers, check.mean("signed"))))
    ['conv_1', 'conv_2', 'dense', 'logits']
    """
    one_of("check", check, CHECKS)
    one_of("neuron", neuron, EXPLAINED_NEURONS)
    for kind in kinds:
        one_of("kinds", kind, CORRELATIONS)
    x = np.asarray(x)
    if not x.ndim or not len(x):
        raise ValueError(f"x: expected at least one input, came an array of shape {x.shape}")
    copy = RandomisedCopy(model, seed)
    if not copy.layers:
        raise ValueError(f"model {model.name!r}: expected a layer with weights, found none")
    if not same_outputs(model, copy.model, x[:1]):
        raise ValueError(
            f"model {model.name!r}: expected a copy with the same weights to give the same, found "
            "other outputs; one of its layers computes with something that is neither a weight nor "
            "in its get_config"
        )
    maps_of = _maps_of(method, copy.model, x, arguments or {}, x_train, neuron)
    original = maps_of()
    layers = copy.layers[::-1]
    found: dict[str, list[NDArray[np.float64]]] = {kind: [] for kind in kinds}
    bar = progress_bar(
        layers,
        desc=f"{method if isinstance(method, str) else 'maps'}, {check}",
        unit="network",
        shown=progress,
    )
    for step, layer in enumerate(bar):
        copy.randomise(layers[: step + 1] if check == "cascading" else [layer])
        maps = maps_of()
        for kind, rows in found.items():
            rows.append(rank_correlation(original, maps, kind))
    return RandomisationCheck(check, layers, {kind: np.stack(rows) for kind, rows in found.items()})


def _mean_of_defined(values: NDArray[Any]) -> NDArray[np.float64]:
    number = np.isfinite(values).sum(axis=1)
    means = np.full(len(values), np.nan)
    return np.divide(np.nansum(values, axis=1), number, out=means, where=number > 0)


def _maps_of(
    method: Method,
    network: Any,
    x: NDArray[Any],
    arguments: Mapping[str, Any],
    x_train: Any,
    neuron: str,
) -> Callable[[], NDArray[Any]]:
    """Return a function that gives the maps of x with the weights that the network has then.

    The weights that it has now decide which neurons are explained.
    """
    analyze = (
        _function(method, network, x, arguments)
        if callable(method)
        else _analysis(method, network, x, arguments, x_train, neuron)
    )

    def checked() -> NDArray[Any]:
        maps = np.asarray(analyze())
        if maps.ndim < 2 or len(maps) != len(x) or maps.dtype.kind not in "biuf":
            raise ValueError(
                f"method: expected one array of a map for each of {len(x)} inputs, came one of "
                f"{maps.dtype} of shape {maps.shape}; Insens of several layers is checked one "
                "layer at a time"
            )
        return maps

    return checked


def _function(
    method: Callable[[Any, NDArray[Any]], Any],
    network: Any,
    x: NDArray[Any],
    arguments: Mapping[str, Any],
) -> Callable[[], Any]:
    if arguments:
        raise ValueError(
            f"arguments: expected none, as method is a function, came {dict(arguments)}"
        )
    return lambda: method(network, x)


def _analysis(
    method: str,
    network: Any,
    x: NDArray[Any],
    arguments: Mapping[str, Any],
    x_train: Any,
    neuron: str,
) -> Callable[[], Any]:
    if "neuron_selection_mode" in arguments:
        raise ValueError(
            "arguments: expected no neuron_selection_mode, as neuron='original' or 'own' says "
            "which neuron is explained"
        )
    fixed = neuron == "original" and explains_one_neuron(method)
    selection = {"neuron_selection_mode": "index"} if fixed else {}
    analyzer = create_analyzer(method, network, **selection, **arguments)
    neurons = _most_active(analyzer, network, x) if fixed else None
    shows_bars = "progress" in inspect.signature(analyzer.analyze).parameters
    if hasattr(analyzer, "progress"):
        analyzer.progress = False

    def analyze() -> Any:
        if x_train is not None and hasattr(analyzer, "fit"):
            analyzer.fit(x_train, verbose=False)
        # One bar is enough, that of the networks.
        return analyzer.analyze(x, neurons, **({"progress": False} if shows_bars else {}))

    return analyze


def _most_active(analyzer: Any, network: Any, x: NDArray[Any]) -> NDArray[np.int64]:
    """Return the flat index of the neuron that is most active for each input."""
    if isinstance(analyzer, NeuronAnalyzer):
        activity = analyzer.network.activity(x, analyzer.layer)
    else:
        activity = outputs(network, x)
    return activity.reshape(len(x), -1).argmax(axis=1)
