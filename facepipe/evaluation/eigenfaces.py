"""Eigenfaces: what any recogniser has to beat.

Source: Turk and Pentland, "Eigenfaces for Recognition" (Journal of Cognitive Neuroscience 1991), section 2; whitened
and compared by the angle, as Moghaddam and Pentland have it ("Probabilistic Visual Learning", PAMI 1997).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

Crops = npt.NDArray[np.uint8]

SIZE = 64  # pixels a side
COMPONENTS = 100  # at most; of few faces half as many as there are


@dataclass(frozen=True)
class Eigenfaces:
    """An Embedder by the principal components of faces.

    Attributes:
        components: fitted to faces.
    """

    components: PCA

    @classmethod
    def of(cls, crops: Crops) -> "Eigenfaces":
        """Return those of faces (N, 64, 64, 3) uint8 RGB, at least two."""
        return cls(
            PCA(min(COMPONENTS, len(crops) // 2), whiten=True, svd_solver="randomized", random_state=0).fit(
                _pixels(crops)
            )
        )

    def embed(self, crops: Crops) -> npt.NDArray[np.float32]:
        """Return the embeddings, (N, D) float32 of unit length, of crops (N, 64, 64, 3) uint8 RGB."""
        values = self.components.transform(_pixels(crops)).astype(np.float32)
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = values / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit


def _pixels(crops: Crops) -> npt.NDArray[np.float32]:
    """Return crops as rows (N, 4096): grey, with even histograms."""
    grey = [cv2.equalizeHist(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)) for crop in crops]
    return np.array(grey, np.float32).reshape(len(crops), -1)
