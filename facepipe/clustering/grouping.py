"""All faces of a library, grouped into people: the whole way from embeddings to labels, top to bottom."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import log10
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.clustering.attachment import attach_faces, membership_probabilities
from facepipe.clustering.average_linkage import Merged, merge_along_forest
from facepipe.clustering.constraints import (
    Known,
    nothing_known,
    numbered_by_first_face,
    without_single_photo_groups,
)
from facepipe.clustering.crowding import less_crowding
from facepipe.clustering.knn import Neighbors, check_unit_length, nearest_neighbors
from facepipe.clustering.mst import (
    Edges,
    components,
    edges_from,
    minimum_spanning_forest,
    mutual_reachability,
    similarity_at,
)
from facepipe.clustering.neighbor_search import EXHAUSTIVE_FACES, OpenSearch, Searched, one_shard, search_neighbors
from facepipe.clustering.principal_subspace import in_principal_subspace

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


ORDER_SEED = 1
ROWS_AT_ONCE = 4096
USUAL_FACES = 4_000  # in a library as `link_distance` is meant for
STRICTER = 0.05  # cosine by which links must be more similar for each tenfold of that


@dataclass(frozen=True)
class GroupingSettings:
    """How faces become people. Distances are Euclidean, between unit-length embeddings (0 to 2).

    Attributes:
        neighbors: nearest faces looked at for each face.
        min_samples: a face's core distance is that to its `min_samples`-th nearest; 1 means plain distances.
        link_distance: two groups join only where a face of each is nearer to the other than this, in a library of up
            to 4,000 faces; in a larger one nearer still (`link_similarity`).
        average_distance: groups farther apart on average (root mean square over all pairs) are different people.
        attach_distance: a face that doesn't vote joins the nearest person within this distance (root mean square to
            the person's faces); 0 leaves such faces unassigned.
    """

    neighbors: int = 64
    min_samples: int = 1
    link_distance: float = 0.945
    average_distance: float = 1.0
    attach_distance: float = 0.0


class Grouping(NamedTuple):
    """Who is who among N faces.

    Attributes:
        labels: (N,) int64, the person of each face, numbered in order of their first faces; -1 for unassigned.
        probabilities: (N,) float32, how sure a face's person is, 0 to 1; 0 for unassigned.
        neighbors: nearest faces of all N faces, or of the new ones in their order.
        joined: (N,) int64, the face whose likeness brought each to others, before all others; -1: none did.
        owners: which label is which owner (`constraints.Known`), by label; an owner without faces has none.
        recall: the share of close neighbours that the search found, measured on a sample; 1 where it was exhaustive.
        probes: lists of similar faces that it searched for each; 0 where it was exhaustive.
        seconds: what the parts of the grouping took: `knn`, `forest`, `tree`, `people`.
    """

    labels: Ints
    probabilities: npt.NDArray[np.float32]
    neighbors: Neighbors
    joined: Ints
    owners: Mapping[int, int] = {}
    recall: float = 1.0
    probes: int = 0
    seconds: Mapping[str, float] = {}


class Phases:
    """What the parts of a grouping take, one after the other.

    Attributes:
        seconds: of each part that has ended.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, part: str) -> None:
        """Say that a part has ended here, and the next one begins."""
        now = time.perf_counter()
        self.seconds[part] = now - self._since
        self._since = now


def group_faces(
    embeddings: Embeddings,
    photo_index: Ints,
    settings: GroupingSettings | None = None,
    votes: Bools | None = None,
    crowded: Floats | None = None,
    known: Known | None = None,
    open_search: OpenSearch = one_shard,
    is_new: Bools | None = None,
    searched: Searched | None = None,
) -> Grouping:
    """Return a person for each face: on at least two photos, at most once on each, or as users have said.

    The result is the same whatever the order of the rows.

    Args:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64, the photo of each face.
        settings: defaults where None.
        votes: (N,) bool, which faces may form people; the others (faces of poor quality, faces on copies of a photo
            that is already counted) can only join one afterwards. All vote where it is None.
        crowded: (N,) float64, what each face's similarities are lowered by (`crowding`); None: nothing.
        known: what users have said: whoever owns a face is a person, and the face votes; None: nothing.
        open_search: how lists of very many faces are searched: in this process, or elsewhere.
        is_new: (N,) bool, the faces that are to join people or make new ones. All others stay as they are: with their
            owners, or alone unless a new person comes to be around them. None: all.
        searched: what `search_faces` has found; None: it is searched here.

    Raises:
        FacepipeError: an embedding is not finite or not of unit length.
    """
    phases = Phases()
    settings = settings or GroupingSettings()
    photo_index = np.asarray(photo_index, np.int64)
    votes = np.ones(len(embeddings), np.bool_) if votes is None else votes
    crowded = np.zeros(len(embeddings)) if crowded is None else crowded
    known = known or nothing_known(len(embeddings))
    check_unit_length(embeddings)
    if not len(embeddings):
        return Grouping(photo_index, np.zeros(0, np.float32), nearest_neighbors(embeddings, 1), photo_index)
    is_new = np.ones(len(embeddings), np.bool_) if is_new is None else is_new
    searched = searched or search_faces(embeddings, photo_index, settings, votes, open_search, is_new)
    phases.end("knn")
    order = canonical_order(embeddings, photo_index, votes)
    faces = Faces(
        _compact(embeddings[order]),
        photo_index[order],
        (votes | (known.owners >= 0))[order],
        crowded[order],
        is_new[order],
    )
    neighbors = _reordered(searched.neighbors, is_new, order)
    grouped = _group_in_order(faces, known.of(order), neighbors, settings, phases)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))  # where each of the caller's faces stands in canonical order
    labels = numbered_by_first_face(grouped.labels[place])
    number_of = dict(zip(grouped.labels[place].tolist(), labels.tolist(), strict=True))
    owners = {number_of[number]: owner for number, owner in grouped.owners.items()}
    joined = np.append(order, -1)[grouped.joined[place]]
    phases.end("people")
    found = searched.neighbors, joined, owners, searched.recall, searched.probes
    return Grouping(labels, grouped.probabilities[place], *found, phases.seconds)


def search_faces(
    embeddings: Embeddings,
    photo_index: Ints,
    settings: GroupingSettings | None = None,
    votes: Bools | None = None,
    open_search: OpenSearch = one_shard,
    is_new: Bools | None = None,
) -> Searched:
    """Return the nearest faces of all faces, or of the new ones: the first and longest part of `group_faces`.

    Args:
        embeddings: as for `group_faces`, and all others too.
        photo_index: (N,).
        settings: defaults where None.
        votes: (N,).
        open_search: how lists of very many faces are searched.
        is_new: (N,).

    Raises:
        FacepipeError: an embedding is not finite or not of unit length.
    """
    check_unit_length(embeddings)
    settings = settings or GroupingSettings()
    is_new = np.ones(len(embeddings), np.bool_) if is_new is None else is_new
    votes = np.ones(len(embeddings), np.bool_) if votes is None else votes
    order = canonical_order(embeddings, photo_index, votes)
    compact = _compact(embeddings[order])
    if is_new.all() and len(embeddings):
        close = link_similarity(settings, votes)
        found = search_neighbors(compact, settings.neighbors, close, open_search=open_search)
    else:
        rows = np.flatnonzero(is_new[order])
        found = Searched(nearest_neighbors(compact, settings.neighbors, rows=rows), 1.0, 0)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return found._replace(neighbors=_reordered(found.neighbors, is_new[order], back))


def link_similarity(settings: GroupingSettings, votes: Bools) -> float:
    """Return how similar two faces must be to join their groups.

    The more strangers there are, the more similar the most similar of them: by about as much for each tenfold.

    Args:
        settings: as for `group_faces`.
        votes: (N,), the faces that may join groups.
    """
    more = max(1.0, int(votes.sum()) / USUAL_FACES)
    return similarity_at(settings.link_distance) + STRICTER * log10(more)


def _compact(embeddings: Embeddings) -> Embeddings:
    return in_principal_subspace(embeddings) if len(embeddings) > EXHAUSTIVE_FACES else embeddings


def _reordered(neighbors: Neighbors, is_new: Bools, order: Ints) -> Neighbors:
    """Return the neighbours of the same new faces once all faces (N,) stand in another order."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    number = np.cumsum(is_new) - 1  # of each new face among the new ones
    rows = number[order[is_new[order]]]
    return Neighbors(place[neighbors.ids[rows]], neighbors.similarities[rows])


class Joined(NamedTuple):
    """What the evidence makes of N faces.

    Attributes:
        groups: (N,) int64, named by their smallest row.
        joined: (N,) int64, the face at the other end of the edge by which each came to others; -1: none did.
    """

    groups: Ints
    joined: Ints


class Faces(NamedTuple):
    """N faces as they are grouped.

    Attributes:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64.
        votes: (N,) bool.
        crowded: (N,) float64.
        is_new: (N,) bool.
    """

    embeddings: Embeddings
    photo_index: Ints
    votes: Bools
    crowded: Floats
    is_new: Bools


def canonical_order(embeddings: Embeddings, photo_index: Ints, votes: Bools) -> Ints:
    """Return an order of the faces (N,) that depends on what they are, not on how they are listed.

    Ties between distances, and the last bits of sums, then fall the same way however the rows came.
    """
    factors = np.random.default_rng(ORDER_SEED).integers(1, 1 << 63, embeddings.shape[1], np.uint64)
    keys = np.empty(len(embeddings), np.uint64)
    for start in range(0, len(embeddings), ROWS_AT_ONCE):
        block = np.ascontiguousarray(embeddings[start : start + ROWS_AT_ONCE], np.float32).view(np.uint32)
        keys[start : start + len(block)] = (block * factors).sum(axis=1, dtype=np.uint64)  # equal for equal vectors
    return np.lexsort((votes, photo_index, keys))


def _group_in_order(
    faces: Faces, known: Known, neighbors: Neighbors, settings: GroupingSettings, phases: Phases
) -> Grouping:
    edges = edges_between(faces, neighbors, settings)
    forest = minimum_spanning_forest(edges, len(faces.embeddings))
    phases.end("forest")
    joined = join_groups(faces, known, edges, forest, settings)
    phases.end("tree")
    groups = joined.groups if faces.is_new.all() else _with_old_ones_as_they_were(joined.groups, faces.is_new, known)
    owned = dict(zip(known.owners.tolist(), groups.tolist(), strict=True))
    owned.pop(-1, None)
    stay = without_single_photo_groups(groups, faces.photo_index, owned.values())
    people = numbered_by_first_face(stay)
    number_of = {owner: int(people[group]) for owner, group in owned.items()}  # groups are named by one of their rows
    loose = np.flatnonzero(~faces.votes & faces.is_new)
    people = attach_faces(
        faces.embeddings,
        faces.photo_index,
        people,
        loose=loose,
        neighbor_ids=neighbors.ids[~faces.votes[faces.is_new]],
        attach_distance=settings.attach_distance,
        barred=[(face, number_of[owner]) for face, owner in known.barred.tolist() if owner in number_of],
    )
    owners = {number: owner for owner, number in number_of.items()}
    probabilities = membership_probabilities(faces.embeddings, people)
    return Grouping(people, probabilities, neighbors, joined.joined, owners)


def edges_between(faces: Faces, neighbors: Neighbors, settings: GroupingSettings) -> Edges:
    """Return the edges between faces that are near enough, both vote, and are in different photos.

    Args:
        faces: N faces in canonical order.
        neighbors: of the new ones.
        settings: as for `group_faces`.
    """
    rows = np.flatnonzero(faces.is_new)
    near = less_crowding(neighbors, faces.crowded, rows)
    allowed: Bools = near.similarities > link_similarity(settings, faces.votes)  # (M, K)
    allowed &= faces.photo_index[rows, None] != faces.photo_index[near.ids]
    allowed &= faces.votes[rows, None] & faces.votes[near.ids]
    if faces.is_new.all():
        return mutual_reachability(near, settings.min_samples, allowed)
    return edges_from(rows, near, allowed)


def join_groups(faces: Faces, known: Known, edges: Edges, forest: Edges, settings: GroupingSettings) -> Joined:
    """Return the groups that neighbours' evidence makes of faces, those of a single photo too.

    A forest leaves one way between two faces. Where photos or users bar it, the other edges are tried: a split costs
    no face the company that it may have.

    Args:
        faces: N faces in canonical order.
        known: of the N faces.
        edges: between faces that may come together.
        forest: of these edges.
        settings: as for `group_faces`.
    """

    def merge(along: Edges, start: Ints | None = None) -> Merged:
        return merge_along_forest(
            faces.embeddings, faces.photo_index, along, settings.average_distance, faces.crowded, known, start
        )

    merged = merge(forest)
    if not len(merged.refused):
        return Joined(merged.groups, merged.joined)
    tree = components(forest, len(faces.embeddings))
    around = np.isin(tree[edges.left], tree[merged.refused])
    again = merge(edges.of(around), merged.groups)
    return Joined(again.groups, np.where(merged.joined >= 0, merged.joined, again.joined))


def _with_old_ones_as_they_were(groups: Ints, is_new: Bools, known: Known) -> Ints:
    """Return the groups without faces that had nobody before, apart from those of new people around new faces."""
    with_new = np.unique(groups[is_new])
    owned = known.owners >= 0
    of_people = np.unique(groups[owned])
    stays = is_new | owned | (np.isin(groups, with_new) & ~np.isin(groups, of_people))
    return np.where(stays, groups, -1)
