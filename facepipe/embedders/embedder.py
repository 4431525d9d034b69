"""What every embedder offers."""

from typing import Protocol

import numpy as np


class Embedder(Protocol):
    """Turns crops of one face each into unit-length vectors; similar faces get vectors that lie close."""

    @property
    def input_size(self) -> int:
        """S, the side of the crops it takes, in pixels."""

    @property
    def dimension(self) -> int:
        """D, how many numbers an embedding has."""

    @property
    def alignment(self) -> str:
        """How the crops are to be cut: `box`, the detector's box with a margin, stretched to a square, `2d` or `3d`."""

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Return the embeddings, (N, D) float32, each of unit length, in the crops' order.

        Args:
            crops: (N, S, S, 3) uint8 RGB; N may be 0.
        """
