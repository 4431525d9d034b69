"""The pixels of a batch of decoded photos, seen as images without a copy."""

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
