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
from insens_tf.batches import BATCH_SIZE
from insens_tf.cli.chosen_methods import (
    LeftOut,
    arguments_of,
    check_insens_options,
    insens_layer_option,
    method_names,
    methods_option,
)
from insens_tf.cli.frequency import (
    check_frequency_options,
    holds_a_frequency,
    training_inputs,
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
    network_options,
    out_option,
    overwrite_option,
)
from insens_tf.cli.reading import (
    GivenInputs,
    check_layers,
    check_one_input_and_output,
    chosen_layers,
    load_model,
)
from insens_tf.cli.run_record import record_of

if TYPE_CHECKING:
    from insens_tf.evaluation import RandomisationCheck

__all__ = ["sanity"]

_CHECKS = ("cascading", "independent")


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
@network_options
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
@out_option
@image_options
@first_option
@overwrite_option
def sanity(
    model: str,
    images: tuple[str, ...],
    chosen_methods: tuple[str, ...],
    layer_texts: tuple[str, ...],
    frequency_from: str | None,
    frequency_key: str | None,
    chosen_checks: tuple[str, ...],
    neuron: str,
    seed: int,
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
    names = method_names(chosen_methods)
    check_insens_options(names, "checked", layer_texts, frequency_from, frequency_key)
    stored = files.stored_model(model)
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
        check_layers(stored, layer_texts)
        given = GivenInputs(stored, images, options)
        given_training = None
        if frequency_from is not None:
            given_training = training_inputs(stored, frequency_from, frequency_key, options)
        loaded = load_model(stored.path)
        check_one_input_and_output(loaded, stored.path)
        inputs = given.of(loaded)
        x_train = None if given_training is None else _Batches(given_training.of(loaded))
        if x_train is None and "insens" in names:
            click.echo("No --frequency-from: every neuron weighs the same.")
        left_out = LeftOut()
        found: dict[str, list[RandomisationCheck]] = {}
        runs = _runs(loaded, names, layer_texts, left_out, options)
        for name, run in runs.items():
            with left_out.unless_usable(name):
                found[name] = _checked(loaded, inputs[:], run, checks, x_train, neuron, seed)
        left_out.say(found, "checked")
        record["methods"] = list(found)
        record["left_out_methods"] = left_out.reasons
        _write(folder, found, inputs.names)
    click.echo(f"Wrote correlations.csv, summary.csv and correlations.png to {out}.")


def _runs(
    model: Any,
    names: Sequence[str],
    layer_texts: Sequence[str],
    left_out: LeftOut,
    options: dict[str, Any],
) -> dict[str, _Run]:
    """Give what is to be checked: each method, and Insens of each layer."""
    from insens_tf.analyzer import create_analyzer

    runs = {}
    for name in names:
        arguments = arguments_of(name, options)
        if name != "insens":
            runs[name] = _Run(name, arguments)
            continue
        with left_out.unless_usable(name):
            insens = create_analyzer(name, model, **arguments)
            layers = chosen_layers(insens.network, layer_texts) or [insens.layer]
            runs |= {
                f"insens/{layer.name}": _Run(name, {**arguments, "layer": layer.name})
                for layer in layers
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
