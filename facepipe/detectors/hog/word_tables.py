"""A linear classifier of windows by their words: one weight for each word at each place in the window.

Source: Cerna, Cámara-Chávez and Menotti, "Face Detection: Histogram of Oriented Gradients and Bag of Feature Method",
IPCV 2013: a window is described by the histogram of its words and judged by a linear support vector machine. Spatial
bins: Lazebnik, Schmid and Ponce, "Beyond Bags of Features", CVPR 2006.

Departs from the paper: the window is cut into spatial bins, one for each block, and its description is their histograms
side by side. Each of them counts one word, so that the classifier's sum over them is a sum of table entries, no dearer
than it would be by integral images.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Words = NDArray[np.intp]


def score_map(words: Words, tables: Floats) -> Floats:
    """Return the sum of the weights of each window's words, (h - P + 1, w - P + 1) float32; one begins at each block.

    Args:
        words: (h, w) of blocks, 0 to K - 1.
        tables: (P, P, K) float32: the weight of each word at each place, row by row.
    """
    side = len(tables)
    rows, columns = words.shape[0] - side + 1, words.shape[1] - side + 1
    if rows < 1 or columns < 1:
        return np.zeros((max(rows, 0), max(columns, 0)), np.float32)
    # Over rows laid end to end, which a window at a row's end crosses into the next: those are computed and left out.
    flat, width = np.ascontiguousarray(words).ravel(), words.shape[1]
    count = (rows - 1) * width + columns
    total, part = np.zeros(rows * width, np.float32), np.empty(count, np.float32)
    for row in range(side):
        for column in range(side):
            first = row * width + column
            np.take(tables[row, column], flat[first : first + count], out=part, mode="clip")  # faster than checking
            total[:count] += part
    scores: Floats = total.reshape(rows, width)[:, :columns]
    return scores


def count_map(of_block: NDArray[np.bool_], side: int) -> Words:
    """Return how many blocks of each window are marked, (h - P + 1, w - P + 1), from an integral image.

    Args:
        of_block: (h, w), at least P each way.
        side: P, of a window in blocks.
    """
    sums = np.zeros((of_block.shape[0] + 1, of_block.shape[1] + 1), np.intp)
    sums[1:, 1:] = of_block.cumsum(axis=0, dtype=np.intp).cumsum(axis=1)
    return sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]


def words_of_windows(words: Words, rows: Words, columns: Words, side: int) -> Words:
    """Return the words of windows, (N, P * P), place by place, row by row.

    Args:
        words: (h, w) of blocks.
        rows: (N,) of each window's first block.
        columns: (N,) likewise.
        side: P, of a window in blocks.
    """
    windows = np.lib.stride_tricks.sliding_window_view(words, (side, side))  # (h - P + 1, w - P + 1, P, P)
    return windows[rows, columns].reshape(len(rows), side * side)


def sum_entries(words: Words, tables: Floats) -> Floats:
    """Return the sum of the table entries of each window's words, (N, D) float32.

    Args:
        words: (N, P * P).
        tables: (P, P, K, D) float32.
    """
    side, _, count, depth = tables.shape
    entries = tables.reshape(side * side * count, depth)
    total = np.zeros((len(words), depth), np.float32)
    for place in range(side * side):
        total += entries[place * count + words[:, place]]
    return total
