"""Drawn people, as a recogniser's training reads faces."""

from pathlib import Path

import numpy as np

from facepipe.training.face_crops import WIDE_SIZE, CropVariation
from facepipe.training.face_samples import FaceSamples
from facepipe.training.samples import SampleWriter

PEOPLE, FACES = 40, 4


def draw_person(rng: np.random.Generator, traits: np.ndarray) -> np.ndarray:
    """A person is where two blobs lie and what colours they have; light and noise differ from face to face."""
    rows, columns = np.mgrid[0:WIDE_SIZE, 0:WIDE_SIZE] / WIDE_SIZE
    image = np.full((WIDE_SIZE, WIDE_SIZE, 3), 110.0)
    for x, y, *colour in traits.reshape(2, 5):
        near = np.exp(-((columns - 0.3 - 0.4 * x) ** 2 + (rows - 0.3 - 0.4 * y) ** 2) / 0.01)
        image += near[:, :, None] * (np.array(colour) - 0.5) * 200
    image = image * rng.uniform(0.5, 1.5) + rng.uniform(-50, 50, 3) + rng.normal(0, 8, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def draw_people(folder: Path, size: int) -> FaceSamples:
    """PEOPLE with FACES each, as crops of so many pixels."""
    rng = np.random.default_rng(5)
    writer = SampleWriter(folder / "faces")
    for person in range(PEOPLE):
        traits = rng.random(10)
        writer.append(
            {
                "wide": np.stack([draw_person(rng, traits) for _ in range(FACES)]),
                "aspect": np.full(FACES, 0.8, np.float32),
                "person": np.full(FACES, person),
            }
        )
    return FaceSamples(writer.finish(), size, (0.15, 0.11), CropVariation(mirror=0))
