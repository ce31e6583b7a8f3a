"""Survey: what was computed over a data set, read from its folder as far as it is asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.activation_frequency import ActivationFrequency
from insens_tf.arguments import did_you_mean, whole_number
from insens_tf.constant_neurons import ConstantNeurons, constant_neurons
from insens_tf.data_frames import data_frame
from insens_tf.files.file_errors import reading
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.surveys.margin_histogram import MarginHistogram
from insens_tf.surveys.survey_merge import MERGED
from insens_tf.surveys.survey_work import FREQUENCY, shard_name
from insens_tf.surveys.top_inputs import TopInputs

__all__ = ["ShardedMaps", "Survey"]

_RECORD = "run.json"


class ShardedMaps:
    """The maps of one layer of all inputs, (n, *input_shape), read from their shards by rows.

    Parameters
    ----------
    folder : pathlib.Path
    layer : int
        The layer's number in the survey.
    count, shard : int
        How many inputs there are, and in each shard.
    input_shape : tuple of int
    """

    def __init__(
        self, folder: Path, layer: int, count: int, shard: int, input_shape: tuple[int, ...]
    ) -> None:
        self._folder = folder
        self._name = f"insens/{layer}"
        self._count = count
        self._shard = shard
        self.shape = (count, *input_shape)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: int | slice) -> NDArray[Any]:
        """Read the maps of one input, (*input_shape), or of a slice of them without steps."""
        if isinstance(rows, slice):
            first, last, step = rows.indices(self._count)
            if step != 1:
                raise ValueError(f"{rows}: expected a slice without steps; take every map of it")
            return self._read(first, max(first, last))
        if not -self._count <= rows < self._count:
            raise IndexError(f"{rows}: expected one of {self._count} inputs")
        return self._read(rows % self._count, rows % self._count + 1)[0]

    def _read(self, first: int, last: int) -> NDArray[Any]:
        import h5py  # type: ignore[import-untyped]

        parts = []
        for number in range(first // self._shard, -(-last // self._shard)):
            path = self._folder / shard_name("insens", number)
            start = number * self._shard
            with reading(path, "survey"), h5py.File(path, "r") as file:
                parts.append(file[self._name][max(0, first - start) : last - start])
        return np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), np.float32)


class Survey:
    """What `survey` computed over a data set.

    Nothing but a small index is read until it is asked for.

    Attributes
    ----------
    folder : pathlib.Path
    record : dict
        How it came about: the settings, the versions, the fingerprints of model and inputs.
    layers : tuple of HiddenLayer
    what : tuple of str
        What was computed.

    Examples
    --------
    >>> found = Survey.open("survey")
    >>> found.frequency["dense"].shape
    (1024,)
    >>> len(found.top("conv_2", channel=1).inputs) > 0
    True
    >>> float(found.margins["dense"].quantile(0.5)) > 0
    True
    >>> found.maps["dense"][:8].shape
    (8, 28, 28, 1)
    """

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.folder = folder
        self.record = record
        self.layers = tuple(
            HiddenLayer(
                one["index"],
                one["name"],
                tuple(one["shape"]),
                one["position"],
                tuple(one["aliases"]),
            )
            for one in record["layers"]
        )
        self.what = tuple(record["what"])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Survey:
        """Open the folder that `survey` or `insens-tf survey` has written.

        Raises
        ------
        UnusableFileError
            If there is none, or work on it is not finished.
        """
        folder = Path(path)
        if not (folder / _RECORD).is_file():
            unfinished = files.unfinished_folder(folder).parent
            state = (
                f"its work is not finished, see {unfinished}: the same call of survey continues"
                if unfinished.exists()
                else "there is none"
            )
            raise files.UnusableFileError(f"survey {folder}: expected a finished survey, {state}")
        with reading(folder / _RECORD, "survey"):
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if record.get("command") != "survey":
            raise files.UnusableFileError(
                f"survey {folder}: expected what survey has written, found the results of "
                f"{record.get('command')!r}"
            )
        return cls(folder, record)

    def __len__(self) -> int:
        return int(self.record["inputs"])

    def __repr__(self) -> str:
        layers = ", ".join(layer.name for layer in self.layers)
        return f"Survey({len(self)} inputs; {', '.join(self.what)}; layers {layers})"

    @property
    def frequency(self) -> ActivationFrequency:
        """The activation frequency over all inputs."""
        self._number_of(None, "frequency")
        path = self.folder / FREQUENCY
        with reading(path, "survey"):
            return ActivationFrequency.load(path)

    def dead(self) -> dict[str, ConstantNeurons]:
        """Return, by the layer's name, the neurons that are active for no input."""
        return constant_neurons(self.frequency, self.layers, 0.0)

    def always_active(self) -> dict[str, ConstantNeurons]:
        """Return, by the layer's name, the neurons that are active for every input."""
        return constant_neurons(self.frequency, self.layers, 1.0)

    def top(self, layer: str, channel: int | None = None) -> TopInputs:
        """Return the inputs that drive a layer's channels most.

        Parameters
        ----------
        layer : str
            Its name.
        channel : int, optional
            One channel, of a dense layer one neuron; None: all, as the last axis.

        Returns
        -------
        TopInputs
            Of one channel: inputs and activity (k,), place (k, axes of the layer - 1).

        Raises
        ------
        ValueError
            If there is no such layer or channel, or "top" was not asked for.
        """
        number = self._number_of(layer, "top")
        found = TopInputs._make(self._merged(f"top/{number}/{name}") for name in TopInputs._fields)
        if channel is None:
            return found
        channels = found.inputs.shape[1]
        if whole_number("channel", channel, least=0) >= channels:
            raise ValueError(f"channel={channel}: layer {layer!r} has {channels} channels")
        return TopInputs._make(values[:, channel] for values in found)

    @property
    def margins(self) -> Mapping[str, MarginHistogram]:
        """By the layer's name, how far its neurons are from where they switch, of all inputs."""
        return _ByLayer(
            self, "margins", lambda number: MarginHistogram(self._merged(f"margins/{number}"))
        )

    @property
    def maps(self) -> Mapping[str, ShardedMaps]:
        """By the layer's name, Insens of all inputs, read by rows."""
        size, shape = int(self.record["shard"]), tuple(self.record["input_shape"])
        return _ByLayer(
            self,
            "insens",
            lambda number: ShardedMaps(self.folder, number, len(self), size, shape),
        )

    def inputs(self) -> dict[str, NDArray[Any]]:
        """Return a table of the inputs, by its columns, (n,) each.

        `input`, their number or name; `<layer>/active`, how many of its neurons are active; with
        "margins" `<layer>/least_margin`, the distance to where the nearest of them switches.
        """
        import h5py

        if not {"frequency", "top", "margins"} & set(self.what):
            raise ValueError(f"inputs: expected a survey of states, this one is of {self.what}")
        names = ["active", *(["least_margin"] if "margins" in self.what else [])]
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
        for number in range(-(-len(self) // int(self.record["shard"]))):
            path = self.folder / shard_name("states", number)
            with reading(path, "survey"), h5py.File(path, "r") as file:
                for name in names:
                    parts[name].append(file[name][()])
        columns: dict[str, NDArray[Any]] = {
            "input": np.array(self.record.get("names") or np.arange(len(self)))
        }
        for name in names:
            values = np.concatenate(parts[name])
            for number, layer in enumerate(self.layers):
                columns[f"{layer.name}/{name}"] = values[:, number]
        return columns

    def to_pandas(self) -> Any:
        """Return `inputs` as a pandas.DataFrame, which can write Parquet where pyarrow is, too.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        return data_frame(self.inputs())

    def _merged(self, name: str) -> NDArray[Any]:
        import h5py

        with reading(self.folder / MERGED, "survey"), h5py.File(self.folder / MERGED, "r") as file:
            return file[name][()]

    def _number_of(self, layer: str | None, what: str) -> int:
        """Return a layer's number; refuse what was not computed."""
        if what not in self.what:
            raise ValueError(
                f"{what}: this survey has {', '.join(self.what)}; make another one with "
                f"what={(*self.what, what)}"
            )
        names = [one.name for one in self.layers]
        if layer is None:
            return 0
        if layer not in names:
            raise ValueError(
                f"layer={layer!r}: expected one of {', '.join(map(repr, names))}"
                f"{did_you_mean(layer, names)}"
            )
        return names.index(layer)


class _ByLayer(Mapping[str, Any]):
    """What a survey has of each layer, read when it is taken out."""

    def __init__(self, survey: Survey, what: str, read: Any) -> None:
        self._survey, self._what, self._read = survey, what, read

    def __getitem__(self, layer: str) -> Any:
        return self._read(self._survey._number_of(layer, self._what))

    def __iter__(self) -> Iterator[str]:
        return iter([layer.name for layer in self._survey.layers])

    def __len__(self) -> int:
        return len(self._survey.layers)
