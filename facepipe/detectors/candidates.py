"""Boxes that may be faces, on their way through a cascade."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facepipe.imaging import boxes

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Candidates:
    """Windows of all photos of a batch in which a network suspects a face, one a row.

    Attributes:
        photo: (N,) on which photo of the batch.
        level: (N,) in which picture of which photo's pyramid the window was found.
        box: (N, 4) float32 `box_xyxy` in pixels of the photo.
        score: (N,) float32 probability of a face, as the last network gave it.
        offsets: (N, 4) float32 by how much that network would move the edges, in units of the box's size.
        landmarks: (N, 5, 2) float32 in pixels of the photo; zeros before a network has placed any.
    """

    photo: Indices
    level: Indices
    box: Floats
    score: Floats
    offsets: Floats
    landmarks: Floats

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.score)

    def __getitem__(self, rows: Indices | NDArray[np.bool_] | slice) -> "Candidates":
        """Return the chosen rows."""
        return Candidates(
            self.photo[rows],
            self.level[rows],
            self.box[rows],
            self.score[rows],
            self.offsets[rows],
            self.landmarks[rows],
        )

    def suppress(self, threshold: float, over: boxes.Overlap = "union", *, by_level: bool = False) -> "Candidates":
        """Return what non-maximum suppression leaves of each photo, or of each picture of its pyramid.

        Args:
            threshold: greatest overlap with a better box.
            over: as in `boxes.overlap`.
            by_level: windows of different pictures of a pyramid don't touch each other.
        """
        return self[boxes.nms(self.box, self.score, threshold, over, self.level if by_level else self.photo)]

    def move(self) -> "Candidates":
        """Return the boxes moved to where the last network saw the face's edges (bounding-box regression)."""
        return replace(self, box=boxes.shift_edges(self.box, self.offsets), offsets=np.zeros_like(self.offsets))


def concatenate(parts: Sequence[Candidates]) -> Candidates:
    """Return all rows of all parts, in order; none of none."""
    return Candidates(
        photo=np.concatenate([np.empty(0, dtype=np.intp), *(part.photo for part in parts)]),
        level=np.concatenate([np.empty(0, dtype=np.intp), *(part.level for part in parts)]),
        box=np.concatenate([np.empty((0, 4), dtype=np.float32), *(part.box for part in parts)]),
        score=np.concatenate([np.empty(0, dtype=np.float32), *(part.score for part in parts)]),
        offsets=np.concatenate([np.empty((0, 4), dtype=np.float32), *(part.offsets for part in parts)]),
        landmarks=np.concatenate([np.empty((0, 5, 2), dtype=np.float32), *(part.landmarks for part in parts)]),
    )
