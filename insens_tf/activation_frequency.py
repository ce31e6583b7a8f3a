"""How often each neuron is active over a data set: m_i / N of Eq. 8."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import inline_html
from insens_tf.data_frames import data_frame
from insens_tf.execution import Compiled
from insens_tf.files import read_npz, save_arrays
from insens_tf.graph import Graph
from insens_tf.layers import HiddenLayer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ActivationFrequency", "ActiveNeuronCounter"]


class ActivationFrequency(Mapping[str, NDArray[np.float64]]):
    """m_i / N of every neuron: the share of samples in which it is active (v > 0).

    A mapping from a layer's name to a float64 array of the layer's shape, in 0..1.

    Parameters
    ----------
    counts : mapping of str to array of int
        m_i by the name of the layer, each of the layer's shape.
    samples : int
        N, at least 1.
    largest_input : float, optional
        The largest magnitude in the samples, if it is known.

    Examples
    --------
    >>> frequency = network.activation_frequency(x_train)
    >>> frequency["dense"].shape
    (1024,)
    """

    def __init__(
        self,
        counts: Mapping[str, NDArray[np.integer[Any]]],
        samples: int,
        largest_input: float | None = None,
    ) -> None:
        self.largest_input = None if largest_input is None else float(largest_input)
        self.samples = int(samples)
        self.counts = {name: np.asarray(count, np.int64) for name, count in counts.items()}
        if self.samples < 1:
            raise ValueError(f"samples={samples}: expected at least one sample")
        for name, count in self.counts.items():
            if count.size and (count.min() < 0 or count.max() > self.samples):
                raise ValueError(
                    f"counts of layer {name!r}: expected 0..{self.samples} (the samples), found "
                    f"{count.min()}..{count.max()}"
                )

    def __getitem__(self, layer: str) -> NDArray[np.float64]:
        return self.counts[layer] / self.samples

    def __iter__(self) -> Iterator[str]:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        shares = ", ".join(f"{name}: {self[name].mean():.3f}" for name in self)
        return f"ActivationFrequency({self.samples} samples; mean {shares})"

    def _repr_html_(self) -> str:
        rows = [
            (
                name,
                " × ".join(map(str, count.shape)),
                f"{count.mean() / self.samples:.1%}",
                f"{(count == 0).mean():.1%}",
                f"{(count == self.samples).mean():.1%}",
            )
            for name, count in self.counts.items()
        ]
        headers = ("layer", "shape", "mean m/N", "never active", "always active")
        counted = f"Activation frequency over {self.samples:,} samples"
        return inline_html.paragraphs(counted) + inline_html.table(headers, rows, numbers=4)

    def __add__(self, other: ActivationFrequency) -> ActivationFrequency:
        """Return the frequency over both parts of the data."""
        if not isinstance(other, ActivationFrequency):
            return NotImplemented
        mine, theirs = ({n: c.shape for n, c in one.counts.items()} for one in (self, other))
        if mine != theirs:
            raise ValueError(
                f"cannot add up frequencies of different layers: {mine} and {theirs}; both parts "
                "must come from the same network and layers"
            )
        counts = {name: count + other.counts[name] for name, count in self.counts.items()}
        largest = [one.largest_input for one in (self, other) if one.largest_input is not None]
        return ActivationFrequency(
            counts, self.samples + other.samples, max(largest) if len(largest) == 2 else None
        )

    def plot(self) -> Figure:
        """Draw for each layer how many of its neurons have which m/N.

        Returns
        -------
        matplotlib.figure.Figure
        """
        # Drawing knows frequencies, not the other way round.
        from insens_tf.object_figures import frequency_figure

        return frequency_figure(self)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row a neuron.

        Returns
        -------
        pandas.DataFrame
            Its columns are layer, neuron (the flat index in it), count (m) and frequency (m/N).

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        counts = [count.reshape(-1) for count in self.counts.values()]
        sizes = [len(count) for count in counts]
        count = np.concatenate([np.zeros(0, np.int64), *counts])
        return data_frame(
            {
                "layer": np.repeat(np.array(list(self.counts), object), sizes),
                "neuron": np.concatenate([np.zeros(0, np.int64), *map(np.arange, sizes)]),
                "count": count,
                "frequency": count / self.samples,
            }
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as an npz file (no pickle), whole or not at all."""
        arrays: dict[str, Any] = {f"counts/{name}": one for name, one in self.counts.items()}
        # Damage to the archive's directory can hide an array; the list of names shows it.
        arrays["layers"] = np.array(list(self.counts), np.str_)
        if self.largest_input is not None:
            arrays["largest_input"] = np.float64(self.largest_input)
        save_arrays(path, {"samples": np.int64(self.samples), **arrays})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ActivationFrequency:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, holds Python objects or is no activation frequency.
        FileNotFoundError
            If there is no such file.
        """
        try:
            arrays = read_npz(path)
            samples, layers = arrays.pop("samples"), arrays.pop("layers")
            largest = arrays.pop("largest_input", None)
            if largest is not None and (largest.dtype != np.float64 or largest.shape):
                raise ValueError("its largest input is not a number")
            if samples.dtype.kind != "i" or samples.shape:
                raise ValueError("its number of samples is not an integer")
            counts = {}
            for key, count in arrays.items():
                kind, _, name = key.partition("/")
                if kind != "counts" or count.dtype.kind != "i":
                    raise ValueError(f"it holds {key!r} of {count.dtype}, expected integer counts")
                counts[name] = count
            if list(counts) != layers.tolist():
                raise ValueError(f"it holds layers {list(counts)} of {layers.tolist()}")
            return cls(counts, int(samples), None if largest is None else float(largest))
        except FileNotFoundError:
            raise
        except Exception as error:  # Zip and npy can raise many kinds of errors for a damaged file.
            raise ValueError(
                f"{os.fspath(path)!r}: expected a file written by ActivationFrequency.save; {error}"
            ) from error


class ActiveNeuronCounter:
    """Counts the active neurons of layers over batches of inputs."""

    def __init__(self, graph: Graph, layers: Sequence[HiddenLayer]) -> None:
        self._layers = tuple(layers)
        self._graph = graph
        self._compiled = Compiled(
            self._count, [tf.TensorSpec((None, *graph.input_shape), graph.dtype)]
        )

    def __call__(
        self, batches: Iterable[NDArray[Any]], no_number: Callable[[HiddenLayer], Exception]
    ) -> ActivationFrequency:
        """Return the frequency over `batches`, each (n, *input_shape).

        `no_number` makes the error for a layer whose activity is NaN: neither active nor inactive.
        """
        totals = [np.zeros(layer.shape, np.int64) for layer in self._layers]
        samples, largest = 0, 0.0
        for x in batches:
            counts, numbers = self._compiled(x)
            for layer, total, count, is_number in zip(self._layers, totals, counts, numbers):
                if not is_number:
                    raise no_number(layer)
                total += count
            samples += len(x)
            largest = max(largest, float(x.max()), -float(x.min()))
        if not samples:
            raise ValueError("data: expected at least one batch of inputs, came none")
        counts = {layer.name: total for layer, total in zip(self._layers, totals)}
        return ActivationFrequency(counts, samples, largest)

    def _count(self, x: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Return how many of x make each neuron active, and whether each layer is free of NaN."""
        values = self._graph.values(x, [layer.position for layer in self._layers])
        counts = [tf.reduce_sum(tf.cast(value > 0, tf.int32), axis=0) for value in values]
        return counts, [tf.logical_not(tf.reduce_any(tf.math.is_nan(value))) for value in values]
