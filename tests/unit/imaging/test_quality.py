from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from facepipe.imaging.quality import look_at_faces

Image = npt.NDArray[np.uint8]


def picture(side: int = 256) -> Image:
    """Blobs of all sizes, the finer the fainter, as in faces."""
    rng = np.random.default_rng(11)
    grey = np.zeros((side, side))
    for level in range(1, 8):
        blobs = rng.normal(0, 1, (2**level, 2**level))
        grey += 0.75**level * cv2.resize(blobs, (side, side), interpolation=cv2.INTER_CUBIC)
    grey = 120 + 40 * (grey - grey.mean()) / grey.std()
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def whole(image: Image) -> npt.NDArray[np.float64]:
    return np.array([[0, 0, image.shape[1], image.shape[0]]], np.float64)


def sharpness(image: Image) -> float:
    return float(look_at_faces(image, whole(image)).sharpness[0])


def test_blur_lowers_sharpness_step_by_step() -> None:
    image = picture()
    values = [sharpness(image)]
    values += [sharpness(np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.uint8)) for blur in (1, 2, 3, 5, 8)]
    assert all(sharper > blurred + 0.005 for sharper, blurred in pairwise(values)), values


def test_a_small_face_blown_up_counts_as_blurred() -> None:
    image = picture()
    small = np.asarray(cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA), np.uint8)
    blown_up = np.asarray(cv2.resize(small, (256, 256), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert sharpness(blown_up) < 0.75 * sharpness(image)
    assert sharpness(small) < 0.75 * sharpness(image)  # it has no more to show than its enlargement
    assert sharpness(small) == pytest.approx(sharpness(blown_up), abs=0.05)


def test_light_and_contrast_leave_sharpness_alone() -> None:
    image = picture()
    dim = (image.astype(float) * 0.4 + 30).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(image), abs=0.02)


def test_noise_raises_noise_more_than_sharpness() -> None:
    image = picture()
    noisy = np.clip(image + np.random.default_rng(5).normal(0, 25, image.shape), 0, 255).astype(np.uint8)
    clean, worse = look_at_faces(image, whole(image)), look_at_faces(noisy, whole(image))
    assert worse.noise[0] > clean.noise[0] + 0.05
    assert worse.noise[0] - clean.noise[0] > worse.sharpness[0] - clean.sharpness[0]


def test_known_light_and_contrast() -> None:
    image = np.full((200, 100, 3), 50, np.uint8)
    image[:100] = 150
    look = look_at_faces(image, whole(image))
    assert look.size.tolist() == [200.0]
    assert look.brightness[0] == pytest.approx(100, abs=1)
    assert look.contrast[0] == pytest.approx(100, abs=2)


def test_a_plain_face_is_not_sharp() -> None:
    plain = np.full((80, 80, 3), 90, np.uint8)
    look = look_at_faces(plain, whole(plain))
    assert look.sharpness[0] == 0
    assert look.noise[0] == 0
    assert look.contrast[0] == 0


def test_boxes_beyond_the_photo_are_seen_as_far_as_they_lie_in_it() -> None:
    image = picture()
    beyond = look_at_faces(image, np.array([[-40.0, -40, 256, 256], [100, 100, 400, 260]]))
    inner = look_at_faces(image, np.array([[0.0, 0, 256, 256], [100, 100, 256, 256]]))
    np.testing.assert_allclose(beyond.sharpness, inner.sharpness)
    np.testing.assert_allclose(beyond.brightness, inner.brightness)


def test_a_box_that_hardly_moves_measures_as_it_did() -> None:
    image = picture()
    for edge in (40.0, 40.5):
        near = np.array([[edge - 1e-3, edge, 200, 220], [edge + 1e-3, edge, 200, 220]])
        look = look_at_faces(image, near)
        np.testing.assert_allclose(look.sharpness[0], look.sharpness[1], atol=1e-3)
        np.testing.assert_allclose(look.noise[0], look.noise[1], atol=2e-3)


def test_slivers_and_single_pixels_are_measured() -> None:
    image = picture()
    look = look_at_faces(image, np.array([[0.0, 0, 1, 256], [10.2, 10.2, 10.9, 10.9]]))
    assert all(np.isfinite(measure).all() for measure in look)


def test_no_faces() -> None:
    assert [measure.shape for measure in look_at_faces(picture(), np.zeros((0, 4)))] == [(0,)] * 5


@pytest.mark.parametrize("box", [[300, 300, 400, 400], [0, 0, np.nan, 5], [-20, 0, -5, 10]])
def test_boxes_outside_are_refused(box: list[float]) -> None:
    with pytest.raises(ValueError, match="face's box"):
        look_at_faces(picture(), np.array([box]))
