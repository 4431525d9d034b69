"""Margins of the detector by oriented gradients become shares of faces, on photos that its classifier didn't see."""

from collections.abc import Sequence
from dataclasses import replace

from facepipe.detectors.hog.detector import HOG
from facepipe.detectors.hog.model import HogModel
from facepipe.training.calibration import UNCALIBRATED, calibrate_detector
from facepipe.training.hog.samples import BACKGROUND_PHOTOS, held_out
from facepipe.training.hog.windows import LEAST_FACE
from facepipe.training.labels import LabelledPhoto, Labels


def calibration(sources: Sequence[Labels], model: HogModel) -> tuple[float, float]:
    """Return slope and intercept that make margins shares of faces, by held-out photos; sources count alike."""
    plain = replace(model, slope=UNCALIBRATED[0], intercept=UNCALIBRATED[1])
    detector = HOG(plain.to_state(), min_face=LEAST_FACE, min_score=0.0)
    return calibrate_detector(detector, [_some_held_out(labels) for labels in sources], LEAST_FACE)


def _some_held_out(labels: Labels) -> list[LabelledPhoto]:
    photos = [photo for number, photo in enumerate(labels.photos) if held_out(number)]
    return photos[:: max(1, len(photos) // BACKGROUND_PHOTOS)]
