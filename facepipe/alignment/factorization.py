"""The shape of faces in space, from where their points lie on many photos.

Source: Tomasi and Kanade, "Shape and motion from image streams under orthography: a factorization method" (IJCV 1992),
sections 3.1 to 3.4, for cameras that also scale, as Poelman and Kanade have it ("A paraperspective factorization method
for shape and motion recovery", PAMI 1997, section 2.2).

Departs from the papers: the views are of different people, whose own shapes count as noise.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.alignment.pose import MEAN_FACE
from facepipe.alignment.similarity import five_points
from facepipe.errors import FacepipeError
from facepipe.models.face_shape import FaceShape

Floats = npt.NDArray[np.float64]

# iBUG's 68 points, seen in a mirror.
MIRRORED = np.array(
    [
        *(*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1)),  # jaw, brows, nose
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
        *(*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1)),  # mouth
    ]
)
LEAST_FACES = 20
NOISE_FLOOR = 0.05  # of the mean variance, added to each: an affine camera explains eight directions away


class Factorized(NamedTuple):
    """What many views of one shape come to.

    Attributes:
        cameras: (F, 2, 3) how each view sees the shape, a scaled orthography.
        shape: (K, 3), its middle at the origin; up to a rotation and a reflection in depth.
    """

    cameras: Floats
    shape: Floats


def factorize(views: Floats) -> Factorized:
    """Return the shape and the cameras that come nearest to views, in least squares.

    Args:
        views: (F, K, 2) where K points lie in each of F views.

    Raises:
        FacepipeError: the views don't tell the depth: there are too few, or all look from one side.
    """
    centred = views - views.mean(axis=1, keepdims=True)
    centred = centred / np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True))
    measured = centred.transpose(0, 2, 1).reshape(-1, views.shape[1])  # (2F, K)
    left, strengths, right = np.linalg.svd(measured, full_matrices=False)
    motion = (left[:, :3] * np.sqrt(strengths[:3])).reshape(-1, 2, 3)
    shape = (np.sqrt(strengths[:3])[:, None] * right[:3]).T  # (K, 3)
    metric = _metric(motion)
    values, vectors = np.linalg.eigh(metric)
    if strengths[2] <= 1e-6 * strengths[0] or values[0] <= 1e-9 * values[-1]:
        raise FacepipeError(
            "the faces' points don't tell how deep a face is: more photos from several sides are needed"
        )
    upgrade = vectors * np.sqrt(values)  # metric = upgrade @ upgrade.T
    return Factorized(motion @ upgrade, shape @ np.linalg.inv(upgrade).T)


def _metric(motion: Floats) -> Floats:
    """Return the symmetric (3, 3) Q by which both rows of each camera are equally long and square to each other.

    Both are linear in Q, and homogeneous: Q is the singular vector of the least singular value.
    """
    first, second = motion[:, 0], motion[:, 1]  # (F, 3) each
    equations = np.concatenate([_products(first, first) - _products(second, second), _products(first, second)])
    a, b, c, d, e, f = np.linalg.svd(equations, full_matrices=False)[2][-1]
    metric = np.array([[a, b, c], [b, d, e], [c, e, f]])
    return metric if np.trace(metric) > 0 else -metric


def _products(u: Floats, v: Floats) -> Floats:
    """Return (F, 6) by which the six numbers of Q are multiplied in u Q v."""
    return np.stack(
        [
            u[:, 0] * v[:, 0],
            u[:, 0] * v[:, 1] + u[:, 1] * v[:, 0],
            u[:, 0] * v[:, 2] + u[:, 2] * v[:, 0],
            u[:, 1] * v[:, 1],
            u[:, 1] * v[:, 2] + u[:, 2] * v[:, 1],
            u[:, 2] * v[:, 2],
        ],
        axis=1,
    )


def shape_of_faces(points: Floats) -> FaceShape:
    """Return the generic shape of faces, laid into the frame of `pose.MEAN_FACE`, the same on both sides.

    Args:
        points: (F, 68, 2) where the points lie on photos, in pixels.

    Raises:
        FacepipeError: there are too few faces, or all look one way.
    """
    if len(points) < LEAST_FACES:
        raise FacepipeError(f"a face shape takes at least {LEAST_FACES} faces, and {len(points)} were found")
    views = np.concatenate([points, points[:, MIRRORED] * [-1, 1]])
    shape = factorize(views).shape
    candidates = [_laid_on_mean_face(shape * [1, 1, side]) for side in (1, -1)]
    laid = min(candidates, key=lambda candidate: float(((five_points(candidate) - MEAN_FACE) ** 2).sum()))
    laid = (laid + laid[MIRRORED] * [-1, 1, 1]) / 2
    return FaceShape(laid, _covariance(views, laid))


def _laid_on_mean_face(shape: Floats) -> Floats:
    """Return a shape turned, scaled and moved so that its five points lie nearest to the mean face's (Umeyama 1991)."""
    five = five_points(shape)
    middle, target = five.mean(axis=0), MEAN_FACE.mean(axis=0)
    left, strengths, right = np.linalg.svd((MEAN_FACE - target).T @ (five - middle))
    signs = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    turn = (left * signs) @ right
    scale = (strengths * signs).sum() / ((five - middle) ** 2).sum()
    laid: Floats = scale * (shape - middle) @ turn.T + target
    return laid


def _covariance(views: Floats, shape: Floats) -> Floats:
    """Return how the points of views lie off what the best affine camera of each makes of the shape, in mm²."""
    known = np.column_stack([shape, np.ones(len(shape))])  # (K, 4)
    cameras = np.linalg.pinv(known) @ views  # (F, 4, 2)
    scales = np.sqrt((cameras[:, :3] ** 2).sum(axis=(1, 2)) / 2)  # pixels a millimetre
    errors = ((views - known @ cameras) / scales[:, None, None]).reshape(len(views), -1)  # (F, 2K)
    covariance = errors.T @ errors / len(errors)
    floor = NOISE_FLOOR * float(np.trace(covariance)) / len(covariance)
    smoothed: Floats = covariance + floor * np.eye(len(covariance))
    return smoothed
