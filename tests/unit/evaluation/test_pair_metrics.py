from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from facepipe.config import METRICS, MetricName
from facepipe.errors import WrongUsageError
from facepipe.evaluation.lfw import area_under_roc, verify, verify_learned
from facepipe.evaluation.pair_metrics import (
    LEARNED,
    STRENGTHS,
    UNLEARNED,
    absolute_differences,
    chi_squared_terms,
    compare_pairs,
    cosine_similarities,
    fit_logistic_unit,
    fit_support_vectors,
    judge_by_fold,
    judge_pairs,
    l2_similarities,
)

LEARNED_NAMES: tuple[MetricName, MetricName] = ("chi2", "siamese")


def unit(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    normalised: np.ndarray = features / np.where(lengths > 0, lengths, 1)
    return normalised


def planted(rng: np.random.Generator, pairs: int, noise: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (P, 1 + noise) of faces whose first number alone tells people apart; every other pair shows one person."""
    same = np.arange(pairs) % 2 == 0
    left, right = rng.uniform(0, 1, (2, pairs, 1 + noise))
    right[:, 0] = np.where(same, left[:, 0], (left[:, 0] + rng.uniform(0.3, 0.7, pairs)) % 1)
    left[:, 0] *= 2
    right[:, 0] *= 2
    return unit(left), unit(right), same


@pytest.mark.parametrize("seed", range(5))
def test_measures_equal_their_slow_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = rng.uniform(0, 1, (2, 6, 9)) * (rng.random((2, 6, 9)) < 0.6)  # many zeros, some on both sides
    for row, (a, b) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        assert cosine_similarities(left, right)[row] == pytest.approx(sum(x * y for x, y in zip(a, b, strict=True)))
        distance = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5
        assert l2_similarities(left, right)[row] == pytest.approx(-distance)
        terms = [0.0 if x == y == 0 else (x - y) ** 2 / (x + y) for x, y in zip(a, b, strict=True)]
        assert chi_squared_terms(left, right)[row].tolist() == pytest.approx(terms)
        assert absolute_differences(left, right)[row].tolist() == pytest.approx(
            [abs(x - y) for x, y in zip(a, b, strict=True)]
        )


@pytest.mark.filterwarnings("error")
def test_nothing_by_nothing_is_nothing() -> None:
    zeros, some = np.zeros((1, 3), np.float32), np.array([[0, 0.5, 0]], np.float32)
    assert chi_squared_terms(zeros, zeros).tolist() == [[0, 0, 0]]
    assert chi_squared_terms(zeros, some).tolist() == [[0, 0.5, 0]]
    assert chi_squared_terms(zeros[:0], some[:0]).shape == (0, 3)


def test_chi_squared_of_negative_features_says_whose_it_is_for() -> None:
    left, right = np.array([[0.5, 0.1]]), np.array([[0.5, -1e-7]])
    for pair in ((left, right), (right, left)):
        with pytest.raises(WrongUsageError, match="never negative, such as DeepFace's"):
            chi_squared_terms(*pair)


def slow_support_vectors(terms: np.ndarray, same: np.ndarray, cost: float) -> np.ndarray:
    signs = np.where(same, 1, -1)

    def objective(parameters: np.ndarray) -> float:
        margins = signs * (terms @ parameters[:-1] + parameters[-1])
        return float((parameters**2).sum() / 2 + cost * (np.maximum(0, 1 - margins) ** 2).sum())

    return np.asarray(minimize(objective, np.zeros(terms.shape[1] + 1), tol=1e-10).x)


def slow_logistic_unit(terms: np.ndarray, same: np.ndarray, cost: float) -> np.ndarray:
    signs = np.where(same, 1, -1)

    def objective(parameters: np.ndarray) -> float:
        margins = signs * (terms @ parameters[:-1] + parameters[-1])
        return float((parameters[:-1] ** 2).sum() / 2 + cost * np.log1p(np.exp(-margins)).sum())

    return np.asarray(minimize(objective, np.zeros(terms.shape[1] + 1), tol=1e-10).x)


SLOW: dict[str, Callable[..., np.ndarray]] = {"chi2": slow_support_vectors, "siamese": slow_logistic_unit}


@pytest.mark.parametrize(("fit", "twin"), [(fit_support_vectors, "chi2"), (fit_logistic_unit, "siamese")])
@pytest.mark.parametrize("cost", [0.02, 0.5, 5.0])
def test_weights_are_where_the_loss_is_least(fit: Any, twin: str, cost: float) -> None:
    rng = np.random.default_rng(3)
    same = rng.random(40) < 0.4
    terms = rng.normal(0, 1, (40, 4)) - same[:, None] * [1.0, 0.3, 0, 0]
    weights, offset = fit(terms, same, cost)
    np.testing.assert_allclose([*weights, offset], SLOW[twin](terms, same, cost), atol=2e-3)


def slow_judge(
    name: str, terms: np.ndarray, same: np.ndarray, others: np.ndarray, part: np.ndarray
) -> list[np.ndarray]:
    """Each step by itself, every sum minimised by a general method."""

    def score(taught: np.ndarray, labels: np.ndarray, judged: np.ndarray, strength: float) -> list[float]:
        centre = np.array([np.mean(column) for column in taught.T])
        scale = np.mean([np.sum((row - centre) ** 2) for row in taught]) ** 0.5
        *weights, offset = SLOW[name]((taught - centre) / scale, labels, strength / len(labels))
        return [float(np.dot(weights, (row - centre) / scale) + offset) for row in judged]

    best: tuple[float, float, np.ndarray] | None = None
    for strength in STRENGTHS:
        held, areas = np.zeros(len(same)), []
        for number in sorted(set(part.tolist())):
            held[part == number] = score(terms[part != number], same[part != number], terms[part == number], strength)
            areas.append(area_under_roc(held[part == number], same[part == number]))
        if best is None or np.mean(areas) > best[0] + 1e-9:
            best = (float(np.mean(areas)), strength, held)
    assert best is not None
    strangers = best[2][~same]
    found = np.array(score(terms, same, others, best[1]))
    return [(scores - strangers.mean()) / strangers.std() for scores in (best[2], found)]


@pytest.mark.parametrize("name", LEARNED_NAMES)
@pytest.mark.parametrize("grouped", [False, True], ids=["one-group", "groups"])
@pytest.mark.parametrize("seed", range(2))
def test_judging_equals_its_slow_twin(name: MetricName, grouped: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right, same = planted(rng, 60, noise=3)
    right[:, 0] += rng.uniform(0, 0.5, 60)
    terms = LEARNED[name].terms(left, right)
    taught, labels, others = terms[:40], same[:40], terms[40:]
    group = np.repeat([7, 3], 20)
    part = np.zeros(40, np.int64)
    part[::2] = part[1::2] = np.repeat(np.arange(5), 4)  # pairs of one kind stand at every other place
    expected = slow_judge(name, taught, labels, others, group if grouped else part)
    judged = judge_pairs(LEARNED[name], taught, labels, others, group if grouped else None)
    np.testing.assert_allclose(judged.learned_from, expected[0], atol=5e-3, err_msg=f"seed {seed}")
    np.testing.assert_allclose(judged.others, expected[1], atol=5e-3, err_msg=f"seed {seed}")


@pytest.mark.parametrize("seed", range(3))
def test_weights_find_the_one_number_that_tells_people_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right, same = planted(rng, 450)
    fold = np.repeat([0, 1, 2], 150)
    accuracy = {
        name: verify_learned(judge_by_fold(name, left, right, same, fold), same, fold).accuracy for name in METRICS
    }
    print(f"seed {seed}: {accuracy}")
    assert accuracy["cosine"] < 0.7
    assert accuracy["chi2"] > accuracy["cosine"] + 0.2
    assert accuracy["siamese"] > accuracy["cosine"] + 0.2


@pytest.mark.parametrize("name", LEARNED_NAMES)
def test_the_tested_folds_labels_change_nothing_in_it(name: MetricName) -> None:
    left, right, same = planted(np.random.default_rng(4), 90)
    fold = np.repeat([0, 1, 2], 30)
    tested = fold == 1
    lied = np.where(tested, ~same, same)
    truly = judge_by_fold(name, left, right, same, fold)(~tested)
    falsely = judge_by_fold(name, left, right, lied, fold)(~tested)
    assert np.array_equal(truly, falsely)
    accuracies = [
        verify_learned(judge_by_fold(name, left, right, labels, fold), labels, fold).folds for labels in (same, lied)
    ]
    assert accuracies[1][1] == pytest.approx(1 - accuracies[0][1])


@pytest.mark.parametrize("name", LEARNED_NAMES)
def test_no_pair_is_judged_by_weights_that_it_taught(name: MetricName) -> None:
    rng = np.random.default_rng(5)
    left, right = unit(rng.uniform(0, 1, (100, 300))), unit(rng.uniform(0, 1, (100, 300)))
    same = rng.permutation(np.arange(100) % 2 == 0)  # nothing can be learned, but everything by heart
    terms = LEARNED[name].terms(left, right)
    judged = judge_pairs(LEARNED[name], terms, same, terms)
    assert area_under_roc(judged.others, same) > 0.9
    assert abs(area_under_roc(judged.learned_from, same) - 0.5) < 0.2


@pytest.mark.parametrize("name", LEARNED_NAMES)
def test_strangers_are_the_measure_of_similarities_whatever_has_taught(name: MetricName) -> None:
    left, right, same = planted(np.random.default_rng(6), 600)
    fold = np.repeat([0, 1, 2], 200)
    judge = judge_by_fold(name, left, right, same, fold)
    for tested in (fold == number for number in range(3)):
        similarities = judge(~tested)
        assert similarities[~tested & ~same].mean() == pytest.approx(0, abs=1e-9)
        assert similarities[~tested & ~same].std() == pytest.approx(1)
        assert similarities[tested & ~same].mean() == pytest.approx(0, abs=0.3)
        assert similarities[tested & same].mean() > 1


@pytest.mark.parametrize("name", METRICS)
def test_a_study_gets_what_the_protocol_computes(name: MetricName) -> None:
    left, right, same = planted(np.random.default_rng(8), 90)
    fold = np.repeat([0, 1, 2], 30)
    rows = np.stack([np.arange(90), np.arange(90, 180)], axis=1)
    features, tested = np.concatenate([left, right]), fold == 1
    similarities = compare_pairs(name, features, rows[~tested], same[~tested], rows[tested], fold[~tested])
    assert np.array_equal(similarities, judge_by_fold(name, left, right, same, fold)(~tested)[tested])


def test_what_is_not_learned_is_verified_as_it_is() -> None:
    left, right, same = planted(np.random.default_rng(9), 60)
    left, right = left.astype(np.float32), right.astype(np.float32)
    fold = np.repeat([0, 1, 2], 20)
    for name, measure in UNLEARNED.items():
        similarities = measure(left, right)
        assert similarities.dtype == np.float32
        assert verify(similarities, same, fold) == verify_learned(
            judge_by_fold(name, left, right, same, fold), same, fold
        )


def test_too_few_pairs_are_named() -> None:
    terms, same = np.eye(4), np.array([True, False, False, False])
    with pytest.raises(WrongUsageError, match="at least two pairs of one person and two of two people"):
        judge_pairs(LEARNED["siamese"], terms, same, terms)


def test_features_that_never_differ_teach_nothing() -> None:
    terms, same = np.zeros((8, 3)), np.arange(8) % 2 == 0
    judged = judge_pairs(LEARNED["chi2"], terms, same, terms)
    assert judged.learned_from.tolist() == judged.others.tolist() == [0] * 8
