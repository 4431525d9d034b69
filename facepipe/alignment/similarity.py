"""Faces turned upright, scaled and moved so that eyes, nose and mouth come to lie where they lie in a mean face.

Places on a face are told in the mean face's own unit, millimetres (`pose.MEAN_FACE`): x to the image's right, y down,
the middle of its five points at the origin's height. Places in a photo are pixels, the middle of the first one at 0.5.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace: Closing the Gap to Human-Level Performance in Face Verification"
(CVPR 2014), section 2, "2D alignment"; the similarity is that of Umeyama, "Least-squares estimation of transformation
parameters between two point patterns" (PAMI 1991), equations 40 to 42, in the plane.

Departs from the paper: five points rather than six, those that detectors find: the mouth's middle is left out.
"""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from facepipe.alignment.pose import MEAN_FACE

Photo = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

ANCHORS = MEAN_FACE[:, :2]  # (5, 2) mm: where the five points come to lie
SIDE = 152.0  # mm: a face's square about the origin, from the forehead's middle to the chin
_SHRINKS_BELOW = 0.75  # pixels of the crop a pixel of the photo, under which the photo is made smaller first


class Canvas(NamedTuple):
    """A square picture of an aligned face.

    Attributes:
        size: its side, in pixels.
        grow: share of the face's square that it adds on each side.
    """

    size: int
    grow: float

    @property
    def reach(self) -> float:
        """Half of its side, in millimetres."""
        return SIDE * (0.5 + self.grow)

    @property
    def from_mm(self) -> Floats:
        """The (2, 3) matrix from millimetres to its pixels."""
        scale = self.size / (2 * self.reach)
        return np.array([[scale, 0, self.size / 2], [0, scale, self.size / 2]])


def five_points(points: Floats) -> Floats:
    """Return the five points that detectors find (`pose.MEAN_FACE`), (..., 5, D), of iBUG's 68 (..., 68, D)."""
    eyes = [points[..., start : start + 6, :].mean(axis=-2) for start in (36, 42)]
    return np.stack([*eyes, points[..., 30, :], points[..., 48, :], points[..., 54, :]], axis=-2)


def similarity(points: Floats, anchors: Floats = ANCHORS) -> Floats:
    """Return the (2, 3) matrix of the similarity that brings points nearest to anchors, in least squares.

    Args:
        points: (K, 2), not all in one place.
        anchors: (K, 2).

    Raises:
        ValueError: all points lie in one place, or are not finite.
    """
    middle, target = points.mean(axis=0), anchors.mean(axis=0)
    from_middle = points - middle
    spread = float((from_middle**2).sum())
    if not (np.isfinite(spread) and spread > 0):
        raise ValueError(f"points that lie in one place, or nowhere, can't be aligned: {points.tolist()}")
    x, y = from_middle.T
    u, v = (anchors - target).T
    cosine, sine = (x * u + y * v).sum() / spread, (x * v - y * u).sum() / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, target - turn @ middle])


def apply(matrix: Floats, points: Floats) -> Floats:
    """Return points (K, D) moved by an affine matrix (2, D + 1): (K, 2)."""
    moved: Floats = points @ matrix[:, :-1].T + matrix[:, -1]
    return moved


def inverse(matrix: Floats) -> Floats:
    """Return the affine matrix (2, 3) that takes back what another does."""
    back = np.linalg.inv(matrix[:, :2])
    return np.column_stack([back, -back @ matrix[:, 2]])


def after(second: Floats, first: Floats) -> Floats:
    """Return the affine matrix (2, 3) that does first the one, then the other."""
    return np.column_stack([second[:, :2] @ first[:, :2], apply(second, first[:, 2])])


def align(image: Photo, to_mm: Floats, canvas: Canvas) -> Photo:
    """Return an aligned face, (S, S, 3) uint8 RGB, antialiased; beyond the photo its outermost pixels are repeated.

    Args:
        image: (H, W, 3) uint8 RGB.
        to_mm: (2, 3) from the photo's pixels to millimetres, a similarity.
        canvas: what is shown.
    """
    matrix = after(canvas.from_mm, to_mm)
    corners = apply(inverse(matrix), np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * float(canvas.size))
    height, width = image.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 2, low + 1, (width, height)).astype(int)
    patch = image[low[1] : high[1], low[0] : high[0]]
    matrix = after(matrix, np.array([[1.0, 0, low[0]], [0, 1, low[1]]]))
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < _SHRINKS_BELOW:
        columns, rows = (max(1, round(side * scale)) for side in patch.shape[1::-1])
        grown = np.array([[patch.shape[1] / columns, 0, 0], [0, patch.shape[0] / rows, 0]])
        patch = cv2.resize(np.ascontiguousarray(patch), (columns, rows), interpolation=cv2.INTER_AREA)
        matrix = after(matrix, grown)
    matrix[:, 2] += 0.5 * (matrix[:, :2].sum(axis=1) - 1)  # OpenCV's pixels have their middle at whole numbers
    crop = cv2.warpAffine(
        np.ascontiguousarray(patch),
        matrix,
        (canvas.size, canvas.size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, np.uint8)
