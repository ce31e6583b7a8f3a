"""What a page shows of a network, an image, a layer and a neuron: plain dicts of a view.

Every function takes an `Exploration`, and most a `View`, and returns what JSON can hold. Maps are
PNG files in base64 with a pixel a value; "largest" beside one is the magnitude of full red or blue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.arguments import finite_number
from insens_tf.batches import outputs
from insens_tf.explorer.exploration import Exploration
from insens_tf.explorer.pixels import atlas, png, signed_png, thumbnail
from insens_tf.explorer.view import View
from insens_tf.method_table import METHODS, OURS
from insens_tf.projections import Projection
from insens_tf.relevance import EXPLAINERS

__all__ = [
    "DRAWABLE_PIXELS",
    "STRIP",
    "image_shown",
    "layer_shown",
    "network_shown",
    "neuron_shown",
    "number",
    "projection_of",
    "signed_map",
    "step_shown",
    "strip_shown",
]

STRIP = 48
"""How many images of the strip are sent at a time."""

DRAWABLE_PIXELS = 65_536
"""Larger inputs are not drawn on: an address would be too long."""

# A smaller strip of these layers is drawn: names of parts as reports have them.
_UNSEEN = ("nothing", "looked through")
_FARTHEST_STEP = 4.0


def number(value: Any) -> float | None:
    """Return a number for JSON; None where it is not finite."""
    return float(value) if np.isfinite(value) else None


def signed_map(exploration: Exploration, values: NDArray[Any]) -> dict[str, Any]:
    """Return a map, (*input_shape), as a heatmap; None in the place of what is not finite."""
    if not np.isfinite(values).all():
        return {"png": None, "largest": None}
    (picture,) = exploration.as_pictures(values[np.newaxis])
    # A heatmap's full colour stands for the largest sum over a pixel's channels.
    largest = np.abs(picture.astype(np.float64).sum(axis=-1)).max()
    return {"png": signed_png(picture, "sum"), "largest": number(largest)}


def network_shown(exploration: Exploration) -> dict[str, Any]:
    """Return what the page knows from the start: the layers, the input, the methods."""
    network = exploration.network
    height, width, channels = exploration.picture_shape
    graph = network.reading.graph
    return {
        "model": network.model.name,
        "layers": [
            exploration.maps[layer.name].described(graph.receptive_field(layer.position))
            for layer in exploration.layers
        ],
        "chain": [
            {"name": one.name, "kind": one.kind, "part": one.part, "shape": one.shape}
            for one in exploration.chain
            if one.part not in _UNSEEN
        ],
        "start": _start(exploration),
        "images": len(exploration.images),
        "height": height,
        "width": width,
        "channels": channels,
        "shape": network.input_shape,
        "lowest": exploration.lowest,
        "highest": exploration.highest,
        "drawable": height * width <= DRAWABLE_PIXELS,
        "samples": getattr(exploration.frequency, "samples", None),
        "has_frequency": exploration.frequency is not None,
        "methods": [
            {"name": name, "description": METHODS[name].description}
            for name in EXPLAINERS
            if name not in OURS and name in METHODS and not METHODS[name].needs
        ],
    }


def _start(exploration: Exploration) -> dict[str, Any]:
    """Return what is shown first: the middle of the last layer that has maps; nothing computed."""
    layers = exploration.network.layers or exploration.network.outputs
    with_maps = [layer for layer in layers if len(layer.shape) > 1]
    layer = (with_maps or layers)[-1]
    middle = [*(side // 2 for side in layer.shape[:-1]), 0]
    return {"image": "0", "layer": layer.name, "neuron": middle}


def strip_shown(exploration: Exploration, start: int) -> dict[str, Any]:
    """Return thumbnails of the images from `start` on, `STRIP` of them at most."""
    if not 0 <= start < len(exploration.images):
        raise ValueError(
            f"start={start}: expected a number from 0 to {len(exploration.images) - 1}"
        )
    pictures = exploration.picture(np.asarray(exploration.images[start : start + STRIP]))
    return {
        "start": start,
        "images": [
            {"image": str(place), "title": exploration.names[place], "png": thumbnail(pixels)}
            for place, pixels in enumerate(pictures, start)
        ],
    }


def image_shown(exploration: Exploration, view: View) -> dict[str, Any]:
    """Return the image as it is drawn on, the prediction, and how much of each layer is active.

    "switched" says what the drawing switched: by layer, how many neurons it made active, and how
    many inactive.
    """
    x = view.x(exploration)
    activities = exploration.activities(x)
    before = exploration.activities(exploration.image(view.image))
    return {
        "title": exploration.title(view.image),
        "png": png(exploration.picture(x)[0]),
        "active": {
            layer.name: float((activities[layer.name] > 0).mean())
            for layer in exploration.network.layers
        },
        "prediction": _prediction(exploration, x),
        "switched": _switched(exploration, before, activities) if view.is_drawn_on else None,
    }


def layer_shown(exploration: Exploration, view: View) -> dict[str, Any]:
    """Return the wall of a layer: v of each channel as a heatmap, one below the other."""
    maps = exploration.maps[view.layer.name]
    values = maps.arranged(exploration.activities(view.x(exploration))[view.layer.name])
    with np.errstate(invalid="ignore"):
        active = (values > 0).sum(axis=(1, 2))
    return {
        **atlas(values),
        "active": active.tolist(),
        "largest": [float(np.nanmax(np.abs(one))) for one in values],
    }


def projection_of(exploration: Exploration, view: View) -> Projection:
    """Return the projection of the view's neuron."""
    x = view.x(exploration)
    key = view.layer, view.neuron, x.tobytes()
    project = exploration.network.project
    return exploration.kept("projection", key, lambda: project(x, view.layer, [view.neuron]))


def neuron_shown(exploration: Exploration, view: View) -> dict[str, Any]:
    """Return v = x w + b of the neuron, how far it is from switching, and its maps."""
    p = projection_of(exploration, view)
    v, b = float(p.activity[0, 0]), float(p.bias[0, 0])
    weights = p.weights[0, 0]
    length = float(np.linalg.norm(weights.astype(np.float64)))
    maps = exploration.maps[view.layer.name]
    channel, row, column = maps.place(view.neuron)
    values = maps.arranged(exploration.activities(view.x(exploration))[view.layer.name])
    has_centre = length > 0
    is_hidden = view.layer.index is not None
    frequency = exploration.frequency
    share = None
    if is_hidden and frequency is not None and view.layer.name in frequency:
        share = float(np.asarray(frequency[view.layer.name]).reshape(-1)[view.neuron])
    return {
        "index": view.index,
        "place": [channel, row, column],
        "is_hidden": is_hidden,
        "v": v,
        "xw": v - b,
        "b": b,
        "length": length,
        "distance": abs(v) / length if has_centre else None,
        "frequency": share,
        "map": {
            "png": signed_png(values[channel]),
            "largest": float(np.nanmax(np.abs(values[channel]))),
        },
        "weights": signed_map(exploration, weights),
        "contribution": signed_map(exploration, p.contribution[0, 0]),
        "centre": png(exploration.picture(p.centre[0])[0]) if has_centre else None,
    }


def step_shown(exploration: Exploration, view: View, step: float) -> dict[str, Any]:
    """Return what becomes of the network at x + step * (c - x): at 1 the neuron would be at 0.

    Parameters
    ----------
    exploration : Exploration
    view : View
    step : float
        From -4 to 4: 0 stays, 1 goes to the centre, which is on the neuron's boundary if nothing
        else switches on the way. "expected" is v if nothing does; None of a neuron without a
        centre, which stays where it is.
    """
    finite_number("step", step, least=-_FARTHEST_STEP, most=_FARTHEST_STEP)
    p = projection_of(exploration, view)
    v = float(p.activity[0, 0])
    has_centre = bool(np.isfinite(p.centre).all())
    x = view.x(exploration)
    moved = (x + step * (p.centre[0] - x)).astype(x.dtype) if has_centre else x
    activities = exploration.activities(moved)
    return {
        "png": png(exploration.picture(moved)[0]),
        "expected": v * (1 - step) if has_centre else None,
        "v": float(activities[view.layer.name].reshape(-1)[view.neuron]),
        "length": float(np.linalg.norm((moved - x).astype(np.float64))),
        "switched": _switched(exploration, exploration.activities(x), activities),
        "prediction": _prediction(exploration, moved),
    }


def _prediction(exploration: Exploration, x: NDArray[Any]) -> list[dict[str, Any]]:
    """Return, an output each, its name, the logits, and what the model itself makes of them."""
    own = exploration.kept("outputs", x.tobytes(), lambda: _own_outputs(exploration, x))
    return [
        {
            "layer": layer.name,
            "logits": logits.tolist(),
            "outputs": values.tolist() if values.size == logits.size else None,
            "class": int(logits.argmax()),
        }
        for layer, logits, values in zip(exploration.network.outputs, exploration.outputs(x), own)
    ]


def _own_outputs(exploration: Exploration, x: NDArray[Any]) -> list[NDArray[np.float64]]:
    model = exploration.network.model
    if len(exploration.network.outputs) > 1:
        found = model(x, training=False)
        values = list(found.values()) if isinstance(found, Mapping) else list(found)
    else:
        values = [outputs(model, x)]
    return [np.asarray(one, np.float64).reshape(-1) for one in values]


def _switched(
    exploration: Exploration,
    before: Mapping[str, NDArray[Any]],
    after: Mapping[str, NDArray[Any]],
) -> list[dict[str, Any]]:
    """Return by layer how many neurons became active, and how many inactive."""
    states = [
        (layer, before[layer.name] > 0, after[layer.name] > 0)
        for layer in exploration.network.layers
    ]
    return [
        {
            "layer": layer.name,
            "on": int((now & ~then).sum()),
            "off": int((then & ~now).sum()),
            "neurons": layer.neurons,
        }
        for layer, then, now in states
    ]
