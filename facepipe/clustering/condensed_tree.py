"""The hierarchy of faces, by the `hdbscan` library's own tree routines (Campello, Moulavi, Sander 2013)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from hdbscan._hdbscan_linkage import label
from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters, labelling_at_cut
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facepipe.clustering.mst import Edges

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Density is 1 / distance, so copies would be infinitely dense and stabilities not a number: no pair counts as nearer.
LEAST_DISTANCE = 1e-6


class StableClusters(NamedTuple):
    """HDBSCAN's flat clustering of N faces.

    Attributes:
        labels: (N,) int64, -1 for noise.
        probabilities: (N,) float64, membership strength, 0 to 1; 0 for noise.
    """

    labels: Ints
    probabilities: Floats


def single_linkage_tree(forest: Edges, count: int) -> Floats:
    """Return the hierarchy of a spanning forest; its components meet at a virtual root, infinitely far apart.

    Args:
        forest: edges of a minimum spanning forest, nearest first.
        count: number of faces, N.

    Returns:
        (N - 1, 4) float64 in scipy's format: two nodes, their distance, faces below them; (0, 4) for fewer than two.
    """
    if count < 2:
        return np.zeros((0, 4))
    graph = coo_array((np.ones(len(forest.left)), (forest.left, forest.right)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)  # (C,) one face of each component
    root = np.column_stack([first[:-1], first[1:], np.full(len(first) - 1, np.inf)])
    tree: Floats = label(np.concatenate([np.column_stack(forest).astype(np.float64), root]))
    return tree


def labels_at_distance(tree: Floats, distance: float) -> Ints:
    """Return the groups that single linkage forms below a distance.

    Args:
        tree: (N - 1, 4) from `single_linkage_tree`.
        distance: nodes at this distance or farther apart are not joined.

    Returns:
        (N,) int64, 0 and up; a face that is joined to none is a group of its own.
    """
    if not len(tree):
        return np.zeros(1, np.int64)
    labels: Ints = labelling_at_cut(tree, distance, 1).astype(np.int64)
    return labels


def stable_clusters(tree: Floats, min_cluster_size: int = 2) -> StableClusters:
    """Return HDBSCAN's clusters of greatest total stability (excess of mass, section 5).

    This is density alone, the comparison that `group_faces` is measured against.

    Args:
        tree: (N - 1, 4) from `single_linkage_tree`.
        min_cluster_size: faces that make a cluster, at least 2.
    """
    if not len(tree):
        return StableClusters(np.full(1, -1, np.int64), np.zeros(1))
    tree = tree.copy()
    tree[:, 2] = np.maximum(tree[:, 2], LEAST_DISTANCE)
    condensed = condense_tree(tree, min_cluster_size)
    labels, probabilities, _ = get_clusters(condensed, compute_stability(condensed))
    return StableClusters(labels.astype(np.int64), probabilities)
