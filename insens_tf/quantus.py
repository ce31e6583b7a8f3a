"""Maps as Quantus asks for them; Quantus itself is not imported here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.analyzer import create_analyzer
from insens_tf.analyzer.neuron_analyzer import explains_one_neuron
from insens_tf.argument_types import FrequencyLike, LayerLike
from insens_tf.arguments import one_of
from insens_tf.method_table import METHODS
from insens_tf.network import SwitchedNetwork

__all__ = ["CHANNEL_RULES", "explainer"]

CHANNEL_RULES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "sum": lambda maps: maps.sum(axis=-1),
    "mean": lambda maps: maps.mean(axis=-1),
    "magnitude": lambda maps: np.abs(maps).sum(axis=-1),
}
"""How a pixel's channels become one value, by name."""

# What Quantus hands on of its own accord.
_OF_QUANTUS = ("device",)


def explainer(
    method: str,
    *,
    layer: LayerLike | None = None,
    frequency: FrequencyLike = None,
    channels: str = "sum",
    **arguments: Any,
) -> Callable[..., NDArray[Any]]:
    """Return what Quantus calls for maps, ``f(model, inputs, targets, **kwargs)``.

    Hand it over as `explain_func`, with ``channel_first=False``, and its maps as `a_batch`: those
    that Quantus computes itself it lays out channels-last, and holds them against images that it
    has turned channels-first. Hand over a functional model whose output is linear: Quantus rebuilds
    a last layer with a softmax by its own, narrower, rules. Of a model that metrics randomise, maps
    are computed with the weights that it has then.

    Parameters
    ----------
    method : str
        A name that `insens_tf.create_analyzer` knows. "insens" explains a layer's state, whatever
        the target is; methods of the output explain the targets.
    layer : str, int, HiddenLayer or Keras layer, optional
        Of "insens"; None: the last hidden one.
    frequency : mapping of str to array, or array of the layer's shape, optional
        What "insens" is weighted with; None: every neuron weighs 1.
    channels : {"sum", "mean", "magnitude"}
        How a pixel's channels become one value: Quantus turns images channels-first, and expects
        maps of pixels.
    **arguments
        The analyzer's own.

    Returns
    -------
    callable
        Gives maps (n, rows, columns) of images, (n, features) of vectors.

    Raises
    ------
    ValueError
        If the method or the rule is unknown, or layer and frequency are given for a method that
        does not take them.

    Examples
    --------
    >>> explain = explainer("insens", layer="dense")
    >>> maps = explain(model, x_test[:8], y_test[:8])
    >>> maps.shape
    (8, 28, 28)

    Quantus takes it, and the maps, too: ``quantus.Sparseness()(model, x, y, maps,
    channel_first=False, explain_func=explain)``.
    """
    one_of("method", method, METHODS)
    one_of("channels", channels, CHANNEL_RULES)
    if method != "insens" and not (layer is None and frequency is None):
        raise ValueError(f"layer and frequency are of 'insens', came with method {method!r}")
    makers: list[tuple[Any, Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]]] = []

    def explain(model: Any, inputs: Any, targets: Any, **kwargs: Any) -> NDArray[Any]:
        unknown = [name for name in kwargs if name not in _OF_QUANTUS]
        if unknown:
            raise TypeError(
                f"{unknown[0]!r}: expected no arguments but {', '.join(_OF_QUANTUS)}; give them to "
                "insens_tf.quantus.explainer"
            )
        # A metric asks many times for maps of one model.
        if not makers or makers[0][0] is not model:
            makers[:] = [(model, _maker(method, model, layer, frequency, arguments))]
        maps = makers[0][1](np.asarray(inputs), np.asarray(targets))
        return CHANNEL_RULES[channels](maps) if maps.ndim == 4 else maps

    return explain


def _maker(
    method: str,
    model: Any,
    layer: LayerLike | None,
    frequency: FrequencyLike,
    arguments: dict[str, Any],
) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """Return what gives maps of a model, of inputs and targets."""
    if method == "insens":
        network = SwitchedNetwork(model)
        (one,) = network.layer([-1 if layer is None else layer], output=False)

        def insens(inputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
            return network.insens(inputs, one, frequency, progress=False, **arguments)

        return insens
    explains_one = explains_one_neuron(method)
    selection = {"neuron_selection_mode": "index"} if explains_one else {}
    analyzer = create_analyzer(method, model, **selection, **arguments)
    shows_bars = "progress" in inspect.signature(analyzer.analyze).parameters
    quiet = {"progress": False} if shows_bars else {}

    def analyze(inputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        return analyzer.analyze(inputs, targets if explains_one else None, **quiet)

    return analyze
