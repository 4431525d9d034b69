import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree

from facepipe.clustering.knn import Neighbors, nearest_neighbors
from facepipe.clustering.mst import Edges, core_distances, euclidean, minimum_spanning_forest, mutual_reachability


def edges_of(*rows: tuple[int, int, float]) -> Edges:
    left, right, distance = zip(*rows, strict=True)
    return Edges(np.array(left), np.array(right), np.array(distance))


def rows_of(edges: Edges) -> list[tuple[int, int, float]]:
    return list(zip(edges.left.tolist(), edges.right.tolist(), edges.distance.tolist(), strict=True))


def kruskal(edges: Edges, count: int) -> list[tuple[int, int, float]]:
    """The textbook's algorithm."""
    component = list(range(count))
    forest = []
    for left, right, distance in sorted(rows_of(edges), key=lambda row: (row[2], row[0], row[1])):
        if component[left] != component[right]:
            old = component[right]
            component = [component[left] if c == old else c for c in component]
            forest.append((left, right, distance))
    return forest


def random_graph(seed: int, count: int = 20, edges: int = 60) -> Edges:
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(0, count, (edges, 2)), axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]
    return Edges(ends[:, 0], ends[:, 1], rng.integers(0, 6, len(ends)) / 6)  # ties, zeros and repeated pairs


def test_euclidean_distance_of_unit_vectors() -> None:
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 5)))
    assert euclidean(np.array([a @ b]))[0] == pytest.approx(np.linalg.norm(a - b))
    assert euclidean(np.array([1.0 + 1e-9, -1.0])).tolist() == [0, 2]


def test_a_solved_graph() -> None:
    # A square with a diagonal, and a pair far away.
    graph = edges_of((0, 1, 1.0), (1, 2, 2.0), (2, 3, 3.0), (0, 3, 4.0), (0, 2, 2.5), (4, 5, 0.5))
    assert rows_of(minimum_spanning_forest(graph, 7)) == [(4, 5, 0.5), (0, 1, 1.0), (1, 2, 2.0), (2, 3, 3.0)]


def test_edges_of_length_zero_stay() -> None:
    graph = edges_of((0, 1, 0.0), (1, 2, 0.0), (0, 2, 0.0))
    assert rows_of(minimum_spanning_forest(graph, 3)) == [(0, 1, 0.0), (0, 2, 0.0)]


@pytest.mark.parametrize("seed", range(20))
def test_the_forest_is_kruskals(seed: int) -> None:
    graph = random_graph(seed)
    assert rows_of(minimum_spanning_forest(graph, 20)) == kruskal(graph, 20), seed


@pytest.mark.parametrize("seed", range(5))
def test_the_forest_weighs_what_scipys_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = np.triu(rng.random((15, 15)), 1)
    left, right = np.nonzero(table)
    forest = minimum_spanning_forest(Edges(left, right, table[left, right]), 15)
    assert forest.distance.sum() == pytest.approx(minimum_spanning_tree(table).sum())


def together(forests: list[Edges]) -> Edges:
    return Edges(*(np.concatenate(parts) for parts in zip(*forests, strict=True)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
@settings(deadline=None, max_examples=100)
def test_forests_of_shards_merge_into_the_forest_of_the_union(seed: int, shards: int) -> None:
    graph = random_graph(seed)
    rng = np.random.default_rng(seed)
    is_in = rng.random((shards, len(graph.left))) < 0.2  # an edge may be in several shards, a shard may be empty
    is_in[rng.integers(0, shards, len(graph.left)), np.arange(len(graph.left))] = True
    forests = [minimum_spanning_forest(Edges(*(part[chosen] for part in graph)), 20) for chosen in is_in]
    assert rows_of(minimum_spanning_forest(together(forests), 20)) == kruskal(graph, 20)
    one_by_one = forests[0]
    for forest in forests[1:]:
        one_by_one = minimum_spanning_forest(together([one_by_one, forest]), 20)
    assert rows_of(one_by_one) == kruskal(graph, 20)


def test_no_edges() -> None:
    empty = Edges(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert rows_of(minimum_spanning_forest(empty, 3)) == []


def test_mutual_reachability_equals_its_definition() -> None:
    rng = np.random.default_rng(3)
    embeddings = rng.normal(size=(30, 8)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    neighbors = nearest_neighbors(embeddings, 29)
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    core = np.sort(distances, axis=1)[:, 3]  # the face itself comes first
    edges = mutual_reachability(neighbors, min_samples=3)
    assert len(edges.left) == 30 * 29 // 2
    assert (edges.left < edges.right).all()
    expected = np.maximum(distances[edges.left, edges.right], np.maximum(core[edges.left], core[edges.right]))
    assert np.allclose(edges.distance, expected, atol=1e-5)


def test_one_sided_neighbours_become_one_edge() -> None:
    # 0 and 1 name each other, 2 names 1 alone.
    neighbors = Neighbors(np.array([[1], [0], [1]]), np.array([[0.5], [0.5], [-1.0]], np.float32))
    assert rows_of(mutual_reachability(neighbors)) == [(0, 1, 1.0), (1, 2, 2.0)]
    allowed = np.array([[True], [False], [False]])
    assert rows_of(mutual_reachability(neighbors, allowed=allowed)) == [(0, 1, 1.0)]


def test_too_few_neighbours_have_no_core_distance() -> None:
    neighbors = Neighbors(np.array([[1], [0]]), np.ones((2, 1), np.float32))
    assert core_distances(neighbors, 1).tolist() == [0, 0]
    assert np.isinf(core_distances(neighbors, 2)).all()
