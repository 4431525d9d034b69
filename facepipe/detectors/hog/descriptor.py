"""Histograms of oriented gradients: a picture as cells of gradient directions, and as normalised blocks of cells.

Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005: gradients by [-1, 0, 1] and
the square root of intensities (section 6.1, 6.2), votes of the gradient's magnitude into nine directions of 0 to 180
degrees (6.3), blocks of 2 x 2 cells that overlap, normalised by L2-Hys (6.4).

Departs from the paper: one channel of luminance; a pixel votes into its own cell alone.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

DIRECTIONS = 9
BLOCK = 2  # cells a side
BLOCK_LENGTH = BLOCK * BLOCK * DIRECTIONS
CLIPPED_AT = 0.2  # L2-Hys
LEAST_NORM = 0.01  # of a block's gradients: flatter ones stay near zero rather than become loud noise


def cell_histograms(grey: Grey, cell: int, *, shared: bool = True) -> Floats:
    """Return the histogram of directions of each cell, (h, w, 9) float32, h = H // cell, w = W // cell.

    A pixel's vote is the magnitude of its gradient; a cell's histogram is the mean over its pixels. Directions span 20
    degrees each, from 0 (the gradient points right or left) clockwise. At the picture's edge there is no gradient
    across it. Rows and columns that fill no cell are left out.

    Args:
        grey: (H, W) uint8.
        cell: its side in pixels.
        shared: a vote is shared linearly between the two directions whose middles are nearest; else one gets it all.
    """
    rows, columns = grey.shape[0] // cell, grey.shape[1] // cell
    if not rows * columns:
        return np.zeros((rows, columns, DIRECTIONS), np.float32)
    root = np.sqrt(grey.astype(np.float32))
    right, down = np.zeros_like(root), np.zeros_like(root)
    right[:, 1:-1] = root[:, 2:] - root[:, :-2]
    down[1:-1] = root[2:] - root[:-2]
    height, width = rows * cell, columns * cell
    magnitude, degrees = cv2.cartToPolar(right[:height, :width], down[:height, :width], angleInDegrees=True)
    place = degrees * np.float32(DIRECTIONS / 180) - np.float32(0.5 if shared else 0)
    below = np.floor(place)
    share = place - below if shared else np.float32(0)
    lower = below.astype(np.intp) % DIRECTIONS
    first_bin = ((np.arange(height) // cell)[:, None] * columns + np.arange(width) // cell) * DIRECTIONS  # of its cell
    bins = rows * columns * DIRECTIONS
    votes = np.bincount((first_bin + lower).ravel(), (magnitude * (1 - share)).ravel(), bins)
    if shared:
        upper = (lower + 1) % DIRECTIONS
        votes += np.bincount((first_bin + upper).ravel(), (magnitude * share).ravel(), bins)
    return (votes / (cell * cell)).astype(np.float32).reshape(rows, columns, DIRECTIONS)


def normalised_blocks(cells: Floats) -> Floats:
    """Return the descriptor of each block, (h - 1, w - 1, 36) float32; one begins at every cell.

    L2-Hys: the block's four histograms in one vector of unit length, clipped at 0.2, again of unit length.

    Args:
        cells: (h, w, 9) float32; with fewer than 2 rows or columns there are no blocks.
    """
    rows, columns = max(cells.shape[0] - BLOCK + 1, 0), max(cells.shape[1] - BLOCK + 1, 0)
    corners = [(row, column) for row in range(BLOCK) for column in range(BLOCK)]
    blocks = np.concatenate(
        [cells[row : row + rows, column : column + columns] for row, column in corners], axis=2
    )  # (h - 1, w - 1, 36)
    return _unit_length(np.minimum(_unit_length(blocks), CLIPPED_AT))


def _unit_length(blocks: Floats) -> Floats:
    scaled: Floats = blocks / np.sqrt((blocks**2).sum(axis=2, keepdims=True) + np.float32(LEAST_NORM**2))
    return scaled
