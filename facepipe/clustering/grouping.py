"""All faces of a library, grouped into people: the whole way from embeddings to labels, top to bottom."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facepipe.clustering.attachment import attach_faces, membership_probabilities
from facepipe.clustering.average_linkage import merge_along_forest
from facepipe.clustering.constraints import numbered_by_first_face, without_single_photo_groups
from facepipe.clustering.crowding import less_crowding
from facepipe.clustering.knn import Neighbors, check_unit_length, nearest_neighbors
from facepipe.clustering.mst import minimum_spanning_forest, mutual_reachability, similarity_at
from facepipe.clustering.neighbor_search import EXHAUSTIVE_FACES, OpenSearch, one_shard, search_neighbors
from facepipe.clustering.principal_subspace import in_principal_subspace

Embeddings = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GroupingSettings:
    """How faces become people. Distances are Euclidean, between unit-length embeddings (0 to 2).

    Attributes:
        neighbors: nearest faces looked at for each face.
        min_samples: a face's core distance is that to its `min_samples`-th nearest; 1 means plain distances.
        link_distance: two groups join only where a face of each is nearer to the other than this.
        average_distance: groups farther apart on average (root mean square over all pairs) are different people.
        attach_distance: a face that doesn't vote joins the nearest person within this distance (root mean square to
            the person's faces); 0 leaves such faces unassigned.
    """

    neighbors: int = 64
    min_samples: int = 1
    link_distance: float = 0.925
    average_distance: float = 1.0
    attach_distance: float = 0.0


class Grouping(NamedTuple):
    """Who is who among N faces.

    Attributes:
        labels: (N,) int64, the person of each face, numbered in order of their first faces; -1 for unassigned.
        probabilities: (N,) float32, how sure a face's person is, 0 to 1; 0 for unassigned.
        neighbors: nearest faces of all N faces.
        recall: the share of close neighbours that the search found, measured on a sample; 1 where it was exhaustive.
        probes: lists of similar faces that it searched for each; 0 where it was exhaustive.
    """

    labels: Ints
    probabilities: npt.NDArray[np.float32]
    neighbors: Neighbors
    recall: float = 1.0
    probes: int = 0


def group_faces(
    embeddings: Embeddings,
    photo_index: Ints,
    settings: GroupingSettings | None = None,
    votes: Bools | None = None,
    crowded: Floats | None = None,
    open_search: OpenSearch = one_shard,
) -> Grouping:
    """Return a person for each face: on at least two photos, at most once on each.

    The result is the same whatever the order of the rows.

    Args:
        embeddings: (N, D) float32, unit length.
        photo_index: (N,) int64, the photo of each face.
        settings: defaults where None.
        votes: (N,) bool, which faces may form people; the others (faces of poor quality, faces on copies of a photo
            that is already counted) can only join one afterwards. All vote where it is None.
        crowded: (N,) float64, what each face's similarities are lowered by (`crowding`); None: nothing.
        open_search: how lists of very many faces are searched: in this process, or elsewhere.

    Raises:
        FacepipeError: an embedding is not finite or not of unit length.
    """
    settings = settings or GroupingSettings()
    photo_index = np.asarray(photo_index, np.int64)
    votes = np.ones(len(embeddings), np.bool_) if votes is None else votes
    crowded = np.zeros(len(embeddings)) if crowded is None else crowded
    if len(embeddings) < 2:
        return Grouping(
            np.full(len(embeddings), -1, np.int64),
            np.zeros(len(embeddings), np.float32),
            nearest_neighbors(embeddings, 1),
        )
    order = canonical_order(embeddings, photo_index, votes)
    grouped = _group_in_order(
        embeddings[order], photo_index[order], votes[order], crowded[order], settings, open_search
    )
    return _in_rows_of_caller(grouped, order)


def canonical_order(embeddings: Embeddings, photo_index: Ints, votes: Bools) -> Ints:
    """Return an order of the faces (N,) that depends on what they are, not on how they are listed.

    Ties between distances, and the last bits of sums, then fall the same way however the rows came.
    """
    rows = np.ascontiguousarray(embeddings, np.float32)
    _, rank = np.unique(rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))), return_inverse=True)
    return np.lexsort((votes, photo_index, rank.ravel()))


def _group_in_order(
    embeddings: Embeddings,
    photo_index: Ints,
    votes: Bools,
    crowded: Floats,
    settings: GroupingSettings,
    open_search: OpenSearch,
) -> Grouping:
    check_unit_length(embeddings)
    if len(embeddings) > EXHAUSTIVE_FACES:
        embeddings = in_principal_subspace(embeddings)
    close = similarity_at(settings.link_distance)
    neighbors, recall, probes = search_neighbors(embeddings, settings.neighbors, close, open_search=open_search)
    near = less_crowding(neighbors, crowded)
    edges = mutual_reachability(near, settings.min_samples, _may_link(near, photo_index, votes, close))
    forest = minimum_spanning_forest(edges, len(embeddings))
    groups = merge_along_forest(embeddings, photo_index, forest, settings.average_distance, crowded)
    people = without_single_photo_groups(groups, photo_index)
    people = attach_faces(
        embeddings, photo_index, people, loose=~votes, neighbors=neighbors, attach_distance=settings.attach_distance
    )
    return Grouping(people, membership_probabilities(embeddings, people), neighbors, recall, probes)


def _may_link(neighbors: Neighbors, photo_index: Ints, votes: Bools, close: float) -> Bools:
    """Return which neighbours (N, K) may become edges: near enough, both vote, and they are in different photos."""
    allowed: Bools = neighbors.similarities > close
    allowed &= photo_index[:, None] != photo_index[neighbors.ids]
    allowed &= votes[:, None] & votes[neighbors.ids]
    return allowed


def _in_rows_of_caller(grouped: Grouping, order: Ints) -> Grouping:
    place = np.empty_like(order)
    place[order] = np.arange(len(order))  # where each of the caller's faces stands in canonical order
    neighbors = Neighbors(order[grouped.neighbors.ids[place]], grouped.neighbors.similarities[place])
    labels = numbered_by_first_face(grouped.labels[place])
    return grouped._replace(labels=labels, probabilities=grouped.probabilities[place], neighbors=neighbors)
