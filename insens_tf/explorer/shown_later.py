"""What a page shows when it is there: Insens of a layer, other methods, the top images."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.analyzer import create_analyzer
from insens_tf.arguments import one_of
from insens_tf.batches import BATCH_SIZE
from insens_tf.explorer.exploration import Exploration
from insens_tf.explorer.pixels import thumbnail
from insens_tf.explorer.shown import signed_map
from insens_tf.explorer.view import View
from insens_tf.insens import STATES
from insens_tf.method_table import METHODS
from insens_tf.progress import step_of_work
from insens_tf.relevance import EXPLAINERS

__all__ = ["insens_shown", "method_shown", "top_images_shown"]

SECONDS_OF_EXACT = 1.0
"""Where exact Insens takes longer, by its plan, an estimate is shown first."""

MOST_SECONDS_UNASKED = 60.0
"""What takes longer is computed exactly only where it is asked for."""

TOLERANCE = 0.2
"""Of the estimate that is shown first."""

MOST_PASSES = 256

MOST_IMAGES = 512
"""The first of the images, among which the top ones of a neuron are looked for."""

MOST_KEPT_BYTES = 64 * 2**20
"""Of a layer's v for these images."""

TOP = 6


def insens_shown(
    exploration: Exploration, view: View, state: str, *, exact: bool
) -> dict[str, Any]:
    """Return Insens of the view's layer: exact if it is asked for or fast, otherwise estimated.

    Parameters
    ----------
    exploration : Exploration
    view : View
    state : {"inactive", "active", "all"}
    exact : bool
        Whether to compute it exactly however long that takes.

    Returns
    -------
    dict
        The map; "relative_error", 0 of an exact one; "seconds", what it took; of an estimate
        "seconds_of_exact", and "goes_on": whether the exact one takes less than a minute.
    """
    one_of("state", state, STATES)
    layer, network = _hidden(view), exploration.network
    frequency = exploration.frequency
    if frequency is not None and layer.name not in frequency:
        frequency = None
    x = view.x(exploration)
    plan = network.plan(x, layer, frequency, state=state, timed=True)
    expected = plan.seconds or 0.0
    start = time.perf_counter()
    if exact or expected <= SECONDS_OF_EXACT:
        omega, error = network.insens(x, layer, frequency, state=state, progress=False)[0], 0.0
    else:
        estimate = network.estimate_insens(
            x,
            layer,
            frequency,
            state=state,
            tolerance=TOLERANCE,
            most_passes=MOST_PASSES,
            progress=False,
        )
        omega, error = estimate.omega[0], float(estimate.relative_error[0])
    is_estimate = not exact and expected > SECONDS_OF_EXACT
    return {
        **signed_map(exploration, omega),
        "state": state,
        "relative_error": error,
        "seconds": time.perf_counter() - start,
        "is_estimate": is_estimate,
        "seconds_of_exact": expected,
        "goes_on": is_estimate and expected <= MOST_SECONDS_UNASKED,
    }


def method_shown(exploration: Exploration, view: View, method: str) -> dict[str, Any]:
    """Return what a method, such as "lrp.epsilon", makes of the view's neuron."""
    one_of("method", method, [one for one in EXPLAINERS if one in METHODS])
    network = exploration.network
    is_output = view.layer.index is None

    def create() -> Any:
        where = {} if is_output else {"layer": view.layer}
        return create_analyzer(
            method,
            network.model,
            source="native",
            neuron_selection_mode="index",
            smooth_activations=network.smooth_activations,
            memory_budget=network.memory_budget,
            **where,
        )

    analyzer = exploration.analyzers.kept((method, view.layer), create)
    values = analyzer.analyze(view.x(exploration), view.neuron, progress=False)
    return {**signed_map(exploration, values[0]), "method": method}


def top_images_shown(exploration: Exploration, view: View) -> dict[str, Any]:
    """Return the images for which the neuron's v is largest, and in how many it is active."""
    values = _values_of_images(exploration, view)
    order = np.argsort(-values, kind="stable")[:TOP]
    top = []
    for place in order:
        (pixels,) = exploration.picture(np.asarray(exploration.images[place : place + 1]))
        name = exploration.names[place]
        top.append(
            {
                "image": str(place),
                "title": name,
                "v": float(values[place]),
                "png": thumbnail(pixels),
            }
        )
    return {"top": top, "active": int((values > 0).sum()), "images": len(values)}


def _values_of_images(exploration: Exploration, view: View) -> NDArray[Any]:
    """Return v of the view's neuron for the first images, (n,); a layer's are kept if they fit."""
    count = min(len(exploration.images), MOST_IMAGES)
    neurons = view.layer.neurons
    fits = count * neurons * exploration.network.dtype.itemsize <= MOST_KEPT_BYTES
    kept = slice(None) if fits else slice(view.neuron, view.neuron + 1)

    def compute() -> NDArray[Any]:
        parts = []
        size = max(1, min(BATCH_SIZE, 2**22 // neurons))
        for start in range(0, count, size):
            step_of_work()
            batch = exploration.images[start : min(start + size, count)]
            activity = exploration.network.activity(batch, view.layer)
            parts.append(activity.reshape(len(batch), -1)[:, kept].copy())
        return np.concatenate(parts)

    found = exploration.kept("top", (view.layer, kept.start), compute)
    return found[:, view.neuron] if fits else found[:, 0]


def _hidden(view: View) -> Any:
    if view.layer.index is None:
        raise ValueError(
            f"layer {view.layer.name!r} is an output, which has no Insens; choose a hidden layer"
        )
    return view.layer
