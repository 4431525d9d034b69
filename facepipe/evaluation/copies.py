"""Copies of a photo as they come about: resized, compressed again, saved in another format, with other metadata."""

import io
import random
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

Edit = Literal["resized", "recompressed", "reformatted", "metadata", "combined"]

_SCALES = (0.25, 0.33, 0.5, 0.75, 0.9, 1.5, 2.0)
_QUALITIES = (30, 50, 70, 80, 90)
_FILTERS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.BOX)
_COMMENT = "a copy"


class MadeCopy(NamedTuple):
    """A copy of a photo.

    Attributes:
        edit: what was done to it.
        suffix: of its file name.
        data: the file.
        same_pixels: whether it decodes to the same pixels as the photo.
    """

    edit: Edit
    suffix: str
    data: bytes
    same_pixels: bool


def make_copies(data: bytes, rng: random.Random) -> Iterator[MadeCopy]:
    """Yield a copy of a photo for each kind of edit, how far it goes being drawn at random.

    Scales are 0.25 to 2 with one of four filters, JPEG qualities 30 to 90 (WebP alike); other formats are PNG, BMP,
    TIFF and WebP, lossless and lossy; metadata is a comment in the file, all else being the same bytes (of a photo that
    isn't a JPEG: the same pixels as PNG); combined is a smaller photo compressed again in one of both formats.

    Args:
        data: the photo's file, of a format that Pillow reads.
        rng: where chance comes from.
    """
    with Image.open(io.BytesIO(data)) as opened:
        is_jpeg = opened.format == "JPEG"
        photo = ImageOps.exif_transpose(opened).convert("RGB")
    yield MadeCopy("resized", ".jpg", _jpeg(_resized(photo, rng.choice(_SCALES), rng), 92), False)
    yield MadeCopy("recompressed", ".jpg", _jpeg(photo, rng.choice(_QUALITIES)), False)
    yield _reformatted(photo, rng)
    if is_jpeg:
        yield MadeCopy("metadata", ".jpg", _with_comment(data), True)
    else:
        info = PngInfo()
        info.add_text("Comment", _COMMENT)
        yield MadeCopy("metadata", ".png", _encoded(photo, "PNG", pnginfo=info), True)
    smaller = _resized(photo, rng.choice([scale for scale in _SCALES if scale < 1]), rng)
    quality = rng.choice(_QUALITIES)
    suffix, combined = rng.choice([(".jpg", _jpeg(smaller, quality)), (".webp", _webp(smaller, quality))])
    yield MadeCopy("combined", suffix, combined, False)


def _reformatted(photo: Image.Image, rng: random.Random) -> MadeCopy:
    suffix, data, lossless = rng.choice(
        [
            (".png", _encoded(photo, "PNG"), True),
            (".bmp", _encoded(photo, "BMP"), True),
            (".tif", _encoded(photo, "TIFF", compression="tiff_lzw"), True),
            (".webp", _encoded(photo, "WEBP", lossless=True), True),
            (".webp", _webp(photo, rng.choice(_QUALITIES)), False),
        ]
    )
    return MadeCopy("reformatted", suffix, data, lossless)


def _resized(photo: Image.Image, scale: float, rng: random.Random) -> Image.Image:
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    return photo.resize(size, rng.choice(_FILTERS))


def _jpeg(photo: Image.Image, quality: int) -> bytes:
    return _encoded(photo, "JPEG", quality=quality)


def _webp(photo: Image.Image, quality: int) -> bytes:
    return _encoded(photo, "WEBP", quality=quality)


def _encoded(photo: Image.Image, image_format: str, **options: object) -> bytes:
    sink = io.BytesIO()
    photo.save(sink, image_format, **options)
    return sink.getvalue()


def _with_comment(jpeg: bytes) -> bytes:
    """Return a JPEG with a comment segment (ITU-T T.81, B.2.4.5) behind its first marker."""
    text = _COMMENT.encode()
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + jpeg[2:]
