"""Malformed arguments, models and files: each is to be refused in words of ours.

Each entry of `MALFORMED` takes a source of random choices and an empty folder, and does something
that is wrong. It ends in an error of ours, whichever; where what was drawn turns out to be harmless
(a flipped bit that nobody reads), it ends without. `Disagreement` says that something wrong was
taken for right.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tensorflow import keras

from insens_tf import ActivationFrequency, SwitchedNetwork, files
from insens_tf.cli import main
from tests.architectures import randomise
from tests.properties import Disagreement

SHAPE = (6, 6, 1)

Malformed = Callable[[Random, Path], Any]

MALFORMED: dict[str, Malformed] = {}
"""By name; the fuzz run takes them in turn."""


class RefusedCommand(Exception):
    """A command ended with one line and an exit code other than 0."""


def _malformed(function: Malformed) -> Malformed:
    MALFORMED[function.__name__.replace("_", " ")] = function
    return function


def _accepted(what: str) -> Disagreement:
    return Disagreement(f"{what} was accepted")


def _model() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(2, 3, activation="relu", name="first"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="relu", name="second"),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    randomise(model, 0)
    return model


@cache
def _network() -> SwitchedNetwork:
    return SwitchedNetwork(_model())


def _images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, *SHAPE)).astype(np.float32)


CALLS: tuple[Callable[[SwitchedNetwork, Any], Any], ...] = (
    lambda network, x: network.activity(x, "second"),
    lambda network, x: network.project(x, "second"),
    lambda network, x: list(network.iterate_projections(x, "first")),
    lambda network, x: network.activation_frequency(x, progress=False),
    lambda network, x: network.insens(x, "second", progress=False),
    lambda network, x: network.insens(x, ["first", "second"], state="all", progress=False),
    lambda network, x: network.estimate_insens(x, "second", probes=16, progress=False),
)


def _call(random: Random, x: Any, what: str) -> None:
    random.choice(CALLS)(_network(), x)
    raise _accepted(what)


# --- arguments ------------------------------------------------------------------------------------


@_malformed
def inputs_of_a_wrong_shape(random: Random, folder: Path) -> None:
    rank = random.randint(0, 5)
    shape = tuple(random.choice([0, 1, 2, 5, 6, 7, 36]) for _ in range(rank))
    if shape[1:] != SHAPE:
        _call(random, np.zeros(shape), f"shape {shape}")


@_malformed
def inputs_that_are_no_numbers(random: Random, folder: Path) -> None:
    dtype = random.choice(["complex64", "U5", "S3", "O", "M8[s]", "m8[s]", "V4"])
    _call(random, np.zeros((2, *SHAPE)).astype("i8").astype(dtype), dtype)


@_malformed
def inputs_that_are_no_array(random: Random, folder: Path) -> None:
    things = [None, "x", 3, object(), [[1, 2], [3]], {"x": _images()}, {1, 2}, b"bytes", len]
    _call(random, random.choice(things), "no array")


@_malformed
def inputs_that_are_not_finite(random: Random, folder: Path) -> None:
    x = _images()
    x.flat[random.randrange(x.size)] = random.choice([np.nan, np.inf, -np.inf])
    _call(random, x, "NaN or infinity")


@_malformed
def inputs_that_are_too_large(random: Random, folder: Path) -> None:
    x = np.array(_images(), np.float64)
    x.flat[random.randrange(x.size)] = random.choice([1e39, -1e300, np.finfo(np.float64).max])
    _call(random, x, "more than float32 has")


@_malformed
def inputs_that_overflow_on_the_way(random: Random, folder: Path) -> None:
    x = np.full((1, *SHAPE), random.choice([3e38, -3e38]), np.float32)
    _finite_or_refused(random.choice(CALLS[:3] + CALLS[4:])(_network(), x))


@_malformed
def an_empty_batch(random: Random, folder: Path) -> None:
    _call(random, np.zeros((0, *SHAPE), random.choice(["f4", "u1", "f8"])), "an empty batch")


@_malformed
def inputs_of_other_dtypes(random: Random, folder: Path) -> None:
    """These are right, and give what float32 does."""
    whole = np.random.default_rng(random.randrange(99)).integers(0, 2, (2, *SHAPE))
    dtype = random.choice(["?", "u1", "i2", "i8", "f2", "f8", ">f4", ">i4"])
    expected = _network().insens(whole.astype(np.float32), "second", progress=False)
    other: Any = whole.astype(dtype)
    if not np.array_equal(_network().insens(other, "second", progress=False), expected):
        raise Disagreement(f"insens of {dtype}")


@_malformed
def unknown_layers(random: Random, folder: Path) -> None:
    things: list[Any] = [
        "third",
        "",
        2,
        -3,
        10**30,
        None,
        0.5,
        True,
        [],
        [None],
        ["first", "first"],
        object(),
    ]
    thing = random.choice(things)
    _network().insens(_images(), thing, progress=False)
    raise _accepted(f"layer={thing!r}")


@_malformed
def unknown_neurons(random: Random, folder: Path) -> None:
    things: list[Any] = [
        5,
        -1,
        [0, 99],
        (0, 0),
        [],
        "all",
        1.5,
        [None],
        [[0, 1], [2]],
        np.nan,
        10**30,
        {1: 2},
    ]
    thing = random.choice(things)
    _network().project(_images(), "second", thing)
    raise _accepted(f"neurons={thing!r}")


@_malformed
def wrong_frequencies(random: Random, folder: Path) -> None:
    values = [np.nan, np.inf, -0.1, 1.1, 1e300]
    things: list[Any] = [
        np.ones(4),
        np.ones((5, 1)),
        0.5,
        "often",
        {"first": np.ones(5)},
        {"second": None},
        {"second": [[1], [2, 3]]},
        object(),
        np.full(5, random.choice(values)),
        np.full(5, 1j),
    ]
    thing = random.choice(things)
    # NumPy warns of the imaginary part that it drops.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _network().insens(_images(), "second", thing, progress=False)
    raise _accepted(f"frequency={thing!r}")


@_malformed
def wrong_options(random: Random, folder: Path) -> None:
    thing = random.choice(["often", "", None, 3, ["all"], object()])
    option = random.choice(["state", "sensitivity", "way"])
    options: dict[str, Any] = {option: thing}
    _network().insens(_images(), "second", progress=False, **options)
    if options != {"way": None}:
        raise _accepted(f"{option}={thing!r}")


@_malformed
def wrong_sampling(random: Random, folder: Path) -> None:
    thing: Any = random.choice([-1, 1.5, "many", True, np.nan])
    option = random.choice(["tolerance", "probes", "most_passes", "seed"])
    _network().estimate_insens(_images(), "second", progress=False, **{option: thing})
    raise _accepted(f"{option}={thing!r}")


@_malformed
def wrong_counting(random: Random, folder: Path) -> None:
    option, thing = random.choice(
        [("batch_size", 0), ("batch_size", -5), ("steps", 0), ("steps", -1)]
    )
    options: dict[str, Any] = {option: thing}
    _network().activation_frequency(_images(), progress=False, **options)
    raise _accepted(f"{option}={thing!r}")


@_malformed
def wrong_plans(random: Random, folder: Path) -> None:
    thing: Any = random.choice(
        [(), (2, 6, 6), (0, *SHAPE), (-1, *SHAPE), "shape", 3, (1.5, *SHAPE)]
    )
    _network().plan(thing)
    raise _accepted(f"x_shape={thing!r}")


@_malformed
def wrong_memory_budgets(random: Random, folder: Path) -> None:
    thing: Any = random.choice([0, -1, 1.5, None, "1 GB", np.nan, True])
    SwitchedNetwork(_model(), memory_budget=thing)
    raise _accepted(f"memory_budget={thing!r}")


# --- models ---------------------------------------------------------------------------------------


@_malformed
def weights_that_are_not_finite(random: Random, folder: Path) -> None:
    model = _model()
    network = SwitchedNetwork(model)
    weight = random.choice(model.weights)
    values = np.array(weight)
    values.flat[random.randrange(values.size)] = random.choice([np.nan, np.inf, -np.inf])
    weight.assign(values)
    random.choice(CALLS)(network, _images())
    raise _accepted("NaN or infinity in the weights")


@_malformed
def weights_that_are_too_large(random: Random, folder: Path) -> None:
    model = _model()
    weight = random.choice(model.weights)
    weight.assign(np.array(weight) * np.float32(random.choice([1e15, 1e25, 1e37])))
    _finite_or_refused(random.choice(CALLS[:3] + CALLS[4:])(SwitchedNetwork(model), _images()))


@_malformed
def things_that_are_no_model(random: Random, folder: Path) -> None:
    unbuilt = keras.Sequential([keras.layers.Dense(3, activation="relu")])
    things = [None, "model.keras", 3, keras.layers.Dense(3), unbuilt, _network(), Path("model")]
    SwitchedNetwork(random.choice(things))
    raise _accepted("no model")


@_malformed
def models_that_bend(random: Random, folder: Path) -> None:
    inputs = keras.Input(SHAPE)
    activation = random.choice(["tanh", "sigmoid", "gelu", "elu", "selu", "swish", "softplus"])
    bent = keras.layers.Conv2D(2, 3, activation=activation)(inputs)
    bent = random.choice(
        [
            lambda: bent,
            lambda: keras.layers.Multiply()([inputs, inputs]),
            lambda: keras.layers.LayerNormalization()(inputs),
            lambda: keras.layers.Lambda(abs)(inputs),
        ]
    )()
    flat = keras.layers.Flatten()(keras.layers.ReLU()(bent))
    SwitchedNetwork(keras.Model(inputs, keras.layers.Dense(2)(flat)))
    raise _accepted("a model that is not piecewise linear")


def _finite_or_refused(results: Any) -> None:
    """Raise `Disagreement` if NaN or infinity came out without a word."""
    for one in results if isinstance(results, list) else [results]:
        for name in ("activity", "weights", "omega", "standard_error"):
            values = getattr(one, name, None)
            if values is not None and not np.isfinite(values).all():
                raise Disagreement(f"{name} is not finite")
        arrays = one.values() if isinstance(one, dict) else [one]
        for values in arrays:
            if isinstance(values, np.ndarray) and not np.isfinite(values).all():
                raise Disagreement("the result is not finite")


# --- files ----------------------------------------------------------------------------------------


@cache
def _saved(ending: str) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras 3 would rather write its own format than HDF5.
        warnings.simplefilter("ignore")
        path = Path(folder) / f"model{ending}"
        _model().save(path)
        return path.read_bytes()


def _picture(ending: str, mode: str = "L", size: tuple[int, int] = SHAPE[:2]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (*size[::-1], 4), np.uint8)
    Image.fromarray(values, "RGBA").convert(mode).save(stream, ending)
    return stream.getvalue()


def _array(values: Any, *, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=pickled)
    return stream.getvalue()


def _archive(**arrays: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _damaged(random: Random, content: bytes) -> bytes:
    """Cut, turned in places, or filled with something else."""
    damaged = bytearray(content)
    how = random.choice(["cut", "cut", "bits", "bits", "bytes", "begin", "empty", "noise"])
    if how == "cut":
        del damaged[random.randrange(len(damaged)) :]
    elif how == "bits":
        for _ in range(random.choice([1, 1, 10, 100])):
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    elif how == "bytes":
        first = random.randrange(len(damaged))
        damaged[first : first + 64] = random.randbytes(64)
    elif how == "begin":
        damaged[: random.randint(1, 16)] = b""
    elif how == "empty":
        damaged.clear()
    else:
        damaged[:] = random.randbytes(random.choice([1, 100, 5000]))
    return bytes(damaged)


def _command(*arguments: Any) -> None:
    """Run a command; `RefusedCommand` if it says no as it should, nothing if it says yes."""
    stderr, stdout = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(stdout):
        code = main([str(one) for one in arguments])
    lines = [line for line in stderr.getvalue().splitlines() if "error:" in line]
    if code == 0:
        return
    if code not in (1, 2) or len(lines) != 1 or "Traceback" in stderr.getvalue():
        raise Disagreement(f"exit code {code}: {stderr.getvalue()[-500:]}")
    raise RefusedCommand(lines[0])


def _use_model(random: Random, path: Path) -> None:
    if random.choice([True, False]):
        SwitchedNetwork(files.load_model(path))
    else:
        _command("layers", path)


def _use_images(random: Random, folder: Path, *paths: Path) -> None:
    use = random.choice(["read", "project", "analyze", "frequency"])
    if use == "read":
        files.read_images(paths)
        return
    model, out = folder / "sound.keras", folder / "out"
    model.write_bytes(_saved(".keras"))
    if use == "project":
        _command("project", model, *paths, "--layer", "second", "--neuron", 1)
        return
    images = paths
    frequency: tuple[Any, ...] = ()
    if use == "frequency":
        (folder / "sound.npy").write_bytes(_array(_images()))
        images, frequency = (folder / "sound.npy",), ("--frequency-from", paths[0])
    try:
        _command("analyze", model, *images, "--layer", "second", "--out", out, *frequency)
    except RefusedCommand:
        if out.exists():
            raise Disagreement("results were left behind") from None
        raise


@_malformed
def damaged_models(random: Random, folder: Path) -> None:
    ending = random.choice([".keras", ".h5"])
    path = folder / f"model{ending}"
    path.write_bytes(_damaged(random, _saved(ending)))
    _use_model(random, path)


@_malformed
def models_that_are_something_else(random: Random, folder: Path) -> None:
    path = folder / random.choice(["model.keras", "model.h5", "model.hdf5", "model", "model.pb"])
    contents = [
        _picture("png"),
        _array(_images()),
        _archive(x=_array(_images())),
        b"text",
        _saved(".keras"),
        _saved(".h5"),
    ]
    content = random.choice([None, "missing", *contents])
    if content is None:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    _use_model(random, path)


@_malformed
def model_archives_with_something_else(random: Random, folder: Path) -> None:
    """A `.keras` file with another configuration, or one that claims to be a terabyte."""
    path = folder / "model.keras"
    config = random.choice(
        [
            b"",
            b"{",
            b"null",
            b"[" * 100_000,
            b'{"class_name": "Lambda"}',
            b'{"module": "os", "class_name": "system", "config": {}}',
            b'{"module": "keras", "class_name": "Sequential", "config": {"layers": 3}}',
            b'{"module": "keras.layers", "class_name": "Dense", "config": {"units": -1}}',
            b"1" * 10_000,
        ]
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", b"{}")
        archive.writestr(random.choice(["config.json", "../config.json"]), config)
        archive.writestr("model.weights.h5", b"")
        if random.choice([True, False]):
            archive.infolist()[1].file_size = 2**40
    _use_model(random, path)
    raise _accepted("an archive that is no model")


@_malformed
def damaged_pictures(random: Random, folder: Path) -> None:
    ending = random.choice(["png", "jpeg"])
    path = folder / f"picture.{ending}"
    path.write_bytes(_damaged(random, _picture(ending)))
    _use_images(random, folder, path)


@_malformed
def pictures_that_are_something_else(random: Random, folder: Path) -> None:
    path = folder / random.choice(["a.png", "a.jpg", "a.gif", "a", "a.npy", "a.npz"])
    contents = [_picture("gif", "P"), _picture("bmp", "RGB"), b"text", b"", _saved(".keras")]
    content = random.choice([None, "missing", *contents])
    if content is None:
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    _use_images(random, folder, path)
    raise _accepted(f"{path.name} that is something else")


@_malformed
def pictures_that_do_not_fit(random: Random, folder: Path) -> None:
    path = folder / "picture.png"
    mode, size = random.choice(
        [("L", (5, 6)), ("RGB", (6, 6)), ("RGBA", (6, 6)), ("L", (1, 1)), ("LA", (6, 6))]
    )
    path.write_bytes(_picture("png", mode, size))
    _use_images(random, folder, path)


@_malformed
def picture_bombs(random: Random, folder: Path) -> None:
    """A few bytes that claim to be gigabytes of pixels."""
    side = random.choice([20_000, 60_000, 2**31 - 1])

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10**6))
    path = folder / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
    _use_images(random, folder, path)
    raise _accepted("a picture bomb")


@_malformed
def damaged_arrays(random: Random, folder: Path) -> None:
    content = _array(_images())
    ending = random.choice([".npy", ".npz"])
    path = folder / f"images{ending}"
    path.write_bytes(_damaged(random, content if ending == ".npy" else _archive(x=content)))
    _use_images(random, folder, path)


@_malformed
def arrays_that_are_no_images(random: Random, folder: Path) -> None:
    """Objects, texts, other shapes, NaN, headers that claim a terabyte."""
    names = np.dtype([("a", "f4"), ("b", "i4")])
    claimed = _array(np.zeros((1, *SHAPE), np.float32)).replace(b"(1, 6", b"(10000000000, 6")
    content = random.choice(
        [
            _array(np.array([object, {"a": 1}], object), pickled=True),
            _array(np.array(["text"])),
            _array(np.zeros(3, names)),
            _array(np.zeros((2, 5, 5, 1))),
            _array(np.zeros((0, *SHAPE))),
            _array(np.full((1, *SHAPE), np.nan)),
            _array(np.full((1, *SHAPE), np.inf)),
            _array(np.full((1, *SHAPE), 1e300)),
            _array(np.zeros((1, *SHAPE), complex)),
            claimed,
        ]
    )
    ending = random.choice([".npy", ".npz"])
    path = folder / f"images{ending}"
    path.write_bytes(content if ending == ".npy" else _archive(x=content))
    model = folder / "model.keras"
    model.write_bytes(_saved(".keras"))
    _command("project", model, path, "--layer", "second", "--neuron", 1)
    raise _accepted("an array that is no images")


@_malformed
def array_archives_with_something_else(random: Random, folder: Path) -> None:
    path = folder / "images.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        name = random.choice(["x.npy", "../x.npy", "/x.npy", "x", "x.npy/y.npy"])
        archive.writestr(name, random.choice([b"", b"text", bytes(10**6), _array("text")]))
        if random.choice([True, False]):
            archive.infolist()[0].file_size = 2**40
        if random.choice([True, False]):
            archive.writestr("y.npy", _array(_images()))
    _use_images(random, folder, path)


@_malformed
def damaged_frequencies(random: Random, folder: Path) -> None:
    path = folder / "frequency.npz"
    _network().activation_frequency(_images(), progress=False).save(path)
    path.write_bytes(_damaged(random, path.read_bytes()))
    ActivationFrequency.load(path)


@_malformed
def wrong_commands(random: Random, folder: Path) -> None:
    model, images = folder / "model.keras", folder / "images.npy"
    model.write_bytes(_saved(".keras"))
    images.write_bytes(_array(_images()))
    out = folder / "out"
    wrong: list[list[Any]] = [
        ["analyze", model, images, "--layer", "third", "--out", out],
        ["analyze", model, images, "--layer", "9", "--out", out],
        ["analyze", model, images],
        ["analyze", model, images, "--out", images],
        ["analyze", model, images, "--out", out, "--key", "x"],
        ["analyze", model, images, "--out", out, "--first", "0"],
        ["analyze", model, images, "--out", out, "--state", "on"],
        ["analyze", model, images, "--out", folder / "no" / "\0" / "out"],
        ["project", model, images, "--layer", "second", "--neuron", "99"],
        ["project", model, images, "--layer", "second", "--neuron", "x"],
        ["project", model, images, "--layer", "second", "--neuron", "1,2"],
        ["layers"],
        ["layers", images],
        ["layers", model, "--data", model],
        ["paint", model],
        ["--nothing"],
    ]
    arguments = random.choice(wrong)
    _command(*arguments)
    raise _accepted(" ".join(map(str, arguments)))
