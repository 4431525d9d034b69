"""Whole photos are worn as an archive would have kept them."""

import io

import numpy as np
import pytest
from PIL import Image

from facepipe.studies.recognisers.judged_faces import wear_photo
from facepipe.training.face_crops import Wear


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))


def worn(photo: Image.Image, wear: Wear, face_height: float = 100) -> Image.Image:
    return Image.open(io.BytesIO(wear_photo(photo, face_height, wear)))


def test_a_face_becomes_as_high_as_asked_for(photo: Image.Image) -> None:
    assert worn(photo, Wear(height=40)).size == (120, 80)
    assert worn(photo, Wear(height=40), face_height=30).size == (300, 200)  # never enlarged


def test_grey_and_quality(photo: Image.Image) -> None:
    assert worn(photo, Wear(grey=True)).mode == "L"
    assert worn(photo, Wear()).mode == "RGB"
    assert len(wear_photo(photo, 100, Wear(quality=30))) < len(wear_photo(photo, 100, Wear())) / 2
