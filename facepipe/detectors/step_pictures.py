"""Pictures of what detectors compute: numbers as heat, words as colours, histograms of directions as strokes."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.floating]

STROKES = 16  # pixels, side of a cell's drawing


def heat_picture(values: Floats, least: float, greatest: float) -> Image:
    """Return numbers (h, w) as colours (h, w, 3) uint8 RGB, from dark blue for `least` to yellow for `greatest`."""
    share = np.clip((values.astype(np.float64) - least) / max(greatest - least, 1e-9), 0, 1)
    colours: Image = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
    return np.ascontiguousarray(colours)


def words_picture(words: NDArray[np.integer], count: int) -> Image:
    """Return words (h, w), 0 to `count` - 1, as colours (h, w, 3) uint8 RGB, a colour a word, always the same ones."""
    palette = np.random.default_rng(0).integers(0, 256, (count, 3)).astype(np.uint8)
    coloured: Image = palette[words]
    return coloured


def strokes_picture(cells: Floats, span: float) -> Image:
    """Return cells' histograms of directions as strokes along edges, (16 h, 16 w, 3) uint8, white on black.

    Args:
        cells: (h, w, D): directions of the gradient from 0 on, clockwise; a stroke lies across it.
        span: of all directions together, in degrees: 180, or 360 where opposites differ.
    """
    rows, columns, directions = cells.shape
    picture = np.zeros((rows * STROKES, columns * STROKES), np.float32)
    middle = (STROKES - 1) / 2
    reach = np.arange(STROKES) - middle
    strength = cells / max(float(np.percentile(cells.sum(axis=2), 99)), 1e-9)
    for direction in range(directions):
        angle = np.deg2rad((direction + 0.5) * span / directions + 90)
        stroke = np.zeros((STROKES, STROKES), np.float32)
        ends = [(round(middle + far * np.cos(angle)), round(middle + far * np.sin(angle))) for far in reach[[0, -1]]]
        cv2.line(stroke, ends[0], ends[1], 1.0, 1, cv2.LINE_AA)
        picture += np.kron(strength[:, :, direction], stroke)
    grey = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
