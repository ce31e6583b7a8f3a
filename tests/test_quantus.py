"""What Quantus calls for maps, and its metrics where it is installed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

from insens_tf import SwitchedNetwork, create_analyzer
from insens_tf.quantus import CHANNEL_RULES, explainer
from tests.conftest import slow, with_keras_3
from tests.small_images import SIDE

INPUTS = 4
METRICS: dict[str, dict[str, Any]] = {
    "FaithfulnessCorrelation": {"nr_runs": 5, "subset_size": 8},
    "PixelFlipping": {"features_in_step": 8},
    "MaxSensitivity": {"nr_samples": 2},
    "AvgSensitivity": {"nr_samples": 2},
    "LocalLipschitzEstimate": {"nr_samples": 2},
    "RandomLogit": {"num_classes": 3},
    "Sparseness": {},
    "Complexity": {},
    "EffectiveComplexity": {},
}


def linear_output(channels: int) -> keras.Model:
    """Functional, as some metrics ask for the model's input, which Keras 3 has of no other."""
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, channels))
    found = layers.Conv2D(3, 3, activation="relu", name="conv")(image)
    found = layers.Dense(12, activation="relu", name="dense")(layers.Flatten()(found))
    model = keras.Model(image, layers.Dense(3, name="logits")(found))
    generator = np.random.default_rng(0)
    model.set_weights([generator.standard_normal(w.shape) / 2 for w in model.get_weights()])
    return model


def images(channels: int) -> np.ndarray:
    return np.random.default_rng(1).random((INPUTS, SIDE, SIDE, channels), np.float32)


@with_keras_3
def test_insens_is_that_of_the_layer() -> None:
    model, x = linear_output(3), images(3)
    network = SwitchedNetwork(model)
    frequency = network.activation_frequency(x)
    omega = network.insens(x, "dense", frequency)
    explain = explainer("insens", layer="dense", frequency=frequency)
    np.testing.assert_allclose(explain(model, x, [0] * INPUTS), omega.sum(axis=-1), atol=1e-6)
    # Of the last hidden layer unless told otherwise; with the weights that there are.
    model.get_layer("conv").set_weights([2 * w for w in model.get_layer("conv").get_weights()])
    magnitude = explainer("insens", channels="magnitude")
    expected = np.abs(network.insens(x, "dense")).sum(axis=-1)
    np.testing.assert_allclose(magnitude(model, x, None, device=None), expected, atol=1e-6)


@pytest.mark.slow
def test_methods_of_the_output_explain_the_targets() -> None:
    model, x = linear_output(1), images(1)
    targets = np.array([2, 0, 1, 1])
    weights = SwitchedNetwork(model).project(x, "logits").weights
    found = explainer("switched.weights")(model, x, targets)
    np.testing.assert_allclose(found, weights[range(INPUTS), targets][..., 0], atol=1e-6)
    analyzer = create_analyzer("lrp.z", model, source="native", neuron_selection_mode="index")
    found = explainer("lrp.z", source="native")(model, x, targets)
    np.testing.assert_allclose(found, analyzer.analyze(x, targets)[..., 0], atol=1e-6)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"method='insense': .*did you mean insens"):
        explainer("insense")
    with pytest.raises(ValueError, match="channels='max': expected one of 'sum', 'mean'"):
        explainer("insens", channels="max")
    with pytest.raises(ValueError, match="layer and frequency are of 'insens'"):
        explainer("gradient", layer="dense")
    with pytest.raises(TypeError, match="'abs': expected no arguments but device"):
        explainer("insens")(None, None, None, abs=True)
    assert list(CHANNEL_RULES) == ["sum", "mean", "magnitude"]


@pytest.mark.parametrize("channels", [slow(1), slow(3)])
@pytest.mark.parametrize("method", [slow("insens"), slow("gradient")])
@with_keras_3
def test_metrics_of_quantus(method: str, channels: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantus = pytest.importorskip("quantus")
        model, x = linear_output(channels), images(channels)
        targets = np.array([0, 1, 2, 0])
        explain = explainer(method)
        for name, arguments in METRICS.items():
            metric = getattr(quantus, name)(
                **arguments, disable_warnings=True, display_progressbar=False
            )
            scores = metric(
                model=model,
                x_batch=x,
                y_batch=targets,
                a_batch=explain(model, x, targets),
                channel_first=False,
                explain_func=explain,
            )
            # Some are of each input, others one of all.
            assert len(scores) in (1, INPUTS), name
            assert np.isfinite(np.asarray(scores, np.float64)).all(), name
