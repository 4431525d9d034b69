"""Distances between all pairs of faces, for methods of grouping that need them all."""

import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROWS_AT_ONCE = 1024  # bounds the memory to that many times N similarities


def pairs_nearer_than(embeddings: Embeddings, distance: float) -> Ints:
    """Return the pairs of faces whose Euclidean distance is below a distance.

    Args:
        embeddings: (N, D) float32, unit length.
        distance: 0 to 2.

    Returns:
        (P, 2) int64 rows, the first of a pair smaller than the second, in order.
    """
    least = np.float32(1.0 - distance * distance / 2.0)  # cosine between unit vectors at the distance
    pairs = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(embeddings), ROWS_AT_ONCE):
        near = np.argwhere(embeddings[start : start + ROWS_AT_ONCE] @ embeddings[start:].T > least)
        pairs.append(near[near[:, 0] < near[:, 1]] + start)
    return np.concatenate(pairs)


def condensed_distances(embeddings: Embeddings) -> Floats:
    """Return the Euclidean distances of all pairs in scipy's condensed form.

    Args:
        embeddings: (N, D) float32, unit length.

    Returns:
        (N (N - 1) / 2,) float64: the distances of row 0 to all later rows, then those of row 1, and so on.
    """
    count = len(embeddings)
    distances = np.empty(count * (count - 1) // 2)
    place = 0
    for start in range(0, count, ROWS_AT_ONCE):
        similarities = embeddings[start : start + ROWS_AT_ONCE] @ embeddings[start:].T  # (B, N - start)
        for row in range(len(similarities)):
            others = similarities[row, row + 1 :].astype(np.float64)
            distances[place : place + len(others)] = np.sqrt(np.maximum(2.0 - 2.0 * others, 0.0))
            place += len(others)
    return distances
