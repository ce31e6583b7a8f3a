"""Where iNNvestigate fails silently, and what is said of wrong arguments and models."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from innvestigate import NotAnalyzeableModelException
from tensorflow import keras

from insens_tf import progress
from insens_tf.baselines import create_baseline
from tests.baselines_cases import build, images

layers = keras.layers


def gradient_by_tape(logits: keras.Model, x: np.ndarray, neurons: list[int]) -> np.ndarray:
    """Return the gradient of one output, counted in the flattened ones, for each input."""
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = logits(inputs, training=False)
        outputs = tf.reshape(outputs, (len(x), -1))
        chosen = tf.gather(outputs, neurons, batch_dims=1)
    return tape.gradient(chosen, inputs).numpy()


def without_softmax(model: keras.Model) -> keras.Model:
    return keras.Model(model.inputs, model.layers[-1].input)


def step_unit() -> keras.Model:
    """Return a model of one input, whose output is relu(x)."""
    model = keras.Sequential([layers.Dense(1, activation="relu", input_shape=(1,))])
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    return model


def test_an_analyzer_does_not_depend_on_those_made_before_it() -> None:
    """Of iNNvestigate itself, this pair gives maps that are others by a factor of 9.7."""
    model = build("dense")
    x = images("dense", model)
    with create_baseline("lrp.sequential_preset_b_flat", model) as alone:
        expected = alone.analyze(x)
    with create_baseline("integrated_gradients", model, steps=256) as other:
        other.analyze(x)
        with create_baseline("lrp.sequential_preset_b_flat", model) as after:
            np.testing.assert_array_equal(after.analyze(x), expected)


@pytest.mark.parametrize("name", ["dense", "batch_normalization"])
def test_softmax_relu_and_batch_normalization_layers_against_a_tape(name: str) -> None:
    model = build(name)
    x = images(name, model)
    with create_baseline("gradient", model, neuron_selection_mode="index") as gradient:
        maps = gradient.analyze(x, [3, 0, 1])
    expected = gradient_by_tape(without_softmax(model), x, [3, 0, 1])
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_index_into_an_output_of_several_axes() -> None:
    model = build("nested")
    x = images("nested", model)
    last = math.prod(model.output_shape[1:]) - 1
    with create_baseline("gradient", model, neuron_selection_mode="index") as gradient:
        maps = gradient.analyze(x, [last, 0, 5])
        with pytest.raises(ValueError, match=f"indices from 0 to {last}, .*got {last + 1}"):
            gradient.analyze(x, last + 1)
    np.testing.assert_allclose(maps, gradient_by_tape(model, x, [last, 0, 5]), atol=1e-6)


@pytest.mark.filterwarnings("ignore:'integrated_gradients'")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gradient", {}),
        ("integrated_gradients", {"steps": 4}),
        ("smoothgrad", {"augment_by_n": 4, "seed": 1}),
    ],
)
def test_one_index_for_a_batch_and_any_batch_size(name: str, arguments: dict[str, Any]) -> None:
    model = build("two_conv")
    x = images("two_conv", model, 5)
    with create_baseline(name, model, neuron_selection_mode="index", **arguments) as analyzer:
        maps = analyzer.analyze(x, 2)
        assert (np.abs(maps).max(axis=(1, 2, 3)) > 0).all()
        for selection, size in [([2] * 5, None), (np.array([2]), 2), (2, 1)]:
            again = analyzer.analyze(x, selection, batch_size=size)
            np.testing.assert_allclose(again, maps, atol=1e-6)
        mixed = analyzer.analyze(x, [2, 1, 2, 0, 2], batch_size=3)
    np.testing.assert_allclose(mixed[::2], maps[::2], atol=1e-6)
    assert (np.abs(mixed - maps)[1::2].max(axis=(1, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize("scale", [0.5, 5.0])
def test_smoothgrad_has_the_noise_scale_it_was_given(scale: float) -> None:
    samples = 4096
    with create_baseline(
        "smoothgrad", step_unit(), augment_by_n=samples, noise_scale=scale, seed=3
    ) as analyzer:
        share_active = float(analyzer.analyze([[0.5]]).item())
    probability = 0.5 * (1 + math.erf(0.5 / scale / math.sqrt(2)))
    assert abs(share_active - probability) < 4 * 0.5 / math.sqrt(samples)


def test_smoothgrad_without_noise_is_the_gradient() -> None:
    model = build("dense")
    x = images("dense", model)
    with create_baseline("gradient", model) as gradient:
        expected = gradient.analyze(x)
    with create_baseline("smoothgrad", model, noise_scale=0, augment_by_n=3) as smooth:
        np.testing.assert_allclose(smooth.analyze(x), expected, atol=1e-6)


def test_random_is_the_input_plus_noise_of_its_scale() -> None:
    model = keras.Sequential([layers.InputLayer((50, 50)), layers.Flatten(), layers.Dense(2)])
    x = np.ones((4, 50, 50), np.float32)
    with create_baseline("random", model, stddev=2.0, seed=5) as analyzer:
        noise = analyzer.analyze(x) - x
    assert abs(noise.mean()) < 0.1
    assert abs(noise.std() - 2.0) < 0.1


@pytest.mark.parametrize("name", ["random", "smoothgrad"])
def test_noise_is_repeated_by_a_seed_and_only_by_it(name: str) -> None:
    model = build("dense")
    x = np.repeat(images("dense", model, 1), 3, axis=0)
    with create_baseline(name, model, seed=7) as seeded, create_baseline(name, model) as unseeded:
        maps = seeded.analyze(x)
        np.testing.assert_array_equal(seeded.analyze(x), maps)
        np.testing.assert_allclose(seeded.analyze(x, batch_size=1), maps, atol=1e-6)
        assert np.abs(unseeded.analyze(x) - unseeded.analyze(x)).max() > 1e-3
    with create_baseline(name, model, seed=8) as other:
        assert np.abs(other.analyze(x) - maps).max() > 1e-3
    assert np.abs(maps[0] - maps[1]).max() > 1e-3, "inputs of one batch have noise of their own"


@pytest.mark.parametrize(
    ("name", "arguments"), [("deep_taylor", {}), ("deep_taylor.bounded", {"low": -9, "high": 9})]
)
def test_deep_taylor_says_why_a_map_is_empty(name: str, arguments: dict[str, Any]) -> None:
    model = keras.Sequential(
        [layers.Dense(2, activation="relu", input_shape=(2,)), layers.Dense(2, "softmax")]
    )
    model.set_weights([np.eye(2), np.zeros(2), np.array([[1, 2], [1, -2]]), np.array([1, 0])])
    # The second output is 2 (x_1 - x_2), the first one x_1 + x_2 + 1 where both are positive.
    x = np.array([[3, 1], [1, 3], [3, 2], [1, 1], [-1, -1]])
    with create_baseline(name, model, neuron_selection_mode="index", **arguments) as analyzer:
        with pytest.warns(UserWarning, match="maps are all zero") as caught:
            maps = analyzer.analyze(x, [1, 1, 1, 1, 0], batch_size=2)
        message = str(caught[0].message)
        assert "3 of 5 maps are all zero (position 1, 3, 4)" in message
        assert "the outputs of 2 are not positive (at position 1 it is -4, before" in message
        assert "and those of 1 come from biases alone" in message
        assert caught[0].filename == __file__
        assert maps.any(axis=1).tolist() == [True, False, True, False, False]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            analyzer.analyze(x[[0, 2]], 1)


def test_integrated_gradients_warn_if_they_do_not_add_up() -> None:
    # Left Riemann sums of a step: f(1) - f(-1) is 1, of 4 steps only the last is past the step.
    with (
        create_baseline(
            "integrated_gradients", step_unit(), steps=4, reference_inputs=-1.0
        ) as coarse,
        pytest.warns(UserWarning, match="where 0.5 should be 1. Take more steps") as caught,
    ):
        np.testing.assert_allclose(coarse.analyze([[1.0]]), [[0.5]])
    assert caught[0].filename == __file__
    with create_baseline(
        "integrated_gradients", step_unit(), steps=401, reference_inputs=[[-1.0]]
    ) as fine:
        assert abs(fine.analyze([[1.0]]).item() - 1) < 0.01
    # An absolute value is not meant to add up.
    with create_baseline(
        "integrated_gradients", step_unit(), steps=4, reference_inputs=-1.0, postprocess="abs"
    ) as absolute:
        absolute.analyze([[1.0]])


def test_every_output_of_integrated_gradients_is_counted_in_mode_all() -> None:
    model = keras.Sequential([layers.Dense(3, input_shape=(4,))])
    x = images("dense", model)
    with create_baseline("integrated_gradients", model, neuron_selection_mode="all") as analyzer:
        maps = analyzer.analyze(x)
    kernel, _ = model.get_weights()
    np.testing.assert_allclose(maps, x * kernel.sum(axis=1), atol=1e-5)


def test_slow_analyzers_show_their_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = []

    def tqdm(batches: list[slice], **options: Any) -> list[slice]:
        bars.append((len(batches), options["desc"], options["disable"]))
        return batches

    monkeypatch.setattr(progress, "tqdm", tqdm)
    model = build("dense")
    x = images("dense", model, 9)
    with create_baseline("smoothgrad", model) as slow, create_baseline("gradient", model) as fast:
        slow.analyze(x)
        slow.analyze(x, progress=False, batch_size=9)
        fast.analyze(x)
    assert bars == [(3, "smoothgrad", False), (1, "smoothgrad", True), (1, "gradient", True)]


def test_no_inputs_give_no_maps() -> None:
    model = build("two_conv")
    with create_baseline("integrated_gradients", model) as analyzer:
        assert analyzer.analyze(np.zeros((0, 8, 8, 1))).shape == (0, 8, 8, 1)


def test_several_inputs() -> None:
    left, right = keras.Input((3,)), keras.Input((2,))
    model = keras.Model([left, right], layers.Dense(2)(layers.Concatenate()([left, right])))
    kernel, _ = model.get_weights()
    x = [np.ones((4, 3)), np.ones((4, 2))]
    with create_baseline("gradient", model, neuron_selection_mode="index") as analyzer:
        maps = analyzer.analyze(x, [0, 1, 0, 1])
        with pytest.raises(ValueError, match="a list of 2 arrays"):
            analyzer.analyze(x[0], 0)
        with pytest.raises(ValueError, match=r"one length, got \[3, 4\]"):
            analyzer.analyze([x[0], x[1][:3]], 0)
    np.testing.assert_allclose(np.hstack(maps), kernel.T[[0, 1, 0, 1]], rtol=1e-6)


def test_functions_of_tensorflow_and_layers_of_the_users_own() -> None:
    class Double(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return 2.0 * inputs

    def halve(values: Any) -> Any:
        return 0.5 * values

    inputs = keras.Input((5,), batch_size=3)
    hidden = tf.nn.relu(layers.Dense(4, name="multiply")(inputs)) + tf.constant(1.0)
    hidden = layers.Dense(4, activation=halve, name="dense")(Double(name="re_lu")(hidden))
    logits = layers.Dense(4, activation=layers.ReLU())(hidden)
    model = keras.Model(inputs, tf.nn.softmax(logits))
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    for name in ("gradient", "gradient.baseline", "guided_backprop", "lrp.epsilon"):
        with create_baseline(
            name, model, neuron_selection_mode="index", disable_model_checks=True
        ) as analyzer:
            maps = analyzer.analyze(x, 0)
        if name.startswith("gradient"):
            expected = gradient_by_tape(keras.Model(inputs, logits), x, [0, 0, 0])
            np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_a_softmax_that_is_also_elsewhere_stays() -> None:
    shared = layers.Activation("softmax")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(layers.Dense(4)(shared(inputs))))
    with pytest.raises(NotAnalyzeableModelException, match=r"softmax layers.*'activation"):
        create_baseline("gradient", model)


@pytest.mark.parametrize("kind", ["Sequential", "functional", "nested"])
def test_until_layer_idx_counts_in_the_layers_of_the_users_model(kind: str) -> None:
    sequential = build("two_conv")
    model, index = sequential, 2
    if kind == "functional":
        model, index = keras.Model(sequential.inputs, sequential.outputs), 3
    elif kind == "nested":
        model, index = keras.Sequential(sequential.inputs), 0
        model.add(keras.Sequential(sequential.layers[:3]))
        for layer in sequential.layers[3:]:
            model.add(layer)
    x = images("two_conv", sequential)
    conditions = [
        (lambda layer: layer.name in [one.name for one in sequential.layers[:3]], "Flat"),
        (lambda layer: layer.name.startswith("conv"), "Alpha2Beta1"),
        (lambda layer: True, "Epsilon"),
    ]
    name = "lrp.sequential_preset_b_flat_until_idx"
    with create_baseline(name, model, until_layer_idx=index, epsilon=1e-7) as until:
        maps = until.analyze(x)
    with create_baseline("lrp", sequential, rule=conditions, input_layer_rule="Flat") as by_name:
        expected = by_name.analyze(x)
    assert len(conditions) == 3, "the caller's list is left alone"
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())
    with pytest.raises(ValueError, match=f"an index into .* {len(model.layers)} layers"):
        create_baseline(name, model, until_layer_idx=-1)


def test_debugging_output_of_innvestigate(capsys: pytest.CaptureFixture[str]) -> None:
    model = build("dense")
    with create_baseline("gradient", model, reverse_check_min_max_values=True) as analyzer:
        assert analyzer.analyze(images("dense", model)).shape == (3, 7)
    assert "Minimum values in tensors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "deep_tailor"}, ValueError, "did you mean deep_taylor"),
        ({"name": "nothing like it"}, ValueError, "expected one of 'input', 'random', 'gradient'"),
        (
            {"neuron_selection_mode": "first"},
            ValueError,
            "mode='first': expected one of 'max_activation'",
        ),
        ({"seed": 3}, TypeError, "only 'smoothgrad' and 'random' take seed"),
        ({"step": 3}, TypeError, "'step'.*postprocess"),
        (
            {"name": "integrated_gradients", "steps": 0},
            ValueError,
            "=0: expected a whole number, at least 1",
        ),
        (
            {"name": "integrated_gradients", "reference_inputs": np.zeros(3)},
            ValueError,
            re.escape("broadcasts to (1, 7)"),
        ),
        (
            {"name": "smoothgrad", "noise_scale": -1},
            ValueError,
            "noise_scale=-1: expected a finite number, at least 0",
        ),
        ({"name": "lrp"}, ValueError, "Need LRP rule"),
        ({"name": "deep_taylor.bounded"}, ValueError, "low or high"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create_baseline(**{"name": "gradient", "model": build("dense"), **arguments})


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(7), re.escape("shape (n, 7), got (7,); one input alone is a batch of one")),
        (np.zeros((2, 8)), re.escape("shape (n, 7), got (2, 8).")),
        ([["a"] * 7], "expected numbers"),
        (np.full((3, 7), [[0], [np.nan], [np.inf]]), "in 2 of 3 inputs, the first at position 1"),
    ],
)
def test_wrong_inputs(X: Any, message: str) -> None:
    analyzer = create_baseline("input", build("dense"))
    with pytest.raises(ValueError, match=message):
        analyzer.analyze(X)


def test_wrong_neurons() -> None:
    model = build("dense")
    x = images("dense", model)
    with create_baseline("gradient", model, neuron_selection_mode="index") as analyzer:
        for wrong in (None, 1.0, True, [0, 1], [[0], [1], [2]], "first"):
            with pytest.raises(ValueError, match="an integer or one for each of the 3 inputs"):
                analyzer.analyze(x, wrong)
        for wrong in (-1, 4, [0, 4, 1]):
            with pytest.raises(ValueError, match="indices from 0 to 3"):
                analyzer.analyze(x, wrong)
    with create_baseline("gradient", model) as analyzer:
        with pytest.raises(ValueError, match="create the analyzer with neuron_selection_mode"):
            analyzer.analyze(x, 0)
        with pytest.raises(ValueError, match="batch_size=0: expected a whole number, at least 1"):
            analyzer.analyze(x, batch_size=0)
    with pytest.raises(RuntimeError, match="closed"):
        analyzer.analyze(x)


def test_models_that_cannot_be_copied() -> None:
    class Subclassed(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    class Unconfigured(keras.layers.Layer):
        def __init__(self, table: list[Any]) -> None:
            super().__init__()
            self.table = table

        def call(self, inputs: Any) -> Any:
            return inputs

    inputs = keras.Input((3,))
    for model, message in [
        (Subclassed(), r"\(Subclassed\): expected a Sequential or functional Keras model"),
        (keras.Sequential([layers.Dense(2)]), "that knows its input's shape"),
        ("model", "expected a Sequential"),
        (keras.Model(inputs, [inputs, inputs]), "one output, found 2"),
        (keras.Sequential([inputs, Unconfigured([object()])]), "(?s)'unconfigured' .*get_config"),
    ]:
        with pytest.raises(NotAnalyzeableModelException, match=message):
            create_baseline("gradient", model)


def test_checks_that_innvestigate_leaves_unsaid_name_the_layer_and_can_be_disabled() -> None:
    model = build("leaky_relu")
    with pytest.raises(NotAnalyzeableModelException, match=r"'leaky_re_lu.*disable_model_checks"):
        create_baseline("lrp.sequential_preset_a", model)
    with create_baseline("lrp.sequential_preset_a", model, disable_model_checks=True) as analyzer:
        assert np.abs(analyzer.analyze(images("leaky_relu", model))).max() > 0
