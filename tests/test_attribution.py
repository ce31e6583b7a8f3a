"""iNNvestigate's methods on our graph: equal to its own, and to what their papers say."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import create_analyzer
from insens_tf.analyzer import AttributionAnalyzer, SwitchedAnalyzer
from insens_tf.execution import Compiled
from insens_tf.innvestigate_contract import NotAnalyzeableModelException
from insens_tf.method_table import BASELINES
from insens_tf.network import SwitchedNetwork
from insens_tf.noise_draws import Noise
from insens_tf.relevance import EXPLAINERS, RULES, Part, Rule, Term
from tests.attribution_networks import NETWORKS, build
from tests.baselines_cases import (
    ARGUMENTS,
    DETERMINISTIC,
    FAST,
    ONE_OF_EACH_KIND,
    SELECTIONS,
    images,
)
from tests.conftest import needs_innvestigate, slow, slow_but, some_fast
from tests.innvestigate_maps import FILE, REFUSED
from tests.oracle import Oracle

pytestmark = pytest.mark.filterwarnings("ignore:'(deep_taylor|integrated_gradients)")

# What a compiled function holds of TensorFlow.
FuncGraph = type(tf.function(lambda: 0).get_concrete_function().graph)

TOLERANCE = 1e-5
"""Of the largest value of iNNvestigate's map.

Most are equal to the bit. Where a sum by which a rule divides comes near to 0, the rounding errors
of either are larger than their difference: of a map of 1,500 of an output of 0.5, say.
"""


def native(method: str, model: keras.Model, **arguments: Any) -> AttributionAnalyzer:
    arguments = {**ARGUMENTS.get(method, {}), **arguments}
    return create_analyzer(method, model, source="native", **arguments)


def assert_equal_maps(maps: np.ndarray, expected: np.ndarray) -> None:
    assert maps.shape == expected.shape
    assert maps.dtype == np.float32
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(maps, expected, rtol=0, atol=TOLERANCE * scale)


# --- iNNvestigate's own ---------------------------------------------------------------------------


def test_every_method_is_there() -> None:
    assert set(EXPLAINERS) == set(BASELINES)


CASES = [(name, method) for name in NETWORKS for method in DETERMINISTIC]


def is_fast(name: str, method: str) -> bool:
    """Tell whether a map of the file is held against ours in the fast tests."""
    return name == "two_conv" and method in ONE_OF_EACH_KIND


@pytest.mark.parametrize(
    ("name", "method"),
    some_fast(CASES, [case for case in CASES if is_fast(*case)]),
)
def test_the_maps_of_the_file(name: str, method: str) -> None:
    """On every Keras: the file is of iNNvestigate itself, on the same weights and inputs."""
    with np.load(FILE) as file:
        expected = file[f"{name}/{method}"]
    if expected.dtype.kind == "U":
        assert expected == REFUSED
        pytest.skip("iNNvestigate refuses it")
    model = build(name)
    maps = native(method, model, neuron_selection_mode="index").analyze(
        images(name, model), **SELECTIONS["index"]
    )
    assert_equal_maps(maps, expected)


# The file has every one for chosen neurons; `python -m tests.attribution_equality` tries them all.
@needs_innvestigate
@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(*case, marks=() if (*case, "max_activation") in FAST else pytest.mark.slow)
        for case in CASES
        if case[1] in ONE_OF_EACH_KIND
    ],
)
def test_innvestigates_own_maps_of_the_strongest_neuron_and_of_all(name: str, method: str) -> None:
    for mode in ("max_activation", "all"):
        model = build(name)
        x = images(name, model)
        try:
            with create_analyzer(
                method,
                build(name),
                source="innvestigate",
                neuron_selection_mode=mode,
                **ARGUMENTS.get(method, {}),
            ) as baseline:
                expected = baseline.analyze(x)
        except (NotAnalyzeableModelException, ValueError):
            # A model that it refuses, or an index of a layer that the nested one does not have.
            continue
        assert_equal_maps(native(method, model, neuron_selection_mode=mode).analyze(x), expected)


@needs_innvestigate
def test_noise_of_one_seed_is_the_same() -> None:
    model = build("two_conv")
    x = images("two_conv", model)
    for method, arguments in (
        ("smoothgrad", {"augment_by_n": 5, "noise_scale": 0.3}),
        ("random", {"stddev": 0.5}),
    ):
        with create_analyzer(
            method, build("two_conv"), source="innvestigate", seed=3, **arguments
        ) as baseline:
            expected = baseline.analyze(x)
        assert_equal_maps(native(method, model, seed=3, **arguments).analyze(x), expected)


# --- what the papers say, in NumPy and float64 ----------------------------------------------------


def dense_layers(seed: int) -> tuple[keras.Model, list[tuple[np.ndarray, np.ndarray]]]:
    """A network of three dense layers in float64, and its weights."""
    layers = [
        keras.layers.Dense(size, activation, dtype="float64")
        for size, activation in ((6, "relu"), (5, "relu"), (3, None))
    ]
    model = keras.Sequential([keras.Input((4,), dtype="float64"), *layers])
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=weights.shape) for weights in model.get_weights()])
    return model, [(layer.get_weights()[0], layer.get_weights()[1]) for layer in layers]


def of_matrices(
    x: np.ndarray,
    weights: list[tuple[np.ndarray, np.ndarray]],
    neuron: int,
    back: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Relevance of one input, layer by layer, each connection (i, j) by itself."""
    values = [x]
    for number, (kernel, bias) in enumerate(weights):
        value = values[-1] @ kernel + bias
        values.append(np.maximum(value, 0) if number < len(weights) - 1 else value)
    relevance = np.where(np.arange(len(values[-1])) == neuron, values[-1], 0.0)
    for value, (kernel, bias) in zip(values[-2::-1], weights[::-1], strict=True):
        relevance = back(value, kernel, bias, relevance)
    return relevance


def shared_out(parts: np.ndarray, total: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Each connection's part of its sum, (i, j) over (j,), of the relevance (j,)."""
    return (parts / np.where(total == 0, 1e-7, total) * relevance).sum(axis=1)


def z_rule(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
    parts = x[:, np.newaxis] * w
    return shared_out(parts, parts.sum(axis=0) + b, r)


def epsilon_rule(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
    parts = x[:, np.newaxis] * w
    total = parts.sum(axis=0) + b
    return shared_out(parts, total + np.where(total >= 0, 0.2, -0.2), r)


def w_square_rule(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
    return shared_out(w**2, (w**2).sum(axis=0), r)


def flat_rule(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
    return shared_out(np.ones_like(w), np.full(w.shape[1], float(len(w))), r)


def alpha_beta_rule(alpha: float, beta: float, biases: Any) -> Callable[..., np.ndarray]:
    def back(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        parts = x[:, np.newaxis] * w
        result = np.zeros(len(x))
        for share, keep in ((alpha, np.maximum), (-beta, np.minimum)):
            kept = keep(parts, 0)
            # As iNNvestigate has it, either of the two sums holds all of the bias.
            bias = keep(b, 0) if biases == "split" else (b if biases else 0)
            total = kept.sum(axis=0) + bias
            if share:
                result += share * shared_out(kept, total, r)
        return result

    return back


ORACLES: dict[str, tuple[dict[str, Any], Callable[..., np.ndarray]]] = {
    "lrp.z": ({}, z_rule),
    "lrp.epsilon": ({"epsilon": 0.2}, epsilon_rule),
    "lrp.w_square": ({}, w_square_rule),
    "lrp.flat": ({}, flat_rule),
    "lrp.alpha_1_beta_0_IB": ({}, alpha_beta_rule(1, 0, False)),
    "lrp.alpha_2_beta_1": ({}, alpha_beta_rule(2, 1, True)),
    "lrp.alpha_beta": ({"alpha": 3, "bias": "split"}, alpha_beta_rule(3, 2, "split")),
    "lrp.alpha_2_beta_1_IB": ({}, alpha_beta_rule(2, 1, False)),
}


@pytest.mark.parametrize("seed", [0, slow(1), slow(2)])
@pytest.mark.parametrize("method", ORACLES)
def test_rules_are_those_of_explicit_matrices(method: str, seed: int) -> None:
    arguments, back = ORACLES[method]
    model, weights = dense_layers(seed)
    x = np.random.default_rng(seed + 10).normal(size=(4, 4))
    neurons = [0, 2, 1, 2]
    analyzer = create_analyzer(
        method, model, source="native", neuron_selection_mode="index", **arguments
    )
    maps = analyzer.analyze(x, neurons)
    expected = [of_matrices(*case, back) for case in zip(x, [weights] * 4, neurons, strict=True)]
    np.testing.assert_allclose(maps, expected, rtol=1e-9, atol=1e-9)


def test_deep_taylor_as_published_takes_w_square_at_the_input() -> None:
    model, weights = dense_layers(1)
    x = np.random.default_rng(11).normal(size=(4, 4))
    neurons = np.asarray(model(x)).argmax(axis=1)
    analyzer = create_analyzer("deep_taylor", model, source="native", input_layer_rule="WSquare")

    def back(x: np.ndarray, w: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        r = np.maximum(r, 0)
        is_first = w is weights[0][0]
        return w_square_rule(x, w, b, r) if is_first else alpha_beta_rule(1, 0, False)(x, w, b, r)

    expected = [of_matrices(*case, back) for case in zip(x, [weights] * 4, neurons, strict=True)]
    assert np.any(expected)
    np.testing.assert_allclose(analyzer.analyze(x), expected, rtol=1e-9, atol=1e-9)


def test_batch_normalization_by_a_rule_can_be_what_it_is() -> None:
    """iNNvestigate's scaling is another; exactly, it is that of a depthwise convolution."""
    model = build("batch_normalization")
    x = images("batch_normalization", model)
    normalization = model.layers[1]
    scale, shift, mean, variance = normalization.get_weights()
    factor = scale / np.sqrt(variance + normalization.epsilon)
    other = keras.Sequential(
        [
            keras.Input(model.input_shape[1:]),
            keras.layers.Conv2D(5, 3, use_bias=False),
            keras.layers.DepthwiseConv2D(1),
            keras.layers.Activation("relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4),
        ]
    )
    kernel, *_ = model.get_weights()
    scaling = [factor.reshape(1, 1, -1, 1), shift - mean * factor]
    other.set_weights([kernel, *scaling, *model.get_weights()[-2:]])
    for method in ("lrp.z", "lrp.alpha_2_beta_1"):
        exact = native(method, model, bn_layer_fuse_mode="exact").analyze(x)
        assert_equal_maps(exact, native(method, other).analyze(x))


@pytest.mark.parametrize("method", ["lrp.z", "lrp.alpha_1_beta_0_IB", "deep_taylor", "lrp.flat"])
def test_relevance_is_conserved_without_biases(method: str) -> None:
    model, _ = dense_layers(4)
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, 0 * bias])
    x = np.abs(np.random.default_rng(5).normal(size=(6, 4)))
    outputs = np.asarray(model(x))
    maps = create_analyzer(method, model, source="native").analyze(x)
    explained = outputs.max(axis=1)
    if method == "deep_taylor":
        explained = np.maximum(explained, 0)
    kept = maps.any(axis=1)
    assert kept.sum() >= 3
    np.testing.assert_allclose(maps.sum(axis=1)[kept], explained[kept], rtol=1e-6)


def test_integrated_gradients_add_up_to_the_change() -> None:
    model, _ = dense_layers(6)
    random = np.random.default_rng(7)
    x, reference = random.normal(size=(3, 4)), random.normal(size=4)
    analyzer = create_analyzer(
        "integrated_gradients",
        model,
        source="native",
        steps=20_000,
        reference_inputs=reference,
        neuron_selection_mode="index",
    )
    maps = analyzer.analyze(x, 1)
    change = np.asarray(model(x))[:, 1] - np.asarray(model(reference[np.newaxis]))[:, 1]
    np.testing.assert_allclose(maps.sum(axis=1), change, rtol=2e-3)


@pytest.mark.parametrize("postprocess", slow_but([None, "abs", "square"], None))
@pytest.mark.parametrize("name", ["branches", "overlapping_pooling"])
def test_integrated_gradients_are_a_mean_of_gradients(name: str, postprocess: str | None) -> None:
    model = build(name)
    x = images(name, model)
    arguments = {"postprocess": postprocess, "neuron_selection_mode": "index"}
    integrated = create_analyzer(
        "integrated_gradients",
        model,
        source="native",
        steps=5,
        reference_inputs=0.25,
        memory_budget=2**20,
        **arguments,
    )
    gradient = native("gradient", model, **arguments)
    points = [0.25 + (x - 0.25) * np.float32(step / 5) for step in range(5)]
    mean = np.mean([gradient.analyze(point, [2, 0, 3]) for point in points], axis=0)
    assert_equal_maps(integrated.analyze(x, [2, 0, 3]), mean * (x - 0.25))


@pytest.mark.slow
def test_exact_integrated_gradients_are_those_of_the_path(tmp_path: Path) -> None:
    """They add up to the change to the last digit, and steps come nearer the more there are."""
    model = build("two_conv")
    x = images("two_conv", model)
    analyzer = create_analyzer("integrated_gradients", model, source="native", steps="exact")
    maps = analyzer.analyze(x)

    network = SwitchedNetwork(model)
    black = np.zeros(x[0].shape)
    output = network.output
    for one, found in zip(x, maps, strict=True):
        path = network.path(black, one)
        np.testing.assert_array_equal(found, path.integrated_gradients()[0].astype(np.float32))
        change = np.diff(path.activity([0.0, 1.0], output), axis=0)[0]
        neuron = int(path.activity(1.0, output).argmax())
        assert found.sum(dtype=np.float64) == pytest.approx(change[neuron], rel=1e-5)
    errors = [
        np.abs(native("integrated_gradients", model, steps=steps).analyze(x) - maps).max()
        for steps in (8, 64, 512)
    ]
    assert errors == sorted(errors, reverse=True)
    analyzer.save_npz(tmp_path / "exact.npz")
    loaded = SwitchedAnalyzer.load_npz(tmp_path / "exact.npz")
    np.testing.assert_array_equal(loaded.analyze(x[:1]), maps[:1])


def test_exact_integrated_gradients_of_a_hidden_neuron() -> None:
    model = build("two_conv")
    x = images("two_conv", model)[:2]
    network = SwitchedNetwork(model)
    layer = network.layers[-1]
    analyzer = create_analyzer(
        "integrated_gradients",
        model,
        source="native",
        steps="exact",
        layer=layer.name,
        neuron_selection_mode="index",
    )
    for one, found in zip(x, analyzer.analyze(x, neuron_selection=3), strict=True):
        path = network.path(np.zeros(one.shape), one)
        expected = path.integrated_gradients(layer, neurons=3)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_smoothgrad_is_the_mean_of_gradients_at_noisy_inputs() -> None:
    model, _ = dense_layers(8)
    x = np.random.default_rng(9).normal(size=(2, 4))
    analyzer = create_analyzer(
        "smoothgrad",
        model,
        source="native",
        augment_by_n=11,
        noise_scale=0.4,
        seed=5,
        neuron_selection_mode="index",
    )
    maps = analyzer.analyze(x, [2, 0])
    (noise,) = Noise(0.4, 5).draw(5, range(2), [(11, 4)])
    for row, neuron in enumerate((2, 0)):
        gradients = (
            Oracle(model).references(x[row] + noise[row].astype(float))[-1].weights[:, neuron]
        )
        np.testing.assert_allclose(maps[row], gradients.mean(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(analyzer.analyze(x, [2, 0]), maps)


# --- any neuron -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["gradient", "deep_taylor", "lrp.epsilon", "guided_backprop"])
def test_a_hidden_neuron_is_the_output_of_the_model_up_to_it(method: str) -> None:
    model = build("two_conv")
    x = images("two_conv", model)
    dense = next(layer for layer in model.layers if layer.name.startswith("dense"))
    hidden = native(method, model, layer=dense, neuron_selection_mode="index")
    cut = keras.Sequential([keras.Input(model.input_shape[1:])])
    for layer in model.layers:
        if layer is dense:
            break
        cut.add(type(layer).from_config(layer.get_config()))
    cut.add(keras.layers.Dense(dense.units))
    cut.set_weights(model.get_weights()[: len(cut.weights)])
    expected = native(method, cut, neuron_selection_mode="index").analyze(x, [4, 0, 2])
    assert_equal_maps(hidden.analyze(x, [4, 0, 2]), expected)


def test_layers_by_name_and_multi_indices() -> None:
    model = build("two_conv")
    x = images("two_conv", model)
    first = insens_tf.SwitchedNetwork(model).layers[0]
    analyzer = create_analyzer("gradient", model, layer=first.name, neuron_selection_mode="index")
    assert isinstance(analyzer, AttributionAnalyzer)
    weights = insens_tf.SwitchedNetwork(model).project(x, first, [(3, 4, 1)]).weights[:, 0]
    assert_equal_maps(analyzer.analyze(x, (3, 4, 1)), weights)


# --- the contract ---------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    model = build("two_conv")
    x = images("two_conv", model)
    for method, arguments in (
        ("lrp.alpha_beta", {"alpha": 3}),
        ("integrated_gradients", {"steps": 4, "reference_inputs": np.float32(0.25)}),
        ("deep_taylor.bounded", {"low": -3.0, "high": 3.0}),
    ):
        analyzer = create_analyzer(method, model, source="native", **arguments)
        analyzer.save_npz(tmp_path / "analyzer.npz")
        loaded = SwitchedAnalyzer.load_npz(tmp_path / "analyzer.npz")
        assert isinstance(loaded, AttributionAnalyzer)
        np.testing.assert_array_equal(loaded.analyze(x), analyzer.analyze(x))
    assert "'deep_taylor.bounded'" in repr(loaded)
    assert "native" in repr(loaded)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 30])
def test_analyzers_that_are_dropped_leave_nothing(count: int) -> None:
    model = build("dense")
    x = images("dense", model)

    def live() -> int:
        gc.collect()
        kinds = (AttributionAnalyzer, SwitchedNetwork, Compiled, FuncGraph)
        return sum(isinstance(one, kinds) for one in gc.get_objects())

    def used(number: int) -> weakref.ref:
        method = ("gradient", "integrated_gradients", "lrp.epsilon", "deep_taylor")[number % 4]
        analyzer = native(method, model)
        analyzer.analyze(x)
        return weakref.ref(analyzer)

    used(0)
    before = live()
    dropped = [used(number) for number in range(count)]
    assert live() == before
    assert all(one() is None for one in dropped)


def test_later_weights_are_seen() -> None:
    model = build("two_conv")
    x = images("two_conv", model)
    analyzer = native("lrp.epsilon", model)
    before = analyzer.analyze(x)
    other = build("two_conv")
    other.set_weights([0.5 * weights for weights in model.get_weights()])
    model.set_weights(other.get_weights())
    after = analyzer.analyze(x)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, native("lrp.epsilon", other).analyze(x), rtol=1e-6)


def test_a_rule_of_ones_own() -> None:
    """The published z+ rule for inputs of any sign takes positive weights; here written by hand."""
    model = build("dense")
    x = np.abs(images("dense", model))
    own = Rule("own", (Part((Term(of_kernel=lambda kernel: tf.maximum(kernel, 0)),)),))
    by_name = create_analyzer("lrp", model, source="native", rule="ZPlusFast").analyze(x)
    by_rule = create_analyzer("lrp", model, source="native", rule=[RULES["ZPlusFast"]] * 3)
    np.testing.assert_array_equal(by_rule.analyze(x), by_name)
    np.testing.assert_allclose(
        create_analyzer("lrp", model, source="native", rule=own).analyze(x), by_name, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("method", "arguments", "error", "message"),
    [
        ("deep_tailor", {}, ValueError, r"deep_tailor.*did you mean deep_taylor"),
        ("gradient", {"source": "elsewhere"}, ValueError, "source='elsewhere'.*native"),
        ("insens", {"source": "native"}, ValueError, "expected None for 'insens'"),
        ("gradient", {"steps": 3}, TypeError, "'gradient' does not take steps=3.*postprocess"),
        ("lrp.epsilon", {"epsilom": 3}, ValueError, "does not take epsilom=3.*did you mean"),
        ("gradient", {"layer": "dens"}, ValueError, "layer"),
        ("gradient", {"neuron_selection_mode": "max"}, ValueError, "expected one of 'max_activa"),
        ("gradient", {"postprocess": "root"}, ValueError, "None, 'abs' or 'square'"),
        ("integrated_gradients", {"steps": 0}, ValueError, "steps=0.*at least 1"),
        ("integrated_gradients", {"reference_inputs": [1, 2]}, ValueError, "broadcasts to"),
        ("integrated_gradients", {"reference_inputs": np.nan}, ValueError, "finite"),
        ("smoothgrad", {"noise_scale": -1}, ValueError, "noise_scale"),
        ("lrp", {}, ValueError, "rule=None.*Epsilon"),
        ("lrp", {"rule": "Epsilom"}, ValueError, "rule='Epsilom'.*Epsilon"),
        ("lrp", {"rule": ["Z", "Z"]}, ValueError, "each of the 4 layers.*came 2"),
        ("lrp.epsilon", {"epsilon": 0}, ValueError, "epsilon=0.*above 0"),
        ("lrp.alpha_beta", {"alpha": 2, "beta": 3}, ValueError, "alpha - beta = 1"),
        ("lrp.alpha_beta", {}, ValueError, "at least one"),
        ("lrp.epsilon", {"epsilon": "small"}, ValueError, "epsilon='small': expected a finite"),
        ("lrp.alpha_beta", {"alpha": np.nan}, ValueError, "alpha=nan: expected a finite"),
        ("lrp.alpha_beta", {"alpha": 2, "bias": "half"}, ValueError, "bias='half'.*'split'"),
        ("lrp.z", {"bn_layer_fuse_mode": "none"}, ValueError, "one_linear"),
        ("lrp.z", {"input_layer_rule": (1.0, -1.0)}, ValueError, "low to be below high"),
        ("deep_taylor", {"input_layer_rule": "WSquared"}, ValueError, "expected a Rule"),
        ("deep_taylor.bounded", {"low": 0, "high": np.inf}, ValueError, "high=inf"),
        ("random", {"seed": -1}, ValueError, "seed"),
        ("integrated_gradients", {"steps": "all"}, ValueError, "steps='all'.*or 'exact'"),
        (
            "integrated_gradients",
            {"steps": "exact", "postprocess": "abs"},
            ValueError,
            "postprocess='abs': expected None",
        ),
        ("deep_taylor.bounded", {"low": 1, "high": 0}, ValueError, "low to be below high"),
        ("deep_taylor.bounded", {}, ValueError, "low=None"),
        (
            "lrp.sequential_preset_b_flat_until_idx",
            {"until_layer_idx": 99},
            ValueError,
            "until_layer_idx=99",
        ),
    ],
)
def test_bad_arguments_are_refused_at_once(
    method: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    source = {} if "source" in arguments else {"source": "native"}
    with pytest.raises(error, match=message):
        create_analyzer(method, build("two_conv"), **source, **arguments)


def test_bad_inputs_and_neurons_are_refused() -> None:
    model = build("two_conv")
    x = images("two_conv", model)
    strongest, chosen = (
        native("lrp.z", model),
        native("lrp.z", model, neuron_selection_mode="index"),
    )
    for analyzer, arguments, message in (
        (strongest, (x[..., 0],), "X: expected shape"),
        (strongest, (x * np.nan,), "finite"),
        (strongest, (x, 1), "neuron_selection"),
        (chosen, (x,), "neuron_selection=None"),
        (chosen, (x, 99), "out of range"),
        (chosen, (x, [0, 1]), "one for each of 3 inputs"),
    ):
        with pytest.raises(ValueError, match=message):
            analyzer.analyze(*arguments)


def test_activations_for_which_a_method_is_not_defined_are_named() -> None:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3),
            keras.layers.ReLU(6.0, name="saturating"),
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(insens_tf.UnreadableModelError, match="'saturating': guided_backprop"):
        native("guided_backprop", model).analyze(np.ones((1, 4)))
    assert native("lrp.z", model).analyze(np.ones((1, 4))).shape == (1, 4)


def test_empty_maps_of_deep_taylor_are_said() -> None:
    model, _ = dense_layers(3)
    x = np.random.default_rng(0).normal(size=(3, 4))
    negative = int(np.asarray(model(x)).min(axis=0).argmin())
    analyzer = create_analyzer("deep_taylor", model, source="native", neuron_selection_mode="index")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        maps = analyzer.analyze(x, negative)
    assert not maps.any(axis=1).all()
    assert any("maps are all zero" in str(one.message) for one in caught)
