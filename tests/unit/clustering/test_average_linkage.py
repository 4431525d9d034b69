import numpy as np
import pytest

from facepipe.clustering.average_linkage import (
    FORBIDDEN_DISTANCE,
    distances_with_constraints,
    members_of,
    split_by_average_linkage,
)
from facepipe.clustering.constraints import cannot_link, numbered_by_first_face, without_single_photo_groups


def unit_vectors(seed: int, count: int, dimension: int = 4) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def slow_average_linkage(embeddings: np.ndarray, photos: np.ndarray, cut: float) -> set[frozenset[int]]:
    """Join the two nearest groups on average, photo by photo, until none are near enough."""
    groups = [[face] for face in range(len(embeddings))]
    while True:
        best = None
        for i, first in enumerate(groups):
            for j, second in enumerate(groups[:i]):
                if set(photos[first]) & set(photos[second]):
                    continue
                average = np.mean([[np.linalg.norm(embeddings[a] - embeddings[b]) for b in second] for a in first])
                if average <= cut and (best is None or average < best[0]):
                    best = (average, i, j)
        if best is None:
            return {frozenset(group) for group in groups}
        _, i, j = best
        groups[j] += groups.pop(i)


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) if label >= 0}


@pytest.mark.parametrize("seed", range(12))
def test_groups_equal_the_slow_twins(seed: int) -> None:
    embeddings = unit_vectors(seed, 16)
    photos = np.random.default_rng(seed).integers(0, 8, 16)
    for cut in (0.5, 0.9, 1.2):
        groups = split_by_average_linkage(embeddings, photos, np.zeros(16, np.int64), cut)
        assert as_sets(groups) == slow_average_linkage(embeddings, photos, cut), seed


def test_groups_stay_inside_their_candidates() -> None:
    embeddings = np.repeat(unit_vectors(0, 1), 6, axis=0)
    candidates = np.array([4, 2, 4, 2, 2, 9])
    groups = split_by_average_linkage(embeddings, np.arange(6), candidates, 1.0)
    assert as_sets(groups) == {frozenset({0, 2}), frozenset({1, 3, 4}), frozenset({5})}


def test_one_forbidden_pair_keeps_two_large_groups_apart() -> None:
    # 2 x 400 copies of one face: every distance is 0, but one photo shows a face of each half.
    embeddings = np.repeat(unit_vectors(0, 1), 800, axis=0)
    photos = np.arange(800)
    photos[799] = 0
    groups = split_by_average_linkage(embeddings, photos, np.zeros(800, np.int64), 1.0)
    assert groups[0] != groups[799]
    assert len(set(groups.tolist())) == 2


def test_the_forbidden_distance_outweighs_the_largest_candidate() -> None:
    largest = 4096
    assert FORBIDDEN_DISTANCE / (largest / 2) ** 2 > 2
    distances = distances_with_constraints(unit_vectors(1, 3), np.array([0, 0, 1]))
    assert distances[0, 1] == distances[1, 0] == FORBIDDEN_DISTANCE
    assert distances[0, 2] <= 2
    assert np.diag(distances).tolist() == [0, 0, 0]


def test_members_are_listed_by_label() -> None:
    assert [rows.tolist() for rows in members_of(np.array([5, -1, 5, 0]))] == [[1], [3], [0, 2]]
    assert list(members_of(np.zeros(0, np.int64))) == []


def test_faces_of_one_photo_cannot_link() -> None:
    expected = [[False, False, True], [False, False, False], [True, False, False]]
    assert cannot_link(np.array([3, 4, 3])).tolist() == expected


def test_a_group_on_one_photo_is_nobody() -> None:
    labels = np.array([0, 0, 1, 1, -1, -1, 2])
    photos = np.array([1, 1, 1, 2, 3, 4, 5])
    assert without_single_photo_groups(labels, photos).tolist() == [-1, -1, 1, 1, -1, -1, -1]
    assert without_single_photo_groups(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_groups_are_numbered_by_their_first_face() -> None:
    assert numbered_by_first_face(np.array([7, -1, 3, 7, 5])).tolist() == [0, -1, 1, 0, 2]
    assert numbered_by_first_face(np.array([-1, -1])).tolist() == [-1, -1]
