"""The second measure: a candidate that chains of look-alikes hold together is cut where its parts are far on average.

Single linkage joins two people through one pair of similar photos; the average distance between all their photos tells
them apart. Average linkage is UPGMA (Sokal, Michener 1958).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from facepipe.clustering.constraints import cannot_link
from facepipe.clustering.mst import euclidean

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Stands for "never": it must be finite for sums, and its share in an average over n * m pairs must still be far beyond
# any cut. Real distances are at most 2; with groups of 10,000 faces each the average is at least 1e12 / 1e8 = 10,000.
FORBIDDEN_DISTANCE = 1e12


def split_by_average_linkage(
    embeddings: Embeddings, photo_index: Ints, candidates: Ints, average_distance: float
) -> Ints:
    """Return the groups into which average linkage splits each candidate.

    Args:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64, the photo of each face: faces of one photo end in different groups.
        candidates: (N,) int64; every candidate of n faces takes memory for n * n distances.
        average_distance: two parts stay apart where their faces are farther apart on average (Euclidean, 0 to 2).

    Returns:
        (N,) int64 groups, 0 and up, each inside one candidate.
    """
    groups = np.empty(len(embeddings), np.int64)
    next_group = 0
    for members in members_of(candidates):
        if len(members) == 1:
            parts = np.zeros(1, np.int64)
        else:
            distances = distances_with_constraints(embeddings[members], photo_index[members])
            tree = linkage(squareform(distances, checks=False), "average")
            parts = fcluster(tree, average_distance, "distance").astype(np.int64) - 1
        groups[members] = next_group + parts
        next_group += int(parts.max()) + 1
    return groups


def distances_with_constraints(embeddings: Embeddings, photo_index: Ints) -> Floats:
    """Return the distances (n, n) between faces, `FORBIDDEN_DISTANCE` for pairs that can't be one person."""
    similarities = embeddings @ embeddings.T  # (n, n)
    distances = euclidean((similarities + similarities.T) / 2)
    np.fill_diagonal(distances, 0.0)
    distances[cannot_link(photo_index)] = FORBIDDEN_DISTANCE
    return distances


def members_of(labels: Ints) -> Iterator[Ints]:
    """Yield the rows of each label, in order of the labels; the rows of one ascend."""
    if not len(labels):
        return
    order = np.argsort(labels, kind="stable")
    boundaries = np.flatnonzero(np.diff(labels[order])) + 1
    yield from np.split(order, boundaries)
