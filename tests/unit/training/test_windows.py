import numpy as np
import pytest

from facepipe.imaging.boxes import iou
from facepipe.training.photos import FacesOnPhoto
from facepipe.training.windows import Jitter, anywhere, near_faces, take_crops, targets


def photo(boxes: list[list[float]], ignored: list[list[float]] | None = None) -> FacesOnPhoto:
    box = np.array(boxes, np.float32).reshape(-1, 4)
    middle = (box[:, :2] + box[:, 2:]) / 2
    landmarks = np.repeat(middle[:, None], 5, axis=1).astype(np.float32)
    image = np.random.default_rng(0).integers(0, 256, (100, 200, 3)).astype(np.uint8)
    return FacesOnPhoto(image, box, landmarks, np.array(ignored or [], np.float32).reshape(-1, 4))


def test_a_window_is_told_its_nearest_faces_edges_and_landmarks() -> None:
    windows = np.array([[10, 10, 30, 30], [100, 50, 140, 90]], np.float32)
    wanted = targets(windows, photo([[12, 10, 28, 30], [110, 50, 130, 90], [0, 0, 5, 5]]))
    assert wanted.face.tolist() == [0, 1]
    assert wanted.overlap == pytest.approx([0.8, 0.5])
    assert wanted.offsets == pytest.approx(np.array([[0.1, 0, -0.1, 0], [0.25, 0, -0.25, 0]]))
    assert wanted.landmarks == pytest.approx(np.full((2, 5, 2), 0.5))
    assert not wanted.ignored.any()


def test_windows_on_ignored_regions_and_on_no_face_teach_nothing() -> None:
    windows = np.array([[0, 0, 20, 20], [100, 0, 120, 20], [60, 0, 80, 20], [0, 0, 90, 90]], np.float32)
    wanted = targets(windows, photo([[100, 0, 118, 20]], [[0, 0, 20, 10], [100, 0, 120, 20], [75, 0, 95, 20]]))
    assert wanted.ignored.tolist() == [True, False, False, False]  # half, but a face; a quarter; small in a large one


def test_a_photo_without_faces_teaches_background() -> None:
    wanted = targets(np.array([[0, 0, 20, 20]], np.float32), photo([]))
    assert wanted.overlap.tolist() == [0]
    assert np.isnan(wanted.landmarks).all()
    assert targets(np.empty((0, 4), np.float32), photo([[0, 0, 9, 9]])).offsets.shape == (0, 4)


def test_windows_near_faces_stray_no_farther_than_told() -> None:
    boxes = np.array([[40, 40, 60, 60], [100, 20, 140, 60]], np.float32)
    windows = near_faces(boxes, 500, Jitter(0.1, 1.2), np.random.default_rng(1))
    size = windows[:, 2:] - windows[:, :2]
    assert size[:, 0] == pytest.approx(size[:, 1], rel=1e-4)
    assert (size[:500].min(), size[:500].max()) == pytest.approx((20 / 1.2, 20 * 1.2), rel=0.02)
    away = np.abs((windows[:, :2] + windows[:, 2:]) / 2 - np.repeat([[50, 50], [120, 40]], 500, axis=0))
    assert (away <= 0.1 * size + 1e-3).all()
    assert iou(windows[500:], boxes[1:]).min() > 0.5


def test_windows_anywhere_lie_within_the_photo() -> None:
    windows = anywhere(200, 100, 500, 12, np.random.default_rng(1))
    assert windows.min() >= 0
    assert (windows[:, [0, 2]].max(), windows[:, [1, 3]].max()) <= (200.01, 100.01)
    size = windows[:, 2] - windows[:, 0]
    assert (size.min(), size.max()) == pytest.approx((12, 100), rel=0.05)
    assert len(anywhere(200, 11, 5, 12, np.random.default_rng(1))) == 0


def test_crops_are_what_lies_in_the_windows() -> None:
    picture = photo([])
    crops = take_crops(picture, np.array([[10, 20, 34, 44], [-12, 0, 12, 24]], np.float32), 24)
    assert np.array_equal(crops[0], picture.image[20:44, 10:34])
    assert not crops[1, :, :12].any()
    assert np.array_equal(crops[1, :, 12:], picture.image[:24, :12])
    assert take_crops(picture, np.empty((0, 4), np.float32), 24).shape == (0, 24, 24, 3)
