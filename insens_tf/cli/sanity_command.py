"""`insens-tf sanity`: whether maps depend on what the network has learned."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.batches import BATCH_SIZE
from insens_tf.cli.chosen_methods import ChosenMethods, MethodOptions
from insens_tf.cli.frequency import holds_a_frequency
from insens_tf.cli.messages import (
    CommandError,
    said_in_one_line,
    shows_progress,
    warnings_in_one_line,
)
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    FrequencyOptions,
    ImageOptions,
    NetworkOptions,
    ResultOptions,
    examples,
    images_argument,
    option,
    shared_options,
)
from insens_tf.cli.run_record import record_of

if TYPE_CHECKING:
    from insens_tf.evaluation import RandomisationCheck

__all__ = ["sanity"]

_CHECKS = ("cascading", "independent")


@dataclass(frozen=True)
class _FrequencyOptions(FrequencyOptions):
    """The data over which the activation frequency is counted, anew for each network."""

    frequency_from: str | None = option(
        "--frequency-from",
        metavar="DATA",
        help="Training images (like IMAGES; of an .npz file x_train) over which to count, anew for "
        "each randomised network, how often each neuron is active, m/N. Without it every neuron "
        "weighs the same.",
    )


class _Run(NamedTuple):
    """A method to be checked: its name for `create_analyzer`, and its arguments."""

    method: str
    arguments: dict[str, Any]


class _Batches:
    """Inputs in batches that can be gone through again, for each network."""

    def __init__(self, inputs: files.ModelInputs) -> None:
        self._inputs = inputs

    def __len__(self) -> int:
        return -(-len(self._inputs) // BATCH_SIZE)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        return self._inputs[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]


@click.command(
    short_help="Check that maps depend on what the model has learned.",
    epilog=examples(
        "sanity model.keras test.npz --first 100 --frequency-from train.npz --out sanity",
        "sanity model.keras digits/ --methods gradient,insens --layer conv_1 --out sanity",
    ),
)
@shared_options(network_options=NetworkOptions)
@images_argument
@shared_options(method_options=MethodOptions, frequency_options=_FrequencyOptions)
@click.option(
    "--check",
    "chosen_checks",
    multiple=True,
    type=click.Choice(_CHECKS),
    help="How layers are randomised: all from the output down to each in turn, or each alone; "
    "repeat it for several. Without it: both.",
)
@click.option(
    "--neuron",
    type=click.Choice(["original", "own"]),
    default="original",
    show_default=True,
    help="Which output is explained: the class that the model itself predicts, or the one that "
    "each randomised network predicts.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The seed of the new initial weights.",
)
@shared_options(image_options=ImageOptions, result_options=ResultOptions)
def sanity(
    network_options: NetworkOptions,
    images: tuple[str, ...],
    method_options: MethodOptions,
    frequency_options: FrequencyOptions,
    chosen_checks: tuple[str, ...],
    neuron: str,
    seed: int,
    image_options: ImageOptions,
    result_options: ResultOptions,
) -> None:
    """Compare maps of the model with those of copies whose layers have new initial weights.

    Maps that explain what the model has learned change when its layers are randomised; rank
    correlations that stay high show an echo of the input. (Insens of a layer depends on no later
    one: there it is 1.) Writes correlations.csv (of each image,
    signed and absolute, over all components and over those where neither map is 0), summary.csv
    (their mean and variance over the images) and a plot of the means. Correlations that are not
    defined, as those of a map that is 0 everywhere, are nan and count in no mean. --scale,
    --resize and --grayscale hold for DATA too.
    """
    methods = ChosenMethods(method_options, network_options, frequency_options, "checked")
    opening = Opening(
        network_options, images, image_options, frequency_options, method_options.layer
    )
    path = frequency_options.frequency_from
    if path is not None and holds_a_frequency(Path(path)):
        raise CommandError(
            f"--frequency-from {path} holds the activation frequency of one network; expected "
            "training images, over which it is counted anew for each randomised network"
        )
    checks = [check for check in _CHECKS if check in (chosen_checks or _CHECKS)]
    record = record_of(
        "sanity",
        network_options,
        image_options,
        frequency_options,
        images=images,
        checks=checks,
        neuron=neuron,
        seed=seed,
    )
    out = result_options.out
    with files.results_folder(out, record, replace=result_options.overwrite) as folder:
        opening.read_files()
        model = opening.load_model(one_input_and_output=True)
        inputs = opening.inputs_of(model)
        training_images = opening.frequency.training_images
        x_train = None if training_images is None else _Batches(training_images.of(model))
        if x_train is None and "insens" in methods.names:
            click.echo("No --frequency-from: every neuron weighs the same.")
        found: dict[str, list[RandomisationCheck]] = {}
        for name, run in _runs(model, methods).items():
            with methods.unless_usable(name):
                found[name] = _checked(model, inputs[:], run, checks, x_train, neuron, seed)
        methods.note(record, found)
        _write(folder, found, inputs.names)
    click.echo(f"Wrote correlations.csv, summary.csv and correlations.png to {out}.")


def _runs(model: Any, methods: ChosenMethods) -> dict[str, _Run]:
    """Return the checks to be made: one for each method, and for Insens of each layer."""
    from insens_tf.analyzer import create_analyzer

    runs = {}
    for name in methods.names:
        arguments = methods.arguments_of(name)
        if name != "insens":
            runs[name] = _Run(name, arguments)
            continue
        with methods.unless_usable(name):
            insens = create_analyzer(name, model, **arguments)
            runs |= {
                f"insens/{layer.name}": _Run(name, {**arguments, "layer": layer.name})
                for layer in methods.layers_of(insens)
            }
    return runs


def _checked(
    model: Any,
    x: NDArray[Any],
    run: _Run,
    checks: Sequence[str],
    x_train: _Batches | None,
    neuron: str,
    seed: int,
) -> list[RandomisationCheck]:
    from insens_tf.analyzer import UnfittedWarning
    from insens_tf.evaluation import randomisation_check

    fewer = "take fewer images with --first" if len(x) > 1 else ""
    with said_in_one_line(fewer), warnings_in_one_line():
        # It has been said that every neuron weighs the same.
        warnings.simplefilter("ignore", UnfittedWarning)
        return [
            randomisation_check(
                model,
                x,
                run.method,
                check=check,
                arguments=run.arguments,
                x_train=x_train,
                neuron=neuron,
                seed=seed,
                progress=shows_progress(),
            )
            for check in checks
        ]


def _write(
    folder: Path, found: Mapping[str, Sequence[RandomisationCheck]], names: Sequence[str]
) -> None:
    from insens_tf.evaluation import plot_checks

    files.write_csv(
        folder / "correlations.csv",
        ("method", "check", "layer", "correlation", "image", "value"),
        _values(found, names),
    )
    files.write_csv(
        folder / "summary.csv",
        ("method", "check", "layer", "correlation", "images", "defined", "mean", "variance"),
        _summary(found, len(names)),
    )
    plot_checks(found).savefig(folder / "correlations.png")


def _values(
    found: Mapping[str, Sequence[RandomisationCheck]], names: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    for method, checks in found.items():
        for check in checks:
            for kind, rows in check.correlations.items():
                for layer, values in zip(check.layers, rows, strict=True):
                    for name, value in zip(names, values, strict=True):
                        yield method, check.check, layer, kind, name, float(value)


def _summary(
    found: Mapping[str, Sequence[RandomisationCheck]], images: int
) -> Iterator[tuple[Any, ...]]:
    for method, checks in found.items():
        for check in checks:
            for kind in check.correlations:
                columns = (check.defined(kind), check.mean(kind), check.variance(kind))
                for layer, *row in zip(check.layers, *(one.tolist() for one in columns)):
                    yield method, check.check, layer, kind, images, *row
