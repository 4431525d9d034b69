"""Photos of drawn faces with labels: enough to learn from in seconds, and nothing to keep secret."""

import csv
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

SKINS = ((236, 200, 170), (200, 150, 120), (150, 105, 80), (95, 65, 50))
# Centres of the eyes, the nose and the mouth's corners in a face's box, as shares of its width and height.
LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.78], [0.65, 0.78]])


class Drawn(NamedTuple):
    """A folder of drawn photos, and its labels."""

    images: Path
    boxes: Path
    landmarks: Path


def draw_photos(folder: Path, photos: int, seed: int, faces: int = 2) -> Drawn:
    """Return photos of 160 x 120 px with some faces each, 24 to 56 px high, that don't overlap."""
    rng = np.random.default_rng(seed)
    images = folder / "images"
    images.mkdir(parents=True)
    drawn = Drawn(images, folder / "boxes.csv", folder / "landmarks.csv")
    with drawn.boxes.open("w", newline="") as box_file, drawn.landmarks.open("w", newline="") as point_file:
        boxes, points = csv.writer(box_file), csv.writer(point_file)
        boxes.writerow(["image", "face", "x0", "y0", "x1", "y1"])
        points.writerow(["image", "face", "point", "x", "y"])
        for number in range(photos):
            name = f"{number:03}.png"
            image = _background(rng)
            taken: list[np.ndarray] = []
            while len(taken) < faces:
                height = rng.uniform(24, 56)
                size = np.array([height * 0.8, height])
                corner = rng.random(2) * (np.array([160, 120]) - size)
                box = np.concatenate([corner, corner + size])
                if all((box[2:] < other[:2]).any() or (other[2:] < box[:2]).any() for other in taken):
                    boxes.writerow([name, len(taken), *(f"{edge:.2f}" for edge in box)])
                    for point, (x, y) in enumerate(box[:2] + LANDMARKS * size):
                        points.writerow([name, len(taken), point, f"{x:.2f}", f"{y:.2f}"])
                    _draw_face(image, box, rng)
                    taken.append(box)
            Image.fromarray(cv2.GaussianBlur(image, (3, 3), 0)).save(images / name)
    return drawn


def _background(rng: np.random.Generator) -> np.ndarray:
    """Return rough ground with plain and striped shapes on it, which are no faces."""
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    image = np.asarray(cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC))
    for _ in range(10):
        centre = tuple(int(value) for value in rng.integers(0, (160, 120)))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        axes = tuple(int(value) for value in rng.integers(4, 26, 2))
        if rng.random() < 0.5:
            cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            cv2.rectangle(image, centre, (centre[0] + axes[0], centre[1] + axes[1]), colour, -1)
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def _draw_face(image: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a head with eyes, nose and mouth, four times as fine as the photo's pixels, and lay it in."""
    fine = 4
    size = (box[2:] - box[:2]) * fine
    width, height = round(size[0]), round(size[1])
    face = np.zeros((height, width, 3), np.uint8)
    inside = np.zeros((height, width), np.uint8)
    skin = np.array(SKINS[rng.integers(len(SKINS))]) + rng.normal(0, 8, 3)
    cv2.ellipse(inside, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 255, -1)
    face[:] = np.clip(skin, 0, 255)
    face[: round(height * rng.uniform(0.12, 0.22))] = rng.integers(0, 90, 3)
    eye_left, eye_right, nose, mouth_left, mouth_right = ((x * width, y * height) for x, y in LANDMARKS)
    for eye in (eye_left, eye_right):
        cv2.ellipse(face, _whole(eye), _whole((width * 0.11, height * 0.05)), 0, 0, 360, (245, 245, 245), -1)
        cv2.circle(face, _whole(eye), round(height * 0.04), (20, 20, 20), -1)
        brow = (eye[0], eye[1] - height * 0.1)
        cv2.line(
            face, _whole((brow[0] - width * 0.1, brow[1])), _whole((brow[0] + width * 0.1, brow[1])), (30, 20, 10), fine
        )
    cv2.line(face, _whole((nose[0], nose[1] - height * 0.15)), _whole(nose), _whole(skin * 0.7), fine)
    cv2.line(face, _whole(mouth_left), _whole(mouth_right), (150, 40, 50), 2 * fine)
    x0, y0 = box[:2].round().astype(int)
    small = (max(1, round(box[2]) - x0), max(1, round(box[3]) - y0))
    share = cv2.resize(inside, small, interpolation=cv2.INTER_AREA)[:, :, None] / 255
    ground = image[y0 : y0 + small[1], x0 : x0 + small[0]]
    ground[:] = share * cv2.resize(face, small, interpolation=cv2.INTER_AREA) + (1 - share) * ground


def _whole(values: tuple[float, ...] | np.ndarray) -> tuple[int, ...]:
    return tuple(round(float(value)) for value in values)
