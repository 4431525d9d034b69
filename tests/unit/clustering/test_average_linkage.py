import numpy as np
import pytest

from facepipe.clustering.average_linkage import merge_along_forest
from facepipe.clustering.mst import Edges, euclidean, minimum_spanning_forest


def unit_vectors(seed: int, count: int, dimension: int = 4) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def forest_of(embeddings: np.ndarray, longest: float = 2.0) -> Edges:
    left, right = np.triu_indices(len(embeddings), 1)
    distance = euclidean((embeddings @ embeddings.T)[left, right])
    short = distance < longest
    return minimum_spanning_forest(Edges(left[short], right[short], distance[short]), len(embeddings))


def slow_merge(embeddings: np.ndarray, photos: np.ndarray, forest: Edges, cut: float) -> set[frozenset[int]]:
    """Find each group's nearest by the edges and join those that name each other, round by round."""
    groups = {face: [face] for face in range(len(embeddings))}
    edges = set(zip(forest.left.tolist(), forest.right.tolist(), strict=True))

    def distance(a: int, b: int) -> float:
        squares = [np.sum((embeddings[i] - embeddings[j]) ** 2) for i in groups[a] for j in groups[b]]
        return float(np.sqrt(np.mean(squares)))

    while True:
        near = {(a, b): distance(a, b) for a, b in edges}
        near = {pair: length for pair, length in near.items() if length <= cut}
        nearest = {
            group: min((pair for pair in near if group in pair), key=near.__getitem__)
            for group in {group for pair in near for group in pair}
        }
        mutual = [pair for pair in near if nearest[pair[0]] == nearest[pair[1]] == pair]
        if not mutual:
            return {frozenset(group) for group in groups.values()}
        for a, b in mutual:
            if set(photos[groups[a]]) & set(photos[groups[b]]):
                edges.remove((a, b))
            else:
                groups[a] += groups.pop(b)
                renamed = (tuple(sorted((a if end == b else end) for end in pair)) for pair in edges)
                edges = {pair for pair in renamed if pair[0] != pair[1]}


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


@pytest.mark.parametrize("seed", range(12))
def test_groups_equal_the_slow_twins(seed: int) -> None:
    embeddings = unit_vectors(seed, 24)
    photos = np.random.default_rng(seed).integers(0, 12, 24)
    forest = forest_of(embeddings, 1.2)
    for cut in (0.5, 0.9, 1.2, 2.0):
        groups = merge_along_forest(embeddings, photos, forest, cut).groups
        assert as_sets(groups) == slow_merge(embeddings, photos, forest, cut), seed


def test_a_bridge_between_two_people_is_cut() -> None:
    # Two people of 30 photos each, and five pictures on the straight line between them, each near the next.
    rng = np.random.default_rng(6)
    ends = np.eye(64)[:2]
    line = np.linspace(0.2, 0.8, 5)[:, None]
    vectors = np.concatenate([np.repeat(ends, 30, axis=0), (1 - line) * ends[0] + line * ends[1]])
    vectors += 0.35 / 8 * rng.normal(size=vectors.shape)
    embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    forest = forest_of(embeddings, 0.9)
    assert len(forest.left) == 64, "single linkage makes one person of all"
    groups = merge_along_forest(embeddings, np.arange(65), forest, 0.985).groups
    assert len(set(groups[:30].tolist())) == len(set(groups[30:60].tolist())) == 1
    assert groups[0] != groups[30]


def test_one_photo_with_both_keeps_two_large_groups_apart() -> None:
    # 800 copies of one face: every distance is 0, but one photo shows two of them.
    embeddings = np.repeat(unit_vectors(0, 1), 800, axis=0)
    photos = np.arange(800)
    photos[799] = 0
    groups = merge_along_forest(embeddings, photos, forest_of(embeddings), 1.0).groups
    assert groups[0] != groups[799]
    assert len(set(groups.tolist())) == 2


def test_groups_are_named_by_their_smallest_row() -> None:
    embeddings = np.repeat(unit_vectors(1, 2), 3, axis=0)[[0, 3, 1, 4, 2, 5]]
    assert merge_along_forest(embeddings, np.arange(6), forest_of(embeddings, 0.1), 1.0).groups.tolist() == [
        0,
        1,
        0,
        1,
        0,
        1,
    ]


def test_no_edges_no_groups() -> None:
    nothing = Edges(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert merge_along_forest(unit_vectors(0, 3), np.arange(3), nothing, 1.0).groups.tolist() == [0, 1, 2]
