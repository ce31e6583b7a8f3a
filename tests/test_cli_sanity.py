"""`insens-tf sanity`: what it writes is what the library gives, and how it fails."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from insens_tf.cli import sanity_command
from insens_tf.evaluation import CHECKS, CORRELATIONS, RandomisationCheck, randomisation_check
from tests.small_images import SIDE, small_convolutional

pytestmark = pytest.mark.xdist_group("sanity")  # making the model and its files takes long
FILES = ["correlations.csv", "correlations.png", "run.json", "summary.csv"]


class Given(NamedTuple):
    """A model and images, in files and as they are read from them."""

    folder: Path
    model: Any
    x: np.ndarray
    x_train: np.ndarray

    @property
    def paths(self) -> tuple[str, str]:
        return str(self.folder / "model.keras"), str(self.folder / "images.npz")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("sanity")
    model = small_convolutional(outputs=2)
    model.save(folder / "model.keras")
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (3, SIDE, SIDE), np.uint8)
    training = generator.integers(0, 256, (30, SIDE, SIDE), np.uint8)
    np.savez(folder / "images.npz", x_test=images, x_train=training)
    x, x_train = (
        one[..., np.newaxis].astype(np.float32) / np.float32(255) for one in (images, training)
    )
    return Given(folder, model, x, x_train)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_written(out: Path, expected: dict[str, list[RandomisationCheck]]) -> None:
    assert sorted(os.listdir(out)) == FILES
    values = {
        (row["method"], row["check"], row["layer"], row["correlation"], row["image"]): row["value"]
        for row in rows_of(out / "correlations.csv")
    }
    summary = {
        (row["method"], row["check"], row["layer"], row["correlation"]): row
        for row in rows_of(out / "summary.csv")
    }
    number = 0
    for method, checks in expected.items():
        for check in checks:
            for kind, correlations in check.correlations.items():
                for step, layer in enumerate(check.layers):
                    key = method, check.check, layer, kind
                    of_images = [values.pop((*key, f"image {i}")) for i in range(3)]
                    found = [float(value) for value in of_images]
                    assert np.array_equal(found, correlations[step], equal_nan=True)
                    row = summary[key]
                    assert (row["images"], int(row["defined"])) == ("3", np.isfinite(found).sum())
                    # Where none is defined, both are NaN.
                    moments = [check.mean(kind)[step], check.variance(kind)[step]]
                    written = [float(row[name]) for name in ("mean", "variance")]
                    assert np.array_equal(written, moments, equal_nan=True)
                    number += 1
    assert (len(summary), values) == (number, {})
    assert np.asarray(Image.open(out / "correlations.png")).std() > 0


@pytest.mark.slow
def test_it_writes_what_the_library_gives(
    given: Given, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanity_command, "BATCH_SIZE", 20)  # the training images are more than one
    out = tmp_path / "results"
    done = call(
        *("sanity", *given.paths, "--methods", "switched.weights, insens", "--layer", "-1"),
        *("--frequency-from", given.paths[1], "--seed", "5", "--out", str(out)),
    )
    assert (done.code, done.err) == (0, "")
    assert re.search(r"Read 30 images .* \(x_train\)", done.out)
    assert done.out.splitlines()[-1] == (
        f"Wrote correlations.csv, summary.csv and correlations.png to {out}."
    )

    def checks(method: str, **arguments: Any) -> list[RandomisationCheck]:
        return [
            randomisation_check(
                *(given.model, given.x, method),
                check=check,
                arguments=arguments,
                x_train=given.x_train,
                seed=5,
            )
            for check in CHECKS
        ]

    expected = {
        "switched.weights": checks("switched.weights"),
        "insens/dense": checks("insens", layer="dense"),
    }
    assert_written(out, expected)
    record = json.loads((out / "run.json").read_text())
    assert record["command"] == "sanity"
    assert record["methods"] == list(expected)
    assert (record["seed"], record["neuron"], record["checks"]) == (5, "original", list(CHECKS))


def test_one_check_of_each_networks_own_prediction(given: Given, call: Any, tmp_path: Path) -> None:
    out = tmp_path / "results"
    done = call(
        *("sanity", *given.paths, "--methods", "switched.contribution", "--neuron", "own"),
        *("--check", "independent", "--first", "3", "--out", str(out)),
    )
    assert (done.code, done.err) == (0, "")
    check = randomisation_check(
        *(given.model, given.x, "switched.contribution"), check="independent", neuron="own"
    )
    assert_written(out, {"switched.contribution": [check]})


def test_without_frequencies_it_is_said_once(given: Given, call: Any, tmp_path: Path) -> None:
    done = call(
        *("sanity", *given.paths, "--methods", "insens", "--check", "cascading"),
        *("--out", str(tmp_path / "results")),
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.count("every neuron weighs the same") == 1
    kinds = {row["correlation"] for row in rows_of(tmp_path / "results" / "summary.csv")}
    assert kinds == set(CORRELATIONS)


def test_innvestigates_methods(given: Given, call: Any, tmp_path: Path) -> None:
    out = tmp_path / "results"
    methods = ("--methods", "smoothgrad", "--check", "independent")
    done = call("sanity", *given.paths, *methods, "--out", str(out))
    assert (done.code, done.err) == (0, "")
    check = randomisation_check(
        *(given.model, given.x, "smoothgrad"), check="independent", arguments={"seed": 0}
    )
    assert_written(out, {"smoothgrad": [check]})


@pytest.mark.slow
def test_innvestigates_methods_are_checked_on_every_python(
    given: Given, call: Any, tmp_path: Path
) -> None:
    arguments = ("sanity", *given.paths, "--check", "independent", "--out", str(tmp_path / "o"))
    done = call(*arguments, "--methods", "deep_taylor,gradient,lrp.z,insens")
    assert done.code == 0, done.err
    assert "left out" not in done.err
    methods = {row["method"] for row in rows_of(tmp_path / "o" / "summary.csv")}
    assert methods == {"deep_taylor", "gradient", "lrp.z", "insens/dense"}


def test_help_has_examples(call: Any) -> None:
    done = call("sanity", "--help")
    assert (done.code, done.err) == (0, "")
    assert "  Examples:\n    insens-tf sanity" in done.out


MISTAKES = {
    "a layer and no insens": (["--methods", "switched.weights", "--layer", "0"], "are for insens"),
    "no such method": (["--methods", "insen"], r"no such method \(did you mean insens\?\)"),
    "no such layer": (["--methods", "insens", "--layer", "dens"], "dens: .*mean dense.*conv"),
    "no such check": (["--check", "both"], "'both' is not one of 'cascading', 'independent'"),
    "a frequency of one network": (
        ["--methods", "insens", "--frequency-from", "{folder}/frequency.npz"],
        r"frequency\.npz holds the activation frequency of one network; expected training images",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_said_in_one_line(name: str, given: Given, call: Any, tmp_path: Path) -> None:
    np.savez(given.folder / "frequency.npz", samples=3, **{"counts/dense": np.zeros(6, int)})
    arguments, message = MISTAKES[name]
    filled = [one.replace("{folder}", str(given.folder)) for one in arguments]
    done = call("sanity", *given.paths, *filled, "--out", str(tmp_path / "results"))
    assert done.code != 0
    assert done.err.count("\n") == 1
    assert re.search(message, done.err)
    assert os.listdir(tmp_path) == []
