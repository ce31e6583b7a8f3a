"""Insens of blocks of images: in this process, or by workers that load the model once."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from numpy.typing import NDArray

from insens_tf import files
from insens_tf.cli.messages import CommandError, said_in_one_line, warnings_in_one_line
from insens_tf.cli.options import EngineOptions

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = ["InsensBlocks"]

Maps = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class InsensBlocks:
    """What is computed of each block of images.

    Attributes
    ----------
    model : str
        The path of the model.
    network_arguments : mapping
        Those of `SwitchedNetwork`.
    inputs : ModelInputs
    layers : sequence of str
    frequency : ActivationFrequency or None
    state, sensitivity : str
        As `SwitchedNetwork.insens` has them.
    """

    model: str
    network_arguments: Mapping[str, Any]
    inputs: files.ModelInputs
    layers: Sequence[str]
    frequency: Any
    state: str
    sensitivity: str

    def here(
        self, network: SwitchedNetwork, blocks: Sequence[slice]
    ) -> Iterator[tuple[slice, Maps]]:
        """Yield the maps of each block, computed in this process."""
        fewer = "take fewer layers with --layer" if len(self.layers) > 1 else ""
        said: set[str] = set()
        for rows in blocks:
            with said_in_one_line(fewer), warnings_in_one_line(said):
                maps = _insens(network, self._task(rows))
            yield rows, maps

    def by_workers(
        self, options: EngineOptions, blocks: Sequence[slice]
    ) -> Iterator[tuple[slice, Maps]]:
        """Yield the maps of each block as workers have computed them, in any order."""
        from insens_tf.parallel import Engine, LostWorkerError, backend_of

        engine = Engine(options.jobs, *backend_of(options.scheduler))
        try:
            with said_in_one_line():
                for number, maps in engine.map(
                    _insens_of, _Tasks(self, blocks), "Insens", shown=False
                ):
                    yield blocks[number], maps
        except (LostWorkerError, ModuleNotFoundError) as error:
            raise CommandError(str(error)) from error

    def _task(self, rows: slice) -> _Task:
        return _Task(
            (os.path.abspath(self.model), Path(self.model).stat().st_mtime_ns),
            tuple(self.network_arguments.items()),
            self.inputs[rows],
            tuple(self.layers),
            self.frequency,
            self.state,
            self.sensitivity,
        )


class _Task(NamedTuple):
    """All that a worker has to know of a block."""

    model: tuple[str, int]
    network_arguments: tuple[tuple[str, Any], ...]
    x: NDArray[Any]
    layers: tuple[str, ...]
    frequency: Any
    state: str
    sensitivity: str


class _Tasks(Sequence[_Task]):
    """The tasks of blocks, made when they are taken out, as their images take memory."""

    def __init__(self, whole: InsensBlocks, blocks: Sequence[slice]) -> None:
        self._whole, self._blocks = whole, blocks

    def __len__(self) -> int:
        return len(self._blocks)

    @overload
    def __getitem__(self, number: int) -> _Task: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[_Task]: ...

    def __getitem__(self, number: int | slice) -> _Task | Sequence[_Task]:
        if isinstance(number, slice):
            return _Tasks(self._whole, self._blocks[number])
        return self._whole._task(self._blocks[number])


def _insens_of(task: _Task) -> Maps:
    return _insens(_network(task.model, task.network_arguments), task)


def _insens(network: SwitchedNetwork, task: _Task) -> Maps:
    return network.insens(
        task.x,
        list(task.layers),
        task.frequency,
        state=task.state,
        sensitivity=task.sensitivity,
        progress=False,
    )


@functools.lru_cache(maxsize=1)
def _network(model: tuple[str, int], arguments: tuple[tuple[str, Any], ...]) -> SwitchedNetwork:
    """Return the network of a model's file, as it was at a time: a worker keeps its last one."""
    from insens_tf.network import SwitchedNetwork

    return SwitchedNetwork(files.load_model(model[0]), **dict(arguments))
