"""How a face is aligned, step by step, as figure 1 of the DeepFace paper shows it (Taigman et al. 2014)."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from facepipe.alignment.aligning import ALIGNED_GROW
from facepipe.alignment.fiducials import Fiducials, FindsFiducials
from facepipe.alignment.frontalize import Frontalized, Frontalizer
from facepipe.alignment.similarity import Canvas, align, apply, inverse
from facepipe.imaging.steps_picture import PANEL_WIDTH, Step
from facepipe.models.face_shape import POINTS

Photo = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

CANVAS = Canvas(PANEL_WIDTH, ALIGNED_GROW)
AROUND = 0.6  # of a face's longer side, shown on each side of it
VIEW = 40  # degrees
SEEN, UNSEEN, PAPER = (96, 230, 96), (240, 80, 80), (245, 245, 245)


class AlignedFace(NamedTuple):
    """A face and how it was aligned.

    Attributes:
        fiducials: its points.
        points: (68, 2) the same, in pixels of the photo.
        frontal: turned to the front, as large as a panel.
        steps: to be drawn.
    """

    fiducials: Fiducials
    points: Floats
    frontal: Frontalized
    steps: list[Step]


def explain_alignment(
    image: Photo, box_xyxy: Floats, landmarks: Floats | None, finder: FindsFiducials, frontalizer: Frontalizer
) -> AlignedFace:
    """Return how a face comes to look at the camera.

    Args:
        image: (H, W, 3) uint8 RGB.
        box_xyxy: (4,) pixels, x1 and y1 exclusive.
        landmarks: (5, 2) pixels, as in `pose.estimate_pose`; None: the detector finds none.
        finder: finds the face's points.
        frontalizer: onto CANVAS.
    """
    found = finder.find(image, box_xyxy, landmarks)
    frontal = frontalizer.frontalize(image, found)
    points = apply(inverse(found.to_mm), found.points)
    aligned = align(image, found.to_mm, CANVAS)
    in_panel = apply(CANVAS.from_mm, found.points)
    paper = np.full_like(aligned, PAPER)
    generic = apply(frontal.camera, frontalizer.vertices)
    rounds = f", found in {found.rounds} rounds" if found.rounds else ""
    steps = [
        _around(image, box_xyxy, points),
        Step(f"aligned in the plane{rounds}", aligned, points=in_panel.astype(np.float32)),
        Step("its points, and the triangles between them", _mesh(aligned, frontal.sources, frontalizer, frontal.seen)),
        Step("the generic shape, through the face's camera", _mesh(paper, generic, frontalizer, frontal.seen)),
        Step(
            f"how far triangles are seen: {frontal.seen.mean():.0%}", _shaded(paper, generic, frontalizer, frontal.seen)
        ),
        Step("where the triangles go", _mesh(paper, frontal.targets, frontalizer, frontal.seen)),
        Step("each triangle moved there", frontal.moved),
        Step("unseen ones taken from the other half", frontal.picture),
        Step(f"a new view, {VIEW} degrees to the side", frontalizer.view(frontal, VIEW)),
    ]
    return AlignedFace(found, points, frontal, steps)


def _around(image: Photo, box: Floats, points: Floats) -> Step:
    """Return the face as the photo shows it, with what is around it."""
    reach = (0.5 + AROUND) * max(box[2] - box[0], box[3] - box[1])
    middle = (box[:2] + box[2:]) / 2
    low = np.maximum(np.floor(middle - reach), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach), image.shape[1::-1]).astype(int)
    picture = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    boxes = (box.reshape(2, 2) - low).reshape(1, 4)
    return Step("the face, as it was found", picture, boxes.astype(np.float32), (points - low).astype(np.float32))


def _corners(vertices: Floats, frontalizer: Frontalizer) -> npt.NDArray[np.int32]:
    """Return the corners (T, 3, 2) in whole pixels of a panel of the triangles between a face's 68 points."""
    places = apply(CANVAS.from_mm, vertices)[frontalizer.triangles[_inner(frontalizer)]]
    return np.rint(places).astype(np.int32)


def _inner(frontalizer: Frontalizer) -> npt.NDArray[np.bool_]:
    return np.asarray((frontalizer.triangles < POINTS).all(axis=1))


def _mesh(picture: Photo, vertices: Floats, frontalizer: Frontalizer, seen: Floats) -> Photo:
    drawn = picture.copy()
    for corners, share in zip(_corners(vertices, frontalizer), seen[_inner(frontalizer)], strict=True):
        cv2.polylines(drawn, [corners], isClosed=True, color=SEEN if share > 0.5 else UNSEEN, lineType=cv2.LINE_AA)
    return drawn


def _shaded(picture: Photo, vertices: Floats, frontalizer: Frontalizer, seen: Floats) -> Photo:
    drawn = picture.copy()
    for corners, share in zip(_corners(vertices, frontalizer), seen[_inner(frontalizer)].tolist(), strict=True):
        cv2.fillConvexPoly(drawn, corners, color=[round(40 + 200 * share)] * 3, lineType=cv2.LINE_AA)
    return drawn
