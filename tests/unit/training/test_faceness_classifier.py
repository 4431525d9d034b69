"""Photos shrunk and covered before windows are taken, and what is said of the windows."""

import numpy as np
import pytest
import torch

from facepipe.detectors.faceness import Faceness, surroundings
from facepipe.imaging.boxes import iou
from facepipe.models.architectures import expected_shapes
from facepipe.models.faceness_networks import FacenessClassifier
from facepipe.training.faceness.classifier import (
    LEAST_FACE,
    MOST,
    SHRUNK,
    classifier_samples,
    cover_background,
    shrink,
)
from facepipe.training.photos import FacesOnPhoto
from facepipe.training.windows import NEGATIVE, PART, POSITIVE
from tests.drawn_photos import draw_scene

FACE = (60.0, 30.0, 98.0, 80.0)


def photo(*boxes: tuple[float, float, float, float], ignored: tuple[float, ...] = ()) -> FacesOnPhoto:
    faces = np.array(boxes, np.float32).reshape(-1, 4)
    landmarks = np.repeat(faces[:, None, :2], 5, axis=1)
    return FacesOnPhoto(draw_scene(1, 160, 120), faces, landmarks, np.array(ignored, np.float32).reshape(-1, 4))


@pytest.fixture(scope="module")
def detector() -> Faceness:
    torch.manual_seed(1)
    state = {name: torch.randn(shape) * 0.1 for name, shape in expected_shapes("faceness").items()}
    state["arrangement.regions"] = torch.tensor([[0.1, 0.2, 0.9, 0.6]] * 5)
    state["arrangement.scale"] = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.1])
    state["calibration"] = torch.tensor([1.0, 0.0])
    return Faceness(state, candidates=80, device="cpu")


@pytest.mark.parametrize("has_classifier", [False, True])
def test_windows_become_samples_of_three_kinds(detector: Faceness, has_classifier: bool) -> None:
    samples = classifier_samples(photo(FACE), detector, np.random.default_rng(2), has_classifier=has_classifier)
    count = len(samples["kind"])
    assert samples["crops"].shape == (count, FacenessClassifier.size, FacenessClassifier.size, 3)
    assert samples["offsets"].shape == (count, 4)
    kinds = {kind: int((samples["kind"] == kind).sum()) for kind in (NEGATIVE, POSITIVE, PART)}
    assert 0 < kinds[POSITIVE] <= MOST[POSITIVE]
    assert 0 < kinds[PART] <= MOST[PART]
    assert MOST[NEGATIVE] // 2 < kinds[NEGATIVE] <= MOST[NEGATIVE] + 1
    assert np.abs(samples["offsets"][samples["kind"] == POSITIVE]).max() < 0.5


def test_ignored_regions_and_tiny_faces_teach_nothing(detector: Faceness) -> None:
    everywhere = photo(ignored=(0, 0, 160, 120))
    assert len(classifier_samples(everywhere, detector, np.random.default_rng(2), has_classifier=False)["kind"]) == 0
    tiny = photo((80, 40, 88, 50))
    kinds = classifier_samples(tiny, detector, np.random.default_rng(2), has_classifier=False)["kind"]
    assert set(kinds.tolist()) == {NEGATIVE}


def test_faces_keep_their_place_when_a_photo_shrinks() -> None:
    whole = photo(FACE)
    sizes = []
    for seed in range(30):
        small = shrink(whole, np.random.default_rng(seed))
        height, width = small.image.shape[:2]
        np.testing.assert_allclose(
            small.boxes[0] / (width, height, width, height), np.array(FACE) / (160, 120, 160, 120), rtol=1e-5
        )
        np.testing.assert_allclose(small.landmarks[0, 0], small.boxes[0, :2], rtol=1e-5)
        sizes.append(float(small.boxes[0, 3] - small.boxes[0, 1]))
    assert max(sizes) == 50
    assert SHRUNK - 1 < min(sizes) < 30
    empty = photo()
    assert shrink(empty, np.random.default_rng(0)) is empty


def test_covers_lie_beside_faces() -> None:
    whole = photo(FACE)
    changed = np.zeros((120, 160), bool)
    for seed in range(20):
        covered = cover_background(whole, 1.0, np.random.default_rng(seed))
        changed |= (covered.image != whole.image).any(axis=2)
    assert changed.mean() > 0.2
    x0, y0, x1, y1 = (int(edge) for edge in FACE)
    assert not changed[y0:y1, x0:x1].any()
    assert cover_background(whole, 0.0, np.random.default_rng(0)) is whole


def test_crops_show_a_quarter_of_a_window_on_each_side() -> None:
    window = np.array([[60, 30, 98, 80]], np.float32)
    crop = surroundings(window)
    assert iou(window, crop)[0, 0] == pytest.approx(38 * 50 / 75**2)
    assert LEAST_FACE > 10
