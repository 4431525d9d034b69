"""The detector with random weights: geometry, bands, hostile photos, and that photos don't touch each other."""

import cv2
import numpy as np
import pytest
import torch

from facepipe.detectors import faceness as module
from facepipe.detectors.detector import Detections
from facepipe.detectors.faceness import ASPECT, Faceness, as_windows, surroundings
from facepipe.imaging.boxes import area, iou
from facepipe.models.faceness_networks import PARTS, FacenessClassifier, PartNet
from tests.drawn_photos import draw_scene


def random_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    state = {f"parts.{part}.{name}": value for part in PARTS for name, value in PartNet().state_dict().items()}
    classifier = FacenessClassifier()
    torch.nn.init.zeros_(classifier.head.weight[1:])  # boxes stay near their windows
    torch.nn.init.constant_(classifier.head.bias[:1], 0.5)
    state |= {f"classifier.{name}": value for name, value in classifier.state_dict().items()}
    tops = torch.arange(5) / 5
    state["arrangement.regions"] = torch.stack([torch.full((5,), 0.1), tops, torch.full((5,), 0.9), tops + 0.2], dim=1)
    state["arrangement.scale"] = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.1])
    state["calibration"] = torch.tensor([1.0, 0.0])
    return state


@pytest.fixture(scope="module")
def detector() -> Faceness:
    """A detector that sees faces nearly everywhere."""
    return Faceness(random_weights(), min_score=0.3, candidates=60, device="cpu")


def assert_same(first: Detections, second: Detections) -> None:
    np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-4)


def test_detections_are_as_promised(detector: Faceness) -> None:
    image = draw_scene(1, 200, 130)
    found = detector.detect([image])[0]
    assert len(found) > 3
    assert found.landmarks is None
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, [2, 3]] <= (200, 130)).all()
    assert (area(found.boxes) > 0).all()
    assert ((found.scores >= 0.3) & (found.scores <= 1)).all()
    overlaps = iou(found.boxes, found.boxes) - np.eye(len(found))
    assert overlaps.max() <= 0.4 + 1e-6


def test_other_photos_in_the_batch_change_nothing(detector: Faceness) -> None:
    images = [draw_scene(seed, *size) for seed, size in ((1, (200, 130)), (2, (200, 130)), (3, (64, 90)))]
    together = detector.detect(images)
    for image, found in zip(images, together, strict=True):
        assert_same(detector.detect([image])[0], found)
    assert detector.detect([]) == []


def test_bands_give_the_responses_of_the_whole(detector: Faceness, monkeypatch: pytest.MonkeyPatch) -> None:
    image = draw_scene(4, 90, 157)
    whole = detector.responses(image)
    assert whole.shape == (5, 40, 23)
    monkeypatch.setattr(module, "_PIXELS_AT_ONCE", {"cpu": 90 * 24})
    np.testing.assert_allclose(detector.responses(image), whole, atol=1e-5)


def test_proposals_are_the_best_windows_that_do_not_overlap_much(detector: Faceness) -> None:
    window, score = detector.propose(draw_scene(5, 160, 120))
    assert len(window) == len(score) == 60
    assert (np.diff(score) <= 0).all()
    size = window[:, 2:] - window[:, :2]
    np.testing.assert_allclose(size[:, 0] / size[:, 1], ASPECT, rtol=0.03)
    assert size[:, 1].min() >= 19
    assert (window >= -1e-3).all()
    assert (iou(window, window) - np.eye(60)).max() <= 0.7 + 1e-6


def test_a_face_that_fills_the_photo_can_be_proposed(detector: Faceness) -> None:
    window, _ = detector.propose(draw_scene(6, 100, 100))
    assert (window[:, 3] - window[:, 1]).max() > 65


def test_the_least_face_counts_in_pixels_of_the_photo(detector: Faceness) -> None:
    image = draw_scene(7, 160, 120)
    large = Faceness(random_weights(), min_face=60, min_score=0.3, candidates=60, device="cpu")
    assert (large.propose(image)[0][:, 3] - large.propose(image)[0][:, 1]).min() >= 59
    half = cv2.resize(image, (80, 60), interpolation=cv2.INTER_AREA)
    window = large.propose(half, scale=0.5)[0]
    assert 29 <= (window[:, 3] - window[:, 1]).min() < 59


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((19, 300, 3), np.uint8),
        np.zeros((1, 10_000, 3), np.uint8),
        np.zeros((10_000, 1, 3), np.uint8),
        np.full((12, 12, 3), 255, np.uint8),
    ],
    ids=lambda image: f"{image.shape[1]}x{image.shape[0]}",
)
def test_photos_without_room_for_a_face_have_none(detector: Faceness, image: np.ndarray) -> None:
    assert len(detector.detect([image])[0]) == 0


def test_one_colour_and_thin_photos_are_looked_at(detector: Faceness) -> None:
    for image in (
        np.full((80, 80, 3), 128, np.uint8),
        np.zeros((21, 4000, 3), np.uint8),
        np.zeros((24, 20, 3), np.uint8),
    ):
        found = detector.detect([image])[0]
        assert np.isfinite(found.boxes).all()


def test_windows_keep_centre_and_area_and_crops_are_square() -> None:
    box = np.array([[0, 0, 10, 10], [5, 5, 25, 10]], np.float32)
    window = as_windows(box)
    np.testing.assert_allclose(area(window), area(box), rtol=1e-5)
    np.testing.assert_allclose(window[:, :2] + window[:, 2:], box[:, :2] + box[:, 2:], atol=1e-5)
    crop = surroundings(window)
    np.testing.assert_allclose(crop[:, 2] - crop[:, 0], (window[:, 3] - window[:, 1]) * 1.5, rtol=1e-5)
    assert as_windows(np.empty((0, 4), np.float32)).shape == (0, 4)
