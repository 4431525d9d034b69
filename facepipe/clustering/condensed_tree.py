"""HDBSCAN's hierarchy and flat clustering of a spanning forest, by the `hdbscan` library's own tree routines.

Density alone: the comparison that `group_faces` is measured against (Campello, Moulavi, Sander 2013, "Density-based
clustering based on hierarchical density estimates").
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from hdbscan._hdbscan_linkage import label
from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters, outlier_scores
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facepipe.clustering.mst import Edges

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SelectionMethod = Literal["eom", "leaf"]

# A density is 1 / distance. At distance 0 stabilities would not be a number, at infinity distances couldn't be had back
# from densities: no pair counts as nearer or farther than these.
LEAST_DISTANCE = 1e-6
GREATEST_DISTANCE = 1e30


class FlatClustering(NamedTuple):
    """HDBSCAN's flat clustering of N faces.

    Attributes:
        labels: (N,) int64, 0 and up; -1 for noise.
        probabilities: (N,) float64, membership strength, 0 to 1; 0 for noise.
        outlier_scores: (N,) float64, 0 to 1: how much thinner it is around a face than where its cluster is densest
            (GLOSH). 1 for a face that is linked to none; 0 for all where no component is large enough for a cluster.
    """

    labels: Ints
    probabilities: Floats
    outlier_scores: Floats


def single_linkage_tree(forest: Edges, count: int) -> Floats:
    """Return the hierarchy of a spanning forest; its components meet at a virtual root, infinitely far apart.

    A tree has two nodes below each: the components join the largest one by one, the smallest last. So what is too small
    for a cluster leaves the root before the others part, and never passes for a member of one of them.

    Args:
        forest: edges of a minimum spanning forest, nearest first; faces infinitely far apart count as not linked.
        count: number of faces, N.

    Returns:
        (N - 1, 4) float64 in scipy's format: two nodes, their distance, faces below them; (0, 4) for fewer than two.
    """
    if count < 2:
        return np.zeros((0, 4))
    linked = forest.distance < np.inf
    left, right, distance = forest.left[linked], forest.right[linked], forest.distance[linked]
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first, sizes = np.unique(component, return_index=True, return_counts=True)
    first = first[np.argsort(-sizes, kind="stable")]  # (C,) one face of each component
    root = np.column_stack([first[:-1], first[1:], np.full(len(first) - 1, np.inf)])
    tree: Floats = label(np.concatenate([np.column_stack([left, right, distance]), root]))
    return tree


def flat_clustering(
    forest: Edges,
    count: int,
    min_cluster_size: int = 2,
    cluster_selection_method: SelectionMethod = "eom",
    cluster_selection_epsilon: float = 0.0,
) -> FlatClustering:
    """Return HDBSCAN's clusters, selected from the condensed tree; all faces together never count as one.

    Args:
        forest: edges of a minimum spanning forest of mutual reachability distances, nearest first.
        count: number of faces, N.
        min_cluster_size: faces that make a cluster, at least 2.
        cluster_selection_method: `eom`, the clusters of greatest total stability (excess of mass, section 5), or
            `leaf`, those that don't part any further.
        cluster_selection_epsilon: clusters that part at a smaller distance than this stay one (Malzer and Baum 2020, "A
            hybrid approach to hierarchical density-based cluster selection"); 0 leaves the selection as it is.

    Returns:
        Labels, probabilities and outlier scores (Campello, Moulavi, Zimek, Sander 2015, "Hierarchical density estimates
        for data clustering, visualization, and outlier detection", section 5).
    """
    if count < 2:
        return FlatClustering(np.full(count, -1, np.int64), np.zeros(count), np.zeros(count))
    tree = single_linkage_tree(forest, count)
    tree[:, 2] = np.clip(tree[:, 2], LEAST_DISTANCE, GREATEST_DISTANCE)
    condensed = condense_tree(tree, min_cluster_size)
    labels, probabilities, _ = get_clusters(
        condensed,
        compute_stability(condensed),
        cluster_selection_method,
        cluster_selection_epsilon=cluster_selection_epsilon,
    )
    return FlatClustering(labels.astype(np.int64), probabilities, outlier_scores(condensed))
