"""Detectors that know the answers, or part of them, are judged as they should be."""

from collections.abc import Sequence

import numpy as np
import pytest

from facepipe.config import Config
from facepipe.detectors.detector import Detections, last_step
from facepipe.evaluation.detection import PhotoDetections
from facepipe.imaging.steps_picture import Step
from facepipe.studies.detector_conditions import UPRIGHT, conditions
from facepipe.studies.detectors import (
    FOLDS,
    Contestant,
    find_faces,
    judge,
    photos_per_second,
    threshold_at,
)
from facepipe.training.labels import Labels, read_labels
from tests.drawn_faces import draw_photos


class Brightness:
    """Finds one box a photo: where it is not black. So it follows a photo that is turned on its black canvas."""

    def explain(self, image: np.ndarray) -> list[Step]:
        return [last_step(image, self.detect([image])[0])]

    def detect(self, images: Sequence[np.ndarray], scales: Sequence[float] | None = None) -> list[Detections]:
        found = []
        for image in images:
            rows, columns = np.nonzero(image.max(axis=2))
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found.append(Detections(np.array([box], np.float32), np.array([0.7], np.float32), None))
        return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    drawn = draw_photos(tmp_path_factory.mktemp("photos"), 8, seed=3)
    return read_labels(drawn.images, drawn.boxes)


def as_one_face(photos: Labels) -> Labels:
    """Return the photos with all of each photo labelled a face."""
    whole = np.array([[0, 0, 160, 120]], np.float32)
    return Labels([type(photo)(photo.path, whole, photo.landmarks[:1], whole[:0]) for photo in photos.photos], {})


def test_who_finds_all_faces_and_nothing_else_is_perfect(photos: Labels) -> None:
    figures = judge(Contestant("all", dict.fromkeys(FOLDS, Brightness())), as_one_face(photos), Config(), ["turned 90"])
    assert figures["average_precision"] == {"20": 1, "40": 1, "60": 1}
    assert figures["interval"]["40"] == (1, 1)
    assert figures["threshold"] == pytest.approx(0.7)
    assert figures["recall_at_threshold"] == 1
    assert figures["turned 90"] == {"average_precision": 1, "recall": 1, "recall_at_threshold": 1}


def test_each_photo_is_judged_by_the_detector_that_never_saw_it(photos: Labels) -> None:
    class Nothing(Brightness):
        def detect(self, images: Sequence[np.ndarray], scales: Sequence[float] | None = None) -> list[Detections]:
            return [Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), None) for _ in images]

    found = find_faces(
        Contestant("half", {0: Nothing(), 1: Brightness()}), as_one_face(photos), conditions()[UPRIGHT], Config()
    )
    counts = [len(boxes) for boxes in found.boxes]
    assert {0, 1} == set(counts)
    assert photos_per_second([Contestant("half", {0: Nothing(), 1: Nothing()})], photos, Config())["half"] > 0


def test_the_threshold_is_the_least_score_of_so_good_a_precision() -> None:
    photos = [
        PhotoDetections(np.array([0.9, 0.5, 0.3]), np.array([True, True, False]), 2),
        PhotoDetections(np.array([0.8, 0.4]), np.array([True, False]), 1),
    ]
    assert threshold_at(photos, 1.0) == 0.5
    assert threshold_at(photos, 0.75) == 0.4
    assert threshold_at([PhotoDetections(np.array([0.9]), np.array([False]), 1)], 0.5) == 1
    assert threshold_at([PhotoDetections(np.empty(0), np.empty(0, bool), 1)], 0.5) == 1
