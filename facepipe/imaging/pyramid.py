"""A photo at many scales: what a detector with a window of fixed size looks at, and where crops are taken from."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def pyramid_scales(width: int, height: int, *, window: int, min_face: float, factor: float) -> list[float]:
    """Return the scales of an image pyramid, largest first.

    The first scale makes a face of `min_face` pixels as large as the window; each next one is `factor` times smaller;
    the last is the smallest at which the window still fits into the photo. (Zhang et al. 2016, section II.A: the
    input is resized to different scales to build an image pyramid.)

    Args:
        width: of the photo, in pixels.
        height: likewise.
        window: side of the detector's window, in pixels.
        min_face: side of the least face, in pixels of the photo.
        factor: ratio between neighbouring scales, between 0 and 1.

    Returns:
        Resized pixels per pixel of the photo; empty where the photo is smaller than the least face.
    """
    if min(width, height) < min_face:
        return []
    first = window / min_face
    steps = math.log(min_face / min(width, height)) / math.log(factor)
    return [first * factor**step for step in range(math.floor(steps + 1e-9) + 1)]


class Octaves:
    """A photo and its halves, quarters, eighths …, each the exact mean of 2 x 2 pixels of the one before.

    Resizing by interpolation alone skips pixels beyond a factor of two, and averaging over areas of odd sizes is many
    times slower. From the nearest larger octave interpolation is both right and fast. An odd last row or column is
    left out of the next octave, so that pixel (x, y) of octave k is exactly the 2^k x 2^k pixels from (2^k x, 2^k y).
    """

    def __init__(self, image: Image) -> None:
        """Keep a view of `image` (H, W, 3) uint8 and make its octaves down to a side of one pixel."""
        self._octaves = [image]
        while min(image.shape[:2]) >= 2:
            height, width = image.shape[0] // 2, image.shape[1] // 2
            image = cv2.resize(image[: height * 2, : width * 2], (width, height), interpolation=cv2.INTER_AREA)
            self._octaves.append(image)

    @property
    def image(self) -> Image:
        """The photo itself, (H, W, 3) uint8."""
        return self._octaves[0]

    def nearest(self, scale: float) -> tuple[Image, int]:
        """Return the smallest octave that is at least `scale` times the photo, and how often it is smaller (1, 2, 4 …)."""
        octave = min(max(0, math.floor(1e-9 - math.log2(scale))), len(self._octaves) - 1)
        return self._octaves[octave], 1 << octave

    def resized(self, scale: float) -> tuple[Image, tuple[float, float]]:
        """Return the photo at about `scale`, and the width and height of its pixels in pixels of the photo."""
        source, pixel = self.nearest(scale)
        height, width = source.shape[:2]
        size = math.ceil(width * pixel * scale - 1e-6), math.ceil(height * pixel * scale - 1e-6)
        resized = source if size == (width, height) else cv2.resize(source, size, interpolation=cv2.INTER_LINEAR)
        return resized, (width * pixel / size[0], height * pixel / size[1])

    def crop(self, box_xyxy: NDArray[np.floating], side: int) -> Image:
        """Return what lies in a box (4,), stretched to (side, side, 3) uint8; black where it reaches past the photo."""
        x0, y0, x1, y1 = (float(edge) for edge in box_xyxy)
        source, pixel = self.nearest(side / max(x1 - x0, y1 - y0))
        x_step, y_step = (x1 - x0) / (side * pixel), (y1 - y0) / (side * pixel)  # source pixels per crop pixel
        # Pixel centres lie at halves: crop pixel i shows x0 / pixel + (i + 1/2) x_step of the source, less its own half.
        to_source = np.array(
            [[x_step, 0, x0 / pixel + x_step / 2 - 0.5], [0, y_step, y0 / pixel + y_step / 2 - 0.5]], dtype=np.float64
        )
        return cv2.warpAffine(source, to_source, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
