"""The shape of faces is recovered from made views of it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facepipe.alignment.factorization import MIRRORED, factorize, shape_of_faces
from facepipe.alignment.pose import MEAN_FACE
from facepipe.alignment.similarity import five_points
from facepipe.errors import FacepipeError
from facepipe.models.face_shape import shipped_shape


def seen_from(shape: np.ndarray, count: int, degrees: float, seed: int = 0, noise: float = 0.0) -> np.ndarray:
    """Views of a shape by cameras that are turned, scaled and moved at random: (F, K, 2)."""
    rng = np.random.default_rng(seed)
    turns = Rotation.from_euler("yxz", rng.uniform(-degrees, degrees, (count, 3)) * [1, 0.5, 0.5], degrees=True)
    views = np.stack([turn.apply(shape)[:, :2] for turn in turns])
    views = views * rng.uniform(0.5, 3, (count, 1, 1)) + rng.uniform(-500, 500, (count, 1, 2))
    return views + rng.normal(size=views.shape) * noise


def distance(shape: np.ndarray, other: np.ndarray) -> float:
    """How far two shapes lie apart once one is laid over the other, mirrored in depth or not (root mean square)."""
    a, b = shape - shape.mean(axis=0), other - other.mean(axis=0)
    left, strengths, right = np.linalg.svd(b.T @ a)
    return float(np.sqrt(((a * strengths.sum() / (a**2).sum() @ (left @ right).T - b) ** 2).mean()))


@pytest.mark.parametrize("seed", range(5))
def test_views_of_one_shape_tell_it_exactly(seed: int) -> None:
    shape = np.random.default_rng([seed, 1]).normal(size=(20, 3)) * 30
    found = factorize(seen_from(shape, 12, 40, seed))
    assert distance(found.shape, shape) < 1e-6
    lengths = np.linalg.norm(found.cameras, axis=2)
    np.testing.assert_allclose(lengths[:, 0], lengths[:, 1])
    np.testing.assert_allclose((found.cameras[:, 0] * found.cameras[:, 1]).sum(axis=1), 0, atol=1e-9)


def test_views_from_one_side_do_not_tell_depth() -> None:
    shape = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(FacepipeError, match="several sides"):
        factorize(seen_from(shape, 12, 0))


def test_a_face_is_found_again_in_noisy_views() -> None:
    known = shipped_shape().points
    found = shape_of_faces(seen_from(known, 300, 40, noise=1.5))
    assert np.sqrt(((found.points - known) ** 2).mean()) < 2  # mm
    np.testing.assert_allclose(found.points, found.points[MIRRORED] * [-1, 1, 1])
    assert (np.linalg.eigvalsh(found.covariance) > 0).all()


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(FacepipeError, match="at least 20 faces, and 3 were found"):
        shape_of_faces(seen_from(shipped_shape().points, 3, 30))


def test_the_shape_that_ships_is_a_face() -> None:
    points = shipped_shape().points
    assert np.abs(five_points(points) - MEAN_FACE).max() < 12  # mm
    assert points[30, 2] < points[[36, 45, 48, 54], 2].min() - 20  # the nose sticks out
    assert points[[0, 16], 2].min() > points[[36, 45], 2].max() + 30  # the ears lie behind the eyes
    np.testing.assert_allclose(points, points[MIRRORED] * [-1, 1, 1], atol=1e-3)
