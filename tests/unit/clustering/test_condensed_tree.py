import warnings

import hdbscan
import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from facepipe.clustering.condensed_tree import labels_at_distance, single_linkage_tree, stable_clusters
from facepipe.clustering.knn import nearest_neighbors
from facepipe.clustering.mst import Edges, minimum_spanning_forest, mutual_reachability
from facepipe.evaluation.clustering import compare_groups


def blobs(seed: int, people: int = 6, each: int = 8, spread: float = 0.12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    vectors = np.repeat(rng.normal(size=(people, 12)), each, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors += spread * rng.normal(size=vectors.shape)
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def tree_of(embeddings: np.ndarray, k: int = 1000, min_samples: int = 1) -> np.ndarray:
    edges = mutual_reachability(nearest_neighbors(embeddings, k), min_samples)
    return single_linkage_tree(minimum_spanning_forest(edges, len(embeddings)), len(embeddings))


def same_groups(first: np.ndarray, second: np.ndarray) -> bool:
    return compare_groups(first, second).bcubed.f == 1


def chain(*distances: float) -> np.ndarray:
    """The hierarchy of faces 0 - 1 - 2 … in a row."""
    order = np.argsort(distances, kind="stable")
    edges = Edges(np.arange(len(distances))[order], np.arange(1, len(distances) + 1)[order], np.array(distances)[order])
    return single_linkage_tree(edges, len(distances) + 1)


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.9, 1.3])
def test_a_cut_equals_scipys_single_linkage(cut: float) -> None:
    embeddings = blobs(1)
    expected = fcluster(linkage(embeddings.astype(np.float64), "single"), cut, "distance")
    assert same_groups(expected, labels_at_distance(tree_of(embeddings), cut))


def library(embeddings: np.ndarray, min_cluster_size: int, min_samples: int) -> hdbscan.HDBSCAN:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hdbscan.HDBSCAN(min_cluster_size, min_samples=min_samples, algorithm="generic").fit(
            embeddings.astype(np.float64)
        )


@pytest.mark.parametrize("min_cluster_size", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_stable_clusters_equal_the_librarys(seed: int, min_cluster_size: int) -> None:
    embeddings = blobs(seed, spread=0.25)
    theirs = library(embeddings, min_cluster_size, min_samples=1)
    ours = stable_clusters(tree_of(embeddings), min_cluster_size)
    assert (ours.labels == -1).tolist() == (theirs.labels_ == -1).tolist(), seed
    clustered = ours.labels >= 0
    assert same_groups(theirs.labels_[clustered], ours.labels[clustered]), seed
    assert np.allclose(ours.probabilities, theirs.probabilities_, atol=1e-3), seed


@pytest.mark.parametrize("cut", [0.6, 0.8, 1.0])
def test_a_cut_of_mutual_reachability_equals_the_librarys(cut: float) -> None:
    # Stable clusters can't be compared here: equal core distances are many, and their order in the tree is free.
    embeddings = blobs(5, spread=0.25)
    theirs = library(embeddings, 3, min_samples=4).single_linkage_tree_.get_clusters(cut, min_cluster_size=1)
    assert same_groups(theirs, labels_at_distance(tree_of(embeddings, min_samples=4), cut))


def test_components_meet_at_infinity() -> None:
    forest = Edges(np.array([3, 0]), np.array([4, 1]), np.array([0.1, 0.2]))
    tree = single_linkage_tree(forest, 6)  # {0, 1}, {2}, {3, 4}, {5}
    assert tree.shape == (5, 4)
    assert tree[:, 2].tolist() == [0.1, 0.2, np.inf, np.inf, np.inf]
    assert tree[-1, 3] == 6
    assert same_groups(np.array([0, 0, 1, 2, 2, 3]), labels_at_distance(tree, 2.0))


def test_the_cut_itself_does_not_join() -> None:
    tree = chain(0.5, 0.9)
    assert same_groups(np.array([0, 0, 1]), labels_at_distance(tree, 0.9))
    assert same_groups(np.array([0, 0, 0]), labels_at_distance(tree, np.nextafter(0.9, 1)))


def test_copies_leave_stabilities_finite() -> None:
    embeddings = np.repeat(blobs(0, people=4, each=1), 5, axis=0)
    clusters = stable_clusters(tree_of(embeddings), 3)
    assert same_groups(np.repeat(np.arange(4), 5), clusters.labels)
    assert np.isfinite(clusters.probabilities).all()


def test_no_hierarchy_below_two_faces() -> None:
    none = Edges(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert single_linkage_tree(none, 1).shape == single_linkage_tree(none, 0).shape == (0, 4)
    assert labels_at_distance(single_linkage_tree(none, 1), 1.0).tolist() == [0]
    assert stable_clusters(single_linkage_tree(none, 1)).labels.tolist() == [-1]
