"""Pixels become faces: boxes, scores and landmarks in pixels of the upright photo."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from facepipe import schemas
from facepipe.config import DetectConfig
from facepipe.detectors.detector import Detector
from facepipe.stage import Resources
from facepipe.stages.pixels import photos_of
from facepipe.stages.rows import flat_lists, healthy, with_columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DetectFaces:
    """Writes each photo's faces, ordered by (y0, x0): the order that gives them their numbers."""

    detect: DetectConfig
    name: ClassVar[str] = "detect_faces"
    reads: ClassVar[pa.Schema] = pa.schema([*schemas.STATUS, *schemas.DECODED_PHOTO])
    writes: ClassVar[pa.Schema] = schemas.DETECTED_FACES
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources(gpus=0.7)

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Load the detector's weights and return the function for batches."""
        detector = load_detector(self.detect)
        return lambda table: _detect(table, detector)


def load_detector(detect: DetectConfig) -> Detector:
    """Return the detector that the settings name, its weights loaded.

    Raises:
        WeightsError: the weights are missing or corrupt.
        WrongUsageError: the model is unknown, or of another detector.
    """
    from facepipe.models.cache import load_weights  # seconds, which commands that look at no photo can do without

    return build_detector(detect, load_weights(detect.weights, detect.detector))


def build_detector(detect: DetectConfig, weights: "Mapping[str, Tensor]") -> Detector:
    """Return the detector that the settings name, with given weights."""
    if detect.detector == "ddfd":
        from facepipe.detectors.ddfd import DDFD

        return DDFD(weights, min_face=detect.min_face, min_score=detect.min_score, factor=detect.factor)
    if detect.detector == "faceness":
        from facepipe.detectors.faceness import Faceness

        return Faceness(weights, min_face=detect.min_face, min_score=detect.min_score, factor=detect.factor)
    if detect.detector == "hog":
        from facepipe.detectors.hog.detector import HOG

        return HOG(weights, min_face=detect.min_face, min_score=detect.min_score, factor=detect.factor)
    from facepipe.detectors.mtcnn import MTCNN

    return MTCNN(weights, min_face=detect.min_face, thresholds=detect.thresholds, factor=detect.factor)


def _detect(table: pa.Table, detector: Detector) -> pa.Table:
    photos = photos_of(table)
    rows = healthy(table)
    found = detector.detect([photos[row].pixels for row in rows], [photos[row].scale for row in rows])
    boxes: list[np.ndarray | None] = [None] * len(table)
    scores: list[np.ndarray | None] = [None] * len(table)
    landmarks: list[np.ndarray | None] = [None] * len(table)
    for row, detections in zip(rows, found, strict=True):
        order = np.lexsort((detections.boxes[:, 0], detections.boxes[:, 1]))
        enlarge = 1 / photos[row].scale
        boxes[row] = detections.boxes[order] * enlarge
        scores[row] = detections.scores[order]
        landmarks[row] = None if detections.landmarks is None else detections.landmarks[order] * enlarge
    columns = {"boxes": flat_lists(boxes), "scores": flat_lists(scores), "landmarks": flat_lists(landmarks)}
    return with_columns(table, schemas.DETECTED_FACES, columns)
