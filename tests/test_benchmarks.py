"""The benchmarks compute, extrapolate and report what they say; nothing timed is asserted."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow import keras

import insens_tf
from benchmarks import estimates, growth, insens, regions, report, timing, yardsticks
from benchmarks.random_networks import images, vgg_like
from experiments.tables import inserted
from tests.architectures import randomise
from tests.conftest import needs_innvestigate

# Those that share a network that is traced once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("benchmarks")]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))

SEEDS = (0, 1, 2)
SHAPE = (8, 8, 1)
# Float32, of values around 1.
TOLERANCE = 1e-5
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return vgg_like(SHAPE, (1, 1))


@pytest.fixture(scope="module")
def network(model: keras.Model) -> insens_tf.SwitchedNetwork:
    return insens_tf.SwitchedNetwork(model)


class Clock:
    """A clock that only a run moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def run_of(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


# What is computed


@pytest.mark.parametrize(("seed", "at_a_time"), [(0, 8), (0, 64), (1, 64), (2, 64)])
def test_integrated_gradients_add_up_to_the_change_of_the_output(
    seed: int, at_a_time: int, model: keras.Model
) -> None:
    randomise(model, seed)
    x = images(SHAPE, 3, seed=seed)
    attributions = yardsticks.integrated_gradients(model, x, at_a_time=at_a_time)()
    scores, of_nothing = model(x).numpy(), model(np.zeros_like(x)).numpy()
    rows, classes = np.arange(3), scores.argmax(axis=1)
    change = (scores - of_nothing)[rows, classes]
    assert attributions.shape == x.shape
    assert np.abs(change).min() > 0.01
    # 64 steps find each kink of the way to within a 64th of it.
    assert np.allclose(attributions.sum(axis=(1, 2, 3)), change, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gradient_is_that_of_the_predicted_class(
    seed: int, model: keras.Model, network: insens_tf.SwitchedNetwork
) -> None:
    randomise(model, seed)
    x = images(SHAPE, 3, seed=seed)
    classes = model(x).numpy().argmax(axis=1)
    weights = network.project(x, network.output).weights
    assert np.allclose(
        yardsticks.gradient(model, x)(), weights[np.arange(3), classes], atol=TOLERANCE
    )


@pytest.mark.parametrize("layer", ["conv_1", "conv_2"])
def test_gradients_of_neurons_are_their_switched_weights(
    layer: str, model: keras.Model, network: insens_tf.SwitchedNetwork
) -> None:
    randomise(model, 1)
    x = images(SHAPE, 2, seed=1)
    neurons = np.array([3, 700, 41, 5, 800])
    weights = network.project(x, layer, neurons).weights
    in_turn = weights[[0, 1, 0, 1, 0], np.arange(5)]
    assert np.abs(in_turn).max() > 0.01
    part = yardsticks.activity_model(model, layer)
    assert np.allclose(part(x).numpy(), network.activity(x, layer), atol=TOLERANCE)
    for compiled in (False, True):
        gradients = yardsticks.neuron_gradients(part, x, neurons, compiled=compiled)()
        assert np.allclose(gradients, in_turn, atol=TOLERANCE)
    assert np.allclose(yardsticks.jacobian_rows(part, x, neurons)(), weights, atol=TOLERANCE)


def test_rows_of_estimates_are_joined_and_shown() -> None:
    exact = {"network": "tiny", "layer": "first", "passes": 43, "stated": 0.0, "actual": 1e-7}
    old, new = ({"network": "tiny", "layer": "last", "passes": 64} for _ in range(2))
    new |= {"stated": 0.04, "actual": 0.05, "seconds": 1.0, "ratio": 0.5}
    rows = estimates.joined([exact, old], [new])
    assert rows == [exact, new]
    table = report.printed({**timing.environment(), "rounds": 1, "estimates": rows})
    first, last = table.splitlines()[-2:]
    assert re.fullmatch(r"tiny +first +43 +exact +1e-07", first.strip())
    assert re.fullmatch(r"tiny +last +64 +1 +0.500 +0.04 +0.05 +1.25", last.strip())
    rows[1] |= {"processor_ratio": 0.25, "memory": 2**20, "ways": ["crops", "narrow"]}
    rows[1] |= {"planned": 30.0, "exact_ratio": 0.5}
    table = report.printed({**timing.environment(), "rounds": 1, "estimates": rows})
    words = r"tiny +last .*0.500 +0.250 +16 +1.0 MiB +crops, narrow +30 +32 +0.04 +0.05 +1.25"
    assert re.fullmatch(words, table.splitlines()[-1].strip())


def test_the_error_of_an_estimate_is_that_of_its_map(
    model: keras.Model, network: insens_tf.SwitchedNetwork
) -> None:
    randomise(model, 2)
    x = images(SHAPE, 1, seed=2)
    arguments = Namespace(
        layers="every", tolerance=0.2, seeds=1, rounds=0, exact=1e9, exact_timed=1e9
    )
    frequency = {layer.name: np.ones(layer.shape) for layer in network.layers}
    rows = estimates.measured(network, x, frequency, "tiny", arguments)
    assert [row["layer"] for row in rows] == [layer.name for layer in network.layers]
    assert all(0 <= row["stated"] <= 0.2 and row["actual"] < 0.6 for row in rows)
    assert all(row["against"] == "all neurons" for row in rows)
    # Of a layer that is planned at too much, some neurons are summed.
    layer = network.layers[-1]
    arguments.exact = 0.0
    row = estimates.errors(network, x, layer, frequency[layer.name], arguments)
    row |= {"network": "tiny", "layer": layer.name}
    assert 0 < int(row["against"].split()[0]) <= estimates.SAMPLED_NEURONS
    assert row["actual"] < 0.6
    arguments.layers, arguments.rounds = "all", 1
    (of_all,) = estimates.measured(network, x, frequency, "tiny", arguments)
    assert of_all["layer"] == f"all {len(network.layers)}"
    assert of_all["largest_error"] <= 0.2
    assert of_all["seconds"] > 0
    assert of_all["processor_ratio"] > 0 < of_all["exact_ratio"]
    assert of_all["ways"]
    assert of_all["planned"] > 0


def test_the_error_of_insens_is_small_and_found_where_it_is_not(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    randomise(model, 0)
    network = insens_tf.SwitchedNetwork(model)
    x = images(SHAPE, 3)
    assert 0 < insens.largest_error(network, x, "conv_2") < TOLERANCE
    exact = network.insens

    def wrong_in_the_last_input(x: Any, *arguments: Any, **options: Any) -> Any:
        return exact(x, *arguments, **options) * np.array([1, 1, 1.01])[:, None, None, None]

    monkeypatch.setattr(network, "insens", wrong_in_the_last_input)
    assert insens.largest_error(network, x, "conv_2") == pytest.approx(0.01, rel=1e-2)


@pytest.mark.parametrize(
    ("blocks", "sizes"), [((1, 1), [8, 4]), ((2,), [8, 8]), ((2, 1), [8, 8, 4])]
)
def test_vgg_like_networks_pool_after_each_block(blocks: tuple[int, ...], sizes: list[int]) -> None:
    layers = insens_tf.SwitchedNetwork(vgg_like(SHAPE, blocks)).layers
    filters = [32] + [64] * (len(sizes) - 1)
    assert [layer.name for layer in layers] == [f"conv_{n + 1}" for n in range(len(sizes))]
    assert [layer.shape for layer in layers] == [(s, s, f) for s, f in zip(sizes, filters)]


def test_a_seed_makes_the_same_network_and_the_same_inputs() -> None:
    first, same, other = (
        vgg_like(SHAPE, (1,), seed=seed).get_weights()[0].ravel() for seed in (0, 0, 1)
    )
    assert (first == same).all()
    assert (first != other).all()
    assert (images(SHAPE, 2, seed=3) == images(SHAPE, 2, seed=3)).all()


# How it is timed


def test_times_are_for_one_input_and_the_whole_work(clock: Clock) -> None:
    assert timing.timed("whole", clock.run_of(8.0), inputs=4).seconds() == 2.0
    assert timing.timed("a tenth", clock.run_of(8.0), inputs=4, share=0.1).seconds() == 20.0
    both = [timing.timed("one", clock.run_of(1.0)), timing.timed("two", clock.run_of(2.0))]
    assert timing.together("both", both).seconds() == 3.0


def test_ratios_are_those_of_pairs_after_a_first_round() -> None:
    works = iter([1000.0, 100.0, 1.0, 6.0, 6.0])
    others = iter([1000.0, 2.0, 3.0, 4.0])
    row = timing.compared(
        timing.Work("work", lambda: next(works)),
        timing.Work("yardstick", lambda: next(others)),
        rounds=3,
    )
    assert {key: value for key, value in row.items() if not key.endswith("memory")} == {
        "work": "work",
        "yardstick": "yardstick",
        "milliseconds": 6000.0,
        "yardstick_milliseconds": 3000.0,
        "ratio": 1.5,
        "least": 0.5,
        "most": 2.0,
    }


def test_samples_are_extrapolated_to_all_neurons(
    model: keras.Model,
    network: insens_tf.SwitchedNetwork,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a clock on which each neuron takes a second."""

    def second_each(part: Any, x: Any, neurons: np.ndarray, **_: Any) -> Callable[[], None]:
        assert len(set(neurons.tolist())) == len(neurons)
        return clock.run_of(len(neurons))

    monkeypatch.setattr(yardsticks, "neuron_gradients", second_each)
    monkeypatch.setattr(yardsticks, "jacobian_rows", second_each)
    x = images(SHAPE, 2)
    for layer in network.layers:
        one_by_one = insens.gradient_a_neuron("eager", None, layer, x)
        assert one_by_one.seconds() == pytest.approx(layer.neurons)
        assert insens.jacobian(None, layer, x).seconds() == pytest.approx(layer.neurons)
        _, gradients = insens.projection(network, None, layer, x)
        assert gradients.name == "100 eager gradients"
        assert gradients.seconds() == pytest.approx(100)


@pytest.mark.skipif(sys.platform != "linux", reason="read from Linux' /proc")
def test_extra_memory_is_about_what_is_allocated() -> None:
    def allocate() -> None:
        np.empty(64 * MEBIBYTE, np.uint8).fill(1)

    for run, expected in ((allocate, 64), (allocate, 64), (lambda: None, 0)):
        found = timing.extra_memory(run)
        if found is None:
            pytest.skip("this system does not let a process reset its peak")
        assert abs(found / MEBIBYTE - expected) < 8


def test_extra_memory_is_not_known_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(timing, "Path", lambda _: tmp_path / "no such folder" / "file")
    ran: list[bool] = []
    assert timing.extra_memory(lambda: ran.append(True)) is None
    assert ran == [True]


# What is reported

ROW = {
    **{"network": "tiny", "inputs": 1, "work": "Insens", "yardstick": "IG64"},
    **dict.fromkeys(["milliseconds", "yardstick_milliseconds", "ratio", "least", "most"], 2.0),
    **{"first_call_memory": MEBIBYTE, "later_call_memory": MEBIBYTE},
}


NEURONS = {"wide": 130, "narrow": 30}


def run(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
    main()


@needs_innvestigate
def test_insens_prints_and_writes_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Of dense layers only, which are traced in less time.
    layers = keras.layers
    wide, narrow = (layers.Dense(units, "relu", name=name) for name, units in NEURONS.items())
    model = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), wide, narrow, layers.Dense(3, "softmax")]
    )
    randomise(model, 0)
    model.save(tmp_path / "model.keras")
    x = (255 * images(SHAPE, 20)).astype(np.uint8)
    np.savez(tmp_path / "noise.npz", x_train=x[:16], x_test=x[16:])
    # These take seconds, in a process that holds as much as the tests do.
    monkeypatch.setattr(timing, "extra_memory", lambda run: MEBIBYTE)
    monkeypatch.setattr(insens, "ANALYZERS", ("gradient", "lrp.epsilon"))
    run(
        monkeypatch,
        insens.main,
        *("--model", tmp_path / "model.keras", "--data", tmp_path / "noise.npz"),
        *("--inputs", "2", "--rounds", "1", "--out", tmp_path / "out.json"),
    )
    text = (tmp_path / "out.json").read_text("utf-8")
    record = json.loads(text)
    assert {key: record[key] for key in ("network", "input_shape", "inputs", "rounds")} == {
        "network": "2CONV trained on noise",
        "input_shape": list(SHAPE),
        "inputs": 2,
        "rounds": 1,
    }
    assert list(record["versions"]) == [
        "insens_tf",
        "python",
        "tensorflow",
        "numpy",
        "innvestigate",
    ]
    assert str(tmp_path) not in text
    every = [*NEURONS, "all hidden layers"]
    assert [row["work"] for row in record["works"]] == [
        *(f"Insens of {name}" for name in every),
        "one gradient",
        "IG64, all steps in one batch",
        *(f"iNNvestigate's {name}" for name in insens.ANALYZERS),
        *(f"batch_jacobian, {name}" for name in every),
        *(f"one compiled gradient a neuron, {name}" for name in every),
        *(f"one eager gradient a neuron, {name}" for name in every),
    ]
    assert {row["yardstick"] for row in record["works"]} == {"IG64"}
    assert [row["yardstick"] for row in record["other_yardsticks"]] == [
        *(f"Insens of {name}" for name in every),
        "predict",
        "100 eager gradients",
        "30 eager gradients",
    ]
    assert [row["layer"] for row in record["plan"]] == [*NEURONS, "all in one sweep"]
    assert [row["layer"] for row in record["exactness"]] == list(NEURONS)
    for row in record["works"] + record["other_yardsticks"]:
        assert 0 < row["least"] == row["ratio"] == row["most"]
    for row in record["plan"]:
        assert row["measured_gradients"] > 0
        assert 0 < row["needed"] <= row["neurons"]
    for row in record["exactness"]:
        assert row["largest_relative_error"] < TOLERANCE
    printed = capsys.readouterr().out
    for row in record["works"]:
        assert f"\n{row['work']}  " in printed


def test_model_and_data_go_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, insens.main, "--model", "model.keras")
    assert "--model and --data go together" in capsys.readouterr().err


def interrupted() -> Any:
    raise KeyboardInterrupt


def test_growth_keeps_what_it_has_when_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        growth.Case("tiny", partial(vgg_like, SHAPE, (1, 1)), 2, (growth.LAST, growth.EVERY)),
        growth.Case("never built", interrupted, 1, (growth.EVERY,)),
    ]
    monkeypatch.setattr(growth, "TABLES", {"size": cases})
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, growth.main, "--rounds", "1", "--out", tmp_path / "out.json")
    record = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert [row["work"] for row in record["size"]] == [
        "Insens of conv_2",
        "Insens of all hidden layers",
    ]
    for row in record["size"]:
        assert (row["network"], row["inputs"], row["yardstick"]) == ("tiny", 2, "IG64")
        assert row["ratio"] > 0
        assert "first_call_memory" in row
        assert "later_call_memory" in row
    assert "size: tiny, batch of 2, Insens of conv_2: " in capsys.readouterr().out


def test_growth_runs_the_table_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(growth, "measured", lambda case, rounds: iter([ROW]))
    run(monkeypatch, growth.main, "--table", "depth")
    printed = capsys.readouterr().out
    assert "How cost grows with the depth" in printed
    assert "size" not in printed


def test_regions_are_held_against_the_unit_and_margins_against_insens(model: keras.Model) -> None:
    tables = regions.benchmark(model, images(SHAPE, 2), rounds=1)

    assert [row["yardstick"] for row in tables["works"]] == ["IG64"] * 5
    assert all(row["ratio"] > 0 for row in tables["works"])
    for margins in tables["other_yardsticks"]:
        assert margins["yardstick"].startswith("Insens of all hidden layers")
    record = {"rounds": 1, **timing.environment(), **tables}
    assert "path of two images" in report.printed(record)


@pytest.mark.parametrize("table", growth.TABLES)
def test_growth_asks_for_layers_that_there_are(table: str) -> None:
    for case in growth.TABLES[table]:
        names = [layer.name for layer in insens_tf.SwitchedNetwork(case.build()).layers]
        assert all(names[sweep] for sweep in case.sweeps)


def test_numbers_have_three_digits() -> None:
    shown = {
        0.012345: "0.0123",
        0.5: "0.500",
        1.0: "1",
        0.99999: "1.00",
        9.999: "10.0",
        12.34: "12.3",
        12345.6: "12,300",
        25088: "25,088",
        0: "0",
    }
    assert [report.number(value) for value in shown] == list(shown.values())


@pytest.mark.parametrize(
    ("first", "later", "shown"),
    [(3 * MEBIBYTE, MEBIBYTE, "3.0 MiB"), (0, MEBIBYTE, "1.0 MiB"), (None, None, "not known")],
)
def test_the_larger_memory_of_both_calls_is_shown(
    first: int | None, later: int | None, shown: str
) -> None:
    row = {**ROW, "first_call_memory": first, "later_call_memory": later}
    record = {"rounds": 1, "cores": 2, "versions": {"python": "3.11"}, "size": [row]}
    last_line = report.markdown(record).splitlines()[-1]
    assert last_line.split("|")[-2].strip() == shown


def test_tables_go_to_their_place_on_a_page() -> None:
    page = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\n"
    assert inserted(page, "one", "new\\1\n") == page.replace("old", "\nnew\\1\n")
    for wrong in (page + page, "none"):
        with pytest.raises(ValueError, match="expected one place for 'one' on the page, found"):
            inserted(wrong, "one", "new")


def test_the_command_fills_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE.read_text("utf-8"), "utf-8")
    run(monkeypatch, report.main, *RESULTS, "--into", tmp_path / "page.md")
    # That it changes nothing says that the page has the committed results.
    assert (tmp_path / "page.md").read_text("utf-8") == PAGE.read_text("utf-8")


def test_every_table_on_the_page_has_its_results() -> None:
    named = {
        line.split()[1]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith("<!-- ") and line != "<!-- end -->"
    }
    assert named == {path.stem for path in RESULTS}
