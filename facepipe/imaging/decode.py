"""A photo's bytes become an upright RGB array, at the reduced scale that is needed and never beyond set limits."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.exif import read_exif
from facepipe.imaging.sniff import SNIFFED_BYTES, sniff_media_type

DECODERS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
}  # media type: the one decoder of Pillow that is let near the bytes

Image.MAX_IMAGE_PIXELS = None  # our own limit, checked from the header, takes the place of Pillow's fixed one
warnings.filterwarnings("ignore", module=r"PIL\.")  # one line a slightly odd file says nothing a user could act on

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class PhotoHeader:
    """What a photo says of itself before it is decoded.

    Attributes:
        media_type: sniffed from the first bytes; a key of `DECODERS`.
        width: as stored, that is, perhaps lying on its side.
        height: likewise.
    """

    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class DecodedPhoto:
    """A photo as pixels, with what is known about it.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, upright, perhaps smaller than the photo.
        width: of the upright photo in full, in pixels.
        height: likewise.
        taken_at: local time without zone, from EXIF.
        camera: make and model.
        latitude: degrees, north positive.
        longitude: degrees, east positive.
    """

    pixels: Pixels
    width: int
    height: int
    taken_at: datetime | None
    camera: str | None
    latitude: float | None
    longitude: float | None


def check_header(data: bytes, max_pixels: int) -> PhotoHeader:
    """Return a photo's type and size, without decoding it.

    Args:
        data: the whole file.
        max_pixels: a photo that has more is refused.

    Raises:
        PhotoError: empty, not_an_image, unsupported, too_large, or truncated where the header itself is damaged.
    """
    with _hostile_input():
        _, header = _open(data, max_pixels)
    return header


def decode_photo(data: bytes, max_side: int, max_pixels: int) -> DecodedPhoto:
    """Return an upright photo no side of which is longer than `max_side`; it is never enlarged.

    A JPEG is decoded at the smallest of the scales 1, 1/2, 1/4, 1/8 that leaves its long side at least `max_side`
    (its decoder then skips most of the work); what is still larger is averaged down (area) to `max_side` exactly.
    Grey, palette, CMYK and 16-bit pictures become 8-bit RGB: 16 bits keep their upper eight, 32-bit and floating-point
    pictures are stretched from their least to their greatest value, transparent parts show white. Of several frames or
    pages the first one counts. Colour profiles are not applied.

    Args:
        data: the whole file.
        max_side: longest side of the result, in pixels.
        max_pixels: a photo that has more, by its header, is refused undecoded.

    Raises:
        PhotoError: empty, not_an_image, unsupported, too_large, truncated or internal.
    """
    with _hostile_input():
        image, header = _open(data, max_pixels)
        longest = max(header.width, header.height)
        if longest > max_side:  # `draft` is JPEG's alone, and never goes below the size it is asked for
            image.draft(image.mode, (header.width * max_side // longest or 1, header.height * max_side // longest or 1))
        image.load()
        facts = read_exif(image)
        pixels = _to_rgb(image)  # (h, w, 3)
        if max(pixels.shape[:2]) > max_side:
            size = tuple(max(1, round(side * max_side / longest)) for side in (header.width, header.height))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    turned = facts.orientation >= 5
    return DecodedPhoto(
        pixels=_turn_upright(pixels, facts.orientation),
        width=header.height if turned else header.width,
        height=header.width if turned else header.height,
        taken_at=facts.taken_at,
        camera=facts.camera,
        latitude=facts.latitude,
        longitude=facts.longitude,
    )


@contextmanager
def _hostile_input() -> Iterator[None]:
    """Turn whatever a decoder raises on hostile bytes into a PhotoError: the one place where everything is caught."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(ErrorCode.TOO_LARGE, "the photo does not fit into memory when decoded") from error
    except (OSError, SyntaxError, EOFError, struct.error, zlib.error) as error:  # no disk is read: the bytes are bad
        raise PhotoError(ErrorCode.TRUNCATED, f"the photo is cut short or damaged: {error}") from error
    except Exception as error:
        message = f"the decoder failed with {type(error).__name__}: {error}"
        raise PhotoError(ErrorCode.INTERNAL, message) from error


def _open(data: bytes, max_pixels: int) -> tuple[Image.Image, PhotoHeader]:
    if not data:
        raise PhotoError(ErrorCode.EMPTY, "the file is empty")
    media_type = sniff_media_type(data[:SNIFFED_BYTES])
    if media_type is None:
        raise PhotoError(ErrorCode.NOT_AN_IMAGE, "the file holds no picture, whatever its name says")
    if media_type not in DECODERS:
        raise PhotoError(ErrorCode.UNSUPPORTED, f"files of type {media_type} are not supported")
    image = Image.open(io.BytesIO(data), formats=[DECODERS[media_type]])
    width, height = image.size
    if width * height > max_pixels:
        raise PhotoError(
            ErrorCode.TOO_LARGE, f"the photo has {width} x {height} pixels, more than decode.max_pixels = {max_pixels}"
        )
    return image, PhotoHeader(media_type, width, height)


def _to_rgb(image: Image.Image) -> Pixels:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return np.asarray(white)
    if image.mode.startswith("I;16"):
        return _grey_to_rgb(np.asarray(image) >> 8)
    if image.mode in {"I", "F"}:
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        spread = float(np.ptp(values)) or 1.0
        return _grey_to_rgb((values - values.min()) * (255 / spread))
    return np.asarray(image.convert("RGB"))


def _grey_to_rgb(grey: NDArray[np.generic]) -> Pixels:
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels as EXIF orientation 1 to 8 wants them shown (EXIF 2.32, section 4.6.4, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
