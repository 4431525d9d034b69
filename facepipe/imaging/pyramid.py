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
    """A photo and its halves, quarters, eighths …, each pixel the mean of 2 x 2 pixels of the octave before.

    Averaging over areas is what shrinks a picture without losing detail to chance, and costs as much as the picture it
    starts from is large: starting from the nearest octave makes small levels and crops of large faces cheap. An odd
    last row or column is left out of the next octave, so that its pixel (x, y) is exactly those before it from
    (2x, 2y) on.
    """

    def __init__(self, image: Image) -> None:
        """Keep `image` (H, W, 3) uint8, uncopied, and make its octaves down to a side of one pixel."""
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
        """Return the smallest octave that is at least `scale` times the photo, and the side of its pixels (1, 2, 4 …).

        It is the photo itself where `scale` is greater than one half, and the last octave where none is small enough.
        """
        octave = min(max(0, math.floor(1e-9 - math.log2(scale))), len(self._octaves) - 1)
        return self._octaves[octave], 1 << octave

    def resized(self, scale: float) -> tuple[Image, tuple[float, float]]:
        """Return the photo at `scale`, and the width and height of its pixels in pixels of the photo.

        The size is rounded up. It is averaged down from an octave at least twice as large: from a smaller one the
        detector's average precision on WIDER FACE was 0.01 lower. At more than 1 it is enlarged bilinearly.
        """
        if scale > 1:
            height, width = self.image.shape[:2]
            larger = math.ceil(width * scale - 1e-6), math.ceil(height * scale - 1e-6)
            enlarged: Image = cv2.resize(self.image, larger, interpolation=cv2.INTER_LINEAR)
            return enlarged, (width / larger[0], height / larger[1])
        source, pixel = self.nearest(scale * 2)
        height, width = source.shape[:2]
        size = math.ceil(width * pixel * scale - 1e-6), math.ceil(height * pixel * scale - 1e-6)
        resized = source if size == (width, height) else cv2.resize(source, size, interpolation=cv2.INTER_AREA)
        return resized, (width * pixel / size[0], height * pixel / size[1])

    def crop(self, box_xyxy: NDArray[np.floating], side: int) -> Image:
        """Return what lies in a box, stretched to (side, side, 3) uint8; black where it reaches past the photo.

        It is taken from the octave nearest to the crop's size, with edges rounded down to whole pixels of that.

        Args:
            box_xyxy: (4,) in pixels of the photo.
            side: of the crop, in pixels.
        """
        x0, y0, x1, y1 = (float(edge) for edge in box_xyxy)
        source, pixel = self.nearest(side / max(x1 - x0, y1 - y0, 1.0))
        left, top = math.floor(x0 / pixel), math.floor(y0 / pixel)
        right, bottom = max(left + 1, math.floor(x1 / pixel)), max(top + 1, math.floor(y1 / pixel))
        height, width = source.shape[:2]
        inside = source[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        if left < 0 or top < 0 or right > width or bottom > height:
            frame = np.zeros((bottom - top, right - left, 3), dtype=np.uint8)
            above, before = max(-top, 0), max(-left, 0)
            frame[above : above + inside.shape[0], before : before + inside.shape[1]] = inside
            inside = frame
        shrinks = max(inside.shape[:2]) > side
        crop: Image = cv2.resize(inside, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return crop
