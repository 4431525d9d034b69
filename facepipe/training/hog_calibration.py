"""Margins of the detector by oriented gradients become shares of faces, on photos that its classifier didn't see."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.hog.detector import HOG
from facepipe.detectors.hog.model import HogModel
from facepipe.evaluation.detection import match_photo
from facepipe.training.calibration import calibrate
from facepipe.training.hog_samples import BACKGROUND_PHOTOS, held_out
from facepipe.training.hog_windows import LEAST_FACE
from facepipe.training.labels import Labels
from facepipe.training.photos import FacesOnPhoto, Variation, varied_photos
from facepipe.training.windows import targets

Floats = NDArray[np.float32]

AS_THEY_ARE = Variation(mirror=0.0, worsen=0.0, grey=0.0)


def calibration(sources: Sequence[Labels], model: HogModel) -> tuple[float, float]:
    """Return slope and intercept that make margins shares of faces, by held-out photos; sources count alike."""
    plain = replace(model, slope=1.0, intercept=0.0)
    detector = HOG(plain.to_state(), min_face=LEAST_FACE, min_score=0.0)
    margins: list[Floats] = []
    found: list[NDArray[np.bool_]] = []
    weights: list[NDArray[np.float64]] = []
    for source, labels in enumerate(sources):
        photos = [photo for number, photo in enumerate(labels.photos) if held_out(number)]
        chosen = photos[:: max(1, len(photos) // BACKGROUND_PHOTOS)]
        judged = [_judged(photo, detector) for _, photo, _ in varied_photos(chosen, AS_THEY_ARE, source)]
        count = sum(len(score) for score, _ in judged)
        for score, is_face in judged:
            margins.append(np.log(score / np.maximum(1 - score, 1e-7)))
            found.append(is_face)
            weights.append(np.full(len(score), 1 / count))
    if not sum(map(len, margins)):
        return 1.0, 0.0
    weight = np.concatenate(weights)
    margin = np.concatenate(margins).astype(np.float64)
    return calibrate(margin, np.concatenate(found), weight * len(weight) / weight.sum())


def _judged(photo: FacesOnPhoto, detector: HOG) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the scores of the detections on a photo that count, and which of them are faces."""
    detections = detector.detect([photo.image])[0]
    outcome = match_photo(detections.boxes, photo.boxes, LEAST_FACE)
    counts = ~outcome.ignored & ~(targets(detections.boxes, photo).ignored & ~outcome.found)
    return detections.scores[counts], outcome.found[counts]
