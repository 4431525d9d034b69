"""Drawn faces are learned in a few steps; what a network is told of windows."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from facepipe.detectors.ddfd import DDFD
from facepipe.detectors.detector import Detections
from facepipe.errors import WrongUsageError
from facepipe.evaluation.detection import evaluate_detections
from facepipe.models.architectures import check_shapes
from facepipe.models.ddfd_network import DDFDNetwork
from facepipe.training.batches import MixedBatches
from facepipe.training.ddfd import train as training
from facepipe.training.ddfd.samples import (
    BACKGROUND,
    FACE,
    MISTAKEN,
    coarsened,
    crops_taken_for_faces,
    ignore_small_faces,
    mean_face_box,
    samples_of,
    square_of_equal_area,
    windows_around,
)
from facepipe.training.ddfd.train import DdfdOptions, DdfdTask, train_ddfd
from facepipe.training.labels import LabelledPhoto, Labels
from facepipe.training.photos import FacesOnPhoto, Variation
from facepipe.training.recipe import Fit
from facepipe.training.samples import SampleWriter


def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a photo of grey blots with two drawn faces, and their boxes."""
    rng = np.random.default_rng(number)
    blots = rng.integers(60, 200, (12, 16, 3)).astype(np.uint8)
    image = cv2.resize(blots, (160, 120), interpolation=cv2.INTER_LINEAR)
    boxes = []
    for left in (8, 86):
        height = int(rng.integers(40, 60))
        width = round(height * 0.8)
        x, y = left + int(rng.integers(0, 12)), int(rng.integers(4, 116 - height))
        centre = (x + width // 2, y + height // 2)
        cv2.ellipse(image, centre, (width // 2, height // 2), 0, 0, 360, (225, 180, 150), -1)
        for eye in (-1, 1):
            cv2.circle(image, (centre[0] + eye * width // 5, centre[1] - height // 8), height // 11, (20, 20, 60), -1)
        cv2.ellipse(
            image, (centre[0], centre[1] + height // 4), (width // 5, height // 14), 0, 0, 360, (150, 20, 20), -1
        )
        boxes.append([x, y, x + width, y + height])
    return image, np.array(boxes, np.float32)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    folder = tmp_path_factory.mktemp("drawn")
    photos = []
    for number in range(24):
        image, boxes = drawn(number)
        Image.fromarray(image).save(folder / f"{number:02}.png")
        unknown = np.full((2, 5, 2), np.nan, np.float32)
        photos.append(LabelledPhoto(folder / f"{number:02}.png", boxes, unknown, boxes[:0]))
    return Labels(photos, {})


@pytest.fixture(scope="module")
def trained(labels: Labels, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "STEPS", (70, 30))
        patch.setattr(training, "LEARNING_RATES", (3e-3, 1e-3))
        patch.setattr(training, "FACES", 300)
        for name, count in (("FACES_A_BATCH", 12), ("OTHERS_A_BATCH", 36), ("MISTAKEN_A_BATCH", 18)):
            patch.setattr(training, name, count)
        patch.setattr(training, "MINED_PHOTOS", 10)
        options = DdfdOptions(width=0.1, variation=Variation(turn=0, worsen=0, grey=0))
        return train_ddfd([labels], tmp_path_factory.mktemp("training"), options, Fit())


def test_drawn_faces_are_found_on_photos_never_seen(trained: dict[str, torch.Tensor]) -> None:
    check_shapes(trained, "ddfd", "what was trained")
    photos = [drawn(number) for number in range(100, 112)]
    found = DDFD(trained, min_face=36, device="cpu").detect([image for image, _ in photos])
    figures = evaluate_detections(
        [faces.boxes for faces in found], [faces.scores for faces in found], [boxes for _, boxes in photos], 30
    )
    assert figures.average_precision > 0.7
    left, top, right, bottom = trained["face_box"].tolist()
    assert (right - left) / (bottom - top) == pytest.approx(0.8, abs=0.05)
    slope, _ = trained["calibration"].tolist()
    assert slope > 0


def test_a_photo_of_one_colour_has_no_faces(trained: dict[str, torch.Tensor]) -> None:
    plain = [np.full((120, 150, 3), value, np.uint8) for value in (0, 128, 255)]
    detector = DDFD(trained, min_face=30, min_score=0.5, device="cpu")
    assert [len(faces) for faces in detector.detect(plain)] == [0, 0, 0]


def photo(boxes: list[list[float]], ignored: list[list[float]] | None = None) -> FacesOnPhoto:
    image = np.random.default_rng(0).integers(1, 256, (100, 200, 3)).astype(np.uint8)
    box = np.array(boxes, np.float32).reshape(-1, 4)
    points = np.full((len(box), 5, 2), np.nan, np.float32)
    return FacesOnPhoto(image, box, points, np.array(ignored or [], np.float32).reshape(-1, 4))


def test_windows_that_overlap_a_faces_square_by_more_than_half_are_faces() -> None:
    """The square of a face 20 wide and 45 high is 30 wide and high."""
    faces = photo([[50, 20, 70, 65]])
    squares = np.array(
        [[45, 27.5, 75, 57.5], [54, 27.5, 84, 57.5], [56, 27.5, 86, 57.5], [150, 10, 180, 40]], np.float32
    )
    rows = samples_of(faces, squares, 97, np.random.default_rng(0))
    assert rows["kind"].tolist() == [FACE, FACE, BACKGROUND, BACKGROUND]
    assert rows["crops"].shape == (4, 97, 97, 3)
    assert rows["offsets"][0] == pytest.approx([5 / 30, -0.25, -5 / 30, 0.25])


def test_small_faces_ignored_regions_and_crops_past_the_photo_teach_nothing() -> None:
    faces = photo([[20, 20, 30, 32]], [[100, 0, 150, 50]])
    squares = np.array([[20, 20, 32, 32], [110, 10, 140, 40], [-60, -60, 0, 0], [160, 60, 180, 80]], np.float32)
    assert samples_of(faces, squares, 97, np.random.default_rng(0))["kind"].tolist() == [BACKGROUND]
    empty = samples_of(photo([]), squares[:0], 97, np.random.default_rng(0))
    assert empty["crops"].shape == (0, 97, 97, 3)


def test_windows_hold_what_is_around_their_squares() -> None:
    squares = square_of_equal_area(np.array([[10, 10, 50, 20]], np.float32))
    assert squares.tolist() == [[20, 5, 40, 25]]
    assert windows_around(squares).tolist() == [[10, -5, 50, 35]]
    assert mean_face_box(np.array([[0, 0, 0, 0], [0.2, 0, 0, 0]], np.float32)) == pytest.approx([0.3, 0.25, 0.75, 0.75])


def test_coarse_crops_keep_their_size_and_mean() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (97, 97, 3)).astype(np.uint8)
    coarse = coarsened(crop, 20)
    assert coarse.shape == crop.shape
    assert coarse.std() < crop.std() / 2
    assert coarse.mean() == pytest.approx(crop.mean(), abs=3)


def test_what_a_network_takes_for_faces_is_mistaken_unless_it_is_one() -> None:
    class Everywhere(DDFD):
        def __init__(self) -> None:
            pass

        def detect(self, images: Sequence[np.ndarray], scales: Sequence[float] | None = None) -> list[Detections]:
            boxes = np.array([[50, 20, 80, 50], [120, 30, 150, 70], [10, 10, 40, 40]], np.float32)
            return [Detections(boxes, np.ones(3, np.float32), None)]

    rows = crops_taken_for_faces(photo([[50, 20, 80, 50]]), Everywhere(), 97, np.random.default_rng(0))
    assert rows["kind"].tolist() == [MISTAKEN, MISTAKEN]


def test_small_faces_are_ignored_and_do_not_count(labels: Labels) -> None:
    first = labels.photos[0]
    boxes = np.array([[0, 0, 9, 10], [20, 20, 40, 44]], np.float32)
    mixed = Labels([LabelledPhoto(first.path, boxes, first.landmarks, boxes[:0])], {})
    kept = ignore_small_faces(mixed)
    assert kept.photos[0].boxes.tolist() == [[20, 20, 40, 44]]
    assert kept.photos[0].ignored.tolist() == [[0, 0, 9, 10]]
    assert kept.faces == 1
    only_small = Labels([LabelledPhoto(first.path, boxes[:1], first.landmarks[:1], boxes[:0])], {})
    assert ignore_small_faces(only_small) is only_small


def task(folder: Path) -> DdfdTask:
    writer = SampleWriter(folder)
    rng = np.random.default_rng(0)
    kinds = np.array([FACE, BACKGROUND] * 4, np.int8)
    writer.append({"crops": rng.integers(0, 256, (8, 97, 97, 3)).astype(np.uint8), "kind": kinds})
    return DdfdTask([MixedBatches(writer.finish(), {FACE: 32, BACKGROUND: 96})], 0.1, 97, normalised=True)


def test_batches_hold_32_faces_of_128(tmp_path: Path) -> None:
    made = task(tmp_path / "samples")
    batch = made.batch(np.random.default_rng(0), slice(None))
    assert batch["crops"].shape == (128, 3, 97, 97)
    assert int((batch["kind"] == FACE).sum()) == 32
    shares = [made.batch(np.random.default_rng(0), slice(first, None, 2)) for first in (0, 1)]
    assert [len(share["kind"]) for share in shares] == [64, 64]
    assert sum(int((share["kind"] == FACE).sum()) for share in shares) == 32


def test_the_loss_is_the_mean_cross_entropy(tmp_path: Path) -> None:
    made = task(tmp_path / "samples")
    logits = torch.tensor([2.0, -1.0, 0.5])
    batch = {"crops": torch.zeros(3, 1), "kind": torch.tensor([FACE, BACKGROUND, MISTAKEN])}

    class Known(nn.Module):
        def forward(self, _crops: torch.Tensor) -> torch.Tensor:
            return logits

    losses = made.losses(Known(), batch)
    share = 1 / (1 + np.exp(-logits.numpy()))
    assert float(losses["loss"]) == pytest.approx(-np.log([share[0], 1 - share[1], 1 - share[2]]).mean(), abs=1e-6)
    assert float(losses["wrong"]) == pytest.approx(1 / 3)


def test_weights_of_another_size_are_no_start(labels: Labels, tmp_path: Path) -> None:
    options = DdfdOptions(width=0.1, init=DDFDNetwork(0.15).state_dict())
    with pytest.raises(WrongUsageError, match="--width"):
        train_ddfd([labels], tmp_path, options, Fit())
    with pytest.raises(WrongUsageError, match="97, 113, 129"):
        train_ddfd([labels], tmp_path, DdfdOptions(crop=98), Fit())
    assert not list(tmp_path.iterdir()), "refused before anything is done"
