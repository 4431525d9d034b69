"""Where faces look, from their five landmarks."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# The mean face behind the detector's five landmarks: x to the image's right, y down, z away from the camera, in a
# unit in which the eyes are 62 apart (millimetres, for an adult). Found by rigid factorisation (Tomasi and Kanade,
# "Shape and motion from image streams under orthography", IJCV 1992, section 3) of the landmarks on 795 photos of
# lfw-train and their mirror images; turned so that the mean face of these photos looks straight at the camera.
MEAN_FACE = np.array(
    [
        [-31.0, -33.8, 1.9],  # image-left eye
        [31.0, -33.8, 1.9],
        [0.0, 1.9, -27.3],  # tip of the nose
        [-27.5, 32.8, 11.7],  # image-left mouth corner
        [27.5, 32.8, 11.7],
    ]
)
_TO_VIEW = np.linalg.pinv((MEAN_FACE - MEAN_FACE.mean(axis=0)).T)  # (5, 3)

FACE_REACH = 1.3  # half the side of a face's square, in distances of its eyes (or of eyes and mouth, if longer)


class Pose(NamedTuple):
    """Angles of N faces in degrees, each (N,) float64. All are 0 for a face that looks at the camera, head upright.

    Attributes:
        yaw: -90 to 90; positive when the face looks towards the image's right.
        pitch: -180 to 180; positive when it looks up.
        roll: -180 to 180, of the line through the eyes; positive when the head is turned clockwise, as seen.
    """

    yaw: Floats
    pitch: Floats
    roll: Floats


def estimate_pose(landmarks: npt.NDArray[np.floating]) -> Pose:
    """Return how faces are turned: the rotation that lays the mean face over their landmarks, seen from afar.

    The view is a scaled orthographic one (`rotation_seen`). Angles are those of R = Rz(roll) Ry(yaw) Rx(pitch): the
    head nods, then turns, then tilts.

    Args:
        landmarks: (N, 5, 2) x, y in pixels: image-left eye, image-right eye, nose, image-left and -right mouth corner.
            Where all five lie in one point, the angles mean nothing.
    """
    points = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    rows, _ = rotation_seen(points, _TO_VIEW)
    first, second = np.moveaxis(rows, 1, 0)  # (N, 3) each: the rotation's upper rows
    third = np.cross(first, second)
    # With z away from the camera, a face turned towards the image's right, or up, has a negative angle about y, or x.
    yaw = np.arcsin(np.clip(third[:, 0], -1, 1))
    pitch = -np.arctan2(third[:, 1], third[:, 2])
    roll = np.arctan2(second[:, 0], first[:, 0])
    return Pose(*np.degrees([yaw, pitch, roll]))


def rotation_seen(points: Floats, to_view: Floats) -> tuple[Floats, Floats]:
    """Return the two upper rows of the rotations (N, 2, 3), and the scales (N,), by which a shape is seen from afar.

    Its 2 x 3 matrix follows by linear least squares, as POS does in DeMenthon and Davis, "Model-based object pose in 25
    lines of code" (IJCV 1995), section 3; the nearest two rows of a rotation follow by singular values.

    Departs from the paper: no iteration towards full perspective, which needs the camera's focal length.

    Args:
        points: (N, K, 2) where the shape's points are seen.
        to_view: (K, 3), the pseudoinverse of the shape (3, K) about its middle.
    """
    centred = points - points.mean(axis=1, keepdims=True)
    left, strengths, right = np.linalg.svd(centred.transpose(0, 2, 1) @ to_view, full_matrices=False)
    return left @ right, strengths.mean(axis=1)


def share_inside(landmarks: npt.NDArray[np.floating], width: float, height: float) -> Floats:
    """Return which share of each face lies within a photo, (N,) float64, 0 to 1: less than 1 where an edge cuts it.

    A face counts as the square about the middle between eyes and mouth that reaches `FACE_REACH` times the distance
    of the eyes, or that of eyes and mouth if longer (so that a face in profile keeps its size).

    Args:
        landmarks: (N, 5, 2) as in `estimate_pose`, perhaps past the photo's edge.
        width: of the photo, in the landmarks' unit.
        height: likewise.
    """
    points = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    eyes, mouth = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1)
    distance = np.maximum(np.hypot(*(points[:, 1] - points[:, 0]).T), np.hypot(*(mouth - eyes).T))
    reach = np.maximum(FACE_REACH * distance, 1e-6)[:, None]
    centre = (eyes + mouth) / 2
    seen = np.minimum(centre + reach, (width, height)) - np.maximum(centre - reach, 0)
    share: Floats = np.prod(np.clip(seen / (2 * reach), 0, 1), axis=1)
    return share
