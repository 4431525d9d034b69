"""Logits of detections become shares of faces among them, by logistic regression on photos that were held out.

Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, section 2, with its smoothed labels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facepipe.config import DecodeConfig
from facepipe.detectors.detector import Detector
from facepipe.evaluation.detection import match_photo
from facepipe.training.labels import LabelledPhoto
from facepipe.training.photos import FacesOnPhoto, read_photo
from facepipe.training.windows import targets

Floats = NDArray[np.float64]

UNCALIBRATED = (1.0, 0.0)  # slope and intercept that leave scores as they are


def calibrate_detector(
    detector: Detector, held_out: Sequence[Sequence[LabelledPhoto]], least_height: float
) -> tuple[float, float]:
    """Return the slope and the intercept that make the logits of a detector's scores shares of faces.

    Args:
        detector: whose scores are not calibrated yet.
        held_out: photos of each source that nothing was learned from; sources count alike.
        least_height: in pixels; what is lower counts neither way.
    """
    scores, found, weights = [np.empty(0, np.float32)], [np.empty(0, bool)], [np.empty(0)]
    for photos in held_out:
        judged = [
            _judged(read, detector, least_height)
            for photo in photos
            if (read := read_photo(photo, DecodeConfig())) is not None
        ]
        count = sum(len(score) for score, _ in judged)
        for score, is_face in judged:
            scores.append(score)
            found.append(is_face)
            weights.append(np.full(len(score), 1 / max(count, 1)))
    score = np.clip(np.concatenate(scores).astype(np.float64), 1e-7, 1 - 1e-7)
    if not len(score):
        return UNCALIBRATED
    weight = np.concatenate(weights)
    return calibrate(np.log(score / (1 - score)), np.concatenate(found), weight * len(weight) / weight.sum())


def _judged(
    photo: FacesOnPhoto, detector: Detector, least_height: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the scores of the detections on a photo that count, and which of them are faces."""
    detections = detector.detect([photo.image])[0]
    outcome = match_photo(detections.boxes, photo.boxes, least_height)
    counts = ~outcome.ignored & ~(targets(detections.boxes, photo).ignored & ~outcome.found)
    return detections.scores[counts], outcome.found[counts]


def calibrate(logit: Floats, is_face: NDArray[np.bool_], weight: Floats, steps: int = 50) -> tuple[float, float]:
    """Return the slope, more than 0, and the intercept by which sigmoid(slope * logit + intercept) is likeliest.

    By Newton's method from (1, 0), with a weak pull towards it, so that few detections, or such of one kind only,
    still give a finite answer.

    Args:
        logit: (N,).
        is_face: (N,).
        weight: (N,) of each detection, 0 or more.
        steps: of Newton's method, at most.
    """
    faces, others = float(weight[is_face].sum()), float(weight[~is_face].sum())
    label = np.where(is_face, (faces + 1) / (faces + 2), 1 / (others + 2))
    inputs = np.stack([logit, np.ones_like(logit)], axis=1)  # (N, 2)
    start = np.array([1.0, 0.0])
    found = start.copy()
    for _ in range(steps):
        share = 1 / (1 + np.exp(-np.clip(inputs @ found, -50, 50)))
        gradient = inputs.T @ (weight * (share - label)) + (found - start)
        hessian = (inputs * (weight * share * (1 - share))[:, None]).T @ inputs + np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        found = found - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return max(float(found[0]), 0.05), float(found[1])
