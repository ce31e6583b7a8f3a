"""Our analyzers: iNNvestigate's contract, its dry-run checks, and their values."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

import insens_tf
from insens_tf import analyzer as analyzers
from insens_tf.analyzer import create_analyzer, register
from insens_tf.errors import NoHiddenLayerError
from insens_tf.files import UnusableFileError
from insens_tf.innvestigate_contract import (
    AnalyzerBase,
    NotAnalyzeableModelException,
    classes,
)
from insens_tf.innvestigate_contract import analyzers as registry
from tests import innvestigate_networks as networks
from tests.analyzer_cases import (
    OURS,
    VARIED,
    counts,
    dry_run,
    each_network,
    pairs,
    small_inputs,
    small_model,
    unfitted,
)
from tests.architectures import build, images
from tests.conftest import CaseOf, slow, slow_but
from tests.oracle import Oracle, assert_agrees

# What is traced of a network is traced once.
pytestmark = pytest.mark.xdist_group("analyzers")

PROJECTIONS = {
    "switched.weights": "weights",
    "switched.centre": "centre",
    "switched.contribution": "contribution",
}
"""Which of the oracle's quantities an analyzer's map is."""


# --- iNNvestigate's dry-run checks ---------------------------------------------------------------


@unfitted
@pytest.mark.parametrize(("network", "name"), pairs(*OURS, varied=VARIED[-1:]))
def test_passes_the_dry_run_checks(network: str, name: str) -> None:
    analyzer, maps = dry_run(network, name)
    x = networks.inputs(network, len(maps))
    assert isinstance(analyzer, AnalyzerBase)
    assert maps.shape == x.shape
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert maps.any()
    class_name, state = analyzer.save()
    loaded = analyzers.SwitchedAnalyzer.load(class_name, state)
    assert type(loaded) is type(analyzer)
    np.testing.assert_array_equal(loaded.analyze(x), maps)


@pytest.mark.parametrize("network", [n for n, kind in networks.NETWORKS.items() if not kind.hidden])
def test_insens_of_a_network_without_hidden_layer_is_refused(network: str) -> None:
    model = networks.build(network)
    with pytest.raises(NotAnalyzeableModelException, match="hidden layer") as caught:
        create_analyzer("insens", model)
    assert type(caught.value) is NoHiddenLayerError
    assert repr(model.name) in str(caught.value)


@pytest.mark.parametrize("name", OURS)
def test_a_model_that_cannot_be_read_is_refused(name: str) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh", name="curved")])
    model.add(keras.layers.Dense(2))
    for disable_model_checks in (False, True):
        with pytest.raises(NotAnalyzeableModelException, match=r"'curved'.*tanh"):
            create_analyzer(name, model, disable_model_checks=disable_model_checks)


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_the_networks_are_of_the_kind_they_are_said_to_be(network: str) -> None:
    found = insens_tf.SwitchedNetwork(networks.build(network))
    assert tuple(layer.name for layer in found.layers) == networks.NETWORKS[network].hidden


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("graph with a sum", "switched.contribution"),
        slow("ReLU as a layer", "switched.weights"),
        slow("ReLU as a layer", "switched.centre"),
        slow("graph with a sum", "switched.weights"),
        slow("graph with a sum", "switched.centre"),
        slow("ReLU as a layer", "switched.contribution"),
    ],
)
def test_projections_agree_with_the_oracle(architecture: str, name: str, case: CaseOf) -> None:
    this = case(architecture, 0)
    rows = np.arange(len(this.x))
    for layer, reference in [*this.hidden, (None, this.references[-1])]:
        expected = getattr(reference, PROJECTIONS[name])
        defined = np.isfinite(expected).reshape(*expected.shape[:2], -1).all(axis=(0, 2))
        neurons = np.flatnonzero(defined)[[0, -1, 1]]

        strongest = create_analyzer(name, this.model, layer=layer).analyze(this.x)
        assert_agrees(strongest, expected[rows, reference.activity.argmax(axis=1)])

        chooses = create_analyzer(name, this.model, layer=layer, neuron_selection_mode="index")
        assert_agrees(chooses.analyze(this.x, int(neurons[0])), expected[:, neurons[0]])
        assert_agrees(
            chooses.analyze(this.x, neuron_selection=neurons.tolist()), expected[rows, neurons]
        )
        tuples = [
            tuple(map(int, index)) for index in zip(*np.unravel_index(neurons, reference.shape))
        ]
        assert_agrees(chooses.analyze(this.x, tuples[2]), expected[:, neurons[2]])
        assert_agrees(chooses.analyze(this.x, tuples), expected[rows, neurons])
        assert_agrees(chooses.analyze(this.x, np.array(tuples)), expected[rows, neurons])

        every = create_analyzer(name, this.model, layer=layer, neuron_selection_mode="all")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert_agrees(every.analyze(this.x), expected)
        assert [one.category for one in caught] == (
            [] if np.isfinite(expected).all() else [RuntimeWarning]
        )


@pytest.mark.parametrize("architecture", ["2CONV", "graph with a concatenation"])
def test_insens_agrees_with_the_oracle(architecture: str, case: CaseOf) -> None:
    this = case(architecture, 1)
    samples = images(this.model, 8, seed=5)
    analyzer = create_analyzer("insens", this.model).fit(samples, batch_size=3, verbose=0)
    layer, reference = this.hidden[-1]
    frequency = Oracle(this.model).references(samples)[-2].count / len(samples)
    assert analyzer.layer == layer
    assert list(analyzer.frequency_) == [layer.name]
    np.testing.assert_array_equal(analyzer.frequency_[layer.name], frequency)
    assert_agrees(analyzer.analyze(this.x), reference.insens(frequency), 1e-8)
    for state, sensitivity in (("active", "centre"), ("all", "activity")):
        analyzer = create_analyzer(
            "insens",
            this.model,
            layer=layer.name,
            state=state,
            sensitivity=sensitivity,
            frequency=frequency,
        )
        assert_agrees(
            analyzer.analyze(this.x), reference.insens(frequency, state, sensitivity), 1e-8
        )


@pytest.mark.slow
def test_several_layers_in_one_pass_give_a_map_each(case: CaseOf) -> None:
    this = case("2CONV", 0)
    together = create_analyzer(
        "insens", this.model, layer=[0, this.network.layers[2].name, this.network.layers[1]]
    )
    together.fit(images(this.model, 6))
    maps = together.analyze(this.x)
    assert list(maps) == [this.network.layers[i].name for i in (0, 2, 1)]
    for name, omega in maps.items():
        alone = create_analyzer(
            "insens", this.model, layer=name, frequency=together.frequency_
        ).analyze(this.x)
        assert_agrees(omega, alone, 1e-8)


@pytest.mark.parametrize("network", each_network())
def test_weights_of_the_output_are_the_gradient_of_a_tape(network: str) -> None:
    model = networks.build(network)
    layers = {layer.name: layer for layer in model.layers}
    if isinstance(layers["output"], keras.layers.Softmax):
        model = keras.Model(model.input, layers["logits"].output)
    elif getattr(layers["output"], "activation", None) is keras.activations.softmax:
        layers["output"].activation = keras.activations.linear
    x = networks.inputs(network, 3)
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        outputs = tf.reshape(model(inputs, training=False), (3, -1))
        largest = tf.reduce_max(outputs, axis=1)
    _, maps = dry_run(network, "switched.weights")
    assert_agrees(maps, tape.gradient(largest, inputs), 1e-5)


def test_weights_changed_later_are_seen() -> None:
    model, x = small_model(), small_inputs(2)
    analyzer = create_analyzer("switched.weights", model)
    before = analyzer.analyze(x)
    model.set_weights([2 * array for array in model.get_weights()])
    assert_agrees(analyzer.analyze(x), create_analyzer("switched.weights", model).analyze(x), 1e-6)
    assert not np.allclose(analyzer.analyze(x), before)


# --- Neurons --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_mode_and_argument_must_fit(name: str) -> None:
    model, x = small_model(), small_inputs(2)
    with pytest.raises(
        ValueError, match=r"neuron_selection_mode='best'.*'max_activation', 'index'"
    ):
        create_analyzer(name, model, neuron_selection_mode="best")
    for mode in ("all",) if name == "insens" else ("max_activation", "all"):
        analyzer = create_analyzer(name, model, neuron_selection_mode=mode)
        with pytest.raises(ValueError, match="neuron_selection=1: expected None"):
            analyzer.analyze(x, neuron_selection=1)
    if name != "insens":
        analyzer = create_analyzer(name, model, neuron_selection_mode="index")
        with pytest.raises(ValueError, match="neuron_selection=None: expected a neuron"):
            analyzer.analyze(x)


@pytest.mark.parametrize("mode", ["max_activation", "index"])
def test_insens_has_no_neuron_to_select(mode: str) -> None:
    with pytest.raises(ValueError, match=r"sums over all neurons.*'switched.contribution'"):
        create_analyzer("insens", small_model(), neuron_selection_mode=mode)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (3, "3 is out of range for layer 'logits'"),
        (-1, "-1 is out of range"),
        ([0, 1, 2, 0], "expected one neuron, or one for each of 2 inputs, came 4"),
        ([], "flat indices"),
        (1.0, "flat indices"),
        ([True, False], "flat indices"),
        ("first", "flat indices"),
        ([[0, 1], [1, 0]], "multi-index of 1"),
    ],
)
def test_neurons_that_cannot_be_meant_are_refused(selection: Any, message: str) -> None:
    analyzer = create_analyzer("switched.weights", small_model(), neuron_selection_mode="index")
    with pytest.raises(ValueError, match=f"(?s)^neuron_selection.*{message}"):
        analyzer.analyze(small_inputs(2), selection)


@pytest.mark.parametrize(
    "selection", [[1, 2], (1, 2), np.array([1, 2]), np.array([[1], [2]], np.int32), [[1], [2]]]
)
def test_one_neuron_for_each_input_in_every_form(selection: Any) -> None:
    model, x = small_model(), small_inputs(2)
    analyzer = create_analyzer("switched.weights", model, neuron_selection_mode="index")
    maps = analyzer.analyze(x, selection)
    np.testing.assert_array_equal(maps[0], analyzer.analyze(x, 1)[0])
    np.testing.assert_array_equal(maps[1], analyzer.analyze(x, [2])[1])


def test_a_neuron_without_weights_gives_nan_and_a_warning() -> None:
    model, x = small_model(), small_inputs(3)
    kernel, bias = model.layers[0].get_weights()
    kernel[:, 2], bias[2] = 0, 100
    model.layers[0].set_weights([kernel, bias])
    centre = create_analyzer("switched.centre", model, layer="hidden")
    with pytest.warns(RuntimeWarning, match=r"3 of 3 maps are NaN.*'hidden'") as caught:
        maps = centre.analyze(x)
    assert caught[0].filename == __file__
    assert np.isnan(maps).all()
    np.testing.assert_array_equal(
        create_analyzer("switched.weights", model, layer="hidden").analyze(x), np.zeros_like(x)
    )


def test_every_map_of_a_large_layer_is_refused_before_it_is_made(case: CaseOf) -> None:
    model = build("2CONV", dtype="float32")
    analyzer = create_analyzer(
        "switched.weights", model, layer=0, neuron_selection_mode="all", memory_budget=2**20
    )
    with pytest.raises(ValueError, match=r"memory budget of 1\.0 MiB"):
        analyzer.analyze(images(model, 9))


# --- Inputs and layers ----------------------------------------------------------------------------


@unfitted
@pytest.mark.parametrize("name", OURS)
def test_an_array_a_list_of_one_and_a_tensor_are_alike(name: str) -> None:
    analyzer, x = create_analyzer(name, small_model()), small_inputs(3)
    maps = analyzer.analyze(x)
    assert isinstance(maps, np.ndarray)
    for same in ([x], (x,), tf.constant(x), [tf.constant(x)], x.tolist(), list(x)):
        np.testing.assert_array_equal(analyzer.analyze(same), maps)
    for row, one in enumerate(x):
        assert_agrees(analyzer.analyze([one])[0], maps[row], 1e-5)


@unfitted
@pytest.mark.parametrize("name", OURS)
def test_inputs_of_another_kind_are_refused(name: str) -> None:
    analyzer, x = create_analyzer(name, small_model()), small_inputs(3)
    with pytest.raises(ValueError, match=r"X: expected shape \(batch, 4\), came \(3, 3\)"):
        analyzer.analyze(x[:, :3])
    with pytest.raises(ValueError, match="one input without a batch"):
        analyzer.analyze(x[0])
    with pytest.raises(ValueError, match=r"X: expected shape \(batch, 4\)"):
        analyzer.analyze([x, x])
    x[1, 2] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in input 1"):
        analyzer.analyze(x)


def test_layers_that_cannot_be_meant_are_refused_at_once() -> None:
    model = small_model()
    for name in OURS:
        with pytest.raises(ValueError, match=r"layer='hiden' is not known.*'hidden'"):
            create_analyzer(name, model, layer="hiden")
    with pytest.raises(ValueError, match="'logits' is an output layer"):
        create_analyzer("insens", model, layer="logits")
    with pytest.raises(ValueError, match="expected one layer, came a list"):
        create_analyzer("switched.weights", model, layer=["hidden"])
    with pytest.raises(ValueError, match="state='dead': expected one of 'inactive'"):
        create_analyzer("insens", model, state="dead")
    with pytest.raises(ValueError, match="sensitivity='omega'"):
        create_analyzer("insens", model, sensitivity="omega")
    with pytest.raises(ValueError, match=r"expected shape \(5,\), came \(4,\)"):
        create_analyzer("insens", model, frequency=np.ones(4))
    with pytest.raises(TypeError, match="laier"):
        create_analyzer("insens", model, laier="hidden")


# --- Learning the frequencies ---------------------------------------------------------------------


def test_not_fitted_it_weighs_all_neurons_alike_and_says_so_once() -> None:
    model, x = small_model(), small_inputs(3)
    analyzer = create_analyzer("insens", model)
    assert analyzer.frequency_ is None
    with pytest.warns(
        analyzers.UnfittedWarning, match=r"every neuron weighs 1.*fit\(x_train\)"
    ) as w:
        maps = analyzer.analyze(x)
    assert [one.filename for one in w] == [__file__]
    np.testing.assert_array_equal(analyzer.analyze(x), maps)  # A second warning would be an error.
    ones = create_analyzer("insens", model, frequency=np.ones(5))
    np.testing.assert_array_equal(ones.analyze(x), maps)
    assert analyzer.fit(x) is analyzer
    assert not np.array_equal(analyzer.analyze(x), maps)


def test_all_kinds_of_data_are_counted_alike() -> None:
    found = counts("two convolutions")
    for key, count in found.items():
        np.testing.assert_array_equal(count, found["array/" + key.split("/")[1]], err_msg=key)


def test_fitting_again_forgets_what_was_learned() -> None:
    analyzer, x = create_analyzer("insens", small_model()), small_inputs(6)
    analyzer.fit(x[:2]).fit(x[2:], batch_size=3)
    assert analyzer.frequency_.samples == 4


def test_data_that_cannot_be_learned_from_is_refused() -> None:
    analyzer, x = create_analyzer("insens", small_model()), small_inputs(3)
    with pytest.raises(ValueError, match=r"data: expected shape \(batch, 4\)"):
        analyzer.fit(x[:, :2])
    with pytest.raises(ValueError, match="without its labels"):
        analyzer.fit((x, np.zeros(3)))
    with pytest.raises(TypeError):
        analyzer.fit(x, np.zeros(3))
    assert analyzer.frequency_ is None


# --- Saving ---------------------------------------------------------------------------------------

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "one layer": ("insens", {"layer": "hidden", "state": "all", "sensitivity": "activity"}),
    "several layers": ("insens", {"layer": ["hidden"], "progress": False}),
    "shares": ("insens", {"frequency": np.linspace(0, 1, 5)}),
    "shares of several": ("insens", {"layer": [0], "frequency": {"hidden": np.linspace(0, 1, 5)}}),
    "hidden neurons": ("switched.contribution", {"layer": 0, "memory_budget": 2**21}),
    "every neuron": ("switched.weights", {"neuron_selection_mode": "all"}),
    "without checks": ("switched.centre", {"disable_model_checks": True}),
}


def settled(name: str) -> Any:
    kind, arguments = SETTINGS[name]
    analyzer = create_analyzer(kind, small_model(), **arguments)
    if kind == "insens" and "frequency" not in arguments:
        analyzer.fit(small_inputs(7))
    return analyzer


def assert_equal_maps(actual: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
    for key in expected if isinstance(expected, dict) else [...]:
        np.testing.assert_array_equal(actual[key], expected[key])


@pytest.mark.parametrize("name", slow_but(SETTINGS, "one layer", "hidden neurons"))
def test_all_settings_travel_with_save(name: str, tmp_path: Path) -> None:
    analyzer, x = settled(name), small_inputs(3)
    class_name, state = analyzer.save()
    keys = list(state)
    analyzer.save_npz(tmp_path / "analyzer")
    assert [path.name for path in tmp_path.iterdir()] == ["analyzer"]
    copies = [
        analyzers.SwitchedAnalyzer.load(class_name, state),
        analyzers.SwitchedAnalyzer.load(class_name, state),
        analyzers.SwitchedAnalyzer.load(*pickle.loads(pickle.dumps((class_name, state)))),
        type(analyzer).load_npz(tmp_path / "analyzer"),
        analyzers.SwitchedAnalyzer.load_npz(str(tmp_path / "analyzer")),
    ]
    assert list(state) == keys
    maps = analyzer.analyze(x)
    for copy in copies[1:4]:
        assert_equal_maps(copy.analyze(x), maps)
    for copy in copies:
        assert type(copy) is type(analyzer)
        for (key, value), (_, expected) in zip(copy.save()[1].items(), state.items(), strict=True):
            np.testing.assert_equal(value, expected, err_msg=key)


@unfitted
def test_an_analyzer_that_is_not_fitted_is_not_fitted_when_loaded(tmp_path: Path) -> None:
    analyzer, x = create_analyzer("insens", small_model()), small_inputs(3)
    maps = analyzer.analyze(x)
    analyzer.save_npz(tmp_path / "analyzer.npz")
    loaded = analyzers.InsensAnalyzer.load_npz(tmp_path / "analyzer.npz")
    assert loaded.frequency_ is None
    assert_equal_maps(loaded.analyze(x), maps)


def test_the_file_needs_no_pickle_and_no_code(tmp_path: Path) -> None:
    settled("one layer").save_npz(tmp_path / "analyzer.npz")
    with np.load(tmp_path / "analyzer.npz", allow_pickle=False) as file:
        contents = {name: file[name] for name in file.files}
    assert {array.dtype.kind for array in contents.values()} <= set("Ufi")
    structure = str(contents["structure"])
    assert structure.count('\\"class_name\\": \\"Dense\\"') == 2
    contents["structure"] = np.array(
        structure.replace('\\"class_name\\": \\"Dense\\"', '\\"class_name\\": \\"Lambda\\"')
    )
    np.savez(tmp_path / "code.npz", **contents)
    with pytest.raises(UnusableFileError, match="Lambda"):
        analyzers.SwitchedAnalyzer.load_npz(tmp_path / "code.npz")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "analyzer.npz"
    load = analyzers.SwitchedAnalyzer.load_npz
    with pytest.raises(FileNotFoundError):
        load(path)
    for content in (b"", b"not an archive", pickle.dumps({})):
        path.write_bytes(content)
        with pytest.raises(UnusableFileError, match="written by save_npz"):
            load(path)
    np.savez(path, state=np.array({"model_json": ""}, object), class_name="InsensAnalyzer")
    with pytest.raises(UnusableFileError, match="written by save_npz"):
        load(path)
    settled("one layer").save_npz(path)
    with pytest.raises(ValueError, match="expected a SwitchedWeightsAnalyzer, holds a InsensAnal"):
        analyzers.SwitchedWeightsAnalyzer.load_npz(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableFileError, match="written by save_npz"):
        load(path)


# --- The registry ---------------------------------------------------------------------------------


def test_the_analyzers_are_where_innvestigate_looks_for_them() -> None:
    for name, kind in OURS.items():
        assert registry[name] is kind
        assert getattr(classes, kind.__name__) is kind
        before = dict(registry)
        assert register(name)(kind) is kind
        assert registry == before


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"expected one of .*'deep_taylor'.* \(did you mean insens\?\)"
    ):
        create_analyzer("insense", small_model())
    with pytest.raises(ValueError, match="name=None: expected one of "):
        create_analyzer(None, small_model())  # type: ignore[arg-type]


def test_model_checks_raise_or_warn_as_they_say() -> None:
    model, x = small_model(), small_inputs(2)

    def checked(kind: str, **arguments: Any) -> Any:
        analyzer = create_analyzer("switched.weights", model, **arguments)
        analyzer._add_model_check(lambda layer: layer.name == "hidden", "No hidden ones.", kind)
        return analyzer

    with pytest.raises(NotAnalyzeableModelException, match=r"No hidden.*: hidden\)"):
        checked("exception").analyze(x)
    warns = checked("warning")
    with pytest.warns(UserWarning, match=r"No hidden ones. \(layers: hidden\)") as caught:
        maps = warns.analyze(x)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(warns.analyze(x), maps)
    np.testing.assert_array_equal(checked("exception", disable_model_checks=True).analyze(x), maps)


def test_smooth_activations_are_read_as_asked_and_kept_in_a_file(tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, activation="tanh", name="curved"), layers.Dense(2)]
    )
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    network = insens_tf.SwitchedNetwork(model, smooth_activations="ratio")
    for name, expected in [
        ("insens", network.insens(x, "curved", progress=False)),
        ("switched.centre", network.project(x, network.output, 1).centre[:, 0]),
    ]:
        with pytest.raises(NotAnalyzeableModelException, match="tanh"):
            create_analyzer(name, model)
        mode: dict[str, Any] = {} if name == "insens" else {"neuron_selection_mode": "index"}
        selection = 1 if mode else None
        analyzer = create_analyzer(name, model, smooth_activations="ratio", **mode)
        analyzer.save_npz(tmp_path / "analyzer.npz")
        for one in (analyzer, analyzers.SwitchedAnalyzer.load_npz(tmp_path / "analyzer.npz")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", analyzers.UnfittedWarning)
                assert np.allclose(one.analyze(x, selection), expected, atol=1e-6)
