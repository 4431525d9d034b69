from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facepipe.detectors.hog.detector import HOG
from facepipe.errors import TrainingError, WrongUsageError
from facepipe.evaluation.detection import evaluate_detections
from facepipe.imaging.decode import decode_photo
from facepipe.training.hog.options import HogOptions
from facepipe.training.hog.train import train_hog
from facepipe.training.labels import Labels, read_labels
from facepipe.training.recipe import Fit
from tests.drawn_faces import draw_photos

OPTIONS = HogOptions(effort=0.03, words=48, rounds=1, seed=4)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    drawn = draw_photos(tmp_path_factory.mktemp("drawn"), 24, seed=1)
    return read_labels(drawn.images, drawn.boxes)


@pytest.fixture(scope="module")
def trained(labels: Labels, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("training")
    return folder, train_hog([labels], folder, OPTIONS, Fit())


def test_drawn_faces_are_found_on_photos_never_seen(
    trained: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    drawn = draw_photos(tmp_path, 12, seed=2)
    photos = read_labels(drawn.images, drawn.boxes).photos
    detector = HOG({name: values.half() for name, values in trained[1].items()})
    found = detector.detect([decode_photo(photo.path.read_bytes(), 2048, 10**8).pixels for photo in photos])
    figures = evaluate_detections(
        [faces.boxes for faces in found], [faces.scores for faces in found], [photo.boxes for photo in photos], 20
    )
    assert figures.average_precision > 0.8
    best = np.concatenate([faces.scores[:1] for faces in found])
    assert best.mean() > 0.5, "a face's score is a share of faces"


def test_a_training_goes_on_where_it_was(
    labels: Labels, trained: tuple[Path, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, state = trained
    for file in (folder / "background1").iterdir():
        file.unlink()
    (folder / "background1").rmdir()
    said: list[str] = []
    again = train_hog([labels], folder, OPTIONS, Fit(say=said.append))
    assert not any("blocks" in line or "windows of faces" in line or "background 1" in line for line in said)
    assert any("background 2 of 2" in line for line in said)
    assert all(torch.equal(again[name], values) for name, values in state.items())


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.1}, {"rounds": 6}, {"words": 1}, {"cell": 1}])
def test_options_without_a_meaning_are_refused(wrong: dict[str, Any], labels: Labels, tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError):
        train_hog([labels], tmp_path, replace(OPTIONS, **wrong), Fit())


def test_faces_too_small_to_learn_from_are_one_sentence(labels: Labels, tmp_path: Path) -> None:
    small = [replace(photo, boxes=np.array([[5, 5, 15, 20]], np.float32)) for photo in labels.photos[:2]]
    with pytest.raises(TrainingError, match="no face is at least 20 pixels high"):
        train_hog([Labels(small, {})], tmp_path, OPTIONS, Fit())
