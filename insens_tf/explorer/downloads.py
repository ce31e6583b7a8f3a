"""What is shown of a neuron, as a picture or as arrays."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from insens_tf.arguments import one_of
from insens_tf.explorer.exploration import Exploration
from insens_tf.explorer.shown import projection_of
from insens_tf.explorer.view import View
from insens_tf.heatmap import grid, heatmap

__all__ = ["MEDIA_TYPES", "downloaded"]

MEDIA_TYPES = {"png": "image/png", "svg": "image/svg+xml", "npz": "application/octet-stream"}
"""By the form of a download."""


def downloaded(exploration: Exploration, view: View, form: str) -> bytes:
    """Return x, w, centre and contribution of a view's neuron as a file.

    Parameters
    ----------
    exploration : Exploration
    view : View
    form : {"png", "svg", "npz"}
    """
    one_of("form", form, MEDIA_TYPES)
    file = io.BytesIO()
    if form == "npz":
        np.savez_compressed(file, **_arrays(exploration, view))
    else:
        _figure(exploration, view).savefig(file, format=form)
    return file.getvalue()


def _arrays(exploration: Exploration, view: View) -> dict[str, Any]:
    p = projection_of(exploration, view)
    return {
        "x": p.x[0],
        "layer": np.array(view.layer.name),
        "neuron": np.array(view.index),
        "activity": p.activity[0, 0],
        "bias": p.bias[0, 0],
        "weights": p.weights[0, 0],
        "centre": p.centre[0, 0],
        "contribution": p.contribution[0, 0],
    }


def _figure(exploration: Exploration, view: View) -> Any:
    p = projection_of(exploration, view)

    def drawn(values: Any) -> Any:
        if not np.isfinite(values).all():
            return None
        return heatmap(exploration.as_pictures(values[0])[0], "sum")

    has_centre = np.isfinite(p.centre).all()
    row = [
        exploration.picture(p.x)[0],
        drawn(p.weights),
        exploration.picture(p.centre[0])[0] if has_centre else None,
        drawn(p.contribution),
    ]
    v, b = float(p.activity[0, 0]), float(p.bias[0, 0])
    name = ", ".join(map(str, view.index))
    return grid(
        [row],
        column_titles=["x", "w", "centre", "contribution"],
        title=f"{view.layer.name} [{name}] for {exploration.title(view.image)}: "
        f"v = {v:.4g} = x w + b = {v - b:.4g} + {b:.4g}\n"
        "Red: positive, blue: negative, white: 0, each map by its own largest magnitude",
    )
