"""`insens-tf compare`: Insens beside other methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.batches import BATCH_SIZE
from insens_tf.cli.chosen_methods import ChosenMethods, MethodOptions, methods_option
from insens_tf.cli.drawing import Column, Drawing, count_of_heatmaps, insens_columns, short
from insens_tf.cli.messages import (
    said_in_one_line,
    shows_progress,
    warnings_in_one_line,
)
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    FrequencyOptions,
    HeatmapOptions,
    ImageOptions,
    NetworkOptions,
    ResultOptions,
    examples,
    images_argument,
    shared_options,
)
from insens_tf.cli.run_record import record_of, results_in
from insens_tf.cli.scores import checked_scores, score_maps, score_option

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork

__all__ = ["compare"]


@dataclass(frozen=True)
class _MethodOptions(MethodOptions):
    """Which methods are drawn, and Insens of which layers."""

    methods: tuple[str, ...] = methods_option(
        "Which methods, across the picture in this order",
        "; lrp.epsilon stands for its LRP, of which it does not name the rule",
    )


@click.command(
    short_help="Draw Insens beside other methods.",
    epilog=examples(
        "compare model.keras digits/ --frequency-from train.npz --out comparison",
        "compare model.keras seven.png --methods gradient,insens --layer conv_1 --out seven",
        "compare model.keras mnist.npz --first 9 --methods lrp.z --methods lrp.flat --out lrp",
    ),
)
@shared_options(network_options=NetworkOptions)
@images_argument
@shared_options(
    method_options=_MethodOptions,
    frequency_options=FrequencyOptions,
    image_options=ImageOptions,
    result_options=ResultOptions,
    heatmap_options=HeatmapOptions,
)
@score_option
def compare(
    network_options: NetworkOptions,
    images: tuple[str, ...],
    method_options: _MethodOptions,
    frequency_options: FrequencyOptions,
    image_options: ImageOptions,
    result_options: ResultOptions,
    heatmap_options: HeatmapOptions,
    score_texts: tuple[str, ...],
) -> None:
    """Draw Insens beside the methods of iNNvestigate: images down, methods across.

    All but insens explain the output of the predicted class, before any softmax, with the settings
    that iNNvestigate gives them; the noise of random and smoothgrad is that of the seed 0. Writes
    maps.npz, a heatmap for each image and method (red positive, blue negative, white 0), and an
    overview with the predicted class and its probability: the model's, or the softmax of its
    outputs where these are logits. --scale, --resize and --grayscale hold for DATA too.

    With --score also scores.csv and scores.png. Insens explains a layer's state, not the class, so
    that these answer another question than it asks.
    """
    scores = checked_scores(score_texts)
    methods = ChosenMethods(method_options, network_options, frequency_options, "drawn")
    opening = Opening(
        network_options, images, image_options, frequency_options, method_options.layer
    )
    record = record_of("compare", network_options, image_options, frequency_options, images=images)
    with results_in(result_options, record) as folder:
        assert folder is not None
        opening.read_files(drawn=True)
        model = opening.load_model(one_input_and_output=True)
        from insens_tf.analyzer import SwitchedAnalyzer

        inputs = opening.inputs_of(model)
        analyzers = _analyzers(model, methods)
        methods.note(record, analyzers)
        layers = methods.layers_of(analyzers["insens"]) if "insens" in analyzers else []
        record["layers"] = [layer.name for layer in layers]
        record["scores"] = scores
        maps: dict[Column, NDArray[Any]] = {}
        x = inputs[:]
        fewer = "take fewer images with --first" if len(inputs) > 1 else ""
        for name, analyzer in analyzers.items():
            with said_in_one_line(fewer), warnings_in_one_line():
                if name == "insens":
                    frequency = opening.frequency.of(folder, analyzer.network, layers)
                    found = _insens(analyzer.network, layers, x, frequency)
                else:
                    is_ours = isinstance(analyzer, SwitchedAnalyzer)
                    bar = {} if is_ours else {"progress": shows_progress()}
                    found = {Column(name, name, name): analyzer.analyze(x, **bar)}
            maps |= found
        predictions = _predictions_of(model, inputs)
        if scores:
            titled = {column.title: inputs.as_pictures(one) for column, one in maps.items()}
            black = float(inputs.black().flat[0])
            scored = score_maps(scores, model, x, predictions.classes, titled, black)
            click.echo(f"\n{scored.table()}\n")
            scored.write(folder, inputs.names)
        _write_maps(folder, maps, inputs, heatmap_options.channels, predictions)
    heatmaps = count_of_heatmaps(inputs, maps)
    click.echo(f"Wrote maps.npz, {heatmaps} and an overview to {result_options.out}.")


def _insens(
    network: SwitchedNetwork, layers: Sequence[HiddenLayer], x: NDArray[Any], frequency: Any
) -> dict[Column, NDArray[Any]]:
    names = [layer.name for layer in layers]
    maps = network.insens(x, names, frequency, progress=shows_progress())
    columns = insens_columns(network, layers, "insens_")
    return {column: maps[name] for name, column in columns.items()}


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


def _analyzers(model: Any, methods: ChosenMethods) -> dict[str, Any]:
    """Return the analyzer of each method that can be used."""
    from insens_tf.analyzer import create_analyzer

    found = {}
    for name in methods.names:
        with methods.unless_usable(name):
            found[name] = create_analyzer(name, model, **methods.arguments_of(name))
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
