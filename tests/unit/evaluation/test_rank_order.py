import numpy as np
import pytest

from facepipe.evaluation.rank_order import nearest_lists, rank_order, rank_order_distances


def random_faces(seed: int, count: int = 40, dimension: int = 5) -> np.ndarray:
    faces = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    return faces


def slow_distance(lists: list[list[int]], a: int, b: int) -> float:
    """The definition, face by face."""
    absent = len(lists[0])
    rank_of_b = lists[a].index(b) if b in lists[a] else absent
    rank_of_a = lists[b].index(a) if a in lists[b] else absent
    strange = sum(face not in lists[b] for face in lists[a][: rank_of_b + 1])
    strange += sum(face not in lists[a] for face in lists[b][: rank_of_a + 1])
    return strange / min(rank_of_b, rank_of_a)


@pytest.mark.parametrize("k", [1, 4, 12, 39])
@pytest.mark.parametrize("seed", range(4))
def test_distances_equal_their_definition(seed: int, k: int) -> None:
    embeddings = random_faces(seed)
    far = np.linalg.norm(embeddings[:, None].astype(np.float64) - embeddings[None], axis=2)
    np.fill_diagonal(far, -1)
    slow_lists = np.argsort(far, axis=1)[:, : k + 1].tolist()
    lists = nearest_lists(embeddings, k)
    assert lists.tolist() == slow_lists
    pairs, distances = rank_order_distances(lists)
    listed = {(min(a, b), max(a, b)) for a, near in enumerate(slow_lists) for b in near[1:]}
    assert {(a, b) for a, b in pairs.tolist()} == listed
    assert len(pairs) == len(listed)
    assert distances.tolist() == pytest.approx([slow_distance(slow_lists, a, b) for a, b in pairs.tolist()])


def test_copies_are_in_each_others_lists() -> None:
    lists = nearest_lists(np.repeat(random_faces(0, count=1), 6, axis=0), 3)
    assert lists[:, 0].tolist() == list(range(6))
    assert all(len(set(row)) == 4 for row in lists.tolist())


def test_faces_join_transitively_below_the_distance() -> None:
    embeddings = random_faces(1)
    for distance in (0.2, 0.5, 1.0):
        labels = rank_order(embeddings, distance)
        pairs, distances = rank_order_distances(nearest_lists(embeddings, 22))
        groups = [{face} for face in range(len(embeddings))]
        for (a, b), apart in zip(pairs.tolist(), distances.tolist(), strict=True):
            if apart < distance:
                union = groups[a] | groups[b]
                for face in union:
                    groups[face] = union
        assert [set(np.flatnonzero(labels == label).tolist()) for label in labels] == groups
