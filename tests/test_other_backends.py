"""Models that were trained with another of Keras 3's backends, read with TensorFlow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import insens_tf
from insens_tf.files import load_model, read_npz
from tests.conftest import with_keras_3
from tests.oracle import Oracle, assert_agrees

pytestmark = with_keras_3

DATA = Path(__file__).parent / "data"
FLOAT32 = 1e-5


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_of_another_backend_is_read(backend: str) -> None:
    """`tests/backend_models.py` has trained them, and kept what the backend itself computes."""
    model = load_model(DATA / f"trained_with_{backend}.keras")
    kept = read_npz(DATA / f"trained_with_{backend}.npz")
    x = kept["x"]

    network = insens_tf.SwitchedNetwork(model)

    assert_agrees(model(x), kept["outputs"], FLOAT32)
    assert [layer.name for layer in network.layers] == ["norm_1", "skip", "dense"]
    references = Oracle(model).references(x)
    for layer, reference in zip((*network.layers, network.output), references, strict=True):
        p = network.project(x, layer)
        for quantity in ("activity", "bias", "weights", "centre"):
            assert_agrees(getattr(p, quantity), getattr(reference, quantity), FLOAT32)
    # What was trained is what the backend says: the softmax of the logits, by hand.
    shares = np.exp(references[-1].activity)
    assert_agrees(shares / shares.sum(axis=1, keepdims=True), kept["outputs"], FLOAT32)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "numpy"])
def test_in_a_process_with_another_backend_models_are_refused(backend: str, tmp_path: Path) -> None:
    """As if JAX were not installed; and with the backend that needs nothing that is not here."""
    (tmp_path / "jax.py").write_text("raise ModuleNotFoundError('No module named jax')")
    done = run_with(backend, tmp_path, "layers", str(DATA / "trained_with_jax.keras"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert re.search(f"the backend '{backend}'.*KERAS_BACKEND=tensorflow", done.stderr)


def run_with(backend: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with a backend, in a folder whose modules come first."""
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join([str(folder), root])
    # As on a user's terminal.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-m", "insens_tf", *arguments],
        cwd=folder,
        env=environment | {"KERAS_BACKEND": backend, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
