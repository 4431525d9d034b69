"""MTCNN's samples: their kinds against the paper's overlaps."""

from pathlib import Path

import numpy as np
import torch

from facepipe.imaging.boxes import iou
from facepipe.models.mtcnn_networks import PNet
from facepipe.training.batches import MixedBatches
from facepipe.training.labels import read_labels
from facepipe.training.mtcnn import MtcnnOptions, MtcnnTask, collect
from facepipe.training.photos import Variation
from facepipe.training.recipe import Fit
from facepipe.training.windows import NEGATIVE, PART, POSITIVE
from tests.drawn_faces import draw_photos


def test_samples_are_of_the_papers_kinds(tmp_path: Path) -> None:
    drawn = draw_photos(tmp_path / "photos", 6, seed=4)
    labels = read_labels(drawn.images, drawn.boxes, drawn.landmarks)
    plain = MtcnnOptions(effort=0.001, variation=Variation(0, 0, 0, 0))
    samples = collect("pnet", [labels], tmp_path / "samples", {}, plain, Fit())
    arrays = samples.arrays()
    kind, offsets = arrays["kind"], arrays["offsets"]
    assert {int(one) for one in kind} == {NEGATIVE, POSITIVE, PART}
    window = np.tile(np.array([0.0, 0, 1, 1]), (len(offsets), 1))
    overlap = np.array(
        [iou(own[None], (own + offset)[None])[0, 0] for own, offset in zip(window, offsets, strict=True)]
    )
    assert overlap[kind == POSITIVE].min() > 0.65
    assert 0.4 <= overlap[kind == PART].min() <= overlap[kind == PART].max() <= 0.651
    assert overlap[kind == NEGATIVE].max() < 0.3
    assert arrays["crops"].shape == (len(kind), 12, 12, 3)
    assert not np.isnan(arrays["landmarks"][kind == POSITIVE]).any()


def test_training_starts_from_given_weights(tmp_path: Path) -> None:
    given_weights = {name: torch.full_like(value, 0.25) for name, value in PNet().state_dict().items()}
    task = MtcnnTask("pnet", MixedBatches(None, {}), given_weights)  # type: ignore[arg-type]
    assert all(bool((value == 0.25).all()) for value in task.network().state_dict().values())
