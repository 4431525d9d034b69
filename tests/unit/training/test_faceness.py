"""Faceness learned from drawn faces finds others; what was finished is not done again."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facepipe.config import DecodeConfig
from facepipe.detectors.faceness import Faceness
from facepipe.evaluation.detection import evaluate_detections
from facepipe.models.architectures import check_shapes
from facepipe.models.faceness_networks import PARTS, attributes_of
from facepipe.training.faceness import train
from facepipe.training.faceness.parts import BACKGROUND, FACE
from facepipe.training.faceness.train import FacenessOptions, train_faceness
from facepipe.training.labels import Labels, read_labels
from facepipe.training.loop import State
from facepipe.training.photos import Variation, read_photo
from facepipe.training.recipe import Fit
from facepipe.training.windows import NEGATIVE, PART, POSITIVE
from tests.drawn_faces import draw_photos
from tests.unit.training.test_celeba import line, miniature

LEAST_PRECISION = 0.4  # average precision; a detector that has learned nothing has hardly any


def labels(folder: Path, photos: int, seed: int) -> Labels:
    drawn = draw_photos(folder, photos, seed)
    return read_labels(drawn.images, drawn.boxes, drawn.landmarks)


@pytest.fixture(scope="module")
def small_batches() -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr(train, "BATCH", {NEGATIVE: 32, POSITIVE: 16, PART: 8})
    patch.setattr(train, "PART_BATCH", {FACE: 16, BACKGROUND: 8})
    yield
    patch.undo()


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, small_batches: None) -> tuple[Path, Labels, State]:
    folder = tmp_path_factory.mktemp("faceness")
    sources = labels(folder / "drawn", 32, 1)
    options = FacenessOptions(effort=0.025, variation=Variation(cover=0.3))
    return folder, sources, train_faceness([sources], folder / "training", options, Fit())


def test_it_finds_faces_that_it_has_not_seen(training: tuple[Path, Labels, State], tmp_path: Path) -> None:
    state = training[2]
    check_shapes(state, "faceness", "the training")
    assert sum(tensor.numel() for tensor in state.values()) * 2 < 3_000_000
    fresh = labels(tmp_path, 12, 2)
    photos = [read_photo(photo, DecodeConfig()) for photo in fresh.photos]
    found = Faceness(state, min_score=0.02, device="cpu").detect([photo.image for photo in photos if photo])
    figures = evaluate_detections(
        [one.boxes for one in found], [one.scores for one in found], [photo.boxes for photo in fresh.photos], 20
    )
    assert figures.average_precision > LEAST_PRECISION
    half = {name: value.half() for name, value in state.items()}
    shorter = Faceness(half, min_score=0.02, device="cpu").detect([photos[0].image]) if photos[0] else []
    assert shorter[0].scores[0] == pytest.approx(found[0].scores[0], abs=0.02)


def test_what_is_finished_is_not_done_again(training: tuple[Path, Labels, State]) -> None:
    folder, sources, state = training
    files = {path: path.stat().st_mtime_ns for path in (folder / "training").rglob("*") if path.is_file()}
    options = FacenessOptions(effort=0.025, variation=Variation(cover=0.3))
    again = train_faceness([sources], folder / "training", options, Fit())
    assert {path: path.stat().st_mtime_ns for path in (folder / "training").rglob("*") if path.is_file()} == files
    assert all(torch.equal(again[name], value) for name, value in state.items())


def test_parts_learn_attributes_where_they_are_given(tmp_path: Path, small_batches: None) -> None:
    sources = labels(tmp_path / "drawn", 4, 3)
    listed = miniature(tmp_path / "list.txt", *(line(photo.path.name, "Smiling") for photo in sources.photos))
    losses: dict[str, set[str]] = {}

    def show(name: str, progress: object) -> None:
        losses.setdefault(name, set()).update(getattr(progress, "losses", {}))

    options = FacenessOptions(effort=0.001, attributes=str(listed))
    state = train_faceness([sources], tmp_path / "training", options, Fit(show=show))
    assert [attributes_of(state, part) for part in PARTS] == [9, 5, 2, 4, 5]
    assert all("attributes" in losses[part] for part in PARTS)
    check_shapes(state, "faceness", "the training")
    assert isinstance(Faceness(state).detect([np.zeros((60, 60, 3), np.uint8)]), list)
