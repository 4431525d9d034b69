"""The second measure: the spanning forest's edges join groups only where their faces are near on average.

Single linkage, which the forest alone is, joins two people through one pair of similar photos; the average distance
between all their photos tells them apart. Average linkage is UPGMA (Sokal and Michener 1958), here of squared
Euclidean distances: between unit vectors the average over all pairs of two groups follows from the sums of the groups'
vectors, so that no table of distances is needed, however large a group is.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.clustering.constraints import Known, PhotosOfGroups, barred_pairs, nothing_known, owned_groups
from facepipe.clustering.mst import Edges, similarity_at

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LEAST_ROUNDS = 8
GROWTH = 1 / 32  # of two groups together, after which their average is taken anew: it has hardly changed before
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
    together (as in Sumengen et al. 2021, "Scaling hierarchical agglomerative clustering to billion-sized datasets"). An
    average is taken anew when its groups have grown by a thirty-second: a large group takes up many single faces.

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
    merging = _Merging(embeddings, photo_index, forest, similarity_at(average_distance), crowded, known, groups)
    while (part := merging.part_that_may_merge()) is not None:
        for _ in range(part.rounds):
            if not merging.merge_nearest(part):
                break
        merging.take_back(part)
    return Merged(merging.groups, merging.joined, np.concatenate(merging.refused))


@dataclass
class _Part:
    """The edges around groups that may merge now, cut out so that a round costs no more than they do.

    Attributes:
        edges: (P,) int64, which of all edges they are.
        left, right: (P,) int64, the groups that they join, as places in `names`.
        similarity: (P,) float64.
        faces_then: (P,) float64, how many faces both groups had when the similarity was taken.
        names: (G,) int64, the groups, ascending.
        faces: (F,) int64, all faces in them.
        group_of: (F,) int64, the faces' groups as places in `names`.
        is_border: (G,) bool, groups with edges that are left out here.
        rounds: how many to go before all edges are looked at again.
    """

    edges: Ints
    left: Ints
    right: Ints
    similarity: Floats
    faces_then: Floats
    names: Ints
    faces: Ints
    group_of: Ints
    is_border: Bools
    rounds: int


class _Merging:
    """Groups on their way: see `merge_along_forest`."""

    def __init__(
        self,
        embeddings: Embeddings,
        photo_index: Ints,
        forest: Edges,
        least: float,
        crowded: Floats | None,
        known: Known,
        groups: Ints,
    ) -> None:
        self._forest, self._least, self._known = forest, least, known
        self._photos = PhotosOfGroups(photo_index, groups)
        self._owners = np.full(len(embeddings), -1)  # in the rows that name groups
        np.maximum.at(self._owners, groups, known.owners)
        self._totals = _Totals(embeddings, groups, crowded)
        self._edges = np.flatnonzero(groups[forest.left] != groups[forest.right])
        self._left, self._right = groups[forest.left[self._edges]], groups[forest.right[self._edges]]
        self._similarity = self._totals.average_similarity(self._left, self._right)
        self._faces_then = self._totals.faces(self._left, self._right)
        self.groups = groups.copy()
        self.joined = np.full(len(embeddings), -1)
        self.refused = [np.zeros(0, np.int64)]

    def part_that_may_merge(self) -> _Part | None:
        """Return groups with an edge that is similar enough, their neighbours, and all edges of both; None: no more.

        What is farther away changes nothing before a neighbour of such a group has grown.
        """
        live = self._similarity >= self._least
        if not live.any():
            return None
        near = self._around(live)
        inside = np.zeros(len(self.groups), np.bool_)
        inside[self._left[near]] = inside[self._right[near]] = True
        edges = np.flatnonzero(self._around(near))
        names, ends = np.unique(np.concatenate([self._left[edges], self._right[edges]]), return_inverse=True)
        left, right = ends.reshape(2, -1)
        place = np.full(len(self.groups), -1)
        place[names] = np.arange(len(names))
        group_of = place[self.groups]
        faces = np.flatnonzero(group_of >= 0)
        rounds = max(LEAST_ROUNDS, len(self.groups) // len(faces))
        return _Part(
            edges,
            left,
            right,
            self._similarity[edges],
            self._faces_then[edges],
            names,
            faces,
            group_of[faces],
            ~inside[names],
            rounds,
        )

    def _around(self, chosen: Bools) -> Bools:
        """Return which edges touch a group that one of the chosen edges touches."""
        touched = np.zeros(len(self.groups), np.bool_)
        touched[self._left[chosen]] = touched[self._right[chosen]] = True
        around: Bools = touched[self._left] | touched[self._right]
        return around

    def merge_nearest(self, part: _Part) -> bool:
        """Merge all pairs that are each other's nearest; return whether another round may follow at once."""
        live = np.where(part.similarity >= self._least, part.similarity, -np.inf)
        mutual = _nearest_of_both(part.left, part.right, live, len(part.names))
        if not len(mutual):
            return False
        mutual = mutual[~self._refuse(part, mutual)]
        left, right = part.left[mutual], part.right[mutual]
        for end in (part.names[left], part.names[right]):
            single = self._totals.is_single(end)
            by = self._edges[part.edges[mutual[single]]]
            self.joined[end[single]] = self._forest.left[by] + self._forest.right[by] - end[single]  # the other end
        first, second = np.minimum(left, right), np.maximum(left, right)
        self._totals.add(part.names[first], part.names[second])
        self._photos.unite(part.names[first], part.names[second])
        self._owners[part.names[first]] = np.maximum(self._owners[part.names[first]], self._owners[part.names[second]])
        becomes = np.arange(len(part.names))
        becomes[second] = first
        part.group_of, part.left, part.right = becomes[part.group_of], becomes[part.left], becomes[part.right]
        self.groups[part.faces] = part.names[part.group_of]
        part.similarity[part.left == part.right] = -np.inf
        self._refresh(part.names[part.left], part.names[part.right], part.similarity, part.faces_then)
        return not (part.is_border[first].any() or part.is_border[second].any())

    def _refuse(self, part: _Part, mutual: Ints) -> Bools:
        """Return which of some edges photos or users forbid; no edge between the same two groups counts any more."""
        left, right = part.left[mutual], part.right[mutual]
        names = part.names[left], part.names[right]
        forbidden = self._photos.shared(*names) | barred_pairs(self.groups, self._owners, self._known, *names)
        if forbidden.any():
            pair = _pair_keys(part.left, part.right, len(part.names))
            part.similarity[np.isin(pair, pair[mutual[forbidden]])] = -np.inf
            self.refused += [end[forbidden] for end in names]
        return forbidden

    def take_back(self, part: _Part) -> None:
        """Let all edges know what has become of a part's groups."""
        self._left, self._right = self.groups[self._left], self.groups[self._right]
        self._similarity[part.edges], self._faces_then[part.edges] = part.similarity, part.faces_then
        between = self._left != self._right
        self._edges, self._left, self._right = self._edges[between], self._left[between], self._right[between]
        self._similarity, self._faces_then = self._similarity[between], self._faces_then[between]
        self._refresh(self._left, self._right, self._similarity, self._faces_then)

    def _refresh(self, left: Ints, right: Ints, similarity: Floats, faces_then: Floats) -> None:
        """Take the similarity of groups anew, in place, where they have grown enough."""
        faces = self._totals.faces(left, right)
        grown = np.flatnonzero((faces >= (1 + GROWTH) * faces_then) & (similarity > -np.inf))
        similarity[grown] = self._totals.average_similarity(left[grown], right[grown])
        faces_then[grown] = faces[grown]


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

    def faces(self, left: Ints, right: Ints) -> Floats:
        """Return how many faces both of two groups have together, for pairs of groups (P,)."""
        faces: Floats = self._faces[left] + self._faces[right]
        return faces

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
