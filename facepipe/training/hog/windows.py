"""What the detector by oriented gradients learns from: windows near faces, and windows of background, as words."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facepipe.detectors.hog.codebook import Codebook, picture_words
from facepipe.detectors.hog.levels import photo_levels
from facepipe.detectors.hog.model import HogModel
from facepipe.detectors.hog.search import find_windows, mean_faces
from facepipe.detectors.hog.word_tables import Words, words_of_windows
from facepipe.imaging.boxes import heights
from facepipe.imaging.pyramid import Octaves
from facepipe.training.photos import FacesOnPhoto
from facepipe.training.windows import NEGATIVE_BELOW, targets

Floats = NDArray[np.float32]
Grey = NDArray[np.uint8]

LEAST_FACE = 20.0  # pixels; smaller faces don't teach
FACTOR = 0.84  # between the scales at which background is looked at
ENLARGED_TO = 1.2  # an octave of a photo is enlarged at most so much for a window
COARSE_SHARE = 0.5  # of windows lose detail, as faces have it that are enlarged to the window
COARSEST = 0.5  # pixels left of each pixel, each way


@dataclass(frozen=True)
class Straying:
    """How far windows near faces stray from where they should be.

    Attributes:
        shift: greatest, of the centre, in the face's heights.
        grow: greatest factor, either way, on the side.
    """

    shift: float
    grow: float


# As far as the nearest window of a detector may be off: half a cell, half a step of the pyramid.
NEAR = Straying(0.05, 1.09)
WIDE = Straying(0.15, 1.22)


@dataclass(frozen=True)
class Shape:
    """A window's shape.

    Attributes:
        cell: side of a cell in pixels.
        cells: a side of the window.
        face_share: of a window's side that a face's height is.
    """

    cell: int
    cells: int
    face_share: float

    @property
    def side(self) -> int:
        """The window's side in pixels."""
        return self.cell * self.cells


@dataclass(frozen=True)
class FaceWindows:
    """Windows near faces.

    Attributes:
        pictures: (N, S, S) uint8, each with a frame of one cell around it: S is the window's side and two cells.
        places: (N, 4) float32, the face's centre from the window's, x and y, and its width and height, in sides.
    """

    pictures: Grey
    places: Floats


def windows_near_faces(
    photo: FacesOnPhoto, shape: Shape, count: int, straying: Straying, turn: float, rng: np.random.Generator
) -> FaceWindows:
    """Return windows near each face of a photo that is at least LEAST_FACE high.

    Args:
        photo: of F such faces.
        shape: of windows.
        count: around each face; N is F * count.
        straying: how far off they are.
        turn: greatest rotation in degrees, either way.
        rng: decides.
    """
    grey = Octaves(cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY))
    faces = photo.boxes[heights(photo.boxes) >= LEAST_FACE]
    framed = shape.side + 2 * shape.cell
    pictures, places = [np.empty((0, framed, framed), np.uint8)], [np.empty((0, 4), np.float32)]
    for box in np.repeat(faces, count, axis=0):
        size = box[2:] - box[:2]
        shift = rng.uniform(-straying.shift, straying.shift, 2) * size[1]
        side = float(size[1] / shape.face_share * straying.grow ** rng.uniform(-1, 1))
        coarse = float(rng.uniform(COARSEST, 1)) if rng.random() < COARSE_SHARE else 1.0
        centre = (box[:2] + box[2:]) / 2 + shift
        degrees = float(rng.uniform(-turn, turn))
        pictures.append(window_picture(grey, centre, side / shape.side, framed, degrees, coarse)[None])
        places.append(np.concatenate([-shift / side, size / side])[None].astype(np.float32))
    return FaceWindows(np.concatenate(pictures), np.concatenate(places))


def window_picture(
    photo: Octaves, centre: NDArray[np.floating], pixel: float, size: int, degrees: float, coarse: float
) -> Grey:
    """Return (size, size) uint8 pixels around a point; past the photo are its outermost ones.

    Args:
        photo: grey.
        centre: (2,) x, y in pixels of the photo.
        pixel: of the picture, in pixels of the photo.
        size: of the picture, in its pixels.
        degrees: by which it is turned.
        coarse: share of pixels, each way, that it is made from.
    """
    across = max(round(size * coarse), 2)
    pixel = pixel * size / across
    source, octave = photo.nearest(1 / (pixel * ENLARGED_TO))
    scale = octave / pixel
    # Coordinates of the project have a pixel's middle at 0.5, those of OpenCV at 0.
    middle = (float(centre[0]) / octave - 0.5, float(centre[1]) / octave - 0.5)
    matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
    matrix[:, 2] += (across - 1) / 2 - np.array(middle)
    picture = cv2.warpAffine(source, matrix, (across, across), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if across != size:
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture, np.uint8)


def words_of_pictures(pictures: Grey, cell: int, codebook: Codebook) -> Words:
    """Return the words of framed pictures of windows (`FaceWindows`), (N, P * P)."""
    count, size = pictures.shape[:2]
    cells = size // cell
    # All in one column, which is faster: what reaches across two pictures are blocks of their frames alone.
    column = picture_words(pictures.reshape(count * size, size), cell, codebook)
    words = np.zeros((count * cells, cells - 1), np.intp)
    words[: len(column)] = column
    inner = words.reshape(count, cells, cells - 1)[:, 1:-2, 1:-1]  # (N, P, P)
    return inner.reshape(count, (cells - 3) ** 2)


def background_anywhere(photo: FacesOnPhoto, model: HogModel, a_level: int, rng: np.random.Generator) -> Words:
    """Return the words (N, P * P) of some windows of each level of a photo that hold no face."""
    windows, words = [np.empty((0, 4), np.float32)], [np.empty((0, model.blocks**2), np.intp)]
    for level in photo_levels(photo.image, model, min_face=LEAST_FACE, factor=FACTOR):
        limits = np.array(level.words.shape) - model.blocks + 1
        if limits.min() > 0:
            rows, columns = rng.integers(0, limits, (a_level, 2)).T
            windows.append(level.windows(rows, columns))
            words.append(words_of_windows(level.words, rows, columns, model.blocks))
    return np.concatenate(words)[_is_background(np.concatenate(windows), photo, model)]


def background_taken_for_faces(photo: FacesOnPhoto, model: HogModel, most: int) -> Words:
    """Return the words (N, P * P) of the windows that most look like faces to a classifier, and hold none.

    Those within its margin count, as those do beyond it: they decide where its plane lies.
    """
    found = find_windows(photo.image, model, least_margin=-1.0, most=20 * most, min_face=LEAST_FACE, factor=FACTOR)
    return found.words[_is_background(found.window, photo, model)][:most]


def _is_background(windows: Floats, photo: FacesOnPhoto, model: HogModel) -> NDArray[np.bool_]:
    wanted = targets(mean_faces(windows, model), photo)
    return (wanted.overlap < NEGATIVE_BELOW) & ~wanted.ignored
