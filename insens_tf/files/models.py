"""Keras models from files, none of whose code is run.

What Keras does with code in a file differs with its version and the file's form: a `Lambda` layer
is refused by its safe mode in `.keras` files, but loaded from `.h5` files by Keras 2; functions and
classes are looked up in any module that a file names; a SavedModel runs TensorFlow graphs, which
can write files. So what is stored is looked through before Keras sees it, and of a SavedModel
only the configuration and the weights are taken.
"""

from __future__ import annotations

import builtins
import importlib.metadata
import json
import os
import re
import zipfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from insens_tf.files.arrays import check_archive
from insens_tf.files.file_errors import UnusableFileError, neighbours, one_line, reading

__all__ = [
    "begins_with_scaling",
    "check_model_path",
    "load_model",
    "refuse_code",
    "stored_config",
]

_MODEL_ENDINGS = (".keras", ".h5", ".hdf5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MODEL_FORMS = "a .keras file, an .h5 file or a SavedModel folder"
_REBUILD = "build the model in Python and hand it to insens_tf.SwitchedNetwork"

# The modules in which a file may look up classes and functions: those that models are made of.
# Other modules are of the file's choosing, or have functions that read and write files.
_TRUSTED_MODULES = re.compile(
    r"(keras|tf_keras)(\.src)?(\.(activations|constraints|dtype_policies|engine|initializers|layers"
    r"|losses|metrics|mixed_precision|models|ops|optimizers|regularizers)(\.[\w.]+)?)?"
    r"|tensorflow\.python\.(framework|ops)\.\w+"
)
_MODELS = ("Functional", "Model", "Sequential")
# The TensorFlow functions that models of Keras 2 may call, since they only compute.
_TRUSTED_FUNCTIONS = re.compile(
    r"(compat\.v[12]\.)?((math|nn|__operators__|linalg|keras\.activations|keras\.backend)\.\w+"
    r"|cast|clip_by_value|concat|expand_dims|identity|ones_like|pad|repeat|reshape|reverse|shape"
    r"|slice|split|squeeze|stack|strided_slice|tile|transpose|unstack|where|zeros_like)"
)
_CODE = {
    "Lambda": "Python code that loading would run",
    "__lambda__": "Python code that loading would run",
    "ClassMethod": "a method of the file's choosing, which loading would run",
    "InstanceMethod": "a method of the file's choosing, which loading would run",
    "InstanceProperty": "a property of the file's choosing, which loading would run",
    "TFSMLayer": "a TensorFlow graph, which can read and write files",
    "TorchModuleWrapper": "a pickle, which loading would run",
    "JaxLayer": "a function, which loading would run",
    "FlaxLayer": "a function, which loading would run",
    "StringLookup": "a vocabulary, which loading would read from any file",
    "IntegerLookup": "a vocabulary, which loading would read from any file",
    "TextVectorization": "a vocabulary, which loading would read from any file",
}
"""Layers that bring along more than arithmetic: what it is."""


def check_model_path(path: str | os.PathLike[str]) -> Path:
    """Check, without TensorFlow, that a path can be a saved Keras model.

    Parameters
    ----------
    path : str or path
        A `.keras` file, an `.h5` or `.hdf5` file, or a SavedModel folder.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UnusableFileError
        If there is nothing at this path, or something of another form.
    """
    path = Path(path)
    if not path.exists():
        raise UnusableFileError(
            f"model {path} does not exist; expected {_MODEL_FORMS}{neighbours(path)}"
        )
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise UnusableFileError(
                f"model {path} is a folder without saved_model.pb, so no SavedModel; expected "
                f"{_MODEL_FORMS}"
            )
        return path
    if path.suffix.lower() not in _MODEL_ENDINGS:
        raise UnusableFileError(
            f"model {path} ends in {path.suffix or 'nothing'!r}; expected {_MODEL_FORMS}, as "
            "model.save writes them"
        )
    with reading(path, "model"):
        with path.open("rb") as file:
            start = file.read(len(_HDF5_SIGNATURE))
        known = start == _HDF5_SIGNATURE or _is_keras_archive(path)
    if not known:
        raise UnusableFileError(
            f"model {path} is no saved Keras model: its content is neither that of a .keras file "
            "nor HDF5 (truncated, or something else under this name?)"
        )
    return path


def load_model(path: str | os.PathLike[str]) -> Any:
    """Load a Keras model from a file, without its optimizer, losses and metrics.

    A file whose loading would run code that it brings along, `Lambda` layers above all, is refused
    in every form. Of a SavedModel folder the configuration and the weights are read, and no graph.

    Parameters
    ----------
    path : str or path
        A `.keras` file, an `.h5` or `.hdf5` file, or (with Keras 2 or tf_keras) a SavedModel folder
        that was written from a Sequential or functional Keras model.

    Returns
    -------
    Keras model

    Raises
    ------
    UnusableFileError
        If there is no such file, it is damaged, holds no Keras model, would run code, or refers to
        other files.
    """
    path = check_model_path(path)
    if path.is_dir():
        return _from_saved_model(path)
    with reading(path, "model"):
        refuse_code(path, stored_config(path))

    from insens_tf.keras_versions import first_that_can, other_backend

    def load(keras: Any) -> Any:
        # Safe mode, where the form has one, is Keras' default, but may have been turned off.
        arguments = {"safe_mode": True} if _is_keras_archive(path) else {}
        return keras.models.load_model(path, compile=False, **arguments)

    try:
        model = first_that_can(load)
    except Exception as error:
        # A damaged or foreign file can make Keras raise anything, and whatever it is, it is the
        # file's fault.
        raise UnusableFileError(
            f"model {path}{_written_by_another_keras(path)} cannot be loaded by Keras: "
            f"{other_backend() or one_line(error, 300)}"
        ) from error
    if not hasattr(model, "layers"):
        raise UnusableFileError(
            f"model {path} holds {type(model).__name__}, which is no model; {_REBUILD}"
        )
    return model


def _written_by_another_keras(path: Path) -> str:
    """Say which Keras wrote a file, and the way out, where this is another one."""
    written = _version_of_keras(path)
    here = importlib.metadata.version("keras")
    if written is None or written.partition(".")[0] == here.partition(".")[0]:
        return ""
    way_out = f"load it with Keras {written.partition('.')[0]}, and build it with Keras here"
    if written.startswith("2."):
        way_out = "install tf_keras, and if it is a .keras file, save it with Keras 2 as .h5 first"
    return f" (written by Keras {written}, and this is {here}: {way_out})"


def _version_of_keras(path: Path) -> str | None:
    import h5py  # type: ignore[import-untyped]

    try:
        if _is_keras_archive(path):
            with zipfile.ZipFile(path) as archive:
                version = json.loads(archive.read("metadata.json"))["keras_version"]
        else:
            with h5py.File(path, "r") as file:
                version = file.attrs["keras_version"]
    except (KeyError, OSError, TypeError, ValueError):
        return None
    return str(version) if re.fullmatch(r"\d+(\.\w+)+", str(version)) else None


def begins_with_scaling(model: Any) -> bool:
    """Say whether a Keras model begins with a `Rescaling` or `Normalization` layer."""
    layers = [
        layer for layer in getattr(model, "layers", []) if type(layer).__name__ != "InputLayer"
    ]
    if not layers:
        return False
    if getattr(layers[0], "layers", None):
        return begins_with_scaling(layers[0])
    return type(layers[0]).__name__ in {"Rescaling", "Normalization"}


def _is_keras_archive(path: Path) -> bool:
    # Decided exactly as Keras decides it: a file that is both an archive and HDF5 must not be
    # checked as the one and loaded as the other.
    return path.suffix == ".keras" and zipfile.is_zipfile(path)


def stored_config(path: Path) -> Any:
    """Give the configuration in a model file, which refers to no other file."""
    import h5py

    if _is_keras_archive(path):
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            if "config.json" not in members:
                raise UnusableFileError(
                    f"model {path} is an archive without config.json, so not written by Keras"
                )
            check_archive(archive, path, members)
            for member in map(PurePosixPath, members):
                if member.is_absolute() or ".." in member.parts:
                    raise UnusableFileError(f"model {path} holds {member}, outside of itself")
                if member.suffix == ".h5":
                    with archive.open(str(member)) as stored, h5py.File(stored, "r") as file:
                        _check_hdf5(path, file)
            config = json.loads(archive.read("config.json"))
            # It is not read where nothing is trained, and may name losses of the user's own.
            return {key: value for key, value in config.items() if key != "compile_config"}
    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if config is None:
            raise UnusableFileError(
                f"model {path} holds weights only, no architecture (save_weights?); save it with "
                "model.save"
            )
        _check_hdf5(path, file)
        return json.loads(config)


def _check_hdf5(path: Path, group: Any) -> None:
    """Raise `UnusableFileError` if HDF5 refers to other files or unfolds beyond all measure."""
    import h5py

    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise UnusableFileError(f"model {path} refers to another file for its weights {name}")
        # Soft links may lead round in circles; neither they nor what they lead to is read.
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise UnusableFileError(f"model {path} holds a link, {name}; expected weights")
        member = group[name]
        if isinstance(member, h5py.Group):
            _check_hdf5(path, member)
        elif member.external or member.is_virtual:
            raise UnusableFileError(f"model {path} refers to another file for its weights {name}")
        elif member.nbytes > max(2**20, 1000 * member.id.get_storage_size()):
            raise UnusableFileError(
                f"model {path} unfolds its weights {name} from {member.id.get_storage_size():,} to "
                f"{member.nbytes:,} bytes, which is taken for a decompression bomb"
            )


def _from_saved_model(path: Path) -> Any:
    """Rebuild the model that a SavedModel was written from: its configuration and its weights."""
    keras, metadata = _keras_of_saved_models(path)
    with reading(path, "model"):
        if not (path / "keras_metadata.pb").is_file():
            raise UnusableFileError(
                f"model {path} is a SavedModel without a Keras model in it (written by "
                "tf.saved_model.save or model.export?); save it with model.save, as a .keras file "
                "say"
            )
        saved = metadata.SavedMetadata()
        saved.ParseFromString((path / "keras_metadata.pb").read_bytes())
        roots = [json.loads(node.metadata) for node in saved.nodes if node.node_path == "root"]
        if len(roots) != 1 or roots[0].get("class_name") not in _MODELS:
            raise UnusableFileError(
                f"model {path} is a SavedModel of a model that is neither Sequential nor "
                f"functional; {_REBUILD}"
            )
        config = {key: roots[0][key] for key in ("class_name", "config")}
        refuse_code(path, config)
        model = keras.models.model_from_json(json.dumps(config))
        weights = model.load_weights(str(path / "variables" / "variables"))
        weights.assert_existing_objects_matched()
        weights.expect_partial()
    return model


def _keras_of_saved_models(path: Path) -> tuple[Any, Any]:
    """Give a Keras 2, and what parses its part of a SavedModel."""
    import tensorflow as tf

    for package in ("keras", "tf_keras"):
        try:
            metadata = import_module(f"{package}.protobuf.saved_metadata_pb2")
        except ImportError:
            continue
        return (tf.keras if package == "keras" else import_module(package)), metadata
    raise UnusableFileError(
        f"model {path} is a SavedModel folder, which Keras 3 does not read; install tf_keras, or "
        "save the model as a .keras file where it was made"
    )


def refuse_code(path: Path, config: Any) -> None:
    """Raise `UnusableFileError` if a stored configuration would run code when it is loaded."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            _refuse_object(path, config)
        for value in config.values():
            refuse_code(path, value)
    elif isinstance(config, list | tuple):
        for value in config:
            refuse_code(path, value)


def _refuse_object(path: Path, config: Mapping[str, Any]) -> None:
    class_name, module = str(config["class_name"]), config.get("module")
    # Keras knows objects of packages by "package>name" too.
    if brought := _CODE.get(class_name.rpartition(">")[2]):
        raise UnusableFileError(f"model {path} holds a {class_name}: {brought}; {_REBUILD}")
    inner = config.get("config")
    if class_name in ("TFOpLambda", "SlicingOpLambda"):
        function = inner.get("function") if isinstance(inner, Mapping) else None
        if not isinstance(function, str) or not _TRUSTED_FUNCTIONS.fullmatch(function):
            raise UnusableFileError(
                f"model {path} calls TensorFlow's {function}, which may do more than compute; "
                f"{_REBUILD}"
            )
    if module is None:
        return
    if module == "builtins":
        # Keras 2 stores activations under this module; Python's own function of a name is refused.
        trusted = class_name == "function" and not hasattr(builtins, str(inner))
    else:
        trusted = isinstance(module, str) and bool(_TRUSTED_MODULES.fullmatch(module))
        if trusted and re.fullmatch(r"(tf_)?keras(\.src)?(\.models(\.\w+)*)?", module):
            trusted = class_name in (*_MODELS, "DTypePolicy", "Variable")
    if not trusted:
        raise UnusableFileError(
            f"model {path} holds {class_name} of the module {module}, which loading would import "
            f"and run; {_REBUILD}"
        )
