"""Faces get 68 points each. The photo's pixels end here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.alignment.fiducials import FindsFiducials, each_face
from facepipe.alignment.similarity import apply, inverse
from facepipe.stage import Resources
from facepipe.stages.align_faces import load_finder
from facepipe.stages.pixels import photos_of
from facepipe.stages.rows import flat_lists, healthy_arrays, with_columns


@dataclass(frozen=True)
class FindFiducials:
    """Writes where each face's points lie.

    Attributes:
        fiducials: `detector` or `dlib`: what finds them.
    """

    fiducials: str
    name: ClassVar[str] = "find_fiducials"
    reads: ClassVar[pa.Schema] = pa.schema([*schemas.STATUS, *schemas.DECODED_PHOTO, *schemas.DETECTED_FACES])
    writes: ClassVar[pa.Schema] = schemas.FIDUCIAL_POINTS
    drops: ClassVar[Sequence[str]] = schemas.PIXELS
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Load what finds points, and return the function for batches."""
        finder = load_finder(self.fiducials)
        return lambda table: _find(table, finder)


def _find(table: pa.Table, finder: FindsFiducials) -> pa.Table:
    points: list[np.ndarray] = []
    boxes_of, landmarks_of = healthy_arrays(table, "boxes", 4), healthy_arrays(table, "landmarks", 10)
    for photo, boxes, landmarks in zip(photos_of(table), boxes_of, landmarks_of, strict=True):
        of_photo = []
        for box, given in each_face(boxes * photo.scale, landmarks.reshape(-1, 5, 2) * photo.scale):
            found = finder.find(photo.pixels, box, given)
            of_photo.append(apply(inverse(found.to_mm), found.points) / photo.scale)
        points.append(np.array(of_photo))
    return with_columns(table, schemas.FIDUCIAL_POINTS, {"points": flat_lists(points)})
