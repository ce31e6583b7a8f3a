"""Reading models and images without guessing, and writing results whole or not at all."""

from __future__ import annotations

import json
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorflow import keras

from insens_tf.files import (
    Images,
    UnusableFileError,
    begins_with_scaling,
    check_image_paths,
    check_model_path,
    fit_to_model,
    load_model,
    one_line,
    read_images,
    results_folder,
    whole_file,
)

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 10
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def save_picture(path: Path, pixels: np.ndarray, **arguments: Any) -> Path:
    Image.fromarray(pixels).save(path, **arguments)
    return path


def inputs_of(pixels: np.ndarray, shape: tuple[int | None, ...], **options: Any) -> Any:
    return fit_to_model(Images(pixels, None, "data.npy"), shape, **options)


# --- models -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def save_model(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that .h5 is old
        model.save(path)
    return path


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.hdf5", "saved_model"])
def test_every_format_gives_the_model_back(model: keras.Model, tmp_path: Path, name: str) -> None:
    loaded = load_model(save_model(model, tmp_path / name))
    assert isinstance(loaded, keras.Model)
    x = np.random.default_rng(0).uniform(size=(3, 6, 6, 1)).astype(np.float32)
    assert np.array_equal(loaded(x), model(x))


def test_paths_that_are_no_model_are_refused(tmp_path: Path) -> None:
    def refuse(name: str, message: str) -> None:
        with pytest.raises(UnusableFileError, match=message):
            check_model_path(tmp_path / name)

    (tmp_path / "text.keras").write_text("not a model")
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "empty.keras").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder").mkdir()
    refuse("tex.keras", r"does not exist.*did you mean .*text\.keras\?")
    refuse("nowhere/model.keras", "there is no folder .*nowhere either")
    refuse("text.keras", "is no saved Keras model")
    refuse("text.h5", "is no saved Keras model")
    refuse("empty.keras", "is no saved Keras model")
    refuse("notes.txt", r"ends in '\.txt'; expected a \.keras file")
    refuse("folder", r"without saved_model\.pb")


def test_damaged_models_are_refused_in_one_line(model: keras.Model, tmp_path: Path) -> None:
    for name in ("model.keras", "model.h5"):
        whole = save_model(model, tmp_path / name).read_bytes()
        damaged = tmp_path / f"damaged_{name}"
        damaged.write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(UnusableFileError, match="damaged_") as caught:
            load_model(damaged)
        assert "\n" not in str(caught.value)


def test_files_that_hold_no_keras_model_are_refused(model: keras.Model, tmp_path: Path) -> None:
    import tensorflow as tf

    with zipfile.ZipFile(tmp_path / "archive.keras", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(UnusableFileError, match=r"archive without config\.json"):
        load_model(tmp_path / "archive.keras")
    model.save_weights(tmp_path / "only.h5")
    with pytest.raises(UnusableFileError, match="holds weights only"):
        load_model(tmp_path / "only.h5")
    module = tf.Module()
    module.variable = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "module"))
    with pytest.raises(UnusableFileError, match=r"without a Keras model in it.*model\.save"):
        load_model(tmp_path / "module")


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "saved_model"])
def test_code_in_a_model_is_not_run(tmp_path: Path, name: str) -> None:
    code = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    with pytest.raises(UnusableFileError, match="holds a Lambda"):
        load_model(save_model(code, tmp_path / name))


def test_no_module_of_the_files_choosing_is_imported(model: keras.Model, tmp_path: Path) -> None:
    path = save_model(model, tmp_path / "model.keras")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1].update(module="antigravity", class_name="Anything")
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(UnusableFileError, match="Anything of the module antigravity"):
        load_model(path)


def test_a_model_that_scales_its_inputs_is_known() -> None:
    layers = keras.layers
    scaling = layers.Rescaling(1 / 255)
    inner = keras.Sequential([keras.Input((4, 4, 1)), scaling, layers.Flatten()])
    assert begins_with_scaling(inner)
    assert begins_with_scaling(keras.Sequential([keras.Input((4, 4, 1)), inner]))
    assert not begins_with_scaling(
        keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Rescaling(2.0)])
    )
    assert not begins_with_scaling(keras.Sequential())


# --- images -------------------------------------------------------------------------------------


def test_pictures_of_a_folder_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("digit_10.png", "digit_2.PNG", "digit_1.jpg", ".hidden.png"):
        save_picture(tmp_path / name, GREY, format="JPEG" if name.endswith("jpg") else "PNG")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder.png").mkdir()
    images = read_images([tmp_path])
    assert images.names == ("digit_1.jpg", "digit_2.PNG", "digit_10.png")
    assert images.source == str(tmp_path)
    assert np.array_equal(images.arrays[1], GREY[..., np.newaxis])


def test_every_kind_of_png_is_read_as_its_pixels(tmp_path: Path) -> None:
    def read(name: str) -> np.ndarray:
        return read_images([tmp_path / name]).arrays[0]

    save_picture(tmp_path / "rgb.png", COLOUR)
    assert np.array_equal(read("rgb.png"), COLOUR)
    opaque = np.concatenate([COLOUR, np.full((4, 5, 1), 255, np.uint8)], axis=-1)
    save_picture(tmp_path / "rgba.png", opaque)
    assert np.array_equal(read("rgba.png"), COLOUR)
    Image.fromarray(COLOUR).quantize(256).save(tmp_path / "palette.png")
    assert np.abs(read("palette.png").astype(int) - COLOUR).max() < 16
    Image.fromarray(GREY > 90).save(tmp_path / "bits.png")
    assert np.array_equal(read("bits.png")[..., 0], np.where(GREY > 90, 255, 0))
    deep = GREY.astype(np.uint16) * 257
    save_picture(tmp_path / "deep.png", deep)
    assert read("deep.png").dtype == np.uint16
    assert np.array_equal(read("deep.png")[..., 0], deep)


def test_jpegs_are_turned_as_they_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    save_picture(tmp_path / "turned.jpg", np.full((8, 4), 7, np.uint8), exif=exif)
    assert read_images([tmp_path / "turned.jpg"]).arrays[0].shape == (4, 8, 1)


def test_colours_that_need_a_choice_are_refused(tmp_path: Path) -> None:
    glass = np.concatenate([COLOUR, np.full((4, 5, 1), 100, np.uint8)], axis=-1)
    with pytest.raises(UnusableFileError, match="transparent in places"):
        read_images([save_picture(tmp_path / "glass.png", glass)])
    Image.new("CMYK", (4, 4)).save(tmp_path / "print.jpg")
    with pytest.raises(UnusableFileError, match="colour mode CMYK"):
        read_images([tmp_path / "print.jpg"])


def test_damaged_pictures_are_refused(tmp_path: Path) -> None:
    whole = save_picture(tmp_path / "whole.png", COLOUR).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.jpg").touch()
    Image.fromarray(GREY).save(tmp_path / "gif.png", format="GIF")
    for name in ("cut.png", "text.png", "empty.jpg", "gif.png"):
        with pytest.raises(UnusableFileError, match=f"{name} cannot be read") as caught:
            read_images([tmp_path / name])
        assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    # A little over Pillow's limit, where it would only warn.
    header = struct.pack(">IIBBBBB", 10_000, 9_500, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))
    (tmp_path / "bomb.png").write_bytes(bomb + chunk(b"IEND", b""))
    with pytest.raises(UnusableFileError, match="decompression bomb"):
        read_images([tmp_path / "bomb.png"])


def test_the_array_of_an_npz_file_is_chosen_or_named(tmp_path: Path) -> None:
    train, test = np.zeros((3, 2, 2)), np.ones((2, 2, 2))
    np.savez(tmp_path / "both.npz", x_train=train, x_test=test)
    assert np.array_equal(read_images([tmp_path / "both.npz"]).arrays, test)
    chosen = read_images([tmp_path / "both.npz"], usual_keys=("x_train", "x"))
    assert np.array_equal(chosen.arrays, train)
    assert chosen.source == "both.npz (x_train)"
    assert np.array_equal(read_images([tmp_path / "both.npz"], key="x_train").arrays, train)
    np.savez(tmp_path / "one.npz", anything=test)
    assert np.array_equal(read_images([tmp_path / "one.npz"]).arrays, test)
    np.savez(tmp_path / "unclear.npz", a=test, b=test)
    with pytest.raises(UnusableFileError, match=r"holds a, b, and .* is not clear"):
        read_images([tmp_path / "unclear.npz"])
    with pytest.raises(UnusableFileError, match="holds no array 'c'; it holds a, b"):
        read_images([tmp_path / "unclear.npz"], key="c")
    np.save(tmp_path / "plain.npy", test)
    assert np.array_equal(read_images([tmp_path / "plain.npy"]).arrays, test)
    with pytest.raises(UnusableFileError, match=r"names an array of an \.npz file"):
        read_images([tmp_path / "plain.npy"], key="c")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    objects = np.array([{}], dtype=object)
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=objects)
    for name in ("objects.npy", "objects.npz"):
        with pytest.raises(UnusableFileError, match="Python objects, which are not unpickled"):
            read_images([tmp_path / name])


def test_damaged_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", x=np.zeros((9, 9)))
    np.save(tmp_path / "whole.npy", np.zeros((9, 9)))
    for ending in ("npz", "npy"):
        whole = (tmp_path / f"whole.{ending}").read_bytes()
        for name, content in {"cut": whole[:-40], "text": b"hello", "empty": b""}.items():
            path = tmp_path / f"{name}.{ending}"
            path.write_bytes(content)
            with pytest.raises(UnusableFileError, match=f"{name}.{ending}"):
                read_images([path])


def test_paths_that_are_no_images_are_refused(tmp_path: Path) -> None:
    save_picture(tmp_path / "one.png", GREY)
    np.save(tmp_path / "two.npy", GREY)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    for names, message in [
        ([], "no images given"),
        (["on.png"], r"do not exist.*did you mean .*one\.png"),
        (["notes.txt"], r"end in '\.txt'"),
        (["empty"], "holds no PNG or JPEG"),
        (["one.png", "two.npy"], "with arrays among them"),
        (["two.npy", "two.npy"], "with arrays among them"),
    ]:
        with pytest.raises(UnusableFileError, match=message):
            check_image_paths([tmp_path / name for name in names])


# --- images for a model -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "model_takes", "becomes"),
    [
        ((3, 4, 5, 1), (4, 5, 1), (3, 4, 5, 1)),
        ((3, 4, 5), (4, 5, 1), (3, 4, 5, 1)),
        ((4, 5), (4, 5, 1), (1, 4, 5, 1)),
        ((4, 5, 1), (4, 5, 1), (1, 4, 5, 1)),
        ((3, 4, 5, 3), (4, 5, 3), (3, 4, 5, 3)),
        ((4, 5, 3), (4, 5, 3), (1, 4, 5, 3)),
        ((3, 4, 5), (4, 5, 3), (3, 4, 5, 3)),
        ((3, 4, 5), (4, 5), (3, 4, 5)),
        ((4, 5), (4, 5), (1, 4, 5)),
        ((3, 4, 5), (20,), (3, 20)),
        ((3, 4, 5, 3), (60,), (3, 60)),
        ((3, 20), (20,), (3, 20)),
        ((20,), (20,), (1, 20)),
        ((3, 4, 5, 7), (4, 5, 7), (3, 4, 5, 7)),
        ((3, 4, 5, 3), (None, None, 3), (3, 4, 5, 3)),
        ((1, 1, 1), (1, 1, 1), (1, 1, 1, 1)),
    ],
)
def test_arrays_are_brought_to_the_models_shape(
    shape: tuple[int, ...], model_takes: tuple[int | None, ...], becomes: tuple[int, ...]
) -> None:
    pixels = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    inputs = inputs_of(pixels, model_takes)
    assert inputs[:].shape == becomes
    assert inputs[:].dtype == np.float32
    assert len(inputs) == becomes[0]
    if pixels.size == inputs[:].size:
        assert np.array_equal(inputs[:].ravel(), pixels.ravel())
    else:
        grey = pixels.reshape(becomes[0], 4, 5)
        for channel in range(3):
            assert np.array_equal(inputs[:].reshape(-1, 4, 5, 3)[..., channel], grey)


@pytest.mark.parametrize(
    ("shape", "model_takes", "message"),
    [
        ((3, 4, 6, 1), (4, 5, 1), r"4 x 6 x 1 and the model takes 4 x 5 x 1; --resize"),
        ((3, 28, 28), (4, 5, 1), r"28 x 28 x 1 and the model takes 4 x 5 x 1; --resize"),
        ((3, 4, 5, 3), (4, 5, 1), r"in colour.*--grayscale"),
        ((3, 4, 5, 2), (4, 5, 1), "has 2 channels"),
        ((3, 4, 5, 4), (4, 5, 3), "has 4 channels"),
        ((2, 3, 4, 5), (4, 5, 3), r"5 channels.*Then move its channels last"),
        ((3, 20), (4, 5, 1), r"flat vectors, 3 x 20, .*numpy\.reshape"),
        ((3, 4, 5), (21,), "flat vectors of 21 values"),
        ((3, 21), (20,), "flat vectors of 20 values"),
        ((3, 4, 5, 1, 1), (4, 5, 1), r"expected \(n, height, width, channels\)"),
        ((3, 4, 5, 1), (2, 4, 5, 1), "which is no image"),
        ((6, 7, 3), (None, None, 3), "could be images without or one image with channels"),
        ((0, 4, 5, 1), (4, 5, 1), "holds no images"),
        ((0, 20), (20,), "holds no images"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    shape: tuple[int, ...], model_takes: tuple[int | None, ...], message: str
) -> None:
    pixels = np.random.default_rng(0).uniform(size=shape)
    with pytest.raises(UnusableFileError, match=message):
        inputs_of(pixels, model_takes)


def test_colours_become_grey_only_where_nothing_is_lost_or_when_asked() -> None:
    grey = np.repeat(GREY[np.newaxis, ..., np.newaxis], 3, axis=-1)
    inputs = inputs_of(grey, (4, 5, 1))
    assert np.array_equal(inputs[:][0, ..., 0], GREY / np.float32(255))
    assert "its equal red, green and blue taken as grey" in inputs.description
    inputs = inputs_of(COLOUR[np.newaxis], (4, 5, 1), grayscale=True)
    pillows = np.asarray(Image.fromarray(COLOUR).convert("L"))
    assert np.abs(inputs[:][0, ..., 0] * 255 - pillows).max() <= 1
    assert "by luminance" in inputs.description


def test_images_are_resized_when_asked() -> None:
    inputs = inputs_of(np.full((2, 8, 10, 1), 51, np.uint8), (4, 5, 1), resize=True)
    assert np.allclose(inputs[:], 0.2)
    assert inputs.description.count("resized to 4 x 5") == 1
    assert "proportions" not in inputs.description
    ramp = np.tile(np.arange(8.0), (1, 8, 1))[..., np.newaxis]
    inputs = inputs_of(ramp, (4, 2, 1), resize=True)
    assert np.allclose(inputs[:][0, :, :, 0], inputs[:][0, 0, :, 0])
    assert inputs[:][0, 0, 0, 0] < inputs[:][0, 0, 1, 0]
    assert "proportions changed" in inputs.description


def test_pictures_of_one_model_have_one_shape_and_type() -> None:
    small, large = np.zeros((4, 5, 3), np.uint8), np.zeros((6, 5, 3), np.uint8)
    with pytest.raises(UnusableFileError, match=r"b\.png has the shape 6 x 5 x 3 .* one shape"):
        fit_to_model(Images([small, large], ("a.png", "b.png"), "folder"), (None, None, 3))
    deep = small.astype(np.uint16)
    with pytest.raises(UnusableFileError, match=r"b\.png holds uint16 .* one type"):
        fit_to_model(Images([small, deep], ("a.png", "b.png"), "folder"), (4, 5, 3))


@pytest.mark.parametrize(
    ("dtype", "values", "scale", "expected"),
    [
        (np.uint8, [0, 255], "auto", [0, 1]),
        (np.uint16, [0, 65535], "auto", [0, 1]),
        (np.uint8, [0, 255], "none", [0, 255]),
        (np.uint8, [0, 255], "-1..1", [-1, 1]),
        (np.float32, [0, 255], "auto", [0, 255]),
        (np.float64, [-3.5, 0.25], "auto", [-3.5, 0.25]),
        (np.float32, [0, 255], "0..1", [0, 1]),
        (np.int64, [0, 255], "0..1", [0, 1]),
        (np.int64, [-7, 300], "none", [-7, 300]),
        (np.bool_, [False, True], "auto", [0, 1]),
    ],
)
def test_scaling_is_as_said(dtype: Any, values: list[Any], scale: str, expected: list[Any]) -> None:
    inputs = inputs_of(np.array([values], dtype), (1, 2), scale=scale)
    assert np.allclose(inputs[:], [[expected]], atol=1e-6)
    assert "\n" not in inputs.description


def test_the_description_says_what_was_read_and_how_it_was_scaled() -> None:
    pixels = np.array([[[0, 255]]] * 3, np.uint8)
    assert inputs_of(pixels, (1, 2)).description == (
        "Read 3 images of 1 x 2 x 1 from data.npy: uint8 pixels scaled from 0..255 to 0..1."
    )
    assert inputs_of(pixels, (1, 2), model_scales=True, first=1).description == (
        "Read 1 image of 1 x 2 x 1 from data.npy: uint8 values 0 to 255 taken as they are, which "
        "the model scales itself."
    )
    assert inputs_of(pixels / 255, (1, 2)).description.endswith(
        "float64 values 0 to 1 taken as they are."
    )
    assert "2 values" in inputs_of(pixels.reshape(3, 2), (2,)).description


def test_scales_that_are_not_clear_are_refused() -> None:
    with pytest.raises(UnusableFileError, match=r"int64 values 0 to 255.*give --scale"):
        inputs_of(np.array([[[0, 255]]]), (1, 2))
    with pytest.raises(UnusableFileError, match=r"--scale 0\.\.1 expects pixels in 0\.\.255"):
        inputs_of(np.array([[[0.0, 256.0]]]), (1, 2), scale="0..1")
    with pytest.raises(ValueError, match="scale is '2'"):
        inputs_of(np.zeros((1, 1, 2)), (1, 2), scale="2")
    with pytest.raises(ValueError, match="first is 0"):
        inputs_of(np.zeros((1, 1, 2)), (1, 2), first=0)
    with pytest.raises(UnusableFileError, match="complex64 values; expected pixels"):
        inputs_of(np.zeros((1, 1, 2), np.complex64), (1, 2))
    for bad in (np.nan, np.inf):
        with pytest.raises(UnusableFileError, match="NaN or infinite values, first in image 1"):
            inputs_of(np.array([[[0.0, 1.0]], [[bad, 1.0]]]), (1, 2))


def test_batches_and_pictures_of_flat_inputs() -> None:
    pixels = np.random.default_rng(0).uniform(size=(5, 4, 3)).astype(np.float32)
    inputs = inputs_of(pixels, (12,))
    batches = list(inputs.batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert np.array_equal(np.concatenate(batches), pixels.reshape(5, 12))
    assert np.array_equal(inputs.as_pictures(inputs[:])[..., 0], pixels)
    with pytest.raises(UnusableFileError, match="no picture can be drawn"):
        inputs_of(pixels.reshape(5, 12), (12,)).as_pictures(pixels)


# --- results ------------------------------------------------------------------------------------


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.txt"
    with whole_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"

    def fail(target: Path) -> None:
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail(path)
    assert path.read_text() == "one"
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "other" / "deep" / "result.txt")
    assert sorted(os.listdir(tmp_path)) == ["new"]
    assert os.listdir(path.parent) == ["result.txt"]
    with pytest.raises(UnusableFileError, match="is a folder"), whole_file(tmp_path):
        pass


def write_results(path: Path, content: str, *, replace: bool = False, fail: bool = False) -> None:
    record: dict[str, Any] = {"command": "test"}
    with results_folder(path, record, replace=replace) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "result.txt").write_text(content)
        record["added"] = content
        assert folder.parent == path.parent
        if fail:
            raise RuntimeError("in the middle")


def test_a_folder_of_results_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "some" / "results"
    with pytest.raises(RuntimeError, match="in the middle"):
        write_results(out, "half", fail=True)
    assert os.listdir(tmp_path) == []
    write_results(out, "one")
    assert (out / "sub" / "result.txt").read_text() == "one"
    assert json.loads((out / "run.json").read_text()) == {"command": "test", "added": "one"}
    with pytest.raises(UnusableFileError, match=r"holds earlier results.*--overwrite"):
        write_results(out, "two")
    with pytest.raises(RuntimeError, match="in the middle"):
        write_results(out, "two", replace=True, fail=True)
    assert (out / "sub" / "result.txt").read_text() == "one"
    write_results(out, "two", replace=True)
    assert (out / "sub" / "result.txt").read_text() == "two"
    assert os.listdir(out.parent) == ["results"]


def test_no_other_folder_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for replace in (False, True):
        with pytest.raises(UnusableFileError, match="holds other files"):
            write_results(tmp_path, "one", replace=replace)
        with pytest.raises(UnusableFileError, match="is a file"):
            write_results(tmp_path / "mine.txt", "one", replace=replace)
    assert os.listdir(tmp_path) == ["mine.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    write_results(empty, "one")
    assert sorted(os.listdir(empty)) == ["run.json", "sub"]


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnusableFileError, match="cannot be written"):
        write_results(tmp_path / "file" / "results", "one")


def test_one_line_folds_and_cuts() -> None:
    assert one_line("a\n  b\tc\n") == "a b c"
    assert one_line("word " * 100, 20) == "word word word w ..."
