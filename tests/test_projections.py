"""Switched weights, bias, centre and contribution against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from tests.architectures import NAMES, VARIED, build, images, randomise
from tests.conftest import (
    Case,
    CaseOf,
    every_architecture,
    every_seed,
    slow,
    slow_but,
    some_fast,
)
from tests.oracle import Oracle, Reference, assert_agrees

POOLS = (
    "pools overlapping",
    "pools padded, odd sizes",
    "pools that leave pixels out",
    "pool of the image itself",
    "pool before ReLU",
    "padded pool of negative values",
)


def small_network(
    *parameters: np.ndarray, input_shape: tuple[int, ...] = (2,), dtype: str = "float64"
) -> insens_tf.SwitchedNetwork:
    """Dense layers from kernel, bias, kernel, bias ...; all but the last are ReLU layers."""
    model = keras.Sequential([keras.Input(input_shape, dtype=dtype)])
    if len(input_shape) > 1:
        model.add(keras.layers.Flatten(dtype=dtype))
    pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
    for number, (kernel, bias) in enumerate(pairs):
        layer = keras.layers.Dense(
            len(bias), "relu" if number + 1 < len(pairs) else None, dtype=dtype
        )
        model.add(layer)
        layer.set_weights([np.asarray(kernel, dtype), np.asarray(bias, dtype)])
    return insens_tf.SwitchedNetwork(model)


def assert_projection(projection: insens_tf.Projection, reference: Reference) -> None:
    """All five quantities of all neurons."""
    assert_agrees(projection.activity, reference.activity)
    assert_agrees(projection.bias, reference.bias)
    assert_agrees(projection.weights, reference.weights)
    assert_agrees(projection.centre, reference.centre)
    assert_agrees(projection.contribution, reference.contribution)


@every_seed
def test_all_neurons_agree_with_the_oracle(name: str, seed: int, case: CaseOf) -> None:
    this = case(name, seed)
    for layer, reference in this.hidden:
        projection = this.network.project(this.x, layer)
        assert projection.layer == layer
        np.testing.assert_array_equal(
            projection.neurons, np.argwhere(np.ones(reference.shape, bool))
        )
        np.testing.assert_array_equal(projection.x, this.x)
        assert_projection(projection, reference)
    output = this.network.project(this.x, this.network.output.name)
    assert_projection(output, this.references[-1])


@pytest.mark.parametrize(
    "name",
    slow_but(
        ["conv same, even kernel", "conv strided same, asymmetric padding", "pools overlapping"],
        "conv strided same, asymmetric padding",
    ),
)
def test_a_neuron_sees_where_its_weights_are(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    for number, (layer, reference) in enumerate(this.hidden):
        p = this.network.project(this.x, layer)
        if len(layer.shape) == 1:
            assert p.seen(0) is None
            continue
        for k in range(len(p.neurons)):
            height, width = this.x.shape[1:3]
            rows, columns = p.seen(k) or (slice(0, height), slice(0, width))
            reached = (reference.weights[:, k] != 0).any(axis=(0, -1))
            assert not np.delete(reached, rows, axis=0).any()
            assert not np.delete(reached, columns, axis=1).any()
            # No weight of the first layer is 0, so that it sees no more than it has weights for.
            if number == 0:
                assert reached[rows, columns].all()
            assert 0 <= rows.start < rows.stop <= height
            assert 0 <= columns.start < columns.stop <= width


@every_architecture
def test_contributions_sum_to_the_activity(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    for layer in this.network.layers:
        projection = this.network.project(this.x, layer)
        sums = projection.contribution.reshape(*projection.activity.shape, -1).sum(axis=-1)
        has_weights = projection.weights.reshape(*sums.shape, -1).any(axis=-1)
        assert has_weights.any()
        assert_agrees(sums[has_weights], projection.activity[has_weights])
        assert np.isnan(sums[~has_weights]).all()


@every_architecture
def test_a_batch_is_its_inputs_one_by_one(name: str, case: CaseOf) -> None:
    this = case(name, 0)
    for layer in this.network.layers:
        together = this.network.project(this.x, layer)
        for row in range(len(this.x)):
            alone = this.network.project(this.x[row : row + 1], layer)
            for quantity in ("activity", "bias", "weights", "centre", "contribution"):
                assert_agrees(getattr(alone, quantity)[0], getattr(together, quantity)[row], 1e-12)


@pytest.mark.parametrize("name", some_fast(NAMES, VARIED[::3]))
def test_holds_for_other_inputs_of_the_same_region(name: str, case: CaseOf) -> None:
    this = case(name, 1)
    oracle = Oracle(this.model)
    random = np.random.default_rng(2)
    for x in this.x[:2]:
        direction, length = random.normal(size=x.shape), 1.0
        while not np.array_equal(oracle.state(x + length * direction), oracle.state(x)):
            length /= 2.0
            assert length > 1e-6, "the region is too small to be tested"
        other = (x + length * direction)[np.newaxis]
        for layer in [*this.network.layers, this.network.output]:
            projection = this.network.project(x[np.newaxis], layer)
            predicted = (projection.weights[0] * other).reshape(layer.neurons, -1).sum(axis=-1)
            actual = this.network.activity(other, layer).reshape(-1)
            assert_agrees(predicted + projection.bias[0], actual)


@every_architecture
def test_the_centre_is_the_nearest_root(name: str, case: CaseOf) -> None:
    this = case(name, 1)
    for layer in this.network.layers:
        projection = this.network.project(this.x, layer)
        shape = (*projection.activity.shape, -1)
        w, c = projection.weights.reshape(shape), projection.centre.reshape(shape)
        has_weights = w.any(axis=-1)
        at_centre = np.einsum("nkd,nkd->nk", w, c) + projection.bias
        size = np.einsum("nkd,nkd->nk", np.abs(w), np.abs(c)) + np.abs(projection.bias)
        assert (np.abs(at_centre) <= 1e-12 * size)[has_weights].all()
        # The nearest root lies at a distance of abs(v) / norm(w), along w.
        distance = np.linalg.norm(this.x.reshape(len(this.x), 1, -1) - c, axis=-1)
        expected = np.abs(projection.activity) / np.linalg.norm(w, axis=-1).clip(1e-300)
        assert_agrees(distance[has_weights], expected[has_weights], 1e-9)


def with_ties(shape: tuple[int, ...]) -> np.ndarray:
    """Constant images, zeros among them, and images of few grey levels."""
    random = np.random.default_rng(3)
    return np.stack(
        [
            np.zeros(shape),
            np.ones(shape),
            np.full(shape, -2.0),
            *random.integers(0, 2, (3, *shape)).astype(float),
        ]
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", slow_but(POOLS, *set(POOLS) & set(VARIED)))
def test_ties_are_decided_as_in_tensorflow(name: str, seed: int) -> None:
    # Whole numbers: equal sums are equal to the last bit, whatever the order of adding up.
    model = build(name, seed, integers=True)
    network = insens_tf.SwitchedNetwork(model)
    x = with_ties(network.input_shape)
    with tf.GradientTape(persistent=True) as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        logits = model(inputs)
    gradient = tape.batch_jacobian(logits, inputs, experimental_use_pfor=False)
    projection = network.project(x, network.output)
    np.testing.assert_array_equal(projection.activity, logits)
    np.testing.assert_array_equal(projection.weights, gradient)
    *hidden, output = Oracle(model).references(x)
    assert_projection(projection, output)
    for layer, reference in zip(network.layers, hidden, strict=True):
        assert_projection(network.project(x, layer), reference)


@pytest.mark.parametrize("name", ["ReLU as Activation", "ReLU as a layer"])
def test_ties_of_random_weights_on_a_black_image(name: str) -> None:
    """Convolutions of zeros are their biases everywhere, so every pooled cell is a tie."""
    model = build(name, 5)
    x = np.zeros((1, *model.input_shape[1:]))
    for layer, reference in zip(
        insens_tf.SwitchedNetwork(model).layers, Oracle(model).references(x), strict=False
    ):
        assert_projection(insens_tf.SwitchedNetwork(model).project(x, layer), reference)


def test_logits_are_projected_before_the_softmax(case: CaseOf) -> None:
    this = case("ReLU as a layer", 0)
    before_softmax = keras.Model(this.model.inputs[0], this.model.layers[-2].output)
    with tf.GradientTape(persistent=True) as tape:
        inputs = tf.constant(this.x)
        tape.watch(inputs)
        logits = before_softmax(inputs)
    expected = tape.batch_jacobian(logits, inputs, experimental_use_pfor=False)
    assert this.network.output.index is None
    assert this.network.output.name == this.model.layers[-2].name
    for layer in (this.network.output, this.model.layers[-2], this.model.layers[-2].name):
        assert_agrees(this.network.project(this.x, layer).weights, expected, 1e-12)
    assert_agrees(this.network.activity(this.x, this.network.output), logits, 1e-12)


# --- exact zeros ---------------------------------------------------------------------------------


def test_an_activity_of_exactly_zero_is_inactive() -> None:
    """Neuron 0: 2 - 2 cancels; neuron 1: 1; neuron 2: no weights and no bias."""
    network = small_network(
        np.array([[2.0, 1.0, 0.0], [-2.0, 0.0, 0.0]]),
        np.zeros(3),
        np.array([[1.0, 3.0], [1.0, 0.0], [1.0, 5.0]]),
        np.array([-0.5, 0.25]),
        np.ones((2, 1)),
        np.zeros(1),
    )
    x = np.array([[1.0, 1.0]])
    first, second = (network.project(x, layer) for layer in (0, 1))
    np.testing.assert_array_equal(first.activity, [[0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(first.weights[0], [[2.0, -2.0], [1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(first.centre[0, 0], x[0])
    np.testing.assert_array_equal(first.contribution[0, 0], [0.0, 0.0])
    # Only neuron 1 passes anything on; an active neuron 0 would add (2, -2).
    np.testing.assert_array_equal(second.weights[0], [[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(second.bias, [[-0.5, 0.25]])
    frequency = network.activation_frequency(x)
    np.testing.assert_array_equal(frequency[network.layers[0].name], [0.0, 1.0, 0.0])
    # The zero neurons lie on their roots: nothing is added, and nothing is NaN.
    np.testing.assert_array_equal(network.insens(x, 0), [[0.0, 0.0]])
    np.testing.assert_array_equal(network.insens(x, 0, state="active"), [[1.0, 0.0]])


def test_zero_input_and_zero_bias() -> None:
    model = build("dense without bias", 0)
    network = insens_tf.SwitchedNetwork(model)
    x = np.zeros((2, 6))
    first, second = (network.project(x, layer) for layer in network.layers)
    np.testing.assert_array_equal(first.activity, np.zeros((2, 8)))
    np.testing.assert_array_equal(first.weights[1], model.layers[0].get_weights()[0].T)
    np.testing.assert_array_equal(first.centre, np.zeros((2, 8, 6)))
    np.testing.assert_array_equal(second.weights, np.zeros((2, 5, 6)))
    assert np.isnan(second.centre).all()
    for layer in network.layers:
        assert not network.activation_frequency(x)[layer.name].any()
        for state in ("inactive", "active", "all"):
            np.testing.assert_array_equal(network.insens(x, layer, state=state), x)


def test_no_weights_no_centre() -> None:
    """The second layer sees an inactive first layer only, but for its last neuron's input."""
    network = small_network(
        np.array([[1.0, 0.0], [0.0, 1.0]]),
        np.array([-10.0, 0.0]),
        np.array([[3.0, 1.0], [0.0, 2.0]]),
        np.array([-4.0, -8.0]),
        np.ones((2, 1)),
        np.zeros(1),
    )
    x = np.array([[1.0, 3.0]])
    projection = network.project(x, 1)
    np.testing.assert_array_equal(projection.activity, [[-4.0, -2.0]])
    np.testing.assert_array_equal(projection.weights, [[[0.0, 0.0], [0.0, 2.0]]])
    np.testing.assert_array_equal(projection.bias, [[-4.0, -8.0]])
    np.testing.assert_array_equal(projection.centre, [[[np.nan, np.nan], [1.0, 4.0]]])
    np.testing.assert_array_equal(projection.contribution, [[[np.nan, np.nan], [0.0, -2.0]]])
    np.testing.assert_array_equal(network.insens(x, 1), [[0.0, -1.0]])
    np.testing.assert_array_equal(network.insens(x, 1, sensitivity="activity"), [[0.0, -4.0]])


# --- which neurons -------------------------------------------------------------------------------


def chosen(this: Case, neurons: Any, expected: list[int]) -> None:
    layer, reference = this.hidden[0]
    assert layer.shape == (5, 6, 3)
    projection = this.network.project(this.x, layer, neurons)
    np.testing.assert_array_equal(
        projection.neurons, np.stack(np.unravel_index(expected, layer.shape), axis=-1)
    )
    assert_agrees(projection.activity, reference.activity[:, expected])
    assert_agrees(projection.bias, reference.bias[:, expected])
    assert_agrees(projection.weights, reference.weights[:, expected])
    assert_agrees(projection.centre, reference.centre[:, expected])
    assert_agrees(projection.contribution, reference.contribution[:, expected])


@pytest.mark.parametrize(
    ("neurons", "expected"),
    [
        pytest.param(None, list(range(90)), id="all"),
        pytest.param(7, [7], id="one flat index"),
        pytest.param(np.int32(7), [7], id="a NumPy integer"),
        pytest.param([3, 89, 0], [3, 89, 0], id="flat indices, in their order"),
        pytest.param([4, 4], [4, 4], id="a flat index twice"),
        pytest.param(np.array([5, 2]), [5, 2], id="an array of flat indices"),
        pytest.param(range(2, 5), [2, 3, 4], id="a range"),
        pytest.param((1, 2, 0), [24], id="one multi-index"),
        pytest.param([(1, 2, 0), (4, 5, 2)], [24, 89], id="multi-indices"),
        pytest.param(np.array([[0, 0, 1], [1, 0, 0]]), [1, 18], id="an array of multi-indices"),
        pytest.param([[1, 2, 0]], [24], id="a list in a list"),
    ],
)
def test_neurons_can_be_named_in_many_ways(neurons: Any, expected: list[int], case: CaseOf) -> None:
    chosen(case("conv valid", 0), neurons, expected)


def test_a_tuple_names_one_neuron_of_a_dense_layer(case: CaseOf) -> None:
    this = case("dense", 0)
    projection = this.network.project(this.x, 0, (4,))
    np.testing.assert_array_equal(projection.neurons, [[4]])
    assert_agrees(projection.activity, this.references[0].activity[:, [4]])


# --- memory --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tight() -> tuple[insens_tf.SwitchedNetwork, np.ndarray]:
    """A network with the smallest memory budget: a whole layer's projections do not fit."""
    model = build("2CONV", 0)
    return insens_tf.SwitchedNetwork(model, memory_budget=2**20), images(model, 3, 0)


def test_too_large_a_request_is_refused_at_once(
    tight: tuple[insens_tf.SwitchedNetwork, np.ndarray],
) -> None:
    network, x = tight
    # 3 inputs x 576 neurons x 144 components x 8 bytes, of weights, centre and contribution.
    megabytes = 3 * 576 * 144 * 8 * 3 / 2**20
    with pytest.raises(ValueError, match=rf"{megabytes:.1f} MiB.*1\.0 MiB.*iterate_projections"):
        network.project(x, 0)


def test_chunks_are_the_whole(
    tight: tuple[insens_tf.SwitchedNetwork, np.ndarray], case: CaseOf
) -> None:
    network, x = tight
    reference = case("2CONV", 0).references[0]
    seen = np.zeros(reference.activity.shape, int)
    chunks = 0
    for chunk in network.iterate_projections(x, 0):
        chunks += 1
        assert chunk.weights.nbytes * 3 <= 2**20
        neurons = np.ravel_multi_index(tuple(chunk.neurons.T), reference.shape)
        block = np.ix_(np.arange(len(x))[chunk.rows], neurons)
        seen[block] += 1
        np.testing.assert_array_equal(chunk.x, x[chunk.rows])
        for quantity in ("activity", "bias", "weights", "centre", "contribution"):
            assert_agrees(getattr(chunk, quantity), getattr(reference, quantity)[block])
    assert chunks > 1
    np.testing.assert_array_equal(seen, 1)


def test_chunks_of_chosen_neurons(
    tight: tuple[insens_tf.SwitchedNetwork, np.ndarray], case: CaseOf
) -> None:
    network, x = tight
    (chunk,) = network.iterate_projections(x, 0, [(2, 3, 1), (0, 0, 0)])
    expected = case("2CONV", 0).network.project(x, 0, [(2, 3, 1), (0, 0, 0)])
    assert_agrees(chunk.weights, expected.weights)
    np.testing.assert_array_equal(chunk.neurons, expected.neurons)


def test_arguments_of_the_iterator_are_checked_before_the_first_chunk(
    tight: tuple[insens_tf.SwitchedNetwork, np.ndarray],
) -> None:
    network, x = tight
    with pytest.raises(ValueError, match="out of range"):
        network.iterate_projections(x, 0, 576)


@pytest.mark.filterwarnings("ignore:Insens takes about:RuntimeWarning")
@pytest.mark.parametrize("budget", [2**20, 2**24])
def test_results_do_not_depend_on_the_memory_budget(budget: int, case: CaseOf) -> None:
    this = case("2CONV", 0)
    network = insens_tf.SwitchedNetwork(this.model, memory_budget=budget)
    x = np.concatenate([this.x] * 40)
    activity = network.activity(x, 0).reshape(40, 3, -1)
    assert_agrees(activity, np.broadcast_to(this.references[0].activity, activity.shape))
    insens = network.insens(x[:30], 2).reshape(10, *this.x.shape)
    assert_agrees(insens, np.broadcast_to(this.references[2].insens(), insens.shape))


# --- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", slow_but(["2CONV", "conv grouped", "leaky", "graph with a sum"], "leaky")
)
def test_float32_agrees_with_the_float64_oracle(name: str) -> None:
    model = build(name, 0, dtype="float32")
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 3).astype(np.float32)
    for layer, reference in zip(network.layers, Oracle(model).references(x), strict=False):
        projection = network.project(x, layer)
        assert projection.weights.dtype == projection.centre.dtype == np.float32
        assert projection.activity.dtype == projection.bias.dtype == np.float32
        assert_agrees(projection.activity, reference.activity, 1e-5)
        assert_agrees(projection.weights, reference.weights, 1e-5)
        assert_agrees(projection.bias, reference.bias, 1e-5)
        assert_agrees(projection.contribution, reference.contribution, 1e-4)
        assert_agrees(network.insens(x, layer), reference.insens(), 1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "bool"])
def test_inputs_of_any_real_dtype(dtype: str, case: CaseOf) -> None:
    this = case("conv valid", 0)
    x = np.random.default_rng(0).integers(0, 2, this.x.shape).astype(dtype)
    (reference, *_) = Oracle(this.model).references(x)
    assert_projection(this.network.project(x, 0), reference)
    assert_agrees(this.network.insens(x, 0), reference.insens())
    assert_agrees(this.network.project(tf.constant(x), 0).weights, reference.weights)
    assert_agrees(this.network.project(x.tolist(), 0).weights, reference.weights)


@pytest.mark.parametrize(
    ("kernel", "strides", "axes"),
    [slow(1, (2, 2, 3), 3), slow(2, (3, 3, 4), 3), (1, 2, 2), (2, 3, 1)],
)
def test_strides_longer_than_a_kernel(kernel: Any, strides: Any, axes: int) -> None:
    """Over three axes as far as TensorFlow's gradient is of what it computes."""
    kind = getattr(keras.layers, f"Conv{axes}D")
    model = keras.Sequential(
        [
            keras.Input((*(5, 6, 7)[:axes], 2)),
            kind(3, kernel, strides=strides, padding="same", activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, "relu", name="dense"),
            keras.layers.Dense(2, name="logits"),
        ]
    )
    randomise(model, 0)
    network = insens_tf.SwitchedNetwork(model)
    x = images(model, 2, 0).astype(np.float32)
    # A convolution is affine, so that its weights are what one component more makes of 0.
    components = np.eye(x[0].size, dtype=np.float32).reshape(-1, *x.shape[1:])
    rows = network.activity(components, "conv") - network.activity(0 * x[:1], "conv")
    expected = np.moveaxis(rows.reshape(len(rows), -1), 0, 1).reshape(-1, *x.shape[1:])
    for weights in network.project(x, "conv").weights:
        assert_agrees(weights, expected, 1e-5)
    maps = [network.insens(x, "dense", way=way) for way in ("gradient", "backward", "probes")]
    for one in maps[1:]:
        assert_agrees(one, maps[0], 1e-4)


@pytest.mark.parametrize("pair", [(3, 0), ((0, 1, 1), (2, 0, 0))])
def test_a_difference_of_two_neurons_is_a_projection(pair: Any, case: CaseOf) -> None:
    this = case("conv valid", 0)
    layer, reference = this.hidden[0]
    a, b = (
        int(np.ravel_multi_index(one, layer.shape)) if isinstance(one, tuple) else one
        for one in pair
    )
    activity = reference.activity[:, a] - reference.activity[:, b]
    weights = reference.weights[:, a] - reference.weights[:, b]
    flat = weights.reshape(len(weights), -1)
    factor = (activity / (flat**2).sum(axis=1)).reshape(-1, *(1,) * (weights.ndim - 1))

    p = this.network.project(this.x, layer, difference=pair)

    assert_agrees(p.activity[:, 0], activity)
    assert_agrees(p.weights[:, 0], weights)
    assert_agrees(p.bias[:, 0], reference.bias[:, a] - reference.bias[:, b])
    assert_agrees(p.centre[:, 0], this.x - factor * weights)
    assert p.subtracted is not None
    indices = [
        np.ravel_multi_index(tuple(one[0]), layer.shape) for one in (p.neurons, p.subtracted)
    ]
    assert indices == [a, b]
    assert "differences=1" in repr(p)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"difference": (1,)}, "expected a pair of neurons"),
        ({"difference": 1}, "expected a pair of neurons"),
        ({"difference": (1, 1)}, "expected two neurons, one each"),
        ({"difference": ([1, 2], 3)}, "expected two neurons, one each"),
        ({"difference": (1, None)}, "expected two neurons, one each"),
        ({"difference": (1, 10**6)}, "is out of range"),
        ({"neurons": 1, "difference": (1, 2)}, "expected one of them"),
    ],
)
def test_what_is_no_difference_is_refused(
    arguments: dict[str, Any], said: str, case: CaseOf
) -> None:
    this = case("conv valid", 0)
    with pytest.raises(ValueError, match=said):
        this.network.project(this.x, this.network.layers[0], **arguments)
