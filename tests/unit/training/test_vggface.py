"""VGG-Face learns drawn people, stage after stage, and tells others apart whom it has never seen."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facepipe.errors import TrainingError
from facepipe.models.tensors import part_of
from facepipe.training.face_samples import FaceSamples
from facepipe.training.identity_task import IdentityTask
from facepipe.training.loop import Plan, Progress, fit
from facepipe.training.vggface.train import FaceProjection, MakeClassifier, MakeProjection, VggFaceOptions
from tests.drawn_people import PEOPLE, draw_people

OPTIONS = VggFaceOptions(configuration="A", width=1 / 16, input_size=32, projection=8)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceSamples:
    return draw_people(tmp_path_factory.mktemp("drawn"), OPTIONS.input_size)


@pytest.fixture(scope="module")
def task(faces: FaceSamples) -> IdentityTask:
    learned = faces.person < PEOPLE // 2
    return IdentityTask(MakeClassifier(OPTIONS), faces, np.flatnonzero(learned), np.flatnonzero(~learned), patience=100)


def test_the_first_stage_tells_people_apart_whom_it_has_never_seen(task: IdentityTask, tmp_path: Path) -> None:
    seen: list[Progress] = []
    plan = Plan(120, 3e-3, report_steps=20, checkpoint_steps=60)
    state = fit(task, plan, tmp_path, on_progress=seen.append)
    assert seen[-1].losses["wrong"] < 0.5  # chance: 0.95
    assert seen[-1].judged["auc"] > 0.8  # chance: 0.5
    assert state["trunk.fc8.weight"].shape[0] == PEOPLE // 2


def test_people_with_many_faces_are_not_drawn_as_often_as_they_have_faces(faces: FaceSamples) -> None:
    rows = np.concatenate([np.repeat(np.flatnonzero(faces.person == 0)[0], 25), np.flatnonzero(faces.person == 1)[:1]])
    task = IdentityTask(MakeClassifier(OPTIONS), faces, rows, rows, batch_faces=600)
    people = task.batch(np.random.default_rng(0), slice(0, None, 1))["people"]
    assert float((people == 1).float().mean()) == pytest.approx(1 / 6, abs=0.05)  # 5 : 1, not 25 : 1


def test_a_batch_that_workers_cannot_share_evenly_is_refused(task: IdentityTask) -> None:
    with pytest.raises(TrainingError, match="a batch of 64 faces can't be shared out evenly among 3 workers"):
        task.batch(np.random.default_rng(0), slice(1, None, 3))
    assert len(task.batch(np.random.default_rng(0), slice(1, None, 4))["people"]) == 16


@pytest.mark.parametrize("fine_tune", [False, True])
def test_the_second_stage_starts_from_the_first_and_leaves_a_frozen_trunk_alone(fine_tune: bool) -> None:
    torch.manual_seed(0)
    first = MakeClassifier(OPTIONS)(5)
    trunk = {name: value for name, value in part_of(first.state_dict(), "trunk.").items() if not name.startswith("fc8")}
    options = VggFaceOptions(**{**vars(OPTIONS), "fine_tune": fine_tune})
    second = MakeProjection(options, trunk)()
    assert all(torch.equal(second.trunk.state_dict()[name], value) for name, value in trunk.items())
    trained = [name for name, values in second.trunk.named_parameters() if values.requires_grad]
    assert trained == (
        ["projection.weight"] if not fine_tune else [name for name, _ in second.trunk.named_parameters()]
    )
    crops = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    second.train()
    repeated = torch.equal(second(crops), second(crops))
    assert repeated == (not fine_tune)  # dropout is off in a frozen trunk
    assert isinstance(second, FaceProjection)
    assert torch.allclose(second(crops).norm(dim=1), torch.ones(4))
