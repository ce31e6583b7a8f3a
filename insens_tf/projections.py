"""Switched linear projections: the switched weights, bias and centre of chosen neurons."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insens_tf import equations, inline_html
from insens_tf.chunks import readable_size, slices
from insens_tf.data_frames import data_frame
from insens_tf.files import save_arrays
from insens_tf.heatmap import LEGEND
from insens_tf.layers import HiddenLayer
from insens_tf.neuron_pictures import NeuronPicture, neuron_pictures
from insens_tf.picture_grid import Part
from insens_tf.receptive_field import WHOLE_INPUT, ReceptiveField
from insens_tf.switched_weights import SwitchedWeights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Projection",
    "difference_of",
    "iterate_projections",
    "project",
]

# The arrays of a projection for a neuron and an input: weights, centre and contribution.
MAPS = 3


@dataclass(frozen=True, eq=False)
class Projection:
    """The linear projections v = x w + b of k neurons for n inputs (Eq. 2 to 5 of the paper).

    Attributes
    ----------
    layer : HiddenLayer
        The layer of the neurons.
    neurons : numpy.ndarray of int, shape (k, rank of the layer)
        The neurons' indices in the layer, such as (row, column, channel).
    x : numpy.ndarray, shape (n, *input_shape)
        The inputs.
    rows : slice
        Which inputs of the batch these are: all of them, unless this is one of several chunks.
    activity : numpy.ndarray, shape (n, k)
        v, each neuron's weighted sum plus bias, before its ReLU.
    weights : numpy.ndarray, shape (n, k, *input_shape)
        w, the switched weights: the derivative of v in x with the state held (Eq. 2).
    subtracted : numpy.ndarray of int, shape (k, rank of the layer), or None
        Where this is of differences of neurons: those that were subtracted from `neurons`.
    receptive_field : ReceptiveField
        What of the input neurons of this layer see; `seen` says it of each.
    """

    layer: HiddenLayer
    neurons: NDArray[np.int64]
    x: NDArray[Any]
    rows: slice
    activity: NDArray[Any]
    weights: NDArray[Any]
    subtracted: NDArray[np.int64] | None = None
    receptive_field: ReceptiveField = WHOLE_INPUT

    @cached_property
    def bias(self) -> NDArray[Any]:
        """b = v - x w, the switched bias, shape (n, k); summed in float64."""
        inputs = self.x.reshape(len(self.x), -1)
        return equations.switched_bias(inputs, self.activity, self._flat_weights)

    @cached_property
    def centre(self) -> NDArray[Any]:
        """c = x - v w / (w w), the nearest root point (Eq. 4 and 6), shape (n, k, *input_shape).

        NaN for a neuron whose switched weights are all 0: it has no root, or every point is one.
        """
        return equations.centre(self.x[:, np.newaxis], self.weights, self._root_factor)

    @cached_property
    def contribution(self) -> NDArray[Any]:
        """(x_j - c_j) w_j of each input component j (Eq. 5), shape (n, k, *input_shape).

        Its sum over the input is v. NaN where the centre is.
        """
        return equations.contribution(self.weights, self._root_factor)

    def seen(self, k: int) -> Part | None:
        """Return the part of the input that the k-th neuron sees, or the pair of a difference.

        Returns
        -------
        (slice, slice), or None
            The rows and columns of inputs that are pictures, (height, width) or (height, width,
            channels). None where all neurons of the layer see all of them.
        """
        lengths = self.x.shape[1:-1]
        extent = self.receptive_field.extent(lengths)
        if extent is None or extent == lengths or self.x.ndim not in (3, 4):
            return None
        neurons = [self.neurons[k], *(() if self.subtracted is None else [self.subtracted[k]])]
        blocks = [self.receptive_field.block(one[:-1].tolist(), lengths) for one in neurons]
        seen = [
            slice(min(one.start for one in axis), max(one.stop for one in axis))
            for axis in zip(*blocks)
        ]
        rows, columns = (*seen, slice(0, self.x.shape[2]))[:2]
        return rows, columns

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        what = "neurons" if self.subtracted is None else "differences"
        return (
            f"Projection(layer={self.layer.name!r}, inputs={len(self.x)}, "
            f"{what}={len(self.neurons)}, weights={self.weights.shape})"
        )

    def _repr_html_(self) -> str:
        pairs = [(n, k) for n in range(len(self.x)) for k in range(len(self.neurons))]
        shown = pairs[: inline_html.MOST]
        blocks = [
            inline_html.paragraphs(self.title(n, k)) + inline_html.drawn(self._figures(n, k))
            for n, k in shown
        ]
        more = len(pairs) - len(shown)
        note = f"{LEGEND}.{f' {more} more are not shown.' if more else ''}"
        return inline_html.paragraphs(repr(self)) + "".join(blocks) + inline_html.paragraphs(note)

    def plot(self) -> Figure:
        """Draw each neuron for each input: the input, w, contribution and centre.

        What a convolutional neuron sees is outlined on the input, and shown zoomed.

        Returns
        -------
        matplotlib.figure.Figure
            A row an input and neuron, with v and b.

        Raises
        ------
        ValueError
            If the inputs are no pictures, or there are more than 100 rows.
        """
        # Drawing knows projections, not the other way round.
        from insens_tf.object_figures import projection_figure

        return projection_figure(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it as an npz file (no pickle), whole or not at all.

        The arrays are named as the attributes are; `layer` is the layer's name.
        """
        arrays = {
            name: getattr(self, name)
            for name in ("neurons", "x", "activity", "bias", "weights", "centre", "contribution")
        }
        if self.subtracted is not None:
            arrays["subtracted"] = self.subtracted
        save_arrays(path, {"layer": self.layer.name, **arrays})

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row an input and neuron.

        Returns
        -------
        pandas.DataFrame
            Its columns are input, layer, neuron (its index in the layer, a tuple), subtracted (of a
            difference), activity (v), bias (b), and distance (abs(v) over the length of w: to where
            v is 0).

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        inputs, neurons = self.activity.shape
        lengths = np.linalg.norm(self._flat_weights.astype(np.float64), axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(lengths > 0, np.abs(self.activity) / lengths, np.nan)
        names = {"neuron": self.neurons, "subtracted": self.subtracted}
        indices = {
            name: [tuple(map(int, one)) for one in of_all] * inputs
            for name, of_all in names.items()
            if of_all is not None
        }
        return data_frame(
            {
                "input": np.repeat(np.arange(self.rows.start, self.rows.start + inputs), neurons),
                "layer": self.layer.name,
                **indices,
                "activity": self.activity.reshape(-1),
                "bias": self.bias.reshape(-1),
                "distance": distance.reshape(-1),
            }
        )

    def title(self, n: int, k: int) -> str:
        """Return what to call the k-th neuron for the n-th input: its name, v and b."""
        name = f"{self.layer.name} {self.neurons[k].tolist()}"
        if self.subtracted is not None:
            name += f" − {self.subtracted[k].tolist()}"
        number = self.rows.start + n
        v, b = float(self.activity[n, k]), float(self.bias[n, k])
        return f"{name}, input {number}: v = {v:.4g}, b = {b:.4g}"

    def pictures(self, n: int, k: int) -> list[NeuronPicture]:
        """Return pictures of the k-th neuron for the n-th input; None where inputs are none.

        The input, w, contribution and centre; of a convolutional neuron what it sees is outlined on
        the input, and follows zoomed.
        """
        centre = self.centre[n, k]
        has_centre = bool(np.isfinite(centre).all())
        maps = {
            "w": inline_html.map_picture(self.weights[n, k]),
            "contribution": inline_html.map_picture(self.contribution[n, k]),
            "centre": inline_html.input_picture(centre) if has_centre else None,
        }
        return neuron_pictures(inline_html.input_picture(self.x[n]), maps, self.seen(k))

    def _figures(self, n: int, k: int) -> list[str]:
        pictures = self.pictures(n, k)
        titles = [one.title for one in pictures]
        if not np.isfinite(self.centre[n, k]).all():
            titles[titles.index("centre")] = "no centre: w is 0"
        return [
            inline_html.figure(one.rgb, title, one.outlined) for one, title in zip(pictures, titles)
        ]

    @cached_property
    def _root_factor(self) -> NDArray[Any]:
        """v / (w w), float64, NaN where w = 0; shape (n, k, 1, ...) to go with the weights."""
        factor = equations.root_factor(self.activity, self._flat_weights)
        return factor.reshape(*factor.shape, *(1,) * (self.x.ndim - 1))

    @property
    def _flat_weights(self) -> NDArray[Any]:
        return self.weights.reshape(*self.weights.shape[:2], -1)


def difference_of(pair: Projection) -> Projection:
    """Return the projection of v_a - v_b, from that of the two neurons a and b.

    A difference of linear functions is one: its w is w_a - w_b, and its centre the nearest point
    at which both neurons are equal.
    """
    return replace(
        pair,
        neurons=pair.neurons[:1],
        subtracted=pair.neurons[1:],
        activity=pair.activity[:, :1] - pair.activity[:, 1:],
        weights=pair.weights[:, :1] - pair.weights[:, 1:],
    )


def project(
    weights: SwitchedWeights,
    layer: HiddenLayer,
    x: NDArray[Any],
    neurons: NDArray[np.int64],
    memory_budget: int,
) -> Projection:
    """Return the projections of `neurons` (flat indices) for x, if they fit the budget.

    Raises
    ------
    ValueError
        If the arrays would not fit.
    """
    size = len(x) * len(neurons) * x[0].size * x.dtype.itemsize * MAPS
    if size > memory_budget:
        raise ValueError(
            f"the projections of {len(neurons)} neurons of layer {layer.name!r} for {len(x)} "
            f"inputs need {readable_size(size)} (weights, centre, contribution), more than the "
            f"memory budget of {readable_size(memory_budget)}; choose fewer neurons or inputs, "
            "take them in chunks from iterate_projections, or build the SwitchedNetwork with a "
            "larger memory_budget"
        )
    return _projected(weights, layer, x, slice(0, len(x)), neurons)


def iterate_projections(
    weights: SwitchedWeights,
    layer: HiddenLayer,
    x: NDArray[Any],
    neurons: NDArray[np.int64],
    memory_budget: int,
) -> Iterator[Projection]:
    """Yield the projections of `neurons` (flat indices) for x, each chunk within the budget."""
    one = x[0].size * x.dtype.itemsize * MAPS
    pairs = max(1, memory_budget // one)
    for rows in slices(len(x), max(1, pairs // len(neurons))):
        for columns in slices(len(neurons), max(1, pairs // (rows.stop - rows.start))):
            yield _projected(weights, layer, x, rows, neurons[columns])


def _projected(
    weights: SwitchedWeights,
    layer: HiddenLayer,
    x: NDArray[Any],
    rows: slice,
    neurons: NDArray[np.int64],
) -> Projection:
    part = x[rows]
    activity, switched = weights(part, neurons)
    indices = np.stack(np.unravel_index(neurons, layer.shape), axis=-1)
    field = weights.receptive_field
    return Projection(layer, indices, part, rows, activity, switched, receptive_field=field)
