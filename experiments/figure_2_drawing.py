"""How Figure 2 is drawn: the switched weights of a neuron a column, for an input a row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.map_sheet import ACTIVE, INACTIVE, Block, sheet
from experiments.plots import number, save
from insens_tf.heatmap import heatmap, picture
from insens_tf.picture_grid import Part
from insens_tf.two_conv import HIDDEN_LAYERS

__all__ = ["draw", "drawn"]

_SIDE = 168  # dots of print, for 11 columns
_NOTE = (
    "One network; four test images that it classifies correctly. Maps are of w, of one neuron a "
    "column. Black frame: active, v > 0; dotted: inactive; †: sees nothing but black pixels. Above "
    "a column stands where in its layer the neuron is: in conv_2 its row and column, each step of "
    "which is two pixels, and its filter; the green line is around all pixels that it has weights "
    "for."
)


def draw(folder: Path) -> None:
    """Draw the switched weights of a folder of results."""
    with np.load(folder / "projections.npz", allow_pickle=False) as stored:
        numbers = dict(stored)
    save(drawn(numbers), folder / "figure_2.png")


def drawn(numbers: Mapping[str, NDArray[Any]]) -> Figure:
    """Draw inputs, and beside them the switched weights of each layer's neurons.

    Parameters
    ----------
    numbers
        What is in ``projections.npz``.
    """
    inputs = Block("", [[one] for one in picture(numbers["images"])], ["input"])
    layers = [one.removesuffix("_neurons") for one in numbers if one.endswith("_neurons")]
    blocks = [inputs, *(_block(numbers, layer) for layer in layers)]
    return sheet([blocks], _NOTE, _SIDE)


def _block(numbers: Mapping[str, NDArray[Any]], layer: str) -> Block:
    neurons, weights = numbers[f"{layer}_neurons"], numbers[f"{layer}_weights"]
    activity, bias = numbers[f"{layer}_activity"], numbers[f"{layer}_bias"]
    reached = [_reached(of_inputs) for of_inputs in np.swapaxes(weights, 0, 1)]
    return Block(
        f"{layer} (l = {HIDDEN_LAYERS[layer]})",
        [list(heatmap(of_input)) for of_input in weights],
        [", ".join(map(str, one.tolist())) for one in neurons],
        above=[
            [
                f"v = {number(v, 3)}{'' if light else ' †'}\nb = {number(b, 3)}"
                for v, b, light in zip(*of_input, strict=True)
            ]
            for of_input in zip(activity, bias, numbers[f"{layer}_sees_light"], strict=True)
        ],
        frames=np.where(activity > 0, ACTIVE, INACTIVE).tolist(),
        outlined=[reached] * len(weights),
    )


def _reached(weights: NDArray[np.floating]) -> Part | None:
    """Return the rows and columns in which a neuron has weights; None if these are all.

    Parameters
    ----------
    weights
        For each input, (n, height, width, channels).
    """
    there = weights.any(axis=(0, 3))
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    if not rows.size or there.shape == (np.ptp(rows) + 1, np.ptp(columns) + 1):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
