"""2CONV: its layers, sizes and seeds."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from insens_tf.two_conv import two_conv


def test_layers_are_those_of_the_paper() -> None:
    model = two_conv((28, 28, 1), 10, seed=0)

    described = [
        (layer.name, type(layer).__name__, tuple(layer.output.shape[1:])) for layer in model.layers
    ]
    assert described == [
        ("conv_1", "Conv2D", (28, 28, 32)),
        ("pool_1", "MaxPooling2D", (14, 14, 32)),
        ("conv_2", "Conv2D", (14, 14, 64)),
        ("pool_2", "MaxPooling2D", (7, 7, 64)),
        ("flatten", "Flatten", (3136,)),
        ("dense", "Dense", (1024,)),
        ("logits", "Dense", (10,)),
    ]
    activations = {
        layer.name: layer.activation.__name__
        for layer in model.layers
        if hasattr(layer, "activation")
    }
    assert activations == {
        "conv_1": "relu",
        "conv_2": "relu",
        "dense": "relu",
        "logits": "softmax",
    }
    assert model.get_layer("conv_1").kernel_size == model.get_layer("conv_2").kernel_size == (5, 5)
    assert getattr(model, "optimizer", None) is None


def test_valid_padding_and_other_sizes() -> None:
    model = two_conv((20, 24, 3), 4, filters=(5, 6), kernel_size=3, units=7, padding="valid")

    assert [tuple(layer.output.shape[1:]) for layer in model.layers] == [
        (18, 22, 5),
        (9, 11, 5),
        (7, 9, 6),
        (3, 4, 6),
        (72,),
        (7,),
        (4,),
    ]


def test_dropout_is_a_layer_only_if_there_is_any() -> None:
    with_dropout = two_conv((8, 8, 1), 2, dropout=0.25)

    assert [layer.name for layer in with_dropout.layers][-3:] == ["dense", "dropout", "logits"]
    assert with_dropout.get_layer("dropout").rate == 0.25


def test_hidden_layers_that_the_library_reads() -> None:
    network = insens_tf.SwitchedNetwork(two_conv((28, 28, 1), 10, dropout=0.5))

    assert [(layer.name, layer.shape) for layer in network.layers] == [
        ("conv_1", (28, 28, 32)),
        ("conv_2", (14, 14, 64)),
        ("dense", (1024,)),
    ]


def small(**arguments: Any) -> keras.Sequential:
    return two_conv((8, 8, 1), 3, filters=(3, 3), kernel_size=3, units=12, **arguments)


def equal_weights(one: keras.Model, other: keras.Model) -> list[bool]:
    return [
        bool(np.array_equal(a, b))
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    ]


def test_one_seed_gives_one_network() -> None:
    assert all(equal_weights(small(seed=5), small(seed=5)))


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, None), (None, None)])
def test_other_seeds_give_other_kernels(one: int | None, other: int | None) -> None:
    # Biases start at 0 whatever the seed.
    assert equal_weights(small(seed=one), small(seed=other)) == [False, True] * 4


def test_seed_of_dropout_is_not_that_of_a_layer_and_layers_differ() -> None:
    model = small(seed=5, dropout=0.5)
    seeds = [
        layer.kernel_initializer.seed
        for layer in model.layers
        if hasattr(layer, "kernel_initializer")
    ]
    assert len({*seeds, model.get_layer("dropout").seed}) == 5


def test_global_random_state_is_left_alone() -> None:
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    small(seed=5)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = small(seed=1, dropout=0.5)
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)

    loaded = keras.models.load_model(tmp_path / "model.keras")

    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (28, 28)}, "input_shape=(28, 28): expected height, width and channels; a"),
        ({"input_shape": (28, 0, 1)}, "input_shape[1]=0: expected a whole number, at least 1"),
        (
            {"input_shape": (28, 28, None)},
            "input_shape[2]=None: expected a whole number, at least 1",
        ),
        ({"input_shape": (3, 28, 1)}, "the height of input_shape (3, 28, 1) is too small"),
        ({"input_shape": (28, 15, 1), "padding": "valid"}, "the width of input_shape"),
        ({"classes": 0}, "classes=0: expected a whole number, at least 1"),
        ({"classes": 2.0}, "classes=2.0: expected a whole number, at least 1"),
        ({"filters": (32,)}, "filters=(32,): expected two numbers"),
        ({"filters": (32, -1)}, "filters[1]=-1: expected a whole number, at least 1"),
        ({"kernel_size": 0}, "kernel_size=0: expected a whole number, at least 1"),
        ({"pool_size": True}, "pool_size=True: expected a whole number, at least 1"),
        ({"units": -3}, "units=-3: expected a whole number, at least 1"),
        ({"padding": "full"}, "padding='full': expected one of 'same', 'valid'"),
        ({"dropout": 1.0}, "dropout=1.0: expected a share of at least 0 and below 1"),
        ({"seed": -1}, "seed=-1: expected a whole number, at least 0"),
        ({"seed": 0.5}, "seed=0.5: expected a whole number, at least 0"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        two_conv(**dict[str, Any]({"input_shape": (28, 28, 1), "classes": 10} | arguments))


def test_smallest_images() -> None:
    assert two_conv((4, 4, 1), 2).get_layer("flatten").output.shape == (None, 64)
    valid = two_conv((16, 16, 1), 2, padding="valid")
    assert valid.get_layer("flatten").output.shape == (None, 64)
