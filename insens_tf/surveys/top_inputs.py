"""The inputs that drive a channel, or a neuron of a dense layer, most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf.data_frames import data_frame

__all__ = ["TopInputs"]


class TopInputs(NamedTuple):
    """The largest activities of each channel of a layer, one an input, the largest first.

    A dense layer's channels are its neurons. Equal activities are in the order of their inputs.

    Attributes
    ----------
    inputs : numpy.ndarray of int64, shape (k, channels)
        Which inputs they are, counted from 0.
    activity : numpy.ndarray, shape (k, channels)
        The largest activity of the channel, over its places, for that input.
    place : numpy.ndarray of int64, shape (k, channels, axes of the layer - 1)
        Where in the channel it is; the first such place.
    """

    inputs: NDArray[np.int64]
    activity: NDArray[np.floating]
    place: NDArray[np.int64]

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with a row an input and channel.

        Returns
        -------
        pandas.DataFrame
            Its columns are channel (where there are several), rank (from 0), input, activity and
            place (a tuple).

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        *channels, rank = np.indices(self.inputs.T.shape).reshape(self.inputs.ndim, -1)
        place = np.swapaxes(self.place, 0, -2) if channels else self.place
        return data_frame(
            {
                **({"channel": channels[0]} if channels else {}),
                "rank": rank,
                "input": self.inputs.T.reshape(-1),
                "activity": self.activity.T.reshape(-1),
                "place": [tuple(map(int, one)) for one in place.reshape(len(rank), -1)],
            }
        )

    @classmethod
    def of(cls, activity: NDArray[np.floating], first: int, k: int) -> TopInputs:
        """Find them in a layer's activities (n, *layer shape) of the inputs from `first` on."""
        *sides, channels = activity.shape[1:]
        flat = activity.reshape(len(activity), -1, channels)
        places = flat.argmax(axis=1)
        largest = np.take_along_axis(flat, places[:, np.newaxis], axis=1)[:, 0]
        multi = np.stack(np.unravel_index(places, sides), axis=-1) if sides else None
        if multi is None:
            multi = np.zeros((*places.shape, 0), np.int64)
        index = np.broadcast_to(np.arange(first, first + len(flat))[:, np.newaxis], places.shape)
        return cls(index, largest, multi.astype(np.int64))._largest(k)

    @classmethod
    def merged(cls, parts: Iterable[TopInputs], k: int) -> TopInputs:
        """Join those of parts of the data; in any order the same."""
        found: TopInputs | None = None
        for part in parts:
            joined = part if found is None else cls._make(map(np.concatenate, zip(found, part)))
            found = joined._largest(k)
        if found is None:
            raise ValueError("parts: expected at least one, came none")
        return found

    def _largest(self, k: int) -> TopInputs:
        order = np.lexsort((self.inputs, -self.activity), axis=0)[:k]
        return TopInputs(
            np.take_along_axis(self.inputs, order, axis=0),
            np.take_along_axis(self.activity, order, axis=0),
            np.take_along_axis(self.place, order[..., np.newaxis], axis=0),
        )
