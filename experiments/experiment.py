"""What the command of every experiment does: read data, fill a folder with numbers, draw them.

An :class:`Experiment` has a function that fills a folder with numbers (CSV or npz) and one that
draws pictures from what is in such a folder. Its command is the module's ``main``::

    main = Experiment(
        "figure_2",
        compute,  # fills run.folder
        draw,
        datasets=("mnist",),
        options=(click.Option(["--neurons"], default=5),),
    ).command()

The folder then also holds ``config.json``, everything that decided the results, and ``run.json``,
the same with the versions, the networks that were trained for it with their accuracies, and times.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from numpy.typing import NDArray

from data_scripts.preparation import Arrays, DataError
from experiments.data import SHIPPED_SAMPLE, fingerprint, load_data, scaled
from experiments.experiment_options import Given, command_line, shared_options
from experiments.network_store import Store
from experiments.tables import write_json
from experiments.train import Network
from experiments.two_conv_settings import SETTINGS, Settings
from experiments.versions import processor, source, versions
from insens_tf.files import UnfinishedResults, UnusableFileError, resumable_results
from insens_tf.parallel import Engine

__all__ = ["Experiment", "Run"]

Task = TypeVar("Task")
Draw = Callable[[Path], None]


@dataclass(frozen=True)
class Run:
    """One run of an experiment: what it is given, and where its results go.

    Attributes
    ----------
    folder
        To be filled with numbers.
    unfinished
        Keeps blocks of work that are done, so that an experiment can be continued.
    datasets
        Names of the data sets; of a quick run, the shipped sample alone.
    data
        Their arrays, uint8, by name.
    sha256
        Their fingerprints, by name.
    store
        The store of trained networks.
    engine
        Does independent pieces of work at the same time.
    seed
        Decides all that is drawn at random.
    quick
        Whether this is to take less than a minute, whatever the numbers are worth.
    changes
        Settings of building and training 2CONV that are not the data sets' own.
    record
        What ``run.json`` will hold; to be added to.
    """

    folder: Path
    unfinished: UnfinishedResults
    datasets: tuple[str, ...]
    data: Mapping[str, Arrays]
    sha256: Mapping[str, str]
    store: Store
    engine: Engine
    seed: int
    quick: bool
    changes: Mapping[str, Any]
    record: dict[str, Any]

    @property
    def dataset(self) -> str:
        """The data set of an experiment that is about one; several are refused."""
        if len(self.datasets) != 1:
            several = ", ".join(self.datasets)
            raise click.UsageError(f"--dataset: expected one data set, came {several}")
        return self.datasets[0]

    def settings(self, dataset: str) -> Settings:
        """Return how 2CONV is built and trained on a data set, as the command's options have it."""
        return replace(SETTINGS[dataset], **self.changes)

    def images(self, dataset: str, part: str = "test") -> NDArray[np.float32]:
        """Return the images of a data set's part, in 0..1."""
        return scaled(self.data[dataset][f"x_{part}"])

    def labels(self, dataset: str, part: str = "test") -> NDArray[np.uint8]:
        """Return the labels of a data set's part."""
        return self.data[dataset][f"y_{part}"]

    def chosen_images(self, dataset: str, count: int) -> tuple[int, ...]:
        """Draw test images of a data set, as many as are asked for or there are: their numbers."""
        available = len(self.labels(dataset))
        generator = np.random.default_rng(self.seed)
        chosen = generator.choice(available, min(count, available), replace=False)
        return tuple(int(one) for one in chosen)

    def train(self, networks: Sequence[Network]) -> None:
        """Train those of the networks that have not been, and note in the record what they are."""
        self.store.train(networks, self.engine, self.sha256)
        noted = self.record.setdefault("networks", [])
        for network in networks:
            found = self.store.record(network, self.sha256[network.dataset])
            names = ("config", "seconds", "train_accuracy", "test_accuracy")
            noted.append({name: found[name] for name in names})

    def load(self, network: Network) -> Any:
        """Return a network that has been trained."""
        return self.store.load(network, self.sha256[network.dataset])

    def measure(
        self,
        function: Callable[[Task], Mapping[str, NDArray[Any]]],
        tasks: Sequence[Task],
        description: str,
    ) -> None:
        """Call a function with each task, several at a time, and keep the arrays that it gives.

        What was done before an interruption is not done again. Afterwards
        ``run.unfinished.parts(name)`` goes through the arrays of a name, in the order of the tasks.
        """
        missing = [rows.start for rows in self.unfinished.remaining(len(tasks), 1)]
        remaining = [tasks[number] for number in missing]
        for position, arrays in self.engine.map(function, remaining, description):
            number = missing[position]
            self.unfinished.keep(slice(number, number + 1), arrays)

    def trained(self, dataset: str) -> Any:
        """Return 2CONV trained on a data set with the run's own seed."""
        network = Network(dataset, self.seed, self.settings(dataset))
        self.train([network])
        return self.load(network)


@dataclass(frozen=True)
class Experiment:
    """A function that fills a folder with numbers, and one that draws them.

    Attributes
    ----------
    name
        The module's name.
    compute
        Takes a :class:`Run` and the experiment's own options, and fills the run's folder. Its
        docstring is the command's help.
    draw
        Draws the pictures from what is in a folder of results.
    datasets
        The data sets that it is run on unless told otherwise; ``"smallnorb|fashion_mnist"`` is the
        first of them that the data folder has. None: it is about a network of its own.
    settings
        Changes of the data set's own settings of building and training 2CONV.
    options
        The experiment's own.
    """

    name: str
    compute: Callable[..., None]
    draw: Draw
    datasets: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Sequence[click.Option] = ()

    def run(self, given: Given, command: str, **options: Any) -> None:
        """Fill the folder of results and draw what is in it.

        Parameters
        ----------
        given
            What the options of every experiment say.
        command
            That makes the same results, for their record.
        **options
            The experiment's own.
        """
        changes = {**self.settings, **given.changes}
        names = given.chosen or _there(self.datasets, given.data)
        if not self.datasets and (names or changes):
            raise click.UsageError(
                f"{self.name} has a network of its own: expected no --dataset and no --setting"
            )
        if given.quick and self.datasets:
            names = (SHIPPED_SAMPLE,)
        arrays = {one: load_data(given.data, one) for one in names}
        sha256 = {one: fingerprint(values) for one, values in arrays.items()}
        config = {
            "experiment": self.name,
            "seed": given.seed,
            "quick": given.quick,
            "settings": {one: asdict(replace(SETTINGS[one], **changes)) for one in names},
            "data_sha256": sha256,
            **options,
        }
        record: dict[str, Any] = {
            "command": command,
            "config": config,
            "versions": versions(),
            "source": source(),
            "processor": processor(),
        }
        decided = {key: json.dumps(value) for key, value in config.items()}
        started = time.perf_counter()
        with resumable_results(
            given.out, record, decided, replace=given.overwrite, restart=given.restart
        ) as unfinished:
            run = Run(
                folder=unfinished.folder,
                unfinished=unfinished,
                datasets=tuple(names),
                data=arrays,
                sha256=sha256,
                store=Store(given.networks, given.data),
                engine=Engine(given.jobs, given.backend, given.scheduler),
                seed=given.seed,
                quick=given.quick,
                changes=changes,
                record=record,
            )
            self.compute(run, **options)
            write_json(run.folder / "config.json", config)
            self.draw(run.folder)
            record["seconds"] = round(time.perf_counter() - started, 1)

    def redraw(self, folder: Path) -> None:
        """Draw the pictures again from the numbers in a folder of results."""
        self.draw(folder)

    def command(self) -> click.Command:
        """Return the command that runs the experiment."""
        return click.Command(
            self.name,
            params=[*shared_options(self.name, self.datasets), *self.options],
            callback=self._called,
            help=inspect.getdoc(self.compute),
        )

    def _called(self, redraw: Path | None, **values: Any) -> None:
        if redraw is not None:
            self.redraw(redraw)
            click.echo(f"drew {redraw} again")
            return
        given = Given(**{one.name: values.pop(one.name) for one in fields(Given)})
        with _said_in_one_line():
            self.run(given, command_line(self.name), **values)
        out = given.out
        click.echo(f"wrote {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def _there(datasets: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Choose, of alternative data sets, the first that the folder has, or the last."""
    found = []
    for alternatives in datasets:
        *first, last = alternatives.split("|")
        found.append(next((one for one in first if (folder / f"{one}.npz").exists()), last))
    return tuple(found)


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    try:
        yield
    except (DataError, UnusableFileError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt as error:
        # The error says where work is kept.
        click.echo(str(error), err=True)
        raise click.Abort from error
