"""Photos made worse, as they come out of phones, scanners, chats and dark rooms: to measure what faces then suffer."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Photo = npt.NDArray[np.uint8]
Box = npt.NDArray[np.floating]

LEAST_HEIGHT = 16.0  # of a face after shrinking, in pixels
MOST_KINDS = 3  # of degradation on one copy


class DegradedPhoto(NamedTuple):
    """A copy made worse.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        box: (4,) where the face lies now: the upright box around its turned one.
        kinds: names of what was done, in the order in which it was done.
    """

    pixels: Photo
    box: Box
    kinds: tuple[str, ...]


def degrade(photo: Photo, box_xyxy: Box, rng: np.random.Generator) -> DegradedPhoto:
    """Return a copy of a photo made worse in one to three ways, each of random strength.

    Whatever is done is done to the photo, not to a crop, so that a detector has to find the face again. It happens in
    the order of nature: something covers the face, the light, the camera's tilt and frame, its lens, its pixels, its
    noise, and last what programs do to the file.

    Args:
        photo: (H, W, 3) uint8 RGB.
        box_xyxy: (4,) the face, in pixels.
        rng: decides what is done, and how strongly.
    """
    count = int(rng.integers(1, MOST_KINDS + 1))
    chosen = set(rng.choice(len(KINDS), count, replace=False).tolist())
    done = [name for index, name in enumerate(KINDS) if index in chosen]
    box: Box = np.asarray(box_xyxy, np.float64)
    for name in done:
        photo, box = KINDS[name](photo, box, float(rng.random()), rng)
    return DegradedPhoto(photo, box, tuple(done))


def _occlude(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Lay a plain or a speckled rectangle, up to six tenths of the face each way, over some part of it."""
    size = box[2:] - box[:2]
    extent = size * rng.uniform(0.3, 1.0, 2) * (0.2 + 0.6 * strength)
    start = box[:2] + rng.random(2) * (size - extent)
    x0, y0, x1, y1 = np.concatenate([start, start + extent]).round().astype(int).tolist()
    covered = photo.copy()
    part = covered[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    part[:] = np.clip(rng.integers(0, 256, 3) + rng.normal(0, rng.uniform(0, 30), part.shape), 0, 255)
    return covered, box


def _relight(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Lower the contrast and shift the light towards dark or bright; too much light clips, as a sensor does."""
    contrast = 1 - 0.9 * strength * rng.random()
    target = rng.choice([0.0, 255.0])
    gain = rng.uniform(1, 2.5) if target else 1.0
    values = gain * (contrast * photo.astype(np.float32) + (1 - contrast) * target * rng.random())
    return np.clip(values, 0, 255).astype(np.uint8), box


def _rotate(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Turn the photo about the face by up to 90 degrees either way."""
    height, width = photo.shape[:2]
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    matrix = cv2.getRotationMatrix2D(centre, float(rng.choice([-90, 90]) * strength), 1.0)
    turned = cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    corners = box[[[0, 1], [2, 1], [2, 3], [0, 3]]] @ matrix[:, :2].T + matrix[:, 2]  # (4, 2)
    return np.asarray(turned, np.uint8), np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _cut(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Cut the photo through the face: up to four tenths of it are lost on one side."""
    height, width = photo.shape[:2]
    lost = (box[2:] - box[:2]) * 0.4 * strength
    frame = [0, 0, width, height]
    side = int(rng.integers(4))
    frame[side] = round(float(box[side] + (lost[side % 2] if side < 2 else -lost[side % 2])))
    x0, y0, x1, y1 = max(frame[0], 0), max(frame[1], 0), min(frame[2], width), min(frame[3], height)
    return photo[y0:y1, x0:x1], box - np.array([x0, y0, x0, y0])


def _blur(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Defocus the lens or move the camera: by up to a fifteenth of the face's height."""
    spread = float(box[3] - box[1]) * strength**2 / 15
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(photo, (0, 0), max(spread, 0.3)), np.uint8), box
    length = max(1, round(3 * spread))
    path = np.zeros((length, length), np.float32)
    ends = ((0, 0), (length - 1, length - 1)) if rng.random() < 0.5 else ((0, length // 2), (length - 1, length // 2))
    cv2.line(path, *ends, 1.0)
    return np.asarray(cv2.filter2D(photo, -1, path / path.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8), box


def _shrink(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Shrink the photo until the face is perhaps 16 pixels high; one in three is blown up again."""
    height, width = photo.shape[:2]
    scale = min(1.0, LEAST_HEIGHT / float(box[3] - box[1])) ** strength
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 1 / 3:
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8), box
    return np.asarray(small, np.uint8), box * scale


def _add_noise(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Add normal noise of up to 60 of 255, in colour or grey."""
    shape = photo.shape if rng.random() < 0.5 else (*photo.shape[:2], 1)
    return np.clip(photo + rng.normal(0, 60 * strength**2, shape), 0, 255).astype(np.uint8), box


def _sharpen(photo: Photo, box: Box, strength: float, rng: np.random.Generator) -> tuple[Photo, Box]:
    """Sharpen by an unsharp mask, as cameras do and LFW's photos do not: it should cost a face little."""
    blurred = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.7, 1.5)).astype(np.float32)
    return np.clip(photo + 2 * strength * (photo - blurred), 0, 255).astype(np.uint8), box


def _compress(photo: Photo, box: Box, strength: float, _rng: np.random.Generator) -> tuple[Photo, Box]:
    """Compress as JPEG of quality 60 to 4."""
    _, file = cv2.imencode(".jpg", photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(60 * (4 / 60) ** strength)])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1], box


Degradation = Callable[[Photo, Box, float, np.random.Generator], tuple[Photo, Box]]

KINDS: dict[str, Degradation] = {
    "occlude": _occlude,
    "relight": _relight,
    "rotate": _rotate,
    "cut": _cut,
    "blur": _blur,
    "shrink": _shrink,
    "noise": _add_noise,
    "sharpen": _sharpen,
    "compress": _compress,
}
