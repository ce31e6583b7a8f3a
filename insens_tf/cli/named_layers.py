"""The layers and neurons that a command's arguments name.

What is wrong with them is found before TensorFlow is loaded, as far as the model's file says it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from insens_tf import files
from insens_tf.arguments import did_you_mean
from insens_tf.cli.messages import CommandError

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork

__all__ = [
    "check_layers",
    "check_neurons",
    "chosen_layer",
    "chosen_layers",
    "chosen_neurons",
    "neuron_text",
    "shape_text",
]

# More layers than these are not listed in an error.
_LAYERS_SAID = 12
_INDEX = re.compile(r"-?[0-9]{1,9}")


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
                f"--neuron {text}: the layer {layer} has {shape_text(shape)} neurons; expected 0 "
                f"to {count - 1}{along}"
            )


def neuron_text(neuron: Sequence[int]) -> str:
    """Say a neuron's indices as --neuron takes them."""
    return ",".join(str(int(index)) for index in neuron)


def shape_text(shape: Sequence[int]) -> str:
    """Say a shape."""
    return " x ".join(map(str, shape))
