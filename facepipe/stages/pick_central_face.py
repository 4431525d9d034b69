"""One face a photo: LFW's protocol, where the person meant is the one nearest the centre."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.alignment.box_crop import FACENET_GROW
from facepipe.stage import Resources
from facepipe.stages.rows import arrays_of, flat_lists, healthy, with_columns

UNDETECTED_SHARE = 126 / 250  # of the photo's width and height: what the crop shows where no face was found


@dataclass(frozen=True)
class PickCentralFace:
    """Keeps, of each photo's faces, the one whose box has its centre nearest to the photo's.

    Faces that the detector is sure of go before others. A photo without a face gets a box with score 0 whose crop is
    the central 126 x 126 of 250 x 250 pixels.

    Attributes:
        sure_score: from which score on the detector is sure.
    """

    sure_score: float

    name: ClassVar[str] = "pick_central_face"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *schemas.STATUS,
            schemas.DECODED_PHOTO.field("width"),
            schemas.DECODED_PHOTO.field("height"),
            *schemas.DETECTED_FACES,
        ]
    )
    writes: ClassVar[pa.Schema] = schemas.DETECTED_FACES
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Return the function for batches."""
        return self._pick

    def _pick(self, table: pa.Table) -> pa.Table:
        sizes = np.stack([table["width"].to_pylist(), table["height"].to_pylist()], axis=1)  # (N, 2), None where failed
        boxes, scores = arrays_of(table["boxes"], 4), arrays_of(table["scores"], 1)
        landmarks = arrays_of(table["landmarks"], 10)
        picked: list[np.ndarray | None] = [None] * len(table)
        picked_scores: list[np.ndarray | None] = [None] * len(table)
        picked_landmarks: list[np.ndarray | None] = [None] * len(table)
        for row in healthy(table):
            size = sizes[row].astype(np.float64)
            if len(boxes[row]):
                face = central_face(boxes[row], scores[row][:, 0], size, self.sure_score)
                picked[row], picked_scores[row] = boxes[row][face], scores[row][face]
                if len(landmarks[row]):
                    picked_landmarks[row] = landmarks[row][face]
            else:
                picked[row], picked_scores[row] = undetected_box(size), np.zeros(1)
        columns = {"boxes": picked, "scores": picked_scores, "landmarks": picked_landmarks}
        return with_columns(table, self.writes, {name: flat_lists(lists) for name, lists in columns.items()})


def central_face(boxes: np.ndarray, scores: np.ndarray, size: np.ndarray, sure_score: float) -> int:
    """Return which of a photo's faces has its centre nearest to the photo's, sure ones before others.

    Args:
        boxes: (F, 4), at least one.
        scores: (F,) of the detector.
        size: (2,) width and height of the photo.
        sure_score: from which score on the detector is sure.
    """
    return int(np.lexsort((distances_to_centre(boxes, size), scores < sure_score))[0])


def distances_to_centre(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return (N,) squared distances of box centres to the centre of a photo of (width, height) pixels."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    distances: np.ndarray = ((centres - size / 2) ** 2).sum(axis=1)
    return distances


def undetected_box(size: np.ndarray) -> np.ndarray:
    """Return the box (4,) that, grown as every box is, shows the central share of a photo of (width, height) pixels."""
    half = size * UNDETECTED_SHARE / 2 / (1 + 2 * np.array(FACENET_GROW))
    return np.concatenate([size / 2 - half, size / 2 + half])
