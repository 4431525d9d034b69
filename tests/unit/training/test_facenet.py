"""What FaceNet learns beside triplets: what given weights said is kept, and the result lies between old and new."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from facepipe.models.tensors import part_of
from facepipe.training.face_crops import CropVariation, Wear
from facepipe.training.facenet.train import ADAPTED_SHARE, NETWORK, FaceNetOptions, MakeNetwork, train_facenet
from facepipe.training.loop import FINISHED
from facepipe.training.recipe import Fit
from facepipe.training.samples import Samples
from tests.drawn_people import draw_people

BATCH: Mapping[str, Any] = {"people": 3, "faces": 2, "others": 2}
SCRATCH = FaceNetOptions(width=1 / 8, effort=0.005, variation=CropVariation(wear=Wear(grey=True)), **BATCH)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return draw_people(tmp_path_factory.mktemp("drawn"), 160).samples


def test_the_result_lies_between_the_given_weights_and_those_that_have_learned(
    samples: Samples, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    given = MakeNetwork(None, None, SCRATCH.width)().trunk.state_dict()
    mean = np.full(512, 0.01, np.float32)
    adapted = train_facenet(samples, tmp_path, replace(SCRATCH, init=given, mean=mean), Fit())
    learned = part_of(safetensors.torch.load_file(tmp_path / NETWORK / FINISHED), "trunk.")
    moved = 0.0
    for name, values in adapted.items():
        torch.testing.assert_close(values, (1 - ADAPTED_SHARE) * given[name] + ADAPTED_SHARE * learned[name])
        moved += float((learned[name] - given[name]).abs().sum())
    assert moved > 0
    said = Samples(tmp_path / "kept").arrays()["embedding"]
    assert said.shape == (len(samples.arrays()["person"]), 512)
    assert np.linalg.norm(said, axis=1) == pytest.approx(1, abs=1e-3)


def test_from_scratch_nothing_is_averaged(samples: Samples, tmp_path: Path) -> None:
    state = train_facenet(samples, tmp_path, SCRATCH, Fit())
    learned = part_of(safetensors.torch.load_file(tmp_path / NETWORK / FINISHED), "trunk.")
    assert all(torch.equal(values, learned[name]) for name, values in state.items())
    assert not (tmp_path / "kept").exists()
