"""Photos are changed as a condition's name says, and nowhere else."""

import numpy as np
import pytest

from facepipe.studies.detector_conditions import UPRIGHT, conditions
from facepipe.training.photos import FacesOnPhoto

FACE, SMALL = [40, 30, 90, 100], [5, 5, 15, 20]


@pytest.fixture
def photo() -> FacesOnPhoto:
    """Return a photo of noise, labelled as a face and one too small to be covered."""
    box = np.array([FACE, SMALL], np.float32)
    noise = np.random.default_rng(0).integers(0, 256, (160, 300, 3), np.uint8)
    return FacesOnPhoto(noise, box, np.full((2, 5, 2), np.nan, np.float32), box[:0])


def changed(photo: FacesOnPhoto, name: str, seed: int = 1) -> np.ndarray:
    before = photo.image.copy()
    after = conditions()[name](photo, np.random.default_rng(seed))
    assert np.array_equal(after.boxes, photo.boxes)
    assert np.array_equal(photo.image, before)
    pixels: np.ndarray = (after.image != photo.image).any(axis=2)
    return pixels


def test_upright_photos_stay_as_they_are(photo: FacesOnPhoto) -> None:
    assert conditions()[UPRIGHT](photo, np.random.default_rng(0)) is photo
    assert {"turned 15", "turned 30", "turned 45", "degraded"} <= set(conditions())


def test_a_quarter_turn_exchanges_height_and_width(photo: FacesOnPhoto) -> None:
    assert conditions()["turned 90"](photo, np.random.default_rng(0)).image.shape == (300, 160, 3)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_a_share_of_each_face_is_covered_and_as_much_background(photo: FacesOnPhoto, share: float) -> None:
    pixels = changed(photo, f"covered {share:.0%}")
    x0, y0, x1, y1 = FACE
    on_face = pixels[y0:y1, x0:x1].copy()
    assert on_face.mean() == pytest.approx(share, abs=0.05)
    assert not pixels[:20, :15].any()
    pixels[y0:y1, x0:x1] = False
    assert pixels.sum() == pytest.approx(on_face.sum(), rel=0.1)


def test_where_faces_leave_no_room_they_alone_are_covered(photo: FacesOnPhoto) -> None:
    whole = np.array([[0, 0, 300, 160]], np.float32)
    crowded = FacesOnPhoto(photo.image, whole, photo.landmarks[:1], photo.ignored)
    assert changed(crowded, "covered 40%").mean() == pytest.approx(0.4, abs=0.05)


def test_shades_hide_eyes_and_a_scarf_what_is_below(photo: FacesOnPhoto) -> None:
    for seed in range(10):
        shades, scarf = changed(photo, "shades", seed), changed(photo, "scarf", seed)
        for eye in (54, 75):
            assert shades[59, eye]
        assert not shades[:48].any()
        assert not shades[70:].any()  # of 30 to 100
        assert not scarf[:64].any()
        assert scarf[75:100, 40:90].all()
        for pixels in (shades, scarf):
            assert not pixels[:, :36].any()
            assert not pixels[:, 94:].any()
