"""`insens-tf compare`: Insens beside other methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from insens_tf.cli.drawing import Column, Drawing, count_of_heatmaps, insens_column, short
from insens_tf.cli.frequency import check_frequency_options, frequency_of
from insens_tf.cli.messages import (
    said_in_one_line,
    shows_progress,
    warnings_in_one_line,
)
from insens_tf.cli.options import (
    channels_option,
    examples,
    first_option,
    frequency_options,
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
from insens_tf.cli.results import record_of, results_in
from insens_tf.methods import BASELINES

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = ["compare"]

_BATCH = 256


@click.command(
    short_help="Draw Insens beside other methods.",
    epilog=examples(
        "compare model.keras digits/ --frequency-from train.npz --out comparison",
        "compare model.keras seven.png --methods gradient,smoothgrad,insens --layer 0 --out seven",
        "compare model.keras mnist.npz --first 9 --methods lrp.z --methods lrp.flat --out lrp",
    ),
)
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@methods_option(
    "Which methods, across the picture in this order",
    "; lrp.epsilon stands for its LRP, of which it does not name the rule",
)
@insens_layer_option
@frequency_options
@skip_failing_option
@out_option
@image_options
@first_option
@channels_option
@overwrite_option
def compare(
    model: str,
    images: tuple[str, ...],
    chosen_methods: tuple[str, ...],
    chosen_layers: tuple[str, ...],
    frequency_from: str | None,
    frequency_key: str | None,
    skip_failing: bool,
    out: str,
    channels: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Draw Insens beside the methods of iNNvestigate: images down, methods across.

    All but insens explain the output of the predicted class, before any softmax, with the settings
    that iNNvestigate gives them; the noise of random and smoothgrad is that of the seed 0. Writes
    maps.npz, a heatmap for each image and method (red positive, blue negative, white 0), and an
    overview with the predicted class and its probability: the model's, or the softmax of its
    outputs where these are logits. --scale, --resize and --grayscale hold for DATA too.
    """
    names = method_names(chosen_methods, skip_failing)
    check_insens_options(names, "drawn", chosen_layers, frequency_from, frequency_key)
    model_path = files.check_model_path(model)
    files.check_image_paths(images)
    check_frequency_options(frequency_from, frequency_key)
    record = record_of(
        "compare",
        model,
        images,
        options,
        frequency_from=frequency_from,
        frequency_key=frequency_key,
    )
    with results_in(out, record, overwrite) as folder:
        assert folder is not None
        loaded = load_model(model_path)
        check_one_input_and_output(loaded, model_path)
        inputs = read_inputs(loaded, images, options)
        inputs.as_pictures(inputs[:1])  # refused now, not after the work
        analyzers = _analyzers(loaded, names, skip_failing)
        record["methods"] = list(analyzers)
        layers: list[str] = []
        if "insens" in analyzers:
            insens = analyzers["insens"]
            layers = layer_names(insens.network, chosen_layers) or [insens.layer.name]
        record["layers"] = layers
        maps: dict[Column, NDArray[Any]] = {}
        x = inputs[:]
        for name, analyzer in analyzers.items():
            with said_in_one_line(), warnings_in_one_line():
                if name == "insens":
                    source = (frequency_from, frequency_key)
                    found = _insens(folder, analyzer.network, layers, inputs, source, options)
                else:
                    bar = {"progress": shows_progress()} if name in BASELINES else {}
                    found = {Column(name, name, name): analyzer.analyze(x, **bar)}
            maps |= found
        predictions = _predictions_of(loaded, inputs)
        _write_maps(folder, maps, inputs, channels, predictions)
    click.echo(f"Wrote maps.npz, {count_of_heatmaps(inputs, maps)} and an overview to {out}.")


def _insens(
    folder: Path,
    network: SwitchedNetwork,
    names: Sequence[str],
    inputs: files.ModelInputs,
    source: tuple[str | None, str | None],
    options: dict[str, Any],
) -> dict[Column, NDArray[Any]]:
    frequency = frequency_of(folder, network, names, source, options)
    maps = network.insens(inputs[:], list(names), frequency, progress=shows_progress())
    layers = {layer.name: layer for layer in network.layers}
    columns = {name: insens_column(layers[name]) for name in names}
    return {
        column._replace(file_name=f"insens_{column.file_name}"): maps[name]
        for name, column in columns.items()
    }


def _write_maps(
    folder: Path,
    maps: Mapping[Column, NDArray[Any]],
    inputs: files.ModelInputs,
    channels: str,
    predictions: _Predictions,
) -> None:
    arrays = {
        "names": np.array(inputs.names),
        "x": inputs[:],
        "outputs": predictions.outputs,
        "predicted_class": predictions.classes,
    }
    if predictions.probabilities is not None:
        arrays["probability"] = predictions.probabilities
    by_key = {column.key: values for column, values in maps.items()}
    np.savez_compressed(folder / "maps.npz", **arrays, **by_key)
    titles = zip(inputs.names, predictions.texts, strict=True)
    Drawing(folder, inputs, channels).write(
        slice(None), list(maps), by_key, [f"{short(name)}\n{text}" for name, text in titles]
    )


def _analyzers(model: Any, names: Sequence[str], skip_failing: bool) -> dict[str, Any]:
    from insens_tf.analyzer import create_analyzer

    found = {}
    for name in names:
        with leaving_out(name, skip_failing):
            found[name] = create_analyzer(name, model, **arguments_of(name))
    return some_left(found)


class _Predictions(NamedTuple):
    """What a model gives: all its outputs (n, k), the class of the largest, and in words."""

    outputs: NDArray[Any]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    texts: list[str]


def _predictions_of(model: Any, inputs: files.ModelInputs) -> _Predictions:
    batches = [np.asarray(model(batch, training=False)) for batch in inputs.batches(_BATCH)]
    outputs = np.concatenate(batches).reshape(len(inputs), -1)
    classes = outputs.argmax(axis=1)
    values = outputs.astype(np.float64)
    shares = (values >= 0).all() and (values <= 1).all()
    if not shares and values.shape[1] > 1:
        # Logits.
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    largest = values[np.arange(len(values)), classes]
    if values.shape[1] > 1 and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        texts = [f"class {c}, {p:.1%}" for c, p in zip(classes, largest, strict=True)]
        return _Predictions(outputs, classes, largest, texts)
    # One output, or several that are independent of each other, as after a sigmoid.
    texts = [f"class {c}, output {v:.3g}" for c, v in zip(classes, largest, strict=True)]
    return _Predictions(outputs, classes, None, texts)
