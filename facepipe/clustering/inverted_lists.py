"""Nearest faces of very many faces: lists of similar faces, each searched together with the lists around it.

An inverted file (Sivic and Zisserman, "Video Google", ICCV 2003; Jégou, Douze and Schmid, "Product quantization for
nearest neighbor search", 2011, section IV) whose queries come list by list: the faces of a list share their probes, so
that a search is a product of two matrices in place of many scattered ones.
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
EXPECTED_PROBES = 8  # lists for which training and assigning cost about as much as searching


class Found(NamedTuple):
    """What a search brought, nearest first, equally near ones by id.

    Attributes:
        ids: (B, K) int64.
        similarities: (B, K) float32, cosines.
    """

    ids: Ints
    similarities: Embeddings


class Request(NamedTuple):
    """Faces of one list, to be searched for.

    Attributes:
        queries: (B, D) float32, unit length.
        probed: (P,) int64, the lists in which their nearest faces are sought.
    """

    queries: Embeddings
    probed: Ints


class Lists(NamedTuple):
    """Faces in lists of similar ones.

    Attributes:
        rows: (N,) int64 rows of the embeddings, list by list, ascending within each.
        starts: (L + 1,) int64, where each list begins in `rows`, and where the last one ends.
        around: (L, L) int64, for each list all lists by the similarity of their centroids, itself first.
    """

    rows: Ints
    starts: Ints
    around: Ints

    def members(self, number: int) -> Ints:
        """Return the rows in a list."""
        rows: Ints = self.rows[self.starts[number] : self.starts[number + 1]]
        return rows

    def probed(self, number: int, probes: int, least: int) -> Ints:
        """Return the lists to search for the faces of one: so many, or more where those hold fewer than `least`."""
        around = self.around[number]
        held = np.cumsum(self.starts[around + 1] - self.starts[around])
        probed: Ints = around[: max(probes, int(np.searchsorted(held, least)) + 1)]
        return probed


class Shard:
    """A part of all faces, searched on its own; several parts together give what one of all faces would.

    Args:
        embeddings: (M, D) float32, unit length.
        ids: (M,) int64, what the faces are called in results: ascending.
        list_of: (M,) int64, the list of each.
        lists: how many lists there are.
    """

    def __init__(self, embeddings: Embeddings, ids: Ints, list_of: Ints, lists: int) -> None:
        self._embeddings, self._ids = embeddings, ids
        self._rows = np.argsort(list_of, kind="stable")
        self._starts = np.searchsorted(list_of[self._rows], np.arange(lists + 1))

    def search(self, request: Request, k: int) -> Found:
        """Return the k nearest faces for each query, fewer where the probed lists hold fewer."""
        parts = [self._rows[self._starts[number] : self._starts[number + 1]] for number in request.probed.tolist()]
        rows = np.concatenate(parts)
        k = min(k, len(rows))
        if k == 0:
            shape = (len(request.queries), 0)
            return Found(np.zeros(shape, np.int64), np.zeros(shape, np.float32))
        similarities, places = faiss.knn(request.queries, self._embeddings[rows], k, metric=faiss.METRIC_INNER_PRODUCT)
        return Found(self._ids[rows[places]], similarities)


# From requests and k to the k nearest faces for each request, in order: a shard's, or several shards' merged.
Search = Callable[[Iterable[Request], int], Iterator[Found]]


def number_of_lists(count: int) -> int:
    """Return how many lists suit so many faces: assigning a face then costs about as much as searching for it."""
    return max(1, ceil(sqrt(EXPECTED_PROBES * count)))


def train_centroids(embeddings: Embeddings, lists: int) -> Embeddings:
    """Return centroids (L, D) float32 of unit length, by spherical k-means on an evenly spaced sample of the faces."""
    step = max(1, len(embeddings) // (lists * POINTS_A_LIST))
    sample = np.ascontiguousarray(embeddings[::step][: lists * POINTS_A_LIST])
    kmeans = faiss.Kmeans(
        sample.shape[1], lists, niter=ITERATIONS, spherical=True, seed=SEED, min_points_per_centroid=1
    )
    kmeans.train(sample)
    return np.asarray(kmeans.centroids, np.float32).reshape(lists, -1)


def nearest_centroids(embeddings: Embeddings, centroids: Embeddings) -> Ints:
    """Return each face's list, (N,) int64."""
    lists = np.empty(len(embeddings), np.int64)
    for start in range(0, len(embeddings), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        _, nearest = faiss.knn(embeddings[block], centroids, 1, metric=faiss.METRIC_INNER_PRODUCT)
        lists[block] = nearest[:, 0]
    return lists


def make_lists(list_of: Ints, centroids: Embeddings) -> Lists:
    """Return the lists of faces that belong to given centroids."""
    rows = np.argsort(list_of, kind="stable")
    starts = np.searchsorted(list_of[rows], np.arange(len(centroids) + 1))
    similarities = centroids @ centroids.T
    np.fill_diagonal(similarities, np.inf)
    return Lists(rows, starts, np.argsort(-similarities, axis=1, kind="stable"))


def requests_of_lists(embeddings: Embeddings, lists: Lists, k: int, probes: int) -> Iterator[Request]:
    """Yield a request for the faces of each list that has any, in order.

    Args:
        embeddings: (N, D) float32, unit length.
        lists: of these faces.
        k: how many faces the lists that are probed hold at least.
        probes: how many lists are probed at least.
    """
    for number in range(len(lists.starts) - 1):
        rows = lists.members(number)
        if len(rows):
            yield Request(embeddings[rows], lists.probed(number, probes, k))


def merged(parts: list[Found], k: int) -> Found:
    """Return the k nearest of what several shards found for the same queries."""
    ids = np.concatenate([part.ids for part in parts], axis=1)
    similarities = np.concatenate([part.similarities for part in parts], axis=1)
    order = np.lexsort((ids, -similarities), axis=1)[:, :k]
    return Found(np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1))
