"""The form of a PNG file's samples, of which Pillow keeps only a part."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["SIGNATURE", "PngHeader", "png_header"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class PngHeader(NamedTuple):
    """The form of a PNG file's samples.

    Attributes
    ----------
    depth : int
        Bits a sample, or a palette's index.
    has_colours, has_alpha : bool
    transparent : tuple of int or None
        The grey or the colour, as samples of this depth, whose pixels are transparent.
    """

    depth: int
    has_colours: bool
    has_alpha: bool
    transparent: tuple[int, ...] | None


def png_header(path: Path) -> PngHeader | None:
    """Read the form of a PNG file's samples; None for a file of another kind."""
    content = path.read_bytes()
    if not content.startswith(SIGNATURE):
        return None
    depth = kind = 0
    transparent: tuple[int, ...] | None = None
    for name, data in _chunks(content):
        if name == b"IHDR":
            depth, kind = struct.unpack(">8xBB", data[:10])
        elif name == b"tRNS" and kind in (0, 2):
            largest = 2**depth - 1
            transparent = tuple(
                value & largest for (value,) in struct.iter_unpack(">H", data[: 6 if kind else 2])
            )
    return PngHeader(depth, bool(kind & 2), bool(kind & 4), transparent)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Go through a file's chunks. Pillow notices what is damaged or cut off in them."""
    start = len(SIGNATURE)
    while start + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        yield name, content[start + 8 : start + 8 + length]
        start += 12 + length
