"""`insens-tf compare`: Insens beside other methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from insens_tf.cli.drawing import Column, Drawing, count_of_heatmaps, insens_columns, short
from insens_tf.cli.frequency import GivenFrequency, check_frequency_options
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
from insens_tf.cli.run_record import record_of, results_in

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork

__all__ = ["compare"]


@click.command(
    short_help="Draw Insens beside other methods.",
    epilog=examples(
        "compare model.keras digits/ --frequency-from train.npz --out comparison",
        "compare model.keras seven.png --methods gradient,insens --layer conv_1 --out seven",
        "compare model.keras mnist.npz --first 9 --methods lrp.z --methods lrp.flat --out lrp",
    ),
)
@network_options
@click.argument("images", nargs=-1, required=True)
@methods_option(
    "Which methods, across the picture in this order",
    "; lrp.epsilon stands for its LRP, of which it does not name the rule",
)
@insens_layer_option
@frequency_options
@out_option
@image_options
@first_option
@channels_option
@overwrite_option
def compare(
    model: str,
    images: tuple[str, ...],
    chosen_methods: tuple[str, ...],
    layer_texts: tuple[str, ...],
    frequency_from: str | None,
    frequency_key: str | None,
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
    names = method_names(chosen_methods)
    check_insens_options(names, "drawn", layer_texts, frequency_from, frequency_key)
    stored = files.stored_model(model)
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
        check_layers(stored, layer_texts)
        given = GivenInputs(stored, images, options, drawn=True)
        source = (frequency_from, frequency_key)
        given_frequency = GivenFrequency(stored, *source, options, layer_texts)
        loaded = load_model(stored.path)
        from insens_tf.analyzer import SwitchedAnalyzer

        check_one_input_and_output(loaded, stored.path)
        inputs = given.of(loaded)
        left_out = LeftOut()
        analyzers = _analyzers(loaded, names, left_out, options)
        left_out.say(analyzers, "drawn")
        record["methods"] = list(analyzers)
        record["left_out_methods"] = left_out.reasons
        layers: list[HiddenLayer] = []
        if "insens" in analyzers:
            insens = analyzers["insens"]
            layers = chosen_layers(insens.network, layer_texts) or [insens.layer]
        record["layers"] = [layer.name for layer in layers]
        maps: dict[Column, NDArray[Any]] = {}
        x = inputs[:]
        fewer = "take fewer images with --first" if len(inputs) > 1 else ""
        for name, analyzer in analyzers.items():
            with said_in_one_line(fewer), warnings_in_one_line():
                if name == "insens":
                    frequency = given_frequency.of(folder, analyzer.network, layers)
                    found = _insens(analyzer.network, layers, x, frequency)
                else:
                    is_ours = isinstance(analyzer, SwitchedAnalyzer)
                    bar = {} if is_ours else {"progress": shows_progress()}
                    found = {Column(name, name, name): analyzer.analyze(x, **bar)}
            maps |= found
        predictions = _predictions_of(loaded, inputs)
        _write_maps(folder, maps, inputs, channels, predictions)
    click.echo(f"Wrote maps.npz, {count_of_heatmaps(inputs, maps)} and an overview to {out}.")


def _insens(
    network: SwitchedNetwork, layers: Sequence[HiddenLayer], x: NDArray[Any], frequency: Any
) -> dict[Column, NDArray[Any]]:
    names = [layer.name for layer in layers]
    maps = network.insens(x, names, frequency, progress=shows_progress())
    return {column: maps[name] for name, column in insens_columns(layers, "insens_").items()}


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


def _analyzers(
    model: Any, names: Sequence[str], left_out: LeftOut, options: dict[str, Any]
) -> dict[str, Any]:
    from insens_tf.analyzer import create_analyzer

    found = {}
    for name in names:
        with left_out.unless_usable(name):
            arguments = arguments_of(name, options)
            found[name] = create_analyzer(name, model, **arguments)
    return found


class _Predictions(NamedTuple):
    """What a model gives: all its outputs (n, k), the class of the largest, and in words."""

    outputs: NDArray[Any]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    texts: list[str]


def _predictions_of(model: Any, inputs: files.ModelInputs) -> _Predictions:
    batches = [np.asarray(model(batch, training=False)) for batch in inputs.batches(BATCH_SIZE)]
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
