"""What DDFD learns from: windows on varied photos, as crops, with whether they hold a face.

Source: Farfade, Saberian and Li 2015, "Multi-view Face Detection Using Deep Convolutional Neural Networks", section 3:
windows that overlap a face by more than 50 % (IoU) are faces, all others are none.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.ddfd import DDFD
from facepipe.imaging.boxes import heights
from facepipe.models.ddfd_network import FACE_SHARE
from facepipe.training.labels import Labels
from facepipe.training.photos import FacesOnPhoto
from facepipe.training.samples import Arrays
from facepipe.training.windows import Jitter, anywhere, near_faces, on_low_faces, take_crops, targets

Floats = NDArray[np.float32]

BACKGROUND, FACE, MISTAKEN = 0, 1, 2  # kinds of samples; the last: background that an earlier round took for a face
FACE_ABOVE = 0.5  # IoU of a window's square and a face's
LEAST_FACE = 16.0  # pixels; smaller faces neither teach nor are background
AREA_A_WINDOW = 16_000  # pixels of a photo for each window of it that lies anywhere
COARSE = (20, 80)  # pixels across a crop that is made coarse
MOST_BLACK = 0.4  # share of a crop of background that may lie past the photo
MOST_MISTAKEN = 30  # windows of one photo


def crops_near_and_far(photo: FacesOnPhoto, crop: int, rng: np.random.Generator) -> Arrays:
    """Return samples (`samples_of`) near the faces of a photo and anywhere on it."""
    height, width = photo.image.shape[:2]
    faces = photo.boxes[heights(photo.boxes) >= LEAST_FACE]
    squares = np.concatenate(
        [
            near_faces(faces, 2, Jitter(0.16, 1.2), rng),
            near_faces(faces, 3, Jitter(0.9, 2.2), rng),
            anywhere(width, height, max(2, height * width // AREA_A_WINDOW), LEAST_FACE, rng),
        ]
    )
    return samples_of(photo, squares, crop, rng)


def crops_taken_for_faces(photo: FacesOnPhoto, detector: DDFD, crop: int, rng: np.random.Generator) -> Arrays:
    """Return samples (`samples_of`) of what a detector finds that is none, of kind MISTAKEN, the worst first."""
    found = detector.detect([photo.image])[0].boxes
    rows = samples_of(photo, square_of_equal_area(found), crop, rng)
    worst = np.flatnonzero(rows["kind"] == BACKGROUND)[:MOST_MISTAKEN]
    return {**{name: values[worst] for name, values in rows.items()}, "kind": np.full(len(worst), MISTAKEN, np.int8)}


def samples_of(photo: FacesOnPhoto, squares: Floats, crop: int, rng: np.random.Generator) -> Arrays:
    """Return what squares (N, 4) on a photo teach, in their order, less those that teach nothing.

    Half of the crops lose detail, as small faces lack it that are enlarged to the crop's size.

    Returns:
        `crops` (K, crop, crop, 3) uint8 RGB: each square with what is around it; `kind` (K,) int8 BACKGROUND or FACE;
        `offsets` (K, 4) float32 of the nearest face's edges from the square's, in units of its side.
    """
    faces = replace(photo, boxes=square_of_equal_area(photo.boxes))
    wanted = targets(squares, faces)
    small = on_low_faces(wanted, photo, LEAST_FACE)
    kind = np.where(wanted.overlap > FACE_ABOVE, FACE, BACKGROUND).astype(np.int8)
    teaches = ~wanted.ignored & ~(small & (wanted.overlap > 0.1))
    rows = np.flatnonzero(teaches)
    offsets = targets(squares[rows], photo).offsets if len(rows) else np.empty((0, 4), np.float32)
    crops = take_crops(photo, windows_around(squares[rows]), crop)
    shows = (kind[rows] == FACE) | ((crops.max(axis=3, initial=0) == 0).mean(axis=(1, 2)) < MOST_BLACK)
    for row in np.flatnonzero(rng.random(len(rows)) < 0.5):
        crops[row] = coarsened(crops[row], int(rng.integers(*COARSE)))
    return {"crops": crops[shows], "kind": kind[rows][shows], "offsets": offsets[shows]}


def coarsened(crop: NDArray[np.uint8], across: int) -> NDArray[np.uint8]:
    """Return a crop (S, S, 3) shrunk to `across` pixels and enlarged again."""
    small = cv2.resize(crop, (across, across), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, crop.shape[:2], interpolation=cv2.INTER_LINEAR), np.uint8)


def square_of_equal_area(box_xyxy: Floats) -> Floats:
    """Return squares (N, 4) of the same centres and areas."""
    side = np.sqrt(np.maximum(box_xyxy[:, 2:] - box_xyxy[:, :2], 0).prod(axis=1, keepdims=True))
    centre = (box_xyxy[:, :2] + box_xyxy[:, 2:]) / 2
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(np.float32)


def windows_around(squares: Floats) -> Floats:
    """Return the network's windows (N, 4) whose middle parts the squares are."""
    centre = (squares[:, :2] + squares[:, 2:]) / 2
    half = (squares[:, 2:] - squares[:, :2]) / 2 / FACE_SHARE
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def mean_face_box(offsets: Floats) -> Floats:
    """Return where the mean face lies in the window (4,), in units of its side, from the offsets (N, 4) of faces."""
    edge = (1 - FACE_SHARE) / 2
    square_box = np.array([edge, edge, 1 - edge, 1 - edge], np.float32)
    return np.asarray(square_box + offsets.mean(axis=0) * FACE_SHARE, np.float32)


def ignore_small_faces(labels: Labels) -> Labels:
    """Return labels whose faces lower than LEAST_FACE are ignored regions, so that they count as faces of no source.

    Where none would be left, all stay as they are.
    """
    photos = []
    for photo in labels.photos:
        large = heights(photo.boxes) >= LEAST_FACE
        ignored = np.concatenate([photo.ignored, photo.boxes[~large]])
        photos.append(replace(photo, boxes=photo.boxes[large], landmarks=photo.landmarks[large], ignored=ignored))
    fewer = Labels(photos, labels.left_out)
    return fewer if fewer.faces else labels
