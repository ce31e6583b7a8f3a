"""What a worker of a survey does: it computes a shard of the inputs, and writes it to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.activation_frequency import ActivationFrequency
from insens_tf.batches import BATCH_SIZE
from insens_tf.surveys.margin_histogram import MarginHistogram
from insens_tf.surveys.survey_inputs import SurveyInputs
from insens_tf.surveys.top_inputs import TopInputs

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = ["FREQUENCY", "ShardTask", "SurveyWork", "compute_shard", "shard_name"]

FREQUENCY = "frequency.npz"
_COMPRESSED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
# What an input's activities and what is made of them take in memory, in the network's numbers.
_ARRAYS_HELD = 4


class ShardTask(NamedTuple):
    """A piece of work: a kind of shard, "states" or "insens", and its number."""

    work: str
    kind: str
    number: int


@dataclass(frozen=True)
class SurveyWork:
    """All that a worker has to know, as it stands in a file.

    Attributes
    ----------
    folder : str
        Where shards are written to.
    model : str
        The path of the Keras model.
    network : mapping
        The arguments of `SwitchedNetwork`.
    inputs : mapping
        The arguments of `SurveyInputs`.
    layers : sequence of str
    what : sequence of str
    top : int
        How many of the inputs that drive a channel most.
    shard : int
        How many inputs a shard has.
    frequency : str or None
        The path of the frequency that Insens is weighted with.
    """

    folder: str
    model: str
    network: Mapping[str, Any]
    inputs: Mapping[str, Any]
    layers: Sequence[str]
    what: Sequence[str]
    top: int
    shard: int
    frequency: str | None = None

    @property
    def shards(self) -> int:
        """How many shards there are of each kind."""
        return -(-int(self.inputs["count"]) // self.shard)


def shard_name(kind: str, number: int) -> str:
    """Return the name of a shard's file."""
    return f"{kind}_{number:06d}.h5"


class _Opened(NamedTuple):
    """What a worker keeps between two shards."""

    version: tuple[str, int]
    work: SurveyWork
    network: SwitchedNetwork
    inputs: SurveyInputs


_opened: _Opened | None = None


def compute_shard(task: ShardTask) -> None:
    """Compute a shard and write its file, whole or not at all."""
    opened = _open(Path(task.work))
    work = opened.work
    first = task.number * work.shard
    last = min(first + work.shard, opened.inputs.count)
    try:
        x = opened.network.input_spec.check(opened.inputs[first:last])
        arrays = (_states if task.kind == "states" else _insens)(opened, x, first)
    except files.UnusableFileError:
        raise
    except ValueError as error:
        raise ValueError(f"inputs {first} to {last - 1}: {error}") from error
    _write(Path(work.folder) / shard_name(task.kind, task.number), arrays)


def _open(path: Path) -> _Opened:
    """Return the model and the inputs of some work, which stay open for its next shard."""
    global _opened
    version = str(path), path.stat().st_mtime_ns
    if _opened is None or _opened.version != version:
        from insens_tf.network import SwitchedNetwork

        work = SurveyWork(**json.loads(path.read_text(encoding="utf-8")))
        network = SwitchedNetwork(files.load_model(work.model), **work.network)
        stored = {**work.inputs, "paths": tuple(work.inputs["paths"])}
        _opened = _Opened(version, work, network, SurveyInputs(**stored))
    return _opened


def _write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    import h5py  # type: ignore[import-untyped]

    with files.whole_file(path) as partial, h5py.File(partial, "w") as file:
        for name, values in arrays.items():
            options = _COMPRESSED if values.ndim and values.size else {}
            file.create_dataset(name, data=values, **options)


def _batches(opened: _Opened, inputs: int) -> list[slice]:
    """Return the batches of a shard, small enough for the memory budget."""
    network = opened.network
    neurons = sum(network.layer(name).neurons for name in opened.work.layers)
    of_an_input = _ARRAYS_HELD * network.dtype.itemsize * max(1, neurons)
    size = max(1, min(BATCH_SIZE, network.memory_budget // of_an_input))
    return [slice(start, min(start + size, inputs)) for start in range(0, inputs, size)]


def _states(opened: _Opened, x: NDArray[Any], first: int) -> dict[str, NDArray[Any]]:
    """Return counts, the most driving inputs and margins of a shard, by the layers' numbers."""
    names, what = list(opened.work.layers), opened.work.what
    shapes = [opened.network.layer(name).shape for name in names]
    active = np.zeros((len(x), len(names)), np.int64)
    least = np.zeros((len(x), len(names)), opened.network.dtype)
    counts = [np.zeros(shape, np.int64) for shape in shapes]
    tops: list[list[TopInputs]] = [[] for _ in names]
    histograms: list[list[MarginHistogram]] = [[] for _ in names]
    for rows in _batches(opened, len(x)):
        activities = opened.network.activity(x[rows], names)
        for i, name in enumerate(names):
            is_active = activities[name] > 0
            counts[i] += is_active.sum(axis=0)
            active[rows, i] = is_active.reshape(len(is_active), -1).sum(axis=1)
            if "top" in what:
                tops[i].append(TopInputs.of(activities[name], first + rows.start, opened.work.top))
        if "margins" in what:
            margins = opened.network.margins(x[rows], names, progress=False)
            for i, name in enumerate(names):
                histograms[i].append(MarginHistogram.of(margins[name]))
                least[rows, i] = np.abs(margins[name]).reshape(len(margins[name]), -1).min(axis=1)
    arrays: dict[str, NDArray[Any]] = {"active": active}
    arrays["largest_input"] = np.array(max(float(x.max()), -float(x.min())))
    for i in range(len(names)):
        if "frequency" in what:
            arrays[f"counts/{i}"] = counts[i]
        if "top" in what:
            found = TopInputs.merged(tops[i], opened.work.top)
            arrays |= {f"top/{i}/{key}": values for key, values in found._asdict().items()}
        if "margins" in what:
            arrays[f"margins/{i}"] = sum(histograms[i][1:], histograms[i][0]).counts
    if "margins" in what:
        arrays["least_margin"] = least
    return arrays


def _insens(opened: _Opened, x: NDArray[Any], first: int) -> dict[str, NDArray[Any]]:
    """Return the maps of a shard, by the layers' numbers."""
    work, network = opened.work, opened.network
    names = list(work.layers)
    frequency = None if work.frequency is None else ActivationFrequency.load(work.frequency)
    parts = [
        network.insens(x[rows], names, frequency, progress=False)
        for rows in _batches(opened, len(x))
    ]
    return {
        f"insens/{i}": np.concatenate([part[name] for part in parts])
        for i, name in enumerate(names)
    }
