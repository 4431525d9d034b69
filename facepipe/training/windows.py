"""Square windows on labelled photos, and what a detector should say of each: a face or not, its edges, its landmarks.

Source: Zhang, Zhang, Li and Qiao 2016 (MTCNN), section III.A: windows of an overlap (IoU) below 0.3 with every face are
negatives, from 0.4 to 0.65 part faces, above 0.65 positives.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facepipe.imaging.boxes import area, heights, intersection, iou
from facepipe.imaging.pyramid import Octaves
from facepipe.training.photos import FacesOnPhoto

Floats = NDArray[np.float32]

NEGATIVE, POSITIVE, PART, NEITHER = 0, 1, 2, -1  # kinds of windows
NEGATIVE_BELOW = 0.3
PART_FROM = 0.4
POSITIVE_FROM = 0.65
IGNORED_FROM = 0.3  # share of a window on an ignored region from which on it teaches nothing


class Targets(NamedTuple):
    """What a detector should say of windows.

    Attributes:
        overlap: (N,) float32 greatest IoU with a face; 0 where there is none.
        face: (N,) which face that is.
        offsets: (N, 4) float32 of that face's edges from the window's, in units of the window's side.
        landmarks: (N, 5, 2) float32 of that face, from the window's upper left corner in units of its side; NaN where
            not known.
        ignored: (N,) bool: lies on an ignored region and on no face.
    """

    overlap: Floats
    face: NDArray[np.intp]
    offsets: Floats
    landmarks: Floats
    ignored: NDArray[np.bool_]


def targets(windows: Floats, photo: FacesOnPhoto) -> Targets:
    """Return what a detector should say of windows (N, 4) on a photo."""
    count = len(windows)
    side = windows[:, 2:] - windows[:, :2]  # (N, 2)
    shared = intersection(windows, photo.ignored) / np.maximum(area(windows), 1e-9)[:, None]
    on_ignored = shared.max(axis=1, initial=0) >= IGNORED_FROM
    if not len(photo.boxes):
        empty = np.zeros(count, np.float32), np.zeros(count, np.intp), np.zeros((count, 4), np.float32)
        return Targets(*empty, np.full((count, 5, 2), np.nan, np.float32), on_ignored)
    table = iou(windows, photo.boxes)  # (N, F)
    face = table.argmax(axis=1)
    best = table[np.arange(count), face].astype(np.float32)
    offsets = (photo.boxes[face] - windows) / np.concatenate([side, side], axis=1)
    landmarks = (photo.landmarks[face] - windows[:, None, :2]) / side[:, None]
    return Targets(
        best, face, offsets.astype(np.float32), landmarks.astype(np.float32), on_ignored & (best < PART_FROM)
    )


def on_low_faces(wanted: Targets, photo: FacesOnPhoto, least_face: float) -> NDArray[np.bool_]:
    """Return for which windows (N,) on a photo the face that each overlaps most is lower than so many pixels."""
    height = heights(photo.boxes)
    return height[wanted.face] < least_face if len(height) else np.zeros(len(wanted.face), bool)


def kinds_of(wanted: Targets, photo: FacesOnPhoto, least_face: float) -> NDArray[np.int8]:
    """Return the kind of each window (N,) int8, NEITHER where it teaches nothing.

    Args:
        wanted: of windows on the photo.
        photo: labelled.
        least_face: in pixels; windows on lower faces are neither faces nor background.
    """
    small = on_low_faces(wanted, photo, least_face)
    kind = np.full(len(wanted.face), NEITHER, np.int8)
    kind[wanted.overlap < NEGATIVE_BELOW] = NEGATIVE
    kind[(wanted.overlap >= PART_FROM) & ~small] = PART
    kind[(wanted.overlap > POSITIVE_FROM) & ~small] = POSITIVE
    kind[wanted.ignored] = NEITHER
    return kind


@dataclass(frozen=True)
class Jitter:
    """How far windows stray from a face's square box.

    Attributes:
        shift: of the centre, in units of the side.
        grow: greatest factor, either way, by which the side differs from the box's mean side.
    """

    shift: float = 0.25
    grow: float = 1.3


def near_faces(boxes: Floats, count: int, jitter: Jitter, rng: np.random.Generator) -> Floats:
    """Return `count` square windows (F * count, 4) float32 around each of F boxes."""
    box = np.repeat(boxes, count, axis=0)
    size = box[:, 2:] - box[:, :2]
    side = np.sqrt(size.prod(axis=1)) * jitter.grow ** rng.uniform(-1, 1, len(box))
    centre = (box[:, :2] + box[:, 2:]) / 2 + rng.uniform(-jitter.shift, jitter.shift, (len(box), 2)) * side[:, None]
    half = side[:, None] / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def anywhere(width: int, height: int, count: int, least: float, rng: np.random.Generator) -> Floats:
    """Return `count` square windows (count, 4) float32 within a photo; sides are drawn evenly by their logarithm.

    Args:
        width: of the photo, in pixels.
        height: likewise.
        count: how many; none where the photo is smaller than `least`.
        least: smallest side, in pixels.
        rng: decides.
    """
    largest = min(width, height)
    if largest < least:
        return np.empty((0, 4), np.float32)
    side = np.exp(rng.uniform(np.log(least), np.log(largest), count))
    corner = rng.random((count, 2)) * (np.array([width, height]) - side[:, None])
    return np.concatenate([corner, corner + side[:, None]], axis=1).astype(np.float32)


def take_crops(photo: FacesOnPhoto, windows: Floats, size: int) -> NDArray[np.uint8]:
    """Return the windows' crops (N, size, size, 3) uint8, as detectors take them (`Octaves.crop`)."""
    if not len(windows):
        return np.empty((0, size, size, 3), np.uint8)
    octaves = Octaves(photo.image)
    return np.stack([octaves.crop(window, size) for window in windows])
