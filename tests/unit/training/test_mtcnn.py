"""MTCNN's losses against loops over samples, and the kinds of samples against the paper's overlaps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.imaging.boxes import iou
from facepipe.models.mtcnn_networks import PNet
from facepipe.training.batches import MixedBatches
from facepipe.training.labels import read_labels
from facepipe.training.mtcnn import (
    NEGATIVE,
    PART,
    POSITIVE,
    MtcnnOptions,
    MtcnnTask,
    collect,
    hard_face_loss,
    masked_square_loss,
)
from facepipe.training.photos import Variation
from facepipe.training.recipe import Fit
from tests.drawn_faces import draw_photos


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_only_the_hardest_seven_tenths_teach(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    probability, kind = rng.uniform(0.01, 0.99, count), rng.integers(0, 3, count)
    kind[0] = POSITIVE
    losses = sorted(
        (-np.log(p if k == POSITIVE else 1 - p) for p, k in zip(probability, kind, strict=True) if k != PART),
        reverse=True,
    )
    kept = losses[: max(1, int(0.7 * len(losses)))]
    loss = hard_face_loss(torch.from_numpy(probability), torch.from_numpy(kind))
    assert float(loss) == pytest.approx(sum(kept) / len(kept), rel=1e-4)


def test_easy_samples_have_no_gradient() -> None:
    logit = torch.tensor([3.0, -2.0, 0.1, -4.0, 5.0, 1.0], requires_grad=True)
    kind = torch.tensor([POSITIVE, NEGATIVE, POSITIVE, NEGATIVE, PART, POSITIVE])
    hard_face_loss(torch.sigmoid(logit), kind).backward()  # type: ignore[no-untyped-call]
    assert logit.grad is not None
    assert (logit.grad != 0).tolist() == [False, True, True, False, False, True]  # 3 of 5 judged samples


def test_the_distance_counts_for_chosen_rows_alone() -> None:
    predicted = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    wanted = torch.tensor([[1.0, 0.0], [torch.nan, torch.nan], [4.0, 4.0]])
    loss = masked_square_loss(predicted, wanted, torch.tensor([True, False, True]))
    assert loss.item() == pytest.approx((4 + 1 + 4) / 2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert predicted.grad[1].tolist() == [0, 0]
    none = masked_square_loss(predicted, wanted, torch.tensor([False, False, False]))
    assert none.item() == 0


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
