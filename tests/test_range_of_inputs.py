"""Inputs on another scale than what the model has seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from insens_tf import ActivationFrequency
from tests.architectures import randomise


def network(*first: keras.layers.Layer) -> insens_tf.SwitchedNetwork:
    model = keras.Sequential(
        [
            keras.Input((6,)),
            *first,
            keras.layers.Dense(4, activation="relu", name="dense"),
            keras.layers.Dense(2, name="logits"),
        ]
    )
    randomise(model, 0)
    return insens_tf.SwitchedNetwork(model)


PICTURES = np.random.default_rng(0).integers(0, 256, (5, 6)).astype(np.float32)
PICTURES[0, 0] = 255

CALLS: dict[str, Callable[..., Any]] = {
    "insens": lambda one, x, frequency: one.insens(x, "dense", frequency),
    "estimate_insens": lambda one, x, frequency: one.estimate_insens(x, "dense", frequency),
}


@pytest.mark.parametrize("call", CALLS)
def test_pictures_to_255_where_the_frequency_is_of_less(call: str, tmp_path: Path) -> None:
    one = network()
    frequency = one.activation_frequency(PICTURES / 255)
    assert frequency.largest_input == 1.0
    frequency.save(tmp_path / "frequency.npz")
    for known in (
        frequency,
        frequency + frequency,
        ActivationFrequency.load(tmp_path / "frequency.npz"),
    ):
        words = r"x: inputs of up to 255, .* frequency was counted over inputs of up to 1; scale"
        with pytest.warns(RuntimeWarning, match=words):
            CALLS[call](one, PICTURES, known)
        CALLS[call](one, PICTURES / 255, known)
        CALLS[call](one, PICTURES / 20, known)


@pytest.mark.parametrize("call", CALLS)
def test_the_range_of_other_frequencies_is_not_known(call: str) -> None:
    one = network()
    counted = one.activation_frequency(PICTURES / 255)
    assert ActivationFrequency(counted.counts, counted.samples).largest_input is None
    for frequency in (
        None,
        dict(counted),
        ActivationFrequency(counted.counts, counted.samples),
        one.activation_frequency(np.zeros((1, 6))),
    ):
        CALLS[call](one, PICTURES, frequency)


@pytest.mark.parametrize("call", CALLS)
def test_pictures_to_1_where_the_model_divides_by_255(call: str) -> None:
    one = network(keras.layers.Rescaling(1 / 255, name="divided"))
    with pytest.warns(RuntimeWarning, match=r"layer 'divided' itself .* by 0.00392"):
        CALLS[call](one, PICTURES / 255, None)
    for x in (PICTURES, np.zeros((1, 6)), np.ones((1, 6)), PICTURES / 7):
        CALLS[call](one, x, None)
    CALLS[call](network(keras.layers.Rescaling(2.0, offset=-1)), PICTURES / 255, None)


def test_an_analyzer_keeps_it(tmp_path: Path) -> None:
    one = network()
    analyzer = insens_tf.create_analyzer("insens", one.model, layer="dense").fit(PICTURES / 255)
    analyzer.save_npz(tmp_path / "analyzer.npz")
    loaded = type(analyzer).load_npz(tmp_path / "analyzer.npz")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded.analyze(PICTURES)
    assert any("up to 255" in str(warning.message) for warning in caught)
