"""What a detector is and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facepipe.imaging.steps_picture import Step


@dataclass(frozen=True)
class Detections:
    """The faces on one photo, by descending score.

    Attributes:
        boxes: (N, 4) float32 `box_xyxy` in pixels of the given image, x1 and y1 exclusive, clipped to the image.
        scores: (N,) float32, 0 to 1.
        landmarks: (N, 5, 2) float32 x, y in pixels: image-left eye, image-right eye, nose, image-left and image-right
            mouth corner, perhaps past the image's edge; None from a detector that finds none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)


class Detector(Protocol):
    """Finds faces on photos."""

    def detect(self, images: Sequence[NDArray[np.uint8]], scales: Sequence[float] | None = None) -> list[Detections]:
        """Return the faces of each image; what else is in the batch changes nothing but speed.

        Args:
            images: (H, W, 3) uint8 RGB, upright, of any sizes.
            scales: pixels of each image per pixel of its upright photo (1: decoded in full), so that a least face
                given in pixels of the photo keeps its meaning; none: all 1.
        """

    def explain(self, image: NDArray[np.uint8]) -> list[Step]:
        """Return what the detector sees on an image (H, W, 3) uint8 RGB, step by step; the last step is its faces."""


def last_step(image: NDArray[np.uint8], detections: Detections) -> Step:
    """Return the step that shows the faces themselves."""
    points = np.empty((0, 2), np.float32) if detections.landmarks is None else detections.landmarks.reshape(-1, 2)
    return Step(f"{len(detections)} faces", image, detections.boxes, points)
