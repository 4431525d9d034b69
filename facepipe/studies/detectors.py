"""Detectors side by side: trained on one half of labelled photos, judged on the other: upright, turned, covered."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facepipe.config import Config
from facepipe.detectors.detector import Detector
from facepipe.evaluation.detection import (
    LEAST_HEIGHTS,
    PhotoDetections,
    average_precision_interval,
    judge_photos,
    pooled_figures,
)
from facepipe.imaging.boxes import heights
from facepipe.models.cache import load_weights
from facepipe.runtime.progress import show_progress
from facepipe.stages.detect_faces import build_detector
from facepipe.studies.detector_conditions import DEGRADED, UPRIGHT, WORSE, Change, conditions
from facepipe.training.labels import Labels
from facepipe.training.mtcnn.train import MtcnnOptions
from facepipe.training.photos import read_photo
from facepipe.training.recipe import DetectorOptions, Fit
from facepipe.training.sources import fold_of
from facepipe.trainings import DETECTORS, read_weights, train_detector

FOLDS = (0, 1)
JUDGED_AT = 40  # pixels: least height for turned, covered and worse photos
SPEED_ROUNDS = 3
SPEED_SIDE = 640  # pixels: longest side of the photos on which speed is measured
# Where tuning is judged:
LOWER_THRESHOLDS = (0.6, 0.4, 0.1)  # under which more faces of bad photos pass
JUDGED_ON = {"clean": (UPRIGHT, [0]), "degraded": (DEGRADED, [0, 1, 2])}  # photos: condition, seeds


class Found(NamedTuple):
    """What a detector found on photos, and what there was to find.

    Attributes:
        boxes: (N, 4) a photo.
        scores: (N,) a photo.
        truths: (M, 4) a photo.
    """

    boxes: list[NDArray[np.float32]]
    scores: list[NDArray[np.float32]]
    truths: list[NDArray[np.float32]]

    def judged(self, least_height: float) -> list[PhotoDetections]:
        """Return the detections that count, photo by photo."""
        return judge_photos(self.boxes, self.scores, self.truths, least_height)


@dataclass(frozen=True)
class Contestant:
    """A detector under a name, with weights that never saw the photos on which it is judged.

    Attributes:
        name: in the figures.
        by_fold: for each fold of the photos, the detector that is judged on it.
        seconds: that its trainings took; empty where it was not trained here.
    """

    name: str
    by_fold: Mapping[int, Detector]
    seconds: list[float] = field(default_factory=list)


def train_folds(
    name: str,
    photos: Labels,
    others: Sequence[Labels],
    folder: Path,
    options: DetectorOptions,
    fit: Fit,
    config: Config,
    share: float = 1.0,
) -> Contestant:
    """Return a detector trained on each half of the photos and on all others; it is judged on the other half.

    Args:
        name: of the detector.
        photos: labelled, divided by their names.
        others: labelled photos that all trainings see.
        folder: for the trainings; what is finished there is not done again.
        options: of the detector's recipe.
        fit: trains networks.
        config: settings.
        share: of each half that is learned from, for a learning curve.
    """
    by_fold, seconds = {}, []
    detect = config.detect.model_copy(update={"detector": name})
    for fold in FOLDS:
        half = [photo for photo in photos.photos if fold_of(photo) != fold]
        sources = [*others, Labels(half[: max(1, round(share * len(half)))], {})]
        trained = train_detector(name, sources, folder / f"without-{fold}", options, fit)
        seconds.append(trained.seconds)
        by_fold[fold] = build_detector(detect, read_weights(trained.weights))
    return Contestant(name, by_fold, seconds)


def known_detector(name: str, config: Config, model: str = "") -> Contestant:
    """Return a detector with weights that this machine has, judged on all photos."""
    detect = config.detect.model_copy(update={"detector": name, "model": model})
    detector = build_detector(detect, load_weights(detect.weights, name))
    return Contestant(model or name, dict.fromkeys(FOLDS, detector))


def find_faces(contestant: Contestant, photos: Labels, change: Change, config: Config, seed: int = 0) -> Found:
    """Return what a contestant finds on changed photos; each change depends on the seed and the photo alone."""
    found = Found([], [], [])
    with show_progress(contestant.name, "photos", len(photos.photos)) as progress:
        for number, photo in enumerate(photos.photos):
            read = read_photo(photo, config.decode)
            if read is not None:
                changed = change(read, np.random.default_rng([seed, number]))
                (detections,) = contestant.by_fold[fold_of(photo)].detect([changed.image])
                found.boxes.append(detections.boxes)
                found.scores.append(detections.scores)
                found.truths.append(changed.boxes)
            progress.advance(1)
    return found


def judge(contestant: Contestant, photos: Labels, config: Config, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return a contestant's figures on photos: upright at each least height, and under each other condition.

    Args:
        contestant: who is judged.
        photos: labelled.
        config: settings.
        names: of the conditions beside upright ones; none: upright photos alone.
    """
    changes = conditions()
    upright = find_faces(contestant, photos, changes[UPRIGHT], config)
    figures: dict[str, Any] = {"average_precision": {}, "interval": {}, "recall": {}, "precision": {}}
    for height in LEAST_HEIGHTS:
        judged = upright.judged(height)
        pooled = pooled_figures(judged)
        figures["average_precision"][str(height)] = pooled.average_precision
        figures["interval"][str(height)] = average_precision_interval(judged)
        figures["recall"][str(height)] = pooled.recall
        figures["precision"][str(height)] = pooled.precision
    threshold = threshold_at(upright.judged(JUDGED_AT), precision=0.9)
    figures["threshold"] = threshold
    figures["recall_at_threshold"] = _recall_at(upright.judged(JUDGED_AT), threshold)
    for name in names:
        judged = find_faces(contestant, photos, changes[name], config).judged(JUDGED_AT)
        pooled = pooled_figures(judged)
        figures[name] = {
            "average_precision": pooled.average_precision,
            "recall": pooled.recall,
            "recall_at_threshold": _recall_at(judged, threshold),
        }
    return figures


def threshold_at(photos: Sequence[PhotoDetections], precision: float) -> float:
    """Return the least score at which so many of the detections scored as high or higher are faces; 1 where never."""
    scores = np.concatenate([photo.scores for photo in photos])
    order = np.argsort(-scores, kind="stable")
    found = np.concatenate([photo.found for photo in photos])[order]
    good = np.flatnonzero(np.cumsum(found) / np.arange(1, len(found) + 1) >= precision)
    return float(scores[order][good[-1]]) if len(good) else 1.0


def _recall_at(photos: Sequence[PhotoDetections], threshold: float) -> float:
    faces = sum(photo.faces for photo in photos)
    return sum(int(photo.found[photo.scores >= threshold].sum()) for photo in photos) / max(faces, 1)


def photos_per_second(contestants: Sequence[Contestant], photos: Labels, config: Config) -> dict[str, float]:
    """Return how fast each contestant, in one process, looks at decoded photos of SPEED_SIDE pixels.

    It is the median of SPEED_ROUNDS rounds, in which the contestants take turns.
    """
    decode = config.decode.model_copy(update={"max_side": SPEED_SIDE})
    read = [(fold_of(photo), decoded.image) for photo in photos.photos if (decoded := read_photo(photo, decode))]
    seconds: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for _ in range(SPEED_ROUNDS):
        for contestant in contestants:
            started = time.perf_counter()
            for fold, image in read:
                contestant.by_fold[fold].detect([image])
            seconds[contestant.name].append(time.perf_counter() - started)
    return {name: len(read) / statistics.median(rounds) for name, rounds in seconds.items()}


def study_detectors(
    names: Sequence[str],
    photos: Labels,
    others: Sequence[Labels],
    folder: Path,
    fit: Fit,
    config: Config,
    *,
    effort: float = 1.0,
    share: float = 1.0,
    peers: Sequence[Contestant] = (),
    unseen: Labels | None = None,
) -> dict[str, Any]:
    """Return the figures of detectors trained in two folds, beside published weights and peers.

    Args:
        names: of detectors to train.
        photos: labelled photos: the two folds, pooled.
        others: labelled photos that each training sees too.
        folder: for trainings; what is finished there is not done again.
        fit: trains networks.
        config: settings.
        effort: of the trainings.
        share: of each half that is learned from, for a learning curve.
        peers: other programs' detectors.
        unseen: labelled photos that no training sees.
    """
    contestants = []
    for name in names:
        options = DETECTORS[name][1](effort=effort)
        contestants.append(train_folds(name, photos, others, folder / name, options, fit, config, share))
    contestants += [replace(known_detector("mtcnn", config), name="mtcnn, published"), *peers]
    changed = [name for name in conditions() if name != UPRIGHT]
    figures = {
        contestant.name: {**judge(contestant, photos, config, changed), "training_seconds": contestant.seconds}
        for contestant in contestants
    }
    if unseen is not None:
        for contestant in contestants:
            figures[contestant.name]["unseen"] = judge(contestant, unseen, config)
    for name, speed in photos_per_second(contestants, photos, config).items():
        figures[name]["photos_per_second"] = speed
    return {
        "photos": len(photos.photos),
        "faces": {
            str(height): sum(int((heights(photo.boxes) >= height).sum()) for photo in photos.photos)
            for height in LEAST_HEIGHTS
        },
        "conditions": changed,
        "detectors": figures,
    }


def study_tuning(
    photos: Labels,
    others: Sequence[Labels],
    folder: Path,
    fit: Fit,
    config: Config,
    effort: float = 1.0,
    share: float = 1.0,
) -> dict[str, Any]:
    """Return what fine-tuning MTCNN's published weights on degraded photos does for degraded and for clean ones.

    Both weights are judged at the configured thresholds and at LOWER_THRESHOLDS. Other arguments are those of
    `study_detectors`.

    Returns:
        By weights and thresholds: average precision on clean and on degraded photos, by least height.
    """
    options = MtcnnOptions(effort=effort, variation=WORSE, init=load_weights("mtcnn", "mtcnn"))
    figures = {}
    for thresholds in (config.detect.thresholds, LOWER_THRESHOLDS):
        own = config.model_copy(update={"detect": config.detect.model_copy(update={"thresholds": thresholds})})
        tuned = train_folds("mtcnn", photos, others, folder / "mtcnn-tuned", options, fit, own, share)
        for name, contestant in (("published", known_detector("mtcnn", own)), ("fine-tuned", tuned)):
            at = ", ".join(str(threshold) for threshold in thresholds)
            figures[f"{name} at {at}"] = {
                f"{kind}, {height} px": value
                for kind, (condition, seeds) in JUDGED_ON.items()
                for height, value in _precision_on(contestant, photos, condition, own, seeds).items()
            }
    return figures


def _precision_on(
    contestant: Contestant, photos: Labels, condition: str, config: Config, seeds: Sequence[int]
) -> dict[int, float]:
    """Return the average precision on photos, changed once for each seed and pooled, by least height."""
    change = conditions()[condition]
    found = [find_faces(contestant, photos, change, config, seed) for seed in seeds]
    judged = {height: [photo for one in found for photo in one.judged(height)] for height in LEAST_HEIGHTS}
    return {height: pooled_figures(one).average_precision for height, one in judged.items()}
