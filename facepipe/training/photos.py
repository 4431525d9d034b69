"""Labelled photos as pixels, varied: turned, mirrored, made worse, covered, with their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from facepipe.config import DecodeConfig
from facepipe.errors import PhotoError
from facepipe.evaluation.degrade import KINDS
from facepipe.imaging.boxes import clip, heights
from facepipe.imaging.decode import decode_photo
from facepipe.training.labels import LabelledPhoto

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

MIRRORED_POINTS = [1, 0, 2, 4, 3]  # which landmark stands where another stood, once left is right
_WORSE = ("relight", "blur", "noise", "sharpen", "compress")  # what leaves boxes where they are


@dataclass(frozen=True)
class FacesOnPhoto:
    """A photo's pixels and its labels, in pixels of these.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (F, 4) float32 `box_xyxy`.
        landmarks: (F, 5, 2) float32; NaN where not known.
        ignored: (I, 4) float32 regions that are neither faces nor background.
    """

    image: Image
    boxes: Floats
    landmarks: Floats
    ignored: Floats


@dataclass(frozen=True)
class Variation:
    """How photos are varied before anything is taken from them.

    Attributes:
        turn: greatest rotation, in degrees, either way.
        mirror: probability of being mirrored.
        worsen: probability of each of a few degradations: light, blur, noise, sharpening, compression.
        grey: probability of losing colour.
        cover: probability that a face is partly covered by a rectangle.
        strength: greatest strength of a degradation, 0 to 1.
    """

    turn: float = 0.0
    mirror: float = 0.5
    worsen: float = 0.1
    grey: float = 0.1
    cover: float = 0.0
    strength: float = 0.6


def read_photo(photo: LabelledPhoto, decode: DecodeConfig) -> FacesOnPhoto | None:
    """Return a photo's pixels and labels; None where it can't be decoded."""
    try:
        decoded = decode_photo(photo.path.read_bytes(), decode.max_side, decode.max_pixels)
    except (OSError, PhotoError):
        return None
    scale = np.float32(decoded.pixels.shape[1] / decoded.width)
    return FacesOnPhoto(decoded.pixels, photo.boxes * scale, photo.landmarks * scale, photo.ignored * scale)


def varied_photos(
    photos: Sequence[LabelledPhoto], variation: Variation, seed: int, decode: DecodeConfig | None = None
) -> Iterator[tuple[int, FacesOnPhoto, np.random.Generator]]:
    """Yield the number of each photo that can be read, the photo varied, and a generator of its own.

    What becomes of a photo depends on the seed and its number alone.
    """
    for number, photo in enumerate(photos):
        read = read_photo(photo, decode or DecodeConfig())
        if read is not None:
            rng = np.random.default_rng([seed, number])
            yield number, vary(read, variation, rng), rng


def vary(photo: FacesOnPhoto, variation: Variation, rng: np.random.Generator) -> FacesOnPhoto:
    """Return a photo varied at random."""
    if rng.random() < variation.cover:
        for index in range(len(photo.boxes)):
            photo = replace(photo, image=cover(photo.image, photo.boxes[index], rng.uniform(0.1, 0.5), rng))
    if variation.turn:
        photo = turn(photo, float(rng.uniform(-variation.turn, variation.turn)))
    if rng.random() < variation.mirror:
        photo = mirror(photo)
    image = photo.image
    side = np.float64(np.median(heights(photo.boxes))) if len(photo.boxes) else 40.0
    for name in _WORSE:
        if rng.random() < variation.worsen:
            box = np.array([0.0, 0.0, side, side])
            image = KINDS[name](image, box, float(rng.random()) * variation.strength, rng)[0]
    if rng.random() < variation.grey:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    return replace(photo, image=np.ascontiguousarray(image))


def mirror(photo: FacesOnPhoto) -> FacesOnPhoto:
    """Return the photo with left and right exchanged."""
    width = np.float32(photo.image.shape[1])
    landmarks = photo.landmarks[:, MIRRORED_POINTS].copy()
    landmarks[:, :, 0] = width - landmarks[:, :, 0]
    boxes, ignored = (
        np.stack([width - box[:, 2], box[:, 1], width - box[:, 0], box[:, 3]], axis=1)
        for box in (photo.boxes, photo.ignored)
    )
    return FacesOnPhoto(np.ascontiguousarray(photo.image[:, ::-1]), boxes, landmarks, ignored)


def turn(photo: FacesOnPhoto, degrees: float) -> FacesOnPhoto:
    """Return the photo turned about its centre, on a canvas that holds all of it.

    A face's new box is that of the turned ellipse that fills its old one: a box around the turned box would be larger
    than the face by up to two fifths.

    Args:
        photo: to be turned.
        degrees: counter-clockwise, as one sees it.
    """
    height, width = photo.image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(width * cosine + height * sine), round(width * sine + height * cosine)
    matrix[:, 2] += (np.array(size) - (width, height)) / 2
    image = cv2.warpAffine(photo.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    # Coordinates of the project have a pixel's middle at 0.5, those of OpenCV at 0.
    shift = matrix[:, 2] + 0.5 - matrix[:, :2] @ np.array([0.5, 0.5])
    boxes, ignored = (_turned(box, matrix[:, :2], shift, size) for box in (photo.boxes, photo.ignored))
    landmarks = (photo.landmarks @ matrix[:, :2].T + shift).astype(np.float32)
    return FacesOnPhoto(np.asarray(image, np.uint8), boxes, landmarks, ignored)


def _turned(box: Floats, matrix: NDArray[np.float64], shift: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    centre = (box[:, :2] + box[:, 2:]) / 2 @ matrix.T + shift
    half = (box[:, 2:] - box[:, :2]) / 2  # (F, 2): the ellipse's axes
    reach = np.sqrt((half**2) @ (matrix**2).T)
    return clip(np.concatenate([centre - reach, centre + reach], axis=1), *size).astype(np.float32)


def cover(image: Image, box: Floats, share: float, rng: np.random.Generator) -> Image:
    """Return the photo with a rectangle over some part of a face.

    Args:
        image: (H, W, 3) uint8; it stays as it is.
        box: (4,) of the face.
        share: of the face's box that is covered.
        rng: decides where, of which shape, and in what colour: plain, speckled, or a piece of the photo itself.
    """
    size = box[2:] - box[:2]
    width = float(rng.uniform(max(share, 0.2), 1.0)) if share < 1 else 1.0
    if rng.random() < 0.5:
        extent = size * np.array([width, min(share / width, 1.0)])
    else:
        extent = size * np.array([min(share / width, 1.0), width])
    start = box[:2] + rng.random(2) * (size - extent)
    x0, y0, x1, y1 = np.concatenate([start, start + extent]).round().astype(int).tolist()
    covered = image.copy()
    part = covered[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    kind = rng.integers(3)
    if kind == 2 and part.shape[0] < image.shape[0] and part.shape[1] < image.shape[1]:
        top, left = (int(rng.integers(image.shape[axis] - part.shape[axis])) for axis in (0, 1))
        part[:] = image[top : top + part.shape[0], left : left + part.shape[1]]
    else:
        noise = rng.normal(0, rng.uniform(1, 40) if kind else 0, part.shape)
        part[:] = np.clip(rng.integers(0, 256, 3) + noise, 0, 255)
    return covered
