"""What the arguments of a command name: the network, its inputs, layers and neurons."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files
from insens_tf.cli.messages import CommandError, import_tensorflow, said_in_one_line

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork

__all__ = [
    "check_one_input_and_output",
    "chosen_neurons",
    "layer_name",
    "layer_names",
    "load_model",
    "neuron_text",
    "read_inputs",
    "read_network",
    "shape_text",
]


def load_model(path: Path) -> Any:
    """Load a model."""
    import_tensorflow()
    return files.load_model(path)


def read_network(path: Path) -> SwitchedNetwork:
    """Load a model and read it as a switched network."""
    model = load_model(path)
    from insens_tf.network import SwitchedNetwork

    with said_in_one_line():
        return SwitchedNetwork(model)


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


def read_inputs(
    model: Any,
    paths: Sequence[str],
    options: dict[str, Any],
    usual_keys: Sequence[str] = ("x_test", "x"),
) -> files.ModelInputs:
    """Read images for a model and say on one line what was read and how it was scaled."""
    images = files.read_images(
        paths, options["key"], usual_keys, leave_out_bad=options.get("bad_images") == "skip"
    )
    for reason in images.left_out.values():
        print(f"insens-tf: left out {files.one_line(reason, 800)}", file=sys.stderr)
    inputs = files.fit_to_model(
        images,
        tuple(model.inputs[0].shape[1:]),
        model_scales=files.begins_with_scaling(model),
        scale=options["scale"],
        resize=options["resize"],
        grayscale=options["grayscale"],
        first=options["first"],
    )
    click.echo(inputs.description)
    return inputs


def _layer(network: SwitchedNetwork, text: str) -> str | int:
    """Read which layer is meant; a number is an index unless a layer has that name."""
    names = [layer.name for layer in (*network.layers, *network.outputs)]
    return int(text) if text not in names and re.fullmatch(r"-?[0-9]+", text) else text


def layer_name(network: SwitchedNetwork, text: str) -> str:
    """Find the layer that is meant, the output layer among them."""
    with said_in_one_line():
        return network.project(_blank(network), _layer(network, text), 0).layer.name


def layer_names(network: SwitchedNetwork, texts: Sequence[str]) -> list[str]:
    """Find the hidden layers that are meant; none for no text."""
    if not texts:
        return []
    layers = [_layer(network, text) for text in texts]
    with said_in_one_line():
        return list(network.activation_frequency(_blank(network), layers, progress=False))


def _blank(network: SwitchedNetwork) -> NDArray[np.float32]:
    return np.zeros((1, *network.input_shape), np.float32)


def chosen_neurons(texts: Sequence[str]) -> list[Any] | None:
    """Read which neurons are meant; None for all."""
    if "all" in texts:
        return None
    found: list[Any] = []
    for text in texts:
        if not re.fullmatch(r"[0-9]+(,[0-9]+)*", text.replace(" ", "")):
            raise CommandError(
                f"--neuron {text}: expected a flat index (7), indices along the layer's axes "
                "(6,6,12), or all"
            )
        numbers = tuple(int(number) for number in text.split(","))
        found.append(numbers if len(numbers) > 1 else numbers[0])
    if len({isinstance(neuron, tuple) for neuron in found}) > 1:
        raise CommandError("--neuron: expected flat indices only, or indices along the axes only")
    return found


def neuron_text(neuron: Sequence[int]) -> str:
    """Say a neuron's indices as --neuron takes them."""
    return ",".join(str(int(index)) for index in neuron)


def shape_text(shape: Sequence[int]) -> str:
    """Say a shape."""
    return " x ".join(map(str, shape))
