"""JPEGs at the reduced scale that suffices, as fast as their decoder goes, and none that is cut short."""

import io
from typing import cast

import cv2
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from facepipe.imaging.colour import Pixels, Space, eight_bits

_SCALES = (8, 4, 2, 1)  # the pixels left out cost their decoder next to nothing
_REDUCED = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_END = b"\xff\xd9"
_MORE_BITS = 64  # bytes: far more than the last block could still be waiting for


def decode_jpeg(image: JpegImageFile, least_side: int) -> tuple[Pixels, Space]:
    """Return samples at the smallest of the scales 1, 1/2, 1/4, 1/8 that leaves the long side at least `least_side`.

    OpenCV and Pillow use the same decoder and give equal samples. OpenCV's come without a detour, but where bytes are
    missing it makes up the rest: it is asked only where the file has its end, and Pillow reads, or refuses, the others.

    Args:
        image: opened from bytes, not loaded.
        least_side: in pixels; all of a smaller photo is decoded.

    Returns:
        (h, w) grey, (h, w, 3) RGB or (h, w, 4) CMYK uint8, and which of the three.

    Raises:
        OSError: the file is cut short or damaged.
    """
    scale = next(scale for scale in _SCALES if max(image.size) >= scale * least_side or scale == 1)
    whole = cast(io.BytesIO, image.fp).getvalue()
    data = whole.rstrip(b"\0")  # an interrupted copy may leave zeros, which the decoder would take for pixels
    if data.endswith(_END) and image.mode in {"RGB", "L"}:
        samples = _decode_whole(data, image, scale)
        if samples is not None:
            return samples, "RGB" if image.mode == "RGB" else "L"
    try:
        return _decode_carefully(image if data is whole else JpegImageFile(io.BytesIO(data)), scale)
    except OSError:
        completed = _add_missing_end(data)
        if completed is None:
            raise
    return _decode_carefully(JpegImageFile(io.BytesIO(completed)), scale)


def _decode_whole(data: bytes, image: JpegImageFile, scale: int) -> Pixels | None:
    how = _REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION | (cv2.IMREAD_COLOR_RGB if image.mode == "RGB" else 0)
    try:
        samples: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:
        return None
    if samples is None or samples.shape[1::-1] != tuple(-(-side // scale) for side in image.size):
        return None
    return samples


def _decode_carefully(image: JpegImageFile, scale: int) -> tuple[Pixels, Space]:
    if scale > 1:
        image.draft(image.mode, (image.width // scale or 1, image.height // scale or 1))
    image.load()
    return eight_bits(image)


def _add_missing_end(data: bytes) -> bytes | None:
    """Return a JPEG with the end marker that it lacks, or None where pixels are missing too.

    The decoder doesn't tell how far it came. So the file is continued in two different ways: a pixel that waits for
    more bits gets others from each, while a picture that is complete passes over both.
    """
    body = data.removesuffix(b"\xff")  # half an end marker
    try:
        first, second = (_pixels(body + filling * _MORE_BITS + _END) for filling in (b"\x00", b"\xa5"))
    except Exception:  # noqa: BLE001 - the bytes are damaged in another way, which the caller has found already
        return None
    return body + _END if first == second else None


def _pixels(data: bytes) -> bytes:
    image = JpegImageFile(io.BytesIO(data))
    image.load()
    return image.tobytes()
