import warnings
from typing import NamedTuple

import hdbscan
import numpy as np
import pytest
from hdbscan._hdbscan_linkage import label
from hdbscan.hdbscan_ import _tree_to_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facepipe.clustering.condensed_tree import FlatClustering, SelectionMethod, flat_clustering, single_linkage_tree
from facepipe.clustering.constraints import numbered_by_first_face
from facepipe.clustering.knn import Neighbors, nearest_neighbors
from facepipe.clustering.mst import Edges, minimum_spanning_forest, mutual_reachability
from facepipe.evaluation.clustering import compare_groups

FAR = 1e9


class Problem(NamedTuple):
    """Vectors (N, D) float64 of unit length, and how their clusters are selected."""

    vectors: np.ndarray
    min_cluster_size: int
    method: SelectionMethod
    epsilon: float

    def clusters(self, forest: Edges) -> FlatClustering:
        return flat_clustering(forest, len(self.vectors), self.min_cluster_size, self.method, self.epsilon)

    def library(self, vectors_or_distances: np.ndarray, **how: object) -> hdbscan.HDBSCAN:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return hdbscan.HDBSCAN(
                min_cluster_size=self.min_cluster_size,
                cluster_selection_method=self.method,
                cluster_selection_epsilon=self.epsilon,
                approx_min_span_tree=False,
                **how,
            ).fit(vectors_or_distances)


def problem_of(seed: int) -> Problem:
    """Tight and loose clusters of many sizes; for up to 60 dimensions the library has another algorithm than above."""
    rng = np.random.default_rng(seed)
    count, dimension = rng.integers(11, 101), rng.choice([3, 8, 32, 128])
    spread = rng.choice([0.05, 0.2, 0.5, 1.0, 3.0])
    centres = rng.normal(size=(rng.integers(1, 13), dimension))
    shares = rng.dirichlet(np.ones(len(centres)))
    vectors = centres[rng.choice(len(centres), count, p=shares)] + spread * rng.normal(size=(count, dimension))
    return Problem(
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        min_cluster_size=int(rng.integers(2, 9)),
        method="eom" if rng.random() < 0.5 else "leaf",
        epsilon=float(rng.choice([0.0, 0.0, 0.05, 0.2, 0.5, 1.0])),
    )


# Hypothesis would draw mostly few faces, among which are no clusters: it draws the seed alone.
PROBLEMS = st.integers(0, 2**32 - 1).map(problem_of)


def all_neighbors(vectors: np.ndarray) -> Neighbors:
    """Every face's N - 1 neighbours in float64, which FAISS does not have."""
    cosines = np.clip(vectors @ vectors.T, -1, 1)
    np.fill_diagonal(cosines, np.inf)
    ids = np.argsort(-cosines, axis=1, kind="stable")[:, 1:]
    return Neighbors(ids, np.take_along_axis(cosines, ids, axis=1))


def forest_of(vectors: np.ndarray, min_samples: int = 1) -> Edges:
    return minimum_spanning_forest(mutual_reachability(all_neighbors(vectors), min_samples), len(vectors))


def assert_equal_but_for_names(ours: FlatClustering, theirs: hdbscan.HDBSCAN) -> None:
    assert numbered_by_first_face(ours.labels).tolist() == numbered_by_first_face(theirs.labels_).tolist()
    assert np.allclose(ours.probabilities, theirs.probabilities_, rtol=0, atol=1e-6)
    assert np.allclose(ours.outlier_scores, theirs.outlier_scores_, rtol=0, atol=1e-6)


@given(PROBLEMS)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_clusters_equal_the_librarys(problem: Problem) -> None:
    theirs = problem.library(problem.vectors, min_samples=1)
    assert_equal_but_for_names(problem.clusters(forest_of(problem.vectors)), theirs)


@given(PROBLEMS, st.integers(2, 10))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_mutual_reachability_forests_equal_the_librarys(problem: Problem, min_samples: int) -> None:
    # Core distances make many edges equally long. Which of them are in the forest, and in what order, is free, and
    # the clusters depend on it: they can be compared on one forest alone.
    theirs = problem.library(problem.vectors, min_samples=min_samples, gen_min_span_tree=True)
    tree = theirs.minimum_spanning_tree_.to_numpy()  # in the order in which the library joins them
    ours = forest_of(problem.vectors, min_samples)
    assert np.allclose(ours.distance, np.sort(tree[:, 2]), rtol=0, atol=1e-9)

    left, right = tree[:, :2].astype(np.int64).T
    on_theirs = problem.clusters(Edges(left, right, tree[:, 2]))
    assert on_theirs.labels.tolist() == theirs.labels_.tolist()
    assert np.allclose(on_theirs.probabilities, theirs.probabilities_)
    assert np.allclose(on_theirs.outlier_scores, theirs.outlier_scores_)

    library_on_ours = _tree_to_labels(
        None,
        label(np.column_stack(ours)),
        problem.min_cluster_size,
        problem.method,
        cluster_selection_epsilon=problem.epsilon,
    )
    assert problem.clusters(ours).labels.tolist() == library_on_ours[0].tolist()
    assert np.allclose(problem.clusters(ours).probabilities, library_on_ours[1])


def components_of(forest: Edges, count: int) -> np.ndarray:
    """The component of each face, numbered from the largest to the smallest."""
    graph = coo_array((np.ones(len(forest.left)), (forest.left, forest.right)), shape=(count, count))
    component = connected_components(graph, directed=False)[1]
    place = np.empty(component.max() + 1, np.int64)
    place[np.argsort(-np.bincount(component), kind="stable")] = np.arange(len(place))
    numbered: np.ndarray = place[component]
    return numbered


@given(PROBLEMS, st.sampled_from([0, 0.5, 0.7, 0.8, 0.9, 0.95, 1]))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_components_are_as_good_as_very_far_apart(problem: Problem, share: float) -> None:
    whole, count = forest_of(problem.vectors), len(problem.vectors)
    kept = round(share * len(whole.left))
    forest = Edges(whole.left[:kept], whole.right[:kept], whole.distance[:kept])
    component = components_of(forest, count)
    # The library can't take infinite distances. The smaller components are, the farther from all others, so that no
    # two meet at the same distance, and those too small for a cluster are the first to leave.
    far = FAR * (1 + np.maximum(component[:, None], component))
    distances = np.linalg.norm(problem.vectors[:, None] - problem.vectors, axis=2)
    distances = np.where(component[:, None] == component, distances, far)
    theirs = problem.library(distances, min_samples=1, metric="precomputed", algorithm="generic")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is divided by the root's density, which is none
        ours = problem.clusters(forest)
    if np.bincount(component).max() >= problem.min_cluster_size:
        assert_equal_but_for_names(ours, theirs)
    else:
        assert_all_noise(ours, count)


def assert_all_noise(clusters: FlatClustering, count: int) -> None:
    assert clusters.labels.tolist() == [-1] * count
    assert clusters.probabilities.tolist() == clusters.outlier_scores.tolist() == [0] * count


def forest(*rows: tuple[int, int, float]) -> Edges:
    left, right, distance = zip(*sorted(rows, key=lambda row: row[2]), strict=True)
    return Edges(np.array(left), np.array(right), np.array(distance))


def solved_forest() -> Edges:
    """Pairs 0.1 apart, two of them 0.125 apart, another two far from these; and face 8, which is 0.5 from the first."""
    pairs = [(face, face + 1, 0.1) for face in (0, 2, 4, 6)]
    return forest(*pairs, (1, 2, 0.125), (5, 6, 0.125), (0, 8, 0.5), (3, 4, 1.0))


def test_a_solved_forest() -> None:
    # Four faces stay together from density 1 to 8, which is 28; their two pairs each from 8 to 10, which is 8 in all.
    clusters = flat_clustering(solved_forest(), 9)
    assert numbered_by_first_face(clusters.labels).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert clusters.probabilities == pytest.approx([1] * 8 + [2 / 8])
    assert clusters.outlier_scores == pytest.approx([0] * 8 + [1 - 2 / 10])


@pytest.mark.parametrize(
    ("epsilon", "expected"),
    [
        (0.0, [0, 0, 1, 1, 2, 2, 3, 3, -1]),
        (0.12, [0, 0, 1, 1, 2, 2, 3, 3, -1]),
        (0.13, [0, 0, 0, 0, 1, 1, 1, 1, 0]),
    ],
)
def test_leaves_and_epsilon_on_a_solved_forest(epsilon: float, expected: list[int]) -> None:
    clusters = flat_clustering(solved_forest(), 9, 2, "leaf", epsilon)
    assert numbered_by_first_face(clusters.labels).tolist() == expected


@pytest.mark.parametrize("method", ["eom", "leaf"])
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 5.0])
def test_unlinked_faces_are_noise_whichever_row_they_are(method: SelectionMethod, epsilon: float) -> None:
    # Face 0 comes before all others, face 4 between two components, face 8 after all.
    three_apart = forest((1, 2, 0.1), (2, 3, 0.2), (5, 6, 0.1), (6, 7, 0.2), (9, 10, 0.1), (10, 11, 0.2))
    clusters = flat_clustering(three_apart, 12, 3, method, epsilon)
    assert numbered_by_first_face(clusters.labels).tolist() == [-1, 0, 0, 0, -1, 1, 1, 1, -1, 2, 2, 2]
    assert clusters.probabilities == pytest.approx([0, 1, 1, 1] * 3)
    assert clusters.outlier_scores == pytest.approx([1, 0, 0, 0] * 3)


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.9, 1.3])
def test_a_cut_of_the_tree_equals_scipys_single_linkage(cut: float) -> None:
    vectors = blobs(1)
    expected = fcluster(linkage(vectors, "single"), cut, "distance")
    tree = single_linkage_tree(forest_of(vectors), len(vectors))
    assert same_groups(expected, fcluster(tree, cut, "distance"))


def blobs(seed: int, people: int = 6, each: int = 8, spread: float = 0.12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = np.repeat(rng.normal(size=(people, 12)), each, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors += spread * rng.normal(size=vectors.shape)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def same_groups(first: np.ndarray, second: np.ndarray) -> bool:
    return compare_groups(first, second).bcubed.f == 1


def test_components_meet_at_infinity_from_the_largest_to_the_smallest() -> None:
    tree = single_linkage_tree(forest((4, 5, 0.1), (1, 2, 0.2), (2, 3, 0.3)), 7)  # {0}, {1, 2, 3}, {4, 5}, {6}
    assert tree[:, 2].tolist() == [0.1, 0.2, 0.3, np.inf, np.inf, np.inf]
    assert tree[:, 3].tolist() == [2, 2, 3, 5, 6, 7]


def test_infinite_distances_link_nothing() -> None:
    # Mutual reachability is infinite where faces have fewer neighbours than samples.
    edges = mutual_reachability(nearest_neighbors(blobs(2).astype(np.float32), 3), min_samples=4)
    assert np.isinf(edges.distance).all()
    assert_all_noise(flat_clustering(minimum_spanning_forest(edges, 48), 48), 48)


def test_copies_leave_everything_finite() -> None:
    # Three copies and a face 0.5 from them, three copies more, a pair and a face 0.4 from it.
    copies = [(0, 1, 0.0), (1, 2, 0.0), (4, 5, 0.0), (5, 6, 0.0)]
    clusters = flat_clustering(forest(*copies, (0, 3, 0.5), (7, 8, 0.2), (8, 9, 0.4), (6, 3, 0.9), (6, 7, 1.0)), 10)
    assert numbered_by_first_face(clusters.labels).tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert clusters.probabilities == pytest.approx([1, 1, 1, 0, 1, 1, 1, 1, 1, 0.5], abs=1e-5)
    assert clusters.outlier_scores == pytest.approx([0, 0, 0, 1, 0, 0, 0, 0, 0, 0.5], abs=1e-5)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_linked_is_all_noise(count: int) -> None:
    none = Edges(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert single_linkage_tree(none, count).shape == (max(count - 1, 0), 4)
    assert_all_noise(flat_clustering(none, count), count)
