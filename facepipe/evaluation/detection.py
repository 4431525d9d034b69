"""How well faces are found: average precision and recall of boxes against labelled boxes.

Protocol: a detection finds a face where their intersection over union is at least 0.5. For each least height (in
pixels) lower faces are *ignore regions*, since whether something so small should be found is a matter of taste:

1. Detections are taken photo by photo, by descending score. Each finds, of the faces that count and that nothing has
   found yet, the one with which it overlaps most; it is then a true positive, whatever its own height.
2. A detection that finds none counts neither way if it overlaps an ignore region as far as it would a face (any number
   of detections may lie on one), or if it is itself lower than the least height.
3. Every other detection, so also a second one of the same face, is a false positive.

That a detection a little lower than the least height still finds the face it lies on, rather than being dropped
unseen, matters: faces whose height is near the limit would otherwise be missed by half of all good boxes.

Average precision is the area under the curve of precision over recall at all points, with each precision replaced by
the best one at the same or a greater recall (Everingham et al. 2015, "The PASCAL Visual Object Classes Challenge: A
Retrospective", section 4.1, with all recall levels instead of eleven).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facepipe.imaging.boxes import heights, iou

Floats = NDArray[np.floating]
LEAST_IOU = 0.5
LEAST_HEIGHTS = (20, 40, 60)  # pixels, for which figures are reported


@dataclass(frozen=True)
class DetectionFigures:
    """How well faces at least so high are found.

    Attributes:
        average_precision: 0 to 1; 0 where no face counts.
        recall: share of the faces that were found, at any score; 0 where no face counts.
        precision: share of the detections that count which found a face; 1 where none counts.
        faces: faces that count.
    """

    average_precision: float
    recall: float
    precision: float
    faces: int


@dataclass(frozen=True)
class PhotoDetections:
    """The detections of one photo that count, and what there was to find.

    Attributes:
        scores: (N,) descending.
        found: (N,) bool, whether each found a face.
        faces: that count.
    """

    scores: Floats
    found: NDArray[np.bool_]
    faces: int


def judge_photos(
    boxes: Sequence[Floats], scores: Sequence[Floats], truths: Sequence[Floats], least_height: float
) -> list[PhotoDetections]:
    """Return the detections of each photo that count; arguments and errors as of `evaluate_detections`."""
    judged = []
    for photo_boxes, photo_scores, photo_truths in zip(boxes, scores, truths, strict=True):
        order = np.argsort(-photo_scores, kind="stable")
        outcome = match_photo(photo_boxes[order], photo_truths, least_height)
        counts = ~outcome.ignored
        faces = int((heights(photo_truths) >= least_height).sum())
        judged.append(PhotoDetections(photo_scores[order][counts], outcome.found[counts], faces))
    return judged


def evaluate_detections(
    boxes: Sequence[Floats], scores: Sequence[Floats], truths: Sequence[Floats], least_height: float
) -> DetectionFigures:
    """Return the figures of a detector on labelled photos, for faces at least `least_height` pixels high.

    Args:
        boxes: (N, 4) detected `box_xyxy`, one array a photo.
        scores: (N,) one array a photo; of equal scores the earlier photo, and there the earlier detection, goes first.
        truths: (M, 4) labelled boxes, one array a photo.
        least_height: in pixels; a face of exactly that height counts.

    Raises:
        ValueError: there are not as many arrays of each kind.
    """
    return pooled_figures(judge_photos(boxes, scores, truths, least_height))


def pooled_figures(photos: Sequence[PhotoDetections]) -> DetectionFigures:
    """Return the figures over all photos, their detections in one order by score."""
    if not photos:
        return DetectionFigures(0.0, 0.0, 1.0, 0)
    faces = sum(photo.faces for photo in photos)
    by_score = np.argsort(-np.concatenate([photo.scores for photo in photos]), kind="stable")
    true_positive = np.concatenate([photo.found for photo in photos])[by_score]
    return DetectionFigures(
        average_precision=average_precision(true_positive, faces),
        recall=int(true_positive.sum()) / faces if faces else 0.0,
        precision=float(true_positive.mean()) if len(true_positive) else 1.0,
        faces=faces,
    )


def average_precision_interval(
    photos: Sequence[PhotoDetections], seed: int = 0, draws: int = 1000
) -> tuple[float, float]:
    """Return the interval in which average precision lies for 95 % of as many photos drawn anew, with replacement.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; the interval is that of percentiles.

    Args:
        photos: at least one.
        seed: of the draws.
        draws: how many.
    """
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(photos), size=len(photos)) for _ in range(draws))
    values = [pooled_figures([photos[photo] for photo in chosen]).average_precision for chosen in drawn]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class PhotoOutcome:
    """What became of the detections of one photo.

    Attributes:
        found: (N,) the detection found a face that counts.
        ignored: (N,) the detection counts neither way.
    """

    found: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


def match_photo(box_xyxy: Floats, truth_xyxy: Floats, least_height: float) -> PhotoOutcome:
    """Return what each detection of one photo, given by descending score, has found.

    Args:
        box_xyxy: (N, 4).
        truth_xyxy: (M, 4); of faces that a detection overlaps equally the earlier one is found.
        least_height: lower faces are ignore regions.
    """
    counts = heights(truth_xyxy) >= least_height  # (M,)
    table = iou(box_xyxy, truth_xyxy)  # (N, M)
    overlaps_ignored = (table[:, ~counts] >= LEAST_IOU).any(axis=1)
    free = np.where(counts, table, -1.0)  # overlap with faces that can still be found
    found = np.zeros(len(box_xyxy), dtype=bool)
    for detection in range(len(box_xyxy) if len(truth_xyxy) else 0):
        best = int(free[detection].argmax())
        if free[detection, best] >= LEAST_IOU:
            found[detection] = True
            free[:, best] = -1.0
    return PhotoOutcome(found, ~found & (overlaps_ignored | (heights(box_xyxy) < least_height)))


def average_precision(true_positive: NDArray[np.bool_], faces: int) -> float:
    """Return the area under the interpolated precision-recall curve.

    Args:
        true_positive: (N,) for each detection, by descending score, whether it found a face.
        faces: that there were to find; with none the area is 0.
    """
    if not faces or not len(true_positive):
        return 0.0
    precision = np.cumsum(true_positive) / np.arange(1, len(true_positive) + 1)
    best_onward = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_onward[true_positive].sum() / faces)  # each face found lengthens the curve by 1 / faces
