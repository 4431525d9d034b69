"""Photos varied with their labels: the labels stay where the faces are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.training.photos import FacesOnPhoto, Variation, cover, mirror, turn, vary

EMPTY = np.empty((0, 4), np.float32)


def marked(points: np.ndarray, size: tuple[int, int] = (120, 160)) -> FacesOnPhoto:
    """Return a black photo whose five landmarks are white squares of 5 px, and the box around them a face."""
    image = np.zeros((*size, 3), np.uint8)
    for x, y in points.astype(int):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])[None].astype(np.float32)
    return FacesOnPhoto(image, box, points[None].astype(np.float32) + 0.5, np.array([[0, 0, 20, 30]], np.float32))


POINTS = np.array([[60, 40], [100, 40], [80, 60], [65, 80], [95, 80]])


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180))
def test_landmarks_turn_with_the_pixels(degrees: float) -> None:
    turned = turn(marked(POINTS), degrees)
    for x, y in turned.landmarks[0]:
        assert turned.image[int(y), int(x)].min() > 200
    assert int(turned.image.sum()) == pytest.approx(int(marked(POINTS).image.sum()), rel=0.02)


def test_a_quarter_turn_is_exact() -> None:
    photo = marked(POINTS)
    turned = turn(photo, 90)
    assert np.array_equal(turned.image, np.rot90(photo.image))
    x0, y0, x1, y1 = photo.boxes[0]
    assert turned.boxes[0] == pytest.approx([y0, 160 - x1, y1, 160 - x0], abs=1e-3)
    assert turned.ignored[0] == pytest.approx([0, 140, 30, 160], abs=1e-3)


def test_a_turned_box_holds_the_turned_ellipse_and_no_more() -> None:
    photo = FacesOnPhoto(np.zeros((200, 200, 3), np.uint8), np.array([[70, 60, 110, 140]], np.float32), EMPTY, EMPTY)
    photo = FacesOnPhoto(photo.image, photo.boxes, np.full((1, 5, 2), np.nan, np.float32), EMPTY)
    around = np.linspace(0, 2 * np.pi, 3600)
    for degrees in (10, 45, 77):
        angle = np.deg2rad(degrees)
        ellipse = np.stack([20 * np.cos(around), 40 * np.sin(around)], axis=1)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        extent = np.ptp(ellipse @ matrix, axis=0)
        box = turn(photo, degrees).boxes[0]
        assert box[2:] - box[:2] == pytest.approx(extent, abs=0.05)


def test_a_mirrored_face_has_its_left_eye_on_the_left() -> None:
    photo = marked(POINTS + np.array([[-30, 0]]))
    mirrored = mirror(photo)
    assert np.array_equal(mirrored.image, photo.image[:, ::-1])
    assert mirrored.landmarks[0, 0, 0] < mirrored.landmarks[0, 1, 0]
    assert mirrored.landmarks[0, 3, 0] < mirrored.landmarks[0, 4, 0]
    twice = mirror(mirrored)
    for name in ("image", "boxes", "landmarks", "ignored"):
        assert np.array_equal(getattr(twice, name), getattr(photo, name)), name


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4, 0.6, 1.0])
def test_so_much_of_a_face_is_covered(share: float) -> None:
    image = np.full((100, 120, 3), 7, np.uint8)
    box = np.array([30, 20, 90, 80], np.float32)
    for seed in range(30):
        covered = cover(image, box, share, np.random.default_rng(seed))
        changed = (covered != image).any(axis=2)
        if changed.any():  # a piece of this photo looks like what it covers
            assert not changed[:19].any()
            assert changed[20:80, 30:90].mean() <= share + 0.03
            assert not changed[:, 91:].any()
    assert (image == 7).all()


def test_variation_depends_on_the_generator_alone() -> None:
    photo = marked(POINTS)
    variation = Variation(turn=30, worsen=0.5, cover=0.5)
    first, again, other = (vary(photo, variation, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.boxes, again.boxes)
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


def test_a_photo_without_faces_is_varied_too() -> None:
    photo = FacesOnPhoto(np.zeros((50, 60, 3), np.uint8), EMPTY, np.empty((0, 5, 2), np.float32), EMPTY)
    varied = vary(photo, Variation(turn=90, worsen=1, cover=1), np.random.default_rng(0))
    assert varied.boxes.shape == (0, 4)
    assert varied.landmarks.shape == (0, 5, 2)
