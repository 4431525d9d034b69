"""Verdicts on pairs: thresholds never see what they judge, and differences have honest errors."""

import numpy as np
import pytest

from facepipe.evaluation.pair_verdicts import accuracy, compare, verdicts_on

SAME = np.repeat([True, False], 300)


def similarities(seed: int, apart: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=len(SAME)) + apart * SAME


def test_what_is_told_apart_is_judged_rightly() -> None:
    verdicts = verdicts_on(similarities(0, 20), SAME)
    assert verdicts.right.all()
    assert (verdicts.auc, verdicts.tar) == (1, 1)


def test_pairs_that_look_alike_are_judged_at_chance() -> None:
    shares = [verdicts_on(similarities(seed, 0), SAME).right.mean() for seed in range(20)]
    assert abs(np.mean(shares) - 0.5) < 0.02  # a threshold chosen on the same pairs would come to 0.53


def test_it_is_what_the_best_rule_can_do() -> None:
    """Two normal distributions 2 apart: the best threshold is right for 84.1 % of them."""
    shares = [verdicts_on(similarities(seed, 2), SAME).right.mean() for seed in range(20)]
    assert np.mean(shares) == pytest.approx(0.841, abs=0.01)


def test_a_pairs_own_label_does_not_change_its_threshold() -> None:
    given = similarities(1, 1)
    changed = SAME.copy()
    changed[::10] = ~changed[::10]  # one part of the ten
    before, after = verdicts_on(given, SAME).right, verdicts_on(given, changed).right
    np.testing.assert_array_equal(before[::10], ~after[::10])


def test_accuracy_and_difference_with_their_errors() -> None:
    right, other = np.array([1, 1, 1, 0], bool), np.array([1, 0, 1, 1], bool)
    assert accuracy(right).mean == 0.75
    assert accuracy(right).se == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    found = compare(right, other)
    assert (found.mean, found.clear) == (0, False)
    assert found.se == pytest.approx(np.std([0, 1, 0, -1], ddof=1) / 2)
    assert compare(np.ones(100, bool), np.arange(100) > 50).clear
