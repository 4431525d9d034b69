"""Faces become crops for a network, aligned as it wants them: by the box, in the plane, or in space."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from facepipe.alignment.box_crop import FACENET_GROW
from facepipe.alignment.fiducials import FindsFiducials, each_face
from facepipe.alignment.frontalize import Frontalizer
from facepipe.alignment.similarity import Canvas, align
from facepipe.models.face_shape import FaceShape

Photo = npt.NDArray[np.uint8]

ALIGNED_GROW = 0.25  # share of an aligned face's square that a network's crop adds on each side: 0.08 did worse


def grow_of(alignment: str) -> tuple[float, float]:
    """Return the share of a face's width and height that a network's crop adds on each side."""
    return FACENET_GROW if alignment == "box" else (ALIGNED_GROW, ALIGNED_GROW)


@dataclass(frozen=True)
class FaceAligner:
    """Cuts out aligned faces.

    Attributes:
        canvas: of the crops.
        finder: finds the faces' points.
        shape: turns faces to the front; None: they are aligned in the plane.
    """

    canvas: Canvas
    finder: FindsFiducials
    shape: FaceShape | None

    @cached_property
    def _frontalizer(self) -> Frontalizer | None:
        return None if self.shape is None else Frontalizer(self.shape, self.canvas)

    def crop(
        self, image: Photo, boxes_xyxy: npt.NDArray[np.floating], landmarks: npt.NDArray[np.floating] | None
    ) -> Photo:
        """Return aligned faces, (N, S, S, 3) uint8 RGB, in the order of the boxes.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes_xyxy: (N, 4) pixels, x1 and y1 exclusive.
            landmarks: (N, 5, 2) pixels, as in `pose.estimate_pose`; None, or (0, 5, 2), of a detector that finds
                none.
        """
        size = self.canvas.size
        crops = np.empty((len(boxes_xyxy), size, size, 3), np.uint8)
        for crop, (box, given) in zip(crops, each_face(boxes_xyxy, landmarks), strict=True):
            found = self.finder.find(image, box, given)
            if self._frontalizer is None:
                crop[:] = align(image, found.to_mm, self.canvas)
            else:
                crop[:] = self._frontalizer.frontalize(image, found).picture
        return crops
