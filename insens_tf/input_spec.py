"""What a network takes as inputs, and the check that an array is such."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.data_batches import joined
from insens_tf.finiteness import refuse_masks

__all__ = ["InputSpec"]


@dataclass(frozen=True)
class InputSpec:
    """The shape and the numbers of a network's inputs.

    Attributes
    ----------
    shape : tuple of int
        The shape of one input.
    dtype : numpy.dtype
        What the network computes in: float32 or float64.
    model_dtype : tf.DType
        What the model's Input takes: of pictures perhaps uint8.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    model_dtype: tf.DType

    @property
    def batch(self) -> str:
        """The shape of a batch of inputs for a reader: "(batch, 28, 28, 1)"."""
        return f"{('batch', *self.shape)}".replace("'", "")

    def check(self, x: Any, argument: str = "x") -> NDArray[np.floating]:
        """Return inputs as one array of the network's dtype.

        Parameters
        ----------
        x : array, shape (n, *shape), or tf.data.Dataset
            Of a data set of batches all of them, without their labels.
        argument : str
            What it is called where it was given, for the message.

        Returns
        -------
        numpy.ndarray, shape (n, *shape)

        Raises
        ------
        ValueError
            If x has another shape, holds no input, is not finite, is masked, or has fractions where
            the model takes whole numbers.
        """
        if isinstance(x, tf.data.Dataset):
            x = joined(x, argument)
        refuse_masks(argument, x)
        expected = f"expected shape {self.batch}"
        try:
            array = np.asarray(x)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ValueError(f"{argument}: {expected}, came no array ({error})") from error
        if array.dtype.kind not in "buif":
            raise ValueError(f"{argument}: {expected} of real numbers, came dtype {array.dtype}")
        if array.shape == self.shape:
            raise ValueError(
                f"{argument}: {expected}, came {array.shape}, one input without a batch axis; "
                f"add it: {argument}[numpy.newaxis], or batch(n) of a tf.data.Dataset"
            )
        if array.shape[1:] != self.shape or not array.ndim:
            way_out = "pass the inputs as the model takes them"
            if (*array.shape[1:], 1) == self.shape:
                way_out = f"add the channel: {argument}[..., numpy.newaxis]"
            raise ValueError(f"{argument}: {expected}, came {array.shape}; {way_out}")
        if not len(array):
            raise ValueError(f"{argument}: {expected} with at least one input, came {array.shape}")
        with np.errstate(over="ignore"):
            array = array.astype(self.dtype, copy=False)
        self._check_numbers(array, argument)
        return array

    def count(self, shape: Any) -> int:
        """Return how many inputs an array of a shape holds.

        Raises
        ------
        ValueError
            If it is not the shape of a batch of inputs.
        """
        try:
            sizes = tuple(operator.index(size) for size in shape)
        except TypeError:
            sizes = ()
        if not sizes or sizes[1:] != self.shape or sizes[0] < 1:
            expected = self.batch.replace("batch", "n")
            raise ValueError(
                f"x_shape={shape!r}: expected the shape of a batch of inputs, {expected}, such as "
                "x.shape"
            )
        return sizes[0]

    def _check_numbers(self, array: NDArray[np.floating], argument: str) -> None:
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{argument}: expected finite numbers within {self.dtype}, came NaN or infinity in "
                f"input {int(np.flatnonzero(~finite)[0])} ({int((~finite).sum())} of {len(array)} "
                "inputs); leave these out or mend them"
            )
        if not self.model_dtype.is_floating:
            with np.errstate(invalid="ignore"):
                taken = array.astype(self.model_dtype.as_numpy_dtype)
            if (taken != array).any():
                raise ValueError(
                    f"{argument}: expected whole numbers that {self.model_dtype.name} has, which "
                    "is what the model's Input takes, came "
                    f"{array[taken != array][0]:.6g}; pass the inputs as the model takes them, "
                    "such as pictures from 0 to 255"
                )
