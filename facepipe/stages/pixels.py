"""The pixels of a batch of decoded photos, seen as images without a copy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa


class PhotoPixels(NamedTuple):
    """A decoded photo.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, upright; read only.
        scale: decoded pixels per pixel of the full photo, at most 1.
    """

    pixels: np.ndarray
    scale: float


def photos_of(table: pa.Table) -> list[PhotoPixels]:
    """Return each row's image; a failed row has an image of no pixels."""
    widths, heights = table["pixel_width"].to_pylist(), table["pixel_height"].to_pylist()
    full = table["width"].to_pylist()
    photos = []
    for row, pixels in enumerate(table["pixels"]):
        if not pixels.is_valid:
            photos.append(PhotoPixels(np.zeros((0, 0, 3), np.uint8), 1.0))
            continue
        image = np.frombuffer(pixels.as_buffer(), np.uint8).reshape(heights[row], widths[row], 3)
        photos.append(PhotoPixels(image, widths[row] / full[row]))
    return photos


def pixel_column(pixels: memoryview, sizes: Sequence[int]) -> pa.LargeBinaryArray:
    """Return photos' pixels as a column, without a copy.

    Args:
        pixels: of all photos, one after the other.
        sizes: the bytes of each row's pixels; 0 makes a null, for a row that has failed.
    """
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    valid = pa.array(np.asarray(sizes) > 0).buffers()[1]
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(pixels)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(sizes), buffers)
