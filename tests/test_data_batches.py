"""Data sets where arrays are taken: the same results, and errors that name the argument."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import CaseOf


def test_a_data_set_is_its_inputs(case: CaseOf) -> None:
    this = case("dense", 0)
    labels = np.arange(len(this.x))
    data = tf.data.Dataset.from_tensor_slices((this.x, labels)).batch(2)
    layer = this.network.layers[0]

    p, of_data = this.network.project(this.x, layer), this.network.project(data, layer)

    np.testing.assert_array_equal(of_data.weights, p.weights)
    np.testing.assert_array_equal(of_data.activity, p.activity)
    np.testing.assert_array_equal(
        this.network.insens(data, layer), this.network.insens(this.x, layer)
    )
    np.testing.assert_array_equal(
        this.network.activity(data, layer), this.network.activity(this.x, layer)
    )


def test_what_is_wrong_with_a_data_set_is_said(case: CaseOf) -> None:
    this = case("dense", 0)
    one_by_one = tf.data.Dataset.from_tensor_slices(this.x)
    for data, said in (
        (one_by_one.batch(2).repeat(), "x: this tf.data.Dataset repeats without end"),
        (one_by_one.batch(2).take(0), "x: expected at least one batch of inputs, came none"),
        (one_by_one, r"x: expected shape \(batch, .*\), came"),
        (
            tf.data.Dataset.from_tensor_slices({"image": this.x}).batch(2),
            "x: a batch: expected inputs alone, came a mapping of 'image'",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            this.network.insens(data, this.network.layers[0])
