"""The user's eager models and other threads, before, while and after baselines are at work."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from insens_tf.baselines import create_baseline
from tests.baselines_cases import ARGUMENTS, build, images
from tests.conftest import slow


def bases_of_keras_classes() -> dict[type, tuple[type, ...]]:
    found: dict[type, tuple[type, ...]] = {}
    waiting = [keras.layers.Layer]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found[kind] = kind.__bases__
            waiting.extend(kind.__subclasses__())
    return found


def use_in_every_way(model: keras.Model, x: np.ndarray, directory: Path) -> np.ndarray:
    """Call, predict, differentiate, train, evaluate, save, load and clone a model."""
    y = np.zeros(len(x))
    outputs = model(x).numpy()
    np.testing.assert_allclose(model.predict(x, verbose=0), outputs, atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x)[:, 0])
    assert all(gradient is not None for gradient in tape.gradient(loss, model.trainable_weights))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone(x).numpy(), model(x).numpy(), atol=1e-6)
    model.save(directory / "model.keras")
    loaded = keras.models.load_model(directory / "model.keras")
    np.testing.assert_allclose(loaded(x).numpy(), model(x).numpy(), atol=1e-6)
    keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])(np.ones((1, 3)))
    return outputs


def test_the_users_model_goes_on_working(tmp_path: Path) -> None:
    model = build("batch_normalization")
    x = images("batch_normalization", model)
    use_in_every_way(model, x, tmp_path)
    before = bases_of_keras_classes()
    first = create_baseline("lrp.z", model)
    use_in_every_way(model, x, tmp_path)
    first.analyze(x)
    second = create_baseline("gradient", model)
    use_in_every_way(model, x, tmp_path)
    with pytest.raises(ValueError, match="rule"):
        create_baseline("lrp", model)
    second.analyze(x)
    first.close()
    use_in_every_way(model, x, tmp_path)
    assert tf.executing_eagerly()
    after = bases_of_keras_classes()
    assert {kind: after[kind] for kind in before} == before


@pytest.mark.filterwarnings("ignore:'integrated_gradients'")
@pytest.mark.parametrize(
    ("name", "analyzer"),
    [
        ("two_conv", "gradient"),
        ("two_conv", "integrated_gradients"),
        ("two_conv", "lrp.alpha_2_beta_1"),
        # Has variables of its own that are computed from the weights.
        ("batch_normalization", "lrp.z"),
    ],
)
def test_weights_changed_later_are_seen(name: str, analyzer: str) -> None:
    model = build(name)
    x = images(name, model)
    arguments = ARGUMENTS.get(analyzer, {})
    with create_baseline(analyzer, model, **arguments) as early:
        before = early.analyze(x)
        model.set_weights([1.3 * weights + 0.05 for weights in model.get_weights()])
        maps = early.analyze(x)
    with create_baseline(analyzer, model, **arguments) as late:
        expected = late.analyze(x)
    np.testing.assert_allclose(maps, expected, atol=1e-6 * np.abs(expected).max())
    assert np.abs(before - expected).max() > 0.1 * np.abs(expected).max()


def run_in_threads(*functions: Callable[[], None]) -> None:
    errors: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_that_create_and_threads_that_use_keras() -> None:
    model = build("two_conv")
    x = images("two_conv", model)
    with create_baseline("lrp.epsilon", model) as analyzer:
        expected = analyzer.analyze(x)
    outputs = model(x).numpy()
    building = threading.Event()
    done: list[Any] = []

    def create() -> None:
        building.set()
        for _ in range(2):
            with create_baseline("lrp.epsilon", model) as analyzer:
                np.testing.assert_array_equal(analyzer.analyze(x), expected)
        done.append(True)

    def use() -> None:
        building.wait()
        while len(done) < 2:
            np.testing.assert_allclose(model(x).numpy(), outputs, atol=1e-6)
            layer = keras.layers.Dense(3)
            layer(x)
            assert type(layer) is keras.layers.Dense

    def create_and_stop_others() -> None:
        try:
            create()
        finally:
            done.append(True)

    run_in_threads(create_and_stop_others, create_and_stop_others, use)


def test_threads_that_share_an_analyzer() -> None:
    model = build("two_conv")
    x = images("two_conv", model, 8)
    with create_baseline("smoothgrad", model, seed=2, augment_by_n=4) as analyzer:
        expected = analyzer.analyze(x)

        def analyze() -> None:
            for _ in range(5):
                np.testing.assert_array_equal(analyzer.analyze(x), expected)

        run_in_threads(*[analyze] * 4)


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize("rounds", [5, slow(50)])
def test_many_created_and_dropped_leave_nothing(rounds: int) -> None:
    # 4 MB of weights: of fifty, copies that stayed would show.
    model = keras.Sequential(
        [keras.layers.Dense(1000, activation="relu", input_shape=(1000,)), keras.layers.Dense(2)]
    )
    x = np.ones((2, 1000))
    graphs: weakref.WeakSet[tf.Graph] = weakref.WeakSet()
    gc.collect()
    subclasses = len(bases_of_keras_classes())
    resident = 0
    for round_ in range(rounds):
        analyzer = create_baseline("gradient", model)
        analyzer.analyze(x)
        graphs.add(analyzer._private.graph)
        del analyzer
        if round_ == rounds // 5 - 1:
            gc.collect()
            resident = resident_bytes()
    gc.collect()
    assert len(graphs) == 0
    assert len(bases_of_keras_classes()) == subclasses
    assert resident_bytes() - resident < 40e6
