"""What the arguments of a command name: the network, its inputs, layers and neurons.

What is wrong with them is found before TensorFlow is loaded, as far as the files themselves say it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from insens_tf import files
from insens_tf.arguments import did_you_mean
from insens_tf.cli.messages import CommandError, import_tensorflow, said_in_one_line, sign_of_life

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork

__all__ = [
    "GivenInputs",
    "check_layers",
    "check_neurons",
    "check_one_input_and_output",
    "chosen_layer",
    "chosen_layers",
    "chosen_neurons",
    "load_model",
    "network_arguments",
    "neuron_text",
    "read_network",
    "shape_text",
]

# More layers than these are not listed in an error.
_LAYERS_SAID = 12
_INDEX = re.compile(r"-?[0-9]{1,9}")


def load_model(path: Path) -> Any:
    """Load a model."""
    with sign_of_life("Loading TensorFlow and the model"):
        import_tensorflow()
        return files.load_model(path)


def network_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Give what a `SwitchedNetwork` is made with, as the options of a command say it."""
    return {
        "smooth_activations": options["smooth_activations"],
        "memory_budget": options["memory_budget"] * 2**20,
    }


def read_network(path: Path, options: dict[str, Any]) -> SwitchedNetwork:
    """Load a model and read it as a switched network."""
    model = load_model(path)
    from insens_tf.network import SwitchedNetwork

    with said_in_one_line():
        return SwitchedNetwork(model, **network_arguments(options))


def check_one_input_and_output(model: Any, path: Path) -> None:
    """Refuse a model that has several of them, or does not know them."""
    if [len(_ends(model, end)) for end in ("inputs", "outputs")] != [1, 1]:
        raise CommandError(
            f"model {path}: expected a built Sequential or functional model with one input and one "
            "output"
        )


def _ends(model: Any, which: str) -> Sequence[Any]:
    """Give a model's inputs or outputs, none where they are not known."""
    try:
        return getattr(model, which) or []
    except (AttributeError, ValueError):
        return []


class GivenInputs:
    """Images that a command was given, read at once and fitted as early as the files allow.

    Parameters
    ----------
    model : StoredModel
    paths : sequence of str
    options : dict
        How images are read, as the options of a command say it.
    usual_keys : sequence of str
        Of which an .npz file's array is taken where none is named.
    drawn : bool
        Whether pictures are to be drawn of them.
    """

    def __init__(
        self,
        model: files.StoredModel,
        paths: Sequence[str],
        options: dict[str, Any],
        usual_keys: Sequence[str] = ("x_test", "x"),
        *,
        drawn: bool = False,
    ) -> None:
        self._images = files.read_images(
            paths, options["key"], usual_keys, leave_out_bad=options.get("bad_images") == "skip"
        )
        for reason in self._images.left_out.values():
            print(f"insens-tf: left out {files.one_line(reason, 800)}", file=sys.stderr)
        self._options = options
        self._drawn = drawn
        self._fitted: files.ModelInputs | None = None
        self._fitted_to: tuple[tuple[int | None, ...], bool] | None = None
        if model.input_shape is not None:
            self._fit(model.input_shape, model.begins_with_scaling)

    def of(self, model: Any) -> files.ModelInputs:
        """Give them as a loaded model takes them."""
        return self._fit(tuple(model.inputs[0].shape[1:]), files.begins_with_scaling(model))

    def _fit(self, shape: tuple[int | None, ...], model_scales: bool) -> files.ModelInputs:
        """Fit them, unless that is done, and say in a line how."""
        if self._fitted is None or self._fitted_to != (shape, model_scales):
            self._fitted = files.fit_to_model(
                self._images,
                shape,
                model_scales=model_scales,
                scale=self._options["scale"],
                resize=self._options["resize"],
                grayscale=self._options["grayscale"],
                first=self._options["first"],
            )
            self._fitted_to = shape, model_scales
            if self._drawn:
                self._fitted.as_pictures(self._fitted[:1])  # refused now, not after the work
            click.echo(self._fitted.description)
        return self._fitted


# --- layers -------------------------------------------------------------------------------------


def check_layers(model: files.StoredModel, texts: Sequence[str]) -> None:
    """Refuse names that no layer in a model's file has."""
    # A layer that is used again is "name:2"; which layers are hidden is not known yet.
    known = {*model.layers, *(name.rpartition("/")[2] for name in model.layers)}
    for text in texts:
        name = re.sub(r":[0-9]+$", "", text)
        if known and name not in known and not _INDEX.fullmatch(text):
            raise CommandError(
                f"--layer {text}: no such layer{did_you_mean(text, model.layers)}; the model has "
                f"{_listed(list(model.layers))}"
            )


def chosen_layer(network: SwitchedNetwork, text: str, *, output: bool = False) -> HiddenLayer:
    """Find the hidden layer that is meant by a name or an index, with `output` the output too.

    An index is a layer's place among the hidden ones, unless a layer has that name.
    """
    candidates = (*network.layers, *(network.outputs if output else ()))
    is_name = any(text in (layer.name, *layer.aliases) for layer in candidates)
    try:
        return network.layer(
            int(text) if _INDEX.fullmatch(text) and not is_name else text, output=output
        )
    except ValueError as error:
        raise CommandError(_why_no_layer(network, text, candidates)) from error


def _why_no_layer(network: SwitchedNetwork, text: str, candidates: Sequence[HiddenLayer]) -> str:
    """Say why a text means no layer, or several, and which there are."""
    there_are = "; ".join(
        f"{'the output' if layer.index is None else layer.index} {layer.name} "
        f"({shape_text(layer.shape)})"
        for layer in candidates[: _LAYERS_SAID + 1]
    )
    if len(candidates) > _LAYERS_SAID:
        there_are = f"0 to {len(network.layers) - 1}; insens-tf layers lists them"
    also = [layer.name for layer in candidates if text in layer.aliases]
    if also:
        return f"--layer {text} is used more than once; name one of {', '.join(also)}"
    if not candidates:
        return f"--layer {text}: the network has no hidden layer; expected one that a ReLU follows"
    if _INDEX.fullmatch(text):
        return f"--layer {text}: no such index; expected one of {there_are}"
    if any(text in (layer.name, *layer.aliases) for layer in network.outputs):
        reason = "is the output layer, which is no hidden layer"
    else:
        names = [layer.name for layer in candidates]
        reason = f"is no hidden layer of this network{did_you_mean(text, names)}"
    return f"--layer {text} {reason}; expected one of {there_are}"


def chosen_layers(network: SwitchedNetwork, texts: Sequence[str]) -> list[HiddenLayer]:
    """Find the hidden layers that are meant; none for no text."""
    found: list[HiddenLayer] = []
    for text in texts:
        layer = chosen_layer(network, text)
        if layer in found:
            raise CommandError(f"--layer {text}: the layer {layer.name} is there twice")
        found.append(layer)
    return found


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LAYERS_SAID
    return ", ".join(names[:_LAYERS_SAID]) + (f" and {more} more" if more > 0 else "")


# --- neurons ------------------------------------------------------------------------------------


def chosen_neurons(texts: Sequence[str]) -> list[Any] | None:
    """Read which neurons are meant; None for all."""
    if "all" in texts:
        return None
    found: list[Any] = []
    for text in texts:
        if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", text.replace(" ", "")):
            raise CommandError(
                f"--neuron {text}: expected a flat index (7), indices along the layer's axes "
                "(6,6,12), or all"
            )
        numbers = tuple(int(number) for number in text.split(","))
        found.append(numbers if len(numbers) > 1 else numbers[0])
    if len({isinstance(neuron, tuple) for neuron in found}) > 1:
        raise CommandError("--neuron: expected flat indices only, or indices along the axes only")
    return found


def check_neurons(neurons: Sequence[Any] | None, layer: str, shape: tuple[int, ...]) -> None:
    """Refuse neurons that a layer of this shape does not have."""
    count = 1
    for side in shape:
        count *= side
    largest = ",".join(str(side - 1) for side in shape)
    for neuron in neurons or ():
        if isinstance(neuron, tuple):
            fits = len(neuron) == len(shape) and all(
                index < side for index, side in zip(neuron, shape, strict=True)
            )
        else:
            fits = neuron < count
        if not fits:
            along = "" if len(shape) == 1 else f", or 0{',0' * (len(shape) - 1)} to {largest}"
            text = neuron_text(neuron) if isinstance(neuron, tuple) else neuron
            raise CommandError(
                f"--neuron {text}: the layer {layer} is of {shape_text(shape)} neurons; expected 0 "
                f"to {count - 1}{along}"
            )


def neuron_text(neuron: Sequence[int]) -> str:
    """Say a neuron's indices as --neuron takes them."""
    return ",".join(str(int(index)) for index in neuron)


def shape_text(shape: Sequence[int]) -> str:
    """Say a shape."""
    return " x ".join(map(str, shape))
