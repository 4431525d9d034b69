"""The cascade with random weights (structure) and with the pretrained ones (faces)."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facepipe.detectors.detector import Detections
from facepipe.detectors.mtcnn import MTCNN
from facepipe.evaluation.detection import evaluate_detections
from facepipe.imaging.boxes import iou
from facepipe.imaging.decode import decode_photo
from facepipe.models.mtcnn_networks import ONet, PNet, RNet

Labels = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def untrained() -> MTCNN:
    """A detector that sees faces nearly everywhere."""
    torch.manual_seed(3)
    weights = {
        f"{name}.{key}": value
        for name, network in (("pnet", PNet()), ("rnet", RNet()), ("onet", ONet()))
        for key, value in network.state_dict().items()
    }
    return MTCNN(weights, thresholds=(0.4, 0.3, 0.3), device="cpu")


@pytest.fixture(scope="module")
def detector(mtcnn_weights: str) -> MTCNN:
    return MTCNN.load(device="cpu")


def read(path: Path) -> np.ndarray:
    return decode_photo(path.read_bytes(), 2048, 10**8).pixels


def labels(folder: Path) -> Labels:
    rows: dict[str, list[list[float]]] = {}
    with (folder / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["image"], []).append([float(row[edge]) for edge in ("x0", "y0", "x1", "y1")])
    return {image: np.array(boxes) for image, boxes in rows.items()}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def assert_same(first: Detections, second: Detections) -> None:
    assert first.landmarks is not None
    assert second.landmarks is not None
    assert len(first) == len(second)
    np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-4)
    np.testing.assert_allclose(first.landmarks, second.landmarks, atol=0.01)


def test_what_comes_back_is_typed_sorted_and_inside_the_image(untrained: MTCNN) -> None:
    (faces,) = untrained.detect([noise(70, 90)])
    assert len(faces) > 0
    assert faces.landmarks is not None
    assert faces.boxes.dtype == faces.scores.dtype == faces.landmarks.dtype == np.float32
    assert (faces.boxes.shape, faces.landmarks.shape) == ((len(faces), 4), (len(faces), 5, 2))
    assert (np.diff(faces.scores) <= 0).all()
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [90, 70, 90, 70]).all()
    assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()


@pytest.mark.parametrize("size", [(1, 1), (11, 300), (300, 11), (0, 0), (19, 19)])
def test_an_image_smaller_than_the_least_face_has_none(untrained: MTCNN, size: tuple[int, int]) -> None:
    (faces,) = untrained.detect([noise(*size)])
    assert len(faces) == 0
    assert faces.landmarks is not None
    assert (faces.boxes.shape, faces.landmarks.shape) == ((0, 4), (0, 5, 2))


def test_no_images_give_no_answers(untrained: MTCNN) -> None:
    assert untrained.detect([]) == []


def test_batch_mates_change_nothing(untrained: MTCNN) -> None:
    batch = [noise(60, 80, 1), noise(11, 11), noise(60, 80, 2), noise(45, 33, 3), noise(60, 80, 1)]
    together = untrained.detect(batch, [1.0, 1.0, 0.8, 1.0, 1.0])
    for image, scale, faces in zip(batch, (1.0, 1.0, 0.8, 1.0, 1.0), together, strict=True):
        assert_same(faces, untrained.detect([image], [scale])[0])
    assert_same(together[0], together[4])
    assert len(together[0]) > 0


def test_small_passes_give_the_same_faces(untrained: MTCNN, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [noise(60, 80, 1), noise(60, 80, 2)]
    expected = untrained.detect(images)
    monkeypatch.setattr(MTCNN, "_pixels_at_once", 1500)
    monkeypatch.setattr(untrained, "_crops_at_once", 3)
    for few, many in zip(untrained.detect(images), expected, strict=True):
        assert_same(few, many)


def test_the_least_face_counts_in_pixels_of_the_photo(untrained: MTCNN) -> None:
    image = noise(64, 64)
    half = untrained.detect([image], [0.5])[
        0
    ]  # least face 20 px in a photo of 128 px: 10, but at least 12 in the image
    monotone = MTCNN.__new__(MTCNN)
    monotone.__dict__.update(untrained.__dict__, min_face=12.0)
    assert_same(half, monotone.detect([image])[0])
    assert len(untrained.detect([image])[0]) < len(half)


def test_scales_must_match_the_images(untrained: MTCNN) -> None:
    with pytest.raises(ValueError, match="zip"):
        untrained.detect([noise(30, 30)], [1.0, 1.0])


def test_labelled_faces_are_found_with_their_landmarks(detector: MTCNN, data: Path) -> None:
    folder = data / "faces68"
    truths = labels(folder)
    points: dict[tuple[str, int], list[list[float]]] = {}
    with (folder / "landmarks.csv").open() as file:
        for row in csv.DictReader(file):
            points.setdefault((row["image"], int(row["face"])), []).append([float(row["x"]), float(row["y"])])
    distances, found, faces = [], 0, 0
    for image, boxes in truths.items():
        (seen,) = detector.detect([read(folder / "images" / image)])
        assert seen.landmarks is not None
        faces += len(boxes)
        for face in range(len(boxes)):
            five = five_of_68(np.array(points[image, face]))
            inside = [i for i, box in enumerate(seen.boxes) if (box[:2] < five).all() and (five < box[2:]).all()]
            if inside:
                found += 1
                eyes = np.linalg.norm(five[0] - five[1])
                distances.append(np.linalg.norm(seen.landmarks[inside[0]] - five, axis=1).mean() / eyes)
    assert found >= 0.9 * faces
    assert np.median(distances) < 0.1  # of the distance between the eyes


def five_of_68(points: np.ndarray) -> np.ndarray:
    """Image-left eye, image-right eye, nose, image-left and -right mouth corner of the iBUG order."""
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def test_a_photo_decoded_at_half_size_shows_the_same_faces(detector: MTCNN, data: Path) -> None:
    image = read(data / "album" / "obama_and_biden.jpg")
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    whole_faces, half_faces = detector.detect([image, half], [1.0, 0.5])
    sure, sure_half = whole_faces.boxes[whole_faces.scores > 0.99], half_faces.boxes[half_faces.scores > 0.99]
    assert len(sure) == len(sure_half) == 3
    assert (iou(sure, sure_half * 2).max(axis=1) > 0.8).all()


def test_average_precision_on_wider_face(detector: MTCNN, data: Path) -> None:
    """The figure promised for the default settings."""
    folder = data / "wider-dev"
    truths = labels(folder)
    seen = [detector.detect([read(folder / "images" / image)])[0] for image in truths]
    figures = evaluate_detections(
        [faces.boxes for faces in seen], [faces.scores for faces in seen], list(truths.values()), 20
    )
    assert figures.average_precision >= 0.68
    assert figures.precision >= 0.65
