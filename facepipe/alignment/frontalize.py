"""A face turned in space so that it looks at the camera.

A generic shape is seen through the affine camera that fits the face's points best; the face's own points then say where
each triangle of the shape lies in the photo, and each is drawn where it lies on a face seen from the front. Triangles
that the camera doesn't see are taken from the other half of the face.

Source: Taigman et al. 2014 (DeepFace), section 2, "3D alignment" and "Frontalization".

Departs from the paper: 68 points, with a forehead and a frame around them so that the whole picture is covered; the
generic shape is computed from photos (`factorization`) rather than averaged from scans.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from facepipe.alignment.fiducials import Fiducials
from facepipe.alignment.similarity import Canvas, align, apply
from facepipe.models.face_shape import POINTS, FaceShape

Photo = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BROWS = (17, 19, 21, 22, 24, 26)  # of the 68 points: above each lies one of the forehead
FOREHEAD = np.array([0.0, -40.0, 12.0])  # mm, from a brow's point to the forehead's
# Share of its size, seen from the front, that a triangle must keep in the photo: below the first it counts as unseen,
# from the second on as seen.
UNSEEN, SEEN = 0.15, 0.45
BLEND = 6.0  # mm: how softly seen and mirrored parts go over into each other
_SOURCE = 1.25  # pixels of the aligned face a pixel of the frontal one: it is resampled twice
_SOURCE_MARGIN = 0.25  # share of the face's square that the aligned face shows around the frontal one
_SUBPIXEL_BITS = 4
_NONE = -1  # of triangles


class Frontalized(NamedTuple):
    """A frontal face and how it came about; lengths are millimetres, as in `similarity`.

    Attributes:
        picture: (S, S, 3) uint8 RGB.
        moved: likewise, before what is unseen was taken from the other half.
        camera: (2, 4) the affine camera that sees the generic shape as the face.
        sources: (V, 2) where the vertices lie in the aligned photo.
        targets: (V, 2) where they are drawn.
        seen: (T,) how far each triangle is seen, 0 to 1.
    """

    picture: Photo
    moved: Photo
    camera: Floats
    sources: Floats
    targets: Floats
    seen: Floats


def _camera_solver(shape: FaceShape) -> Floats:
    """Return the (8, 136) matrix that makes an affine camera's numbers of a face's points x0, y0, x1, y1, … in mm.

    Generalised least squares: errors weigh as their covariance tells, by its Cholesky factor ("3D alignment").
    """
    known = np.zeros((2 * POINTS, 8))  # points, x and y in turn, are known @ camera's eight numbers
    known[0::2, :3], known[0::2, 3] = shape.points, 1
    known[1::2, 4:7], known[1::2, 7] = shape.points, 1
    factor = np.linalg.cholesky(shape.covariance)
    whiten = solve_triangular(factor, np.eye(2 * POINTS), lower=True)
    solver: Floats = np.linalg.pinv(whiten @ known) @ whiten
    return solver


@dataclass(frozen=True)
class Frontalizer:
    """Draws faces as seen from the front.

    Attributes:
        shape: the generic one.
        canvas: of the pictures.
    """

    shape: FaceShape
    canvas: Canvas

    @cached_property
    def vertices(self) -> Floats:
        """The (V, 3) mm of the 68 points, the forehead's, and those of a frame around the picture."""
        forehead = self.shape.points[list(BROWS)] + FOREHEAD
        reach = self.canvas.reach * 1.02  # a little outside, so that no pixel is left over
        sides = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y]) * reach
        depth = np.full(len(sides), self.shape.points[:17, 2].mean())  # as deep as the jaw
        return np.concatenate([self.shape.points, forehead, np.column_stack([sides, depth])])

    @cached_property
    def triangles(self) -> Ints:
        """The (T, 3) vertices of each triangle, turned one way, by Delaunay's rule on the face seen from the front."""
        flat = self.vertices[:, :2]
        corners: Ints = Delaunay(flat).simplices.astype(np.int64)
        turned = _areas(flat, corners) < 0
        corners[turned] = corners[turned][:, ::-1]
        return corners

    @cached_property
    def _solver(self) -> Floats:
        return _camera_solver(self.shape)

    @cached_property
    def _is_face(self) -> npt.NDArray[np.bool_]:
        """Which triangles (T,) are of the face rather than between it and the frame."""
        return np.asarray((self.triangles < POINTS + len(BROWS)).all(axis=1))

    @cached_property
    def _face_last(self) -> Ints:
        """All triangles in an order in which the face's lie over those around it."""
        return np.argsort(self._is_face, kind="stable")

    def camera(self, points: Floats) -> Floats:
        """Return the affine camera (2, 4) that sees the generic shape's points where a face's points (68, 2) mm lie."""
        camera: Floats = (self._solver @ points.reshape(-1)).reshape(2, 4)
        return camera

    def frontalize(self, image: Photo, fiducials: Fiducials) -> Frontalized:
        """Return a face as seen from the front.

        Args:
            image: (H, W, 3) uint8 RGB.
            fiducials: the face's points.
        """
        camera = self.camera(fiducials.points)
        sources = apply(camera, self.vertices)
        errors = fiducials.points - sources[:POINTS]
        own = np.concatenate([errors, errors[list(BROWS)]])  # what is this face's own shape, and stays
        sources[: len(own)] += own
        targets = self.vertices[:, :2].copy()
        targets[: len(own)] += own
        seen = self._seen(camera)
        numbers = self._triangle_of_each_pixel(targets, self._face_last)  # (S, S)
        wide = Canvas(
            round(self.canvas.size * _SOURCE * (1 + 2 * _SOURCE_MARGIN / (1 + 2 * self.canvas.grow))),
            self.canvas.grow + _SOURCE_MARGIN,
        )
        moved = self._draw(align(image, fiducials.to_mm, wide), wide, sources, targets, numbers)
        weights = cv2.GaussianBlur(seen[numbers].astype(np.float32), (0, 0), BLEND * self.canvas.from_mm[0, 0])
        other = weights[:, ::-1]
        share = (weights + (1 - weights) * (1 - other))[..., None]  # of the pixel itself: all, where both are unseen
        mixed = share * moved + (1 - share) * moved[:, ::-1]
        return Frontalized(np.rint(mixed).astype(np.uint8), moved, camera, sources, targets, seen)

    def view(self, frontal: Frontalized, yaw: float) -> Photo:
        """Return a frontal face as it looks when turned, (S, S, 3) uint8 RGB, with white around it (figure 1 (h)).

        Args:
            frontal: made by this frontalizer.
            yaw: degrees by which it looks to the image's right, less than 90 either way.
        """
        solid = np.column_stack([frontal.targets, self.vertices[:, 2]])
        middle = self.shape.points.mean(axis=0)
        turned = (solid - middle) @ Rotation.from_euler("y", -yaw, degrees=True).as_matrix().T + middle
        nearest_last = np.argsort(-turned[self.triangles, 2].mean(axis=1), kind="stable")
        faces_camera = self._is_face & (_areas(turned[:, :2], self.triangles) > 0)
        numbers = self._triangle_of_each_pixel(turned[:, :2], nearest_last[faces_camera[nearest_last]])
        drawn = self._draw(frontal.picture, self.canvas, frontal.targets, turned[:, :2], numbers)
        drawn[numbers == _NONE] = 255
        return drawn

    def _seen(self, camera: Floats) -> Floats:
        """Return how far each triangle is seen, (T,): by how much smaller the camera makes it.

        The generic shape decides: a mouth that is shut is seen, however small it is.
        """
        scale = np.linalg.norm(np.cross(camera[0, :3], camera[1, :3]))  # of areas: the shape turned, not stretched
        kept = _areas(apply(camera, self.vertices), self.triangles)
        kept /= scale * _areas(self.vertices[:, :2], self.triangles)
        seen: Floats = np.clip((kept - UNSEEN) / (SEEN - UNSEEN), 0, 1)
        return np.where(self._is_face, seen, 1.0)

    def _triangle_of_each_pixel(self, places: Floats, order: Ints) -> Ints:
        """Return (S, S) in which triangle each pixel lies, the last one in the order that covers it, or _NONE.

        Args:
            places: (V, 2) mm of the vertices.
            order: the triangles that are drawn, (K,).
        """
        numbers = np.full((self.canvas.size, self.canvas.size), _NONE, np.int32)
        corners = apply(self.canvas.from_mm, places)[self.triangles] - 0.5  # (T, 3, 2), a pixel's middle at 0
        fixed = np.rint(corners * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        for number in order.tolist():
            cv2.fillConvexPoly(numbers, fixed[number], number, shift=_SUBPIXEL_BITS)
        return numbers.astype(np.int64)

    def _draw(self, source: Photo, canvas: Canvas, sources: Floats, targets: Floats, numbers: Ints) -> Photo:
        """Return the picture (S, S, 3), each triangle moved by the affine map of its corners.

        Args:
            source: an aligned face.
            canvas: it lies on.
            sources: (V, 2) mm where the vertices lie in it.
            targets: (V, 2) mm where they are drawn.
            numbers: (S, S) the triangle of each pixel.
        """
        maps = _affine_maps(apply(self.canvas.from_mm, targets), apply(canvas.from_mm, sources), self.triangles)
        middles = np.arange(self.canvas.size) + 0.5
        x, y = np.meshgrid(middles, middles)
        of_each = maps[numbers]  # (S, S, 2, 3)
        places = of_each[..., 0] * x[..., None] + of_each[..., 1] * y[..., None] + of_each[..., 2] - 0.5
        drawn = cv2.remap(
            source, places.astype(np.float32), None, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(drawn, np.uint8)


def _areas(points: Floats, triangles: Ints) -> Floats:
    """Return the signed areas (T,) of triangles (T, 3) of points (V, 2)."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    areas: Floats = (ux * vy - uy * vx) / 2
    return areas


def _affine_maps(from_points: Floats, to_points: Floats, triangles: Ints) -> Floats:
    """Return (T, 2, 3), the affine map of each triangle; where it has no area, one that takes all to one corner."""
    known = np.concatenate([from_points[triangles], np.ones((len(triangles), 3, 1))], axis=2)  # (T, 3, 3)
    maps: Floats = (np.linalg.pinv(known) @ to_points[triangles]).transpose(0, 2, 1)
    return maps
