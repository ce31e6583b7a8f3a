"""Images are brought to what a model takes, without guessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from insens_tf.files import Images, UnusableFileError, fit_to_model

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 10
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def inputs_of(pixels: np.ndarray, shape: tuple[int | None, ...], **options: Any) -> Any:
    return fit_to_model(Images(pixels, None, "data.npy"), shape, **options)


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
    with pytest.raises(ValueError, match="scale='2': expected one of 'auto'"):
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
