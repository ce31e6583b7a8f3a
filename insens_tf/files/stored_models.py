"""What a model's file says of the model, known at once as it is read without Keras."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from insens_tf.files.file_errors import reading
from insens_tf.files.models import check_model_path, refuse_code, stored_config

__all__ = ["StoredModel", "stored_model"]

_SCALING = {"Rescaling", "Normalization"}
_CONVOLUTIONS = {"Conv1D", "Conv2D", "Conv3D"}


@dataclass(frozen=True)
class StoredModel:
    """The known facts of a model before it is loaded.

    Attributes
    ----------
    path : pathlib.Path
    input_shape : tuple of int or None, or None
        The shape of its only input, without the batch axis; None where the file does not say it.
    begins_with_scaling : bool
        Whether a `Rescaling` or `Normalization` layer comes first.
    layers : mapping of str to (tuple of int or None)
        By name ("model/layer" in a nested model), in the order of the file: the shape of what a
        layer computes for one input, where the file says it. Empty where nothing is known.
    with_relu : frozenset of str
        The layers among them that have a ReLU of their own.
    """

    path: Path
    input_shape: tuple[int | None, ...] | None
    begins_with_scaling: bool
    layers: Mapping[str, tuple[int, ...] | None]
    with_relu: frozenset[str]


def stored_model(path: str | os.PathLike[str]) -> StoredModel:
    """Read what a model's file says of it, and refuse it where loading it would run code.

    Raises
    ------
    UnusableFileError
        As `load_model` does, for all that shows without Keras.
    """
    path = check_model_path(path)
    unknown = StoredModel(path, None, False, {}, frozenset())
    if path.is_dir():
        return unknown
    with reading(path, "model"):
        config = stored_config(path)
        refuse_code(path, config)
    try:
        layers = dict(_layers(config))
        return StoredModel(
            path,
            _input_shape(config),
            _begins_with_scaling(config),
            {
                name: _shape(layer) if is_used_once else None
                for name, (layer, is_used_once) in layers.items()
            },
            frozenset(
                name
                for name, (layer, _) in layers.items()
                if layer["config"].get("activation") == "relu"
            ),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # Another version may write it in other words; Keras will say what is wrong with it.
        return unknown


def _members(model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the configurations of a model's layers, or none where a layer is no model."""
    config = model.get("config")
    return config.get("layers", []) if isinstance(config, Mapping) else []


def _name(layer: Mapping[str, Any]) -> str:
    return layer["config"]["name"]


def _input_shape(model: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    members = _members(model)
    first = members[0]
    if model["class_name"] != "Sequential":
        ends = model["config"]["input_layers"]
        names = [ends[0]] if isinstance(ends[0], str) else [end[0] for end in ends]
        if len(names) != 1:
            return None
        first = next(member for member in members if _name(member) == names[0])
    elif _members(first):
        return _input_shape(first)
    config = first["config"]
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    return tuple(shape[1:]) if shape else None


def _begins_with_scaling(model: Mapping[str, Any]) -> bool:
    layers = [layer for layer in _members(model) if layer["class_name"] != "InputLayer"]
    if not layers:
        return False
    return layers[0]["class_name"] in _SCALING or _begins_with_scaling(layers[0])


def _layers(
    model: Mapping[str, Any], prefix: str = "", is_used_once: bool = True
) -> Iterator[tuple[str, tuple[Mapping[str, Any], bool]]]:
    """Go through the layers: the name of each, its configuration, and whether it is used once."""
    for layer in _members(model):
        name = prefix + _name(layer)
        # A layer that is used again may have another shape there.
        once = is_used_once and len(layer.get("inbound_nodes", ())) <= 1
        yield name, (layer, once)
        yield from _layers(layer, f"{name}/", once)


def _shape(layer: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the shape of what a layer of neurons computes, where the file says its operand's."""
    kind, config = layer["class_name"], layer["config"]
    taken = (layer.get("build_config") or {}).get("input_shape")
    if not taken or None in taken[1:] or not all(isinstance(side, int) for side in taken[1:]):
        return None
    sides = tuple(taken[1:-1])
    if kind == "BatchNormalization":
        return tuple(taken[1:])
    if kind == "Dense":
        return (*sides, config["units"])
    if kind in _CONVOLUTIONS and config["data_format"] == "channels_last":
        settings = (config[name] for name in ("kernel_size", "strides", "dilation_rate"))
        padding = config["padding"]
        if padding in ("same", "valid"):
            convolved = (
                -(-side // stride)
                if padding == "same"
                else (side - dilation * (window - 1) - 1) // stride + 1
                for side, window, stride, dilation in zip(sides, *settings, strict=True)
            )
            return (*convolved, config["filters"])
    return None
