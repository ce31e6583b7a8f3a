"""Independent pieces of work at the same time, over processes (joblib's loky) or a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from insens_tf.progress import progress_bar

__all__ = ["BACKENDS", "Engine", "LostWorkerError", "backend_of"]

BACKENDS = ("loky", "dask")
"""Processes of this machine; the workers of a Dask cluster."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class LostWorkerError(RuntimeError):
    """A process that did a piece of work was ended from outside, or none can be reached."""


@dataclass(frozen=True)
class Engine:
    """How many pieces of work are done at a time, and where.

    Attributes
    ----------
    jobs
        How many at a time.
    backend
        ``"loky"`` or ``"dask"``.
    scheduler
        Address of a Dask cluster's scheduler, whose workers see the same folders; None starts a
        local cluster of `jobs` workers.
    threads
        How many threads TensorFlow has for each piece of work, in processes of their own. What is
        computed may depend on it in the last bit, and on `jobs` does not. None: each has its share
        of the processor's cores; one at a time is done in this process, with all of them.
    """

    jobs: int = 1
    backend: str = "loky"
    scheduler: str | None = None
    threads: int | None = None

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        description: str,
        *,
        shown: bool = True,
    ) -> Iterator[tuple[int, Result]]:
        """Yield the number of each task and what the function returns for it, as they are done.

        Parameters
        ----------
        function
            A function of a module, so that processes can find it.
        tasks
            What it is called with, each by itself; taken out shortly before its turn.
        description
            The progress bar's title.
        shown
            Whether to show a progress bar where it takes longer.

        Raises
        ------
        LostWorkerError
            If the process that did a piece of work was ended from outside; on a Dask cluster, if
            that happened to a piece again and again, or no cluster answers.
        ModuleNotFoundError
            If Dask is asked for and not installed.
        """
        if not tasks:
            return
        with progress_bar(total=len(tasks), desc=description, shown=shown) as bar:
            for done in self._done(function, tasks):
                bar.update()
                yield done

    def _done(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        if self.jobs == 1 and self.backend == "loky" and self.threads is None:
            yield from ((number, function(task)) for number, task in enumerate(tasks))
            return
        threads = self.threads or max(1, (os.cpu_count() or 1) // self.jobs)
        executors = self._dask() if self.backend == "dask" else self._loky(threads)
        with executors as (executor, workers):
            waiting = enumerate(tasks)
            running: dict[Future[Result], int] = {}
            while True:
                # Each worker has its next piece at hand, and no more are taken out.
                for number, task in islice(waiting, 2 * workers - len(running)):
                    running[executor.submit(_call, function, task, threads)] = number
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()

    @contextmanager
    def _loky(self, threads: int) -> Iterator[tuple[Executor, int]]:
        from joblib.externals.loky import BrokenProcessPool, get_reusable_executor

        # Processes are used again, but not with another number of threads.
        executor = get_reusable_executor(
            self.jobs, initializer=_set_threads, initargs=(threads,), timeout=60
        )
        try:
            yield executor, self.jobs
        except BaseException as error:
            executor.shutdown(wait=True, kill_workers=True)
            if isinstance(error, BrokenProcessPool):
                raise LostWorkerError(
                    "a worker process was ended from outside, as where memory runs out; take "
                    "fewer jobs, or less memory for each"
                ) from error
            raise

    @contextmanager
    def _dask(self) -> Iterator[tuple[Executor, int]]:
        try:
            from distributed import Client, KilledWorker, LocalCluster
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "a Dask cluster was asked for and Dask is not installed; pip install "
                "insens_tf[cluster]"
            ) from error

        cluster = (
            LocalCluster(
                n_workers=self.jobs, threads_per_worker=1, dashboard_address=None, memory_limit=0
            )
            if self.scheduler is None
            else nullcontext(self.scheduler)
        )
        with cluster as address, _connected(Client, address) as client:
            # Pure work would not be done again when it is asked for again.
            executor = client.get_executor(pure=False)
            try:
                yield executor, max(1, sum(client.nthreads().values()))
            except KilledWorker as error:
                raise LostWorkerError(
                    f"workers of the Dask cluster were lost again and again: {error}"
                ) from error
            finally:
                executor.shutdown(wait=False)


def backend_of(scheduler: str | None) -> tuple[str, str | None]:
    """Return the backend and the address that a user means by a scheduler.

    Parameters
    ----------
    scheduler
        None for processes of this machine; the address of a Dask cluster; "local" for one that is
        to be started here.
    """
    if scheduler is None:
        return "loky", None
    return "dask", None if scheduler == "local" else scheduler


def _connected(client: Callable[[Any], Any], address: Any) -> Any:
    try:
        return client(address)
    except OSError as error:
        raise LostWorkerError(f"scheduler {address}: no Dask cluster answers: {error}") from error


def _call(function: Callable[[Task], Result], task: Task, threads: int) -> Result:
    _set_threads(threads)
    return function(task)


def _set_threads(threads: int) -> None:
    import tensorflow as tf

    # TensorFlow takes this only before it first computes, and a worker computes many times.
    if threads != tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
