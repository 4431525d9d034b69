"""Each face's nearest faces at any size: exhaustively while that takes seconds, then through lists of similar faces."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.clustering.inverted_lists import (
    Search,
    Shard,
    nearest_centroids,
    number_of_lists,
    requests_of,
    train_centroids,
)
from facepipe.clustering.knn import Neighbors, check_unit_length, gpus, nearest_neighbors, without_self

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

EXHAUSTIVE_FACES = 20_000  # 4 s of two cores
EXHAUSTIVE_FACES_ON_GPU = 1_000_000
FIRST_PROBES = 64
SAMPLE = 500  # faces whose neighbours are also searched exhaustively
LEAST_RECALL = 0.95  # of neighbours that are close enough to be the same person
MARGIN = 0.1  # by which similarities are adjusted later, at most (`crowding`)

OpenSearch = Callable[[Embeddings, Ints, int], Search]


class Searched(NamedTuple):
    """The outcome of a search.

    Attributes:
        neighbors: of all N faces.
        recall: the share of a face's close neighbours that was found, on average over a sample of faces that have any;
            1 for an exhaustive search.
        probes: lists searched for each face; 0 for an exhaustive search.
    """

    neighbors: Neighbors
    recall: float
    probes: int


def one_shard(embeddings: Embeddings, list_of: Ints, lists: int) -> Search:
    """Return the search of a single shard, in this process."""
    shard = Shard(embeddings, np.arange(len(embeddings)), list_of, lists)
    return lambda requests, k: (shard.search(request, k) for request in requests)


def search_neighbors(
    embeddings: Embeddings,
    k: int,
    close: float,
    *,
    exhaustive_faces: int | None = None,
    open_search: OpenSearch = one_shard,
) -> Searched:
    """Return the k nearest faces of every face, exactly or nearly.

    How many lists are searched is doubled until the recall on a sample suffices, or all are.

    Args:
        embeddings: (N, D) float32, unit length.
        k: how many neighbours, at least 1.
        close: least similarity of neighbours that count for the recall. What is less similar by more than MARGIN may be
            left out for something farther.
        exhaustive_faces: with no more faces the search is exhaustive; None: as many as take seconds here.
        open_search: how lists are searched: `one_shard`, or several, elsewhere.

    Raises:
        FacepipeError: an embedding is not finite or not of unit length.
    """
    if exhaustive_faces is None:
        exhaustive_faces = EXHAUSTIVE_FACES_ON_GPU if gpus() else EXHAUSTIVE_FACES
    if len(embeddings) <= max(exhaustive_faces, k + 1):
        return Searched(nearest_neighbors(embeddings, k), 1.0, 0)
    check_unit_length(embeddings)
    centroids = train_centroids(embeddings, number_of_lists(len(embeddings)))
    list_of = nearest_centroids(embeddings, centroids, 1)[:, 0]
    search = open_search(embeddings, list_of, len(centroids))
    probes, recall = _enough_probes(embeddings, centroids, k, close, search)
    ids = np.empty((len(embeddings), k), np.int64)
    similarities = np.empty((len(embeddings), k), np.float32)
    order = np.argsort(list_of, kind="stable")
    place = 0
    for found in search(requests_of(embeddings, centroids, order, probes, close - MARGIN), k + 1):
        rows = order[place : place + len(found.ids)]
        ids[rows], similarities[rows] = without_self(found.ids, found.similarities, rows)
        place += len(rows)
    lonely = np.flatnonzero(ids.min(axis=1) < 0)  # in lists with fewer than k faces in all
    if len(lonely):
        ids[lonely], similarities[lonely] = nearest_neighbors(embeddings, k, rows=lonely)
    return Searched(Neighbors(ids, similarities), recall, probes)


def _enough_probes(
    embeddings: Embeddings, centroids: Embeddings, k: int, close: float, search: Search
) -> tuple[int, float]:
    """Return the least number of lists, doubled from FIRST_PROBES, that finds enough; and its recall."""
    sample = np.linspace(0, len(embeddings) - 1, min(SAMPLE, len(embeddings))).astype(np.int64)
    exact = nearest_neighbors(embeddings, k, rows=sample)
    is_close = exact.similarities >= close
    probes = FIRST_PROBES
    while True:
        probes = min(probes, len(centroids))
        found = list(search(requests_of(embeddings, centroids, sample, probes, close - MARGIN), k + 1))
        recall = mean_recall(np.concatenate([part.ids for part in found]), exact.ids, is_close)
        if recall >= LEAST_RECALL or probes == len(centroids):
            return probes, recall
        probes *= 2


def mean_recall(found: Ints, wanted: Ints, counts: npt.NDArray[np.bool_]) -> float:
    """Return which share of its wanted neighbours a face found, on average over faces with any; 1 where there are none.

    A face of somebody with two photos weighs as much as one of somebody with two thousand: of the former's neighbours
    many more are missed.

    Args:
        found: (N, K) int64.
        wanted: (N, k) int64.
        counts: (N, k), which of the wanted ones count.
    """
    shares = [
        np.isin(row[chosen], ids).mean() for row, chosen, ids in zip(wanted, counts, found, strict=True) if chosen.any()
    ]
    return float(np.mean(shares)) if shares else 1.0
