"""Aligning in the plane: similarities against Umeyama's equations and known turns, crops against known pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facepipe.alignment.similarity import (
    ANCHORS,
    Canvas,
    after,
    align,
    apply,
    five_points,
    inverse,
    similarity,
)


def umeyama(points: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The similarity by Umeyama's equations 40 to 42, with a singular value decomposition."""
    middle, target = points.mean(axis=0), anchors.mean(axis=0)
    covariance = (anchors - target).T @ (points - middle) / len(points)
    left, strengths, right = np.linalg.svd(covariance)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = left @ np.diag(signs) @ right
    scale = (strengths * signs).sum() / ((points - middle) ** 2).sum(axis=1).mean()
    return np.column_stack([scale * turn, target - scale * turn @ middle])


@given(st.integers(0, 2**32 - 1))
def test_it_is_umeyamas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, anchors = rng.normal(size=(2, 5, 2)) * [[[30.0]], [[2.0]]]
    np.testing.assert_allclose(similarity(points, anchors), umeyama(points, anchors), atol=1e-9)


@given(st.floats(-3, 3), st.floats(0.1, 9), st.floats(-200, 200), st.floats(-200, 200))
def test_a_turned_face_is_turned_back(angle: float, scale: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([turn, [x, y]])
    found = similarity(apply(matrix, ANCHORS))
    np.testing.assert_allclose(after(found, matrix), np.eye(2, 3), atol=1e-9)
    np.testing.assert_allclose(inverse(found), matrix, atol=1e-6)


def test_points_in_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="one place"):
        similarity(np.ones((5, 2)))
    with pytest.raises(ValueError, match="nowhere"):
        similarity(np.full((5, 2), np.nan))


def test_five_of_68_points() -> None:
    points = np.arange(136.0).reshape(68, 2)
    np.testing.assert_array_equal(five_points(points)[0], points[36:42].mean(axis=0))
    np.testing.assert_array_equal(five_points(points)[2:], points[[30, 48, 54]])
    assert five_points(np.zeros((7, 68, 3))).shape == (7, 5, 3)


@pytest.mark.parametrize("pixels_a_mm", [0.5, 1.0, 4.0])
def test_a_crop_shows_what_lies_there(pixels_a_mm: float) -> None:
    """A photo whose colours tell the place: red its column, green its row, in millimetres."""
    side = round(400 * pixels_a_mm)
    places = ((np.arange(side) + 0.5) / pixels_a_mm) * (255 / 400)
    image = np.zeros((side, side, 3), np.uint8)
    image[..., 0], image[..., 1] = np.rint(places)[None, :], np.rint(places)[:, None]
    to_mm = np.array([[1 / pixels_a_mm, 0, -200], [0, 1 / pixels_a_mm, -200]])
    canvas = Canvas(64, 0.1)
    crop = align(image, to_mm, canvas).astype(float)
    expected = ((np.arange(64) + 0.5) / 64 * 2 * canvas.reach - canvas.reach + 200) * (255 / 400)
    assert np.abs(crop[..., 0] - expected[None, :]).max() <= 1
    assert np.abs(crop[..., 1] - expected[:, None]).max() <= 1


def test_beyond_the_photo_its_outermost_pixels_are_repeated() -> None:
    image = np.full((10, 10, 3), 77, np.uint8)
    far = np.array([[1.0, 0, 5000], [0, 1, -5000]])
    assert (align(image, far, Canvas(16, 0.0)) == 77).all()
