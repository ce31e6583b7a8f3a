"""In what the states of two inputs differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.data_frames import data_frame
from insens_tf.regions.boundaries import labels_of, switched
from insens_tf.regions.region_functions import RegionFunctions

__all__ = ["StateDifference", "state_difference"]


@dataclass(frozen=True, eq=False)
class StateDifference:
    """In what the states of n pairs of inputs differ, m neurons and windows in all.

    Attributes
    ----------
    same : numpy.ndarray of bool, shape (n,)
        Whether both inputs of a pair lie in the same linear region.
    pair : numpy.ndarray of int, shape (m,)
        The pair that each difference is of.
    layer : numpy.ndarray of str, shape (m,)
        The hidden layer of the neuron, or the layer that pools.
    kind : numpy.ndarray of str, shape (m,)
        "gate" or "max pooling".
    index : numpy.ndarray of int, shape (m,)
        The flat index of the neuron, or of the window in the pooling's output.
    first, second : numpy.ndarray of int, shape (m,)
        The states: of a neuron 0 for inactive, 1 for active, 2 from a ceiling on; of a window the
        flat index, in the pooling's operand, of the winner.
    """

    same: NDArray[np.bool_]
    pair: NDArray[np.int64]
    layer: NDArray[np.str_]
    kind: NDArray[np.str_]
    index: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pair)

    def __repr__(self) -> str:
        return (
            f"StateDifference({int(self.same.sum())} of {len(self.same)} pairs in one region, "
            f"{len(self)} differences in the others)"
        )

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row a difference.

        Returns
        -------
        pandas.DataFrame
            Its columns are pair, layer, kind, index, first and second.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        names = ("pair", "layer", "kind", "index", "first", "second")
        return data_frame({name: getattr(self, name) for name in names})


def state_difference(
    functions: RegionFunctions, a: NDArray[np.float64], b: NDArray[np.float64]
) -> StateDifference:
    """Return in what the states of pairs of inputs differ, (n, *input_shape) each."""
    columns: list[list[NDArray[np.int64]]] = [[np.zeros(0, np.int64)] for _ in range(5)]
    for rows in functions.slices(len(a), functions.decisive):
        states = zip(functions.states(a[rows]), functions.states(b[rows]))
        for number, (one, other) in enumerate(states):
            row, *what = switched(one, other)
            found = row + rows.start, np.full(len(row), number), *what
            for column, values in zip(columns, found):
                column.append(values)
    pair, which, index, first, second = (np.concatenate(column) for column in columns)
    order = np.lexsort((index, which, pair))
    same = np.ones(len(a), np.bool_)
    same[pair] = False
    labels = labels_of(functions.boundaries, which[order])
    return StateDifference(same, pair[order], *labels, index[order], first[order], second[order])
