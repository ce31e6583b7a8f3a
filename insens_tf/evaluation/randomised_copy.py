"""A copy of a Keras model whose layers can be given new initial weights, one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf.arguments import whole_number

__all__ = ["RandomisedCopy"]


class RandomisedCopy:
    """A copy of a model, in which any of the layers have weights from their own initialisers.

    At first it computes what the model computes. The model itself is read once and never changed.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, of Keras 2 or 3, with one input. Models within it are gone
        through.
    seed : int
        Decides the new weights. It takes the place of the initialisers' own seeds, so that a model
        is not given the very weights again that it was trained from.

    Attributes
    ----------
    model : Keras model
        The copy; always the same object, whatever its weights are.
    layers : tuple of str
        The layers that can be randomised, in the order of ``model.layers``, from the input to the
        output: all that have weights. A layer of an inner model is "inner/layer". Normalization
        and its kin are left out, as their weights are the data's statistics.

    Raises
    ------
    ValueError
        If the model is none of these, a layer cannot be copied, or a layer draws its initial
        weights in a way that its configuration says nothing of, so that no seed determines them.
    """

    def __init__(self, model: Any, seed: int = 0) -> None:
        self.model = _reinitialised(model, whole_number("seed", seed, least=0))
        self._copies = _layers_with_weights(self.model)
        originals = _layers_with_weights(model)
        if {name: _shapes(layer) for name, layer in originals.items()} != {
            name: _shapes(layer) for name, layer in self._copies.items()
        }:
            raise ValueError(
                f"model {model.name!r}: expected its copy to have the same layers and weights, "
                f"found {list(self._copies)} instead of {list(originals)}; custom layers "
                "need a get_config that returns all that their weights depend on"
            )
        self._own = {name: layer.get_weights() for name, layer in originals.items()}
        self.layers = tuple(name for name, layer in originals.items() if not _is_adapted(layer))
        self._new = {name: self._copies[name].get_weights() for name in self.layers}
        self._check_seeds(model, int(seed))
        self.randomise([])

    def randomise(self, layers: Collection[str]) -> None:
        """Give some layers new initial weights, and all others the model's own.

        Parameters
        ----------
        layers : collection of str
            Names of `layers`. A layer is given the same new weights each time.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        for name in layers:
            if name not in self.layers:
                raise ValueError(
                    f"layers: expected some of {', '.join(map(repr, self.layers))}, came {name!r}"
                )
        for name, layer in self._copies.items():
            layer.set_weights((self._new if name in layers else self._own)[name])
            if _is_adapted(layer):
                # The layer computes with values that it derives from its weights.
                layer.finalize_state()

    def _check_seeds(self, model: Any, seed: int) -> None:
        again = _layers_with_weights(_reinitialised(model, seed))
        for name, weights in self._new.items():
            if not all(map(np.array_equal, weights, again[name].get_weights())):
                raise ValueError(
                    f"layer {name!r} ({type(again[name]).__name__}): expected initial weights that "
                    "follow from the seed, found others the second time; a custom layer "
                    "needs initialisers in its get_config, under names that end in _initializer, "
                    "and these a seed in theirs"
                )


def _reinitialised(model: Any, seed: int) -> Any:
    """Return a copy of a model with initial weights."""
    keras = _keras_of(model)
    if not model.built or not model.inputs:
        raise ValueError(
            f"model {model.name!r}: expected a built model, found one that does not know its "
            "input's shape; call it on an input once, or build it"
        )
    if len(model.inputs) != 1:
        raise ValueError(
            f"model {model.name!r}: expected one input, found {len(model.inputs)}; check a model "
            "of one of them, in which the others are held"
        )
    generator = np.random.default_rng(seed)
    classes = {type(layer).__name__: type(layer) for _, layer in _leaves(model)}

    def copy(layer: Any) -> Any:
        try:
            return type(layer).from_config(_with_seeds(layer.get_config(), generator))
        except Exception as error:
            # A user's own layer can raise anything.
            raise ValueError(
                f"layer {layer.name!r} ({type(layer).__name__}): expected one that can be copied "
                f"from its get_config, found {type(error).__name__}: {error}; register its "
                "functions and classes with keras.saving.register_keras_serializable"
            ) from error

    # The model is made anew of the same layers, not compiled: Keras 3 would compile the copy too,
    # which fails with some losses.
    outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
    uncompiled = keras.Model(model.inputs[0], outputs, name=model.name)
    with keras.utils.custom_object_scope(classes):
        return keras.models.clone_model(uncompiled, clone_function=copy)


def _keras_of(model: Any) -> Any:
    """Return the Keras that made a model, as both Keras 2 and 3 may be there."""
    for kind in type(model).__mro__:
        name = kind.__module__.partition(".")[0]
        if kind.__name__ in ("Sequential", "Functional") and name in ("keras", "tf_keras"):
            return import_module(name)
    raise ValueError(
        f"model {getattr(model, 'name', '')!r} ({type(model).__name__}): expected a Sequential or "
        "functional Keras model; write a subclassed one as keras.Model(inputs, outputs)"
    )


def _leaves(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model and of those within it, by name."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer, f"{prefix}{layer.name}/")
        else:
            yield f"{prefix}{layer.name}", layer


def _layers_with_weights(model: Any) -> dict[str, Any]:
    # An inner model that is used twice is listed twice, as the same layers.
    return {name: layer for name, layer in _leaves(model) if layer.weights}


def _is_adapted(layer: Any) -> bool:
    """Tell whether a layer's weights are statistics of data that it was adapted to."""
    return hasattr(layer, "adapt")


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _with_seeds(configuration: Any, generator: np.random.Generator) -> Any:
    """Return a configuration in which each initialiser that has a seed has a new one."""
    if isinstance(configuration, Mapping):
        return {
            key: (
                _initialiser_with_seed(value, generator)
                if str(key).endswith("_initializer") and isinstance(value, Mapping)
                else _with_seeds(value, generator)
            )
            for key, value in configuration.items()
        }
    if type(configuration) in (list, tuple):
        return type(configuration)(_with_seeds(value, generator) for value in configuration)
    return configuration


def _initialiser_with_seed(
    initialiser: Mapping[str, Any], generator: np.random.Generator
) -> Mapping[str, Any]:
    settings = initialiser.get("config")
    if not isinstance(settings, Mapping) or "seed" not in settings:
        return initialiser
    # TensorFlow's seeds are signed 32-bit numbers.
    return {**initialiser, "config": {**settings, "seed": int(generator.integers(2**31))}}


def same_outputs(model: Any, other: Any, x: NDArray[Any]) -> bool:
    """Tell whether two models give the same but for rounding."""
    pairs = zip(*(tf.nest.flatten(one(x, training=False)) for one in (model, other)))
    return all(np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in pairs)
