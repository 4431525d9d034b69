"""A photo's bytes become an upright RGB array, at the reduced scale that is needed and never beyond set limits."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.camera_raw import camera_raw_type
from facepipe.imaging.colour import Pixels, eight_bits, to_srgb
from facepipe.imaging.exif import read_facts
from facepipe.imaging.formats import open_photo
from facepipe.imaging.jpeg import decode_jpeg
from facepipe.imaging.sniff import SNIFFED_BYTES, sniff_media_type

_NEARLY = 0.9  # of max_side: a JPEG this large already is not decoded at twice the size, to be shrunk by a hair

warnings.filterwarnings("ignore", module=r"PIL\.")  # one line a slightly odd file says nothing a user could act on


@dataclass(frozen=True)
class PhotoHeader:
    """What a photo says of itself before it is decoded.

    Attributes:
        media_type: by its bytes, whatever its name says.
        width: as stored, that is, perhaps lying on its side; of a camera raw file: of the preview inside.
        height: likewise.
    """

    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class DecodedPhoto:
    """A photo as pixels, with what is known about it.

    Attributes:
        pixels: (h, w, 3) uint8 sRGB, upright, perhaps smaller than the photo.
        width: of the upright photo in full, in pixels; of a camera raw file: of the preview inside.
        height: likewise.
        taken_at: local time without zone, from EXIF, else XMP.
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
    with _whatever_happens():
        _, header = _open(data, max_pixels)
    return header


def upright_size(data: bytes, max_pixels: int) -> tuple[int, int]:
    """Return the width and height of an upright photo, without decoding it.

    Args:
        data: the whole file.
        max_pixels: a photo that has more is refused.

    Raises:
        PhotoError: as `check_header` does.
    """
    with _whatever_happens():
        image, header = _open(data, max_pixels)
        return _turned(header.width, header.height, read_facts(image).orientation)


def decode_photo(data: bytes, max_side: int, max_pixels: int) -> DecodedPhoto:
    """Return an upright photo no side of which is longer than `max_side`; it is never enlarged.

    A JPEG is decoded at the smallest of the scales 1, 1/2, 1/4, 1/8 that leaves its long side at least 0.9 `max_side`
    (its decoder then skips most of the work). What is still longer than `max_side` is shrunk to it exactly: to a half
    or more bilinearly, below that by area. Whatever the kind of picture, it becomes 8-bit sRGB: see
    `colour.eight_bits` and `colour.to_srgb`. Of several frames or pages the first one counts, of a camera raw file the
    largest preview, developed by the camera itself.

    Args:
        data: the whole file.
        max_side: in pixels.
        max_pixels: a photo that has more is refused from its header.

    Raises:
        PhotoError: empty, not_an_image, unsupported, too_large, truncated, or internal.
    """
    with _whatever_happens():
        image, _ = _open(data, max_pixels)
        width, height = image.size
        if isinstance(image, JpegImageFile):
            with _bytes_to_blame():
                samples, space = decode_jpeg(image, max(1, round(max_side * _NEARLY)))
        else:
            with _bytes_to_blame():
                image.load()
            width, height = image.size  # HEIF headers may have said otherwise
            _check_size(width, height, max_pixels)
            samples, space = eight_bits(image)
        facts = read_facts(image)
        samples = _shrink(samples, width, height, max_side)
        pixels = to_srgb(samples, space, _embedded_profile(image))
    width, height = _turned(width, height, facts.orientation)
    return DecodedPhoto(
        pixels=_turn_upright(pixels, facts.orientation),
        width=width,
        height=height,
        taken_at=facts.taken_at,
        camera=facts.camera,
        latitude=facts.latitude,
        longitude=facts.longitude,
    )


@contextmanager
def _whatever_happens() -> Iterator[None]:
    """Turn what is raised on the way into a PhotoError: no photo, however odd, costs another one."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(ErrorCode.TOO_LARGE, "the photo does not fit into memory when decoded") from error
    except Exception as error:
        message = f"decoding failed with {type(error).__name__}: {error}"
        raise PhotoError(ErrorCode.INTERNAL, message) from error


@contextmanager
def _bytes_to_blame() -> Iterator[None]:
    """Turn what a decoder raises into `truncated`: no disk is read here, so the bytes are bad."""
    try:
        yield
    except (PhotoError, MemoryError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        message = f"the photo is cut short, damaged, or of a kind its decoder can't read: {reason}"
        raise PhotoError(ErrorCode.TRUNCATED, message) from error


def _open(data: bytes, max_pixels: int) -> tuple[Image.Image, PhotoHeader]:
    if not data:
        raise PhotoError(ErrorCode.EMPTY, "the file is empty")
    media_type = sniff_media_type(data[:SNIFFED_BYTES])
    if media_type == "image/tiff":
        media_type = camera_raw_type(data) or media_type
    if media_type is None:
        raise PhotoError(ErrorCode.NOT_AN_IMAGE, "the file holds no picture, whatever its name says")
    with _bytes_to_blame():
        image = open_photo(data, media_type)
    width, height = image.size
    _check_size(width, height, max_pixels)
    return image, PhotoHeader(media_type, width, height)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PhotoError(
            ErrorCode.TOO_LARGE, f"the photo has {width} x {height} pixels, more than decode.max_pixels = {max_pixels}"
        )


def _embedded_profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def _shrink(samples: Pixels, width: int, height: int, max_side: int) -> Pixels:
    """Return samples no side of which is longer than max_side, in the proportions of the full photo."""
    longest = max(samples.shape[:2])
    if longest <= max_side:
        return samples
    size = tuple(max(1, round(side * max_side / max(width, height))) for side in (width, height))
    # To a half or more, bilinear interpolation looks at every pixel, six times as fast as weighing them by area.
    shrunk: Pixels = cv2.resize(
        samples, size, interpolation=cv2.INTER_LINEAR if longest <= 2 * max_side else cv2.INTER_AREA
    )
    return shrunk


def _turned(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return the size of what is turned upright: EXIF orientations from 5 on lie on their side."""
    return (height, width) if orientation >= 5 else (width, height)


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels as EXIF orientation 1 to 8 wants them shown (EXIF 2.32, section 4.6.4, tag 0x0112)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
