"""One picture from a file, as the numbers that it stores or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.files.file_errors import UnusableFileError, reading
from insens_tf.files.png import PngHeader, png_header

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["PICTURE_ENDINGS", "PICTURE_FORMS", "read_picture"]

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PICTURE_FORMS = "PNG, JPEG, BMP, TIFF or WebP"
_PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")

# Entries of a TIFF file.
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_BLACK_IS_ZERO, _UNSIGNED = 1, 1


def read_picture(path: Path) -> NDArray[Any]:
    """Read a picture, (height, width, channels): grey or RGB, uint8, or uint16 of 16-bit grey.

    The numbers are those that are stored, whatever a profile or gamma says of how to show them;
    grey of fewer bits is brought to 0..255, palettes are resolved, fully opaque alpha channels are
    dropped, and the picture is turned as its EXIF orientation says.

    Raises
    ------
    UnusableFileError
        If it is damaged, no picture, larger than Pillow's limit against decompression bombs, holds
        several pictures, or its colours are not defined without a choice (transparency, CMYK) or
        are of more bits than Pillow keeps.
    """
    from PIL import Image, ImageOps

    with reading(path, "image"):
        header = png_header(path)
        with Image.open(path, formats=_PILLOW_FORMATS) as opened:
            width, height = opened.size
            # Pillow refuses what is twice as large, and only warns of this.
            if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
                raise UnusableFileError(
                    f"image {path} has {height} x {width} pixels, more than the "
                    f"{Image.MAX_IMAGE_PIXELS:,} beyond which Pillow takes a picture for a "
                    "decompression bomb; shrink it first"
                )
            # A telephone's photo (MPO) comes with a small copy of itself.
            pictures = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
            if pictures > 1:
                raise UnusableFileError(
                    f"image {path} holds {pictures} pictures; expected one, so save each as a file"
                )
            _check_depth(opened, header, path)
            opened.load()
            return _pixels(ImageOps.exif_transpose(opened), header, path)


def _check_depth(image: PillowImage, header: PngHeader | None, path: Path) -> None:
    """Raise `UnusableFileError` where Pillow would shorten or misread the numbers."""
    if header is not None and header.depth > 8 and (header.has_colours or header.has_alpha):
        raise _too_deep(path, "16 bits a channel")
    if image.format != "TIFF":
        return
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits = tuple(tags.get(_BITS, (1,)))
    deep = max(bits) > 8
    as_stored = len(bits) == len(image.getbands()) and set(tags.get(_SAMPLE_FORMAT, (1,))) == {
        _UNSIGNED
    }
    if deep and (bits != (16,) or tags.get(_PHOTOMETRIC) != _BLACK_IS_ZERO):
        as_stored = False
    if not as_stored:
        raise _too_deep(path, f"{' + '.join(map(str, bits))} bits a pixel")


def _too_deep(path: Path, found: str) -> UnusableFileError:
    return UnusableFileError(
        f"image {path} has {found}, which cannot be read whole; expected grey of up to 16 bits "
        "or RGB of 8 bits a channel, so convert it, or save its pixels as a .npy file"
    )


def _pixels(image: PillowImage, header: PngHeader | None, path: Path) -> NDArray[Any]:
    if image.mode in ("P", "PA"):
        _check_palette(image, path)
        image = image.convert("RGBA")
    if image.mode == "1":
        image = image.convert("L")
    pixels = np.asarray(image)
    if image.mode in ("RGBA", "LA"):
        is_opaque = (pixels[..., -1] == 255).all()
        pixels = pixels[..., :-1]
    elif image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow has shown PNGs of 16 bits a pixel under both modes.
        pixels = pixels.astype(np.uint16)
        is_opaque = not _has_transparent(pixels, header)
    elif image.mode in ("L", "RGB"):
        is_opaque = not _has_transparent(pixels, header)
    else:
        raise UnusableFileError(
            f"image {path} has the colour mode {image.mode}; expected grey or RGB, so convert it "
            "first"
        )
    if not is_opaque:
        raise UnusableFileError(
            f"image {path} is transparent in places, so its colours depend on a background; "
            "flatten it first"
        )
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _has_transparent(pixels: NDArray[Any], header: PngHeader | None) -> bool:
    """Tell whether a pixel has the grey or colour that a PNG file marks as transparent."""
    if header is None or header.transparent is None:
        return False
    # Samples of fewer bits have been brought to 0..255.
    factor = 1 if header.depth > 8 else 255 // (2**header.depth - 1)
    transparent = np.array(header.transparent) * factor
    same = pixels == (transparent if pixels.ndim == 3 else transparent[0])
    return bool((same.all(axis=-1) if pixels.ndim == 3 else same).any())


def _check_palette(image: PillowImage, path: Path) -> None:
    """Raise `UnusableFileError` if a pixel has a colour that the palette lacks."""
    mode = image.palette.mode if image.palette else "RGB"
    colours = len(image.palette.palette) // len(mode) if image.palette else 0
    largest = int(np.asarray(image.getchannel(0)).max())
    if largest >= colours:
        raise UnusableFileError(
            f"image {path} is damaged: a pixel has the colour {largest} of a palette of {colours}"
        )
