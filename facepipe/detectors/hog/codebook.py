"""A codebook of words: blocks of oriented gradients are named by the nearest of a few hundred prototypes.

Source: Cerna, Cámara-Chávez and Menotti, "Face Detection: Histogram of Oriented Gradients and Bag of Feature Method",
IPCV 2013: descriptors quantised on the centres that k-means found among those of training pictures.

Departs from the paper: descriptors tell directions from their opposites.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.hog.descriptor import BLOCK, SIGNED_DIRECTIONS, cell_histograms, normalised_blocks

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Words = NDArray[np.intp]

DESCRIPTOR_LENGTH = BLOCK * BLOCK * SIGNED_DIRECTIONS
PLAIN_BELOW = 0.25  # squared length of a word; descriptors have length 1 unless they are of plain ground
# Blocks described and compared at once, by rows: their distances to all words stay in the processor's cache, twice as
# fast as a whole picture.
_BLOCKS_AT_ONCE = 1024
_BAND_ROWS = 60  # rows of cells made at once, which bounds memory on large pictures


@dataclass(frozen=True)
class Codebook:
    """Prototypes of blocks.

    Attributes:
        words: (K, 72) float32, one a row.
    """

    words: Floats

    @property
    def plain(self) -> NDArray[np.bool_]:
        """Which words, (K,), are those of blocks that hardly have gradients; k-means finds one where there are such."""
        return np.asarray((self.words**2).sum(axis=1) < PLAIN_BELOW)

    def __len__(self) -> int:
        """Return the number of words."""
        return len(self.words)

    def assign(self, blocks: Floats) -> Words:
        """Return the word nearest to each block, (h, w); of equally near ones the first.

        Args:
            blocks: (h, w, 72) float32.
        """
        rows, columns = blocks.shape[:2]
        nearness = blocks.reshape(rows * columns, blocks.shape[2]) @ self.words.T  # (h * w, K)
        nearness -= np.float32(0.5) * (self.words**2).sum(axis=1)
        nearest: Words = nearness.argmax(axis=1).reshape(rows, columns)
        return nearest


def picture_blocks(grey: Grey, cell: int) -> Floats:
    """Return the descriptors of a picture's blocks, (H // cell - 1, W // cell - 1, 72) float32.

    Args:
        grey: (H, W) uint8.
        cell: side of a cell in pixels.
    """
    return normalised_blocks(cell_histograms(grey, cell, signed=True))


def picture_words(grey: Grey, cell: int, codebook: Codebook) -> Words:
    """Return the word of each of a picture's blocks, (H // cell - 1, W // cell - 1), a few rows at a time.

    Args:
        grey: (H, W) uint8.
        cell: side of a cell in pixels.
        codebook: of the words.
    """
    rows, columns = grey.shape[0] // cell, grey.shape[1] // cell
    words = np.zeros((max(rows - BLOCK + 1, 0), max(columns - BLOCK + 1, 0)), np.intp)
    step = max(1, _BLOCKS_AT_ONCE // max(columns, 1))
    for top in range(0, len(words), _BAND_ROWS):
        count = min(_BAND_ROWS, len(words) - top)
        cells = _band_of_cells(grey, cell, top, count + BLOCK - 1)
        for row in range(0, count, step):
            few = slice(row, min(row + step, count) + BLOCK - 1)
            words[top + row : top + few.stop - BLOCK + 1] = codebook.assign(normalised_blocks(cells[few]))
    return words


def _band_of_cells(grey: Grey, cell: int, first: int, count: int) -> Floats:
    """Return rows of cells as they are in the whole picture: gradients at a band's edge need the rows beyond it."""
    above = min(first, 1)
    band = grey[(first - above) * cell : (first + count + 1) * cell]
    return cell_histograms(band, cell, signed=True)[above : above + count]
