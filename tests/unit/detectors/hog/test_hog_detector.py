from dataclasses import replace

import numpy as np
import pytest

from facepipe.config import DetectConfig
from facepipe.detectors.hog.codebook import Codebook
from facepipe.detectors.hog.detector import HOG
from facepipe.detectors.hog.search import find_windows, mean_faces, place_faces, shows_enough
from facepipe.detectors.hog.word_tables import score_map
from facepipe.imaging.boxes import iou
from facepipe.stages.detect_faces import build_detector
from tests.unit.detectors.hog.one_face import SIDE, one_face_model, photo


@pytest.fixture(scope="module")
def detector() -> HOG:
    return HOG(one_face_model().to_state())


def face_in(left: int, top: int, side: int) -> np.ndarray:
    """Return where `one_face_model` says that the face is in a window."""
    centre = np.array([left + side / 2, top + 0.6 * side])
    half = np.array([0.25, 0.35]) * side
    return np.concatenate([centre - half, centre + half])


@pytest.mark.parametrize("place", [(40, 30, SIDE), (63, 51, 70), (10, 10, 110)], ids=str)
def test_a_known_picture_is_found_where_it_is(detector: HOG, place: tuple[int, int, int]) -> None:
    found = detector.detect([photo(180, 140, place)])[0]
    assert found.landmarks is None
    assert found.scores[0] > 0.9
    assert iou(found.boxes[:1], face_in(*place)[None])[0, 0] > 0.6


def test_what_else_is_in_the_batch_changes_nothing(detector: HOG) -> None:
    images = [photo(180, 140, (40, 30, SIDE)), photo(100, 90), photo(120, 160, (5, 60, 60), (70, 10, 40))]
    together = detector.detect(images)
    for image, found in zip(images, together, strict=True):
        alone = detector.detect([image])[0]
        assert (alone.boxes == found.boxes).all()
        assert (alone.scores == found.scores).all()
    assert len(together[0])
    assert len(together[2])


def test_boxes_lie_on_the_photo_by_descending_score(detector: HOG) -> None:
    found = HOG(one_face_model().to_state(), min_score=0.02).detect([photo(150, 120, (0, 0, 44), (90, 60, 60))])[0]
    assert len(found) > 1
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores >= 0.02) & (found.scores <= 1)).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [150, 120, 150, 120]).all()
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_the_least_face_counts_in_pixels_of_the_upright_photo() -> None:
    image = photo(180, 140, (40, 30, SIDE))  # a face of 24.5 px
    detector = HOG(one_face_model().to_state(), min_face=40)
    assert not len(detector.detect([image])[0])
    assert len(detector.detect([image], [0.5])[0])


@pytest.mark.parametrize("size", [(1, 1), (10_000, 1), (1, 10_000), (19, 19), (20, 20), (21, 400), (64, 64)], ids=str)
@pytest.mark.parametrize("value", [0, 255, "noise"])
def test_hostile_photos_have_no_faces(detector: HOG, size: tuple[int, int], value: int | str) -> None:
    width, height = size
    if value == "noise":
        image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    else:
        image = np.full((height, width, 3), value, np.uint8)
    assert not len(detector.detect([image])[0])
    assert detector.detect([]) == []


def test_the_best_windows_are_kept_and_know_their_words() -> None:
    model = replace(one_face_model(), box_tables=np.random.default_rng(0).normal(0, 1e-3, (6, 6, 36, 4)).astype("f4"))
    image = photo(120, 100, (40, 30, SIDE))
    all_of_them = find_windows(image, model, least_margin=-np.inf, most=10**6, min_face=20, factor=0.84)
    few = find_windows(image, model, least_margin=-1.4, most=5, min_face=20, factor=0.84)
    assert len(few.margin) == 5
    assert (few.margin == all_of_them.margin[:5]).all()
    for margin, words in zip(few.margin, few.words, strict=True):
        assert margin == pytest.approx(float(score_map(words.reshape(6, 6), model.tables)[0, 0]) + model.bias, abs=1e-5)
    mean, placed = mean_faces(few.window, model), place_faces(few.window, few.words, model)
    assert mean.shape == placed.shape == (5, 4)
    assert np.abs(mean - placed).max() > 0
    assert iou(mean, placed).diagonal().min() > 0.8


def test_settings_build_it() -> None:
    built = build_detector(DetectConfig(detector="hog", min_face=30, min_score=0.4), one_face_model().to_state())
    assert isinstance(built, HOG)
    assert (built.min_face, built.min_score, built.factor) == (30, 0.4, 0.84)


def test_plain_ground_is_no_face_even_to_a_classifier_that_says_so() -> None:
    model = one_face_model()
    words = np.concatenate([model.codebook.words[:-1], np.zeros((1, 72), np.float32)])  # the last is plain
    tables = model.tables.copy()
    tables[:, :, -1] = 1.0
    believes = replace(model, codebook=Codebook(words), tables=tables)
    plain, known = photo(90, 70), photo(90, 70, (20, 15, SIDE))
    assert not len(find_windows(plain, believes, least_margin=-1.0, most=9, min_face=20, factor=0.84).margin)
    found = find_windows(known, believes, least_margin=-1.0, most=10**6, min_face=20, factor=0.84)
    assert len(found.margin)
    assert shows_enough(found.words, believes).all()
