import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from facepipe.errors import WrongUsageError
from facepipe.evaluation.lfw import area_under_roc, best_threshold, read_pairs, true_accept_rate, verify

PAIRS = """2\t2
Ann_Lee\t1\t2
Bo\t3\t12
Ann_Lee\t1\tBo\t2
Bo\t1\tCy\t1
Cy\t1\t2
Cy\t2\t3
Ann_Lee\t1\tCy\t2
Bo\t1\tCy\t4
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pairs.txt"
    path.write_text(text)
    return path


def test_pairs_are_read_in_order(tmp_path: Path) -> None:
    pairs = read_pairs(write(tmp_path, PAIRS))
    assert pairs.left[:3] == ["Ann_Lee/Ann_Lee_0001", "Bo/Bo_0003", "Ann_Lee/Ann_Lee_0001"]
    assert pairs.right[:3] == ["Ann_Lee/Ann_Lee_0002", "Bo/Bo_0012", "Bo/Bo_0002"]
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4


def test_blank_lines_at_the_end_do_not_count(tmp_path: Path) -> None:
    assert len(read_pairs(write(tmp_path, PAIRS + "\n \n")).left) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("300\n", "first line"),
        ("1\t300\n", "first line"),
        ("two\tfolds\n", "first line"),
        (PAIRS.replace("Bo\t3\t12\n", ""), "9 lines .* not 8"),
        (PAIRS + "Bo\t1\t2\n", "9 lines .* not 10"),
        (PAIRS.replace("Bo\t3\t12", "Bo\t3"), "line 3 .* a name and two numbers, not 'Bo\\\\t3'"),
        (PAIRS.replace("Bo\t3\t12", "Bo\tx\t12"), "line 3"),
        (PAIRS.replace("Bo\t1\tCy\t1", "Bo\t1\t1"), "line 5 .* a name, a number, a name and a number"),
        (PAIRS.replace("Bo\t3\t12", "Bo\t3\tCy\t1"), "line 3"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WrongUsageError, match=message):
        read_pairs(write(tmp_path, text))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match=r"cannot read .*pairs\.txt"):
        read_pairs(tmp_path / "pairs.txt")


def test_the_threshold_comes_from_the_other_folds() -> None:
    # Each fold is separable, but by a threshold that fails the other one.
    similarities = np.array([0.9, 0.8, 0.3, 0.2])
    same = np.array([True, False, True, False])
    result = verify(similarities, same, np.array([0, 0, 1, 1]))
    # 0.25 of fold 1 accepts both of fold 0, and 0.85 of fold 0 rejects both of fold 1.
    assert result.folds == [0.5, 0.5]
    assert result.accuracy == 0.5
    assert result.accuracy_se == 0
    assert result.pairs == 4


def test_perfect_similarities_give_perfect_figures() -> None:
    same = np.tile([True] * 50 + [False] * 50, 3)
    result = verify(np.where(same, 0.8, 0.1), same, np.repeat([0, 1, 2], 100))
    assert (result.accuracy, result.accuracy_se, result.auc) == (1, 0, 1)
    assert result.tar_at_far == {"0.01": 1, "0.001": 1}


def test_standard_error_is_the_sample_deviation_over_the_root_of_the_folds() -> None:
    same = np.tile([True, False], 6)
    similarities = np.where(same, 1.0, 0.0)
    similarities[0] = 0.0  # one of four pairs in the first fold is lost whatever the threshold
    result = verify(similarities, same, np.repeat([0, 1, 2], 4))
    assert result.folds == [0.75, 1, 1]
    assert result.accuracy_se == pytest.approx(np.sqrt(((1 / 6) ** 2 + 2 * (1 / 12) ** 2) / 2) / np.sqrt(3))


def test_one_fold_or_one_kind_is_refused() -> None:
    with pytest.raises(WrongUsageError, match="two folds"):
        verify(np.array([0.1, 0.2]), np.array([True, False]), np.array([0, 0]))
    with pytest.raises(WrongUsageError, match="pairs of one person and of two"):
        verify(np.array([0.1, 0.2]), np.array([True, True]), np.array([0, 1]))


def smoothed_right(similarities: np.ndarray, same: np.ndarray, threshold: float) -> float:
    """Return how many pairs would be told right if each similarity were blurred by its kind's kernel."""
    right = 0.0
    for kind, sign in ((True, 1), (False, -1)):
        values = similarities[same == kind]
        width = 1.06 * values.std() * len(values) ** -0.2
        right += sum(0.5 + 0.5 * math.erf(sign * (value - threshold) / width / math.sqrt(2)) for value in values)
    return right


def test_the_threshold_lies_between_what_is_apart() -> None:
    similarities = np.array([0.1, 0.12, 0.08, 0.7, 0.72, 0.68])
    assert best_threshold(similarities, similarities > 0.5) == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_figures_equal_their_slow_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    similarities = rng.integers(0, 12, 60) / 12  # many ties
    same = rng.random(60) < 0.4
    same[:2] = [True, False]

    couples = itertools.product(similarities[same], similarities[~same])
    auc = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in couples])
    assert area_under_roc(similarities, same) == pytest.approx(auc)

    tried = np.linspace(similarities.min(), similarities.max(), 1001)
    expected = [smoothed_right(similarities, same, threshold) for threshold in tried]
    chosen = best_threshold(similarities, same)
    assert smoothed_right(similarities, same, chosen) == pytest.approx(max(expected), abs=1e-6)

    thresholds = [*np.unique(similarities), np.inf]
    for rate in (0.0, 0.05, 0.3, 1.0):
        rates = [
            np.mean(similarities[same] >= t) for t in thresholds if np.mean(similarities[~same] >= t) <= rate + 1e-9
        ]
        assert true_accept_rate(similarities, same, rate) == pytest.approx(max(rates)), (seed, rate)
