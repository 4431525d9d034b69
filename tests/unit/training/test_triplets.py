"""The triplet loss and its mining, beside slow, obvious twins."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from facepipe.training.triplets import (
    MINING,
    Triplets,
    active_share,
    has_triplets,
    mean_distances,
    mine_all,
    squared_distances,
    triplet_losses,
)

Triplet = tuple[int, int, int]


def make_batch(seed: int, people: list[int]) -> tuple[Tensor, Tensor]:
    embeddings = F.normalize(torch.from_numpy(np.random.default_rng(seed).normal(size=(len(people), 3))), dim=1)
    return embeddings, torch.tensor(people)


def far(embeddings: Tensor, first: int, second: int) -> float:
    return float((embeddings[first] - embeddings[second]).square().sum())


def slow_triplets(rule: str, embeddings: Tensor, people: Tensor, margin: float) -> list[Triplet]:
    rows = range(len(people))
    found: list[Triplet] = []
    for anchor in rows:
        positives = [row for row in rows if row != anchor and people[row] == people[anchor]]
        negatives = [row for row in rows if people[row] != people[anchor]]
        if rule == "hardest" and positives and negatives:
            positive = max(positives, key=lambda row: far(embeddings, anchor, row))
            found.append((anchor, positive, min(negatives, key=lambda row: far(embeddings, anchor, row))))
        for positive in positives if rule != "hardest" else []:
            if rule == "all":
                found += [(anchor, positive, negative) for negative in negatives]
                continue
            near = far(embeddings, anchor, positive)
            semi_hard = [row for row in negatives if near < far(embeddings, anchor, row) < near + margin]
            if semi_hard:
                found.append((anchor, positive, min(semi_hard, key=lambda row: far(embeddings, anchor, row))))
    return found


@pytest.mark.parametrize("rule", MINING)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 3), min_size=1, max_size=12), st.sampled_from([0.05, 0.2, 1.0]))
@settings(max_examples=150, deadline=None)
def test_each_rule_chooses_what_its_slow_twin_chooses(rule: str, seed: int, people: list[int], margin: float) -> None:
    embeddings, who = make_batch(seed, people)
    distances = squared_distances(embeddings)
    triplets = MINING[rule](distances, who, margin)
    chosen = list(zip(*(rows.tolist() for rows in triplets), strict=True))
    expected = slow_triplets(rule, embeddings, who, margin)
    assert sorted(chosen) == sorted(expected)
    losses = triplet_losses(distances, triplets, margin)
    for (anchor, positive, negative), loss in zip(chosen, losses.tolist(), strict=True):
        near = (embeddings[anchor] - embeddings[positive]).square().sum()
        away = (embeddings[anchor] - embeddings[negative]).square().sum()
        assert loss == pytest.approx(max(0.0, float(near - away + margin)), abs=1e-9)
    valid = slow_triplets("all", embeddings, who, margin)
    assert has_triplets(who) == bool(valid)
    active = [far(embeddings, anchor, p) - far(embeddings, anchor, n) + margin > 0 for anchor, p, n in valid]
    assert float(active_share(distances, who, margin)) == pytest.approx(np.mean(active) if active else 0)


def test_the_loss_falls_as_positives_close_in_and_never_below_zero() -> None:
    negative = torch.tensor([0.0, 1.0])
    losses = []
    for degrees in (120, 90, 60, 30, 10, 0):
        angle = math.radians(degrees)
        embeddings = torch.stack(
            [torch.tensor([1.0, 0.0]), torch.tensor([math.cos(angle), -math.sin(angle)]), negative]
        )
        triplet = Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
        losses.append(float(triplet_losses(squared_distances(embeddings), triplet, 0.2)))
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(3 - 2 + 0.2, abs=1e-6)
    assert losses[-1] == 0


def test_steps_down_the_gradient_bring_people_together_and_apart() -> None:
    embeddings, who = make_batch(3, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    points = embeddings.clone().requires_grad_()
    positive, negative = mean_distances(squared_distances(embeddings), who)
    for _ in range(100):
        distances = squared_distances(F.normalize(points, dim=1))
        loss = triplet_losses(distances, mine_all(distances, who, 0.2), 0.2).mean()
        (gradient,) = torch.autograd.grad(loss, points)
        points = (points - gradient).detach().requires_grad_()
    after = mean_distances(squared_distances(F.normalize(points, dim=1).detach()), who)
    assert after[0] < 0.5 * positive
    assert after[1] > negative


def test_a_margin_must_be_above_zero() -> None:
    triplets = Triplets(*(torch.zeros(0, dtype=torch.int64) for _ in range(3)))
    for margin in (0.0, -0.2, math.nan):
        with pytest.raises(ValueError, match="must be above 0"):
            triplet_losses(torch.zeros(1, 1), triplets, margin)


def test_mean_distances_are_those_of_pairs() -> None:
    embeddings, who = make_batch(1, [0, 0, 1, 1, 2])
    positive, negative = mean_distances(squared_distances(embeddings), who)
    rows = range(5)
    pairs = {
        kind: [(i, j) for i in rows for j in rows if i != j and (who[i] == who[j]) == kind] for kind in (True, False)
    }
    for kind, mean in ((True, positive), (False, negative)):
        slow = [float((embeddings[i] - embeddings[j]).square().sum()) for i, j in pairs[kind]]
        assert float(mean) == pytest.approx(np.mean(slow))
