"""The detector with random weights: what it looks at, and where; faces are found in the test of its training."""

import math

import cv2
import numpy as np
import pytest
import torch

from facepipe.config import DetectConfig
from facepipe.detectors import ddfd
from facepipe.detectors.ddfd import DDFD
from facepipe.detectors.detector import Detections
from facepipe.imaging.boxes import nms
from facepipe.models.ddfd_network import DDFDNetwork
from facepipe.stages.detect_faces import build_detector


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Of a network that sees faces nearly everywhere."""
    torch.manual_seed(3)
    network = DDFDNetwork(0.1)
    torch.nn.init.normal_(network.get_parameter("classifier.6.weight"))
    network.face_box.copy_(torch.tensor([0.3, 0.2, 0.7, 0.75]))
    network.calibration.copy_(torch.tensor([0.1, 0.1]))
    return network.state_dict()


@pytest.fixture(scope="module")
def untrained(weights: dict[str, torch.Tensor]) -> DDFD:
    return DDFD(weights, min_face=30, device="cpu")


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def assert_same(first: Detections, second: Detections) -> None:
    assert len(first) == len(second)
    np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-4)


def test_what_comes_back_is_typed_sorted_and_inside_the_image(untrained: DDFD) -> None:
    (faces,) = untrained.detect([noise(70, 90)])
    assert len(faces) > 0
    assert faces.landmarks is None
    assert faces.boxes.dtype == faces.scores.dtype == np.float32
    assert faces.boxes.shape == (len(faces), 4)
    assert (np.diff(faces.scores) <= 0).all()
    assert ((faces.scores >= 0.1) & (faces.scores <= 1)).all()
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [90, 70, 90, 70]).all()
    assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()


@pytest.mark.parametrize("size", [(1, 1), (29, 300), (300, 29), (0, 0), (1, 10_000), (10_000, 1)])
def test_an_image_smaller_than_the_least_face_has_none(untrained: DDFD, size: tuple[int, int]) -> None:
    (faces,) = untrained.detect([noise(*size)])
    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)


def test_no_images_give_no_detections(untrained: DDFD) -> None:
    assert untrained.detect([]) == []


def test_neither_neighbours_nor_bands_change_what_is_found(
    weights: dict[str, torch.Tensor], untrained: DDFD, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [noise(80, 120, seed) for seed in range(3)] + [noise(64, 50, 9)]
    together = untrained.detect(images)
    for image, faces in zip(images, together, strict=True):
        assert_same(untrained.detect([image])[0], faces)
    monkeypatch.setattr(ddfd, "_PIXELS_AT_ONCE", {"cpu": 1})
    for faces, again in zip(together, untrained.detect(images), strict=True):
        assert_same(faces, again)


@torch.inference_mode()
def test_every_window_of_every_scale_is_looked_at(weights: dict[str, torch.Tensor]) -> None:
    """The slow twin: windows of one photo, cut out one by one, each as a crop through the network."""
    image = noise(61, 83, 5)
    min_face, crop, stride = 35.0, 97, 8
    network = DDFDNetwork(0.1).eval()
    network.load_state_dict(weights)
    height, width = image.shape[:2]
    face = crop * 0.55
    margin = math.ceil((crop - face) / 2)
    boxes, scores = [], []
    scale = round(face) / min_face
    while min(width, height) * scale >= round(face) - 1e-6:
        size = math.ceil(width * scale - 1e-6), math.ceil(height * scale - 1e-6)
        how = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
        level = cv2.resize(image, size, interpolation=how)
        frame = cv2.copyMakeBorder(level, margin, margin + crop, margin, margin + crop, cv2.BORDER_CONSTANT)
        for top in range(0, size[1] + 2 * margin - crop + stride, stride):
            for left in range(0, size[0] + 2 * margin - crop + stride, stride):
                window = torch.from_numpy(frame[top : top + crop, left : left + crop].copy())
                logit = network((window.float().permute(2, 0, 1)[None] - 127.5) / 128)
                edges = [left - margin + crop * 0.3, top - margin + crop * 0.2]
                edges += [left - margin + crop * 0.7, top - margin + crop * 0.75]
                boxes.append(np.array(edges) * np.tile([width / size[0], height / size[1]], 2))
                scores.append(1 / (1 + math.exp(-(0.1 * float(logit) + 0.1))))
        scale *= 2 ** (-1 / 3)
    box, score = np.array(boxes), np.array(scores)
    box, score = box[score >= 0.1], score[score >= 0.1]
    kept = nms(box, score, ddfd.MERGE_OVERLAP)
    expected = np.clip(box[kept], 0, [width, height, width, height])
    found = DDFD(weights, min_face=min_face, merging="max", device="cpu").detect([image])[0]
    assert len(kept) == len(found) > 0
    np.testing.assert_allclose(found.scores, score[kept], atol=1e-4)
    np.testing.assert_allclose(found.boxes, expected, atol=0.01)


def test_the_least_face_counts_in_pixels_of_the_photo(weights: dict[str, torch.Tensor], untrained: DDFD) -> None:
    image = noise(64, 80)
    assert_same(untrained.detect([image], [0.8])[0], DDFD(weights, min_face=24, device="cpu").detect([image])[0])


def test_a_photo_is_not_enlarged_without_limit(weights: dict[str, torch.Tensor]) -> None:
    image = noise(40, 40)
    least = 97 * 0.55 / ddfd.MOST_ENLARGED
    found, same = (DDFD(weights, min_face=size, device="cpu").detect([image])[0] for size in (1.0, least))
    assert_same(found, same)


def test_there_are_three_scales_an_octave_or_more(weights: dict[str, torch.Tensor]) -> None:
    assert DDFD(weights, factor=0.5).factor == pytest.approx(0.794, abs=1e-3)
    assert DDFD(weights, factor=0.9).factor == 0.9


def test_a_higher_least_score_leaves_the_best(weights: dict[str, torch.Tensor], untrained: DDFD) -> None:
    image = noise(120, 160)
    all_faces = untrained.detect([image])[0]
    least = float(np.median(all_faces.scores))
    best = DDFD(weights, min_face=30, min_score=least, device="cpu").detect([image])[0]
    assert 0 < len(best) < len(all_faces)
    assert best.scores.min() >= least - 1e-6


def test_settings_choose_the_detector(weights: dict[str, torch.Tensor]) -> None:
    detector = build_detector(DetectConfig(detector="ddfd", min_face=33, min_score=0.25), weights)
    assert isinstance(detector, DDFD)
    assert (detector.min_face, detector.min_score) == (33, 0.25)
