"""Noise around digits: which pixels are noisy, counted pixel by pixel, and what is put there."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from insens_tf.evaluation import (
    NOISE_FORMS,
    NOISE_PLACES,
    NoiseForm,
    add_noise,
    digit_mask,
    frame_mask,
    noise_mask,
    outline_mask,
)
from insens_tf.evaluation.noise_masks import _rings

SEEDS = range(4)


def digits(seed: int, shape: tuple[int, ...] = (6, 13, 11, 1)) -> np.ndarray:
    """Images of a few bright pixels on black, float32; the last one is empty, the first is full."""
    generator = np.random.default_rng(seed)
    images = generator.random(shape, np.float32)
    bright = generator.random(shape[:3]) < generator.random((len(images), 1, 1)) / 6
    images *= bright[..., np.newaxis]
    images[0], images[-1] = 1, 0
    return images


def neighbourhood(mask: np.ndarray, width: int) -> np.ndarray:
    """Which pixels are at most `width` rows and columns away from one of the mask's."""
    height, columns = mask.shape
    near = np.zeros_like(mask)
    for row in range(height):
        for column in range(columns):
            rows = slice(max(0, row - width), row + width + 1)
            near[row, column] = mask[rows, max(0, column - width) : column + width + 1].any()
    return near


def depth(height: int, width: int) -> np.ndarray:
    """How many pixels are between each pixel and the nearest edge."""
    rows, columns = np.indices((height, width))
    return np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [1, 3])
def test_the_outline_is_what_is_near_the_digit_and_not_of_it(seed: int, width: int) -> None:
    digit = digit_mask(digits(seed))
    outline = outline_mask(digit, width=width)
    for one, found in zip(digit, outline, strict=True):
        assert np.array_equal(found, neighbourhood(one, width) & ~one)


@pytest.mark.parametrize("seed", SEEDS)
def test_places_are_nested_and_never_touch_the_digit(seed: int) -> None:
    images = digits(seed)
    digit = images[..., 0] > 0
    masks = {place: noise_mask(images, place) for place in NOISE_PLACES}
    assert not masks["clean"].any()
    assert np.array_equal(masks["background"], ~digit)
    outline = outline_mask(digit)
    assert np.array_equal(masks["bordered"], ~digit & ~outline)
    for place in ("bordered", "framed"):
        assert not (masks[place] & digit).any()
        assert not (masks[place] & ~masks["background"]).any()
    counts = [masks[place].sum(axis=(1, 2)) for place in ("bordered", "framed")]
    assert np.array_equal(*counts)
    assert (counts[0] < masks["background"].sum(axis=(1, 2))).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_frame_is_filled_ring_by_ring_and_evenly(seed: int) -> None:
    digit = digit_mask(digits(seed))
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, (~digit).sum(axis=(1, 2)) + 1)
    frame = frame_mask(digit, counts)
    rings = depth(*digit.shape[1:])
    assert np.array_equal(frame.sum(axis=(1, 2)), counts)
    assert not (frame & digit).any()
    for one, clean in zip(digit, frame, strict=True):
        if not clean.any():
            continue
        last = rings[clean].max()
        assert clean[(rings < last) & ~one].all()
        # Along the last ring, gaps between those taken differ by no more than one.
        rows, columns = list(_rings(*one.shape))[last]
        taken = np.flatnonzero(clean[rows, columns][~one[rows, columns]])
        gaps = np.diff([*taken, taken[0] + (~one[rows, columns]).sum()])
        assert gaps.max() - gaps.min() <= 1


def test_the_frame_of_an_empty_image_by_hand() -> None:
    frame = frame_mask(np.zeros((2, 5, 5), bool), np.array([4, 18]))
    # Of the outer 16 every fourth; all of them, and of the inner 8 every fourth.
    assert np.argwhere(frame[0]).tolist() == [[0, 3], [1, 0], [3, 4], [4, 1]]
    assert frame[1].astype(int).tolist() == [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 0, 1],
        [1, 1, 0, 1, 1],
        [1, 0, 0, 0, 1],
        [1, 1, 1, 1, 1],
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (2, 2), (3, 4), (5, 5), (6, 3)])
def test_rings_hold_each_pixel_once_at_its_depth(shape: tuple[int, int]) -> None:
    expected = depth(*shape)
    seen = np.zeros(shape, int)
    for ring, (rows, columns) in enumerate(_rings(*shape)):
        seen[rows, columns] += 1
        assert (expected[rows, columns] == ring).all()
        assert len(set(zip(rows.tolist(), columns.tolist()))) == len(rows)
    assert (seen == 1).all()


def test_a_colour_image_has_its_digit_where_any_channel_is_bright() -> None:
    images = np.zeros((1, 2, 3, 3), np.float32)
    images[0, 0, 0] = 0.1, 0, 0
    images[0, 0, 1] = 0, 0.5, 0
    images[0, 1, 2] = 0.2, 0.2, 0.2
    assert digit_mask(images).tolist() == [[[True, True, False], [False, False, True]]]
    assert digit_mask(images, threshold=0.2).tolist() == [
        [[False, True, False], [False, False, False]]
    ]
    noisy = add_noise(images, "background", 1.0, np.random.default_rng(0))
    changed = (noisy != images).any(axis=-1)
    assert np.array_equal(changed, ~digit_mask(images))
    # Each channel has noise of its own.
    assert len(np.unique(noisy[0, 1, 0])) == 3


@pytest.mark.parametrize("name", NOISE_FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forms_put_their_noise_where_it_belongs(name: str, dtype: Any) -> None:
    images = digits(3).astype(dtype)
    noisy = add_noise(images, "framed", 0.7, np.random.default_rng(5), form=name, threshold=0.4)
    drawn = np.random.default_rng(5).standard_normal(images.shape, dtype) * dtype(0.7)
    kind, *added = name.split("_added")
    values = np.abs(drawn) if kind == "absolute" else drawn
    values = values + dtype(0.5) if kind.endswith("mid_grey") else values
    values = values + images if added else values
    values = np.clip(values, 0, 1) if kind.startswith("clipped") else values
    mask = noise_mask(images, "framed", threshold=0.4)
    assert mask.any()
    assert noisy.dtype == dtype
    assert np.array_equal(noisy[mask], values[mask])
    assert np.array_equal(noisy[~mask], images[~mask])


def test_a_form_of_ones_own() -> None:
    images = np.zeros((1, 4, 4, 1), np.float32)
    form = NoiseForm(mean=0.25, absolute=True, clipped=True, added=True)
    noisy = add_noise(images, "background", 0.1, np.random.default_rng(0), form=form)
    assert ((noisy >= 0.25) & (noisy <= 1)).all()
    still = add_noise(images, "background", 0.0, np.random.default_rng(0), form=form)
    assert (still == np.float32(0.25)).all()


def test_noise_has_its_standard_deviation() -> None:
    images = np.zeros((200, 10, 10, 1), np.float32)
    noisy = add_noise(images, "background", 0.3, np.random.default_rng(1))
    assert noisy.std() == pytest.approx(0.3, rel=0.02)
    assert abs(noisy.mean()) < 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_that_of_the_seed_in_batches_and_in_every_place(dtype: Any) -> None:
    images = digits(2).astype(dtype)
    generator = np.random.default_rng(9)
    parts = [add_noise(part, "bordered", 1.0, generator) for part in (images[:2], images[2:])]
    whole = {
        place: add_noise(images, place, 1.0, np.random.default_rng(9)) for place in NOISE_PLACES
    }
    assert np.array_equal(np.concatenate(parts), whole["bordered"])
    assert np.array_equal(whole["clean"], images)
    for place in ("bordered", "framed"):
        mask = noise_mask(images, place)
        assert np.array_equal(whole[place][mask], whole["background"][mask])


def test_no_images_are_no_images() -> None:
    none = np.zeros((0, 5, 5, 1), np.float32)
    for place in NOISE_PLACES:
        noisy = add_noise(none, place, 1.0, np.random.default_rng(0))
        assert (noisy.shape, noisy.dtype) == (none.shape, none.dtype)


ONE = np.zeros((1, 4, 4, 1), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": (ONE * 255).astype(np.uint8)}, "images: .*float32.*came uint8; divide"),
        ({"images": ONE[0]}, r"images: .*\(n, height, width, channels\), came \(4, 4, 1\)"),
        ({"images": ONE - 0.5}, r"images: .*0\.\.1, came -0\.5"),
        ({"images": ONE + np.nan}, r"images: .*0\.\.1, came nan"),
        ({"place": "border"}, "place='border': expected one of 'clean', 'bordered'"),
        ({"form": "signd"}, "form='signd': expected one of 'signed'"),
        ({"standard_deviation": -1.0}, "standard_deviation=-1.0: expected a finite"),
        ({"standard_deviation": np.nan}, "standard_deviation=nan: expected a finite"),
        ({"threshold": 2}, r"threshold=2: expected a brightness in 0\.\.1"),
        ({"width": 0}, "width=0: expected a whole number of pixels, at least 1"),
        ({"width": 1.5}, "width=1.5: expected a whole number of pixels"),
    ],
)
def test_what_is_out_of_range_is_said(arguments: dict[str, Any], message: str) -> None:
    given = {
        "images": ONE,
        "place": "bordered",
        "standard_deviation": 1.0,
        "generator": np.random.default_rng(0),
        **arguments,
    }
    with pytest.raises(ValueError, match=message):
        add_noise(**given)


def test_a_seed_is_no_generator() -> None:
    with pytest.raises(TypeError, match=r"generator: .*came int; numpy\.random\.default_rng"):
        add_noise(ONE, "background", 1.0, 0)  # type: ignore[arg-type]


def test_masks_and_counts_that_do_not_fit_are_refused() -> None:
    mask = np.zeros((2, 3, 3), bool)
    for wrong in (mask[0], mask.astype(float)):
        with pytest.raises(ValueError, match=r"digit: expected an array of bool"):
            outline_mask(wrong)
    with pytest.raises(ValueError, match=re.escape("counts[1]=10: expected 0 to 9")):
        frame_mask(mask, np.array([9, 10]))
    for counts in (np.array([1]), np.array([1.0, 2.0])):
        with pytest.raises(ValueError, match="counts: expected 2 integers"):
            frame_mask(mask, counts)
