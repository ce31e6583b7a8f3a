"""`insens-tf sanity`: whether maps depend on what the network has learned."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.cli.chosen_methods import (
    arguments_of,
    check_insens_options,
    insens_layer_option,
    leaving_out,
    method_names,
    methods_option,
    skip_failing_option,
    some_left,
)
from insens_tf.cli.frequency import (
    check_frequency_options,
    holds_a_frequency,
    read_training_inputs,
)
from insens_tf.cli.messages import (
    CommandError,
    said_in_one_line,
    shows_progress,
    warnings_in_one_line,
)
from insens_tf.cli.options import (
    examples,
    first_option,
    frequency_key_option,
    image_options,
    out_option,
    overwrite_option,
)
from insens_tf.cli.reading import (
    check_one_input_and_output,
    layer_names,
    load_model,
    read_inputs,
)
from insens_tf.cli.results import record_of

if TYPE_CHECKING:
    from insens_tf.evaluation import RandomisationCheck

__all__ = ["sanity"]

_CHECKS = ("cascading", "independent")
_BATCH = 256


class _Run(NamedTuple):
    """A method to be checked: its name for `create_analyzer`, and its arguments."""

    method: str
    arguments: dict[str, Any]


class _Batches:
    """Inputs in batches that can be gone through again, for each network."""

    def __init__(self, inputs: files.ModelInputs) -> None:
        self._inputs = inputs

    def __len__(self) -> int:
        return -(-len(self._inputs) // _BATCH)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        return self._inputs[index * _BATCH : (index + 1) * _BATCH]


@click.command(
    short_help="Check that maps depend on what the model has learned.",
    epilog=examples(
        "sanity model.keras test.npz --first 100 --frequency-from train.npz --out sanity",
        "sanity model.keras digits/ --methods gradient,insens --layer 0 --layer -1 --out sanity",
    ),
)
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@methods_option("Which methods")
@insens_layer_option
@click.option(
    "--frequency-from",
    metavar="DATA",
    help="Training images (like IMAGES; of an .npz file x_train) over which to count, anew for "
    "each randomised network, how often each neuron is active, m/N. Without it every neuron weighs "
    "the same.",
)
@frequency_key_option
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
    help="Of the new initial weights.",
)
@skip_failing_option
@out_option
@image_options
@first_option
@overwrite_option
def sanity(
    model: str,
    images: tuple[str, ...],
    chosen_methods: tuple[str, ...],
    chosen_layers: tuple[str, ...],
    frequency_from: str | None,
    frequency_key: str | None,
    chosen_checks: tuple[str, ...],
    neuron: str,
    seed: int,
    skip_failing: bool,
    out: str,
    overwrite: bool,
    **options: Any,
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
    names = method_names(chosen_methods, skip_failing)
    check_insens_options(names, "checked", chosen_layers, frequency_from, frequency_key)
    model_path = files.check_model_path(model)
    files.check_image_paths(images)
    check_frequency_options(frequency_from, frequency_key)
    if frequency_from is not None and holds_a_frequency(Path(frequency_from)):
        raise CommandError(
            f"--frequency-from {frequency_from} holds the activation frequency of one network; "
            "expected training images, over which it is counted anew for each randomised network"
        )
    checks = [check for check in _CHECKS if check in (chosen_checks or _CHECKS)]
    record = record_of(
        "sanity",
        model,
        images,
        options,
        frequency_from=frequency_from,
        frequency_key=frequency_key,
        checks=checks,
        neuron=neuron,
        seed=seed,
    )
    with files.results_folder(out, record, replace=overwrite) as folder:
        loaded = load_model(model_path)
        check_one_input_and_output(loaded, model_path)
        inputs = read_inputs(loaded, images, options)
        x_train = None
        if frequency_from is not None:
            training = read_training_inputs(loaded, frequency_from, frequency_key, options)
            x_train = _Batches(training)
        elif "insens" in names:
            click.echo("No --frequency-from: every neuron weighs the same.")
        found: dict[str, list[RandomisationCheck]] = {}
        for name, run in _runs(loaded, names, chosen_layers, skip_failing).items():
            with leaving_out(name, skip_failing):
                found[name] = _checked(loaded, inputs[:], run, checks, x_train, neuron, seed)
        record["methods"] = list(some_left(found))
        _write(folder, found, inputs.names)
    click.echo(f"Wrote correlations.csv, summary.csv and correlations.png to {out}.")


def _runs(
    model: Any, names: Sequence[str], chosen_layers: Sequence[str], skip_failing: bool
) -> dict[str, _Run]:
    """Give what is to be checked: each method, and Insens of each layer."""
    from insens_tf.analyzer import create_analyzer

    runs = {}
    for name in names:
        if name != "insens":
            runs[name] = _Run(name, arguments_of(name))
            continue
        with leaving_out(name, skip_failing):
            insens = create_analyzer(name, model)
            layers = layer_names(insens.network, chosen_layers) or [insens.layer.name]
            runs |= {f"insens/{layer}": _Run(name, {"layer": layer}) for layer in layers}
    return some_left(runs)


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

    with said_in_one_line(), warnings_in_one_line():
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

    _write_csv(
        folder / "correlations.csv",
        ("method", "check", "layer", "correlation", "image", "value"),
        _values(found, names),
    )
    _write_csv(
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


def _write_csv(path: Path, head: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
