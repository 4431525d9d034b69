"""Triplets teach a small network to tell drawn people apart whom it has never seen, and its failures have names."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facepipe.errors import TrainingError
from facepipe.training.batches import as_input
from facepipe.training.face_crops import CropVariation, Wear
from facepipe.training.face_samples import FaceSamples
from facepipe.training.judging import embed
from facepipe.training.loop import Plan, Progress, fit
from facepipe.training.people import PeopleSampler
from facepipe.training.samples import SampleWriter
from facepipe.training.triplet_task import Kept, TripletTask
from tests.drawn_people import PEOPLE, draw_people

SIZE = 24


class SmallNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 16)
        )

    def forward(self, crops: Tensor) -> Tensor:
        return F.normalize(self.layers(as_input(crops)), dim=1)


class Constant(SmallNetwork):
    """Every face gets about the same vector."""

    def forward(self, crops: Tensor) -> Tensor:
        return F.normalize(1e-4 * super().forward(crops) + 1, dim=1)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceSamples:
    return draw_people(tmp_path_factory.mktemp("drawn"), SIZE)


def make_task(faces: FaceSamples, network: Callable[[], nn.Module] = SmallNetwork, **settings: Any) -> TripletTask:
    rows = np.flatnonzero(faces.person < PEOPLE // 2)
    return TripletTask(
        network,
        faces,
        rows,
        np.flatnonzero(faces.person >= PEOPLE // 2),
        PeopleSampler(faces.person[rows], 8, 3, 8),
        **settings,
    )


def test_it_tells_people_apart_whom_it_has_never_seen(faces: FaceSamples, tmp_path: Path) -> None:
    task = make_task(faces, patience=100)
    torch.manual_seed(0)
    before = task.judge(task.network())["auc"]
    seen: list[Progress] = []
    plan = Plan(120, 3e-3, report_steps=20, checkpoint_steps=40)
    fit(task, plan, tmp_path, on_progress=seen.append)
    after = max(progress.judged["auc"] for progress in seen if progress.judged)
    assert before < 0.75  # chance: 0.5
    assert after > 0.85
    assert seen[-1].losses["positive"] < seen[-1].losses["negative"]
    assert 0 < seen[-1].losses["active"] <= 1


def test_worn_faces_are_judged_apart_and_what_was_said_is_kept(faces: FaceSamples, tmp_path: Path) -> None:
    worn = replace(faces, variation=CropVariation(wear=Wear(grey=True, height=20.0), worn=1.0))
    writer = SampleWriter(tmp_path / "kept")
    torch.manual_seed(0)
    writer.append({"embedding": embed(SmallNetwork(), faces, np.arange(len(faces.person)))})
    kept = Kept(writer.finish(), 1e3)
    task = make_task(worn, kept=kept)
    network = SmallNetwork()
    figures = task.judge(network)
    assert figures["auc"] != figures["worn_auc"]
    before = kept.samples.arrays()["embedding"][task.judged_rows]
    off = [embed(network, worn, task.judged_rows, worn=also) - before for also in (False, True)]
    assert figures["score"] == pytest.approx(-np.mean([np.linalg.norm(one, axis=1) ** 2 for one in off]), rel=1e-4)
    assert make_task(faces, kept=kept).judge(network)["score"] > 0  # nothing is worn: how far people are apart
    assert "worn_auc" not in make_task(faces).judge(SmallNetwork())
    seen: list[Progress] = []
    fit(task, Plan(60, 3e-3, report_steps=20, checkpoint_steps=60), tmp_path / "fit", on_progress=seen.append)
    assert seen[-1].losses["kept"] < 0.8 * seen[0].losses["kept"]


def test_workers_share_a_batch_out(faces: FaceSamples) -> None:
    task: TripletTask = pickle.loads(pickle.dumps(make_task(faces)))
    whole = task.batch(np.random.default_rng(3), slice(0, None, 1))
    halves = [task.batch(np.random.default_rng(3), slice(rank, None, 2)) for rank in range(2)]
    for name in whole:
        together = torch.stack([halves[0][name], halves[1][name]], dim=1).flatten(0, 1)
        assert torch.equal(together, whole[name])
    with pytest.raises(TrainingError, match="a batch of 32 faces can't be shared out evenly among 5 workers"):
        task.batch(np.random.default_rng(3), slice(0, None, 5))


def test_a_collapse_is_named(faces: FaceSamples, tmp_path: Path) -> None:
    task = make_task(faces, Constant, mining="hardest")
    with pytest.raises(TrainingError, match="the network has collapsed: at step 10 faces of different people lie"):
        fit(task, Plan(20, 1e-6, report_steps=10, checkpoint_steps=20), tmp_path)


def test_a_batch_without_a_triplet_is_named(faces: FaceSamples) -> None:
    task = make_task(faces)
    batch = {**task.batch(np.random.default_rng(0), slice(0, None, 1)), "people": torch.arange(32)}
    with pytest.raises(TrainingError, match="a batch holds no valid triplet"):
        task.losses(SmallNetwork(), batch)
