"""Each detector that ships, in the whole job and on photos that have little to show."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from facepipe.config import DETECTORS, DetectConfig
from facepipe.detectors.detector import Detector
from facepipe.imaging.boxes import iou
from facepipe.imaging.decode import decode_photo
from facepipe.library.library import Library
from facepipe.models.registry import MODELS, ModelEntry
from facepipe.stages.detect_faces import load_detector
from facepipe.training.labels import read_boxes
from tests.program import facepipe

SHIPPED: Sequence[ModelEntry] = [entry for entry in MODELS.values() if entry.ships and entry.architecture in DETECTORS]
WITHOUT_LANDMARKS = [entry.name for entry in SHIPPED if entry.architecture != "mtcnn"]


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda entry: entry.name)
def detector(request: pytest.FixtureRequest) -> Detector:
    entry: ModelEntry = request.param
    return load_detector(
        DetectConfig.model_validate({"detector": entry.architecture, "model": entry.name, "min_score": 0.3})
    )


def test_photos_with_nothing_to_show(detector: Detector) -> None:
    photos = [
        np.zeros((5, 7, 3), np.uint8),
        np.full((1, 1, 3), 200, np.uint8),
        np.full((300, 200, 3), 120, np.uint8),
        np.zeros((200, 300, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (1, 10_000, 3)).astype(np.uint8),
        np.full((10_000, 1, 3), 255, np.uint8),
    ]
    for found in detector.detect(photos):
        assert found.boxes.shape == (0, 4)
        assert found.scores.shape == (0,)
    assert detector.detect([]) == []


def test_faces_are_found_whatever_else_is_in_the_batch(detector: Detector, data: Path) -> None:
    name = "2007_007763.jpg"
    truth = read_boxes(data / "faces68" / "boxes.csv")[name]
    photo = decode_photo((data / "faces68" / "images" / name).read_bytes(), 2048, 1 << 28).pixels
    alone = detector.detect([photo])[0]
    assert (iou(truth, alone.boxes).max(axis=1) >= 0.5).mean() >= 0.7
    assert (np.diff(alone.scores) <= 0).all()
    assert 0 <= alone.boxes.min() <= alone.boxes[:, 2].max() <= photo.shape[1]
    together = detector.detect([photo[:100, :120], photo, np.zeros_like(photo)])
    assert np.allclose(together[1].boxes, alone.boxes, atol=0.05)
    assert len(together[2]) == 0
    half = detector.detect([photo], [2.0])[0]  # of a photo half as large: least faces are twice as high here
    assert (half.boxes[:, 3] - half.boxes[:, 1]).min(initial=1000) > 25


# One in `make test`, the others, which take the same way, in `make test-long`.
@pytest.mark.parametrize(
    "name", [WITHOUT_LANDMARKS[0], *(pytest.param(name, marks=pytest.mark.long) for name in WITHOUT_LANDMARKS[1:])]
)
def test_the_whole_job_without_landmarks(name: str, facenet_weights: str, data: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for source in sorted((data / "album").glob("*.jpg"))[:6]:
        (photos / source.name).write_bytes(source.read_bytes())
    library = tmp_path / "library"
    done = facepipe("run", photos, "--library", library, "--engine", "local", "--detector", name, "--json")
    assert done.code == 0, done.err
    assert done.json["faces"] >= 6
    assert facepipe("check", "--library", library).code == 0
    faces = Library.open(str(library)).read("faces")
    assert pc.all(pc.is_null(faces["landmarks"])).as_py()
    assert pc.all(pc.is_null(faces["yaw"])).as_py()
    assert set(Library.open(str(library)).read("photos")["extracted_with"].to_pylist()) == {
        f"{name}+facenet-casia-webface"
    }
    other = facepipe("search", sorted(photos.iterdir())[0], "--library", library, "--detector", name, "--json")
    assert other.code == 0, other.err
    assert other.json["faces"]
