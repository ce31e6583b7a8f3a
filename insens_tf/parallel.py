"""Independent pieces of work at the same time, over processes or a cluster, by joblib."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import joblib
from tqdm import tqdm

__all__ = ["BACKENDS", "Engine"]

BACKENDS = ("loky", "dask")
"""Processes of this machine; the workers of a Dask cluster."""

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Engine:
    """How many pieces of work are done at a time, and where.

    Attributes
    ----------
    jobs
        How many at a time. Each has its share of the processor's cores; one at a time is done in
        this process, with all of them.
    backend
        ``"loky"`` or ``"dask"``.
    scheduler
        Address of a Dask cluster's scheduler, whose workers see the same folders; None starts a
        local cluster of `jobs` workers.
    """

    jobs: int = 1
    backend: str = "loky"
    scheduler: str | None = None

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], description: str
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number of each task and what the function returns for it, as they are done.

        Parameters
        ----------
        function
            A function of a module, so that processes can find it.
        tasks
            What it is called with, each by itself.
        description
            The progress bar's title.
        """
        if not tasks:
            return
        threads = None if self.jobs == 1 else max(1, (os.cpu_count() or 1) // self.jobs)
        with self._backend(), tqdm(total=len(tasks), desc=description) as bar:
            calls = (
                joblib.delayed(_call)(function, number, task, threads)
                for number, task in enumerate(tasks)
            )
            for result in joblib.Parallel(return_as="generator_unordered")(calls):
                bar.update()
                yield result

    def _backend(self) -> AbstractContextManager[Any]:
        if self.backend == "dask":
            return self._dask()
        return joblib.parallel_config(backend="loky", n_jobs=self.jobs)

    @contextmanager
    def _dask(self) -> Iterator[None]:
        from distributed import Client, LocalCluster

        cluster: AbstractContextManager[Any] = (
            LocalCluster(
                n_workers=self.jobs, threads_per_worker=1, dashboard_address=None, memory_limit=0
            )
            if self.scheduler is None
            else nullcontext(self.scheduler)
        )
        with cluster as address, Client(address), joblib.parallel_config(backend="dask"):
            yield


def _call(
    function: Callable[[Task], Result], number: int, task: Task, threads: int | None
) -> tuple[int, Result]:
    import tensorflow as tf

    # Processes are used again, and TensorFlow takes this only before it first computes.
    if threads not in (None, tf.config.threading.get_intra_op_parallelism_threads()):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return number, function(task)
