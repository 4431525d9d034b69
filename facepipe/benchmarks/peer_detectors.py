"""Other projects' detectors, called as their users call them: dlib's frontal one, OpenCV's cascade of Haar features."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.detector import Detections

DLIB_UPSAMPLINGS = 1
DLIB_LEAST_SCORE = -1.0  # of its own 0: lower ones make the curve of precision over recall longer
HAAR_CASCADE = Path(sys.prefix) / "haar/cv2/data/haarcascade_frontalface_default.xml"  # where `make bench` puts it
HAAR_FACTOR, HAAR_NEIGHBOURS, HAAR_LEAST_FACE = 1.1, 3, 20


class DlibHog:
    """dlib's frontal face detector: histograms of oriented gradients at five poses; `dlib-bin`."""

    def __init__(self) -> None:
        dlib: Any = importlib.import_module("dlib")
        self._detector = dlib.get_frontal_face_detector()

    def detect(self, images: Sequence[NDArray[np.uint8]], scales: Sequence[float] | None = None) -> list[Detections]:
        """Return the faces of each image; scores are dlib's own, about -1 to 3."""
        return [self._detect(np.ascontiguousarray(image)) for image in images]

    def _detect(self, image: NDArray[np.uint8]) -> Detections:
        rectangles, scores, _ = self._detector.run(image, DLIB_UPSAMPLINGS, DLIB_LEAST_SCORE)
        boxes = [(one.left(), one.top(), one.right() + 1, one.bottom() + 1) for one in rectangles]
        return _detections(boxes, list(scores))


class HaarCascade:
    """OpenCV's cascade of Haar features (Viola and Jones 2001) with the file that it shipped up to version 4."""

    def __init__(self) -> None:
        module: Any = cv2  # only its contrib build knows cascades
        self._cascade = module.CascadeClassifier(str(HAAR_CASCADE))

    def detect(self, images: Sequence[NDArray[np.uint8]], scales: Sequence[float] | None = None) -> list[Detections]:
        """Return the faces of each image; scores are the weights of the cascade's last stage."""
        return [self._detect(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in images]

    def _detect(self, grey: NDArray[np.uint8]) -> Detections:
        found, _, weights = self._cascade.detectMultiScale3(
            grey, HAAR_FACTOR, HAAR_NEIGHBOURS, minSize=(HAAR_LEAST_FACE,) * 2, outputRejectLevels=True
        )
        boxes = [(x, y, x + width, y + height) for x, y, width, height in found]
        return _detections(boxes, list(np.ravel(weights)))


def _detections(boxes: Sequence[Sequence[float]], scores: Sequence[float]) -> Detections:
    order = np.argsort(-np.array(scores, np.float32), kind="stable")
    box = np.array(boxes, np.float32).reshape(-1, 4)[order]
    return Detections(box, np.array(scores, np.float32)[order], None)
