"""A photo at many scales, as words of blocks, and where windows lie on the photo."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.hog.codebook import Words, picture_words
from facepipe.detectors.hog.model import HogModel
from facepipe.imaging.pyramid import Octaves, pyramid_scales

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

MOST_ENLARGED = 2.0  # a photo is never enlarged more: it would show no more, and memory has its limits


@dataclass(frozen=True)
class Level:
    """A photo at one scale.

    Attributes:
        words: (h, w) of its blocks.
        pixel: width and height of a pixel of this level in pixels of the photo.
        frame: the width in pixels of the frame around the photo, within which blocks begin.
        cell: side of a cell in pixels of this level.
        side: of a window, likewise.
    """

    words: Words
    pixel: tuple[float, float]
    frame: int
    cell: int
    side: int

    def windows(self, rows: Words, columns: Words) -> Floats:
        """Return the windows (N, 4) float32 that begin at blocks, in pixels of the photo; they may reach past it."""
        corner = np.stack([columns, rows], axis=1) * self.cell - self.frame
        edges: Floats = (np.concatenate([corner, corner + self.side], axis=1) * np.tile(self.pixel, 2)).astype(
            np.float32
        )
        return edges


def photo_levels(image: Image, model: HogModel, *, min_face: float, factor: float) -> Iterator[Level]:
    """Yield a photo's levels, largest first; none where the photo is smaller than the least face.

    Around each is a frame of its outermost pixels, so wide that a face at the photo's edge lies in a window.

    Args:
        image: (H, W, 3) uint8 RGB.
        model: whose cells and words these are.
        min_face: height of the least face, in pixels of the image; one that needs more than MOST_ENLARGED is larger.
        factor: ratio between neighbouring scales, between 0 and 1.
    """
    photo = Octaves(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    height, width = image.shape[:2]
    least = max(min_face, model.face_height / MOST_ENLARGED)
    frame = math.ceil((model.side - model.face_height) / 2)
    for scale in pyramid_scales(width, height, window=1, min_face=least, factor=factor):
        grey, pixel = photo.resized(scale * model.face_height)
        framed: Image = cv2.copyMakeBorder(grey, frame, frame, frame, frame, cv2.BORDER_REPLICATE)
        yield Level(picture_words(framed, model.cell, model.codebook), pixel, frame, model.cell, model.side)
