"""A model that knows one picture: its words are that picture's blocks, and each counts at its own place alone."""

import cv2
import numpy as np

from facepipe.detectors.hog.codebook import Codebook, picture_blocks
from facepipe.detectors.hog.model import HogModel

CELL, BLOCKS = 5, 6
SIDE = CELL * (BLOCKS + 1)


def one_face_model() -> HogModel:
    """Return a model whose windows of 35 px have a margin of 2.5 on the picture and of -1 or less elsewhere."""
    blocks = picture_blocks(picture(SIDE), CELL)
    places = BLOCKS * BLOCKS
    tables = np.eye(places, dtype=np.float32).reshape(BLOCKS, BLOCKS, places) / (0.25 * places)
    return HogModel(
        cell=CELL,
        codebook=Codebook(blocks.reshape(places, -1)),
        tables=tables,
        bias=-1.5,
        box_mean=np.array([0.0, 0.1, 0.5, 0.7], np.float32),
        box_tables=np.zeros((*tables.shape, 4), np.float32),
        slope=4.0,
        intercept=-0.5,
    )


def picture(side: int) -> np.ndarray:
    """Return the picture, (side, side) uint8: smooth, without symmetry, and rich in directions."""
    y, x = np.mgrid[:140, :140] / 140
    waves = np.sin(9 * x + 4 * y * y) + np.cos(13 * y - 5 * x * x) + np.sin(11 * (x - 0.4) * (y - 0.7) * 3)
    return np.asarray(cv2.resize(np.uint8(127 + 40 * waves), (side, side), interpolation=cv2.INTER_AREA))


def photo(width: int, height: int, *places: tuple[int, int, int]) -> np.ndarray:
    """Return a grey RGB photo with the picture on it, at (left, top, side)."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    for left, top, side in places:
        pixels[top : top + side, left : left + side] = picture(side)[:, :, None]
    return pixels
