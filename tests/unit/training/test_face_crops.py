"""Crops that are cut from wide ones show what the pipeline's crops show; worn ones have lost what was asked."""

from pathlib import Path

import numpy as np
import pytest

from facepipe.alignment.box_crop import FACENET_GROW, crop_faces
from facepipe.imaging.decode import decode_photo
from facepipe.training.face_crops import WIDE_GROW, WIDE_SIZE, CropVariation, Wear, cut_crop, wear_out

BOX = np.array([[80.0, 70.0, 168.0, 185.0]])


@pytest.fixture(scope="module")
def photo(data: Path) -> np.ndarray:
    file = sorted((data / "lfw-dev" / "images").glob("*/*.jpg"))[0]
    return np.asarray(decode_photo(file.read_bytes(), 2048, 1 << 28).pixels)


@pytest.fixture(scope="module")
def wide(photo: np.ndarray) -> np.ndarray:
    return np.asarray(crop_faces(photo, BOX, WIDE_SIZE, WIDE_GROW)[0])


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second).mean())


@pytest.mark.parametrize("size", [160, 96, 48])
def test_a_plain_crop_is_the_pipelines_crop(photo: np.ndarray, wide: np.ndarray, size: int) -> None:
    expected = crop_faces(photo, BOX, size, FACENET_GROW)[0]
    crop = cut_crop(wide, size, FACENET_GROW, None, CropVariation())
    assert crop.shape == (size, size, 3)
    assert difference(crop, expected) < 3
    assert difference(crop, expected) < 0.7 * difference(np.roll(crop, 1, axis=1), expected)  # it is in its place


def test_a_varied_crop_differs_by_its_generator_alone(wide: np.ndarray) -> None:
    def draw(seed: int) -> np.ndarray:
        return cut_crop(wide, 96, FACENET_GROW, np.random.default_rng(seed), CropVariation())

    assert (draw(1) == draw(1)).all()
    assert difference(draw(1), draw(2)) > 1
    mirrored = CropVariation(mirror=1, shift=0, scale=0, light=0)
    plain = cut_crop(wide, 96, FACENET_GROW, None, mirrored)
    assert (cut_crop(wide, 96, FACENET_GROW, np.random.default_rng(0), mirrored) == plain[:, ::-1]).all()


def test_wear_takes_what_it_is_asked_to_take(wide: np.ndarray) -> None:
    assert Wear().does_nothing
    assert (wear_out(wide, 0.77, Wear()) == wide).all()
    grey = wear_out(wide, 0.77, Wear(grey=True))
    assert (grey == grey[:, :, :1]).all()
    small = wear_out(wide, 0.77, Wear(height=20.0))
    smaller = wear_out(wide, 0.77, Wear(height=10.0))
    assert 0 < difference(small, wide) < difference(smaller, wide)
    poor = wear_out(wide, 0.77, Wear(quality=30))
    poorer = wear_out(wide, 0.77, Wear(quality=5))
    assert 0 < difference(poor, wide) < difference(poorer, wide)
    colour = difference(poor[:, :, 0], wide[:, :, 0])
    assert colour < difference(poor[:, :, 2], wide[:, :, 0])  # red is still red
    every = wear_out(wide, 0.77, Wear(True, 40.0, 30), np.random.default_rng(0))
    assert every.shape == wide.shape
    assert every.dtype == np.uint8
