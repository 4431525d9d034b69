"""What the isolated process does with one photo file: read it, identify it, decode it.

Nothing heavy is imported here: the isolated process starts for every worker, and again after every fault.
"""

import hashlib
import re
from typing import Any
from urllib.parse import unquote

import cv2

from facepipe.duplicates.hashing import perceptual_hash
from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.dates import date_in_name
from facepipe.imaging.decode import check_header, decode_photo
from facepipe.isolation.child import Call, Payload
from facepipe.sources.read_source import read_source

CHANGED = "the file has changed since it was ingested: run ingest again"


def open_identifier(max_bytes: int, max_pixels: int) -> Call:
    """Return the function from an address to what lies there: photo_id, bytes, media_type, status and message.

    Args:
        max_bytes: a larger file is refused unread.
        max_pixels: a photo that has more, by its header, is refused.
    """

    def identify(address: str) -> tuple[dict[str, Any], Payload]:
        data = read_source(address, max_bytes)
        if not data:
            raise PhotoError(ErrorCode.EMPTY, "the file is empty")
        facts = {"photo_id": hashlib.sha256(data).hexdigest(), "bytes": len(data), "media_type": None}
        try:
            facts |= {"media_type": check_header(data, max_pixels).media_type, "status": "", "message": ""}
        except PhotoError as error:  # what failed is still known by its content
            facts |= {"status": error.code.value, "message": str(error)}
        return facts, b""

    return identify


def open_decoder(max_bytes: int, max_pixels: int, max_side: int) -> Call:
    """Return the function from a photo_id, the photo's uri and the address of its bytes to facts and upright pixels.

    Pixels are (pixel_height, pixel_width, 3) uint8 RGB; the other facts are those of the full photo.

    Args:
        max_bytes: a larger file is refused unread.
        max_pixels: a photo that has more, by its header, is refused undecoded.
        max_side: no side of the result is longer.
    """
    cv2.setNumThreads(1)  # the workers are as many as the cores

    def decode(photo_id: str, uri: str, address: str) -> tuple[dict[str, Any], Payload]:
        data = read_source(address, max_bytes)
        if hashlib.sha256(data).hexdigest() != photo_id:
            raise PhotoError(ErrorCode.VANISHED, CHANGED)
        photo = decode_photo(data, max_side, max_pixels)
        taken_at = photo.taken_at or date_in_name(_name_in(uri))
        height, width = photo.pixels.shape[:2]
        facts = {
            "width": photo.width,
            "height": photo.height,
            "taken_at": taken_at.isoformat() if taken_at else None,
            "camera": photo.camera,
            "latitude": photo.latitude,
            "longitude": photo.longitude,
            "perceptual_hash": perceptual_hash(photo.pixels).hex(),
            "pixel_width": width,
            "pixel_height": height,
        }
        return facts, photo.pixels.data

    return decode


def _name_in(uri: str) -> str:
    """Return a file's or an archive member's own name."""
    return unquote(re.split("[/#]", uri)[-1], errors="replace")
