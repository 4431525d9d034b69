"""Each face's nearest faces at any size: exhaustively while that takes seconds, then through lists of similar faces."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from facepipe.clustering.inverted_lists import (
    EXPECTED_PROBES,
    Found,
    Lists,
    Request,
    Search,
    Shard,
    make_lists,
    nearest_centroids,
    number_of_lists,
    requests_of_lists,
    train_centroids,
)
from facepipe.clustering.knn import Neighbors, check_unit_length, nearest_neighbors, without_self

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

EXHAUSTIVE_FACES = 20_000  # 4 s of two cores
SAMPLE = 400  # faces whose neighbours are also searched exhaustively
LEAST_RECALL = 0.95  # of neighbours that are close enough to be the same person

OpenSearch = Callable[[Embeddings, Ints, int], Search]


class Searched(NamedTuple):
    """The outcome of a search.

    Attributes:
        neighbors: of all N faces.
        recall: of the close neighbours of a sample of faces, the share that was found; 1 for an exhaustive search.
        probes: lists searched for the faces of one; 0 for an exhaustive search.
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
    exhaustive_faces: int = EXHAUSTIVE_FACES,
    open_search: OpenSearch = one_shard,
) -> Searched:
    """Return the k nearest faces of every face, exactly or nearly.

    How many lists are searched is doubled until the recall on a sample suffices, or all are.

    Args:
        embeddings: (N, D) float32, unit length.
        k: how many neighbours, at least 1.
        close: least similarity of neighbours that count for the recall.
        exhaustive_faces: with no more faces the search is exhaustive.
        open_search: how lists are searched: `one_shard`, or several, elsewhere.

    Raises:
        FacepipeError: an embedding is not finite or not of unit length.
    """
    if len(embeddings) <= max(exhaustive_faces, k + 1):
        return Searched(nearest_neighbors(embeddings, k), 1.0, 0)
    check_unit_length(embeddings)
    count = number_of_lists(len(embeddings))
    centroids = train_centroids(embeddings, count)
    list_of = nearest_centroids(embeddings, centroids)
    lists = make_lists(list_of, centroids)
    search = open_search(embeddings, list_of, count)
    probes, recall = _enough_probes(embeddings, lists, list_of, k, close, search)
    ids = np.empty((len(embeddings), k), np.int64)
    similarities = np.empty((len(embeddings), k), np.float32)
    place = 0
    for found in search(requests_of_lists(embeddings, lists, k + 1, probes), k + 1):
        rows = lists.rows[place : place + len(found.ids)]
        ids[rows], similarities[rows] = without_self(found.ids, found.similarities, rows)
        place += len(rows)
    return Searched(Neighbors(ids, similarities), recall, probes)


def _enough_probes(
    embeddings: Embeddings, lists: Lists, list_of: Ints, k: int, close: float, search: Search
) -> tuple[int, float]:
    """Return the least number of lists, doubled from EXPECTED_PROBES, that finds enough; and its recall."""
    sample = np.linspace(0, len(embeddings) - 1, min(SAMPLE, len(embeddings))).astype(np.int64)
    similarities, ids = faiss.knn(embeddings[sample], embeddings, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    is_wanted = (similarities >= close) & (ids != sample[:, None])  # (SAMPLE, k + 1)
    wanted = [row[chosen] for row, chosen in zip(ids, is_wanted, strict=True)]
    probes = EXPECTED_PROBES
    while True:
        requests = [
            Request(embeddings[row : row + 1], lists.probed(int(list_of[row]), probes, k + 1)) for row in sample
        ]
        recall = recall_of(search(requests, k + 1), wanted)
        if recall >= LEAST_RECALL or probes >= len(lists.around):
            return min(probes, len(lists.around)), recall
        probes *= 2


def recall_of(found: Iterable[Found], wanted: Sequence[Ints]) -> float:
    """Return the share of wanted neighbours that were found, 1 where none are wanted."""
    hits = sum(int(np.isin(ids, row.ids[0]).sum()) for ids, row in zip(wanted, found, strict=True))
    total = sum(len(ids) for ids in wanted)
    return hits / total if total else 1.0
