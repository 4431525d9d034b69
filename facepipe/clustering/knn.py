"""Each face's nearest faces, exactly, by FAISS: on a GPU where it has one (the extra `gpu`)."""

from functools import cache
from typing import Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from facepipe.errors import FacepipeError

Embeddings = npt.NDArray[np.float32]

QUERIES_AT_ONCE = 8192
UNIT_TOLERANCE = 1e-3
MOST_ON_GPU = 2048  # neighbours that FAISS can find there


class Neighbors(NamedTuple):
    """The nearest faces of N faces, nearest first, equally near ones by row; a face is not its own neighbour.

    Attributes:
        ids: (N, K) int64, rows of the embeddings; K is the number asked for, or N - 1 where there are fewer faces.
        similarities: (N, K) cosines, -1 to 1: float32 from every search; `mutual_reachability` takes float64 too.
    """

    ids: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.floating]


def gpus() -> int:
    """Return how many GPUs FAISS can use: none where it is built for CPUs."""
    count: int = faiss.get_num_gpus()
    return count


@cache
def _gpu_resources() -> Any:
    """Return what FAISS computes with on a GPU: made once, since it sets memory aside there."""
    return faiss.StandardGpuResources()


def most_similar(queries: Embeddings, embeddings: Embeddings, k: int) -> tuple[Embeddings, npt.NDArray[np.int64]]:
    """Return the k greatest inner products of each query, greatest first, and with which rows.

    Args:
        queries: (B, D) float32.
        embeddings: (N, D) float32, C-contiguous.
        k: at most N.

    Returns:
        (B, k) float32 and (B, k) int64.
    """
    if gpus() and k <= MOST_ON_GPU:
        found = faiss.knn_gpu(_gpu_resources(), queries, embeddings, k, metric=faiss.METRIC_INNER_PRODUCT)
    else:
        found = faiss.knn(queries, embeddings, k, metric=faiss.METRIC_INNER_PRODUCT)
    similarities, ids = found
    return similarities, ids


def nearest_neighbors(
    embeddings: Embeddings,
    k: int,
    queries_at_once: int = QUERIES_AT_ONCE,
    rows: npt.NDArray[np.int64] | None = None,
) -> Neighbors:
    """Return the k nearest faces of every face by inner product, by exhaustive search.

    Faces with the same vector are neighbours of similarity 1 like any others; only the face itself is left out.

    Args:
        embeddings: (N, D) float32, unit length.
        k: how many neighbours, at least 1.
        queries_at_once: faces searched together: bounds the memory to that many times k results.
        rows: (M,) the faces whose neighbours are wanted; None: all.

    Returns:
        Arrays of shape (M, min(k, N - 1)); (0, 0) where there are no faces.

    Raises:
        FacepipeError: an embedding is not finite or not of unit length.
    """
    check_unit_length(embeddings)
    rows = np.arange(len(embeddings)) if rows is None else rows
    k = max(min(k, len(embeddings) - 1), 0)
    ids = np.empty((len(rows), k), np.int64)
    similarities = np.empty((len(rows), k), np.float32)
    if k == 0:
        return Neighbors(ids, similarities)
    embeddings = np.ascontiguousarray(embeddings, np.float32)
    for start in range(0, len(rows), queries_at_once):
        block = slice(start, start + queries_at_once)
        # One more than asked for, since each face finds itself too.
        found, found_ids = most_similar(embeddings[rows[block]], embeddings, k + 1)  # (B, k+1)
        ids[block], similarities[block] = without_self(found_ids, found, rows[block])
    return Neighbors(ids, similarities)


def nearest_among(
    queries: Embeddings, embeddings: Embeddings, k: int, queries_at_once: int = QUERIES_AT_ONCE
) -> Neighbors:
    """Return the k nearest of some faces for each of other faces, by exhaustive search.

    Args:
        queries: (M, D) float32, unit length: faces that are not among the `embeddings`.
        embeddings: (N, D) float32, unit length.
        k: how many neighbours, at least 1.
        queries_at_once: as for `nearest_neighbors`.

    Returns:
        Arrays of shape (M, min(k, N)), whose ids are rows of `embeddings`.

    Raises:
        FacepipeError: an embedding of `queries` is not finite or not of unit length.
    """
    check_unit_length(queries)
    k = min(k, len(embeddings))
    ids = np.empty((len(queries), k), np.int64)
    similarities = np.empty((len(queries), k), np.float32)
    if k == 0:
        return Neighbors(ids, similarities)
    queries, embeddings = (np.ascontiguousarray(vectors, np.float32) for vectors in (queries, embeddings))
    for start in range(0, len(queries), queries_at_once):
        block = slice(start, start + queries_at_once)
        found, found_ids = most_similar(queries[block], embeddings, k)  # (B, k)
        order = np.lexsort((found_ids, -found), axis=1)
        ids[block] = np.take_along_axis(found_ids, order, axis=1)
        similarities[block] = np.clip(np.take_along_axis(found, order, axis=1), -1, 1)
    return Neighbors(ids, similarities)


def has_unit_length(embeddings: Embeddings) -> npt.NDArray[np.bool_]:
    """Return which embeddings (N,) are finite vectors of unit length."""
    lengths = np.linalg.norm(embeddings, axis=1) if embeddings.size else np.ones(len(embeddings))
    usable: npt.NDArray[np.bool_] = np.abs(lengths - 1) <= UNIT_TOLERANCE  # NaN compares false
    return usable


def check_unit_length(embeddings: Embeddings) -> None:
    """Raise FacepipeError where an embedding is not a finite vector of unit length."""
    bad = np.flatnonzero(~has_unit_length(embeddings))
    if len(bad):
        length = np.linalg.norm(embeddings[bad[0]])
        raise FacepipeError(
            f"{len(bad)} of {len(embeddings)} face embeddings are not finite vectors of unit length (the first is face "
            f"{bad[0]}, of length {length:.3g}): repeat the extraction with `facepipe extract --redo`"
        )


def without_self(
    ids: npt.NDArray[np.int64], similarities: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return results (B, k) of (B, k + 1), the queries themselves left out, nearest first, equally near ones by id.

    Args:
        ids: (B, k + 1) what was found.
        similarities: (B, k + 1).
        rows: (B,) which face each query is.
    """
    order = np.lexsort((ids, -similarities), axis=1)
    ids, similarities = np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1)
    is_self = ids == rows[:, None]
    # More than k faces with one vector can crowd a face out of its own results: then the last one goes instead.
    is_self[~is_self.any(axis=1), -1] = True
    shape = (len(ids), ids.shape[1] - 1)
    return ids[~is_self].reshape(shape), np.clip(similarities[~is_self], -1, 1).reshape(shape)
