"""Approximate rank-order clustering (Otto, Wang, Jain 2018, "Clustering millions of faces by identity").

It goes back to Zhu, Wen, Sun 2011, "A rank-order distance based clustering algorithm for face tagging": two faces are
one person where they share their nearest faces, however far apart these are.
"""

import faiss
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NEAREST = 22  # faces in a list; of 3 to 400 what served it best on lfw-dev, where most people have few photos
PAIRS_AT_ONCE = 65_536  # bounds the memory of what is compared together


def rank_order(embeddings: Embeddings, distance: float, _seed: int = 0) -> Ints:
    """Return groups of faces whose rank-order distances are below a distance, joined transitively.

    Args:
        embeddings: (N, D) float32, unit length.
        distance: a rank-order distance, 0 and up (`rank_order_distances`).

    Returns:
        (N,) int64, 0 and up.
    """
    lists = nearest_lists(embeddings, NEAREST)
    pairs, distances = rank_order_distances(lists)
    left, right = pairs[distances < distance].T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(embeddings), len(embeddings)))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def nearest_lists(embeddings: Embeddings, k: int) -> Ints:
    """Return each face's list: itself, then its nearest others, equally near ones by row.

    Args:
        embeddings: (N, D) float32, unit length.
        k: how many others.

    Returns:
        (N, min(k, N - 1) + 1) int64 rows.
    """
    k = min(k, len(embeddings) - 1)
    similarities, ids = faiss.knn(embeddings, embeddings, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    itself = np.arange(len(embeddings))[:, None]
    similarities[ids == itself] = np.inf
    missing = ~(ids == itself).any(axis=1)  # crowded out by more than k copies of it
    ids[missing, -1], similarities[missing, -1] = itself[missing, 0], np.inf
    lists: Ints = np.take_along_axis(ids, np.lexsort((ids, -similarities), axis=1), axis=1)
    return lists


def rank_order_distances(lists: Ints) -> tuple[Ints, Floats]:
    """Return the rank-order distances of all pairs of faces of which one is in the other's list.

    d(a, b) counts the faces in a's list, down to b, that are missing in b's list; the distance is
    (d(a, b) + d(b, a)) / min(rank of b in a's list, rank of a in b's list).

    Args:
        lists: (N, K + 1) int64 from `nearest_lists`; ranks count from 0, the face itself.

    Returns:
        (P, 2) int64 rows, the first of a pair smaller than the second, and (P,) float64.
    """
    count, length = lists.shape
    faces = np.repeat(np.arange(count), length - 1)
    others = lists[:, 1:].ravel()
    pairs = np.unique(np.stack([np.minimum(faces, others), np.maximum(faces, others)], axis=1), axis=0)
    distances = np.empty(len(pairs))
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        left, right = pairs[start : start + PAIRS_AT_ONCE].T
        strange, rank = _strangers_before(lists, left, right)
        strange_back, rank_back = _strangers_before(lists, right, left)
        distances[start : start + len(left)] = (strange + strange_back) / np.minimum(rank, rank_back)
    return pairs, distances


def _strangers_before(lists: Ints, a: Ints, b: Ints) -> tuple[Ints, Ints]:
    """Return how many of a's list, down to b, are missing in b's list; and b's rank in a's list, K + 1 if missing."""
    length = lists.shape[1]
    found = lists[a] == b[:, None]  # (P, K + 1)
    rank = np.where(found.any(axis=1), found.argmax(axis=1), length)
    shared = (lists[a][:, :, None] == lists[b][:, None, :]).any(axis=2)  # (P, K + 1)
    strange = (~shared & (np.arange(length) <= rank[:, None])).sum(axis=1)
    return strange, rank
