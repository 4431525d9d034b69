"""Nearest faces of very many faces: lists of similar faces, of which each face is compared with the nearest.

An inverted file (Sivic and Zisserman, "Video Google", ICCV 2003; Jégou, Douze and Schmid, "Product quantization for
nearest neighbor search", 2011, section IV). Its queries come list by list, so that those of a request probe the same
lists: each list is compared with all that probe it at once, by a product of matrices in place of many scattered ones.
"""

from collections.abc import Callable, Iterable, Iterator
from math import ceil, sqrt
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SEED = 20150317
POINTS_A_LIST = 32  # on which the centroids are trained
ITERATIONS = 6
ROWS_AT_ONCE = 65_536
QUERIES_AT_ONCE = 4096
ANY_NEAREST = 2  # lists in which the nearest faces are found, however far; beyond, those that are close
LISTS_SQUARED = 8  # how many lists suit N faces, squared, over N


class Found(NamedTuple):
    """What a search brought, nearest first, equally near ones by id; -1 and -inf where there were too few.

    Attributes:
        ids: (B, K) int64.
        similarities: (B, K) float32, cosines.
    """

    ids: Ints
    similarities: Embeddings


class Request(NamedTuple):
    """Faces to be searched for.

    Attributes:
        queries: (B, D) float32, unit length.
        probed: (B, P) int64, the lists in which each one's nearest faces are sought, nearest first.
        close: in all but the nearest lists, of which there are `ANY_NEAREST`, only faces as similar as this count.
    """

    queries: Embeddings
    probed: Ints
    close: float


class Shard:
    """A part of all faces, searched on its own; several parts together give what one of all faces would.

    Args:
        embeddings: (M, D) float32, unit length.
        ids: (M,) int64, what the faces are called in results: ascending.
        list_of: (M,) int64, the list of each.
        lists: how many lists there are.
    """

    def __init__(self, embeddings: Embeddings, ids: Ints, list_of: Ints, lists: int) -> None:
        rows = np.argsort(list_of, kind="stable")
        self._embeddings, self._ids = embeddings[rows], ids[rows]  # list by list
        self._starts = np.searchsorted(list_of[rows], np.arange(lists + 1)).tolist()

    def search(self, request: Request, k: int) -> Found:
        """Return the k nearest faces for each query among those in the lists that it probes."""
        found = self._search_nearest(request, k)
        least = np.maximum(found.similarities[:, -1], request.close)  # (B,), of faces that may still be among the k
        queries, ids, similarities = self._search_farther(request, least.astype(np.float32))
        count = len(found.ids)
        queries = np.concatenate([np.repeat(np.arange(count), k), queries])
        ids = np.concatenate([found.ids.reshape(-1), ids])
        similarities = np.concatenate([found.similarities.reshape(-1), similarities])
        order = np.lexsort((ids, -similarities, queries))
        starts = np.searchsorted(queries[order], np.arange(count))  # each has k at least
        chosen = order[starts[:, None] + np.arange(k)]
        return Found(ids[chosen], similarities[chosen])

    def _search_nearest(self, request: Request, k: int) -> Found:
        """Return the k nearest faces for each query in the nearest lists."""
        probed = request.probed[:, :ANY_NEAREST]
        ids = np.full((probed.size, k), -1, np.int64)
        similarities = np.full((probed.size, k), -np.inf, np.float32)
        for places, members in self._compared(probed):
            width = min(k, members.stop - members.start)
            queries = request.queries[places // probed.shape[1]]
            found, rows = faiss.knn(queries, self._embeddings[members], width, metric=faiss.METRIC_INNER_PRODUCT)
            ids[places, :width] = self._ids[members][rows]
            similarities[places, :width] = found
        return _nearest(ids.reshape(len(probed), -1), similarities.reshape(len(probed), -1), k)

    def _search_farther(self, request: Request, least: Embeddings) -> tuple[Ints, Ints, Embeddings]:
        """Return the faces in all other lists that are similar enough: queries, ids and similarities, one a pair."""
        probed = request.probed[:, ANY_NEAREST:]
        pairs = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
        for places, members in self._compared(probed):
            queries = places // probed.shape[1]
            products = request.queries[queries] @ self._embeddings[members].T  # (queries, members)
            rows, columns = np.divmod(np.flatnonzero(products >= least[queries, None]), products.shape[1])
            pairs.append((queries[rows], self._ids[members][columns], products[rows, columns]))
        queries, ids, similarities = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return queries, ids, similarities

    def _compared(self, probed: Ints) -> Iterator[tuple[Ints, slice]]:
        """Yield the places in `probed` of each list that has any faces here, and these."""
        by_list = np.argsort(probed, axis=None, kind="stable")
        lists = len(self._starts) - 1
        firsts = np.searchsorted(probed.reshape(-1)[by_list], np.arange(lists + 1)).tolist()
        for number in range(lists):
            places = by_list[firsts[number] : firsts[number + 1]]
            members = slice(self._starts[number], self._starts[number + 1])
            if len(places) and members.start < members.stop:
                yield places, members


# From requests and k to the k nearest faces for each request, in order: a shard's, or several shards' merged.
Search = Callable[[Iterable[Request], int], Iterator[Found]]


def number_of_lists(count: int) -> int:
    """Return how many lists suit so many faces: assigning a face then costs about as much as comparing it."""
    return max(1, ceil(sqrt(LISTS_SQUARED * count)))


def train_centroids(embeddings: Embeddings, lists: int) -> Embeddings:
    """Return centroids (L, D) float32 of unit length, by spherical k-means on an evenly spaced sample of the faces."""
    step = max(1, len(embeddings) // (lists * POINTS_A_LIST))
    sample = np.ascontiguousarray(embeddings[::step][: lists * POINTS_A_LIST])
    kmeans = faiss.Kmeans(
        sample.shape[1], lists, niter=ITERATIONS, spherical=True, seed=SEED, min_points_per_centroid=1
    )
    kmeans.train(sample)
    return np.asarray(kmeans.centroids, np.float32).reshape(lists, -1)


def nearest_centroids(embeddings: Embeddings, centroids: Embeddings, count: int) -> Ints:
    """Return the nearest lists of each face, (N, count) int64, nearest first; the first is the one that it is in."""
    lists = np.empty((len(embeddings), count), np.int64)
    for start in range(0, len(embeddings), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        _, lists[block] = faiss.knn(embeddings[block], centroids, count, metric=faiss.METRIC_INNER_PRODUCT)
    return lists


def requests_of(
    embeddings: Embeddings, centroids: Embeddings, rows: Ints, probes: int, close: float
) -> Iterator[Request]:
    """Yield requests for faces, in order.

    Args:
        embeddings: (N, D) float32, unit length.
        centroids: (L, D) float32, of the lists.
        rows: (M,) int64 of the faces; best list by list.
        probes: how many lists are probed for each.
        close: as in a request.
    """
    for start in range(0, len(rows), QUERIES_AT_ONCE):
        queries = embeddings[rows[start : start + QUERIES_AT_ONCE]]
        yield Request(queries, nearest_centroids(queries, centroids, probes), close)


def merged(parts: list[Found], k: int) -> Found:
    """Return the k nearest of what several shards found for the same queries."""
    ids = np.concatenate([part.ids for part in parts], axis=1)
    similarities = np.concatenate([part.similarities for part in parts], axis=1)
    return _nearest(ids, similarities, k)


def _nearest(ids: Ints, similarities: Embeddings, k: int) -> Found:
    """Return the k nearest of each row, equally near ones by id."""
    if ids.shape[1] > k:
        nearest = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
        ids, similarities = np.take_along_axis(ids, nearest, axis=1), np.take_along_axis(similarities, nearest, axis=1)
    order = np.lexsort((ids, -similarities), axis=1)
    return Found(np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1))
