"""Our analyzers in iNNvestigate: its registry, its tools, its analyzers beside ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import innvestigate
import innvestigate.tools.perturbate as perturbate
import numpy as np
import pytest
from innvestigate.utils.sequence import BatchSequence
from tensorflow import keras

from insens_tf import analyzer as analyzers
from insens_tf.analyzer import create_analyzer, register
from tests import innvestigate_networks as networks
from tests import with_eager_mode_off
from tests.analyzer_cases import (
    MADE_OF_ALL,
    NEEDS_HIDDEN,
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
from tests.oracle import assert_agrees

# What is traced of a network is traced once.
pytestmark = pytest.mark.xdist_group("analyzers")

ROOT = Path(__file__).parents[1]


@unfitted
@pytest.mark.parametrize(("network", "name"), pairs(*OURS, varied=()))
def test_its_functions_create_and_load_ours(network: str, name: str) -> None:
    _, maps = dry_run(network, name)
    analyzer = innvestigate.create_analyzer(name, networks.build(network))
    assert isinstance(analyzer, innvestigate.analyzer.base.AnalyzerBase)
    x = networks.inputs(network, len(maps))
    np.testing.assert_array_equal(analyzer.analyze(x), maps)
    loaded = innvestigate.analyzer.base.AnalyzerBase.load(*analyzer.save())
    assert type(loaded) is type(analyzer)
    np.testing.assert_array_equal(loaded.analyze(x), maps)


def test_they_are_where_it_looks_for_them() -> None:
    for name, kind in OURS.items():
        assert innvestigate.analyzer.analyzers[name] is kind
        assert getattr(innvestigate.analyzer, kind.__name__) is kind


def test_a_refusal_is_one_of_its_own() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(innvestigate.NotAnalyzeableModelException, match="hidden layer"):
        innvestigate.create_analyzer("insens", model)


@pytest.mark.parametrize(
    "imports",
    [
        "import insens_tf, sys; assert 'tensorflow' not in sys.modules; import innvestigate",
        pytest.param("import innvestigate; import insens_tf", marks=pytest.mark.slow),
        pytest.param(
            "import insens_tf; insens_tf.SwitchedNetwork; import innvestigate",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_importing_us_registers_them_in_any_order(imports: str) -> None:
    found = f"print(*sorted(set(innvestigate.analyzer.analyzers) & set({list(OURS)!r})))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{imports}; {found}"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        text=True,
        timeout=300,
    )
    assert ended.stdout.split() == sorted(OURS)


def test_one_function_creates_ours_and_theirs() -> None:
    model, x = small_model(), small_inputs(5)
    gradient = create_analyzer("gradient", model, neuron_selection_mode="index")
    ours = create_analyzer("switched.weights", model, neuron_selection_mode="index")
    for neurons in (2, [0, 1, 2, 0, 1]):
        assert_agrees(ours.analyze(x, neurons), gradient.analyze(x, neurons), 1e-5)
    assert type(create_analyzer("insens", model)) is analyzers.InsensAnalyzer


def test_a_name_that_is_taken_is_refused() -> None:
    before = dict(innvestigate.analyzer.analyzers)

    class Mine(analyzers.SwitchedWeightsAnalyzer):
        pass

    with pytest.raises(ValueError, match="'gradient' is taken"):
        register("gradient")(Mine)
    Mine.__name__ = "Gradient"
    with pytest.raises(ValueError, match="class name 'Gradient' is taken"):
        register("mine")(Mine)
    with pytest.raises(TypeError, match="AnalyzerBase"):
        register("mine")(int)
    assert innvestigate.analyzer.analyzers == before


# --- iNNvestigate's tools -------------------------------------------------------------------------


@unfitted
@pytest.mark.parametrize(
    ("name", "recompute"), [*((name, False) for name in OURS), ("insens", True)]
)
def test_perturbation_analysis(name: str, recompute: bool) -> None:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(5, "relu"),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=array.shape) for array in model.get_weights()])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x = random.normal(size=(7, 6, 6, 1)).astype(np.float32)
    y = np.eye(2, dtype=np.float32)[model.predict(x, verbose=0).argmax(axis=1)]
    analyzer = create_analyzer(name, model)
    perturbed: list[np.ndarray] = []

    def zeros(region: np.ndarray) -> np.ndarray:
        perturbed.append(region.copy())
        return np.zeros_like(region)

    # Whole batches: it averages the last one in as if it were as large as the others.
    analysis = perturbate.PerturbationAnalysis(
        analyzer,
        model,
        BatchSequence([x, y], batch_size=7),
        perturbate.Perturbation(zeros, region_shape=(2, 2)),
        steps=3,
        recompute_analysis=recompute,
    )
    if recompute:
        analysis.analysis_generator = analysis.generator
    scores = np.array(analysis.compute_perturbation_analysis())
    assert scores.shape == (4, 2)
    assert np.isfinite(scores).all()
    assert scores[0, 1] == 1.0
    assert len(perturbed) == 7 * (1 + 2 + 3)
    # The first region perturbed is the one with the largest mean of its map.
    means = analyzer.analyze(x).reshape(7, 3, 2, 3, 2).mean(axis=(2, 4))
    first = [np.unravel_index(one.argmax(), one.shape) for one in means]
    for image, region, (row, column) in zip(x, perturbed, first):
        expected = image[2 * row : 2 * row + 2, 2 * column : 2 * column + 2, 0]
        np.testing.assert_array_equal(region, expected)


# --- With eager mode off --------------------------------------------------------------------------


Maps = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def eager_mode_off(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Maps]:
    """What a process that disabled eager execution makes of the saved analyzers of a network.

    One process has all networks that are tested fast, and another one the rest.
    """

    @cache
    def found(varied: bool) -> Maps:
        chosen = [network for network in networks.NETWORKS if (network in VARIED) == varied]
        folder = tmp_path_factory.mktemp("analyzers")
        for network in chosen:
            for name in MADE_OF_ALL:
                if networks.NETWORKS[network].hidden or name != NEEDS_HIDDEN:
                    path = folder / f"{network}{with_eager_mode_off.SEPARATOR}{name}.npz"
                    dry_run(network, name)[0].save_npz(path)
        results = folder / "results" / "maps.npz"
        results.parent.mkdir()
        module = "tests.with_eager_mode_off"
        subprocess.run(
            [sys.executable, "-m", module, str(folder), str(results), *chosen],
            check=True,
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            timeout=600,
        )
        with np.load(results) as file:
            return {name: file[name] for name in file.files}

    return lambda network: found(network in VARIED)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "name"), pairs(*MADE_OF_ALL))
def test_equals_eager_mode(network: str, name: str, eager_mode_off: Callable[[str], Maps]) -> None:
    _, maps = dry_run(network, name)
    off = eager_mode_off(network)[f"maps/{network}{with_eager_mode_off.SEPARATOR}{name}"]
    assert_agrees(off, maps, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("network", each_network())
def test_weights_of_the_output_are_innvestigates_gradient(
    network: str, eager_mode_off: Callable[[str], Maps]
) -> None:
    analyzer, maps = dry_run(network, "switched.weights")
    assert_agrees(maps, eager_mode_off(network)[f"gradient/{network}/max_activation"], 1e-5)
    chooses = create_analyzer(
        "switched.weights", analyzer.network.model, neuron_selection_mode="index"
    )
    first = chooses.analyze(networks.inputs(network, len(maps)), 0)
    assert_agrees(first, eager_mode_off(network)[f"gradient/{network}/index"], 1e-5)


@pytest.mark.slow
def test_counts_equal_those_of_eager_mode(eager_mode_off: Callable[[str], Maps]) -> None:
    network = with_eager_mode_off.COUNTED
    found = eager_mode_off(network)
    for key, count in counts(network).items():
        np.testing.assert_array_equal(found[f"counts/{key}"], count, err_msg=key)
