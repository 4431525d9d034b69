"""Histograms of oriented gradients: a picture as cells of gradient directions, and as normalised blocks of cells.

Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005: gradients by [-1, 0, 1] and
the square root of intensities (section 6.1, 6.2), votes of the gradient's magnitude into nine directions of 0 to 180
degrees (6.3), blocks of 2 x 2 cells that overlap, normalised by L2-Hys (6.4). Directions told apart from their
opposites beside those that aren't: Felzenszwalb, Girshick, McAllester and Ramanan, "Object Detection with
Discriminatively Trained Part-Based Models", PAMI 2010, section 6.

Departs from the paper: one channel of luminance; a pixel votes into its own cell alone.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

DIRECTIONS = 9
SIGNED_DIRECTIONS = 18
BLOCK = 2  # cells a side
BLOCK_LENGTH = BLOCK * BLOCK * DIRECTIONS
CLIPPED_AT = 0.2  # L2-Hys
LEAST_NORM = 0.01  # of a block's gradients: flatter ones stay near zero rather than become loud noise
_ROOTS = np.sqrt(np.arange(256, dtype=np.float32))


def cell_histograms(grey: Grey, cell: int, *, shared: bool = True, signed: bool = False) -> Floats:
    """Return the histogram of directions of each cell, (h, w, 9) float32, h = H // cell, w = W // cell.

    A pixel's vote is the magnitude of its gradient; a cell's histogram is the mean over its pixels. Directions span 20
    degrees each, from 0 (the gradient points right or left) clockwise. At the picture's edge there is no gradient
    across it. Rows and columns that fill no cell are left out.

    Args:
        grey: (H, W) uint8.
        cell: its side in pixels.
        shared: a vote is shared linearly between the two directions whose middles are nearest; else one gets it all.
        signed: a direction and its opposite are two, 18 in all, from 0 (the gradient points right) clockwise.
    """
    rows, columns = grey.shape[0] // cell, grey.shape[1] // cell
    directions = SIGNED_DIRECTIONS if signed else DIRECTIONS
    if not rows * columns:
        return np.zeros((rows, columns, directions), np.float32)
    root = cv2.LUT(grey, _ROOTS)
    right, down = np.zeros_like(root), np.zeros_like(root)
    right[:, 1:-1] = root[:, 2:] - root[:, :-2]
    down[1:-1] = root[2:] - root[:-2]
    height, width = rows * cell, columns * cell
    magnitude, place = cv2.cartToPolar(right[:height, :width], down[:height, :width], angleInDegrees=True)
    place *= np.float32(SIGNED_DIRECTIONS / 360)
    place += np.float32(0.5 if shared else 1)
    below = place.astype(np.int32)  # 0 to 19: directions begin at 1; 0 is the last one, 19 the first one
    bins = SIGNED_DIRECTIONS + 2
    first_bin = ((np.arange(height) // cell)[:, None] * columns + np.arange(width) // cell) * bins  # of its cell
    bin_of_vote = (first_bin.astype(np.int32) + below).ravel()
    upper_vote = (place - below) * magnitude if shared else None
    lower_vote = magnitude if upper_vote is None else magnitude - upper_vote
    count = rows * columns * bins
    votes = np.bincount(bin_of_vote, lower_vote.ravel(), count).reshape(rows, columns, bins)
    if upper_vote is not None:
        votes[:, :, 1:] += np.bincount(bin_of_vote, upper_vote.ravel(), count).reshape(rows, columns, bins)[:, :, :-1]
    histogram = votes[:, :, 1:-1]
    histogram[:, :, -1] += votes[:, :, 0]
    histogram[:, :, 0] += votes[:, :, -1]
    if not signed:
        histogram = histogram[:, :, :DIRECTIONS] + histogram[:, :, DIRECTIONS:]
    return (histogram / (cell * cell)).astype(np.float32)


def normalised_blocks(cells: Floats) -> Floats:
    """Return the descriptor of each block, (h - 1, w - 1, 4 D) float32; one begins at every cell.

    L2-Hys: the block's four histograms in one vector of unit length, clipped at 0.2, again of unit length.

    Args:
        cells: (h, w, D) float32; with fewer than 2 rows or columns there are no blocks.
    """
    rows, columns, directions = cells.shape
    rows, columns = max(rows - BLOCK + 1, 0), max(columns - BLOCK + 1, 0)
    corners = np.empty((rows, columns, BLOCK * BLOCK, directions), np.float32)
    for corner in range(BLOCK * BLOCK):
        row, column = divmod(corner, BLOCK)
        corners[:, :, corner] = cells[row : row + rows, column : column + columns]
    blocks: Floats = corners.reshape(rows, columns, BLOCK * BLOCK * directions)
    _scale_to_unit_length(blocks)
    np.minimum(blocks, CLIPPED_AT, out=blocks)
    _scale_to_unit_length(blocks)
    return blocks


def _scale_to_unit_length(blocks: Floats) -> None:
    squared = np.einsum("hwd,hwd->hw", blocks, blocks)  # (h - 1, w - 1)
    blocks *= (1 / np.sqrt(squared + np.float32(LEAST_NORM**2)))[:, :, None]
