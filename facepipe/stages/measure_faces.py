"""Faces are measured: where they look, how sharp they are, how far their embeddings can be trusted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.alignment.pose import estimate_pose, share_inside
from facepipe.imaging.quality import look_at_faces
from facepipe.models.face_quality import FaceQuality, load_quality
from facepipe.stage import Resources
from facepipe.stages.pixels import PhotoPixels, photos_of
from facepipe.stages.rows import arrays_of, flat_lists, with_columns


@dataclass(frozen=True)
class MeasureFaces:
    """Writes each face's pose, sharpness and quality; without landmarks no pose, and a quality from all else."""

    name: ClassVar[str] = "measure_faces"
    reads: ClassVar[pa.Schema] = pa.schema([*schemas.STATUS, *schemas.DECODED_PHOTO, *schemas.DETECTED_FACES])
    writes: ClassVar[pa.Schema] = schemas.MEASURED_FACES
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Load the numbers that make a quality of measures, and return the function for batches."""
        quality = load_quality()
        return lambda table: _measure(table, quality)


def measure_faces(
    photo: PhotoPixels, boxes: np.ndarray, scores: np.ndarray, landmarks: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return what quality is made from (`models.face_quality.MEASURES`), (N,) each; NaN where landmarks are missing.

    Args:
        photo: the decoded photo. Faces are measured in its pixels, since no embedder sees more.
        boxes: (N, 4) pixels of the full photo.
        scores: (N,) 0 to 1.
        landmarks: (N, 5, 2) pixels of the full photo, or None.
    """
    measures = {"score": scores, **look_at_faces(photo.pixels, boxes * photo.scale)._asdict()}
    if landmarks is None:
        return measures | dict.fromkeys(("yaw", "pitch", "roll", "inside"), np.full(len(boxes), np.nan))
    height, width = photo.pixels.shape[:2]
    inside = share_inside(landmarks * photo.scale, width, height)
    return measures | estimate_pose(landmarks)._asdict() | {"inside": inside}


def _measure(table: pa.Table, quality: FaceQuality) -> pa.Table:
    columns: dict[str, list[np.ndarray | None]] = {name: [] for name in schemas.MEASURED_FACES.names}
    boxes, scores = arrays_of(table["boxes"], 4), arrays_of(table["scores"], 1)
    points = arrays_of(table["landmarks"], 10)
    for row, photo in enumerate(photos_of(table)):
        landmarks = points[row].reshape(-1, 5, 2) if len(points[row]) else None
        measures = measure_faces(photo, boxes[row], scores[row][:, 0], landmarks)
        for column, name in (("yaws", "yaw"), ("pitches", "pitch"), ("rolls", "roll")):
            columns[column].append(None if landmarks is None else measures[name])
        columns["sharpnesses"].append(measures["sharpness"])
        columns["qualities"].append(quality(measures))
    return with_columns(table, schemas.MEASURED_FACES, {name: flat_lists(lists) for name, lists in columns.items()})
