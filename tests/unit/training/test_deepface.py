"""DeepFace learns to tell drawn people apart, and its features are scaled by the greatest values that they took."""

from pathlib import Path

import numpy as np
import pytest

from facepipe.alignment.aligning import grow_of
from facepipe.models.deepface_network import DeepFaceNetwork
from facepipe.training.deepface.train import DeepFaceOptions, train_deepface
from facepipe.training.face_crops import CropVariation
from facepipe.training.face_samples import FaceSamples
from facepipe.training.identity_task import as_images
from facepipe.training.judging import embed
from facepipe.training.loop import Progress
from facepipe.training.people import split
from facepipe.training.recipe import Fit
from tests.drawn_people import draw_people

STILL = CropVariation(mirror=0, shift=0, scale=0, light=0)
OPTIONS = DeepFaceOptions(width=1 / 4, input_size=72, alignment="box", effort=0.05, variation=STILL)  # 35 steps


def test_it_learns_and_scales_its_features(tmp_path: Path) -> None:
    samples = draw_people(tmp_path / "drawn", OPTIONS.input_size).samples
    seen: list[Progress] = []
    state = train_deepface(samples, tmp_path, OPTIONS, Fit(show=lambda _name, progress: seen.append(progress)))
    assert np.mean([progress.losses["loss"] for progress in seen[-5:]]) < 3.3  # chance: log(36) = 3.58
    assert not any(name.startswith("F8") for name in state)
    network = DeepFaceNetwork(OPTIONS.width, OPTIONS.input_size)
    maxima = state["maxima"].numpy()
    network.load_state_dict(state)
    network.eval()
    faces = FaceSamples(samples, OPTIONS.input_size, grow_of(OPTIONS.alignment), OPTIONS.variation)
    learned, _ = split(faces.person, OPTIONS.seed)
    features = embed(lambda crops: network.features(as_images(crops, network)), faces, learned)
    assert features.max(axis=0) == pytest.approx(maxima, rel=1e-5)
    assert np.count_nonzero(maxima) > len(maxima) / 4
