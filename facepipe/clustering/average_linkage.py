"""The second measure: the spanning forest's edges join groups only where their faces are near on average.

Single linkage, which the forest alone is, joins two people through one pair of similar photos; the average distance
between all their photos tells them apart. Average linkage is UPGMA (Sokal and Michener 1958), here of squared
Euclidean distances: between unit vectors the average over all pairs of two groups follows from the sums of the groups'
vectors, so that no table of distances is needed, however large a group is.
"""

import numpy as np
import numpy.typing as npt

from facepipe.clustering.constraints import shared_photos
from facepipe.clustering.mst import Edges, similarity_at

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PAIRS_AT_ONCE = 1024  # what is gathered for so many stays in a processor's cache


def merge_along_forest(
    embeddings: Embeddings,
    photo_index: Ints,
    forest: Edges,
    average_distance: float,
    crowded: Floats | None = None,
) -> Ints:
    """Return the groups that are left when no edge of the forest joins two that are near enough on average.

    In rounds: two groups become one where each is the other's nearest, on average, of all that it has an edge to.
    Groups with faces of one photo never become one.

    Departs from the original: groups without an edge between them don't merge, and all nearest pairs of a round merge
    together (as in Sumengen et al. 2021, "Scaling hierarchical agglomerative clustering to billion-sized datasets").

    Args:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64, the photo of each face.
        forest: edges between faces, without cycles.
        average_distance: groups whose faces are farther apart stay apart: the root mean square over all pairs of the
            Euclidean distances (0 to 2).
        crowded: (N,) float64, what each face's similarities are lowered by (`crowding`); None: nothing.

    Returns:
        (N,) int64: each face's group, named by its smallest row.
    """
    groups = np.arange(len(embeddings))
    totals = _Totals(embeddings, crowded)
    least = similarity_at(average_distance)
    left, right = forest.left, forest.right
    similarity = totals.average_similarity(left, right)
    while True:
        mutual = _nearest_of_both(left, right, np.where(similarity >= least, similarity, -np.inf), len(embeddings))
        first, second = left[mutual], right[mutual]
        if not len(mutual):
            return groups
        forbidden = shared_photos(groups, photo_index, first, second)
        similarity[mutual[forbidden]] = -np.inf
        first, second = first[~forbidden], second[~forbidden]
        first, second = np.minimum(first, second), np.maximum(first, second)
        totals.add(first, second)
        becomes = np.arange(len(embeddings))
        becomes[second] = first
        groups, left, right = becomes[groups], becomes[left], becomes[right]
        grown = np.zeros(len(embeddings), np.bool_)
        grown[first] = True
        between = left != right
        left, right, similarity = left[between], right[between], similarity[between]
        changed = np.flatnonzero((grown[left] | grown[right]) & (similarity > -np.inf))
        similarity[changed] = totals.average_similarity(left[changed], right[changed])


class _Totals:
    """What averages over groups follow from, in the rows that name the groups.

    Args:
        embeddings: (N, D) float32 of N groups of one face each.
        crowded: as for `merge_along_forest`.
    """

    def __init__(self, embeddings: Embeddings, crowded: Floats | None) -> None:
        self._sums = embeddings.astype(np.float32, copy=True)  # (N, D)
        self._crowded = np.zeros(len(embeddings)) if crowded is None else crowded.copy()
        self._faces = np.ones(len(embeddings))

    def add(self, first: Ints, second: Ints) -> None:
        """Let each first group take up the second one of its pair."""
        for total in (self._sums, self._crowded, self._faces):
            total[first] += total[second]

    def average_similarity(self, left: Ints, right: Ints) -> Floats:
        """Return the mean similarity over all pairs of two groups' faces, for pairs of groups (P,)."""
        similarity = np.empty(len(left))
        for start in range(0, len(left), PAIRS_AT_ONCE):
            a, b = left[start : start + PAIRS_AT_ONCE], right[start : start + PAIRS_AT_ONCE]
            cosines = np.einsum("nd,nd->n", self._sums[a], self._sums[b]) / (self._faces[a] * self._faces[b])
            crowded = (self._crowded[a] / self._faces[a] + self._crowded[b] / self._faces[b]) / 2
            similarity[start : start + len(a)] = cosines - crowded
        return similarity


def _nearest_of_both(left: Ints, right: Ints, similarity: Floats, count: int) -> Ints:
    """Return the edges that are the most similar one at both of their ends, at most one for each end.

    Edges of similarity minus infinity count as none.
    """
    edges = np.flatnonzero(similarity > -np.inf)
    most = np.full(count, -np.inf)
    for ends in (left, right):
        np.maximum.at(most, ends[edges], similarity[edges])
    edges = edges[(similarity[edges] == most[left[edges]]) & (similarity[edges] == most[right[edges]])]
    first = np.full(count, len(left))  # of equally similar edges the first
    for ends in (left, right):
        np.minimum.at(first, ends[edges], edges)
    mutual: Ints = edges[(first[left[edges]] == edges) & (first[right[edges]] == edges)]
    return mutual
