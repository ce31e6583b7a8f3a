"""iNNvestigate alone, in a process with eager mode off: what the baselines are held against.

Run as ``python -m tests.baselines_reference DIRECTORY FILE...``; it leaves the files that are
named, one a case, which have either the map or the error that iNNvestigate raises. Last come a few
of our baselines, as they run in such a process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path

import innvestigate
import numpy as np
import tensorflow as tf

from tests.baselines_cases import (
    ARGUMENTS,
    CASES,
    CASES_WITH_EAGER_MODE_OFF,
    SELECTIONS,
    Case,
    build,
    images,
)


def file_name(case: Case) -> str:
    """Return the name of a case's file."""
    return f"{'-'.join(case)}.npz"


def analyze(model_name: str, analyzer: str, mode: str) -> np.ndarray:
    """Run iNNvestigate as its documentation says, on the form of a model that it can take."""
    # What one analyzer leaves in the graph slows the next one down.
    tf.keras.backend.clear_session()
    # Without it, batch normalisation cannot be differentiated.
    tf.keras.backend.set_learning_phase(0)
    model = build(model_name, plain=True)
    arguments = dict(ARGUMENTS.get(analyzer, {}))
    if getattr(model.layers[-1], "activation", None) is tf.keras.activations.softmax:
        model = innvestigate.model_wo_softmax(model)
        # The input is a layer of this model, and not of the Sequential one.
        if "until_layer_idx" in arguments:
            arguments["until_layer_idx"] += 1
    created = innvestigate.create_analyzer(analyzer, model, neuron_selection_mode=mode, **arguments)
    return created.analyze(images(model_name, model), **SELECTIONS.get(mode, {}))


def analyze_with_ours(model_name: str, analyzer: str, mode: str) -> np.ndarray:
    """Run our baseline on the model as users write it."""
    from insens_tf.baselines import create_baseline

    model = build(model_name)
    arguments = ARGUMENTS.get(analyzer, {})
    baseline = create_baseline(analyzer, model, neuron_selection_mode=mode, **arguments)
    return baseline.analyze(images(model_name, model), **SELECTIONS.get(mode, {}))


def main(directory: Path, wanted: Collection[str]) -> None:
    """Run the cases whose files are wanted."""
    tf.compat.v1.disable_eager_execution()
    for case in CASES:
        if file_name(case) in wanted:
            save(directory / file_name(case), analyze, case)
    for case in CASES_WITH_EAGER_MODE_OFF:
        if file_name(case) in wanted:
            save(directory / f"ours-{file_name(case)}", analyze_with_ours, case)


def save(path: Path, analysis: Callable[..., np.ndarray], case: Case) -> None:
    """Write what an analysis gives, or raises; the file appears when it is complete."""
    results: dict[str, np.ndarray | str]
    try:
        results = {"map": analysis(*case)}
    except Exception as error:
        results = {"error": f"{type(error).__name__}: {error}"}
    unfinished = path.with_name("unfinished.npz")
    np.savez(unfinished, **results)
    unfinished.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
