"""Images from files: pictures, folders of them, arrays in npy and npz files."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from insens_tf.files import UnusableFileError, check_image_paths, one_line, read_images

GREY = np.arange(20, dtype=np.uint8).reshape(4, 5) * 10
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def save_picture(path: Path, pixels: np.ndarray, **arguments: Any) -> Path:
    Image.fromarray(pixels).save(path, **arguments)
    return path


def test_pictures_of_a_folder_come_in_natural_order(tmp_path: Path) -> None:
    for name in ("digit_10.png", "digit_2.PNG", "digit_1.jpg", ".hidden.png"):
        save_picture(tmp_path / name, GREY, format="JPEG" if name.endswith("jpg") else "PNG")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder.png").mkdir()
    images = read_images([tmp_path])
    assert images.names == ("digit_1.jpg", "digit_2.PNG", "digit_10.png")
    assert images.source == str(tmp_path)
    assert np.array_equal(images.arrays[1], GREY[..., np.newaxis])


def test_digits_that_are_no_numbers_are_letters(tmp_path: Path) -> None:
    # int() does not read all that str.isdigit() calls digits.
    for name in ("1²3.png", "1²10.png", "\u0661.png", "10.png", "9.png", "²"):
        (tmp_path / name).write_bytes(b"") if name == "²" else save_picture(tmp_path / name, GREY)
    assert read_images([tmp_path]).names == (
        *("1²3.png", "1²10.png"),
        *("9.png", "10.png", "\u0661.png"),
    )


def test_names_of_pictures_are_unique(tmp_path: Path) -> None:
    paths = ["a/0.png", "b/0.png", "b/1.png", "c/b/0.png", "c/0.jpg"]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        save_picture(tmp_path / path, GREY)
    images = read_images([tmp_path / path for path in paths])
    above = tmp_path.name
    assert images.names == ("a/0.png", f"{above}/b/0.png", "1.png", "c/b/0.png", "0.jpg")
    (tmp_path / "link.png").symlink_to(tmp_path / "a" / "0.png")
    linked = read_images([tmp_path / "a", tmp_path / "link.png"])
    assert linked.names == ("0.png", "link.png")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf_8_can_be_printed(tmp_path: Path) -> None:
    for i, name in enumerate((b"\xff.png", b"\xfe.png")):
        path = tmp_path / os.fsdecode(name)
        save_picture(tmp_path / "x.png", GREY + i).rename(path)
    images = read_images([tmp_path])
    assert images.names == ("\\udcfe.png", "\\udcff.png")
    with pytest.raises(UnusableFileError, match="do not exist") as caught:
        read_images([tmp_path / os.fsdecode(b"\xfd.png")])
    assert "\\udcfd" in one_line(caught.value)


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
        (["empty"], "holds no PNG, JPEG"),
        (["one.png", "two.npy"], "with arrays among them"),
        (["two.npy", "two.npy"], "with arrays among them"),
        (["one.png", "one.png"], r"one\.png is given twice; name it once"),
        ([".", "one.png"], r"one\.png is given twice"),
        (["one.png", "empty/../one.png"], r"one\.png is given twice, once as .*one\.png;"),
    ]:
        with pytest.raises(UnusableFileError, match=message):
            check_image_paths([tmp_path / name for name in names])
