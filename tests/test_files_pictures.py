"""Pictures of every form are read as the numbers in them, or refused.

PNG files are written here from known samples, after the standard and without Pillow, and decoded a
second time by TensorFlow's libpng, so that what is expected does not rest on this writer alone.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from insens_tf.files import UnusableFileError, read_images

HEIGHT, WIDTH = 11, 9  # no multiple of 8: neither rows of bits nor interlaced passes come out even
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
FORMS = [(kind, depth) for kind, depths in DEPTHS.items() for depth in depths]
# Of the interlaced passes: where they begin, and their steps, down and across.
ADAM7 = [
    ((0, 8), (0, 8)),
    ((0, 8), (4, 8)),
    ((4, 8), (0, 4)),
    ((0, 4), (2, 4)),
    ((2, 4), (0, 2)),
    ((0, 2), (1, 2)),
    ((1, 2), (0, 1)),
]


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def row_bytes(samples: np.ndarray, depth: int) -> bytes:
    """A row's samples, the first in the highest bits."""
    if depth == 16:
        return samples.astype(">u2").tobytes()
    if depth == 8:
        return samples.astype(np.uint8).tobytes()
    bits = (samples.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.ravel().astype(np.uint8)).tobytes()


def paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    distances = [(abs(guess - one), i) for i, one in enumerate((left, up, corner))]
    return (left, up, corner)[min(distances)[1]]


def filtered(row: bytes, before: bytes, kind: int, step: int) -> bytes:
    out = bytearray([kind])
    for i, value in enumerate(row):
        left = row[i - step] if i >= step else 0
        up, corner = before[i], before[i - step] if i >= step else 0
        expected = (0, left, up, (left + up) // 2, paeth(left, up, corner))[kind]
        out.append((value - expected) & 255)
    return bytes(out)


def png(
    samples: np.ndarray, kind: int, depth: int, *, interlaced: bool = False, extra: bytes = b""
) -> bytes:
    """A PNG file of samples (height, width, channels), its rows filtered in each of the ways."""
    height, width, channels = samples.shape
    filters = itertools.cycle(range(5))
    data = b""
    passes = ADAM7 if interlaced else [((0, 1), (0, 1))]
    for (top, down), (left, across) in passes:
        part = samples[top::down, left::across]
        if not part.size:
            continue
        before = bytes(len(row_bytes(part[0], depth)))
        for row in part:
            packed = row_bytes(row, depth)
            data += filtered(packed, before, next(filters), max(1, channels * depth // 8))
            before = packed
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def samples_of(kind: int, depth: int, seed: int = 0) -> np.ndarray:
    """Random samples; opaque where there is an alpha channel."""
    random = np.random.default_rng(seed)
    samples = random.integers(0, 2**depth, (HEIGHT, WIDTH, CHANNELS[kind]))
    if kind in (4, 6):
        samples[..., -1] = 2**depth - 1
    return samples


PALETTE = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)


def palette_chunk(depth: int) -> bytes:
    return chunk(b"PLTE", PALETTE[: 2**depth].tobytes())


def expected_of(samples: np.ndarray, kind: int, depth: int) -> np.ndarray:
    if kind == 3:
        return PALETTE[samples[..., 0]]
    colours = samples[..., :-1] if kind in (4, 6) else samples
    return colours * (1 if depth == 16 else 255 // (2**depth - 1))


def read(path: Path, content: bytes) -> np.ndarray:
    path.write_bytes(content)
    return read_images([path]).arrays[0]


def refused(path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UnusableFileError, match=message) as caught:
        read(path, content)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("kind", "depth"), FORMS)
def test_every_form_of_png(tmp_path: Path, kind: int, depth: int, interlaced: bool) -> None:
    samples = samples_of(kind, depth)
    extra = palette_chunk(depth) if kind == 3 else b""
    content = png(samples, kind, depth, interlaced=interlaced, extra=extra)
    expected = expected_of(samples, kind, depth)
    second = tf.io.decode_png(content, dtype=tf.uint16 if depth == 16 else tf.uint8).numpy()
    assert np.array_equal(second[..., : expected.shape[-1]], expected)
    if depth == 16 and kind != 0:
        refused(tmp_path / "x.png", content, "16 bits a channel, which cannot be read whole")
        return
    found = read(tmp_path / "x.png", content)
    assert found.dtype == (np.uint16 if depth == 16 else np.uint8)
    assert np.array_equal(found, expected)


# What is shown otherwise for the sake of these is not what a network has seen.
OTHER_CHUNKS = {
    "gamma": chunk(b"gAMA", struct.pack(">I", 100000)),
    "colour space": chunk(b"sRGB", b"\0"),
    "whites": chunk(b"cHRM", struct.pack(">8I", *[31270, 32900, 64000, 33000] * 2)),
    "profile": chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(128))),
    "text": chunk(b"tEXt", b"Comment\0text"),
    "compressed text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"text")),
    "resolution": chunk(b"pHYs", struct.pack(">IIB", 1, 2, 1)),
    "time": chunk(b"tIME", struct.pack(">HBBBBB", 2020, 1, 1, 1, 1, 1)),
    "unheard of": chunk(b"abCd", b"text"),
}


@pytest.mark.parametrize("name", OTHER_CHUNKS)
@pytest.mark.parametrize(("kind", "depth"), [(0, 1), (0, 8), (0, 16), (2, 8), (3, 4), (6, 8)])
def test_other_chunks_change_no_number(tmp_path: Path, kind: int, depth: int, name: str) -> None:
    samples = samples_of(kind, depth)
    palette = palette_chunk(depth) if kind == 3 else b""
    content = png(samples, kind, depth, extra=OTHER_CHUNKS[name] + palette)
    assert np.array_equal(read(tmp_path / "x.png", content), expected_of(samples, kind, depth))


@pytest.mark.parametrize(("kind", "depth"), FORMS)
def test_significant_bits_and_backgrounds_change_no_number(
    tmp_path: Path, kind: int, depth: int
) -> None:
    if depth == 16 and kind != 0:
        return  # refused in any case
    samples = samples_of(kind, depth)
    channels = CHANNELS[kind] + 2 * (kind == 3)
    background = b"\1" if kind == 3 else struct.pack(">H", 1) * (3 if kind & 2 else 1)
    extra = chunk(b"sBIT", b"\1" * channels)
    extra += (palette_chunk(depth) if kind == 3 else b"") + chunk(b"bKGD", background)
    found = read(tmp_path / "x.png", png(samples, kind, depth, extra=extra))
    assert np.array_equal(found, expected_of(samples, kind, depth))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("kind", "depth"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)]
)
def test_a_transparent_grey_or_colour_is_refused_where_it_is_used(
    tmp_path: Path, kind: int, depth: int, interlaced: bool
) -> None:
    samples = samples_of(kind, depth)
    if kind == 0:
        samples[samples == 1] = 0  # there is none of this grey

    def with_transparent(value: np.ndarray) -> bytes:
        # What is above the bits of a sample does not count.
        data = np.asarray(value + (0 if depth == 16 else 2**depth), ">u2").tobytes()
        return png(samples, kind, depth, interlaced=interlaced, extra=chunk(b"tRNS", data))

    used, unused = with_transparent(samples[4, 5]), with_transparent(np.full_like(samples[0, 0], 1))
    if (kind, depth) == (2, 16):
        for content in (used, unused):
            refused(tmp_path / "x.png", content, "16 bits a channel")
        return
    refused(tmp_path / "x.png", used, "transparent in places")
    found = read(tmp_path / "x.png", unused)
    assert np.array_equal(found, expected_of(samples, kind, depth))
    assert found.dtype == (np.uint16 if depth == 16 else np.uint8)


@pytest.mark.parametrize("depth", DEPTHS[3])
def test_a_transparent_colour_of_a_palette_is_refused_where_it_is_used(
    tmp_path: Path, depth: int
) -> None:
    samples = samples_of(3, depth)
    samples[samples == 1] = 0
    for alphas, is_used in [([255, 0], False), ([255, 7], False), ([7], True), ([0, 255], True)]:
        extra = palette_chunk(depth) + chunk(b"tRNS", bytes(alphas))
        content = png(samples, 3, depth, extra=extra)
        if is_used:
            refused(tmp_path / "x.png", content, "transparent in places")
        else:
            found = read(tmp_path / "x.png", content)
            assert np.array_equal(found, expected_of(samples, 3, depth))


@pytest.mark.parametrize("kind", [4, 6])
def test_a_transparent_pixel_is_refused(tmp_path: Path, kind: int) -> None:
    samples = samples_of(kind, 8)
    samples[3, 4, -1] = 254
    refused(tmp_path / "x.png", png(samples, kind, 8), "transparent in places")


def test_a_pixel_beyond_the_palette_is_refused(tmp_path: Path) -> None:
    samples = np.full((HEIGHT, WIDTH, 1), 2)
    content = png(samples, 3, 4, extra=chunk(b"PLTE", PALETTE[:2].tobytes()))
    refused(tmp_path / "x.png", content, "colour 2 of a palette of 2")


def test_a_png_is_turned_as_it_says(tmp_path: Path) -> None:
    samples = samples_of(2, 8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    content = png(samples, 2, 8, extra=chunk(b"eXIf", exif.tobytes()[6:]))
    assert np.array_equal(read(tmp_path / "x.png", content), np.rot90(samples, -1))


def test_a_png_of_several_pictures_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 5), grey, np.uint8)) for grey in (0, 100, 200)]
    for name in ("x.png", "x.webp", "x.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        refused(tmp_path / name, (tmp_path / name).read_bytes(), "holds 3 pictures")


@pytest.mark.parametrize(("kind", "depth"), [(0, 8), (3, 8)])
def test_no_damaged_byte_of_a_png_changes_a_number(tmp_path: Path, kind: int, depth: int) -> None:
    samples = samples_of(kind, depth)
    whole = png(samples, kind, depth, extra=palette_chunk(depth) if kind == 3 else b"")
    expected = expected_of(samples, kind, depth)
    for at in range(0, len(whole), 1 if kind == 0 else 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        try:
            found = read(tmp_path / "x.png", bytes(damaged))
        except UnusableFileError:
            continue
        assert np.array_equal(found, expected)


# --- other kinds --------------------------------------------------------------------------------

GREY = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
COLOUR = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def smooth(channels: int) -> np.ndarray:
    """A picture that no JPEG changes much."""
    down, across = np.mgrid[0:32, 0:40]
    ramps = [down * 6, across * 5, down * 3 + across * 2][:channels]
    return np.stack(ramps, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("mode", "options"),
    [("L", {}), *(("RGB", {"subsampling": s}) for s in (0, 1, 2)), ("RGB", {"keep_rgb": True})],
)
def test_every_form_of_jpeg(
    tmp_path: Path, mode: str, options: dict[str, Any], progressive: bool
) -> None:
    pixels = smooth(1 if mode == "L" else 3)
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    image.save(tmp_path / "x.jpg", quality=95, progressive=progressive, **options)
    found = read_images([tmp_path / "x.jpg"]).arrays[0]
    assert found.dtype == np.uint8
    assert found.shape == pixels.shape
    assert np.abs(found.astype(int) - pixels).max() <= (3 if mode == "L" else 24)
    second = tf.io.decode_jpeg((tmp_path / "x.jpg").read_bytes(), dct_method="INTEGER_ACCURATE")
    assert np.abs(found.astype(int) - second.numpy()).max() <= 1


def test_a_jpeg_of_inks_or_cut_off_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (40, 32)).save(tmp_path / "inks.jpg")
    refused(tmp_path / "x.jpg", (tmp_path / "inks.jpg").read_bytes(), "colour mode CMYK")
    Image.fromarray(smooth(3)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    for length in (len(whole) // 3, len(whole) * 2 // 3, len(whole) - 20):
        refused(tmp_path / "x.jpg", whole[:length], "cannot be read")


def test_a_photo_of_a_telephone_is_its_first_picture(tmp_path: Path) -> None:
    small = Image.fromarray(smooth(3)[::2, ::2])
    Image.fromarray(smooth(3)).save(
        tmp_path / "x.jpg", format="MPO", save_all=True, append_images=[small], quality=95
    )
    assert read_images([tmp_path / "x.jpg"]).arrays[0].shape == (32, 40, 3)


@pytest.mark.parametrize(
    ("name", "pixels", "options"),
    [
        ("x.bmp", GREY, {}),
        ("x.bmp", COLOUR, {}),
        ("x.bmp", GREY > 90, {}),
        ("x.tif", GREY, {}),
        ("x.tif", GREY > 90, {}),
        ("x.tiff", COLOUR, {}),
        ("x.tif", COLOUR, {"compression": "tiff_lzw"}),
        ("x.tif", GREY.astype(np.uint16) * 257, {}),
        ("x.webp", COLOUR, {"lossless": True}),
    ],
)
def test_other_kinds_of_pictures(
    tmp_path: Path, name: str, pixels: np.ndarray, options: dict[str, Any]
) -> None:
    Image.fromarray(pixels).save(tmp_path / name, **options)
    found = read_images([tmp_path]).arrays[0]
    expected = np.where(pixels, 255, 0) if pixels.dtype == bool else pixels
    assert found.dtype == (np.uint16 if pixels.dtype == np.uint16 else np.uint8)
    assert np.array_equal(found, expected.reshape(found.shape))


def tiff(bits: tuple[int, ...], *, photometric: int, sample_format: int = 1) -> bytes:
    """A TIFF file of one row of four pixels, all bits 0."""
    size = 4 * sum(bits) // 8
    values = b"".join(struct.pack("<H", one) for one in bits)
    at = 8 + 2 + 10 * 12 + 4
    entries = [
        (256, 3, 1, 4),
        (257, 3, 1, 1),
        (258, 3, len(bits), bits[0] if len(bits) == 1 else at),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, at + len(values)),
        (277, 3, 1, len(bits)),
        (278, 3, 1, 1),
        (279, 4, 1, size),
        (339, 3, 1, sample_format),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + bytes(4) + values + bytes(size)


@pytest.mark.parametrize(
    ("bits", "photometric", "sample_format"),
    [
        ((12,), 1, 1),
        ((16,), 0, 1),  # 0 is white
        ((16,), 1, 2),  # signed
        ((32,), 1, 1),
        ((32,), 1, 3),  # floating
        ((16, 16, 16), 2, 1),
        ((8, 8, 8, 8), 5, 1),  # inks
        ((8, 8, 8), 8, 1),  # Lab
    ],
)
def test_a_tiff_that_would_be_misread_is_refused(
    tmp_path: Path, bits: tuple[int, ...], photometric: int, sample_format: int
) -> None:
    content = tiff(bits, photometric=photometric, sample_format=sample_format)
    refused(tmp_path / "x.tif", content, "cannot be read|colour mode")


def test_a_tiff_that_is_not_is_read(tmp_path: Path) -> None:
    for bits, photometric, value in [((16,), 1, 0), ((8,), 0, 255), ((8,), 1, 0), ((4,), 0, 255)]:
        found = read(tmp_path / "x.tif", tiff(bits, photometric=photometric))
        assert found.tolist() == [[[value]] * 4]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "turned.tif", exif=exif)
    found = read_images([tmp_path / "turned.tif"]).arrays[0]
    assert np.array_equal(found, np.rot90(COLOUR, -1))


def test_a_transparent_webp_or_bmp_is_refused(tmp_path: Path) -> None:
    glass = np.concatenate([COLOUR, np.full((HEIGHT, WIDTH, 1), 100, np.uint8)], axis=-1)
    for name in ("x.webp", "x.tif"):
        Image.fromarray(glass).save(tmp_path / name)
        refused(tmp_path / name, (tmp_path / name).read_bytes(), "transparent in places")
    glass[..., -1] = 255
    for name in ("x.webp", "x.tif"):
        Image.fromarray(glass).save(tmp_path / name, lossless=True)
        assert np.array_equal(read_images([tmp_path / name]).arrays[0], COLOUR)
