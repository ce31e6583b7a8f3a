"""survey: a network over a whole data set, by workers, kept as it comes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from insens_tf import __version__, files
from insens_tf.activation_frequency import ActivationFrequency
from insens_tf.argument_types import LayerLike
from insens_tf.arguments import one_of, whole_number
from insens_tf.batches import BATCH_SIZE
from insens_tf.data_batches import batches_of
from insens_tf.frequency_check import checked_frequency
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.network import SwitchedNetwork
from insens_tf.parallel import Engine, backend_of
from insens_tf.surveys.survey_inputs import SurveyInputs, inputs_in_files, inputs_of_batches
from insens_tf.surveys.survey_merge import merge_shards
from insens_tf.surveys.survey_store import Survey
from insens_tf.surveys.survey_work import (
    FREQUENCY,
    ShardTask,
    SurveyWork,
    compute_shard,
    shard_name,
)

__all__ = ["SHARD", "WHAT", "survey"]

WHAT = ("frequency", "top", "margins", "insens")
SHARD = 512
"""How many inputs a shard has unless told otherwise."""
TOP = 9
_GIVEN_FREQUENCY = "frequency_given.npz"
_WORK = "work.json"


def survey(
    model: Any,
    source: Any,
    out: str | os.PathLike[str],
    what: Sequence[str] = WHAT,
    jobs: int = 2,
    scheduler: str | None = None,
    *,
    layers: Sequence[LayerLike] | None = None,
    frequency: ActivationFrequency | None = None,
    top: int = TOP,
    key: str | None = None,
    first: int | None = None,
    scale: str = "auto",
    resize: bool = False,
    grayscale: bool = False,
    shard: int = SHARD,
    memory_budget: int = 512 * 2**20,
    smooth_activations: str | None = None,
    overwrite: bool = False,
    restart: bool = False,
    progress: bool = True,
) -> Survey:
    """Compute what a network does over a whole data set, over processes or a Dask cluster.

    The data set is cut into shards of fixed size, which workers of one thread each compute: the
    numbers are the same to the bit however many workers there are. What is done is kept in
    `<out>.unfinished`; ended at any moment, the same call continues.

    Parameters
    ----------
    model : Keras model, str or path
        A path: a file that `files.load_model` reads.
    source : array, tf.data.Dataset, str, path or list of paths
        The inputs, as the model takes them: an array (n, *input_shape), or a finite data set of
        batches; these are written beside `out` until the work is done. Or files: one `.npy`,
        `.npz`, `.h5` or `.hdf5`, pictures, or folders of them, of which each worker reads what it
        needs.
    out : str or path
        The folder to come.
    what : sequence of {"frequency", "top", "margins", "insens"}
        How often each neuron is active; which inputs drive each channel most; how far neurons are
        from where they switch (L2); the maps of Insens.
    jobs : int
        How many processes of this machine; or, with `scheduler="local"`, of a Dask cluster here.
    scheduler : str, optional
        The address of a Dask cluster whose workers see the same files; "local" starts one.
    layers : list of str, int, HiddenLayer or Keras layer, optional
        Which hidden layers; None: every one.
    frequency : ActivationFrequency, optional
        What Insens is weighted with. None: the frequency over these very inputs if that is among
        `what`; otherwise every neuron weighs 1.
    top : int
        How many inputs a channel.
    key : str, optional
        Which array of an `.npz` or HDF5 file.
    first : int, optional
        Take only so many inputs of files.
    scale, resize, grayscale
        How files are brought to what the model takes: as `files.fit_to_model` has them.
    shard : int
        How many inputs a shard has: what is lost at most where a worker is ended.
    memory_budget, smooth_activations
        As `SwitchedNetwork` has them, for each worker.
    overwrite, restart : bool
        Whether to replace earlier results at `out`, and to begin anew where work is unfinished.
    progress : bool
        Whether to show a progress bar where it takes longer.

    Returns
    -------
    Survey

    Raises
    ------
    ValueError
        If an argument is wrong, or inputs do not fit the model; the message says which.
    UnusableFileError
        If a file cannot be read or written, or there is unfinished work of another model, of other
        inputs or options; the message names what has changed.
    LostWorkerError
        If a process was ended from outside; the same call continues.
    """
    what = _checked_what(what)
    whole_number("top", top, least=1, of="inputs")
    whole_number("shard", shard, least=1, of="inputs")
    # Workers have one thread each, so that results do not depend on how many there are.
    engine = Engine(whole_number("jobs", jobs, least=1), *backend_of(scheduler), threads=1)
    out = Path(os.path.realpath(out))
    files.check_resumable(out, replace=overwrite, restart=restart)
    arguments: dict[str, Any] = {
        "memory_budget": memory_budget,
        "smooth_activations": smooth_activations,
    }
    with _beside(out) as aside:
        path, digest = _stored(model, aside)
        loaded = files.load_model(path) if path == model else model
        network = SwitchedNetwork(loaded, **arguments)
        chosen = _chosen(network, layers, frequency)
        fitting = {
            "input_shape": network.input_shape,
            "model_scales": files.begins_with_scaling(loaded),
            **{"scale": scale, "resize": resize, "grayscale": grayscale},
        }
        inputs, data = _inputs(source, network, key, first, aside, fitting)
        work = SurveyWork(
            folder=str(files.unfinished_folder(out)),
            model=os.path.abspath(path),
            network=arguments,
            inputs=asdict(inputs),
            layers=[one.name for one in chosen],
            what=what,
            top=top,
            shard=shard,
        )
        settings = _settings(work, digest, data, frequency)
        record = _record(work, chosen, network, settings)
        with files.resumable_results(
            out, record, settings, replace=overwrite, restart=restart
        ) as unfinished:
            _compute(work, engine, frequency, progress)
            (unfinished.folder / _WORK).unlink()
    return Survey.open(out)


def _chosen(
    network: SwitchedNetwork,
    layers: Sequence[LayerLike] | None,
    frequency: ActivationFrequency | None,
) -> list[HiddenLayer]:
    """Return the layers that are meant; check the frequency that is given of them."""
    chosen = network.layer(list(network.layers) if layers is None else list(layers), output=False)
    if frequency is not None:
        checked_frequency(frequency, chosen, single=False)
    return chosen


def _record(
    work: SurveyWork,
    layers: Sequence[HiddenLayer],
    network: SwitchedNetwork,
    settings: Mapping[str, str],
) -> dict[str, Any]:
    """Return the index of the store, which says how it came about, too."""
    paths = [Path(path) for path in work.inputs["paths"]]
    return {
        **{"program": "insens-tf", "version": __version__, "command": "survey"},
        **{"what": work.what, "inputs": work.inputs["count"], "shard": work.shard},
        "layers": [asdict(one) for one in layers],
        "input_shape": network.input_shape,
        "names": files.unique_names(paths) if len(paths) > 1 else None,
        "settings": settings,
    }


def _settings(
    work: SurveyWork,
    model: str,
    data: Mapping[str, str],
    frequency: ActivationFrequency | None,
) -> dict[str, str]:
    """Return all that the results depend on; with the same, the work goes on."""
    options = {
        **{"what": work.what, "layers": work.layers, "top": work.top, "shard": work.shard},
        **{"inputs": work.inputs["count"], "key": work.inputs["key"]},
        **work.network,
        **(work.inputs["fitting"] or {}),
    }
    return {
        **{name: json.dumps(value) for name, value in options.items()},
        "insens_tf": __version__,
        **{name: import_module(name).__version__ for name in ("numpy", "tensorflow", "keras")},
        "the model": model,
        "the given frequency": _digest_of_frequency(frequency),
        **data,
    }


def _compute(
    work: SurveyWork, engine: Engine, frequency: ActivationFrequency | None, progress: bool
) -> None:
    """Compute the shards that are not there, and merge them."""
    folder = Path(work.folder)
    if set(work.what) - {"insens"}:
        _compute_shards(work, "states", engine, progress)
        merge_shards(work)
    if "insens" in work.what:
        weights = None
        if frequency is not None:
            weights = folder / _GIVEN_FREQUENCY
            frequency.save(weights)
        elif "frequency" in work.what:
            weights = folder / FREQUENCY
        weighted = replace(work, frequency=None if weights is None else str(weights))
        _compute_shards(weighted, "insens", engine, progress)


def _compute_shards(work: SurveyWork, kind: str, engine: Engine, progress: bool) -> None:
    folder = Path(work.folder)
    path = folder / _WORK
    with files.whole_file(path) as partial:
        partial.write_text(json.dumps(asdict(work)), encoding="utf-8")
    tasks = [
        ShardTask(str(path), kind, number)
        for number in range(work.shards)
        if not (folder / shard_name(kind, number)).exists()
    ]
    for _ in engine.map(compute_shard, tasks, f"survey, {kind}", shown=progress):
        pass


def _checked_what(what: Sequence[str]) -> tuple[str, ...]:
    if isinstance(what, str) or not what:
        raise ValueError(f"what={what!r}: expected some of {', '.join(map(repr, WHAT))}")
    for one in what:
        one_of("what", one, WHAT)
    return tuple(one for one in WHAT if one in what)


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Give a path that copies of models and inputs stand beside as long as there is work."""
    try:
        yield out
    finally:
        if not files.unfinished_folder(out).parent.exists():
            for pattern in (f"{out.name}.inputs-*.npy", f"{out.name}.model-*.keras"):
                for path in out.parent.glob(pattern):
                    path.unlink(missing_ok=True)


def _stored(model: Any, aside: Path) -> tuple[Any, str]:
    """Return the path of a model that workers can load, and a digest of what it is."""
    if isinstance(model, (str, os.PathLike)):
        path = files.check_model_path(model)
        (fingerprint,) = files.fingerprints("model", path).values()
        return model, fingerprint
    digest = hashlib.sha256(model.to_json().encode())
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    name = digest.hexdigest()
    path = aside.with_name(f"{aside.name}.model-{name[:16]}.keras")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        partial = aside.with_name(f".{path.name}.part.keras")
        model.save(partial)
        os.replace(partial, path)
    return path, f"sha256:{name}"


def _inputs(
    source: Any,
    network: SwitchedNetwork,
    key: str | None,
    first: int | None,
    aside: Path,
    fitting: Mapping[str, Any],
) -> tuple[SurveyInputs, dict[str, str]]:
    if isinstance(source, (str, os.PathLike)):
        source = [source]
    if isinstance(source, (list, tuple)) and all(
        isinstance(one, (str, os.PathLike)) for one in source
    ):
        return inputs_in_files(source, key, first, aside, fitting)
    if key is not None or first is not None:
        raise ValueError("key and first are for files; came an array or a data set")
    batches, _ = batches_of(source, BATCH_SIZE, None)
    return inputs_of_batches(
        (network.input_spec.check(batch, "source") for batch in batches), aside
    )


def _digest_of_frequency(frequency: ActivationFrequency | None) -> str:
    if frequency is None:
        return "none"
    digest = hashlib.sha256(f"{frequency.samples} {list(frequency)}".encode())
    for count in frequency.counts.values():
        digest.update(np.ascontiguousarray(count).tobytes())
    return f"sha256:{digest.hexdigest()}"
