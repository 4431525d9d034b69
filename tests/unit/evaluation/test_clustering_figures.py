import itertools

import numpy as np
import pytest

from facepipe.evaluation.clustering import ClusteringFigures, compare_groups


def slow_figures(people: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """The definitions, pair by pair."""
    faces = range(len(people))
    own = [g if g >= 0 else -1 - i for i, g in enumerate(groups.tolist())]
    together = [[own[i] == own[j] for j in faces] for i in faces]
    alike = [[people[i] == people[j] for j in faces] for i in faces]
    both = [[together[i][j] and alike[i][j] for j in faces] for i in faces]
    pairs = list(itertools.combinations(faces, 2))
    grouped, true = sum(together[i][j] for i, j in pairs), sum(alike[i][j] for i, j in pairs)
    right = sum(both[i][j] for i, j in pairs)
    return {
        "bcubed precision": float(np.mean([sum(both[i]) / sum(together[i]) for i in faces])),
        "bcubed recall": float(np.mean([sum(both[i]) / sum(alike[i]) for i in faces])),
        "pairwise precision": right / grouped if grouped else 1.0,
        "pairwise recall": right / true if true else 1.0,
        "largest_impure": max(
            [sum(together[i]) for i in faces if any(together[i][j] > alike[i][j] for j in faces)] + [0]
        ),
    }


@pytest.mark.parametrize("seed", range(30))
def test_figures_equal_their_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 25))
    people, groups = rng.integers(0, 6, count), rng.integers(-1, 6, count)
    figures, slow = compare_groups(people, groups), slow_figures(people, groups)
    assert figures.bcubed.precision == pytest.approx(slow["bcubed precision"]), seed
    assert figures.bcubed.recall == pytest.approx(slow["bcubed recall"]), seed
    assert figures.pairwise.precision == pytest.approx(slow["pairwise precision"]), seed
    assert figures.pairwise.recall == pytest.approx(slow["pairwise recall"]), seed
    assert figures.largest_impure == slow["largest_impure"], seed
    assert figures.unassigned == (groups < 0).sum()
    assert figures.groups == len(set(groups[groups >= 0].tolist()))


def test_a_perfect_grouping_is_perfect_by_names() -> None:
    figures = compare_groups(np.array(["ann", "bo", "ann", "bo", "cy"]), np.array([7, 3, 7, 3, -1]))
    assert figures.bcubed.f == figures.pairwise.f == 1
    assert (figures.faces, figures.groups, figures.unassigned, figures.largest_impure) == (5, 2, 1, 0)


def test_a_solved_example() -> None:
    # Group 0 holds ann, ann, bo; ann's third face is unassigned.
    figures = compare_groups(np.array(["ann", "ann", "bo", "ann"]), np.array([0, 0, 0, -1]))
    assert figures.bcubed.precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    assert figures.bcubed.recall == pytest.approx((2 / 3 + 2 / 3 + 1 + 1 / 3) / 4)
    assert figures.pairwise.precision == pytest.approx(1 / 3)
    assert figures.pairwise.recall == pytest.approx(1 / 3)
    assert figures.largest_impure == 3


def test_unassigned_faces_are_never_company() -> None:
    figures = compare_groups(np.array([1, 1, 1]), np.array([-1, -1, -1]))
    assert figures.bcubed.precision == 1
    assert figures.bcubed.recall == pytest.approx(1 / 3)
    assert (figures.groups, figures.unassigned) == (0, 3)


def test_no_faces() -> None:
    figures = compare_groups(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert isinstance(figures, ClusteringFigures)
    assert (figures.faces, figures.groups, figures.bcubed.f) == (0, 0, 1)
