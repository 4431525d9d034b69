import hashlib

import numpy as np
import pytest

from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.tuning import Method, half_of, judge_halves, mean_figures, try_settings

PEOPLE = [f"person {number}" for number in range(12)]
NAMES = np.repeat(PEOPLE, 3)
_, TRUTH = np.unique(NAMES, return_inverse=True)


def is_even(name: str) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


def test_halves_go_by_the_hash_of_the_name() -> None:
    assert half_of(NAMES).tolist() == ["even" if is_even(name) else "odd" for name in NAMES]
    assert set(half_of(NAMES)) == {"even", "odd"}
    assert half_of(np.array(["Zoë", "name \udcff"])).shape == (2,)


def test_no_person_is_in_both_halves_and_each_half_is_the_whole_library() -> None:
    libraries = []

    def group(rows: np.ndarray, setting: float, seed: int) -> np.ndarray:
        libraries.append(frozenset(NAMES[rows]))
        labels: np.ndarray = TRUTH[rows]
        return labels

    judge_halves(NAMES, Method(group, [1.0, 2.0]))
    even = frozenset(name for name in PEOPLE if is_even(name))
    assert set(libraries) == {even, frozenset(PEOPLE) - even}


def test_the_setting_comes_from_the_other_half_alone() -> None:
    # "even" groups the even half rightly and the odd one not at all; "odd" the other way round.
    def group(rows: np.ndarray, setting: str, seed: int) -> np.ndarray:
        labels: np.ndarray = np.where(half_of(NAMES[rows]) == setting, TRUTH[rows], -1)
        return labels

    judged = judge_halves(NAMES, Method(group, ["odd", "even"]))
    assert [(half.tuned_on, half.judged_on, half.setting) for half in judged] == [
        ("even", "odd", "even"),
        ("odd", "even", "odd"),
    ]
    for half in judged:
        assert half.faces == (half_of(NAMES) == half.judged_on).sum()
        assert half.figures.bcubed.recall == pytest.approx(1 / 3)
        assert half.figures.unassigned == half.faces


def test_of_equally_good_settings_the_first_is_chosen() -> None:
    judged = judge_halves(NAMES, Method(lambda rows, _setting, _seed: TRUTH[rows], [3.0, 1.0, 2.0]))
    assert [half.setting for half in judged] == [3.0, 3.0]


def test_figures_are_means_over_seeds() -> None:
    def group(rows: np.ndarray, setting: float, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(-1, 5, len(rows))

    rows = np.arange(0, len(NAMES), 2)
    (tried,) = try_settings(NAMES, Method(group, [0.0], range(10)), rows)
    runs = [compare_groups(NAMES[rows], group(rows, 0.0, seed)) for seed in range(10)]
    assert tried == mean_figures(runs)
    assert tried.bcubed.f == pytest.approx(np.mean([run.bcubed.f for run in runs]))
    assert tried.pairwise.precision == pytest.approx(np.mean([run.pairwise.precision for run in runs]))
    assert tried.largest_impure == pytest.approx(np.mean([run.largest_impure for run in runs]))
    assert tried.unassigned == pytest.approx(np.mean([run.unassigned for run in runs]))
