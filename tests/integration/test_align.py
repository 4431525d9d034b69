"""`align` on real photos: each face is turned to the camera, and a picture shows how."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.imaging.steps_picture import PANEL_WIDTH
from facepipe.models.face_shape import read_shape, shipped_shape
from tests.program import facepipe


@pytest.fixture(scope="module")
def group_photo(data: Path) -> Path:
    """A photo of several faces."""
    return sorted((data / "faces68" / "images").glob("*.jpg"))[0]


def test_each_face_is_aligned_and_drawn(group_photo: Path, weights: object, tmp_path: Path) -> None:
    picture = tmp_path / "steps.png"
    done = facepipe("align", group_photo, "--show", picture, "--json")
    assert done.code == 0, done.err
    faces = done.json["faces"]
    assert len(faces) >= 5
    for face in faces:
        points, box = np.array(face["points"]), np.array(face["box"])
        assert points.shape == (68, 2)
        middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        assert (np.abs(points.mean(axis=0) - middle) < 0.35 * size).all()
        assert 0.5 < face["seen"] <= 1
    with Image.open(picture) as drawn:
        assert drawn.width > 4 * PANEL_WIDTH
        assert drawn.height > 2 * len(faces) * PANEL_WIDTH / 2
        assert len(np.unique(np.asarray(drawn.resize((200, 200))).reshape(-1, 3), axis=0)) > 1000


def test_68_points_are_found_in_rounds(group_photo: Path, weights: object) -> None:
    pytest.importorskip("dlib", reason="the extra deepface is not installed")
    assert facepipe("models", "pull", "dlib-68").code == 0
    done = facepipe("align", group_photo, "--set", "embed.fiducials=dlib", "--json")
    assert done.code == 0, done.err
    assert all(face["rounds"] >= 2 for face in done.json["faces"])


def test_the_generic_shape_is_computed_from_photos(data: Path, weights: object, tmp_path: Path) -> None:
    pytest.importorskip("dlib", reason="the extra deepface is not installed")
    assert facepipe("models", "pull", "dlib-68").code == 0
    for photo in sorted((data / "lfw-train" / "images").glob("*/*.jpg"))[::40]:
        (tmp_path / "people" / photo.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / "people" / photo.parent.name)
    file = tmp_path / "shape.safetensors"
    done = facepipe("models", "shape", file, "--images", tmp_path / "people", "--engine", "local", "--json")
    assert done.code == 0, done.err
    computed, shipped = read_shape(file), shipped_shape()
    assert np.allclose(computed.points, done.json["points"], atol=0.01)
    off = np.linalg.norm(computed.points - shipped.points, axis=1)
    assert np.median(off) < 6  # mm, from 52 faces rather than 2,052; an average face is about 140 mm wide
    few = tmp_path / "few"
    shutil.copytree(next((tmp_path / "people").iterdir()), few / "one")
    refused = facepipe("models", "shape", tmp_path / "no", "--images", few, "--engine", "local")
    assert refused.code != 0
    assert "at least 20 faces, and 1 were found" in refused.err
    assert not (tmp_path / "no").exists()


def test_what_can_not_be_aligned_ends_in_a_sentence(group_photo: Path, weights: object, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (200, 200), (128, 128, 128)).save(grey)
    done = facepipe("align", grey)
    assert (done.code, done.err) == (2, f"facepipe: no face was found on {grey}: there is nothing to align\n")
    done = facepipe("align", group_photo, "--show", tmp_path / "absent" / "steps.png")
    assert done.code == 2
    assert "can't be written" in done.err
    shutil.copy(group_photo, tmp_path / "photo.jpg")
    done = facepipe("align", tmp_path / "photo.jpg", "--show", tmp_path / "steps.unknown")
    assert done.code == 2
