"""What is done to labelled photos before detectors are judged on them: turned, covered, made worse."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from facepipe.imaging.boxes import area, heights, intersection
from facepipe.training.photos import FacesOnPhoto, Variation, cover, turn, vary

ANGLES = (15, 30, 45, 90)  # degrees
SHARES = (0.2, 0.4, 0.6)  # of each face, covered
COVERED_FROM = 20  # pixels: lower faces stay as they are
# How the photos of the fine-tuning trial are made worse, for training and for judging alike.
WORSE = Variation(turn=45, mirror=0, worsen=0.6, grey=0.3, strength=0.8)
UPRIGHT = "upright"
DEGRADED = "degraded"

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Change = Callable[[FacesOnPhoto, np.random.Generator], FacesOnPhoto]


def conditions() -> dict[str, Change]:
    """Return what is done to photos, by name."""
    changes: dict[str, Change] = {UPRIGHT: lambda photo, _rng: photo}
    changes |= {f"turned {angle}": _turned_by(angle) for angle in ANGLES}
    changes |= {f"covered {share:.0%}": _covered_by(share) for share in SHARES}
    changes |= {"shades": lambda photo, rng: _on_faces(photo, put_on_shades, rng)}
    changes |= {"scarf": lambda photo, rng: _on_faces(photo, put_on_scarf, rng)}
    changes[DEGRADED] = lambda photo, rng: vary(photo, WORSE, rng)
    return changes


def _turned_by(angle: float) -> Change:
    return lambda photo, rng: turn(photo, float(angle * rng.choice([-1, 1])))


def _covered_by(share: float) -> Change:
    """Return what covers a share of each face, and of as many places without a face: so a cover tells nothing."""

    def covered(photo: FacesOnPhoto, rng: np.random.Generator) -> FacesOnPhoto:
        faces = photo.boxes[heights(photo.boxes) >= COVERED_FROM]
        for box in np.concatenate([_places_without_faces(photo, faces, rng), faces]):
            photo = replace(photo, image=cover(photo.image, box, share, rng))
        return photo

    return covered


def _places_without_faces(photo: FacesOnPhoto, faces: Floats, rng: np.random.Generator) -> Floats:
    """Return for each face a place of its size that touches no face, (N, 4); N is less where the photo has no room."""
    height, width = photo.image.shape[:2]
    places = []
    for size in faces[:, 2:] - faces[:, :2]:
        start = rng.random((20, 2)) * np.maximum(np.array([width, height]) - size, 0)
        tried = np.concatenate([start, start + size], axis=1).astype(np.float32)
        free = tried[intersection(tried, photo.boxes).max(axis=1, initial=0) == 0]
        places.append(free[:1])
    return np.concatenate([*places, np.empty((0, 4), np.float32)])


def _on_faces(
    photo: FacesOnPhoto, put_on: Callable[[Image, Floats, np.random.Generator], None], rng: np.random.Generator
) -> FacesOnPhoto:
    image = photo.image.copy()
    faces = photo.boxes[heights(photo.boxes) >= COVERED_FROM]
    for box in faces[np.argsort(area(faces))]:  # the nearest faces last
        put_on(image, box, rng)
    return replace(photo, image=image)


def put_on_shades(image: Image, box: Floats, rng: np.random.Generator) -> None:
    """Draw dark glasses where an upright face's eyes are.

    Args:
        image: (H, W, 3) uint8, drawn on.
        box: (4,) of the face.
        rng: decides their colour.
    """
    (left, top), (width, height) = box[:2], box[2:] - box[:2]
    colour = [int(value) for value in rng.integers(0, 50, 3)]
    lens = max(1, round(0.18 * width)), max(1, round(0.11 * height))
    eyes = [(round(left + share * width), round(top + 0.42 * height)) for share in (0.29, 0.71)]
    for eye in eyes:
        cv2.ellipse(image, eye, lens, 0, 0, 360, colour, cv2.FILLED, cv2.LINE_AA)
    cv2.line(image, eyes[0], eyes[1], colour, max(1, round(0.04 * height)), cv2.LINE_AA)


def put_on_scarf(image: Image, box: Floats, rng: np.random.Generator) -> None:
    """Draw a striped cloth over an upright face's nose, mouth and chin.

    Args:
        image: (H, W, 3) uint8, drawn on.
        box: (4,) of the face.
        rng: decides its colours and stripes.
    """
    (left, top), (width, height) = box[:2], box[2:] - box[:2]
    edge = float(rng.uniform(0.5, 0.6))
    edges = [left - 0.05 * width, top + edge * height, left + 1.05 * width, top + 1.1 * height]
    x0, y0, x1, y1 = (round(max(float(value), 0)) for value in edges)
    cloth = image[y0:y1, x0:x1]
    rows, columns = np.indices(cloth.shape[:2])
    stripe = (rows + columns * float(rng.uniform(-1, 1))) // max(2.0, float(rng.uniform(0.05, 0.2)) * height)
    colours = rng.integers(0, 256, (2, 3)).astype(np.uint8)
    cloth[:] = colours[stripe.astype(np.intp) % 2]
