"""Losses of samples of three kinds against loops over samples."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.training.losses import divergence, hard_face_loss, masked_square_loss
from facepipe.training.windows import NEGATIVE, PART, POSITIVE


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


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_divergence_is_the_information_lost_and_never_negative(seed: int, count: int) -> None:
    own, wanted = np.random.default_rng(seed).uniform(0.01, 0.99, (2, count))
    slow = np.mean([q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)) for p, q in zip(own, wanted, strict=True)])
    assert float(divergence(torch.from_numpy(own), torch.from_numpy(wanted))) == pytest.approx(slow, abs=1e-5)
    assert float(divergence(torch.from_numpy(own), torch.from_numpy(own))) == 0
