"""How well the pixels of a face show it: size, sharpness, noise, contrast, brightness."""

from itertools import pairwise
from math import ceil, floor
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Photo = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

LONG_SIDE = 128  # of the face while it is measured, in pixels
LEAST_SIDE = 16  # so that the coarsest band of a sliver still has two pixels
_LEAST_DETAIL = 0.2  # of 255: about what rounding to whole grey values does, so that a plain face is not sharp


class FaceLook(NamedTuple):
    """Measures of N faces, each (N,) float64.

    Attributes:
        size: longer side of the box in pixels of the image: the face's height, however it is turned.
        sharpness: 0 to 1, see `look_at_faces`.
        noise: 0 to 1, likewise.
        contrast: 0 to 255, between the 5th and the 95th percentile of the face's grey values.
        brightness: 0 to 255, mean grey value.
    """

    size: Floats
    sharpness: Floats
    noise: Floats
    contrast: Floats
    brightness: Floats


def look_at_faces(image: Photo, boxes_xyxy: npt.NDArray[np.floating]) -> FaceLook:
    """Return how large, sharp, noisy, rich in contrast and bright faces are.

    Each box, as far as it lies in the image, is brought to grey and to a longer side of 128 pixels, and taken apart
    into bands of detail (the Laplacian pyramid of Burt and Adelson, "The Laplacian pyramid as a compact image code",
    1983, section 3). With d0, d1, … for the standard deviations of the bands, finest first,

    - sharpness is d1 / (d1 + d3): detail of about 4 pixels of those 128 against detail four times as coarse. Neither
      light nor contrast counts; since the size is fixed, a small face that was blown up counts as blurred, and so does
      a face that has few pixels. The finest band is left out, since noise lives there.
    - noise is n / (n + d1): n is the finest detail where there should be none, namely the deviation that a fifth of the
      face's 8 x 8 blocks stay below. Lashes and a camera's sharpening lie on few blocks, noise on all.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) pixels, x1 and y1 exclusive; they may reach beyond the image.

    Raises:
        ValueError: a box lies outside the image, or is not finite.
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    measures = np.array([_look_at(image, box) for box in boxes]).reshape(-1, len(FaceLook._fields))  # (N, 5)
    return FaceLook(*measures.T)


def _look_at(image: Photo, box: Floats) -> tuple[float, ...]:
    face = _grey_face(image, box)
    levels = [face]
    for _ in range(4):
        levels.append(cv2.pyrDown(levels[-1]))
    bands = [fine - cv2.pyrUp(coarse, dstsize=fine.shape[::-1]) for fine, coarse in pairwise(levels)]
    details = [float(band.std()) for band in bands]
    flattest = float(np.percentile(_block_deviations(bands[0]), 20))
    dark, bright = np.percentile(levels[2], (5, 95))  # at a quarter of the size noise no longer counts
    return (
        float((box[2:] - box[:2]).max()),
        details[1] / (details[1] + details[3] + _LEAST_DETAIL),
        flattest / (flattest + details[1] + _LEAST_DETAIL),
        float(bright - dark),
        float(face.mean()),
    )


def _block_deviations(band: npt.NDArray[np.float32]) -> Floats:
    """Return the root mean square of each 8 x 8 block of a band (h, w), flat; odd sizes stretch the blocks a little."""
    height, width = band.shape
    squares = cv2.resize(band * band, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    return np.sqrt(np.asarray(squares, np.float64)).reshape(-1)


def _grey_face(image: Photo, box: Floats) -> npt.NDArray[np.float32]:
    """Return the box's pixels, (h, w) float32, grey, 0 to 255, the longer side 128 pixels.

    Edges count in fractions of pixels, so that a box that moves by a hundredth measures as it did.
    """
    height, width = image.shape[:2]
    if not np.isfinite(box).all():
        raise ValueError(f"a face's box must be finite, not {box.tolist()}")
    x0, y0 = np.maximum(box[:2], 0).tolist()
    x1, y1 = np.minimum(box[2:], (width, height)).tolist()
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"the face's box {box.tolist()} lies outside the photo of {width} x {height} pixels")
    left, top, right, bottom = floor(x0), floor(y0), ceil(x1), ceil(y1)
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    scale = LONG_SIDE / max(x1 - x0, y1 - y0)
    size = max(round((x1 - x0) * scale), LEAST_SIDE), max(round((y1 - y0) * scale), LEAST_SIDE)
    # Where a face shrinks, the filter widens: nothing is skipped, no false detail comes up.
    part = (x0 - left, y0 - top, x1 - left, y1 - top)
    face = Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR, part, reducing_gap=3.0)
    return np.asarray(face, np.float32)
