import numpy as np
import pytest

from facepipe.detectors.hog.levels import MOST_ENLARGED, photo_levels
from tests.unit.detectors.hog.one_face import CELL, SIDE, one_face_model, photo


def test_windows_cover_the_photo_from_the_least_face_on() -> None:
    model = one_face_model()
    image = photo(90, 70)
    levels = list(photo_levels(image, model, min_face=20, factor=0.8))
    for step, level in enumerate(levels):
        face = model.face_height * level.pixel[1]
        assert face == pytest.approx(20 / 0.8**step, rel=0.05)
        last = np.array([[level.words.shape[0] - model.blocks], [level.words.shape[1] - model.blocks]])
        first, final = level.windows(np.array([0, last[0, 0]]), np.array([0, last[1, 0]]))
        assert first.tolist() == pytest.approx(
            [-level.frame * level.pixel[0]] * 2 + [SIDE * level.pixel[0] - level.frame * level.pixel[0]] * 2, rel=0.1
        )
        reach = level.frame - CELL  # what fills no cell is left out
        assert final[2] >= 90 + reach * level.pixel[0]
        assert final[3] >= 70 + reach * level.pixel[1]
        assert level.frame * level.pixel[1] >= (SIDE * level.pixel[1] - face) / 2 - 1e-3
    assert model.face_height * levels[-1].pixel[1] <= 70


def test_a_photo_is_enlarged_so_far_and_no_farther() -> None:
    model = one_face_model()
    first = next(photo_levels(photo(90, 70), model, min_face=1, factor=0.8))
    assert first.pixel == pytest.approx((1 / MOST_ENLARGED, 1 / MOST_ENLARGED))


@pytest.mark.parametrize("size", [(19, 300), (300, 19), (1, 10_000)])
def test_a_photo_smaller_than_the_least_face_has_no_levels(size: tuple[int, int]) -> None:
    assert not list(photo_levels(photo(*size), one_face_model(), min_face=20, factor=0.8))
