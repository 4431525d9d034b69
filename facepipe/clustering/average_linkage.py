"""The second measure: the spanning forest's edges join groups only where their faces are near on average.

Single linkage, which the forest alone is, joins two people through one pair of similar photos; the average distance
between all their photos tells them apart. Average linkage is UPGMA (Sokal and Michener 1958), here of squared
Euclidean distances: between unit vectors the average over all pairs of two groups follows from the sums of the groups'
vectors, so that no table of distances is needed, however large a group is.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.clustering.constraints import Known, barred_pairs, nothing_known, owned_groups, shared_photos
from facepipe.clustering.mst import Edges, similarity_at

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PAIRS_AT_ONCE = 1024  # what is gathered for so many stays in a processor's cache


class Merged(NamedTuple):
    """What has become of N faces.

    Attributes:
        groups: (N,) int64, each face's group, named by its smallest row.
        joined: (N,) int64, the face at the other end of the edge by which a face on its own came to others; -1: none.
        refused: (R,) int64, groups, by a face each, that photos or users kept from another.
    """

    groups: Ints
    joined: Ints
    refused: Ints


def merge_along_forest(
    embeddings: Embeddings,
    photo_index: Ints,
    forest: Edges,
    average_distance: float,
    crowded: Floats | None = None,
    known: Known | None = None,
    start: Ints | None = None,
) -> Merged:
    """Return the groups that are left when no edge of the forest joins two that are near enough on average.

    In rounds: two groups become one where each is the other's nearest, on average, of all that it has an edge to.
    Groups with faces of one photo never become one, nor those that users keep apart; what has one owner is together
    from the start.

    Departs from the original: groups without an edge between them don't merge, and all nearest pairs of a round merge
    together (as in Sumengen et al. 2021, "Scaling hierarchical agglomerative clustering to billion-sized datasets").

    Args:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64, the photo of each face.
        forest: edges between faces.
        average_distance: groups whose faces are farther apart stay apart: the root mean square over all pairs of the
            Euclidean distances (0 to 2).
        crowded: (N,) float64, what each face's similarities are lowered by (`crowding`); None: nothing.
        known: what users have said; None: nothing.
        start: (N,) int64, groups to begin with, named by their smallest row; None: what has one owner.
    """
    known = known or nothing_known(len(embeddings))
    groups = owned_groups(known.owners) if start is None else start
    owners = np.full(len(embeddings), -1)  # in the rows that name groups
    np.maximum.at(owners, groups, known.owners)
    totals = _Totals(embeddings, groups, crowded)
    least = similarity_at(average_distance)
    edge = np.flatnonzero(groups[forest.left] != groups[forest.right])
    left, right = groups[forest.left[edge]], groups[forest.right[edge]]
    similarity = totals.average_similarity(left, right)
    joined, refused = np.full(len(embeddings), -1), [np.zeros(0, np.int64)]
    while True:
        mutual = _nearest_of_both(left, right, np.where(similarity >= least, similarity, -np.inf), len(embeddings))
        if not len(mutual):
            return Merged(groups, joined, np.concatenate(refused))
        ends = left[mutual], right[mutual]
        forbidden = shared_photos(groups, photo_index, *ends) | barred_pairs(groups, owners, known, *ends)
        if forbidden.any():
            pair = _pair_keys(left, right, len(embeddings))
            similarity[np.isin(pair, pair[mutual[forbidden]])] = -np.inf
            refused += [end[forbidden] for end in ends]
        mutual = mutual[~forbidden]
        for end in (left[mutual], right[mutual]):
            single, by = end[totals.is_single(end)], edge[mutual[totals.is_single(end)]]
            joined[single] = forest.left[by] + forest.right[by] - single  # the edge's other end
        first, second = np.minimum(left[mutual], right[mutual]), np.maximum(left[mutual], right[mutual])
        totals.add(first, second)
        owners[first] = np.maximum(owners[first], owners[second])
        becomes = np.arange(len(embeddings))
        becomes[second] = first
        groups, left, right = becomes[groups], becomes[left], becomes[right]
        grown = np.zeros(len(embeddings), np.bool_)
        grown[first] = True
        between = left != right
        edge, left, right, similarity = edge[between], left[between], right[between], similarity[between]
        changed = np.flatnonzero((grown[left] | grown[right]) & (similarity > -np.inf))
        similarity[changed] = totals.average_similarity(left[changed], right[changed])


class _Totals:
    """What averages over groups follow from, in the rows that name the groups.

    Args:
        embeddings: (N, D) float32.
        groups: (N,) int64, the group of each face at the start, named by one of its rows.
        crowded: as for `merge_along_forest`.
    """

    def __init__(self, embeddings: Embeddings, groups: Ints, crowded: Floats | None) -> None:
        self._sums = embeddings.astype(np.float32, copy=True)  # (N, D)
        self._crowded = np.zeros(len(embeddings)) if crowded is None else crowded.copy()
        self._faces = np.ones(len(embeddings))
        others = np.flatnonzero(groups != np.arange(len(groups)))
        for total in (self._sums, self._crowded, self._faces):
            np.add.at(total, groups[others], total[others])

    def is_single(self, groups: Ints) -> Bools:
        """Return which groups are a face on its own."""
        single: Bools = self._faces[groups] == 1
        return single

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


def _pair_keys(left: Ints, right: Ints, count: int) -> Ints:
    """Return a number for each edge that edges between the same two groups have in common."""
    return np.minimum(left, right) * count + np.maximum(left, right)


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
