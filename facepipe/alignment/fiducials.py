"""Where the points of a face lie: 68 found by dlib on the aligned face, or a generic face laid over five given ones.

Source: Taigman et al. 2014 (DeepFace), section 2, "2D alignment": points are found, the face is aligned by them, and
again, until they settle; Kazemi and Sullivan, "One millisecond face alignment with an ensemble of regression trees"
(CVPR 2014) is what finds them.

Departs from the paper: 68 points (iBUG's) rather than 67, by dlib rather than by support vector regressors on LBP.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from facepipe.alignment.pose import MEAN_FACE, rotation_seen
from facepipe.alignment.similarity import Canvas, after, align, apply, five_points, inverse, similarity
from facepipe.errors import WrongUsageError
from facepipe.models.face_shape import FaceShape

Photo = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

ROUNDS = 6  # at most
SETTLED = 0.5  # mm: how far the five points move at most in the last round
CANVAS = Canvas(size=304, grow=0.25)  # on which points are found: 1.3 pixels a millimetre, as wide as dlib likes
# dlib's own detector, whose boxes its points were learned with, puts them so on 243 faces of lfw-train, in millimetres:
# the middle (2.5, -0.3), the side 152 (medians). So little beside the origin is taken for none: faces are symmetric.
DLIB_MIDDLE, DLIB_SIDE = (0.0, 0.0), 152.0


class Fiducials(NamedTuple):
    """Where a face's points lie.

    Attributes:
        to_mm: (2, 3) the similarity from the photo's pixels to millimetres (`similarity.ANCHORS`).
        points: (68, 2) in millimetres.
        rounds: how often they were found before they settled.
    """

    to_mm: Floats
    points: Floats
    rounds: int


class FindsFiducials(Protocol):
    """Finds the points of a face."""

    def find(self, image: Photo, box_xyxy: Floats, landmarks: Floats | None) -> Fiducials:
        """Return where the 68 points of a face lie.

        Args:
            image: (H, W, 3) uint8 RGB.
            box_xyxy: (4,) pixels, x1 and y1 exclusive.
            landmarks: (5, 2) pixels, as in `pose.estimate_pose`; None: the detector finds none.
        """


def each_face(
    boxes_xyxy: npt.NDArray[np.floating], landmarks: npt.NDArray[np.floating] | None
) -> Iterator[tuple[Floats, Floats | None]]:
    """Yield what a detector says of each face: its box (4,), and its five points (5, 2) where there are any.

    Args:
        boxes_xyxy: (N, 4).
        landmarks: (N, 5, 2); None, or (0, 5, 2), of a detector that finds none. Points that all lie in one place are
            none.
    """
    for number, box in enumerate(np.asarray(boxes_xyxy, np.float64)):
        points = None if landmarks is None or not len(landmarks) else np.asarray(landmarks[number], np.float64)
        yield box, None if points is None or not np.ptp(points, axis=0).any() else points


def start_from(box_xyxy: Floats, landmarks: Floats | None) -> Floats:
    """Return the similarity (2, 3) to millimetres that a detector's five points tell, or its box alone."""
    if landmarks is not None:
        return similarity(landmarks)
    x0, y0, x1, y1 = box_xyxy.tolist()
    middle, scale = np.array([x0 + x1, y0 + y1]) / 2, DLIB_SIDE / max(y1 - y0, x1 - x0)
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]]])


class DetectorPoints:
    """Takes the detector's five points, and lays the generic shape over them for the others.

    Its pose is the one by which the shape's five points come nearest to those given, seen from afar (`pose`).
    """

    def __init__(self, shape: FaceShape) -> None:
        self._five = five_points(shape.points)
        self._shape = shape.points

    def find(self, image: Photo, box_xyxy: Floats, landmarks: Floats | None) -> Fiducials:
        """See `FindsFiducials`; without landmarks the face looks straight at the camera."""
        to_mm = start_from(box_xyxy, landmarks)
        given = MEAN_FACE[:, :2] if landmarks is None else apply(to_mm, landmarks)
        camera = scaled_orthography(self._five, given)
        return Fiducials(to_mm, apply(camera, self._shape), 0)


def scaled_orthography(points: Floats, seen: Floats) -> Floats:
    """Return the camera (2, 4), a scaled rotation, that sees points (K, 3) nearest to (K, 2) (`rotation_seen`)."""
    middle = points.mean(axis=0)
    (rotation,), (scale,) = rotation_seen(seen[None], np.linalg.pinv((points - middle).T))
    rows = scale * rotation
    return np.column_stack([rows, seen.mean(axis=0) - rows @ middle])


class DlibPoints:
    """Finds 68 points by dlib's shape predictor, in rounds: on the face as the round before has aligned it."""

    def __init__(self, weights: Path) -> None:
        """Load the predictor.

        Args:
            weights: dlib's file, whose SHA-256 was checked.

        Raises:
            WrongUsageError: dlib isn't installed.
        """
        try:
            import dlib
        except ImportError as error:
            raise WrongUsageError(
                "finding 68 points takes dlib, which is not installed here: `pip install -c constraints.txt dlib-bin`, "
                "or choose embed.fiducials=detector"
            ) from error
        self._predict: Any = dlib.shape_predictor(str(weights))
        to_canvas = CANVAS.from_mm
        low, high = (apply(to_canvas, np.array(DLIB_MIDDLE) + side * DLIB_SIDE / 2) for side in (-1, 1))
        self._rectangle = dlib.rectangle(*np.rint([*low, *(high - 1)]).astype(int).tolist())
        self._from_canvas = inverse(to_canvas)

    def find(self, image: Photo, box_xyxy: Floats, landmarks: Floats | None) -> Fiducials:
        """See `FindsFiducials`."""
        to_mm = start_from(box_xyxy, landmarks)
        for rounds in range(1, ROUNDS + 1):  # noqa: B007 - how many there were is told
            points = self._points(align(image, to_mm, CANVAS))  # (68, 2) mm
            step = similarity(five_points(points))
            moved = apply(step, points)
            to_mm, settled = after(step, to_mm), np.abs(five_points(moved - points)).max() < SETTLED
            if settled:
                break
        return Fiducials(to_mm, moved, rounds)

    def _points(self, picture: Photo) -> Floats:
        parts = self._predict(picture, self._rectangle).parts()
        pixels = np.array([(part.x + 0.5, part.y + 0.5) for part in parts])  # a pixel's middle
        return apply(self._from_canvas, pixels)
