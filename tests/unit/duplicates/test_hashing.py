from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facepipe.duplicates.candidates import RADIUS
from facepipe.duplicates.hashing import BITS, perceptual_hash
from tests.drawn_photos import draw_scene


def distance(first: bytes, second: bytes) -> int:
    return int(np.unpackbits(np.frombuffer(first, np.uint8) ^ np.frombuffer(second, np.uint8)).sum())


def test_a_hash_has_256_bits_about_half_of_them_set() -> None:
    found = perceptual_hash(draw_scene(seed=1))
    assert len(found) * 8 == BITS
    assert 100 <= np.unpackbits(np.frombuffer(found, np.uint8)).sum() <= 156


@pytest.mark.parametrize("scale", [0.2, 0.5, 0.8, 1.7])
def test_it_hardly_depends_on_the_scale_at_which_a_photo_was_decoded(scale: float) -> None:
    photo = draw_scene(seed=2)
    resized = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    assert distance(perceptual_hash(photo), perceptual_hash(resized)) <= 8


def test_other_photos_are_far() -> None:
    hashes = [perceptual_hash(draw_scene(seed)) for seed in range(10)]
    assert min(distance(hashes[a], hashes[b]) for a in range(10) for b in range(a)) > 2 * RADIUS


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 700, 3), (2000, 64, 3)])
def test_photos_of_any_shape_have_one(shape: tuple[int, int, int]) -> None:
    assert len(perceptual_hash(np.full(shape, 7, np.uint8))) == BITS // 8


def test_real_copies_are_within_half_the_radius(data: Path) -> None:
    photos = sorted((data / "lfw-dev" / "images").glob("*/*_0001.jpg"))[::160]
    for path in photos:
        with Image.open(path) as image:
            quarter = image.resize((image.width // 4, image.height // 4), Image.Resampling.LANCZOS)
            pixels, small = np.asarray(image.convert("RGB")), np.asarray(quarter.convert("RGB"))
        assert distance(perceptual_hash(pixels), perceptual_hash(small)) <= RADIUS // 2, path
