"""Randomisation checks: which layers have which weights at each step, and what comes of it.

The maps are those of the oracle for the weights of each step, correlated by scipy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tensorflow import keras

from insens_tf import SwitchedNetwork
from insens_tf.evaluation import (
    CHECKS,
    CORRELATIONS,
    RandomisationCheck,
    RandomisedCopy,
    plot_checks,
    randomisation_check,
)
from tests.conftest import slow_but
from tests.oracle import Oracle, Reference

layers = keras.layers

SEEDS = [0, 1, 2]
# float32 may swap the ranks of values that are nearly equal.
RANKS = 1e-3


def randomise(model: Any, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    model.set_weights(
        [0.1 + np.abs(generator.standard_normal(w.shape)) / 2 for w in model.get_weights()]
    )
    for layer in model.layers:
        if isinstance(layer, (layers.Dense, layers.Conv2D)):
            layer.set_weights([generator.standard_normal(w.shape) / 2 for w in layer.get_weights()])
    return model


@cache
def two_layers() -> Any:
    return randomise(
        keras.Sequential(
            [
                keras.Input((6, 5, 2)),
                layers.Conv2D(3, 3, activation="relu", name="conv"),
                layers.MaxPooling2D(2, name="pool"),
                layers.Flatten(name="flatten"),
                layers.Dense(6, activation="relu", name="dense"),
                layers.Dense(3, activation="softmax", name="logits"),
            ]
        ),
        seed=3,
    )


@cache
def nested() -> Any:
    """Skips, a model within the model that is used twice, normalisation of both kinds."""
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(2, 3, padding="same", activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    image = keras.Input((6, 6, 2))
    adapted = layers.Normalization(name="adapted")
    adapted.adapt(3 + 2 * images(20, (6, 6, 2), seed=5))
    value = layers.Conv2D(2, 1, name="conv")(adapted(image))
    value = layers.Add(name="add")([inner(inner(value)), value])
    value = layers.Flatten(name="flatten")(layers.Dropout(0.5, name="dropout")(value))
    value = layers.Dense(4, activation="relu", name="dense")(value)
    model = keras.Model(image, layers.Dense(3, name="logits")(value))
    statistics = adapted.get_weights()
    randomise(model, seed=4)
    adapted.set_weights(statistics)
    adapted.finalize_state()
    return model


def images(number: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((number, *shape), np.float32)


def inputs_of(model: Any, number: int = 4, seed: int = 1) -> np.ndarray:
    return images(number, tuple(model.input_shape[1:]), seed)


def weights_of(model: Any) -> list[np.ndarray]:
    return [weight.copy() for weight in model.get_weights()]


def equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


# --- copies whose layers are random ---------------------------------------------------------------


@pytest.mark.parametrize("build", [two_layers, nested])
def test_a_copy_is_the_model_until_it_is_randomised(build: Callable[[], Any]) -> None:
    model = build()
    before, x = weights_of(model), inputs_of(model)
    copy = RandomisedCopy(model)
    np.testing.assert_array_equal(np.asarray(copy.model(x)), np.asarray(model(x)))
    copy.randomise(copy.layers)
    assert not np.allclose(np.asarray(copy.model(x)), np.asarray(model(x)))
    copy.randomise([])
    assert equal(copy.model.get_weights(), before)
    np.testing.assert_array_equal(np.asarray(copy.model(x)), np.asarray(model(x)))
    assert equal(model.get_weights(), before)


def test_layers_are_those_with_weights_and_of_inner_models_too() -> None:
    assert RandomisedCopy(two_layers()).layers == ("conv", "dense", "logits")
    names = RandomisedCopy(nested()).layers
    assert names == ("conv", "inner/conv", "inner/norm", "dense", "logits")


def test_only_the_layers_that_are_named_are_random() -> None:
    model = nested()
    copy = RandomisedCopy(model)
    copy.randomise(["inner/norm", "dense"])
    inner, original = copy.model.get_layer("inner"), model.get_layer("inner")
    gamma, beta, mean, variance = inner.get_layer("norm").get_weights()
    assert np.concatenate([gamma, variance]).tolist() == [1] * 4
    assert np.concatenate([beta, mean]).tolist() == [0] * 4
    kernel, bias = copy.model.get_layer("dense").get_weights()
    assert (bias == 0).all()
    assert 0 < np.abs(kernel).max() <= np.sqrt(6 / (kernel.shape[0] + kernel.shape[1]))
    assert equal(inner.get_layer("conv").get_weights(), original.get_layer("conv").get_weights())
    for name in ("adapted", "conv", "logits"):
        found, expected = (one.get_layer(name).get_weights() for one in (copy.model, model))
        assert equal(found, expected)


def test_weights_are_from_the_layers_own_initialisers() -> None:
    uniform, normal = keras.initializers.RandomUniform, keras.initializers.RandomNormal
    model = keras.Sequential(
        [
            keras.Input((30,)),
            layers.Dense(
                40, kernel_initializer=uniform(5, 6, seed=7), bias_initializer="ones", name="a"
            ),
            layers.Dense(40, kernel_initializer=normal(-9, 0.1), name="b"),
            layers.PReLU(alpha_initializer=keras.initializers.Constant(0.3), name="c"),
        ]
    )
    initial = weights_of(model)
    randomise(model, seed=0)
    copy = RandomisedCopy(model)
    copy.randomise(copy.layers)
    a, a_bias, b, b_bias, c = copy.model.get_weights()
    assert ((a >= 5) & (a <= 6)).all()
    assert a.std() > 0.2
    assert (a_bias == 1).all()
    assert b.mean() == pytest.approx(-9, abs=0.02)
    assert b.std() == pytest.approx(0.1, rel=0.1)
    assert (b_bias == 0).all()
    assert (c == np.float32(0.3)).all()
    # A fixed seed of the initialiser's would give what training began with.
    assert not np.array_equal(a, initial[0])


def test_a_compiled_model_is_copied_without_its_loss() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")])
    # Keras 3 warns of a lambda that it is to copy.
    model.compile("sgd", lambda truth, prediction: prediction - truth)
    assert getattr(RandomisedCopy(model).model, "optimizer", None) is None


def test_weights_follow_from_the_seed_and_are_new_in_each_layer() -> None:
    model = keras.Sequential(
        [keras.Input((5,)), *(layers.Dense(5, name=name) for name in ("one", "two"))]
    )
    copies = [RandomisedCopy(model, seed) for seed in (0, 0, 1)]
    for copy in copies:
        copy.randomise(copy.layers)
    first, again, other = (copy.model.get_weights() for copy in copies)
    assert equal(first, again)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[2])
    copies[0].randomise(["two"])
    assert np.array_equal(copies[0].model.get_weights()[2], first[2])


def test_numpys_global_random_numbers_are_left_alone() -> None:
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    RandomisedCopy(two_layers()).randomise(["dense"])
    assert np.array_equal(np.random.random(3), expected)  # noqa: NPY002


class Drawn(keras.layers.Layer):
    """Draws its weights by an initialiser that its configuration says nothing of."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(
            name="scale", shape=(1,), initializer=keras.initializers.RandomUniform()
        )

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale


class Unsaid(keras.layers.Layer):
    """Has an argument that its configuration says nothing of."""

    def __init__(self, factor: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.factor = factor

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


class Subclassed(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs


def test_models_that_cannot_be_copied_are_refused() -> None:
    inputs = keras.Input((3,))
    with pytest.raises(ValueError, match=r"layer 'drawn' \(Drawn\): .*follow from the seed"):
        RandomisedCopy(keras.Model(inputs, Drawn(name="drawn")(inputs)))
    with pytest.raises(ValueError, match=r"layer 'unsaid' \(Unsaid\): .*get_config"):
        RandomisedCopy(keras.Model(inputs, Unsaid(2.0, name="unsaid")(inputs)))
    with pytest.raises(ValueError, match=r"\(Subclassed\): expected a Sequential or functional"):
        RandomisedCopy(Subclassed(name="own"))
    with pytest.raises(ValueError, match="model 'unbuilt': expected a built model"):
        RandomisedCopy(keras.Sequential([layers.Dense(2)], name="unbuilt"))
    other = keras.Input((3,))
    with pytest.raises(ValueError, match="expected one input, found 2"):
        RandomisedCopy(keras.Model([inputs, other], layers.Add()([inputs, other])))
    with pytest.raises(ValueError, match="seed=-1: expected a whole number, at least 0"):
        RandomisedCopy(two_layers(), seed=-1)
    with pytest.raises(ValueError, match="expected some of 'conv', 'dense', 'logits', came 'dens'"):
        RandomisedCopy(two_layers()).randomise(["dens"])


# --- checks ---------------------------------------------------------------------------------------


def steps_of(model: Any, check: str, seed: int) -> tuple[RandomisationCheck, list[list[Any]]]:
    """A check of maps that do not matter, and the weights of the networks that it looked at."""
    seen = []

    def method(network: Any, x: np.ndarray) -> np.ndarray:
        seen.append(weights_of(network))
        return x

    found = randomisation_check(model, inputs_of(model), method, check=check, seed=seed)
    return found, seen


@pytest.mark.parametrize("check", CHECKS)
def test_each_step_randomises_what_its_check_says(check: str) -> None:
    model = two_layers()
    before = weights_of(model)
    found, seen = steps_of(model, check, seed=0)
    assert (found.check, found.layers) == (check, ("logits", "dense", "conv"))
    # Kernel and bias of conv, dense and logits.
    changed = [
        [not np.array_equal(now, then) for now, then in zip(one[::2], before[::2], strict=True)]
        for one in seen
    ]
    assert (
        changed
        == {
            "cascading": [[0, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]],
            "independent": [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]],
        }[check]
    )
    assert equal(seen[0], before)
    assert equal(model.get_weights(), before)
    for kind in CORRELATIONS:
        assert found.correlations[kind].tolist() == [[1] * 4] * 3


def references_of(model: Any, weights: list[np.ndarray], x: np.ndarray) -> dict[str, Reference]:
    other = keras.models.clone_model(model)
    other.set_weights(weights)
    return {reference.name: reference for reference in Oracle(other).references(x)}


def assert_correlated(
    found: RandomisationCheck, maps: list[np.ndarray], kinds: tuple[str, ...] = CORRELATIONS
) -> None:
    original, *randomised = (one.astype(np.float32) for one in maps)
    assert set(found.correlations) == set(kinds)
    for kind in set(kinds) & {"signed", "absolute"}:
        change = np.abs if kind == "absolute" else np.asarray
        expected = [
            [
                stats.spearmanr(change(one).ravel(), change(other).ravel()).statistic
                for one, other in zip(original, step, strict=True)
            ]
            for step in randomised
        ]
        np.testing.assert_allclose(found.correlations[kind], expected, atol=RANKS)
        np.testing.assert_allclose(found.mean(kind), np.mean(expected, axis=1), atol=RANKS)
        np.testing.assert_allclose(found.variance(kind), np.var(expected, axis=1), atol=RANKS)
        assert found.defined(kind).tolist() == [len(original)] * len(expected)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("seed", slow_but(SEEDS, SEEDS[0]))
def test_insens_is_the_oracles_with_the_frequencies_of_each_network(check: str, seed: int) -> None:
    model = two_layers()
    x, x_train = inputs_of(model), inputs_of(model, number=9, seed=2)
    found = randomisation_check(
        *(model, x, "insens"),
        check=check,
        arguments={"layer": "conv"},
        x_train=x_train,
        seed=seed,
    )
    maps = []
    for weights in steps_of(model, check, seed)[1]:
        counts = references_of(model, weights, x_train)["conv"].count
        maps.append(references_of(model, weights, x)["conv"].insens(counts / len(x_train)))
    assert_correlated(found, maps)
    # What comes after a layer does not matter to its Insens.
    assert found.correlations["signed"][:2].min() == pytest.approx(1)
    assert found.correlations["signed"][2].max() < 0.9


@pytest.mark.parametrize("neuron", ["original", "own"])
def test_the_explained_neuron_is_the_originals_or_each_networks_own(neuron: str) -> None:
    model = two_layers()
    x = inputs_of(model, number=6)
    found = randomisation_check(
        *(model, x, "switched.weights"), check="independent", neuron=neuron, kinds=("signed",)
    )
    maps, predictions = [], []
    for weights in steps_of(model, "independent", seed=0)[1]:
        reference = references_of(model, weights, x)["logits"]
        predictions.append(reference.activity.argmax(axis=1))
        chosen = predictions[0 if neuron == "original" else -1]
        maps.append(reference.weights[np.arange(len(x)), chosen])
    # Or there would be no difference.
    assert any((predictions[0] != one).any() for one in predictions[1:])
    assert_correlated(found, maps, ("signed",))


def test_a_neuron_of_a_hidden_layer_can_be_what_is_explained() -> None:
    model = two_layers()
    x = inputs_of(model)
    arguments = {"layer": "dense"}
    found = randomisation_check(model, x, "switched.weights", arguments=arguments)
    references = [
        references_of(model, weights, x)["dense"]
        for weights in steps_of(model, "cascading", seed=0)[1]
    ]
    chosen = references[0].activity.argmax(axis=1)
    assert_correlated(found, [one.weights[np.arange(len(x)), chosen] for one in references])


@pytest.mark.slow
def test_a_function_is_given_the_network_and_the_inputs() -> None:
    model = nested()
    x = inputs_of(model)

    def insens(network: Any, given: np.ndarray) -> np.ndarray:
        assert given is x
        return SwitchedNetwork(network).insens(given, "dense")

    with pytest.warns(UserWarning, match="without activation frequencies"):
        named = randomisation_check(model, x, "insens", arguments={"layer": "dense"})
    of_a_function = randomisation_check(model, x, insens)
    for kind in CORRELATIONS:
        assert np.array_equal(
            named.correlations[kind], of_a_function.correlations[kind], equal_nan=True
        )


@pytest.mark.parametrize("neuron", ["original", "own"])
def test_innvestigates_gradient_is_that_of_the_switched_weights(neuron: str) -> None:
    model = two_layers()
    x = inputs_of(model)
    gradient, weights = (
        randomisation_check(model, x, method, neuron=neuron).correlations
        for method in ("gradient", "switched.weights")
    )
    for kind in CORRELATIONS:
        np.testing.assert_allclose(gradient[kind], weights[kind], atol=RANKS)


def test_means_and_variances_are_over_what_is_defined() -> None:
    values = np.array([[0.5, np.nan, -0.25], [np.nan, np.nan, np.nan], [1.0, np.nan, np.nan]])
    check = RandomisationCheck("cascading", ("a", "b", "c"), {"signed": values})
    assert check.defined("signed").tolist() == [2, 0, 1]
    assert np.array_equal(check.mean("signed"), [0.125, np.nan, 1], equal_nan=True)
    assert np.array_equal(check.variance("signed"), [0.375**2, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"check": "both"}, "check='both': expected one of 'cascading', 'independent'"),
        ({"neuron": "fixed"}, "neuron='fixed': expected one of 'original', 'own'"),
        ({"kinds": ["signed", "rank"]}, "kinds='rank': expected one of 'signed'"),
        ({"method": "insen"}, "did you mean insens"),
        ({"arguments": {"neuron_selection_mode": "all"}}, "expected no neuron_selection_mode"),
        (
            {"arguments": {"layer": ["conv", "dense"]}, "x_train": np.zeros((2, 6, 5, 2))},
            "one layer at a time",
        ),
        ({"method": lambda model, x: x, "arguments": {"layer": 0}}, "as method is a function"),
        ({"method": lambda model, x: x[:1]}, r"a map for each of 4 inputs, .*shape \(1, 6, 5, 2\)"),
        ({"x": np.zeros((0, 6, 5, 2))}, "x: expected at least one input"),
    ],
)
def test_what_is_out_of_range_is_said(arguments: dict[str, Any], message: str) -> None:
    given = {"x": inputs_of(two_layers()), "method": "insens", **arguments}
    with pytest.raises(ValueError, match=message):
        randomisation_check(two_layers(), **given)


def test_a_model_without_weights_is_refused() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.ReLU()], name="empty")
    with pytest.raises(ValueError, match="model 'empty': expected a layer with weights"):
        randomisation_check(model, np.zeros((1, 3), np.float32), "insens")


def test_a_copy_that_computes_something_else_is_refused() -> None:
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, name="dense"), layers.Activation("relu", name="last")],
        name="patched",
    )
    model.get_layer("last").activation = keras.activations.linear
    model.get_layer("last").get_config = lambda: {"activation": "relu", "name": "last"}
    model.set_weights([-np.ones((3, 2)), np.zeros(2)])
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"model 'patched': .*found other outputs"):
        randomisation_check(model, x, lambda network, x: x)


# --- plots ----------------------------------------------------------------------------------------


def made_up(seed: int, check: str = "cascading") -> RandomisationCheck:
    values = np.random.default_rng(seed).uniform(-1, 1, (2, 3, 5))
    return RandomisationCheck(check, ("c", "b", "a"), dict(zip(("signed", "absolute"), values)))


def test_the_plot_has_the_means_and_deviations() -> None:
    checks = {name: [made_up(i), made_up(i + 2, "independent")] for i, name in enumerate("xy")}
    figure = plot_checks(checks)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == [
        *("cascading: signed", "cascading: absolute"),
        *("independent: signed", "independent: absolute"),
    ]
    for axes, (row, kind) in zip(figure.axes, np.ndindex(2, 2), strict=True):
        assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "b", "a"]
        assert [bars.get_label() for bars in axes.containers] == ["x", "y"]
        for bars, found in zip(axes.containers, checks.values(), strict=True):
            line, _, (deviations,) = bars
            name = ("signed", "absolute")[kind]
            means = found[row].mean(name)
            np.testing.assert_allclose(line.get_ydata(), means)
            ends = np.array(deviations.get_segments())[:, :, 1]
            spread = np.sqrt(found[row].variance(name))
            np.testing.assert_allclose(ends, np.stack([means - spread, means + spread], axis=1))
            np.testing.assert_allclose(line.get_xdata(), np.arange(3), atol=0.3)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["x", "y"]


def test_plots_of_nothing_or_of_different_things_are_refused() -> None:
    nothing: Mapping[str, Sequence[RandomisationCheck]]
    for nothing in ({}, {"x": []}):
        with pytest.raises(ValueError, match="checks: expected at least one"):
            plot_checks(nothing)
    with pytest.raises(ValueError, match="checks: expected for each method the same checks"):
        plot_checks({"x": [made_up(0)], "y": [made_up(0, "independent")]})
